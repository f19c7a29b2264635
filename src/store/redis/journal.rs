//! What this gateway had in flight or settled in the last minutes: another server that takes over
//! may not have heard of it, and nobody is to be sent twice for that.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::lead::{Timestamp, Upstream};
use crate::store::{Lease, Outcome};

/// A replica lags by seconds; this is minutes, as a failover itself may take one.
const KEPT: Duration = Duration::from_secs(600);

/// 10 minutes at CareSoft's limit are 9,000.
const ENTRIES_MAX: usize = 20_000;

/// One lease, and what came of it as far as this gateway knows.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) lease: Lease,
    pub(super) created: Option<Upstream>,
    at: Timestamp,
}

/// See the module's words.
#[derive(Default)]
pub(super) struct Journal(Mutex<VecDeque<Entry>>);

impl Journal {
    /// Notes a lease: from here on its record may be sent.
    pub(super) fn leased(&self, lease: &Lease, now: Timestamp) {
        let mut entries = self.entries();
        while entries.len() >= ENTRIES_MAX
            || entries.front().is_some_and(|oldest| now.since(oldest.at) > KEPT)
        {
            entries.pop_front();
        }
        entries.push_back(Entry { lease: lease.clone(), created: None, at: now });
    }

    /// Notes how work ended. What was surely not sent needs no second look.
    pub(super) fn settled(&self, lease: &Lease, outcome: &Outcome) {
        let mut entries = self.entries();
        let found = entries.iter().rposition(|entry| entry.lease == *lease);
        let Some(position) = found else { return };
        match outcome {
            Outcome::Created(upstream) => entries[position].created = Some(*upstream),
            Outcome::Retry { .. }
            | Outcome::Postponed { .. }
            | Outcome::Look { .. }
            | Outcome::SendAgain { .. }
            | Outcome::Told => drop(entries.remove(position)),
            Outcome::Unknown { .. } | Outcome::Dead { .. } => {}
        }
    }

    /// What is noted of one lane.
    pub(super) fn of(&self, lane: &crate::lead::DestinationId) -> Vec<Entry> {
        self.entries().iter().filter(|entry| entry.lease.lane == *lane).cloned().collect()
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
