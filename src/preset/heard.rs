//! A request as a preset hears it: without the web framework.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value;

use super::path::scalar;
use super::template::Piece;

/// A request.
pub struct Heard<'a> {
    /// `POST`
    pub method: &'a str,
    /// The address as the public sees it, with its query.
    pub url: &'a str,
    /// The query, decoded, in order.
    pub query: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The first value of a header, where it is text; names in any case.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// The body as JSON, once somebody has asked for it.
    document: OnceCell<Option<Value>>,
}

impl<'a> Heard<'a> {
    /// A request with this body.
    pub fn new(
        method: &'a str,
        url: &'a str,
        query: &'a str,
        header: &'a dyn Fn(&str) -> Option<&'a str>,
        body: &'a [u8],
    ) -> Self {
        let query = url::form_urlencoded::parse(query.as_bytes()).collect();
        Self { method, url, query, header, body, document: OnceCell::new() }
    }

    /// A value of the query; the first of its name.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    /// The body as JSON, if it is some.
    pub fn json(&self) -> Option<&Value> {
        self.document.get_or_init(|| serde_json::from_slice(self.body).ok()).as_ref()
    }

    /// What a part of a template stands for in this request; `None` also for what no request has.
    pub fn piece(&self, piece: &Piece) -> Option<Cow<'_, [u8]>> {
        let text = |text: &'a str| Cow::Borrowed(text.as_bytes());
        match piece {
            Piece::RawBody => Some(Cow::Borrowed(self.body)),
            Piece::Method => Some(text(self.method)),
            Piece::Url => Some(text(self.url)),
            Piece::Header(name) => (self.header)(name).map(text),
            Piece::Query(name) => self.query(name).map(|value| Cow::Borrowed(value.as_bytes())),
            Piece::Body(path) => {
                let text = path.first(self.json()?).and_then(scalar)?;
                Some(match text {
                    Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                    Cow::Owned(text) => Cow::Owned(text.into_bytes()),
                })
            }
            Piece::Text(_)
            | Piece::Secret(_)
            | Piece::Signature(_)
            | Piece::Challenge
            | Piece::Digest
            | Piece::Error => None,
        }
    }
}
