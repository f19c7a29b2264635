//! A submission as the ledger shows it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::lead::{
    DestinationId, Event, Phase, Phone, Record, SourceId, State, SubmissionId, Timestamp, TraceId,
};

/// A page of the ledger, newest first.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LeadPage)]
pub struct LeadPage {
    /// The submissions, without their histories.
    pub leads: Vec<Submission>,
    /// The `cursor` of the next page; null on the last.
    #[schema(required)]
    pub next: Option<String>,
}

/// Everything the ledger knows of one submission.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    id: SubmissionId,
    state: State,
    /// Of a pending one: due, not due yet, or being sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<PhaseName>,
    source: SourceId,
    destination: DestinationId,
    /// The platform's own id of it.
    #[schema(required)]
    external_id: Option<String>,
    /// The trace of the post that it came with.
    #[schema(required)]
    trace_id: Option<TraceId>,
    /// When it was accepted.
    received_at: Timestamp,
    /// When it reached a final state.
    #[schema(required)]
    settled_at: Option<Timestamp>,
    /// The lead, where one could be made and nobody has asked for it to be forgotten.
    #[schema(required)]
    lead: Option<LeadView>,
    /// Whether what is stored of the person cannot be opened: damaged, or sealed with a secret that
    /// `store.secret` does not name any more. Left out where it can.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unreadable: bool,
    /// CareSoft's ids, once created.
    #[schema(required)]
    upstream: Option<UpstreamView>,
    /// Of a merged one: the submission that carries the lead.
    #[schema(required)]
    duplicate_of: Option<SubmissionId>,
    /// Why it is dead, unknown or quarantined.
    #[schema(required)]
    reason: Option<String>,
    /// What happened, oldest first. Lists leave it out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    history: Vec<HistoryLine>,
}

/// What a pending submission is doing.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Phase)]
enum PhaseName {
    Ready,
    Waiting,
    InFlight,
}

/// A lead: a submission after normalisation.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Lead)]
struct LeadView {
    #[schema(required)]
    name: Option<String>,
    #[schema(required)]
    phone: Option<Phone>,
    #[schema(required)]
    email: Option<String>,
    #[schema(required)]
    message: Option<String>,
    /// The page's URL with every attribution value in it: what CareSoft is told.
    #[schema(required)]
    ref_url: Option<String>,
    #[schema(required)]
    page_url: Option<String>,
    #[schema(required)]
    referrer: Option<String>,
    /// By their names without `utm_`.
    utm: BTreeMap<String, String>,
    /// By name, such as `gclid`.
    click_ids: BTreeMap<String, String>,
    answers: Vec<AnswerView>,
}

/// Something that the person answered and that is no field of its own.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Answer)]
pub struct AnswerView {
    #[schema(min_length = 1)]
    label: String,
    value: String,
    /// The field's name in the payload, where it is not the label.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// What CareSoft calls the lead and the person.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Upstream)]
struct UpstreamView {
    lead_id: u64,
    #[schema(required)]
    requester_id: Option<u64>,
}

/// One line of a history.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HistoryLine {
    at: Timestamp,
    /// `accepted`, `attempt`, `look`, `comment`, `replayed`, `erased`, ….
    event: String,
    /// How an attempt, a look or a comment ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// The upstream's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<u64>,
    /// Why, in words: ours or the upstream's.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<Record> for Submission {
    fn from(record: Record) -> Self {
        let phase = |phase| match phase {
            Phase::Ready => PhaseName::Ready,
            Phase::Waiting => PhaseName::Waiting,
            Phase::InFlight => PhaseName::InFlight,
        };
        let upstream = record.upstream.map(|upstream| UpstreamView {
            lead_id: upstream.lead_id,
            requester_id: upstream.requester_id,
        });
        Self {
            id: record.id,
            state: record.state,
            phase: record.phase.map(phase),
            source: record.source,
            destination: record.destination,
            external_id: record.external_id,
            trace_id: record.trace_id,
            received_at: record.received_at,
            settled_at: record.settled_at,
            lead: record.lead.map(LeadView::from),
            unreadable: record.unreadable,
            upstream,
            duplicate_of: record.duplicate_of,
            reason: record.reason,
            history: record.history.into_iter().map(HistoryLine::from).collect(),
        }
    }
}

/// Without what only delivery needs.
impl From<crate::lead::Lead> for LeadView {
    fn from(lead: crate::lead::Lead) -> Self {
        let answer = |answer: crate::lead::Answer| AnswerView {
            label: answer.label,
            value: answer.value,
            key: answer.key,
        };
        Self {
            name: lead.name,
            phone: lead.phone,
            email: lead.email,
            message: lead.message,
            ref_url: lead.ref_url,
            page_url: lead.attribution.page_url,
            referrer: lead.attribution.referrer,
            utm: lead.attribution.utm,
            click_ids: lead.attribution.click_ids,
            answers: lead.answers.into_iter().map(answer).collect(),
        }
    }
}

impl From<Event> for HistoryLine {
    fn from(event: Event) -> Self {
        let Event { at, event, outcome, status, ms, detail } = event;
        Self { at, event, outcome, status, ms, detail }
    }
}
