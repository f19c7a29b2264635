//! What a platform only gives a notice of, and how it is fetched: `{"notice": …}` becomes
//! `{"notice": …, "lead": …, "form": …}`.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::file::Span;
use super::path::Path;
use super::template::{Piece, Template};
use crate::lead::Malformed;

/// Where the platform's own element stands in what is read.
pub(super) const NOTICE: &str = "notice";

/// Documents that one lead may be made of.
const FETCHES_MAX: usize = 4;

/// A longer value is no id that a platform makes.
const VALUE_MAX: usize = 256;

/// What stands as it is in a path or a query.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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

/// One document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// What it is called beside the notice.
    pub name: String,
    url: Address,
    /// It is the same for many notices, and asked for again after this only.
    #[serde(default)]
    cache: Option<Span>,
}

/// `https://host/path/{body:notice.id}`: where a document is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Address {
    origin: String,
    behind: Template,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorPaths {
    #[serde(default)]
    code: Option<Path>,
    #[serde(default)]
    subcode: Option<Path>,
}

/// A code of a refusal, as `[enrich.on]` has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
enum Code {
    /// `"190"`, or `"100/33"` with the subcode behind.
    Told(String),
    /// `"200-299"`
    Between(u64, u64),
    /// `"http:401"`
    Http(u16),
}

/// What is to be done about a request that brought no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Try again.
    Retry,
    /// Ask nothing of the platform for a while.
    Backoff,
    /// Ask nothing until a person has mended something.
    Alert,
    /// Try again a few times, then keep it for a person.
    FewThenPark,
    /// Keep it for a person.
    Park,
}

impl Remedy {
    /// Its name in `[enrich.on]` and in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Backoff => "backoff",
            Self::Alert => "alert",
            Self::FewThenPark => "few_then_park",
            Self::Park => "park",
        }
    }
}

/// A header of JSON that tells how long to wait.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackoffHeader {
    /// Its name.
    pub name: String,
    /// Where in it the lengths are: the longest counts.
    path: Path,
    #[serde(default)]
    unit: Unit,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Min,
    #[default]
    S,
}

/// A refusal, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What is to be done.
    pub remedy: Remedy,
    /// The status and the platform's codes, in words that hold nobody's data: `400, code 100/33`.
    pub told: String,
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

impl TryFrom<String> for Address {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        let fault = || Malformed("expected https://, a host without values in it, and a path");
        let rest = text.strip_prefix("https://").ok_or_else(fault)?;
        let end = rest.find('/').ok_or_else(fault)?;
        let (host, behind) = rest.split_at(end);
        let origin = format!("https://{host}");
        let parsed = Url::parse(&origin).map_err(|_| fault())?;
        let is_plain = parsed.host_str().is_some() && parsed.username().is_empty();
        if host.contains('{') || !is_plain {
            return Err(fault());
        }
        let behind = Template::parse(behind)?;
        let is_value = |piece: &Piece| matches!(piece, Piece::Text(_) | Piece::Body(_));
        if !behind.pieces().iter().all(is_value) {
            return Err(Malformed("an address has no values but {body:PATH}"));
        }
        Ok(Self { origin, behind })
    }
}

impl TryFrom<String> for Code {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        if let Some(status) = text.strip_prefix("http:") {
            let status = status.parse().ok().filter(|status| (300..600).contains(status));
            return status.map(Self::Http).ok_or(Malformed("expected http: and a status"));
        }
        if let Some((from, to)) = text.split_once('-')
            && let (Ok(from), Ok(to)) = (from.parse(), to.parse())
        {
            return Ok(Self::Between(from, to));
        }
        if text.is_empty() {
            return Err(Malformed("a code is empty"));
        }
        Ok(Self::Told(text))
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

    /// Whether what came with a 2xx is an error in a document's place.
    pub fn is_error(&self, body: &Value) -> bool {
        self.error.code.as_ref().is_some_and(|path| path.text(body).is_some())
    }

