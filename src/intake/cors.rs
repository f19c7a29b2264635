//! Which pages' scripts may post. A plain form needs none of this.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use actix_web::{HttpRequest, HttpResponse};

use crate::problem::Problem;

/// The request's origin, when it is one of `allowed` (`*` allows every one).
fn allowed_origin(request: &HttpRequest, allowed: &[String]) -> Option<HeaderValue> {
    let origin = request.headers().get(ORIGIN)?;
    allows(allowed, origin.to_str().ok()?).then(|| origin.clone())
}

/// Whether `origin` is one of `allowed` (`*` allows every one).
pub fn allows(allowed: &[String], origin: &str) -> bool {
    let matches =
        |entry: &String| entry == "*" || entry.trim_end_matches('/').eq_ignore_ascii_case(origin);
    allowed.iter().any(matches)
}

/// Lets the page's script read the answer.
pub fn expose(request: &HttpRequest, allowed: &[String], headers: &mut HeaderMap) {
    if allowed.is_empty() {
        return;
    }
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed_origin(request, allowed) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let readable = HeaderValue::from_static("X-Leadgate-Thanks, Retry-After");
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, readable);
    }
}

/// The answer to a preflight: 204 for a configured origin, 403 for any other.
pub fn preflight(request: &HttpRequest, allowed: &[String]) -> HttpResponse {
    if allowed_origin(request, allowed).is_none() {
        let detail = "this source takes no posts from scripts of that origin";
        let mut response = Problem::new(StatusCode::FORBIDDEN, "origin", detail).respond();
        response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
        return response;
    }
    let mut response = HttpResponse::NoContent()
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, "POST, OPTIONS"))
        .insert_header((
            ACCESS_CONTROL_ALLOW_HEADERS,
            "content-type, authorization, x-leadgate-token, idempotency-key",
        ))
        .insert_header((ACCESS_CONTROL_MAX_AGE, "86400")) // a day: what browsers cap it at anyway
        .finish();
    expose(request, allowed, response.headers_mut());
    response
}
