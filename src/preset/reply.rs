//! What a platform is told, in the words that it understands.

use std::borrow::Cow;

use serde::Deserialize;

use super::template::{Piece, Template};

/// An answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// 200 to 599.
    #[serde(deserialize_with = "status")]
    pub status: u16,
    /// The content type; of a body without one: `text/plain`.
    #[serde(default = "plain_text")]
    pub content_type: String,
    /// The body.
    #[serde(default)]
    body: Option<Template>,
}

fn plain_text() -> String {
    "text/plain; charset=utf-8".to_owned()
}

fn status<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let status = u16::deserialize(deserializer)?;
    if (200..600).contains(&status) {
        Ok(status)
    } else {
        Err(serde::de::Error::custom("expected a status from 200 to 599"))
    }
}

impl Reply {
    /// The body with its values; in JSON they are escaped. `None` when one of them is missing.
    pub fn fill<'v>(&self, value: impl Fn(&Piece) -> Option<Cow<'v, [u8]>>) -> Option<Vec<u8>> {
        let Some(body) = &self.body else { return Some(Vec::new()) };
        if !self.content_type.contains("json") {
            return body.render(value);
        }
        body.render(|piece| value(piece).map(|value| in_json(&value).into()))
    }
}

/// A text as it stands between the quotes of a JSON string.
fn in_json(text: &[u8]) -> Vec<u8> {
    let quoted = serde_json::to_string(&String::from_utf8_lossy(text)).unwrap_or_default();
    let bare = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    bare.unwrap_or_default().as_bytes().to_vec()
}

/// The answers of a preset, each in place of the gateway's own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// Taken, whatever becomes of it.
    #[serde(default)]
    pub ok: Option<Reply>,
    /// Not authentic.
    #[serde(default)]
    pub denied: Option<Reply>,
    /// It cannot be read, or no lead can be made of it.
    #[serde(default)]
    pub invalid: Option<Reply>,
    /// Not now.
    #[serde(default)]
    pub busy: Option<Reply>,
    /// Statuses that would make the platform give up: no answer has one of them.
    #[serde(default)]
    pub avoid: Vec<u16>,
}

impl Respond {
    /// Every answer that it has.
    pub fn replies(&self) -> impl Iterator<Item = &Reply> {
        [&self.ok, &self.denied, &self.invalid, &self.busy].into_iter().flatten()
    }

    /// A status to avoid that the gateway's own answer to an outcome would have; and that outcome.
    pub(super) fn unanswered(&self) -> Option<(u16, &'static str)> {
        let outcomes = [
            (&self.ok, "ok", &[202, 303][..]),
            (&self.denied, "denied", &[401]),
            (&self.invalid, "invalid", &[400, 413, 415, 422]),
            (&self.busy, "busy", &[408, 429, 503]),
        ];
        outcomes.into_iter().filter(|(reply, ..)| reply.is_none()).find_map(|(_, name, own)| {
            let avoided = own.iter().find(|status| self.avoid.contains(status))?;
            Some((*avoided, name))
        })
    }
}
