//! What is asked of a replay, and what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::submission::AnswerView;
use crate::lead::{DestinationId, SourceId, SubmissionId, Timestamp};

/// What is corrected of a lead that is replayed; what is not given stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it; correction.rs reads")]
pub struct ReplayOne {
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
pub struct ReplayMany {
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

/// A submission that was replayed.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Replayed)]
pub struct ReplayedOne {
    /// `replayed`
    pub status: &'static str,
    pub id: SubmissionId,
    /// The submission whose lead it has joined: its person has one meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<SubmissionId>,
}

/// How many were replayed.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayedMany {
    pub replayed: u64,
    /// True where there may be more: ask again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub more: bool,
}
