//! `LEADGATE__STORE__URL=…`: environment variables over the file's values, before they are typed.

use super::document::{Kind, Node, Place, Table, Value};
use super::environment::Environment;
use super::fault::{Fault, quoted};

const PREFIX: &str = "LEADGATE__";

/// The deepest key is `destinations.X.retry.initial`, or a secret's `sources.X.secrets.Y.env`.
const SEGMENTS_MAX: usize = 8;

/// Why a variable has no place.
struct Misnamed {
    key: String,
    problem: String,
    advice: &'static str,
}

/// Puts every `LEADGATE__…` variable in its place. Variables go in the order of their names, so
/// that a table's own goes before those of its keys.
pub(super) fn apply(root: &mut Table, environment: &dyn Environment) -> Vec<Fault> {
    let mut names = environment.names();
    names.retain(|name| name.starts_with(PREFIX));
    names.sort();
    let fault = |name: String| {
        let Misnamed { key, problem, advice } = apply_one(root, &name, environment).err()?;
        Some(Fault { file: name, line: None, column: None, key, problem, advice: advice.into() })
    };
    names.into_iter().filter_map(fault).collect()
}

fn apply_one(root: &mut Table, name: &str, environment: &dyn Environment) -> Result<(), Misnamed> {
    let misnamed = |key: &str, problem: &str, advice| Misnamed {
        key: key.to_owned(),
        problem: problem.to_owned(),
        advice,
    };
    let segments: Vec<&str> = name[PREFIX.len()..].split("__").collect();
    if segments.len() > SEGMENTS_MAX || segments.contains(&"") {
        let advice = "name the parts of a key as in LEADGATE__STORE__URL";
        return Err(misnamed("", "this names no key", advice));
    }
    let text = environment.get(name).ok_or_else(|| {
        misnamed("", "its value is no UTF-8 text", "write the value into the file")
    })?;

    let place = Place::Variable(name.into());
    let mut table = root;
    let mut path = String::new();
    for (depth, segment) in segments.iter().enumerate() {
        let key = existing(table, segment).map_err(|both| {
            let problem = format!("{} means more than one key: {both}", quoted(segment));
            misnamed(&path, &problem, "rename one of them, or change the file")
        })?;
        path = [path.as_str(), &key].join(if path.is_empty() { "" } else { "." });
        if depth + 1 == segments.len() {
            table.insert(key, Node { place, value: Value::Unread(text) });
            return Ok(());
        }
        let node = table
            .entry(key)
            .or_insert_with(|| Node { place: place.clone(), value: Value::Table(Table::new()) });
        table = as_table(node, &place);
    }
    Ok(())
}

/// The key that a segment stands for: upper case and `_` where the file has lower case and `-`.
/// A key that is not there yet is the segment in lower case.
fn existing(table: &Table, segment: &str) -> Result<String, String> {
    let folded = |key: &str| key.to_lowercase().replace('-', "_");
    let wanted = folded(segment);
    let found: Vec<&str> =
        table.keys().map(String::as_str).filter(|key| folded(key) == wanted).collect();
    match found[..] {
        [] => Ok(segment.to_lowercase()),
        [key] => Ok(key.to_owned()),
        [..] => Err(found.join(", ")),
    }
}

/// A node as the table that a variable wants to reach into. What else was there gives way, as it
/// would to a variable for the whole key.
fn as_table<'n>(node: &'n mut Node, place: &Place) -> &'n mut Table {
    let unread = Node { place: node.place.clone(), value: Value::Other("") };
    let resolved = std::mem::replace(node, unread).resolve(&[Kind::Table]);
    *node = match resolved.value {
        Value::Table(_) => resolved,
        _ => Node { place: place.clone(), value: Value::Table(Table::new()) },
    };
    match &mut node.value {
        Value::Table(table) => table,
        _ => unreachable!("it was made a table just now"),
    }
}
