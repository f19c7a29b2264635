//! What a post says before its body.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;

use super::answer::Refusal;
use super::door::Door;
use super::verify;
use crate::source::Source;

/// A post without its body.
pub(super) struct Head<'a> {
    pub(super) method: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
}

impl<'a> Head<'a> {
    pub(super) fn of(request: &'a HttpRequest) -> Self {
        let method = request.method().as_str();
        Self { method, query: request.query_string(), headers: request.headers() }
    }

    /// Comes to a source: with its token, and within its limit.
    pub(super) fn enter(&self, door: &Door) -> Result<(), Refusal> {
        if !verify::token(self.headers, self.query, &door.source.tokens) {
            return Err(Refusal::Unauthorized);
        }
        door.limiter.spend().map_err(Refusal::TooMany)
    }

    /// A header's value, where it is text.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The address that was posted to, as the public sees it.
    pub(super) fn address(&self, source: &Source) -> String {
        match self.query {
            "" => source.endpoint.as_str().to_owned(),
            query => format!("{}?{query}", source.endpoint),
        }
    }
}
