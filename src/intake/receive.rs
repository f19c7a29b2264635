//! `POST /in/{source}`, step by step.

use std::time::Instant;

use actix_web::http::ConnectionType;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::{self, Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::Intake;
use super::answer::{self, Refusal};
use super::batch::{Post, admit};
use super::door::Door;
use super::guard::{self, Unread};
use super::head::Head;
use super::verify::{self, Verified};
use super::visitor::Visitor;
use super::{amp, cors};
use crate::config::Invalid;
use crate::current::Current;
use crate::lead::{SubmissionId, TraceId};
use crate::preset::Heard;
use crate::source::decode::decode;
use crate::telemetry::{TraceParent, trace};

/// Where a sender says to which trace its post belongs.
const TRACEPARENT: &str = "traceparent";

pub(super) async fn post(
    request: HttpRequest,
    mut payload: Payload,
    source: web::Path<String>,
    intake: Current<Intake>,
) -> HttpResponse {
    let started = Instant::now();
    let address = guard::client_address(&request, &intake.trusted_proxies);
    let allowed = intake.per_address.spend(address);
    let Some(door) = intake.doors.get(source.as_str()) else {
        let refusal = allowed.map_or_else(Refusal::TooMany, |()| Refusal::UnknownSource);
        let trace = caller(&request).map_or_else(TraceId::generate, |caller| caller.trace);
        return refusal.respond(&request, None, Some(trace));
    };
    let source = &door.source;
    let trace = intake.shared.traces.begin(&source.id, caller(&request));
    let taken = match allowed {
        Ok(()) => take(&intake, door, &trace, &request, &mut payload).await,
        Err(wait) => Err(Refusal::TooMany(wait)),
    };
    let respond = &source.preset.respond;
    let outcome = match &taken {
        Ok(Taken::Ids(_)) => "accepted",
        Ok(Taken::Probe(_)) => "answered",
        Err(refusal) => refusal.word(),
    };
    let mut response = match taken {
        Ok(Taken::Ids(ids)) => {
            answer::accepted(&request, &ids, door.thank_you_url.as_ref(), respond.ok.as_ref())
        }
        Ok(Taken::Probe(response)) => response,
        Err(refusal) => {
            intake.shared.metrics.submission(&source.id, outcome);
            let trace_id = trace.trace();
            tracing::debug!(source = %source.id, %trace_id, outcome, "post refused");
            refusal.respond(&request, Some(respond), Some(trace_id))
        }
    };
    if amp::is_amp(&request) {
        let (origins, thanks) = (&door.cors_origins, door.thank_you_url.as_ref());
        let status = response.status();
        amp::expose(&request, status, origins, thanks, response.headers_mut());
    } else {
        cors::expose(&request, &door.cors_origins, response.headers_mut());
    }
    if intake.is_draining() {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    intake.shared.metrics.intake(&source.id, started.elapsed());
    trace.answered(response.status().as_u16(), outcome);
    response
}

/// A platform asks whether this address is ours.
pub(super) async fn handshake(
    request: HttpRequest,
    source: web::Path<String>,
    intake: Current<Intake>,
) -> HttpResponse {
    let address = guard::client_address(&request, &intake.trusted_proxies);
    if let Err(wait) = intake.per_address.spend(address) {
        return Refusal::TooMany(wait).respond(&request, None, None);
    }
    let Some(Door { source, .. }) = intake.doors.get(source.as_str()) else {
        return Refusal::UnknownSource.respond(&request, None, None);
    };
    let head = Head::of(&request);
    let url = head.address(source);
    let header = |name: &str| head.text(name);
    let heard = Heard::new(head.method, &url, head.query, &header, &[]);
    match source.preset.handshake.get(&heard, &source.secrets) {
        Some(answer) => {
            let word = if answer.is_refusal() { "handshake_refused" } else { "handshake" };
            intake.shared.metrics.submission(&source.id, word);
            answer::written(answer.reply, answer.body)
        }
        None => Refusal::Method.respond(&request, None, None),
    }
}

pub(super) async fn preflight(
    request: HttpRequest,
    source: web::Path<String>,
    intake: Current<Intake>,
) -> HttpResponse {
    match intake.doors.get(source.as_str()) {
        Some(door) => cors::preflight(&request, &door.cors_origins),
        None => Refusal::UnknownSource.respond(&request, None, None),
    }
}

pub(super) async fn other_method(
    request: HttpRequest,
    source: web::Path<String>,
    intake: Current<Intake>,
) -> HttpResponse {
    let known = intake.doors.contains_key(source.as_str());
    (if known { Refusal::Method } else { Refusal::UnknownSource }).respond(&request, None, None)
}

/// What became of a post.
pub(super) enum Taken {
    /// Its submissions, all of them durable.
    Ids(Vec<SubmissionId>),
    /// It only asked whether anybody is there.
    Probe(HttpResponse),
}

/// Where the post hangs, as its sender says, once and in the standard's form.
fn caller(request: &HttpRequest) -> Option<TraceParent> {
    let mut said = request.headers().get_all(TRACEPARENT);
    let only = said.next().filter(|_| said.next().is_none())?;
    TraceParent::read(only.to_str().ok()?)
}

/// Takes a post.
async fn take(
    intake: &Intake,
    door: &Door,
    trace: &trace::Post,
    request: &HttpRequest,
    payload: &mut Payload,
) -> Result<Taken, Refusal> {
    let head = Head::of(request);
    head.enter(door)?;
    let body = read(&head, request, payload, intake.max_body_bytes).await?;
    take_whole(intake, door, trace, &head, &body).await
}

/// Takes a post that has come in whole.
pub(super) async fn take_whole(
    intake: &Intake,
    door: &Door,
    trace: &trace::Post,
    head: &Head<'_>,
    body: &Bytes,
) -> Result<Taken, Refusal> {
    let source = &*door.source;
    let is_authentic = match verify::platform(intake, source, head, body)? {
        Verified::Probe(response) => return Ok(Taken::Probe(response)),
        Verified::Passed => return Ok(Taken::Ids(Vec::new())),
        Verified::Post { is_authentic } => is_authentic,
    };
    let content_type = head.text(CONTENT_TYPE.as_str());
    let post = Post { intake, source, trace: trace.trace(), head, body };
    let documents = decode(content_type, body).await;
    let visitor = Visitor::of(door, head.query, documents.as_deref().unwrap_or_default());
    let batch = match documents {
        Ok(documents) => post.read(documents),
        Err(error) => Err(error.into()),
    };
    let batch = match batch {
        // Nobody but the platform can have sent it, so it is kept, whatever it is.
        Err(Refusal::Malformed(why) | Refusal::ContentType(why))
            if is_authentic && source.invalid == Invalid::Quarantine =>
        {
            post.whole_in_quarantine(why)
        }
        batch => batch?,
    };
    if visitor.only_asks {
        intake.shared.metrics.submission(&source.id, "looked_at");
        return Ok(Taken::Probe(HttpResponse::Ok().json(serde_json::json!({}))));
    }
    visitor.check(intake, door, &batch.admissions).await?;
    admit(intake, source, trace, batch).await.map(Taken::Ids)
}

async fn read(
    head: &Head<'_>,
    request: &HttpRequest,
    payload: &mut Payload,
    max_bytes: usize,
) -> Result<Bytes, Refusal> {
    let encoding = head.text(CONTENT_ENCODING.as_str());
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Refusal::ContentType("a compressed body is not taken"));
    }
    guard::body(request, payload, max_bytes).await.map_err(|unread| match unread {
        Unread::TooLong => Refusal::TooLong,
        Unread::TooSlow => Refusal::TooSlow,
        Unread::Broken => Refusal::Malformed("the body broke off"),
    })
}
