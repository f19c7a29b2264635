//! The mirror of the verification: a post that is signed as its platform would sign it.

use std::borrow::Cow;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::super::digest::{Algorithm, Encoding};
use super::super::heard::Heard;
use super::super::sample::Outgoing;
use super::super::template::Piece;
use super::{Equals, Jws, Secrets, Signed, SignedAt, Unit, Verify};
use crate::lead::Timestamp;

/// Why a post cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsignable {
    /// The secret is no key of the kind that the preset has.
    #[error("the secret {0:?} is not written as the preset's keys are")]
    Key(String),
    /// What is signed is not there: `the header webhook-id`.
    #[error("the preset signs {0}, and the post has none")]
    Lacks(String),
    /// The secret would stand in a body that is no JSON object.
    #[error("the preset's secret stands in a JSON body, and the post has none")]
    NoJson,
    /// The secret would stand somewhere that a post is not made with.
    #[error("the preset compares something that no post can be made with")]
    NoPlace,
}

impl Verify {
    /// Signs a post to `address` (the source's own, without a query) by the first of the ways whose
    /// secret the source has, the newest of a rotation; `false` where it has none. The time, where
    /// it is signed, is `now`.
    ///
    /// # Errors
    /// The post lacks what is signed, or the secret is none of that kind.
    pub fn sign(
        &self,
        post: &mut Outgoing,
        address: &str,
        secrets: &Secrets,
        now: Timestamp,
    ) -> Result<bool, Unsignable> {
        let of = |name: &str| {
            let secret = secrets.get(name)?.first()?.expose_secret();
            (!secret.is_empty()).then_some(secret)
        };
        if let Some((way, secret)) = first(&self.equals, |way| of(&way.secret)) {
            way.write(post, secret)?;
        } else if let Some((way, secret)) = first(&self.hmac, |way| of(&way.secret)) {
            let key = way.key.read(secret).filter(|key| !key.is_empty());
            let key = key.ok_or_else(|| Unsignable::Key(way.secret.clone()))?;
            way.write(post, address, secret, now, |message| way.alg.mac(&key, message))?;
        } else if let Some((way, secret)) = first(&self.hash, |way| of(&way.secret)) {
            way.write(post, address, secret, now, |message| way.alg.hash(message))?;
        } else if let Some((way, secret)) = first(&self.jws_body_hash, |way| of(&way.secret)) {
            way.write(post, secret);
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

/// The first of the ways that there is a secret for.
fn first<'a, 's, W>(
    ways: &'a [W],
    secret: impl Fn(&'a W) -> Option<&'s str>,
) -> Option<(&'a W, &'s str)> {
    ways.iter().find_map(|way| Some((way, secret(way)?)))
}

impl Equals {
    /// Puts the secret where the first of the places is.
    fn write(&self, post: &mut Outgoing, secret: &str) -> Result<(), Unsignable> {
        let place = self.any.first().ok_or(Unsignable::NoPlace)?;
        let (piece, value) = match place.pieces() {
            [piece] => (piece, secret),
            // The platform writes something in front of it, and so does the secret.
            [Piece::Text(text), piece] => {
                (piece, secret.strip_prefix(text.as_str()).ok_or(Unsignable::NoPlace)?)
            }
            _ => return Err(Unsignable::NoPlace),
        };
        match piece {
            Piece::Header(name) => post.set_header(name, value.to_owned()),
            Piece::Query(name) => post.set_query(name, value.to_owned()),
            Piece::Body(path) => {
                let document = serde_json::from_slice(&post.body).ok();
                let mut document: Value =
                    document.filter(Value::is_object).ok_or(Unsignable::NoJson)?;
                if !path.put(&mut document, json!(value)) {
                    return Err(Unsignable::NoPlace);
                }
                post.body = document.to_string().into_bytes();
            }
            _ => return Err(Unsignable::NoPlace),
        }
        Ok(())
    }
}

impl Signed {
    fn write(
        &self,
        post: &mut Outgoing,
        address: &str,
        secret: &str,
        now: Timestamp,
        sign: impl Fn(&[u8]) -> Vec<u8>,
    ) -> Result<(), Unsignable> {
        let time = self.timestamp.as_ref().map(|signed_at| signed_at.text(now));
        let time = time.unwrap_or_default();
        let told_in = |piece: &&Piece| matches!(piece, Piece::Header(_) | Piece::Signature(_));
        let told_in = self.timestamp.iter().flat_map(|at| at.from.pieces()).find(told_in);
        if let Some(Piece::Header(name)) = told_in {
            post.set_header(name, time.clone());
        }
        let message = self.message_of(post, address, secret, |piece| {
            matches!((piece, told_in), (Piece::Signature(name), Some(Piece::Signature(of_time)))
                if name == of_time)
            .then(|| Cow::Borrowed(time.as_bytes()))
        })?;
        let signature = format!("{}{}", self.prefix, self.encoding.write(&sign(&message)));
        let value = match (&self.fields, told_in) {
            (Some(fields), Some(Piece::Signature(name))) => {
                format!("{name}={time}{}{}={signature}", fields.separator, fields.signature)
            }
            (Some(fields), _) => format!("{}={signature}", fields.signature),
            (None, _) => signature,
        };
        post.set_header(&self.header, value);
        Ok(())
    }

    /// What is signed; `field` is what the signature's header will tell beside the signature.
    fn message_of<'v>(
        &self,
        post: &Outgoing,
        address: &str,
        secret: &'v str,
        field: impl Fn(&Piece) -> Option<Cow<'v, [u8]>>,
    ) -> Result<Vec<u8>, Unsignable> {
        let query = post.query_string();
        let url = if query.is_empty() { address.to_owned() } else { format!("{address}?{query}") };
        let header = |name: &str| post.header(name);
        let heard = Heard::new("POST", &url, &query, &header, &post.body);
        let value = |piece: &Piece| match piece {
            Piece::Secret(_) => Some(Cow::Borrowed(secret.as_bytes())),
            Piece::Signature(_) => field(piece),
            piece => heard.piece(piece),
        };
        let lacks = || {
            let pieces = self.message.pieces().iter();
            let mut lacking = pieces
                .filter(|piece| !matches!(piece, Piece::Text(_)) && value(piece).is_none())
                .map(told);
            Unsignable::Lacks(lacking.next().unwrap_or_default())
        };
        self.message.render(value).ok_or_else(lacks)
    }
}

impl SignedAt {
    /// A time as the platform writes it.
    fn text(&self, now: Timestamp) -> String {
        match self.unit {
            Unit::S => (now.as_millis() / 1000).to_string(),
            Unit::Ms => now.as_millis().to_string(),
        }
    }
}

impl Jws {
    fn write(&self, post: &mut Outgoing, secret: &str) {
        let mut claims = json!(self.claims);
        claims[&self.hash_claim] = json!(Algorithm::Sha256.hex(&post.body));
        let written = |part: Value| Encoding::Base64Url.write(part.to_string().as_bytes());
        let signed = format!("{}.{}", written(json!({"alg": "HS256"})), written(claims));
        let mac = Algorithm::Sha256.mac(secret.as_bytes(), signed.as_bytes());
        post.set_header(&self.header, format!("{signed}.{}", Encoding::Base64Url.write(&mac)));
    }
}

/// A part of a request, for people.
fn told(piece: &Piece) -> String {
    match piece {
        Piece::Header(name) => format!("the header {name}"),
        Piece::Query(name) => format!("the query's {name}"),
        Piece::Signature(name) => format!("{name} of the signature's header"),
        Piece::Body(_) => "a value of the body".to_owned(),
        _ => "something that is in no post".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{DEVELOPMENT_SECRET, FakePerson, Preset, built_in_names};
    use super::*;

    const ADDRESS: &str = "https://leads.example.vn/in/website";
    const NOW: Timestamp = Timestamp::from_millis(1_760_000_000_000);

    fn secrets(names: &[&str], secret: &str) -> Secrets {
        let newest = || vec![secret.to_owned().into(), "older".to_owned().into()];
        names.iter().map(|name| ((*name).to_owned(), newest())).collect()
    }

    fn passes(verify: &Verify, post: &Outgoing, secrets: &Secrets) -> Option<bool> {
        let query = post.query_string();
        let url = if query.is_empty() { ADDRESS.to_owned() } else { format!("{ADDRESS}?{query}") };
        let header = |name: &str| post.header(name);
        let heard = Heard::new("POST", &url, &query, &header, &post.body);
        verify.passes(&heard, secrets, NOW, None)
    }

    /// Each way of `verify` by itself.
    fn ways(verify: &Verify) -> Vec<Verify> {
        let of = |change: &dyn Fn(&mut Verify)| {
            let mut one = Verify::default();
            change(&mut one);
            one
        };
        let equals = verify.equals.iter().map(|way| of(&|one| one.equals.push(way.clone())));
        let hmac = verify.hmac.iter().map(|way| of(&|one| one.hmac.push(way.clone())));
        let hash = verify.hash.iter().map(|way| of(&|one| one.hash.push(way.clone())));
        let jws = verify.jws_body_hash.iter();
        let jws = jws.map(|way| of(&|one| one.jws_body_hash.push(way.clone())));
        equals.chain(hmac).chain(hash).chain(jws).collect()
    }

    #[test]
    fn every_presets_sample_is_signed_as_the_preset_verifies() {
        let mut signed = 0;
        for name in built_in_names() {
            let preset = Preset::load(name, []).unwrap();
            let sample = preset.sample.as_ref().unwrap_or_else(|| panic!("{name}: no sample"));
            let names: Vec<&str> = preset.verify.secrets().collect();
            let right = secrets(&names, DEVELOPMENT_SECRET);
            for way in ways(&preset.verify) {
                let mut post = sample.post(&FakePerson::new(1, NOW));
                assert_eq!(way.sign(&mut post, ADDRESS, &right, NOW), Ok(true), "{name}");
                assert_eq!(passes(&preset.verify, &post, &right), Some(true), "{name}");
                let wrong = secrets(&names, "whsec_YW5vdGhlciBzZWNyZXQ=");
                assert_eq!(passes(&preset.verify, &post, &wrong), Some(false), "{name}");
                signed += 1;
            }
            let mut unsigned = sample.post(&FakePerson::new(1, NOW));
            let none = preset.verify.sign(&mut unsigned, ADDRESS, &Secrets::new(), NOW);
            assert_eq!(none, Ok(false), "{name}: nothing to sign with");
            if !names.is_empty() {
                assert_eq!(passes(&preset.verify, &unsigned, &right), Some(false), "{name}");
            }
        }
        assert!(signed > 15, "{signed}");
    }

    /// Ways that no built-in preset has.
    #[test]
    fn every_place_and_grammar_can_be_written() {
        for way in [
            "[[equals]]\nsecret = 'secret'\nany = ['Basic {header:Authorization}']",
            "[[equals]]\nsecret = 'secret'\nany = ['{query:key}']",
            "[[equals]]\nsecret = 'secret'\nany = ['{body:a.b}']",
            "[[hmac]]\nsecret = 'secret'\nheader = 'v3'\nencoding = 'base64'\n\
             message = '{method}{url}{raw_body}{header:time}'\n\
             timestamp = { from = '{header:time}', unit = 'ms', tolerance = '5m' }",
            "[[hash]]\nsecret = 'secret'\nalg = 'sha512'\nheader = 'v'\n\
             message = '{secret:secret}{body:at}{query:q}'\n\
             timestamp = { from = '{body:at}', tolerance = '5m' }",
            "[[hmac]]\nsecret = 'secret'\nheader = 'v'\nmessage = '{raw_body}'\n\
             fields = { separator = ';', signature = 's' }\nprefix = 'x:'",
        ] {
            let verify: Verify = toml::from_str(way).unwrap();
            let right = secrets(&["secret"], "Basic c2VjcmV0");
            let mut post =
                Outgoing::new("application/json", br#"{"at":"1760000000","a":{}}"#.to_vec());
            post.set_query("q", "x y".to_owned());
            assert_eq!(passes(&verify, &post, &right), Some(false), "{way}");
            assert_eq!(verify.sign(&mut post, ADDRESS, &right, NOW), Ok(true), "{way}");
            assert_eq!(passes(&verify, &post, &right), Some(true), "{way}");
        }
    }

    #[test]
    fn what_cannot_be_signed_says_why() {
        let sign = |way: &str, secret: &str, body: &str| {
            let verify: Verify = toml::from_str(way).unwrap();
            let mut post = Outgoing::new("application/json", body.as_bytes().to_vec());
            verify.sign(&mut post, ADDRESS, &secrets(&["secret"], secret), NOW).unwrap_err()
        };
        let hmac = "[[hmac]]\nsecret = 'secret'\nheader = 'v'\n";
        let with_id = format!("{hmac}message = '{{header:id}}'");
        assert_eq!(sign(&with_id, "s", "{}"), Unsignable::Lacks("the header id".to_owned()));
        let whsec = format!("{hmac}message = '{{raw_body}}'\nkey = 'whsec'");
        assert_eq!(sign(&whsec, "whsec_?", "{}"), Unsignable::Key("secret".to_owned()));
        let equals = "[[equals]]\nsecret = 'secret'\nany = ['{body:key}']";
        assert_eq!(sign(equals, "s", "a=b"), Unsignable::NoJson);
        let of_method = "[[equals]]\nsecret = 'secret'\nany = ['{method}']";
        assert_eq!(sign(of_method, "s", "{}"), Unsignable::NoPlace);
    }
}
