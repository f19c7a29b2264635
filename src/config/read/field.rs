//! A value that is being read as what its key takes.
//!
//! A faulty value is reported where it is read, and reads as none or as an empty one. The
//! configuration is thrown away when there is any fault: reading on only serves to find the
//! others, so what stands in for a value must not make faults of its own.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

use super::Reading;
use super::section::Section;
use crate::config::document::{Kind, Node, Table, Value};
use crate::config::fault::{did_you_mean, quoted};

/// A value, where it was written, and the dotted path of its key.
pub(super) struct Field<'r> {
    reading: &'r Reading<'r>,
    path: String,
    node: Node,
}

impl<'r> Field<'r> {
    pub fn new(reading: &'r Reading<'r>, path: String, node: Node) -> Self {
        reading.places.borrow_mut().remember(&path, &node.place);
        Self { reading, path, node }
    }

    /// What all of this reading shares.
    pub fn reading(&self) -> &'r Reading<'r> {
        self.reading
    }

    /// Reports something wrong with this value.
    pub fn fault(&self, problem: impl Into<String>, advice: impl Into<String>) {
        self.reading.fault(&self.node.place, self.path.clone(), problem.into(), advice.into());
    }

    /// Reports something doubtful about this value.
    pub fn warn(&self, problem: impl Into<String>, advice: impl Into<String>) {
        self.reading.warn(&self.node.place, self.path.clone(), problem.into(), advice.into());
    }

