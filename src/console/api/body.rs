//! Bodies of the admin API: JSON objects, bounded, every key of which is known.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::Payload;
use serde_json::{Map, Value};

use crate::config::did_you_mean;
use crate::lead::Malformed;
use crate::problem::{FieldError, Problem};

/// As much as a form may hold where the configuration says nothing else: a correction is no longer.
const BYTES_MAX: usize = 256 * 1024;

/// An operator's program sends at once.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Names that a body may give to anything are no longer.
const NAME_LENGTH_MAX: usize = 64;

/// Reads a body; an empty one is `null`.
///
/// # Errors
/// Too long, too slow, no JSON.
pub(super) async fn read(payload: Payload) -> Result<Value, Problem> {
    let read = tokio::time::timeout(TIMEOUT, payload.to_bytes_limited(BYTES_MAX)).await;
    let bytes = match read {
        Ok(Ok(Ok(bytes))) => bytes,
        Ok(Ok(Err(_))) => return Err(malformed("the body broke off")),
        Ok(Err(_)) => {
            let detail = format!("the body is longer than {BYTES_MAX} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", detail));
        }
        Err(_) => {
            let detail = "the body did not arrive in time";
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", detail));
        }
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|_| malformed("the body is no JSON"))
}

fn malformed(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed", detail)
}

/// The fields at fault, as an answer.
pub(super) fn invalid(errors: Vec<FieldError>) -> Problem {
    let detail = "some fields cannot be used; nothing was done";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).with_errors(errors)
}

/// An object that is being read. What is taken from it is known; what is left at the end is not.
pub(super) struct Fields {
    left: Map<String, Value>,
    known: Vec<&'static str>,
    /// What was at fault so far.
    pub(super) errors: Vec<FieldError>,
}

impl Fields {
    /// The fields of an object; `null` has none.
    pub(super) fn of(value: Value, name: &'static str) -> Self {
        let mut fields = Self { left: Map::new(), known: Vec::new(), errors: Vec::new() };
        match value {
            Value::Object(left) => fields.left = left,
            Value::Null => {}
            _ => fields.fault(name, "type", "expected an object"),
        }
        fields
    }

    /// A field of any kind.
    pub(super) fn value(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.left.remove(name)
    }

    /// A text; `null` is an empty one.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text),
            Value::Null => Some(String::new()),
            _ => {
                self.fault(name, "type", "expected a text or null");
                None
            }
        }
    }

    /// A text that is read as something; `null` is none, and an empty text is no such thing.
    pub(super) fn parsed<T: FromStr<Err = Malformed>>(&mut self, name: &'static str) -> Option<T> {
        let text = match self.value(name)? {
            Value::String(text) => text,
            Value::Null => return None,
            _ => {
                self.fault(name, "type", "expected a text or null");
                return None;
            }
        };
        text.parse()
            .map_err(|problem: Malformed| self.fault(name, "malformed", problem.to_string()))
            .ok()
    }

    /// Reports a field.
    pub(super) fn fault(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        code: &'static str,
        message: impl Into<String>,
    ) {
        self.errors.push(FieldError { field: field.into(), code, message: message.into() });
    }

    /// What was at fault, unknown fields among it.
    pub(super) fn finish(mut self) -> Vec<FieldError> {
        for name in std::mem::take(&mut self.left).into_iter().map(|(name, _)| name) {
            let advice = did_you_mean(&name, self.known.iter().copied())
                .unwrap_or_else(|| format!("the fields here are {}", self.known.join(", ")));
            let message = format!("there is no such field; {advice}");
            if is_a_name(&name) {
                self.fault(name, "unknown", message);
            } else {
                self.fault("?", "unknown", message); // it may be anything, a person's phone as well
            }
        }
        self.errors
    }
}

fn is_a_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-');
    text.len() <= NAME_LENGTH_MAX && !text.is_empty() && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lead::State;

    #[test]
    fn what_is_not_asked_for_is_an_error() {
        let body = json!({"state": "dead", "sorce": "x", "0900000001": 1, "phone": 7});
        let mut fields = Fields::of(body, "body");
        assert_eq!(fields.parsed::<State>("state"), Some(State::Dead));
        assert_eq!((fields.text("source"), fields.text("phone")), (None, None));
        let mut errors = fields.finish();
        errors.sort_by(|a, b| a.field.cmp(&b.field));
        let told: Vec<_> = errors.iter().map(|error| (&*error.field, error.code)).collect();
        assert_eq!(told, [("?", "unknown"), ("phone", "type"), ("sorce", "unknown")]);
        assert!(errors[2].message.contains("\"source\""), "{}", errors[2].message);
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        assert!(Fields::of(Value::Null, "body").finish().is_empty());
        assert_eq!(Fields::of(json!([]), "body").finish()[0].field, "body");
        let mut fields = Fields::of(json!({"state": "gone", "source": null, "until": ""}), "body");
        assert_eq!(fields.parsed::<crate::lead::Timestamp>("until"), None);
        assert_eq!(fields.parsed::<State>("state"), None);
        assert_eq!(fields.parsed::<crate::lead::SourceId>("source"), None);
        assert_eq!(fields.finish().len(), 2, "the state, and a moment that is none");
    }
}
