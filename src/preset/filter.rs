//! Conditions on a document: which events are leads, which leads are tests.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::path::{Path, Scope, scalar};

/// A condition: of what the path leads to, something is as all of the given words say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    path: Path,
    /// It reads exactly so.
    #[serde(default)]
    eq: Option<Text>,
    /// It reads like one of these.
    #[serde(default, rename = "in")]
    one_of: Option<Vec<Text>>,
    /// It begins so.
    #[serde(default)]
    prefix: Option<String>,
    /// It is there and says something; `false`: there is nothing of the kind.
    #[serde(default)]
    present: Option<bool>,
    /// It is of this JSON type.
    #[serde(default)]
    is: Option<Kind>,
    /// It also holds when there is nothing of the kind.
    #[serde(default)]
    or_absent: bool,
}

/// A scalar of the file, as text: `true`, `1` and `"1"` alike.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(text)),
            toml::Value::Boolean(truth) => Ok(Self(truth.to_string())),
            toml::Value::Integer(number) => Ok(Self(number.to_string())),
            _ => Err(serde::de::Error::custom("expected a text, a whole number, true or false")),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    String,
    Number,
    Boolean,
    Array,
    Object,
}

impl Filter {
    /// Whether it holds.
    pub fn holds<'a>(&self, scope: impl Into<Scope<'a>>) -> bool {
        let mut found = self.path.all(scope).into_iter();
        if self.present == Some(false) {
            return !found.any(says_something);
        }
        if self.or_absent && found.len() == 0 {
            return true;
        }
        found.any(|value| self.is_met(value))
    }

    /// The name that its path begins with, where that is one.
    pub(super) fn root(&self) -> Option<&str> {
        self.path.root()
    }

    /// Whether what it asks about is not there at all, so that nobody can say.
    pub fn asks_in_vain<'a>(&self, scope: impl Into<Scope<'a>>) -> bool {
        self.present.is_none() && !self.or_absent && self.path.all(scope).is_empty()
    }

    fn is_met(&self, value: &Value) -> bool {
        let text = scalar(value);
        let text = text.as_deref();
        let reads = |wanted: &Text| text == Some(wanted.0.as_str());
        self.eq.as_ref().is_none_or(reads)
            && self.one_of.as_ref().is_none_or(|several| several.iter().any(reads))
            && self
                .prefix
                .as_ref()
                .is_none_or(|prefix| text.is_some_and(|text| text.starts_with(prefix.as_str())))
            && self.present.is_none_or(|_| says_something(value))
            && self.is.is_none_or(|kind| kind == Kind::of(value))
    }
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::String(_) => Self::String,
            Value::Number(_) => Self::Number,
            Value::Bool(_) => Self::Boolean,
            Value::Array(_) => Self::Array,
            Value::Object(_) | Value::Null => Self::Object,
        }
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_holds_when_something_is_as_it_says() {
        let document = json!({
            "type": "lead", "n": 1, "test": true, "none": null, "empty": " ",
            "list": [{"v": "<test lead: x>"}, {"v": "y"}],
        });
        for (holds, text) in [
            (true, "path = 'type'\neq = 'lead'"),
            (false, "path = 'type'\neq = 'follow'"),
            (true, "path = 'n'\neq = 1"),
            (true, "path = 'test'\neq = true"),
            (false, "path = 'absent'\neq = true"),
            (true, "path = 'type'\nin = ['a', 'lead']"),
            (true, "path = 'list[*].v'\nprefix = '<test lead:'"),
            (true, "path = 'type'\npresent = true"),
            (false, "path = 'none'\npresent = true"),
            (false, "path = 'empty'\npresent = true"),
            (true, "path = 'empty'\npresent = false"),
            (true, "path = 'list'\nis = 'array'"),
            (false, "path = 'test'\nis = 'string'"),
        ] {
            let filter: Filter = toml::from_str(text).unwrap();
            assert_eq!(filter.holds(&document), holds, "{text}");
        }
        for wrong in ["path = 'a'\neq = [1]", "path = ''", "eq = 1", "path = 'a'\nequals = 1"] {
            assert!(toml::from_str::<Filter>(wrong).is_err(), "{wrong}");
        }
    }
}
