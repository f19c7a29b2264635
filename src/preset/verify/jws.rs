//! A post whose header is a JSON Web Signature.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::super::digest::{Algorithm, Encoding};
use super::super::heard::Heard;
use super::any_of;

/// A JSON Web Signature (HS256) whose claims hold the body's hash.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Jws {
    pub(super) secret: String,
    pub(super) header: String,
    /// Claims that must be there.
    #[serde(default)]
    pub(super) claims: BTreeMap<String, String>,
    /// The claim that is the SHA-256 of the body, in hexadecimal.
    pub(super) hash_claim: String,
}

impl Jws {
    pub(super) fn passes(&self, heard: &Heard<'_>, secrets: &[SecretString]) -> bool {
        let Some(jws) = (heard.header)(&self.header) else { return false };
        any_of(secrets, |secret| jws_verifies(jws, secret))
            && jws_tells(jws, &self.claims, &self.hash_claim, heard.body)
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
