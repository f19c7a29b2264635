//! Where in a document a value is: `a.b`, `list[*].name`, `[a key. with dots].x`, `map.*`.
//!
//! `[*]` and `*` stand for every element of an array or every value of an object. A path that
//! begins with `~.` looks into the element that a bag has joined. `|after:TEXT` at the end takes
//! what follows the last TEXT in the value, `|before:TEXT` behind that what precedes the first.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::lead::Malformed;

/// More than this one path finds in no honest document: what follows is not looked at.
const FOUND_MAX: usize = 10_000;

/// A path, compiled.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Path {
    steps: Vec<Step>,
    in_joined: bool,
    after: Option<String>,
    before: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Each,
}

/// What paths are looked up in: an element, and what a bag has joined to it.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The element.
    pub item: &'a Value,
    /// The joined one.
    pub joined: Option<&'a Value>,
}

impl<'a> From<&'a Value> for Scope<'a> {
    fn from(item: &'a Value) -> Self {
        Self { item, joined: None }
    }
}

impl TryFrom<String> for Path {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl Path {
    /// A path from its text.
    ///
    /// # Errors
    /// An empty step or an unclosed bracket.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (text, before) = cutter(text, "|before:")?;
        let (text, after) = cutter(text, "|after:")?;
        let (mut rest, in_joined) = match text.strip_prefix('~') {
            Some(rest) => (rest.strip_prefix('.').unwrap_or(rest), true),
            None => (text, false),
        };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, behind) = step(rest)?;
            steps.push(step);
            rest = match behind.strip_prefix('.') {
                Some("") => return Err(Malformed("a path: nothing stands behind the last dot")),
                Some(more) => more,
                None => behind,
            };
        }
        if steps.is_empty() && !in_joined {
            return Err(Malformed("a path: it is empty"));
        }
        Ok(Self { steps, in_joined, after, before })
    }

    /// Everything that it leads to, in the document's order; at most 10,000.
    pub fn all<'a>(&self, scope: impl Into<Scope<'a>>) -> Vec<&'a Value> {
        let scope = scope.into();
        let root = if self.in_joined { scope.joined } else { Some(scope.item) };
        let mut found: Vec<&Value> = root.into_iter().collect();
        for step in &self.steps {
            found = found.into_iter().flat_map(|value| step.of(value)).take(FOUND_MAX).collect();
        }
        found
    }

    /// The first that it leads to, other than null.
    pub fn first<'a>(&self, scope: impl Into<Scope<'a>>) -> Option<&'a Value> {
        self.all(scope).into_iter().find(|value| !value.is_null())
    }

    /// The text of the first scalar that it leads to and that says something.
    pub fn text<'a>(&self, scope: impl Into<Scope<'a>>) -> Option<Cow<'a, str>> {
        let texts = self.all(scope).into_iter().filter_map(scalar);
        texts.map(|text| self.cut(text)).find(|text| !text.trim().is_empty())
    }

    /// Puts a value where it leads to, and makes the objects on the way; `false` where it leads to
    /// several places, or through something that is no object.
    pub fn put(&self, document: &mut Value, value: Value) -> bool {
        if self.in_joined || self.after.is_some() {
            return false;
        }
        let mut place = document;
        for step in &self.steps {
            let Step::Key(key) = step else { return false };
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            let Some(map) = place.as_object_mut() else { return false };
            place = map.entry(key.as_str()).or_insert(Value::Null);
        }
        *place = value;
        true
    }

    fn cut<'a>(&self, text: Cow<'a, str>) -> Cow<'a, str> {
        let from = self.after.as_deref().and_then(|after| Some(text.rfind(after)? + after.len()));
        let from = from.unwrap_or(0);
        let end = self.before.as_deref().and_then(|before| Some(from + text[from..].find(before)?));
        let end = end.unwrap_or(text.len());
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[from..end]),
            Cow::Owned(text) => Cow::Owned(text[from..end].to_owned()),
        }
    }

    /// The name that it begins with, where that is one.
    pub(super) fn root(&self) -> Option<&str> {
        match self.steps.first() {
            Some(Step::Key(key)) if !self.in_joined => Some(key),
            _ => None,
        }
    }

    /// The last name in it.
    pub(super) fn last_name(&self) -> Option<&str> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Each => None,
        })
    }
}

