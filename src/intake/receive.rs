//! `POST /in/{source}`, step by step.

use std::time::Instant;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, REFERER};
use actix_web::web::{self, Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::Intake;
use super::answer::{self, Refusal};
use super::decode::{DecodeError, decode};
use super::extract::extract;
use super::guard::{self, Unread};
use super::preset::Meaning;
use super::source::Source;
use super::{cors, verify};
use crate::config::Invalid;
use crate::fail_point::{self, FailPoint};
use crate::lead::{RawBody, SubmissionId};
use crate::normalise::fold::fold;
use crate::normalise::{Draft, Normalised, Rules, normalise};
use crate::problem::FieldError;
use crate::store::{Admission, Content, Verdict};

pub(super) async fn post(
    request: HttpRequest,
    mut payload: Payload,
    source: web::Path<String>,
    intake: web::Data<Intake>,
) -> HttpResponse {
    let started = Instant::now();
    let address = guard::client_address(&request, &intake.trusted_proxies);
    let allowed = intake.per_address.spend(address);
    let Some(source) = intake.sources.get(source.as_str()) else {
        let refusal = allowed.map_or_else(Refusal::TooMany, |()| Refusal::UnknownSource);
        return refusal.respond(&request);
    };
    let taken = match allowed {
        Ok(()) => take(&intake, source, &request, &mut payload).await,
        Err(wait) => Err(Refusal::TooMany(wait)),
    };
    let mut response = match taken {
        Ok(ids) => answer::accepted(&request, &ids, source.thank_you_url.as_ref()),
        Err(refusal) => {
            intake.metrics.submission(&source.id, refusal.word());
            tracing::debug!(source = %source.id, outcome = refusal.word(), "post refused");
            refusal.respond(&request)
        }
    };
    cors::expose(&request, &source.cors_origins, response.headers_mut());
    intake.metrics.intake(&source.id, started.elapsed());
    response
}

pub(super) async fn preflight(
    request: HttpRequest,
    source: web::Path<String>,
    intake: web::Data<Intake>,
) -> HttpResponse {
    match intake.sources.get(source.as_str()) {
        Some(source) => cors::preflight(&request, &source.cors_origins),
        None => Refusal::UnknownSource.respond(&request),
    }
}

pub(super) async fn other_method(
    request: HttpRequest,
    source: web::Path<String>,
    intake: web::Data<Intake>,
) -> HttpResponse {
    let known = intake.sources.contains_key(source.as_str());
    (if known { Refusal::Method } else { Refusal::UnknownSource }).respond(&request)
}

/// Takes a post; the ids of its submissions, all of them durable.
async fn take(
    intake: &Intake,
    source: &Source,
    request: &HttpRequest,
    payload: &mut Payload,
) -> Result<Vec<SubmissionId>, Refusal> {
    if !verify::token(request, &source.tokens) {
        return Err(Refusal::Unauthorized);
    }
    source.limiter.spend().map_err(Refusal::TooMany)?;
    let body = read(request, payload, intake.max_body_bytes).await?;
    let content_type = text_of(request.headers(), CONTENT_TYPE.as_str());
    let documents = decode(content_type, &body).await.map_err(refusal)?;
    let is_several = documents.len() > 1;
    let mut ids = Vec::with_capacity(documents.len());
    let mut batch = Vec::with_capacity(documents.len());
    for (place, document) in documents.into_iter().enumerate() {
        let extracted =
            extract(document, &source.preset, source.honeypot.as_deref()).map_err(refusal)?;
        let id = SubmissionId::generate();
        ids.push(id);
        if extracted.trapped {
            // Answered like the others, with an id of nothing: a bot learns nothing.
            intake.metrics.submission(&source.id, "honeypot");
            continue;
        }
        let external_id = external_id(source, request).map(|external_id| match is_several {
            true => format!("{external_id}.{place}"), // one delivery, several people
            false => external_id.to_owned(),
        });
        let content = content(source, request, &body, extracted.draft)?;
        batch.push(Admission {
            id,
            source: source.id.clone(),
            destination: source.destination.clone(),
            received_at: intake.clock.now(),
            idempotency_key: external_id.clone(),
            external_id,
            content,
        });
    }
    admit(intake, source, batch, ids).await
}

/// The platform's own id of a delivery.
fn external_id<'a>(source: &Source, request: &'a HttpRequest) -> Option<&'a str> {
    let header = source.preset.external_id_header.as_ref()?;
    text_of(request.headers(), header).filter(|id| !id.is_empty() && id.len() <= 255)
}

