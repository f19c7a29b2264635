//! What became of what came in, counted.

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::ToSchema;

use crate::lead::Timestamp;

/// What became of what was accepted in a window.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), expect(dead_code, reason = "the document is made of it; a tally answers"))]
pub struct Stats {
    pub since: Timestamp,
    pub until: Timestamp,
    /// Whether there are older submissions, which were not counted.
    pub truncated: bool,
    pub submissions: u64,
    /// By state.
    pub states: BTreeMap<String, u64>,
    /// By source and state.
    pub sources: BTreeMap<String, BTreeMap<String, u64>>,
    pub hours: Vec<Hour>,
    /// From accepted to created, in milliseconds.
    pub latency_ms: Latency,
    pub attribution: Attribution,
}

/// One hour of a window.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it")]
pub struct Hour {
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
pub struct Latency {
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
pub struct Attribution {
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
