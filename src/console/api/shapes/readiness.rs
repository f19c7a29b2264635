//! Whether the gateway can take submissions.

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::ToSchema;

/// Whether the gateway can take submissions.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it; src/console/health.rs answers")]
pub struct Readiness {
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
