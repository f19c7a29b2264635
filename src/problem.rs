//! Errors as a client sees them: RFC 9457 `application/problem+json`.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::WWW_AUTHENTICATE;
use serde::Serialize;
use utoipa::ToSchema;

use crate::lead::{State, TraceId};

/// One field of a submission, or of a body, that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldError {
    /// `phone`, `email`.
    #[schema(value_type = String)]
    pub field: Cow<'static, str>,
    /// A word for programs: `missing`, `too_short`, ….
    pub code: &'static str,
    /// A sentence for people. Never holds what was sent.
    pub message: String,
}

/// A problem document.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// A stable name of the kind of problem: `urn:leadgate:problem:NAME`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: Box<str>,
    /// What the status means.
    title: &'static str,
    status: u16,
    /// What happened, in a sentence, without anybody's data.
    #[schema(value_type = String)]
    detail: Box<str>,
    /// The trace of the post that this answers: `urn:leadgate:trace:TRACE_ID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    instance: Option<Box<str>>,
    /// The state of the submission that stands in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    state: Option<State>,
    /// The fields at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// The same, as AMP's forms read it.
    #[schema(ignore)]
    #[serde(rename = "verifyErrors", skip_serializing_if = "Vec::is_empty")]
    verify_errors: Vec<VerifyError>,
}

/// A field at fault, in AMP's words.
#[derive(Debug, Clone, Serialize)]
struct VerifyError {
    name: Cow<'static, str>,
    message: String,
}

impl Problem {
    /// A problem named `name` (`unauthorized`), told in `detail`.
    pub fn new(status: StatusCode, name: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:leadgate:problem:{name}").into(),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into().into(),
            instance: None,
            state: None,
            errors: Vec::new(),
            verify_errors: Vec::new(),
        }
    }

    /// The trace of the post that is answered.
    pub fn with_trace(mut self, trace: TraceId) -> Self {
        self.instance = Some(format!("urn:leadgate:trace:{trace}").into());
        self
    }

    /// The fields at fault.
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// The same problem, with its fields told as AMP's forms read them, too.
    pub fn for_amp(mut self) -> Self {
        let in_amp = |error: &FieldError| VerifyError {
            name: error.field.clone(),
            message: error.message.clone(),
        };
        self.verify_errors = self.errors.iter().map(in_amp).collect();
        self
    }

    /// The same problem, told in other words.
    pub fn with_detail(mut self, detail: String) -> Self {
        self.detail = detail.into();
        self
    }

    /// The state of the submission that stands in the way.
    pub fn with_state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// What happened, in a sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The fields at fault.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// The answer.
    pub fn respond(&self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer")); // RFC 9110: a 401 says how
        }
        response.content_type("application/problem+json").json(self)
    }
}
