//! Whether a post comes from the platform that it says: what a signature is made of, where it
//! stands, and how old it may be.

mod jws;
mod sign;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use self::jws::Jws;
pub use self::sign::Unsignable;
use super::digest::{Algorithm, Encoding, KeyText};
use super::file::Span;
use super::heard::Heard;
use super::template::{Piece, Template};
use crate::lead::Timestamp;

/// A source's secrets by name; several of one name are a rotation, and any of them will do.
pub type Secrets = BTreeMap<String, Vec<SecretString>>;

/// More signatures than this in one header are not looked at.
const SIGNATURES_MAX: usize = 16;

/// How a platform's posts are verified: any one of these will do.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    #[serde(default)]
    equals: Vec<Equals>,
    #[serde(default)]
    hmac: Vec<Signed>,
    #[serde(default)]
    hash: Vec<Signed>,
    #[serde(default)]
    jws_body_hash: Vec<Jws>,
}

/// A value of the request is the secret itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Equals {
    secret: String,
    /// Where it may stand: `{body:google_key}`.
    any: Vec<Template>,
}

/// A hash of the request: keyed with the secret, or plain with the secret in the message.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    #[serde(default)]
    alg: Algorithm,
    secret: String,
    /// How the key is written.
    #[serde(default)]
    key: KeyText,
    /// What is signed.
    message: Template,
    /// Where the signature stands.
    header: String,
    /// What stands in front of it: `sha256=`.
    #[serde(default)]
    prefix: String,
    /// The header holds several of them, with this between.
    #[serde(default)]
    several: Option<String>,
    /// The header holds fields: `t=…,v1=…`.
    #[serde(default)]
    fields: Option<Fields>,
    /// How it is written.
    #[serde(default)]
    encoding: Encoding,
    /// When it was made, where it tells.
    #[serde(default)]
    timestamp: Option<SignedAt>,
}

/// Fields of a header: `t=…,v1=…`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    separator: String,
    /// The name of the one that is the signature.
    signature: String,
}

/// When a post was signed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedAt {
    from: Template,
    #[serde(default)]
    unit: Unit,
    /// How far it may be from now, in either direction, unless the source says otherwise.
    tolerance: Span,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    #[default]
    S,
    Ms,
}

impl Verify {
    /// The names of the secrets that it verifies with.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let equals = self.equals.iter().map(|check| &check.secret);
        let signed = self.hmac.iter().chain(&self.hash).map(|check| &check.secret);
        equals
            .chain(signed)
            .chain(self.jws_body_hash.iter().map(|check| &check.secret))
            .map(String::as_str)
    }

    /// The names of the secrets in its messages.
    pub(super) fn mentioned(&self) -> impl Iterator<Item = &str> {
        self.hmac.iter().chain(&self.hash).flat_map(|check| check.message.secrets())
    }

    /// The header of a signature that anybody could make, or put on another body; and why.
    pub(super) fn worthless(&self) -> Option<(&str, &'static str)> {
        let is_of_body = |piece: &Piece| matches!(piece, Piece::RawBody | Piece::Body(_));
        let lacks_body = |check: &&Signed| !check.message.pieces().iter().any(is_of_body);
        let lacks_secret = |check: &&Signed| check.message.secrets().next().is_none();
        if let Some(check) = self.hmac.iter().chain(&self.hash).find(lacks_body) {
            return Some((
                &check.header,
                "its message holds nothing of the body: write {raw_body}",
            ));
        }
        let check = self.hash.iter().find(lacks_secret)?;
        Some((&check.header, "a plain hash without {secret:NAME} in its message is anybody's"))
    }

    /// The name of a secret that is not written as its key is to be, and how that is.
    pub fn unreadable_key<'a>(&'a self, secrets: &Secrets) -> Option<(&'a str, &'static str)> {
        self.hmac.iter().find_map(|check| {
            let all = secrets.get(&check.secret)?;
            let is_key = |secret: &SecretString| {
                check.key.read(secret.expose_secret()).is_some_and(|key| !key.is_empty())
            };
            let is_wrong = !all.iter().all(is_key);
            is_wrong.then_some((check.secret.as_str(), check.key.as_written()))
        })
    }

    /// Whether the request is verified by any of the ways whose secret is configured; `None` when
    /// none is. `max_age`: how old a signature may be, in place of the preset's own; zero: any
    /// age. It takes as long whichever secret of a rotation it was.
    pub fn passes(
        &self,
        heard: &Heard<'_>,
        secrets: &Secrets,
        now: Timestamp,
        max_age: Option<Duration>,
    ) -> Option<bool> {
        let of = |name: &String| secrets.get(name).filter(|secrets| !secrets.is_empty());
        let equals =
            self.equals.iter().filter_map(|check| Some(check.passes(heard, of(&check.secret)?)));
        let hmac = self.hmac.iter().filter_map(|check| {
            let sign = |secret: &str, message: &[u8]| {
                let key = check.key.read(secret).filter(|key| !key.is_empty())?;
                Some(check.alg.mac(&key, message))
            };
            Some(check.passes(heard, of(&check.secret)?, now, max_age, sign))
        });
        let hash = self.hash.iter().filter_map(|check| {
            let sign = |_: &str, message: &[u8]| Some(check.alg.hash(message));
            Some(check.passes(heard, of(&check.secret)?, now, max_age, sign))
        });
        let jws = self
            .jws_body_hash
            .iter()
            .filter_map(|check| Some(check.passes(heard, of(&check.secret)?)));
        equals.chain(hmac).chain(hash).chain(jws).reduce(|found, passes| found | passes)
    }
}

