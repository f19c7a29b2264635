//! Whether a post comes from who it says. Nothing is read or stored before this agrees.

use actix_web::HttpResponse;
use actix_web::http::header::HeaderMap;
use actix_web::web::Bytes;
use secrecy::SecretString;

use super::Intake;
use super::answer::{self, Refusal};
use super::head::Head;
use crate::credentials::{bearer, equal};
use crate::preset::Heard;
use crate::source::Source;

/// Checks a source's static `token`: in `X-Leadgate-Token`, as `Authorization: Bearer`, or as
/// `?token=`. Any of `accepted` will do; a source without a token is open.
pub fn token(headers: &HeaderMap, query: &str, accepted: &[SecretString]) -> bool {
    accepted.is_empty() || presented(headers, query).any(|token| verifies(&token, accepted))
}

/// Every secret is compared, and each in constant time: an answer's delay tells nothing.
fn verifies(token: &[u8], accepted: &[SecretString]) -> bool {
    accepted.iter().fold(false, |found, secret| found | equal(token, secret))
}

fn presented(headers: &HeaderMap, query: &str) -> impl Iterator<Item = Vec<u8>> {
    let header = headers.get("X-Leadgate-Token").map(|token| token.as_bytes().to_vec());
    let in_query = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "token")
        .map(|(_, token)| token.into_owned().into_bytes());
    [header, bearer(headers), in_query].into_iter().flatten()
}

/// What a post turns out to be.
pub(super) enum Verified {
    /// It only asks whether anybody is there.
    Probe(HttpResponse),
    /// It is taken, and nothing of it is kept.
    Passed,
    /// It is to be read.
    Post {
        /// Nobody but the platform, or who has the source's token, can have sent it.
        is_authentic: bool,
    },
}

/// Whether the post comes from its platform; or is only a question whether anybody is there.
pub(super) fn platform(
    intake: &Intake,
    source: &Source,
    head: &Head<'_>,
    body: &Bytes,
) -> Result<Verified, Refusal> {
    let url = head.address(source);
    let header = |name: &str| head.text(name);
    let heard = Heard::new(head.method, &url, head.query, &header, body);
    if let Some(answer) = source.preset.handshake.post(&heard) {
        intake.shared.metrics.submission(&source.id, "handshake");
        return Ok(Verified::Probe(answer::written(answer.reply, answer.body)));
    }
    let now = intake.shared.clock.now();
    match source.preset.verify.passes(&heard, &source.secrets, now, source.max_age) {
        Some(false) if source.preset.passes_over_unsigned(&heard) => {
            intake.shared.metrics.submission(&source.id, "ignored");
            Ok(Verified::Passed)
        }
        Some(false) => Err(Refusal::Unauthorized),
        passes => {
            let is_authentic = passes.is_some() || !source.tokens.is_empty();
            Ok(Verified::Post { is_authentic })
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_token_is_taken_from_three_places_and_any_of_a_rotation_verifies() {
        let accepted = [SecretString::from("new"), SecretString::from("old")];
        let token = |path: &str, header: Option<(&'static str, &'static str)>, accepted: &[_]| {
            let request = TestRequest::with_uri(path);
            let request = header.into_iter().fold(request, TestRequest::insert_header);
            let request = request.to_http_request();
            super::token(request.headers(), request.query_string(), accepted)
        };
        for (verifies, path, header) in [
            (true, "/in/x", Some(("X-Leadgate-Token", "new"))),
            (true, "/in/x", Some(("X-Leadgate-Token", "old"))),
            (true, "/in/x", Some(("Authorization", "Bearer old"))),
            (true, "/in/x", Some(("Authorization", "bearer new"))),
            (true, "/in/x?a=1&token=new", None),
            (false, "/in/x", None),
            (false, "/in/x?token=", None),
            (false, "/in/x?token=ne", None),
            (false, "/in/x", Some(("X-Leadgate-Token", "newer"))),
            (false, "/in/x", Some(("Authorization", "Basic new"))),
            (true, "/in/x?token=new", Some(("Authorization", "Bearer of-a-proxy"))),
        ] {
            assert_eq!(token(path, header, &accepted), verifies, "{path} {header:?}");
        }
        assert!(token("/in/x", None, &[]), "a source without a token is open");
    }
}
