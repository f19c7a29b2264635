//! What a sender is told. The same whatever is known of a person: a stranger learns nothing.

use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use url::Url;

use super::{amp, page};
use crate::lead::{SubmissionId, TraceId};
use crate::preset::{Piece, Reply, Respond};
use crate::problem::{FieldError, Problem};
use crate::source::decode::DecodeError;

/// Why a post was not taken. Nothing of it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 400
    Malformed(&'static str),
    /// 401
    Unauthorized,
    /// 404
    UnknownSource,
    /// 405
    Method,
    /// 408
    TooSlow,
    /// 413
    TooLong,
    /// 415
    ContentType(&'static str),
    /// 422
    Invalid(Vec<FieldError>),
    /// 422: the challenge in this field was not passed.
    Challenge(FieldError),
    /// 429
    TooMany(Duration),
    /// 503
    Unavailable,
    /// 503: nobody could say whether the challenge was passed.
    Unverified,
}

/// Where a script may lead the visitor whose submission was taken.
const THANKS: &str = "X-Leadgate-Thanks";

/// How long a sender is asked to wait when the store cannot take a submission.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(5);

impl Refusal {
    /// The word for it in the metrics.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Unauthorized => "unauthorized",
            Self::UnknownSource => "unknown_source",
            Self::Method => "method",
            Self::TooSlow => "too_slow",
            Self::TooLong => "too_long",
            Self::ContentType(_) => "content_type",
            Self::Invalid(_) => "invalid",
            Self::TooMany(_) => "limited",
            Self::Unavailable => "unavailable",
            Self::Challenge(_) => "challenge",
            Self::Unverified => "unverified",
        }
    }

    /// Why, for who sent the post: without what was typed.
    pub fn in_words(&self) -> String {
        let problem = self.problem();
        let errors = problem.errors().iter();
        let errors: String =
            errors.map(|error| format!("; {}: {}", error.field, error.message)).collect();
        format!("{}{errors}", problem.detail())
    }

    fn problem(&self) -> Problem {
        match self {
            Self::Malformed(detail) => Problem::new(StatusCode::BAD_REQUEST, "malformed", *detail),
            Self::Unauthorized => Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "the post could not be authenticated",
            ),
            Self::UnknownSource => {
                Problem::new(StatusCode::NOT_FOUND, "unknown-source", "there is no such source")
            }
            Self::Method => Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "submissions are sent with POST",
            ),
            Self::TooSlow => Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "too-slow",
                "the body did not arrive in time",
            ),
            Self::TooLong => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-long",
                "the body is longer than this gateway takes",
            ),
            Self::ContentType(detail) => {
                Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", *detail)
            }
            Self::Invalid(errors) => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-submission",
                "neither a phone number nor an e-mail address could be used",
            )
            .with_errors(errors.clone()),
            Self::Challenge(error) => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "challenge",
                "the challenge that tells people from robots was not passed",
            )
            .with_errors(vec![error.clone()]),
            Self::TooMany(_) => Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-requests",
                "too many posts; wait as long as Retry-After says",
            ),
            Self::Unavailable => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "the submission could not be stored; send it again",
            ),
            Self::Unverified => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unverified",
                "the challenge could not be verified; send the submission again",
            ),
        }
    }

    /// What a visitor can do about it, in Vietnamese and in English.
    const fn to_a_visitor(&self) -> (&'static str, &'static str) {
        match self {
            Self::Invalid(_) => (
                "Vui lòng kiểm tra lại số điện thoại hoặc email.",
                "Please check the phone number or the e-mail address.",
            ),
            Self::Challenge(_) => (
                "Vui lòng xác nhận bạn không phải là robot rồi gửi lại.",
                "Please confirm that you are not a robot, and send the form again.",
            ),
            Self::TooMany(_) | Self::Unavailable | Self::Unverified | Self::TooSlow => (
                "Hệ thống đang bận, vui lòng gửi lại sau giây lát.",
                "We are busy right now. Please send the form again in a moment.",
            ),
            Self::TooLong => ("Nội dung quá dài.", "The form holds too much."),
            _ => ("Biểu mẫu không gửi được.", "The form could not be sent."),
        }
    }

    /// What the platform wants to hear instead, by what it can do about it.
    fn of_preset<'a>(&self, respond: &'a Respond) -> Option<&'a Reply> {
        match self {
            Self::Unauthorized => respond.denied.as_ref(),
            Self::Malformed(_)
            | Self::ContentType(_)
            | Self::TooLong
            | Self::Invalid(_)
            | Self::Challenge(_) => respond.invalid.as_ref(),
            Self::TooMany(_) | Self::TooSlow | Self::Unavailable | Self::Unverified => {
                respond.busy.as_ref()
            }
            Self::UnknownSource | Self::Method => None,
        }
    }

    /// The answer: what the platform wants to hear, a problem document, or a page for a browser
    /// that posted a form. A problem names the trace of the post.
    pub fn respond(
        &self,
        request: &HttpRequest,
        respond: Option<&Respond>,
        trace: Option<TraceId>,
    ) -> HttpResponse {
        let mut problem = self.problem();
        if let Some(trace) = trace {
            problem = problem.with_trace(trace);
        }
        if amp::is_amp(request) {
            problem = problem.for_amp();
        }
        let mut response = problem.respond();
        if let Some(reply) = respond.and_then(|respond| self.of_preset(respond)) {
            let body = reply.fill(|piece| match piece {
                Piece::Error => Some(problem.detail().as_bytes().into()),
                _ => None,
            });
            response = written(reply, body.unwrap_or_default());
        } else if wants_page(request) {
            let (vietnamese, english) = self.to_a_visitor();
            let page = BoxBody::new(page::refusal(vietnamese, english));
            response = response.set_body(page);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(page::HTML));
        }
        let wait = match self {
            Self::TooMany(wait) => Some(*wait),
            Self::Unavailable | Self::Unverified => Some(UNAVAILABLE_RETRY),
            _ => None,
        };
        if let Some(wait) = wait {
            let seconds = wait.as_millis().div_ceil(1000).max(1).to_string();
            if let Ok(value) = HeaderValue::from_str(&seconds) {
                response.headers_mut().insert(RETRY_AFTER, value);
            }
        }
        if *self == Self::Method {
            let allowed = HeaderValue::from_static("POST, OPTIONS");
            response.headers_mut().insert(actix_web::http::header::ALLOW, allowed);
        }
        response
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::ContentType => Self::ContentType(
                "expected application/json, application/x-www-form-urlencoded, multipart/form-data or text/plain",
            ),
            DecodeError::Malformed(detail) => Self::Malformed(detail),
        }
    }
}

