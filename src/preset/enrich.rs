//! What a platform only gives a notice of, and how it is fetched: `{"notice": …}` becomes
//! `{"notice": …, "lead": …, "form": …}`.

mod backoff;
mod fetch;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use self::backoff::BackoffHeader;
pub use self::fetch::Fetch;
use self::refusal::{Code, ErrorPaths};
pub use self::refusal::{Refused, Remedy};
use super::file::Span;
use super::path::Path;

/// Where the platform's own element stands in what is read.
pub(super) const NOTICE: &str = "notice";

/// Documents that one lead may be made of.
const FETCHES_MAX: usize = 4;

/// How what a notice speaks of is fetched.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrich {
    /// The name of the secret that is sent as the bearer token.
    pub secret: String,
    /// What tells which of several tokens is the right one: a page's id.
    #[serde(default)]
    pub select_by: Option<Path>,
    /// Headers of each request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Requests a second, over all notices of a source.
    #[serde(default = "five")]
    pub per_second: NonZeroU32,
    /// How long one request may take.
    #[serde(default = "ten_seconds", deserialize_with = "timeout")]
    pub timeout: Duration,
    /// What is fetched, in order.
    pub fetch: Vec<Fetch>,
    /// Where a refusal tells its reason.
    #[serde(default)]
    error: ErrorPaths,
    /// What is to be done about it, by its code.
    #[serde(default)]
    on: BTreeMap<Code, Remedy>,
    /// A header that tells how long to wait.
    #[serde(default)]
    pub backoff_header: Option<BackoffHeader>,
}

fn five() -> NonZeroU32 {
    const { NonZeroU32::new(5).expect("five is not nothing") }
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn timeout<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let Span(timeout) = Span::deserialize(deserializer)?;
    if (Duration::from_millis(100)..=Duration::from_secs(60)).contains(&timeout) {
        Ok(timeout)
    } else {
        Err(serde::de::Error::custom("expected a timeout from 100ms to 60s"))
    }
}

impl Enrich {
    /// An element as it is read from then on.
    pub(super) fn wrapped(element: Value) -> Value {
        json!({ NOTICE: element })
    }

    /// Whether an element lacks something that is to be fetched.
    pub(super) fn lacks(&self, element: &Value) -> bool {
        self.fetch.iter().any(|fetch| !element.get(&fetch.name).is_some_and(Value::is_object))
    }

    /// A fault that no part shows by itself: a text on its line, and what it is.
    pub(super) fn fault(&self) -> Option<(Vec<String>, String)> {
        if self.fetch.is_empty() || self.fetch.len() > FETCHES_MAX {
            let problem = format!("enrich.fetch: expected 1 to {FETCHES_MAX} documents");
            return Some((vec!["[enrich]".to_owned()], problem));
        }
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
        let is_own = |name: &str| ["authorization", "host", "content-length"].contains(&name);
        for (name, value) in &self.headers {
            let is_text = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            if !is_name(name) || !is_text || is_own(&name.to_ascii_lowercase()) {
                let problem = format!("enrich.headers: {name} cannot be one of them");
                return Some((vec![name.clone()], problem));
            }
        }
        let mut known = BTreeSet::from([NOTICE]);
        for fetch in &self.fetch {
            for root in fetch.url.roots() {
                if !root.is_some_and(|root| known.contains(root)) {
                    let problem = format!(
                        "enrich.fetch: the address of {:?} takes a value from what is not there yet",
                        fetch.name
                    );
                    return Some((vec![fetch.url.origin.clone()], problem));
                }
            }
            let plain = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            if fetch.name.is_empty() || !plain(&fetch.name) || !known.insert(&fetch.name) {
                let problem = format!(
                    "enrich.fetch: {:?} is taken, or no name (lower-case letters and _)",
                    fetch.name
                );
                return Some((vec![format!("name = \"{}\"", fetch.name)], problem));
            }
        }
        None
    }

    /// Whose token is asked for, in words: `page_id 123`. An id that is none says nothing.
    pub fn label(&self, whose: &str) -> Option<String> {
        let name = self.select_by.as_ref()?.last_name()?;
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-');
        let is_plain = whose.len() <= 64 && whose.bytes().all(is_id);
        match (whose.is_empty(), is_plain) {
            (true, _) => None,
            (false, true) => Some(format!("{name} {whose}")),
            (false, false) => Some(name.to_owned()),
        }
    }
}