    /// What an answer that is no document means. `body` is null where it is no JSON.
    pub fn refused(&self, status: u16, body: &Value) -> Refused {
        let text = |path: &Option<Path>| {
            let text = path.as_ref()?.text(body)?.into_owned();
            // A code is a word or a number; anything longer may be a sentence about a person.
            let is_code = text.len() <= 40
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
            is_code.then_some(text)
        };
        let (code, subcode) = (text(&self.error.code), text(&self.error.subcode));
        let whole = match (&code, &subcode) {
            (Some(code), Some(subcode)) => Some(format!("{code}/{subcode}")),
            _ => None,
        };
        let exactly = |text: &Option<String>| self.on.get(&Code::Told(text.clone()?)).copied();
        let number = code.as_ref().and_then(|code| code.parse::<u64>().ok());
        let between = || {
            let number = number?;
            self.on.iter().find_map(|(code, remedy)| match code {
                Code::Between(from, to) if (*from..=*to).contains(&number) => Some(*remedy),
                _ => None,
            })
        };
        let remedy = exactly(&whole).or_else(|| exactly(&code)).or_else(between);
        let remedy = remedy.or_else(|| self.on.get(&Code::Http(status)).copied());
        let told = match whole.or(code) {
            Some(code) => format!("{status}, code {code}"),
            None => status.to_string(),
        };
        Refused { remedy: remedy.unwrap_or_else(|| usual(status)), told }
    }
}

/// What a status means where no code says more.
fn usual(status: u16) -> Remedy {
    match status {
        401 | 403 => Remedy::Alert,
        404 => Remedy::FewThenPark,
        429 => Remedy::Backoff,
        408 => Remedy::Retry,
        400..500 => Remedy::Park,
        _ => Remedy::Retry,
    }
}

impl Fetch {
    /// How long the document is the same for all who ask for its address.
    pub fn cache(&self) -> Option<Duration> {
        self.cache.map(|Span(length)| length)
    }

    /// Where the document is, by what is known so far; `None` when a value is missing. `base`
    /// stands in place of the platform's own host.
    pub fn address(&self, element: &Value, base: Option<&Url>) -> Option<Url> {
        let behind = self.url.behind.render(|piece| match piece {
            Piece::Body(path) => {
                let text = path.text(element)?;
                let text = text.trim();
                let is_step = matches!(text, "." | ".."); // it would lead to another resource
                let is_value = !is_step && text.len() <= VALUE_MAX;
                is_value.then(|| utf8_percent_encode(text, KEPT).to_string().into_bytes().into())
            }
            _ => None,
        })?;
        let behind = String::from_utf8(behind).ok()?;
        let origin =
            base.map_or(self.url.origin.as_str(), |base| base.as_str().trim_end_matches('/'));
        Url::parse(&format!("{origin}{behind}")).ok()
    }
}

impl Address {
    /// What the values in it are taken from.
    fn roots(&self) -> impl Iterator<Item = Option<&str>> {
        self.behind.pieces().iter().filter_map(|piece| match piece {
            Piece::Body(path) => Some(path.root()),
            _ => None,
        })
    }
}

