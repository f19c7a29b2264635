//! When a source's platform may be asked: a pace, and silence while it has asked for some or a
//! token does not work.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Standing;
use crate::lead::Timestamp;

/// A stop is looked at so often.
const PROBE_EVERY: Duration = Duration::from_secs(300);

/// Silence that nobody has said the length of, doubling from the one to the other.
const SILENCE: Duration = Duration::from_secs(60);
const SILENCE_MAX: Duration = Duration::from_secs(1800);

/// Longer silence is taken for a mistake.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Who asks after a silence has this long to come back; then another one may.
const PROBE_TERM: Duration = Duration::from_secs(90);

/// Whoever comes while another one asks comes again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A place further ahead than this is not given: the pace is short of what comes.
const AHEAD_MAX: Duration = Duration::from_secs(5);

/// Whose tokens are stopped, one by one; beyond this the whole source is.
const STOPS_MAX: usize = 1000;

/// What stands for the whole source.
const ALL: &str = "";

/// One source's gate.
pub(super) struct Gate {
    /// Between two requests.
    apart: Duration,
    state: Mutex<State>,
}

struct State {
    next: Timestamp,
    /// Rises whenever something closes: what was asked before says nothing of what holds since.
    generation: u64,
    /// By whose token; [`ALL`] of the platform's own asking.
    closed: HashMap<String, Closed>,
}

struct Closed {
    until: Timestamp,
    /// A person has to mend something.
    is_stop: bool,
    why: String,
    /// How often in a row.
    times: u32,
    /// Somebody asks whether it is over, until then.
    probed_until: Option<Timestamp>,
    /// Since which generation.
    generation: u64,
}

/// The right to ask once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Not before this.
    pub place: Timestamp,
    generation: u64,
}

/// Why nobody may ask.
#[derive(Debug)]
pub(super) struct Shut {
    pub length: Duration,
    pub is_stop: bool,
    pub why: String,
}

/// What an answer says of the gate.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    /// The platform and the token are in order.
    Open,
    /// Nothing.
    Unsure,
    /// Silence, for as long as was told.
    Wait(Option<Duration>),
    /// The token does not work.
    Stop,
}

impl Gate {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let apart = Duration::from_millis(1000_u64.div_ceil(u64::from(per_second.get())));
        let next = Timestamp::from_millis(0);
        let state = State { next, generation: 0, closed: HashMap::new() };
        Self { apart, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next place in the pace, for one who asks with the token of `whose`.
    pub(super) fn enter(&self, whose: &str, now: Timestamp) -> Result<Entry, Shut> {
        let state = &mut *self.state();
        for key in [ALL, whose] {
            let Some(closed) = state.closed.get(key) else { continue };
            let shut = |length| Shut { length, is_stop: closed.is_stop, why: closed.why.clone() };
            if closed.until > now {
                return Err(shut(closed.until.since(now)));
            }
            if closed.probed_until.is_some_and(|until| until > now) {
                return Err(shut(LOOK_AGAIN));
            }
        }
        let place = state.next.max(now);
        if place.since(now) > AHEAD_MAX {
            let why = "the pace of its source is used up".to_owned();
            return Err(Shut { length: place.since(now), is_stop: false, why });
        }
        for key in [ALL, whose] {
            if let Some(closed) = state.closed.get_mut(key) {
                closed.probed_until = Some(now.plus(PROBE_TERM));
            }
        }
        state.next = place.plus(self.apart);
        Ok(Entry { place, generation: state.generation })
    }

    /// The place after `entry`'s for the same errand, with another token.
    pub(super) fn again(&self, entry: Entry, now: Timestamp) -> Entry {
        let state = &mut *self.state();
        let place = state.next.max(now);
        state.next = place.plus(self.apart);
        Entry { place, ..entry }
    }

    /// What an answer has come to: how long it is closed for, and how it stands where that has
    /// changed.
    pub(super) fn settle(
        &self,
        whose: &str,
        entry: Entry,
        verdict: Verdict,
        why: &str,
        now: Timestamp,
    ) -> (Duration, Option<Standing>) {
        let state = &mut *self.state();
        let was_stopped = state.is_stopped();
        let length = match verdict {
            Verdict::Open => {
                // What was asked before it closed says nothing.
                let is_open = |closed: &Closed| closed.generation <= entry.generation;
                for key in [ALL, whose] {
                    if state.closed.get(key).is_some_and(is_open) {
                        state.closed.remove(key);
                    }
                }
                Duration::ZERO
            }
            Verdict::Unsure => {
                for key in [ALL, whose] {
                    if let Some(closed) = state.closed.get_mut(key) {
                        closed.probed_until = None;
                        closed.until = closed.until.max(now.plus(LOOK_AGAIN));
                    }
                }
                Duration::ZERO
            }
            Verdict::Wait(told) => state.close(ALL, told, false, why, now),
            Verdict::Stop => state.close(whose, Some(PROBE_EVERY), true, why, now),
        };
        let standing = match (was_stopped, state.is_stopped()) {
            (false, true) => {
                Some(Standing::Stopped { why: why.to_owned(), until: now.plus(length) })
            }
            (true, false) => Some(Standing::Resumed),
            _ => None,
        };
        (length, standing)
    }
}

impl State {
    fn is_stopped(&self) -> bool {
        self.closed.values().any(|closed| closed.is_stop)
    }

    fn close(
        &mut self,
        key: &str,
        told: Option<Duration>,
        is_stop: bool,
        why: &str,
        now: Timestamp,
    ) -> Duration {
        let is_full = self.closed.len() >= STOPS_MAX && !self.closed.contains_key(key);
        let key = if is_full { ALL } else { key };
        let before = self.closed.get(key);
        let times = before.map_or(0, |closed| match closed.until > now {
            true => closed.times, // asked before it closed: it is the same silence
            false => closed.times.saturating_add(1),
        });
        let doubled = SILENCE.saturating_mul(1 << times.min(10)).min(SILENCE_MAX);
        let length = told.unwrap_or(doubled).min(WAIT_MAX);
        let until = now.plus(length).max(before.map_or(now, |closed| closed.until));
        // A stop beneath a silence stays one.
        let is_stop = is_stop || before.is_some_and(|closed| closed.is_stop);
        self.generation += 1;
        let closed = Closed {
            until,
            is_stop,
            why: why.to_owned(),
            times,
            probed_until: None,
            generation: self.generation,
        };
        self.closed.insert(key.to_owned(), closed);
        until.since(now)
    }
}
