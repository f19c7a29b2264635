//! How lanes stand.

use serde::Serialize;
use utoipa::ToSchema;

use crate::lead::{DestinationId, Timestamp};

/// Every lane.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LaneList {
    pub lanes: Vec<LaneView>,
}

/// How a lane stands.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Lane)]
pub struct LaneView {
    pub destination: DestinationId,
    /// `open`, `paused`, `throttled`, `locked_out`, `misconfigured`, `failing`.
    pub state: &'static str,
    /// Whether a person has stopped it.
    pub paused: bool,
    /// What CareSoft's answers say of it, also beneath a pause; null: nothing is wrong.
    #[schema(required)]
    pub closed: Option<&'static str>,
    /// When it is looked whether that is over.
    #[schema(required)]
    pub until: Option<Timestamp>,
    /// Submissions that are to be sent.
    pub pending: u64,
    /// Seconds since the oldest of them was accepted.
    #[schema(required)]
    pub oldest_seconds: Option<u64>,
    /// Submissions that may have been sent, and are looked for.
    pub unknown: u64,
    /// Submissions that are to be added to the leads that they joined.
    pub comments: u64,
    pub rate: Rate,
}

/// The most that a lane sends.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub per_second: u32,
    pub per_hour: u32,
}