/// An answer as a preset has it.
pub fn written(reply: &Reply, body: Vec<u8>) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    HttpResponse::build(status).content_type(reply.content_type.as_str()).body(body)
}

/// The submission is durable: what the platform wants to hear, or 202 with its ids, or a redirect
/// for a browser that posted a form.
pub fn accepted(
    request: &HttpRequest,
    ids: &[SubmissionId],
    thank_you: Option<&Url>,
    reply: Option<&Reply>,
) -> HttpResponse {
    if let Some(reply) = reply {
        return written(reply, reply.fill(|_| None).unwrap_or_default());
    }
    let thanks = thank_you.map_or(page::THANKS_PATH, Url::as_str);
    if wants_page(request) {
        return HttpResponse::SeeOther().insert_header((LOCATION, thanks)).finish();
    }
    // A page's script goes where a plain form would have gone.
    HttpResponse::Accepted()
        .insert_header((THANKS, thanks))
        .json(Accepted { status: "accepted", ids })
}

#[derive(Serialize)]
struct Accepted<'a> {
    status: &'static str,
    ids: &'a [SubmissionId],
}

/// Whether the sender is a browser that posted a form and shows the answer to a person: it likes
/// HTML at least as well as JSON, and sent what forms send. Scripts ask for `*/*`.
fn wants_page(request: &HttpRequest) -> bool {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let sent_json =
        text(CONTENT_TYPE).is_some_and(|kind| kind.to_ascii_lowercase().contains("json"));
    let accept = text(ACCEPT).unwrap_or_default().to_ascii_lowercase();
    let html = preference(&accept, "text/html");
    !sent_json
        && !amp::is_amp(request)
        && html > 0.0
        && html >= preference(&accept, "application/json")
}

/// The quality (0 to 1) that an `Accept` header gives to exactly this type.
fn preference(accept: &str, wanted: &str) -> f32 {
    let entries = accept.split(',').map(|entry| entry.split(';').map(str::trim));
    let quality = |mut entry: std::iter::Map<_, _>| {
        if entry.next() != Some(wanted) {
            return None;
        }
        let quality = entry.find_map(|parameter: &str| parameter.strip_prefix("q="));
        Some(quality.map_or(1.0, |quality| quality.parse().unwrap_or(0.0)))
    };
    entries.into_iter().find_map(quality).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_a_browser_that_posted_a_form_is_shown_a_page() {
        const FORM: &str = "application/x-www-form-urlencoded";
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (page, accept, content_type) in [
            (true, browser, FORM),
            (true, browser, "multipart/form-data; boundary=b"),
            (true, "application/json;q=0.5, text/html;q=0.9", FORM),
            (false, browser, "application/json"),
            (false, "*/*", FORM),
            (false, "", FORM),
            (false, "application/json, text/html;q=0.1", FORM),
            (false, "text/html;q=0", FORM),
        ] {
            let request = TestRequest::default()
                .insert_header((ACCEPT, accept))
                .insert_header((CONTENT_TYPE, content_type))
                .to_http_request();
            assert_eq!(wants_page(&request), page, "{accept} {content_type}");
        }
    }
}