    /// A second hand on the same place, for faults that show after the value is read.
    pub fn mark(&self) -> Field<'r> {
        self.with(Value::Other("nothing"))
    }

    /// The same key with another value.
    pub fn with(&self, value: Value) -> Field<'r> {
        let node = Node { place: self.node.place.clone(), value };
        Field { reading: self.reading, path: self.path.clone(), node }
    }

    /// Decides what kind of value this is.
    pub fn resolved(self, wanted: &[Kind]) -> (Field<'r>, Value) {
        let mark = self.mark();
        (mark, self.node.resolve(wanted).value)
    }

    fn wrong_kind(&self, wanted: &str, found: &Value, advice: &str) {
        self.fault(format!("expected {wanted}, found {}", found.in_words()), advice);
    }

    /// Any text.
    pub fn text(self) -> String {
        self.text_or_fault().unwrap_or_default()
    }

    /// This field, unless it is an empty text: for keys that `""` turns off.
    pub fn unless_empty(self) -> Option<Self> {
        match &self.node.value {
            Value::Text(text) | Value::Unread(text) if text.is_empty() => None,
            _ => Some(self),
        }
    }

    /// A text of 1 to `longest` characters.
    pub fn short_text(self, longest: usize) -> String {
        let mark = self.mark();
        let Some(text) = self.text_or_fault() else { return String::new() };
        if text.trim().is_empty() {
            mark.fault("this is empty", "write a value, or leave the key out");
        } else if text.chars().count() > longest {
            mark.fault(format!("this is longer than {longest} characters"), "");
        }
        text
    }

    /// A text, or none when the fault is reported already.
    fn text_or_fault(self) -> Option<String> {
        match self.resolved(&[Kind::Text]) {
            (_, Value::Text(text)) => Some(text),
            (mark, other) => {
                mark.wrong_kind("a text", &other, "put it in quotes");
                None
            }
        }
    }

    /// A text that `parse` understands; its error says what was expected.
    pub fn parsed<T, E: ToString>(self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let mark = self.mark();
        let text = self.text_or_fault()?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(expected) => {
                mark.fault(format!("{} cannot be used", quoted(&text)), expected.to_string());
                None
            }
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(self, words: &[(&str, T)]) -> Option<T> {
        self.parsed(|text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let list: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                did_you_mean(text, list.iter().copied())
                    .unwrap_or_else(|| format!("expected {}", list.join(" or ")))
            })
        })
    }

    /// A whole number within a range.
    pub fn number(self, range: RangeInclusive<u64>) -> Option<u64> {
        let (mark, value) = self.resolved(&[Kind::Integer]);
        let Value::Integer(number) = value else {
            mark.wrong_kind("a whole number", &value, "write it without quotes");
            return None;
        };
        let number = number.and_then(|number| u64::try_from(number).ok());
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let expected = format!("expected {} to {}", range.start(), range.end());
            mark.fault("this number is out of range", expected);
        }
        number
    }

    /// A number within a range, with a fraction or without one.
    pub fn fraction(self, range: RangeInclusive<f64>) -> Option<f64> {
        let (mark, value) = self.resolved(&[Kind::Fraction, Kind::Integer]);
        let number = match value {
            Value::Fraction(number) => number,
            #[allow(clippy::cast_precision_loss, reason = "what loses precision is out of range")]
            Value::Integer(Some(number)) => number as f64,
            other => {
                mark.wrong_kind("a number", &other, "write it without quotes, such as 0.5");
                return None;
            }
        };
        if !range.contains(&number) {
            let expected = format!("expected {} to {}", range.start(), range.end());
            mark.fault("this number is out of range", expected);
            return None;
        }
        Some(number)
    }

    /// A whole number within a range, of things that memory holds.
    pub fn size(self, range: RangeInclusive<u64>) -> Option<usize> {
        self.number(range).and_then(|number| usize::try_from(number).ok())
    }

    /// A whole number from 1 to `most`.
    pub fn count(self, most: u32) -> Option<NonZeroU32> {
        let number = self.number(1..=u64::from(most))?;
        u32::try_from(number).ok().and_then(NonZeroU32::new)
    }

    /// An id that CareSoft gave: from 1, and as large as TOML can write.
    pub fn id(self) -> Option<u64> {
        self.number(1..=i64::MAX.unsigned_abs())
    }

    /// A duration such as `15s`, within a range.
    pub fn duration(self, range: RangeInclusive<Duration>) -> Option<Duration> {
        const FORM: &str = r#"expected a number and a unit: "500ms", "15s", "10m", "72h", "30d""#;
        let (mark, value) = self.resolved(&[Kind::Text]);
        let Value::Text(text) = value else {
            mark.wrong_kind("a duration", &value, r#"write a text with a unit, such as "15s""#);
            return None;
        };
        let (problem, advice) = match humantime::parse_duration(&text) {
            Ok(duration) if range.contains(&duration) => return Some(duration),
            Ok(_) => {
                let (least, most) = (in_words(*range.start()), in_words(*range.end()));
                ("is out of range", format!("expected {least} to {most}"))
            }
            Err(_) => ("is no duration", FORM.to_owned()),
        };
        mark.fault(format!("{} {problem}", quoted(&text)), advice);
        None
    }

    /// A web address. It is not repeated in faults: it may hold a password.
    pub fn url(self) -> Option<Url> {
        let mark = self.mark();
        let text = self.text_or_fault()?;
        let problem = match Url::parse(text.trim()) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                format!("this is no web address: its scheme is {}", quoted(url.scheme()))
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "this address holds a user name or a password".to_owned()
            }
            Ok(url) => return Some(url),
            Err(error) => format!("this is no web address: {error}"),
        };
        mark.fault(problem, "expected http:// or https://, a host, and nothing secret");
        None
    }

    /// The root of an API: a web address without query and fragment.
    pub fn root_url(self) -> Option<Url> {
        let mark = self.mark();
        let url = self.url()?;
        if url.query().is_some() || url.fragment().is_some() {
            mark.fault("this address has a query or a fragment", "write it without ? and #");
        }
        mark.warn_of_clear_text(&url, "tokens cross the network in clear text");
        Some(url)
    }

    /// Says so where what is sent to `url` could be read on its way.
    pub fn warn_of_clear_text(&self, url: &Url, problem: &str) {
        if url.scheme() == "http" && !is_loopback(url) {
            self.warn(problem, "write https://");
        }
    }

    /// A list of at most `most`, item by item.
    pub fn list(self, most: usize) -> Vec<Field<'r>> {
        let (mark, value) = self.resolved(&[Kind::List]);
        let Value::List(items) = value else {
            mark.wrong_kind("a list", &value, "write [ … ] with commas between");
            return Vec::new();
        };
        if items.len() > most {
            mark.fault(format!("this list is longer than {most}"), "");
        }
        let item =
            |(index, node)| Field::new(mark.reading, format!("{}[{index}]", mark.path), node);
        items.into_iter().take(most).enumerate().map(item).collect()
    }

    /// A table.
    pub fn section(self) -> Section<'r> {
        let (mark, value) = self.resolved(&[Kind::Table]);
        let entries = match value {
            Value::Table(entries) => entries,
            other => {
                mark.wrong_kind("a table", &other, "write { key = value }, or a [section]");
                Table::new()
            }
        };
        Section::new(mark.reading, mark.path, mark.node.place, entries)
    }
}

/// A duration as one would write it.
fn in_words(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
