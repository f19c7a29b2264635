//! Notices whose own requests are refused though the token works for others.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::lead::{SubmissionId, Timestamp};

/// So often a notice is refused before the refusal is taken for its own.
const OWN: u32 = 5;

/// A token that has worked within this works.
const WORKS_FOR: Duration = Duration::from_secs(3600);

/// More are not remembered of a source; forgetting one only puts its end off.
const KNOWN_MAX: usize = 10_000;

/// What one source remembers of refusals.
#[derive(Default)]
pub(super) struct Refusals(Mutex<State>);

#[derive(Default)]
struct State {
    /// When a lead was there whole last, by whose token it was fetched with.
    worked: HashMap<String, Timestamp>,
    /// How often, and since when.
    refused: HashMap<SubmissionId, (u32, Timestamp)>,
}

impl Refusals {
    /// The lead of notice `id` is there.
    pub(super) fn works(&self, whose: &str, id: SubmissionId, now: Timestamp) {
        let state = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.refused.remove(&id);
        if state.worked.len() >= KNOWN_MAX && !state.worked.contains_key(whose) {
            state.worked.clear();
        }
        state.worked.insert(whose.to_owned(), now);
    }

    /// A request of notice `id` was refused; whether that is the notice's own fault: the token has
    /// worked for another one since the first refusal, and lately.
    pub(super) fn is_its_own(&self, whose: &str, id: SubmissionId, now: Timestamp) -> bool {
        let state = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.refused.len() >= KNOWN_MAX && !state.refused.contains_key(&id) {
            state.refused.clear();
        }
        let (times, first) = state.refused.entry(id).or_insert((0, now));
        *times += 1;
        let worked = state.worked.get(whose);
        let is_its_own =
            *times >= OWN && worked.is_some_and(|at| at >= first && now.since(*at) <= WORKS_FOR);
        if is_its_own {
            state.refused.remove(&id);
        }
        is_its_own
    }
}
