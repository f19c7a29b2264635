//! What the admin API answers and takes, as types: the answers are made of them, and so is the
//! OpenAPI document. Where an answer is made elsewhere, or a body is read field by field, the type
//! is of the document alone, and a test holds both together.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::receipt::Receipt;
use crate::lead::{
    DestinationId, Event, Phase, Phone, Record, SourceId, State, SubmissionId, Timestamp, TraceId,
};

/// A type that is written as text of a kind.
macro_rules! text_schema {
    ($name:ident, $schema:expr) => {
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text: ObjectBuilder = $schema(ObjectBuilder::new().schema_type(Type::String));
                text.build().into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

text_schema!(SubmissionId, |text: ObjectBuilder| {
    text.format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .description(Some("A submission's id: a UUID version 7, so ids sort by time."))
});
text_schema!(TraceId, |text: ObjectBuilder| {
    text.pattern(Some("^[0-9a-f]{32}$")).description(Some("A trace's id, as in W3C's traceparent."))
});
text_schema!(Timestamp, |text: ObjectBuilder| {
    text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("RFC 3339, UTC, milliseconds."))
});
text_schema!(SourceId, |text: ObjectBuilder| {
    text.pattern(Some(NAME)).description(Some("The name of a configured source."))
});
text_schema!(DestinationId, |text: ObjectBuilder| {
    text.pattern(Some(NAME)).description(Some("The name of a CareSoft account and its lane."))
});
text_schema!(Phone, |text: ObjectBuilder| {
    text.pattern(Some(r"^\+[0-9]{7,15}$")).description(Some("A phone number in E.164."))
});
text_schema!(State, |text: ObjectBuilder| {
    let states = State::ALL.map(State::as_str);
    text.enum_values(Some(states)).description(Some("What became of a submission."))
});

/// What a name may be.
const NAME: &str = "^[A-Za-z0-9_-]{1,64}$";

/// A page of the ledger, newest first.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LeadPage)]
pub(super) struct LeadPage {
    /// The submissions, without their histories.
    pub(super) leads: Vec<Submission>,
    /// The `cursor` of the next page; null on the last.
    #[schema(required)]
    pub(super) next: Option<String>,
}

/// Everything the ledger knows of one submission.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Submission {
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
pub(super) struct AnswerView {
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

/// A submission that was replayed.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Replayed)]
pub(super) struct ReplayedOne {
    /// `replayed`
    pub(super) status: &'static str,
    pub(super) id: SubmissionId,
    /// The submission whose lead it has joined: its person has one meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) merged_into: Option<SubmissionId>,
}

/// How many were replayed.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayedMany {
    pub(super) replayed: u64,
    /// True where there may be more: ask again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(super) more: bool,
}

/// How many submissions were erased.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Forgotten {
    pub(super) erased: u64,
    pub(super) receipt: Receipt,
}

/// Every lane.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LaneList {
    pub(super) lanes: Vec<LaneView>,
}

/// How a lane stands.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Lane)]
pub(super) struct LaneView {
    pub(super) destination: DestinationId,
    /// `open`, `paused`, `throttled`, `locked_out`, `misconfigured`, `failing`.
    pub(super) state: &'static str,
    /// Whether a person has stopped it.
    pub(super) paused: bool,
    /// What CareSoft's answers say of it, also beneath a pause; null: nothing is wrong.
    #[schema(required)]
    pub(super) closed: Option<&'static str>,
    /// When it is looked whether that is over.
    #[schema(required)]
    pub(super) until: Option<Timestamp>,
    /// Submissions that are to be sent.
    pub(super) pending: u64,
    /// Seconds since the oldest of them was accepted.
    #[schema(required)]
    pub(super) oldest_seconds: Option<u64>,
    /// Submissions that may have been sent, and are looked for.
    pub(super) unknown: u64,
    /// Submissions that are to be added to the leads that they joined.
    pub(super) comments: u64,
    pub(super) rate: Rate,
}

/// The most that a lane sends.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rate {
    pub(super) per_second: u32,
    pub(super) per_hour: u32,
}

