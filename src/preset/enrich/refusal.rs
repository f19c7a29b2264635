//! What a platform's refusal means, by its codes and its status.

use serde::Deserialize;
use serde_json::Value;

use super::super::path::Path;
use super::Enrich;
use crate::lead::Malformed;

/// Where a refusal tells its reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ErrorPaths {
    #[serde(default)]
    code: Option<Path>,
    #[serde(default)]
    subcode: Option<Path>,
}

/// A code of a refusal, as `[enrich.on]` has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Code {
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

/// A refusal, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What is to be done.
    pub remedy: Remedy,
    /// The status and the platform's codes, in words that hold nobody's data: `400, code 100/33`.
    pub told: String,
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

impl Enrich {
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