impl Step {
    fn of<'a>(&self, value: &'a Value) -> Box<dyn Iterator<Item = &'a Value> + 'a> {
        match (self, value) {
            (Self::Each, Value::Array(items)) => Box::new(items.iter()),
            (Self::Each, Value::Object(map)) => Box::new(map.values()),
            (Self::Key(key), Value::Object(map)) => Box::new(map.get(key).into_iter()),
            (Self::Key(key), Value::Array(items)) => {
                Box::new(key.parse().ok().and_then(|place: usize| items.get(place)).into_iter())
            }
            _ => Box::new(std::iter::empty()),
        }
    }
}

/// A path's text and the text that its values are cut at, if there is one.
fn cutter<'a>(text: &'a str, word: &str) -> Result<(&'a str, Option<String>), Malformed> {
    match text.split_once(word) {
        Some((_, "")) => Err(Malformed("a path: nothing stands behind |after: or |before:")),
        Some((path, at)) => Ok((path, Some(at.to_owned()))),
        None => Ok((text, None)),
    }
}

/// The first step of a path, and what stands behind it.
fn step(text: &str) -> Result<(Step, &str), Malformed> {
    if let Some(rest) = text.strip_prefix('[') {
        let (key, rest) =
            rest.split_once(']').ok_or(Malformed("a path: a bracket is not closed"))?;
        return match key {
            "" => Err(Malformed("a path: nothing stands in the brackets")),
            "*" => Ok((Step::Each, rest)),
            key => Ok((Step::Key(key.to_owned()), rest)),
        };
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    match text.split_at(end) {
        ("", _) => Err(Malformed("a path: a step is empty")),
        ("*", rest) => Ok((Step::Each, rest)),
        (key, rest) => Ok((Step::Key(key.to_owned()), rest)),
    }
}

/// The text of a scalar. A number's is the one it was written with, never read as a float.
pub fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_through_objects_arrays_and_dotted_names() {
        let document = json!({
            "a": {"b": 1, "c.d": "x"}, "list": [{"n": "1"}, {"n": "2"}, {"m": 3}],
            "map": {"p": {"v": "first"}, "q": {"v": "second"}}, "none": null, "id": 90071992547409931_u64,
            "urn": "urn:li:form:(urn:li:leadGenForm:77,3)",
        });
        let texts = |path: &str| {
            let found = Path::parse(path).unwrap().all(&document);
            found.into_iter().filter_map(scalar).collect::<Vec<_>>()
        };
        assert_eq!(texts("a.b"), ["1"]);
        assert_eq!(texts("a.[c.d]"), ["x"]);
        assert_eq!(texts("a[c.d]"), ["x"]);
        assert_eq!(texts("list[*].n"), ["1", "2"]);
        assert_eq!(texts("list.1.n"), ["2"]);
        assert_eq!(texts("map.*.v"), ["first", "second"]);
        assert_eq!(texts("id"), ["90071992547409931"]);
        assert!(
            texts("none").is_empty() && texts("a.x.y").is_empty() && texts("list.9").is_empty()
        );
        let after = Path::parse("urn|after:leadGenForm:").unwrap();
        assert_eq!(after.text(&document).as_deref(), Some("77,3)"));
        let within = Path::parse("urn|after:leadGenForm:|before:,").unwrap();
        assert_eq!(within.text(&document).as_deref(), Some("77"));
        assert_eq!(Path::parse("[*].n").unwrap().all(&document["list"]).len(), 2);
    }

    #[test]
    fn a_joined_element_is_looked_into_by_a_tilde() {
        let (item, joined) = (json!({"id": 1}), json!({"title": "Họ tên"}));
        let scope = Scope { item: &item, joined: Some(&joined) };
        assert_eq!(Path::parse("~.title").unwrap().text(scope).as_deref(), Some("Họ tên"));
        assert_eq!(Path::parse("~.title").unwrap().text(&item), None);
    }

    #[test]
    fn a_value_is_put_where_a_path_leads() {
        let mut document = json!({"a": {"b": 1}, "list": []});
        let mut put = |path: &str| Path::parse(path).unwrap().put(&mut document, json!("x"));
        assert!(put("a.b") && put("c.d") && put("[e.f]"));
        assert!(!put("list.0") && !put("a[*]") && !put("a|after:x") && !put("~.a"));
        assert_eq!(document, json!({"a": {"b": "x"}, "list": [], "c": {"d": "x"}, "e.f": "x"}));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", ".", "a.", "a..b", "a[b", "a[]", "a|after:", "a|before:"] {
            assert!(Path::parse(text).is_err(), "{text:?}");
        }
    }
}
