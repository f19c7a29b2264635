//! One document of a lead, and where it is.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::super::file::Span;
use super::super::template::{Piece, Template};
use crate::lead::Malformed;

/// A longer value is no id that a platform makes.
const VALUE_MAX: usize = 256;

/// What stands as it is in a path or a query.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// What it is called beside the notice.
    pub name: String,
    pub(super) url: Address,
    /// It is the same for many notices, and asked for again after this only.
    #[serde(default)]
    cache: Option<Span>,
}

/// `https://host/path/{body:notice.id}`: where a document is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Address {
    pub(super) origin: String,
    behind: Template,
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
    pub(super) fn roots(&self) -> impl Iterator<Item = Option<&str>> {
        self.behind.pieces().iter().filter_map(|piece| match piece {
            Piece::Body(path) => Some(path.root()),
            _ => None,
        })
    }
}