/// Whether the gateway can take submissions.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it; src/console/health.rs answers")]
pub(in crate::console) struct Readiness {
    /// `ready`, `spooling`, `unavailable` or, before a stop, `draining`.
    status: String,
    store: StoreReadiness,
    /// The state of each lane of this process.
    lanes: BTreeMap<String, String>,
    /// What waits beside a store that is away.
    spool: Option<SpoolReadiness>,
}

/// The store.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it")]
struct StoreReadiness {
    /// `up` or `down`.
    state: String,
    /// `sqlite` or `redis`.
    kind: String,
    /// What a 2xx is worth.
    durability: Option<String>,
}

/// What waits beside a store that is away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it")]
struct SpoolReadiness {
    depth: u64,
}

/// What became of what was accepted in a window.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), expect(dead_code, reason = "the document is made of it; a tally answers"))]
pub(super) struct Stats {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    /// Whether there are older submissions, which were not counted.
    pub(super) truncated: bool,
    pub(super) submissions: u64,
    /// By state.
    pub(super) states: BTreeMap<String, u64>,
    /// By source and state.
    pub(super) sources: BTreeMap<String, BTreeMap<String, u64>>,
    pub(super) hours: Vec<Hour>,
    /// From accepted to created, in milliseconds.
    pub(super) latency_ms: Latency,
    pub(super) attribution: Attribution,
}

/// One hour of a window.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it")]
pub(super) struct Hour {
    /// When it begins.
    hour: Timestamp,
    accepted: u64,
    /// Of the window's submissions, those that became leads in this hour.
    created: u64,
}

/// Percentiles; null where nothing was created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it")]
pub(super) struct Latency {
    count: u64,
    #[schema(required)]
    p50: Option<u64>,
    #[schema(required)]
    p90: Option<u64>,
    #[schema(required)]
    p95: Option<u64>,
    #[schema(required)]
    p99: Option<u64>,
    #[schema(required)]
    max: Option<u64>,
}

/// Submissions by campaign.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it")]
pub(super) struct Attribution {
    /// The hundred commonest.
    rows: Vec<Campaign>,
    /// All others, where there are any.
    #[schema(required)]
    other: Option<Fate>,
}

/// What became of a campaign's submissions.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it")]
struct Campaign {
    #[schema(required)]
    source: Option<String>,
    #[schema(required)]
    medium: Option<String>,
    #[schema(required)]
    campaign: Option<String>,
    submissions: u64,
    created: u64,
    merged: u64,
    dead: u64,
}

/// What became of submissions.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it")]
struct Fate {
    submissions: u64,
    created: u64,
    merged: u64,
    dead: u64,
}

/// What is corrected of a lead that is replayed; what is not given stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it; correction.rs reads")]
pub(super) struct ReplayOne {
    lead: Option<Corrections>,
}

/// Corrected fields, read as a form's are; null removes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it; correction.rs reads")]
struct Corrections {
    name: Option<String>,
    phone: Option<String>,
    email: Option<String>,
    message: Option<String>,
    page_url: Option<String>,
    referrer: Option<String>,
    /// By their names without `utm_`; null for one removes it.
    utm: Option<BTreeMap<String, Option<String>>>,
    /// By name; null for one removes it.
    click_ids: Option<BTreeMap<String, Option<String>>>,
    /// All of them anew.
    #[schema(max_items = 1000)]
    answers: Option<Vec<AnswerView>>,
}

/// Which submissions are to be replayed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it; replay.rs reads")]
pub(super) struct ReplayMany {
    state: Replayable,
    source: Option<SourceId>,
    destination: Option<DestinationId>,
    /// Accepted at or after this.
    since: Option<Timestamp>,
    /// Accepted before this.
    until: Option<Timestamp>,
}

/// The states that can be replayed.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Replayable {
    Dead,
    Unknown,
    Quarantined,
}

/// Who is to be erased: by one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it; forget.rs reads")]
pub(super) struct Forget {
    /// In any spelling.
    #[schema(example = "0900 000 001")]
    phone: Option<String>,
    #[schema(example = "thu@example.vn")]
    email: Option<String>,
}