async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    max_bytes: usize,
) -> Result<Bytes, Refusal> {
    let encoding = text_of(request.headers(), CONTENT_ENCODING.as_str());
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Refusal::ContentType("a compressed body is not taken"));
    }
    guard::body(request, payload, max_bytes).await.map_err(|unread| match unread {
        Unread::TooLong => Refusal::TooLong,
        Unread::TooSlow => Refusal::TooSlow,
        Unread::Broken => Refusal::Malformed("the body broke off"),
    })
}

fn refusal(error: DecodeError) -> Refusal {
    match error {
        DecodeError::ContentType => Refusal::ContentType(
            "expected application/json, application/x-www-form-urlencoded, multipart/form-data or text/plain",
        ),
        DecodeError::Malformed(detail) => Refusal::Malformed(detail),
    }
}

/// One document's draft, normalised, as the store takes it.
fn content(
    source: &Source,
    request: &HttpRequest,
    body: &Bytes,
    mut draft: Draft,
) -> Result<Content, Refusal> {
    add_request_evidence(&mut draft, source, request);
    let rules = Rules {
        region: &source.region,
        name_order: source.name_order,
        source_page: source.page_url.as_ref(),
        endpoint: &source.endpoint,
    };
    let Normalised { lead, identities, faults } = normalise(draft, &rules);
    if !identities.is_empty() {
        return Ok(Content::Lead { lead, identities });
    }
    if source.invalid == Invalid::Quarantine {
        let content_type = text_of(request.headers(), CONTENT_TYPE.as_str()).unwrap_or_default();
        return Ok(Content::Quarantined {
            reason: "neither a phone number nor an e-mail address could be used".to_owned(),
            lead: Some(lead),
            raw: RawBody { content_type: content_type.to_owned(), bytes: body.to_vec() },
        });
    }
    let errors = faults.into_iter().map(|fault| FieldError {
        field: fault.field.into(),
        code: fault.code,
        message: fault.message,
    });
    Err(Refusal::Invalid(errors.collect()))
}

/// What the request tells of where the submission came from: the page in `Referer`, and utm
/// values and click ids in the endpoint's own query, weaker than the payload's.
fn add_request_evidence(draft: &mut Draft, source: &Source, request: &HttpRequest) {
    draft.evidence.referer_header = text_of(request.headers(), REFERER.as_str()).map(str::to_owned);
    for (name, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
        let name = fold(&name);
        match (source.preset.meaning(&name), name.strip_prefix("utm_")) {
            (Meaning::Utm, Some(utm)) => {
                draft.evidence.explicit_utm.push((utm.to_owned(), value.into_owned()));
            }
            (Meaning::ClickId, _) => {
                draft.evidence.explicit_click_ids.push((name.into_owned(), value.into_owned()));
            }
            _ => {}
        }
    }
}

/// Stores a batch; `ids` with those of repeated deliveries replaced by the earlier ones.
async fn admit(
    intake: &Intake,
    source: &Source,
    batch: Vec<Admission>,
    mut ids: Vec<SubmissionId>,
) -> Result<Vec<SubmissionId>, Refusal> {
    if batch.is_empty() {
        return Ok(ids);
    }
    let admitted: Vec<_> = batch.iter().map(|admission| admission.id).collect();
    fail_point::pass(FailPoint::Decoded);
    let verdicts = intake.store.admit(batch).await.map_err(|error| {
        intake.metrics.store_error(intake.store.kind());
        if intake.failure_log.check().is_ok() {
            tracing::error!(source = %source.id, %error, "a submission could not be stored");
        }
        Refusal::Unavailable
    })?;
    fail_point::pass(FailPoint::Admitted);
    for (verdict, id) in verdicts.iter().zip(admitted) {
        let word = match verdict {
            Verdict::Accepted => "accepted",
            Verdict::Merged { .. } => "merged",
            Verdict::Repeated { id: earlier } => {
                ids.iter_mut().filter(|told| **told == id).for_each(|told| *told = *earlier);
                "repeated"
            }
            Verdict::Quarantined => "quarantined",
            Verdict::Test => "test",
            Verdict::Spooled => "spooled",
        };
        intake.metrics.submission(&source.id, word);
    }
    Ok(ids)
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
