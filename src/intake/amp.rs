//! AMP pages post their forms by a script of AMP's, often from an AMP cache: what that script and the
//! cache need to see in an answer.
//!
//! Sources: amp.dev, "CORS in AMP" and the reference of amp-form.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use serde_json::Value;
use url::Url;

use super::cors;

/// The query's value that names the page's own origin, wherever the page is served from.
const SOURCE_ORIGIN: &str = "__amp_source_origin";

/// The field by which a form says that it only wants its values looked at.
const VERIFY_ONLY: &str = "__amp_form_verify";

const ALLOW_SOURCE_ORIGIN: HeaderName =
    HeaderName::from_static("amp-access-control-allow-source-origin");
const REDIRECT_TO: HeaderName = HeaderName::from_static("amp-redirect-to");

/// The hosts of AMP caches; pages are under names within them.
const CACHES: [&str; 2] = ["cdn.ampproject.org", "bing-amp.com"];

/// Whether AMP's script posts.
pub fn is_amp(request: &HttpRequest) -> bool {
    source_origin(request.query_string()).is_some()
}

/// Whether a form only wants its values looked at: nothing of it may be stored.
pub fn only_verifies(query: &str, documents: &[Value]) -> bool {
    source_origin(query).is_some()
        && documents.iter().any(|document| document.get(VERIFY_ONLY).is_some())
}

/// Lets AMP's script read the answer, where the page's own origin is one of `allowed`, and leads the
/// visitor of a submission that was taken to `thanks`.
pub fn expose(
    request: &HttpRequest,
    status: StatusCode,
    allowed: &[String],
    thanks: Option<&Url>,
    headers: &mut HeaderMap,
) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let Some(source) =
        source_origin(request.query_string()).filter(|source| cors::allows(allowed, source))
    else {
        return;
    };
    // A page on its own origin posts without one: AMP says so in a header of its own.
    let origin = match request.headers().get(ORIGIN).and_then(|origin| origin.to_str().ok()) {
        Some(origin) if cors::allows(allowed, origin) || is_cache(origin) => origin.to_owned(),
        Some(_) => return,
        None if request.headers().contains_key("AMP-Same-Origin") => source.clone(),
        None => return,
    };
    let mut exposed = "AMP-Access-Control-Allow-Source-Origin".to_owned();
    // AMP follows nothing but https.
    let thanks =
        thanks.filter(|thanks| thanks.scheme() == "https" && status == StatusCode::ACCEPTED);
    if let Some(thanks) = thanks.and_then(|thanks| HeaderValue::from_str(thanks.as_str()).ok()) {
        headers.insert(REDIRECT_TO, thanks);
        exposed.push_str(", AMP-Redirect-To");
    }
    for (name, text) in [
        (ACCESS_CONTROL_ALLOW_ORIGIN, origin),
        (ACCESS_CONTROL_ALLOW_CREDENTIALS, "true".to_owned()),
        (ALLOW_SOURCE_ORIGIN, source),
        (ACCESS_CONTROL_EXPOSE_HEADERS, exposed),
    ] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}

fn source_origin(query: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == SOURCE_ORIGIN).map(|(_, origin)| origin.into_owned())
}

/// Whether an origin is an AMP cache's, which shows the pages of everybody.
fn is_cache(origin: &str) -> bool {
    let Some(host) = origin.strip_prefix("https://") else { return false };
    CACHES.into_iter().any(|cache| {
        let within = host.strip_suffix(cache);
        within.is_some_and(|name| name.is_empty() || name.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn headers(origin: Option<&str>, query: &str, status: StatusCode) -> HeaderMap {
        let mut request = TestRequest::with_uri(&format!("/in/website?{query}"));
        if let Some(origin) = origin {
            request = request.insert_header((ORIGIN, origin));
        } else {
            request = request.insert_header(("AMP-Same-Origin", "true"));
        }
        let allowed = ["https://site.example.vn".to_owned()];
        let thanks = Url::parse("https://site.example.vn/cam-on").unwrap();
        let mut headers = HeaderMap::new();
        expose(&request.to_http_request(), status, &allowed, Some(&thanks), &mut headers);
        headers
    }

    const OF_THE_SITE: &str = "__amp_source_origin=https%3A%2F%2Fsite.example.vn";

    #[test]
    fn the_page_and_its_cache_may_read_the_answer_and_nobody_else() {
        let site = "https://site.example.vn";
        let cached = "https://site-example-vn.cdn.ampproject.org";
        for (origin, query, told) in [
            (Some(cached), OF_THE_SITE, Some(cached)),
            (Some(site), OF_THE_SITE, Some(site)),
            (None, OF_THE_SITE, Some(site)),
            (Some("https://evilcdn.ampproject.org.example"), OF_THE_SITE, None),
            (Some("https://evilbing-amp.com"), OF_THE_SITE, None),
            (Some("http://site-example-vn.cdn.ampproject.org"), OF_THE_SITE, None),
            (Some(cached), "__amp_source_origin=https%3A%2F%2Fother.example", None),
        ] {
            let headers = headers(origin, query, StatusCode::ACCEPTED);
            let found =
                headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().unwrap());
            assert_eq!(found, told, "{origin:?} {query}");
            assert_eq!(headers.contains_key(ALLOW_SOURCE_ORIGIN), told.is_some());
            assert_eq!(headers.contains_key(REDIRECT_TO), told.is_some());
        }
    }

    #[test]
    fn only_who_was_taken_is_led_on() {
        let headers = headers(None, OF_THE_SITE, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(!headers.contains_key(REDIRECT_TO) && headers.contains_key(ALLOW_SOURCE_ORIGIN));
    }
}
