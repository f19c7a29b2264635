//! Texts with values put in: what is signed, an id made of two fields, the body of an answer.

use std::borrow::Cow;

use serde::Deserialize;

use super::path::Path;
use crate::lead::Malformed;

/// A template, compiled: `{header:webhook-id}.{raw_body}`. `{{` is a brace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Piece>);

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// The body, byte for byte.
    RawBody,
    /// `POST`
    Method,
    /// The address that was posted to, as the public sees it.
    Url,
    /// One of the source's secrets.
    Secret(String),
    /// A header's value.
    Header(String),
    /// A value of the query.
    Query(String),
    /// A field of the signature's header.
    Signature(String),
    /// A value in the body.
    Body(Path),
    /// What a handshake is asked to sign.
    Challenge,
    /// The signature of that.
    Digest,
    /// Why a post is refused.
    Error,
}

impl TryFrom<String> for Template {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl Template {
    /// A template from its text.
    ///
    /// # Errors
    /// An unclosed brace, or a value that there is not.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut pieces = Vec::new();
        let mut rest = text;
        let mut plain = String::new();
        while let Some(at) = rest.find('{') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(more) = rest.strip_prefix('{') {
                plain.push('{');
                rest = more;
                continue;
            }
            let (value, more) = rest.split_once('}').ok_or(Malformed(
                "a template: a brace is not closed ({{ stands for a brace of its own)",
            ))?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::parse(value)?);
            rest = more;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// Its parts, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The names of the secrets in it.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Secret(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The whole, with each value as `value` gives it; `None` when one of them is missing.
    pub fn render<'v>(&self, value: impl Fn(&Piece) -> Option<Cow<'v, [u8]>>) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => whole.extend_from_slice(text.as_bytes()),
                piece => whole.extend_from_slice(&value(piece)?),
            }
        }
        Some(whole)
    }
}

impl Piece {
    fn parse(text: &str) -> Result<Self, Malformed> {
        let name = |name: &str| match name {
            "" => Err(Malformed("a template: a name is missing behind the colon")),
            name => Ok(name.to_owned()),
        };
        Ok(match text.split_once(':') {
            None if text == "raw_body" => Self::RawBody,
            None if text == "method" => Self::Method,
            None if text == "url" => Self::Url,
            None if text == "challenge" => Self::Challenge,
            None if text == "digest" => Self::Digest,
            None if text == "error" => Self::Error,
            Some(("secret", of)) => Self::Secret(name(of)?),
            Some(("header", of)) => Self::Header(name(of)?),
            Some(("query", of)) => Self::Query(name(of)?),
            Some(("sig", of)) => Self::Signature(name(of)?),
            Some(("body", of)) => Self::Body(Path::parse(of)?),
            _ => {
                return Err(Malformed(
                    "a template: expected {raw_body}, {method}, {url}, {secret:NAME}, {header:NAME}, \
                     {query:NAME}, {sig:NAME}, {body:PATH}, {challenge}, {digest} or {error}",
                ));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_and_a_missing_one_is_no_text() {
        let template = Template::parse("{header:id}.{raw_body}{{}").unwrap();
        let value = |piece: &Piece| match piece {
            Piece::Header(name) => (name == "id").then(|| Cow::Borrowed(&b"7"[..])),
            Piece::RawBody => Some(Cow::Borrowed(&b"\xff"[..])),
            _ => None,
        };
        assert_eq!(template.render(value).unwrap(), b"7.\xff{}");
        assert_eq!(Template::parse("{query:x}").unwrap().render(value), None);
        let secrets = Template::parse("{secret:a}{secret:b}").unwrap();
        assert_eq!(secrets.secrets().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["{", "{x}", "{header:}", "{body:a..b}", "{raw_body:x}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
