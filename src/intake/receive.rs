//! `POST /in/{source}`, step by step.

use std::time::Instant;

use actix_web::http::ConnectionType;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, REFERER};
use actix_web::web::{self, Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::Intake;
use super::answer::{self, Refusal};
use super::door::Door;
use super::guard::{self, Unread};
use super::visitor::Visitor;
use super::{amp, cors, embed, verify};
use crate::config::Invalid;
use crate::current::Current;
use crate::fail_point::{self, FailPoint};
use crate::lead::{RawBody, SubmissionId, TraceId};
use crate::normalise::Fault;
use crate::preset::{Heard, Unusable};
use crate::problem::FieldError;
use crate::source::decode::{DecodeError, TOO_MANY, decode};
use crate::source::{Beside, Kept, Place, Source, Unkept, element_body, post_body};
use crate::store::{Admission, Verdict};
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
    let url = address_of(source, request.query_string());
    let header = |name: &str| text_of(request.headers(), name);
    let heard = Heard::new("GET", &url, request.query_string(), &header, &[]);
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
    let body = read(request, payload, intake.max_body_bytes).await?;
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
    let is_authentic = match verified(intake, source, head, body)? {
        Verified::Probe(response) => return Ok(Taken::Probe(response)),
        Verified::Passed => return Ok(Taken::Ids(Vec::new())),
        Verified::Post { is_authentic } => is_authentic,
    };
    let content_type = text_of(head.headers, CONTENT_TYPE.as_str());
    let post = Post { intake, source, trace: trace.trace(), head, body };
    let documents = decode(content_type, body).await;
    let visitor = Visitor::of(door, head.query, documents.as_deref().unwrap_or_default());
    let batch = match documents {
        Ok(documents) => post.read(documents),
        Err(error) => Err(refusal(error)),
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

/// What a post says before its body.
pub(super) struct Head<'a> {
    pub(super) method: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
}

impl<'a> Head<'a> {
    fn of(request: &'a HttpRequest) -> Self {
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
}

enum Verified {
    Probe(HttpResponse),
    /// It is taken, and nothing of it is kept.
    Passed,
    Post {
        is_authentic: bool,
    },
}

/// Whether the post comes from its platform; or is only a question whether anybody is there.
fn verified(
    intake: &Intake,
    source: &Source,
    head: &Head<'_>,
    body: &Bytes,
) -> Result<Verified, Refusal> {
    let url = address_of(source, head.query);
    let header = |name: &str| text_of(head.headers, name);
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

/// The address that was posted to, as the public sees it.
fn address_of(source: &Source, query: &str) -> String {
    match query {
        "" => source.endpoint.as_str().to_owned(),
        query => format!("{}?{query}", source.endpoint),
    }
}

/// What a post comes to: the ids that it is answered with, and what is to be stored. A bot's has
/// an id of nothing: it learns nothing.
#[derive(Default)]
struct Batch {
    ids: Vec<SubmissionId>,
    admissions: Vec<Admission>,
}

/// An authentic post.
struct Post<'a> {
    intake: &'a Intake,
    source: &'a Source,
    trace: TraceId,
    head: &'a Head<'a>,
    body: &'a Bytes,
}

impl Post<'_> {
    /// Everything that its documents hold.
    fn read(&self, documents: Vec<Value>) -> Result<Batch, Refusal> {
        let mut batch = Batch::default();
        let preset = &self.source.preset;
        let found: Vec<_> = documents.into_iter().map(|document| preset.items(document)).collect();
        let several =
            found.iter().map(|items| items.leads.len() + items.unusable.len()).sum::<usize>() > 1;
        let mut place = 0;
        let mut refused = Vec::new();
        for items in found {
            for _ in 0..items.ignored {
                self.intake.shared.metrics.submission(&self.source.id, "ignored");
            }
            for Unusable { value, is_whole, why } in items.unusable {
                let raw = if is_whole { document_body(&value) } else { element_body(&value) };
                batch.push(self.admission(Kept::unusable(None, &why, raw)));
            }
            for item in items.leads {
                refused.extend(self.take_lead(item, several.then_some(place), &mut batch).err());
                place += 1;
            }
        }
        match refused.pop() {
            // Nothing of it is taken: whoever sent it is told.
            Some(Unkept::Refused(faults, _)) if batch.ids.is_empty() => Err(invalid(faults)),
            Some(Unkept::TooMany(_)) if batch.ids.is_empty() => Err(refusal(TOO_MANY)),
            last => {
                let kept = refused.into_iter().chain(last).filter_map(Source::keep_refused);
                kept.for_each(|kept| batch.push(self.admission(kept)));
                Ok(batch)
            }
        }
    }

    fn take_lead(&self, item: Value, nth: Option<usize>, batch: &mut Batch) -> Result<(), Unkept> {
        let headers = self.head.headers;
        let given_id = embed::submission_id(&item);
        let beside = Beside {
            referer: text_of(headers, REFERER.as_str()),
            query: self.head.query,
            header: &|name: &str| text_of(headers, name).map(str::to_owned),
            given_id: given_id.as_deref(),
        };
        let whole = || self.raw();
        let place = nth.map_or(Place::Alone(&whole), Place::Nth);
        match self.source.read(item, place, &beside) {
            Ok(kept) => batch.push(self.admission(kept)),
            Err(Unkept::Trapped) => {
                batch.ids.push(SubmissionId::generate());
                self.intake.shared.metrics.submission(&self.source.id, "honeypot");
            }
            Err(unkept) => return Err(unkept),
        }
        Ok(())
    }

    /// The whole post, kept for a person to look at.
    fn whole_in_quarantine(&self, why: &str) -> Batch {
        let mut batch = Batch::default();
        batch.push(self.admission(Kept::unusable(None, why, self.raw())));
        batch
    }

    fn raw(&self) -> RawBody {
        let content_type = text_of(self.head.headers, CONTENT_TYPE.as_str());
        post_body(content_type, self.body.to_vec())
    }

    fn admission(&self, kept: Kept) -> Admission {
        Admission {
            id: SubmissionId::generate(),
            source: self.source.id.clone(),
            destination: self.source.destination.clone(),
            received_at: self.intake.shared.clock.now(),
            trace_id: Some(self.trace),
            idempotency: kept.idempotency,
            external_id: kept.external_id,
            content: kept.content,
        }
    }
}

fn invalid(faults: Vec<Fault>) -> Refusal {
    let errors = faults.into_iter().map(|fault| FieldError {
        field: fault.field.into(),
        code: fault.code,
        message: fault.message,
    });
    Refusal::Invalid(errors.collect())
}

/// One document of a post, as a body of its own.
fn document_body(document: &Value) -> RawBody {
    let bytes = document.to_string().into_bytes();
    RawBody { content_type: "application/json".to_owned(), bytes }
}

impl Batch {
    fn push(&mut self, admission: Admission) {
        self.ids.push(admission.id);
        self.admissions.push(admission);
    }
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

/// Stores a batch; `ids` with those of repeated deliveries replaced by the earlier ones.
async fn admit(
    intake: &Intake,
    source: &Source,
    trace: &trace::Post,
    batch: Batch,
) -> Result<Vec<SubmissionId>, Refusal> {
    let Batch { mut ids, admissions } = batch;
    if admissions.is_empty() {
        return Ok(ids);
    }
    let admitted: Vec<_> = admissions.iter().map(|admission| admission.id).collect();
    let mut spans = trace.admit(&admitted, &source.destination).into_iter();
    fail_point::pass(FailPoint::Decoded);
    let verdicts = match intake.shared.store.admit(admissions).await {
        Ok(verdicts) => verdicts,
        Err(error) => {
            intake.shared.metrics.store_error(intake.shared.store.kind());
            if intake.shared.failure_log.check().is_ok() {
                let trace_id = trace.trace();
                tracing::error!(source = %source.id, %trace_id, %error, "a submission could not be stored");
            }
            spans.for_each(trace::Admit::failed);
            return Err(Refusal::Unavailable);
        }
    };
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
            Verdict::Deleted => "deleted",
            Verdict::Spooled => "spooled",
        };
        intake.shared.metrics.submission(&source.id, word);
        if let Some(span) = spans.next() {
            span.decided(word);
        }
    }
    Ok(ids)
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
