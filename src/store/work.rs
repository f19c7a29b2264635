//! Work: what a lane is given to do about a record, under a lease, and how that can end.

use std::time::Duration;

use crate::lead::{
    DestinationId, Lead, RawBody, SourceId, State, SubmissionId, Timestamp, TraceId, Upstream,
};

/// Whoever was sent and not answered is looked for after so long: CareSoft may still be at it, and
/// its list shows a new lead some seconds late.
pub const LOOK_AFTER: Duration = Duration::from_secs(10);

/// So many submissions that have joined a lead go into its create, or are known when another one
/// is to be added to it.
pub const JOINED_MAX: usize = 20;

/// The right to work on one record until the deadline. Whoever holds an older fence is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The lane that it was leased from.
    pub lane: DestinationId,
    /// The record.
    pub id: SubmissionId,
    /// Rises with every lease of the record.
    pub fence: u32,
    /// After this the lease is expired, and the outcome of a create unknown.
    pub deadline: Timestamp,
}

/// What a lane asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// At most so many records.
    pub max: usize,
    /// At most so many of them to be looked for or to be told: these take several requests each.
    pub chores: usize,
    /// How long the lease of a create lasts: one request.
    pub create_term: Duration,
    /// How long that of a chore lasts. Nothing is lost when it ends.
    pub chore_term: Duration,
}

/// A leased record with what a worker needs to work on it.
#[derive(Debug, Clone)]
pub struct Work {
    /// The right to work on it.
    pub lease: Lease,
    /// What to do.
    pub task: Task,
    /// Where it came from.
    pub source: SourceId,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// The trace of the post that it came with, where that is known.
    pub trace_id: Option<TraceId>,
    /// How many attempts have been spent on it; postponing spends none.
    pub attempts: u32,
    /// What it says.
    pub lead: Lead,
}

/// What is to be done about a record.
#[derive(Debug, Clone)]
pub enum Task {
    /// It is pending: make its lead.
    Create {
        /// The earliest that have joined it and say something else: that goes along.
        joined: Vec<Joined>,
    },
    /// It is unknown: look whether its lead was made.
    Look(Unsure),
    /// It is merged: add what it says to the lead that it has joined.
    Comment {
        /// That lead.
        to: Upstream,
        /// What was said already: by the submission that the lead was made of, then by some of
        /// those that joined it before this one.
        said: Vec<Joined>,
    },
}

impl Task {
    /// What the task is called in a record's history.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Create { .. } => "attempt",
            Self::Look(_) => "look",
            Self::Comment { .. } => "comment",
        }
    }
}

/// A submission of a person whose lead is another one's.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The submission.
    pub id: SubmissionId,
    /// Where it came from.
    pub source: SourceId,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// What it says.
    pub lead: Lead,
}

/// What is known of a lead that may have been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsure {
    /// It was not made before this.
    pub sent_at: Timestamp,
    /// How often it was looked for, thoroughly and in vain, since it was last sent.
    pub looks: u32,
    /// How often it was sent again.
    pub resent: u32,
}

/// What `lease` found.
#[derive(Debug, Clone, Default)]
pub struct Leased {
    /// At most as many as were asked for; fresh ones first.
    pub work: Vec<Work>,
    /// When the next record of the lane is due, where `work` is short of what was asked for.
    /// Chores count where any were asked for.
    pub next_due: Option<Timestamp>,
}

/// A leased notice: the lead that it speaks of is to be fetched.
#[derive(Debug, Clone)]
pub struct Notice {
    /// The right to work on it.
    pub lease: Lease,
    /// Where it came from.
    pub source: SourceId,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// The trace of the post that it came with, where that is known.
    pub trace_id: Option<TraceId>,
    /// How many attempts have been spent on it; postponing spends none.
    pub attempts: u32,
    /// What the platform said.
    pub body: RawBody,
}

/// What `lease_notices` found.
#[derive(Debug, Clone, Default)]
pub struct Notices {
    /// At most as many as were asked for, the longest due first.
    pub notices: Vec<Notice>,
    /// When the next notice of the lane is due, where there are fewer than were asked for.
    pub next_due: Option<Timestamp>,
}

/// How work on a leased record ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// CareSoft has the lead. What has joined it meanwhile is queued, to be added to it.
    Created(Upstream),
    /// Of a create or a comment: surely not done, or to be looked at again; to be tried again.
    /// Spends an attempt.
    Retry {
        /// Not before this.
        due: Timestamp,
    },
    /// Not tried, or refused for a reason that is not the lead's; spends no attempt, and the
    /// record goes back to where it stood in the queue.
    Postponed {
        /// Not before this.
        due: Timestamp,
    },
    /// Of a create: sent, outcome not known. It is looked for after [`LOOK_AFTER`].
    Unknown {
        /// Why, in words.
        reason: String,
    },
    /// Of a look: not found, or not surely; to be looked for again. Spends an attempt.
    Look {
        /// Not before this.
        due: Timestamp,
        /// How often it was looked for in vain by now.
        looks: u32,
    },
    /// Of a look: surely not there. Pending again, among the later ones.
    SendAgain {
        /// Not before this.
        due: Timestamp,
    },
    /// Of a comment: nothing more is to be added to the lead.
    Told,
    /// Of a create or a look: refused or given up for good. The claims that this record holds are
    /// released in the same step. The earliest submission that had joined it and says something
    /// else becomes pending in its place and takes the claims, so that it is not lost with it.
    Dead {
        /// Why, in words.
        reason: String,
    },
}

impl Outcome {
    /// The outcome's name in a record's history.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Retry { .. } => "retry",
            Self::Postponed { .. } => "postponed",
            Self::Unknown { .. } => "unknown",
            Self::Look { .. } => "look",
            Self::SendAgain { .. } => "send_again",
            Self::Told => "told",
            Self::Dead { .. } => "dead",
        }
    }

    /// Whether fetching what a notice speaks of can end so.
    pub const fn ends_notice(&self) -> bool {
        matches!(self, Self::Retry { .. } | Self::Postponed { .. } | Self::Dead { .. })
    }

    /// Whether work on a record in `state` can end so.
    pub const fn ends(&self, state: State) -> bool {
        match self {
            Self::Created(_) | Self::Dead { .. } => {
                matches!(state, State::Pending | State::Unknown)
            }
            Self::Retry { .. } => matches!(state, State::Pending | State::Merged),
            Self::Postponed { .. } => {
                matches!(state, State::Pending | State::Unknown | State::Merged)
            }
            Self::Unknown { .. } => matches!(state, State::Pending),
            Self::Look { .. } | Self::SendAgain { .. } => matches!(state, State::Unknown),
            Self::Told => matches!(state, State::Merged),
        }
    }
}

/// Whether a settlement was believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is written down.
    Done,
    /// The fence was old, or the record is in flight no more: nothing was written.
    Stale,
}

/// Whether a replay was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// It is pending again, in the lane's `later` class.
    Queued,
    /// Its person meanwhile has another lead, which this one joined.
    Merged {
        /// The submission that carries the lead.
        into: SubmissionId,
    },
    /// It has turned out to be a test.
    Test,
    /// No lead can be made of it after all. Of a notice that is filled, never of a replay.
    Quarantined,
    /// It was received before its person was forgotten, which only now is seen in it: it is erased.
    Forgotten,
    /// Only dead and quarantined records (and unknown ones, by a person who has looked) can be.
    Refused(State),
    /// No such record.
    Missing,
}
