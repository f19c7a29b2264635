//! Whether a post comes from who it says. Nothing is read or stored before this agrees.

use actix_web::http::header::HeaderMap;
use secrecy::SecretString;

use crate::credentials::{bearer, equal};

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
