//! One field of a form, wherever its platform keeps it.

use serde_json::Value;

use super::path::scalar;

/// The most fields that one form may hold: one that a person fills in has a few dozen.
pub const FIELDS_MAX: usize = 1000;

/// Characters. A longer name is no question that anybody reads; it is cut.
const NAME_MAX: usize = 1000;

/// More than 1000 fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// What it may be known by, the best first: a path through nested objects, outermost first.
    pub names: Vec<Vec<String>>,
    /// What a human calls it.
    pub label: String,
    /// Its type, in the platform's words.
    pub kind: Option<String>,
    /// The values, in order; several when the field was repeated or is a list.
    pub values: Vec<String>,
}

/// Every scalar of a document, in order. Elements of lists that are objects are walked with their
/// index in the path.
///
/// # Errors
/// More than 1000 of them.
pub fn flatten(document: Value) -> Result<Vec<Field>, TooMany> {
    let mut found = Vec::new();
    walk(document, &mut Vec::new(), &mut found)?;
    let values: usize = found.iter().map(|field: &Field| field.values.len()).sum();
    if values > FIELDS_MAX { Err(TooMany) } else { Ok(found) }
}

fn walk(value: Value, path: &mut Vec<String>, found: &mut Vec<Field>) -> Result<(), TooMany> {
    let mut within = |mut name: String, inner: Value| {
        if let Some((end, _)) = name.char_indices().nth(NAME_MAX) {
            name.truncate(end); // it stands in every field below
        }
        path.push(name);
        let walked = walk(inner, path, found);
        path.pop();
        walked
    };
    match value {
        Value::Object(map) => map.into_iter().try_for_each(|(key, inner)| within(key, inner)),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            let mut numbered = items.into_iter().enumerate();
            numbered.try_for_each(|(index, item)| within(index.to_string(), item))
        }
        Value::Array(items) => push(path, items.into_iter().filter_map(text).collect(), found),
        one => push(path, text(one).into_iter().collect(), found),
    }
}

fn push(path: &[String], values: Vec<String>, found: &mut Vec<Field>) -> Result<(), TooMany> {
    if values.is_empty() {
        return Ok(());
    }
    if found.len() >= FIELDS_MAX {
        return Err(TooMany);
    }
    found.push(Field { names: vec![path.to_vec()], label: path.join("."), kind: None, values });
    Ok(())
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        other => scalar(&other).map(|text| text.into_owned()),
    }
}