impl Equals {
    fn passes(&self, heard: &Heard<'_>, secrets: &[SecretString]) -> bool {
        let presented =
            self.any.iter().filter_map(|place| place.render(|piece| heard.piece(piece)));
        presented.fold(false, |found, value| {
            found | any_of(secrets, |secret| secret.as_bytes().ct_eq(&value).into())
        })
    }
}

/// Every secret is tried, so that the time tells nothing.
fn any_of(secrets: &[SecretString], verifies: impl Fn(&str) -> bool) -> bool {
    let secrets = secrets.iter().map(|secret| secret.expose_secret());
    secrets
        .filter(|secret| !secret.is_empty())
        .fold(false, |found, secret| found | verifies(secret))
}

impl Signed {
    fn passes(
        &self,
        heard: &Heard<'_>,
        secrets: &[SecretString],
        now: Timestamp,
        max_age: Option<Duration>,
        sign: impl Fn(&str, &[u8]) -> Option<Vec<u8>>,
    ) -> bool {
        let Some(presented) = (heard.header)(&self.header) else { return false };
        let fields = self.fields_of(presented);
        let field =
            |name: &str| fields.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
        let value = |piece: &Piece| match piece {
            Piece::Signature(name) => field(name).map(|value| Cow::Borrowed(value.as_bytes())),
            piece => heard.piece(piece),
        };
        let is_timely = |signed_at: &SignedAt| {
            let allowed = max_age.unwrap_or(signed_at.tolerance.0);
            allowed.is_zero() || signed_at.is_within(allowed, now, value)
        };
        if !self.timestamp.as_ref().is_none_or(is_timely) {
            return false;
        }
        let signatures = self.signatures_of(presented, &fields);
        any_of(secrets, |secret| {
            let value = |piece: &Piece| match piece {
                Piece::Secret(_) => Some(Cow::Owned(secret.as_bytes().to_vec())),
                piece => value(piece),
            };
            let signed = self.message.render(value).and_then(|message| sign(secret, &message));
            let Some(signed) = signed else { return false };
            signatures.iter().fold(false, |found, signature| {
                found | bool::from(signed.as_slice().ct_eq(signature))
            })
        })
    }

    fn fields_of<'a>(&self, presented: &'a str) -> Vec<(&'a str, &'a str)> {
        let Some(fields) = &self.fields else { return Vec::new() };
        let pairs = presented.split(fields.separator.as_str()).take(SIGNATURES_MAX);
        let pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        pairs.map(|(name, value)| (name.trim(), value.trim())).collect()
    }

    /// The signatures of the header, decoded.
    fn signatures_of(&self, presented: &str, fields: &[(&str, &str)]) -> Vec<Vec<u8>> {
        let texts: Vec<&str> = match (&self.fields, &self.several) {
            (Some(wanted), _) => {
                let wanted = fields.iter().filter(|(name, _)| *name == wanted.signature);
                wanted.map(|(_, value)| *value).collect()
            }
            (None, Some(separator)) => {
                presented.split(separator.as_str()).take(SIGNATURES_MAX).collect()
            }
            (None, None) => vec![presented],
        };
        let bare = texts.into_iter().filter_map(|text| text.trim().strip_prefix(&self.prefix));
        bare.filter_map(|text| self.encoding.read(text)).collect()
    }
}

impl SignedAt {
    fn is_within<'v>(
        &self,
        allowed: Duration,
        now: Timestamp,
        value: impl Fn(&Piece) -> Option<Cow<'v, [u8]>>,
    ) -> bool {
        let text = self.from.render(value).and_then(|text| String::from_utf8(text).ok());
        let Some(number) = text.and_then(|text| text.trim().parse::<i64>().ok()) else {
            return false;
        };
        let millis = match self.unit {
            Unit::S => number.saturating_mul(1000),
            Unit::Ms => number,
        };
        let away = now.as_millis().abs_diff(millis);
        u128::from(away) <= allowed.as_millis()
    }
}
