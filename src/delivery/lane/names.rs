//! The names of options that the configuration uses are learned from CareSoft before leads go out,
//! and again each day: an account's fields change.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::super::gate::Turn;
use super::Lane;
use super::asking::{Asking, Ended};
use super::sending::Place;
use crate::lead::{Timestamp, TraceId};

/// CareSoft docs, "Custom fields": they can change at any time, ask once a day.
const LEARN_EVERY: Duration = Duration::from_secs(24 * 3600);

/// After a list that did not come.
const LEARN_AGAIN: Duration = Duration::from_secs(60);

/// Leads wait for so many tries. Then they go without those fields: what was answered is in the
/// comment too, and a lead without a field is worth more than none.
const TRIES: u32 = 3;

/// When the names are to be asked for.
#[derive(Default)]
pub(super) struct Names(Mutex<Due>);

#[derive(Clone, Copy, Default)]
struct Due {
    next: Option<Timestamp>,
    failures: u32,
}

impl Names {
    /// Goes by what `before` knows.
    pub(super) fn as_of(before: &Self) -> Self {
        Self(Mutex::new(*before.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next.is_none_or(|next| now >= next)
    }

    /// Notes how asking ended; whether leads are still to wait.
    fn note(&self, is_learned: bool, now: Timestamp) -> bool {
        let mut due = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_learned {
            *due = Due { next: Some(now.plus(LEARN_EVERY)), failures: 0 };
            return false;
        }
        due.failures = due.failures.saturating_add(1);
        let must_wait = due.next.is_none() && due.failures < TRIES;
        if !must_wait {
            due.next = Some(now.plus(LEARN_AGAIN));
        }
        must_wait
    }
}

impl Lane {
    /// Whether to [learn](Self::learn_names) before anything is leased.
    pub(super) fn names_are_due(&self) -> bool {
        self.composer.wants_names() && self.names.is_due(self.clock.now())
    }

    /// Asks CareSoft for its fields, with a turn of its own (a probe's, if the lane goes alone).
    pub(super) async fn learn_names(
        &self,
        turn: Turn,
        alone: bool,
        stop: &mut watch::Receiver<bool>,
    ) {
        let turn = match self.place(turn, stop).await {
            Place::At(at) => {
                self.wait_until(at, stop).await;
                if alone { self.claim(turn, stop).await } else { Some(turn) }
            }
            Place::Later(wait) => {
                self.sleep(wait, stop).await;
                None
            }
            Place::Gone => None,
        };
        let Some(turn) = turn.filter(|turn| self.gate.holds(*turn) && !*stop.borrow()) else {
            return; // the gate has closed, or the lane is to stop
        };
        let _kept = self.gate.keep(turn);
        let deadline = self.clock.now().plus(self.timeout * 2);
        let mut asking = Asking::new(self, deadline, turn, TraceId::generate(), stop.clone());
        let asked = asking.ask(|client| async move { client.ticket_custom_fields().await }).await;
        let is_learned = match asked {
            Ok(fields) => {
                self.composer.learn(&fields);
                true
            }
            Err(Ended::Stopped) => return,
            Err(Ended::Failed(failure)) if !self.gate.is_open() => {
                tracing::debug!(lane = %self.id, %failure, "custom fields are asked for again when the lane is open");
                return;
            }
            Err(Ended::Failed(failure)) => {
                tracing::error!(lane = %self.id, %failure, "CareSoft's custom fields could not be read: options by name are not sent");
                false
            }
        };
        if self.names.note(is_learned, self.clock.now()) {
            self.sleep(Duration::from_secs(1), stop).await;
        }
    }
}
