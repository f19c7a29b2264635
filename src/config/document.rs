//! A TOML document in which every value knows where it was written, before any of it is typed.

use std::collections::BTreeMap;
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::fault::{Fault, Faults};

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere in particular: the document as a whole.
    Document,
    /// A line of the file, from 1.
    Line(usize),
    /// An environment variable.
    Variable(Rc<str>),
}

/// Keys and their values.
pub(super) type Table = BTreeMap<String, Node>;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// Of a table's entry: where its key is.
    pub place: Place,
    /// What was written.
    pub value: Value,
}

/// What can be written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A string.
    Text(String),
    /// A whole number; none when it is beyond 128 bits.
    Integer(Option<i128>),
    /// A number with a fraction.
    Fraction(f64),
    /// Something that no key of ours takes: a boolean, a date.
    Other(&'static str),
    /// An array.
    List(Vec<Node>),
    /// A table, inline or not.
    Table(Table),
    /// A variable's text: what it stands for shows when it is known what is wanted.
    Unread(String),
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Fraction,
    List,
    Table,
}

impl Value {
    /// Which kind this is, if it is one that any key of ours takes.
    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Text(_) => Some(Kind::Text),
            Self::Integer(_) => Some(Kind::Integer),
            Self::Fraction(_) => Some(Kind::Fraction),
            Self::List(_) => Some(Kind::List),
            Self::Table(_) => Some(Kind::Table),
            Self::Other(_) | Self::Unread(_) => None,
        }
    }

    /// The value in words, for a fault.
    pub fn in_words(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Unread(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Fraction(_) => "a fraction",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(kind) => kind,
        }
    }
}

impl Node {
    /// Decides what a variable's text stands for. It is read as TOML where that gives one of the
    /// kinds that are `wanted`; else it is the text itself, so that the domain `12345` needs no
    /// quotes.
    pub fn resolve(self, wanted: &[Kind]) -> Self {
        let Self { place, value: Value::Unread(text) } = self else { return self };
        let value = match DeValue::parse(text.trim()) {
            Ok(parsed) => value_of(parsed.into_inner(), &|_| place.clone()),
            Err(_) => Value::Text(text.clone()),
        };
        let fits = value.kind().is_some_and(|kind| wanted.contains(&kind));
        let value = if fits || !wanted.contains(&Kind::Text) { value } else { Value::Text(text) };
        Self { place, value }
    }
}

/// Reads a document.
///
/// # Errors
/// Every place where the text is no TOML.
pub(super) fn parse(text: &str, file: &str) -> Result<Table, Faults> {
    let lines = Lines::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let place = |offset| Place::Line(lines.number(offset));
        return Ok(table_of(document.into_inner(), &place));
    }
    let mut mistakes: Vec<(usize, &str)> = errors
        .iter()
        .map(|error| (error.span().map_or(0, |span| span.start), error.message()))
        .collect();
    // What follows the first mistake of a line is mostly an echo of it.
    mistakes.sort_by_key(|(offset, _)| *offset);
    mistakes.dedup_by_key(|(offset, _)| lines.number(*offset));
    let fault = |(offset, message): (usize, &str)| {
        let (line, column) = lines.position(offset);
        let advice =
            if lacks_quotes(lines.at(line)) { "is it a text? Then put it in quotes" } else { "" };
        Fault {
            file: file.to_owned(),
            line: Some(line),
            column: Some(column),
            key: String::new(),
            problem: format!("this is no TOML: {message}"),
            advice: advice.to_owned(),
        }
    };
    Err(Faults::new(mistakes.into_iter().map(fault).collect()))
}

/// Whether a line's value is neither well formed nor in quotes: mostly a text.
fn lacks_quotes(line: &str) -> bool {
    let Some((_, value)) = line.split_once('=') else { return false };
    let value = value.split('#').next().unwrap_or_default().trim();
    !value.starts_with(['"', '\'', '[', '{']) && DeValue::parse(value).is_err()
}

fn table_of(table: DeTable<'_>, place: &dyn Fn(usize) -> Place) -> Table {
    let entry = |(key, value): (Spanned<std::borrow::Cow<'_, str>>, Spanned<DeValue<'_>>)| {
        let node =
            Node { place: place(key.span().start), value: value_of(value.into_inner(), place) };
        (key.into_inner().into_owned(), node)
    };
    table.into_iter().map(entry).collect()
}

fn list_of(array: DeArray<'_>, place: &dyn Fn(usize) -> Place) -> Vec<Node> {
    let item = |item: Spanned<DeValue<'_>>| Node {
        place: place(item.span().start),
        value: value_of(item.into_inner(), place),
    };
    array.into_iter().map(item).collect()
}

/// The parser bounds how deep values nest, so this ends well before the stack does.
fn value_of(value: DeValue<'_>, place: &dyn Fn(usize) -> Place) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => {
            Value::Integer(i128::from_str_radix(number.as_str(), number.radix()).ok())
        }
        DeValue::Float(number) => match number.as_str().replace('_', "").parse() {
            Ok(number) => Value::Fraction(number),
            Err(_) => Value::Other("a fraction"),
        },
        DeValue::Boolean(_) => Value::Other("true or false"),
        DeValue::Datetime(_) => Value::Other("a date or time"),
        DeValue::Array(array) => Value::List(list_of(array, place)),
        DeValue::Table(table) => Value::Table(table_of(table, place)),
    }
}

/// Where the lines of a text begin.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(offset, _)| offset + 1);
        Self { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    /// The number of the line that holds a byte, from 1: the first line starts at 0.
    fn number(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    /// Line and column of a byte, both from 1; the column in characters.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.number(offset);
        let before = self.text.get(self.starts[line - 1]..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    /// The text of a line.
    fn at(&self, line: usize) -> &'t str {
        let start = self.starts[line - 1];
        let end = self.starts.get(line).copied().unwrap_or(self.text.len());
        &self.text[start..end]
    }
}
