//! What a post comes to: the submissions that it holds, and their way into the store.

use actix_web::http::header::{CONTENT_TYPE, REFERER};
use actix_web::web::Bytes;
use serde_json::Value;

use super::answer::Refusal;
use super::head::Head;
use super::{Intake, embed};
use crate::fail_point::{self, FailPoint};
use crate::lead::{RawBody, SubmissionId, TraceId};
use crate::normalise::Fault;
use crate::preset::Unusable;
use crate::problem::FieldError;
use crate::source::decode::TOO_MANY;
use crate::source::{Beside, Kept, Place, Source, Unkept, element_body, post_body};
use crate::store::{Admission, Verdict};
use crate::telemetry::trace;

/// What a post comes to: the ids that it is answered with, and what is to be stored. A bot's has
/// an id of nothing: it learns nothing.
#[derive(Default)]
pub(super) struct Batch {
    ids: Vec<SubmissionId>,
    pub(super) admissions: Vec<Admission>,
}

impl Batch {
    fn push(&mut self, admission: Admission) {
        self.ids.push(admission.id);
        self.admissions.push(admission);
    }
}

/// An authentic post.
pub(super) struct Post<'a> {
    pub(super) intake: &'a Intake,
    pub(super) source: &'a Source,
    pub(super) trace: TraceId,
    pub(super) head: &'a Head<'a>,
    pub(super) body: &'a Bytes,
}

impl Post<'_> {
    /// Everything that its documents hold.
    pub(super) fn read(&self, documents: Vec<Value>) -> Result<Batch, Refusal> {
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
            Some(Unkept::TooMany(_)) if batch.ids.is_empty() => Err(TOO_MANY.into()),
            last => {
                let kept = refused.into_iter().chain(last).filter_map(Source::keep_refused);
                kept.for_each(|kept| batch.push(self.admission(kept)));
                Ok(batch)
            }
        }
    }

    fn take_lead(&self, item: Value, nth: Option<usize>, batch: &mut Batch) -> Result<(), Unkept> {
        let given_id = embed::submission_id(&item);
        let beside = Beside {
            referer: self.head.text(REFERER.as_str()),
            query: self.head.query,
            header: &|name: &str| self.head.text(name).map(str::to_owned),
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
    pub(super) fn whole_in_quarantine(&self, why: &str) -> Batch {
        let mut batch = Batch::default();
        batch.push(self.admission(Kept::unusable(None, why, self.raw())));
        batch
    }

    fn raw(&self) -> RawBody {
        let content_type = self.head.text(CONTENT_TYPE.as_str());
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

/// Stores a batch; `ids` with those of repeated deliveries replaced by the earlier ones.
pub(super) async fn admit(
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
