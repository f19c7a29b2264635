//! Which of several tokens is whose.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;

use super::EnrichError;
use crate::lead::SourceId;
use crate::preset::Secrets;

/// Tokens that are tried for one notice.
const TRIED_MAX: usize = 20;

/// Whose token is remembered; nobody has as many Pages.
const KNOWN_MAX: usize = 10_000;

/// The tokens of one source.
pub(super) struct Tokens {
    headers: Vec<HeaderValue>,
    /// The one that has worked last, by whose it is.
    known: Mutex<HashMap<String, usize>>,
}

impl Tokens {
    pub(super) fn new(
        source: &SourceId,
        name: &str,
        secrets: &Secrets,
    ) -> Result<Self, EnrichError> {
        let header = |token: &secrecy::SecretString| {
            let token = token.expose_secret();
            let is_plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
            let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
            header.set_sensitive(true);
            is_plain.then_some(header)
        };
        let headers = secrets.get(name).into_iter().flatten().map(header);
        let fault = || EnrichError::Token { source_id: source.clone(), name: name.to_owned() };
        let headers = headers.collect::<Option<_>>().ok_or_else(fault)?;
        Ok(Self { headers, known: Mutex::default() })
    }

    /// Those to be tried, the likeliest first.
    pub(super) fn for_whom(&self, whose: &str) -> impl Iterator<Item = usize> + use<> {
        let known = self.known(whose);
        let others = (0..self.headers.len()).filter(move |token| Some(*token) != known);
        known.into_iter().chain(others).take(TRIED_MAX)
    }

    pub(super) fn header(&self, token: usize) -> Option<&HeaderValue> {
        self.headers.get(token)
    }

    /// Whether there is no other.
    pub(super) fn is_only(&self) -> bool {
        self.headers.len() == 1
    }

    /// Whether it has worked for `whose` before.
    pub(super) fn is_known(&self, whose: &str, token: usize) -> bool {
        self.known(whose) == Some(token) && !whose.is_empty()
    }

    pub(super) fn works(&self, whose: &str, token: usize) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX && !known.contains_key(whose) {
            known.clear();
        }
        known.insert(whose.to_owned(), token);
    }

    /// It does not work for `whose` any more.
    pub(super) fn fails(&self, whose: &str, token: usize) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(whose) == Some(&token) {
            known.remove(whose);
        }
    }

    fn known(&self, whose: &str) -> Option<usize> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(whose).copied()
    }
}
