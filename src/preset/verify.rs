//! Whether a post comes from the platform that it says: what a signature is made of, where it
//! stands, and how old it may be.

mod sign;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use subtle::ConstantTimeEq;

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

/// A JSON Web Signature (HS256) whose claims hold the body's hash.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jws {
    secret: String,
    header: String,
    /// Claims that must be there.
    #[serde(default)]
    claims: BTreeMap<String, String>,
    /// The claim that is the SHA-256 of the body, in hexadecimal.
    hash_claim: String,
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

impl Jws {
    fn passes(&self, heard: &Heard<'_>, secrets: &[SecretString]) -> bool {
        let Some(jws) = (heard.header)(&self.header) else { return false };
        any_of(secrets, |secret| jws_verifies(jws, secret))
            && jws_tells(jws, &self.claims, &self.hash_claim, heard.body)
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

fn jws_verifies(jws: &str, secret: &str) -> bool {
    let Some((signed, signature)) = jws.rsplit_once('.') else { return false };
    let Some(signature) = Encoding::Base64Url.read(signature) else { return false };
    Algorithm::Sha256.mac(secret.as_bytes(), signed.as_bytes()).as_slice().ct_eq(&signature).into()
}

/// Whether a JWS is of the algorithm that was verified and says what it must of this body.
fn jws_tells(jws: &str, claims: &BTreeMap<String, String>, hash_claim: &str, body: &[u8]) -> bool {
    let mut parts = jws.split('.').map(|part| {
        let json = Encoding::Base64Url.read(part)?;
        serde_json::from_slice::<Value>(&json).ok()
    });
    let (Some(Some(header)), Some(Some(told))) = (parts.next(), parts.next()) else {
        return false;
    };
    let hash = told[hash_claim].as_str().and_then(|hash| Encoding::Hex.read(hash));
    header["alg"] == "HS256"
        && claims.iter().all(|(name, value)| told[name] == value.as_str())
        && hash.is_some_and(|hash| Algorithm::Sha256.hash(body).as_slice().ct_eq(&hash).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_760_000_000_000);

    fn passes(
        verify: &str,
        headers: &[(&str, &str)],
        body: &str,
        secret: &str,
        now: Timestamp,
    ) -> bool {
        let verify: Verify = toml::from_str(verify).unwrap();
        let header =
            |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let heard =
            Heard::new("POST", "https://www.example.com/webhook_uri", "", &header, body.as_bytes());
        let secrets = Secrets::from([(
            "secret".to_owned(),
            vec!["another".to_owned().into(), secret.to_owned().into()],
        )]);
        verify.passes(&heard, &secrets, now, None).unwrap()
    }

    /// The vectors that HubSpot's own client is tested with.
    #[test]
    fn hubspots_three_ways_verify() {
        const SECRET: &str = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy";
        const BODY: &str = "{'example_field':'example_value'}";
        let third = "[[hmac]]\nsecret = 'secret'\nheader = 'v3'\nencoding = 'base64'\n\
                     message = '{method}{url}{raw_body}{header:time}'\n\
                     timestamp = { from = '{header:time}', unit = 'ms', tolerance = '5m' }";
        let headers =
            [("v3", "RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw="), ("time", "1700000300000")];
        let then = Timestamp::from_millis(1_700_000_300_000);
        assert!(passes(third, &headers, BODY, SECRET, then));
        assert!(passes(third, &headers, BODY, SECRET, then.plus(Duration::from_secs(300))));
        assert!(!passes(third, &headers, BODY, SECRET, then.plus(Duration::from_secs(301))));
        assert!(!passes(third, &headers, BODY, SECRET, then.minus(Duration::from_secs(301))));
        assert!(!passes(third, &headers[..1], BODY, SECRET, then), "no time is no time");

        for (message, hash) in [
            (
                "{secret:secret}{raw_body}",
                "69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750",
            ),
            (
                "{secret:secret}{method}{url}{raw_body}",
                "4fe4e3a7d3cf09db53be39d0a58130e2aaba074ec123a9e355b876a689a1c383",
            ),
        ] {
            let way = format!("[[hash]]\nsecret = 'secret'\nheader = 'v'\nmessage = '{message}'");
            assert!(passes(&way, &[("v", hash)], BODY, SECRET, NOW));
            assert!(!passes(&way, &[("v", hash)], BODY, "x", NOW));
        }
    }

    #[test]
    fn any_of_several_signatures_and_of_several_ways_will_do() {
        let ways = "[[hmac]]\nsecret = 'secret'\nheader = 'a'\nmessage = '{raw_body}'\n\
                    prefix = 'v1,'\nseveral = ' '\n\
                    [[equals]]\nsecret = 'secret'\nany = ['{body:key}', '{body:Key}']";
        let right = format!("v1,{}", Encoding::Hex.write(&Algorithm::Sha256.mac(b"s", b"{}")));
        let upper = right.to_uppercase().replace("V1,", "v1,");
        for (expected, header) in [
            (true, right.clone()),
            (true, upper),
            (true, format!("v2,00 v1,zz v1,00 {right}")),
            (false, right.replace("v1,", "v1a,")),
            (false, "v1,".to_owned()),
            (false, String::new()),
        ] {
            assert_eq!(passes(ways, &[("a", &header)], "{}", "s", NOW), expected, "{header}");
        }
        assert!(passes(ways, &[], r#"{"Key":"s"}"#, "s", NOW));
        for body in [r#"{"key":"t"}"#, r#"{"key":""}"#, "{}", "s", r#"{"key":["s"]}"#] {
            assert!(!passes(ways, &[], body, "s", NOW), "{body}");
        }
        assert!(!passes(ways, &[], r#"{"key":""}"#, "", NOW), "an empty secret verifies nothing");
        let empty_key = Encoding::Hex.write(&Algorithm::Sha256.mac(b"", b"{}"));
        let way =
            "[[hmac]]\nsecret = 'secret'\nkey = 'whsec'\nheader = 'a'\nmessage = '{raw_body}'";
        assert!(!passes(way, &[("a", &empty_key)], "{}", "whsec_", NOW), "nor does an empty key");
    }

    #[test]
    fn a_web_signature_must_be_of_this_body_and_of_its_algorithm() {
        let way = "[[jws_body_hash]]\nsecret = 'secret'\nheader = 'j'\nhash_claim = 'sha256'\n\
                   claims = { iss = 'netlify' }";
        let sign = |header: &str, claims: &str, key: &[u8]| {
            let signed = [header, claims].map(|part| Encoding::Base64Url.write(part.as_bytes()));
            let signed = signed.join(".");
            let mac = Algorithm::Sha256.mac(key, signed.as_bytes());
            format!("{signed}.{}", Encoding::Base64Url.write(&mac))
        };
        let hash = Encoding::Hex.write(&Algorithm::Sha256.hash(b"body"));
        let claims = |iss: &str| format!(r#"{{"iss":"{iss}","sha256":"{hash}"}}"#);
        let right = sign(r#"{"alg":"HS256"}"#, &claims("netlify"), b"s");
        assert!(passes(way, &[("j", &right)], "body", "s", NOW));
        assert!(!passes(way, &[("j", &right)], "bodY", "s", NOW));
        for wrong in [
            sign(r#"{"alg":"none"}"#, &claims("netlify"), b"s"),
            sign(r#"{"alg":"HS256"}"#, &claims("other"), b"s"),
            sign(r#"{"alg":"HS256"}"#, &claims("netlify"), b"t"),
            right.rsplit_once('.').unwrap().0.to_owned(),
            "a.b".to_owned(),
        ] {
            assert!(!passes(way, &[("j", &wrong)], "body", "s", NOW), "{wrong}");
        }
    }

    #[test]
    fn nothing_is_checked_where_no_secret_is_configured() {
        let verify: Verify =
            toml::from_str("[[equals]]\nsecret = 'secret'\nany = ['{body:key}']").unwrap();
        let heard = Heard::new("POST", "", "", &|_| None, b"{}");
        assert_eq!(verify.passes(&heard, &Secrets::new(), NOW, None), None);
    }
}
