//! Secrets that a request presents, and how they are compared.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// Whether two secrets are the same, in a time that does not depend on where they differ.
pub fn equal(presented: &[u8], secret: &SecretString) -> bool {
    presented.ct_eq(secret.expose_secret().as_bytes()).into()
}

/// The token of an `Authorization: Bearer` header.
pub fn bearer(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii().to_vec())
}