impl BackoffHeader {
    /// How long to wait, by the header's value; `None` where it does not say.
    pub fn wait(&self, value: &str) -> Option<Duration> {
        let told: Value = serde_json::from_str(value).ok()?;
        let number = |value: &Value| super::path::scalar(value)?.parse::<u64>().ok();
        let longest = self.path.all(&told).into_iter().filter_map(number).max()?;
        let seconds = match self.unit {
            Unit::Min => longest.saturating_mul(60),
            Unit::S => longest,
        };
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        secret = "page_token"
        error = { code = "error.code", subcode = "error.error_subcode" }
        backoff_header = { name = "X-Usage", path = "*[*].regain", unit = "min" }
        [on]
        "190" = "alert"
        "200-299" = "alert"
        "100" = "park"
        "100/33" = "few_then_park"
        "http:418" = "backoff"
        [[fetch]]
        name = "lead"
        url = "https://graph.example/v1/{body:notice.id}?fields=a,b"
        [[fetch]]
        name = "form"
        url = "https://graph.example/v1/forms/{body:lead.form|after:form:|before:,}"
        cache = "1h"
    "#;

    fn enrich(text: &str) -> Result<Enrich, String> {
        let enrich: Enrich = toml::from_str(text).map_err(|error| error.to_string())?;
        enrich.fault().map_or(Ok(enrich), |(_, problem)| Err(problem))
    }

    #[test]
    fn addresses_are_made_of_what_is_known_and_cannot_be_led_elsewhere() {
        let enrich = enrich(TEXT).unwrap();
        let address = |nth: usize, element: Value| {
            enrich.fetch[nth].address(&element, None).map(String::from)
        };
        let lead = |id: &str| address(0, json!({"notice": {"id": id}}));
        let expected = "https://graph.example/v1/77?fields=a,b";
        assert_eq!(address(0, json!({"notice": {"id": 77}})).as_deref(), Some(expected));
        let odd = lead("../me?access_token=x#");
        let expected = "https://graph.example/v1/..%2Fme%3Faccess_token%3Dx%23?fields=a,b";
        assert_eq!(odd.as_deref(), Some(expected));
        for id in ["..", ".", "", &"1".repeat(257)] {
            assert_eq!(lead(id), None, "{id}");
        }
        let form = address(1, json!({"notice": {}, "lead": {"form": "v:(form:12, 3)"}}));
        assert_eq!(form.as_deref(), Some("https://graph.example/v1/forms/12"));
        let base = Url::parse("http://127.0.0.1:9/graph/").unwrap();
        let address = enrich.fetch[0].address(&json!({"notice": {"id": 1}}), Some(&base)).unwrap();
        assert_eq!(address.as_str(), "http://127.0.0.1:9/graph/v1/1?fields=a,b");
    }

    #[test]
    fn a_refusal_is_judged_by_its_code_then_by_its_status() {
        let enrich = enrich(TEXT).unwrap();
        let judged = |status: u16, body: Value| {
            let refused = enrich.refused(status, &body);
            (refused.remedy, refused.told)
        };
        let error = |code: Value, subcode: Value| json!({"error": {"code": code, "error_subcode": subcode, "message": "Nguyễn Thử"}});
        for (status, body, remedy, told) in [
            (400, error(json!(190), json!(463)), Remedy::Alert, "400, code 190/463"),
            (400, error(json!(230), Value::Null), Remedy::Alert, "400, code 230"),
            (400, error(json!(100), json!(33)), Remedy::FewThenPark, "400, code 100/33"),
            (400, error(json!(100), json!(34)), Remedy::Park, "400, code 100/34"),
            (400, error(json!("Nguyễn Thử"), Value::Null), Remedy::Park, "400"),
            (418, Value::Null, Remedy::Backoff, "418"),
            (401, Value::Null, Remedy::Alert, "401"),
            (404, Value::Null, Remedy::FewThenPark, "404"),
            (429, Value::Null, Remedy::Backoff, "429"),
            (422, Value::Null, Remedy::Park, "422"),
            (500, Value::Null, Remedy::Retry, "500"),
            (302, Value::Null, Remedy::Retry, "302"),
        ] {
            assert_eq!(judged(status, body), (remedy, told.to_owned()));
        }
        let header = enrich.backoff_header.as_ref().unwrap();
        let usage = r#"{"77":[{"regain":3},{"regain":"12"}],"78":[{"regain":0}]}"#;
        assert_eq!(header.wait(usage), Some(Duration::from_secs(720)));
        assert_eq!(header.wait(r#"{"77":[{"regain":0}]}"#), None);
        assert_eq!(header.wait("soon"), None);
    }

    #[test]
    fn an_element_is_a_notice_until_everything_is_there() {
        let enrich = enrich(TEXT).unwrap();
        assert!(enrich.lacks(&json!({"notice": {}})));
        assert!(enrich.lacks(&json!({"notice": {}, "lead": {}, "form": null})));
        assert!(enrich.lacks(&json!([1])));
        assert!(!enrich.lacks(&json!({"notice": {}, "lead": {}, "form": {}})));
    }

    #[test]
    fn what_cannot_be_fetched_so_is_refused() {
        for (wrong, right, word) in [
            ("http://graph.example/v1/{body:n", "https://graph.example/v1/{body:n", "https://"),
            ("https://{body:notice.host}/v1/{body:n", "https://graph.example/v1/{body:n", "host"),
            ("https://a:b@graph.example/v1/{body:n", "https://graph.example/v1/{body:n", "host"),
            ("{secret:page_token}", "{body:notice.id}", "no values but"),
            ("{body:form.id}", "{body:notice.id}", "not there yet"),
            ("name = \"notice\"", "name = \"lead\"", "taken"),
            ("name = \"lead\"", "name = \"form\"", "taken"),
            ("\"http:20\"", "\"http:418\"", "a status"),
            ("\"shrug\"", "\"park\"", "unknown variant"),
            ("secret = \"page_token\"\ntimeout = \"2h\"", "secret = \"page_token\"", "60s"),
            (
                "secret = \"page_token\"\nheaders = { Authorization = \"x\" }",
                "secret = \"page_token\"",
                "Authorization",
            ),
        ] {
            assert!(TEXT.contains(right), "{right}");
            let error = enrich(&TEXT.replacen(right, wrong, 1)).unwrap_err();
            assert!(error.contains(word), "{wrong}: {error}");
        }
    }
}
