//! A submission in the ledger: what became of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{DestinationId, Lead, Malformed, SourceId, SubmissionId, Timestamp, TraceId};

/// The states of a submission, as the ledger counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Accepted, to be delivered.
    Pending,
    /// Sent, outcome not known.
    Unknown,
    /// Has an upstream lead id.
    Created,
    /// The same person as an earlier lead inside the window.
    Merged,
    /// Refused upstream for good, or retries used up.
    Dead,
    /// Authentic, but no lead could be made of it.
    Quarantined,
    /// Marked as a test by the platform.
    Test,
    /// Forgotten on request.
    Erased,
}

impl State {
    /// Every state, in the ledger's order.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Unknown,
        Self::Created,
        Self::Merged,
        Self::Dead,
        Self::Quarantined,
        Self::Test,
        Self::Erased,
    ];

    /// The state's name in the API, the metrics and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Unknown => "unknown",
            Self::Created => "created",
            Self::Merged => "merged",
            Self::Dead => "dead",
            Self::Quarantined => "quarantined",
            Self::Test => "test",
            Self::Erased => "erased",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(Malformed(
            "expected pending, unknown, created, merged, dead, quarantined, test or erased",
        ))
    }
}

/// What a pending submission is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Due: the lane takes it as soon as the pace allows.
    Ready,
    /// Not due yet (a retry).
    Waiting,
    /// Leased to a worker.
    InFlight,
}

/// One line of a record's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// `accepted`, `merged`, `quarantined`, `test`, `fetch` (a notice's lead is asked for), `attempt`,
    /// `look` (whether an unknown lead was made), `comment` (a merged one is added to its lead), `handed_back` (nothing was sent),
    /// `lease_expired`, `rechecked` (another Redis took over), `replayed`, `promoted` (the lead it
    /// was merged into died), `erased`.
    pub event: String,
    /// How an attempt ended: `created`, `retry`, `postponed`, `unknown`, `dead`; a look: `created`,
    /// `absent`, `unclear`, `send_again`, `postponed`, `dead`; a comment: `added`, `added_before`,
    /// `with_lead` (it was in the create), `nothing_new`, `retry`, `postponed`, `given_up`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The upstream's HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long the attempt took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// Why, in words: ours or the upstream's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Event {
    /// An event without an attempt behind it.
    pub fn plain(at: Timestamp, event: &str) -> Self {
        Self { at, event: event.to_owned(), outcome: None, status: None, ms: None, detail: None }
    }
}

/// What CareSoft calls the lead and the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// CareSoft's id of the lead.
    pub lead_id: u64,
    /// CareSoft's id of the person, where it said one.
    pub requester_id: Option<u64>,
}

/// Everything the ledger knows of one submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The submission's id.
    pub id: SubmissionId,
    /// What became of it.
    pub state: State,
    /// For a pending one: what it is doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Where it came from.
    pub source: SourceId,
    /// Where it goes.
    pub destination: DestinationId,
    /// The platform's own id of it.
    pub external_id: Option<String>,
    /// The trace of the post that it came with; none of one that was accepted before traces were,
    /// or that is erased.
    #[serde(default)]
    pub trace_id: Option<TraceId>,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// When it reached a final state.
    pub settled_at: Option<Timestamp>,
    /// The lead, where one could be made.
    pub lead: Option<Lead>,
    /// Whether what is stored of the person cannot be opened: damaged, or sealed with a secret that
    /// `store.secret` does not name any more. Then neither lead nor external id is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreadable: bool,
    /// CareSoft's ids, once created.
    pub upstream: Option<Upstream>,
    /// For a merged one: the submission that carries the lead.
    pub duplicate_of: Option<SubmissionId>,
    /// Why it is dead, unknown or quarantined.
    pub reason: Option<String>,
    /// What happened, oldest first. Lists leave it out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Event>,
}

serde_as_text!(State);
