//! When a source's platform may be asked: a pace, and silence while it has asked for some or a
//! token does not work.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::runner::SOURCE_MAX;
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

/// Nor is the next place ever further ahead, with one more for each that asks now: it is so far where the
/// clock was put back, and the pace would be closed for as long.
const PLACES_MAX: u32 = SOURCE_MAX as u32 + 1;

/// Whose tokens are stopped, one by one; beyond this the whole source is.
const STOPS_MAX: usize = 1000;

const LONG_AGO: Timestamp = Timestamp::from_millis(0);

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

#[derive(Clone)]
struct Closed {
    until: Timestamp,
    /// Its end is never further away than this.
    length: Duration,
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

/// That something has closed for a person to mend it, or is open again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Whose token it is of; empty: the whole source.
    pub whose: String,
    pub is_stopped: bool,
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
        let state = State { next: LONG_AGO, generation: 0, closed: HashMap::new() };
        Self { apart, state: Mutex::new(state) }
    }

    /// The gate of the same platform for other tokens: what was stopped may be asked for at once, and
    /// is told of when it works; silence that the platform asked for stays.
    pub(super) fn with_other_tokens(&self) -> Self {
        let before = self.state();
        let look = |closed: &Closed| match closed.is_stop {
            true => Closed { until: LONG_AGO, probed_until: None, ..closed.clone() },
            false => closed.clone(),
        };
        let closed = before.closed.iter().map(|(key, closed)| (key.clone(), look(closed)));
        let State { next, generation, .. } = *before;
        let state = State { next, generation, closed: closed.collect() };
        Self { apart: self.apart, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next place in the pace, for one who asks with the token of `whose`.
    pub(super) fn enter(&self, whose: &str, now: Timestamp) -> Result<Entry, Shut> {
        let state = &mut *self.state();
        for key in [ALL, whose] {
            let Some(closed) = state.closed.get_mut(key) else { continue };
            // Further away only where the clock was put back.
            closed.until = closed.until.min(now.plus(closed.length));
            closed.probed_until = closed.probed_until.map(|end| end.min(now.plus(PROBE_TERM)));
            let shut = |length| Shut { length, is_stop: closed.is_stop, why: closed.why.clone() };
            if closed.until > now {
                return Err(shut(closed.until.since(now)));
            }
            if closed.probed_until.is_some_and(|until| until > now) {
                return Err(shut(LOOK_AGAIN));
            }
        }
        let farthest = now.plus(AHEAD_MAX + self.apart * PLACES_MAX);
        state.next = state.next.min(farthest);
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

    /// What an answer has come to: how long it is closed for, and what has stopped or goes on.
    pub(super) fn settle(
        &self,
        whose: &str,
        entry: Entry,
        verdict: Verdict,
        why: &str,
        now: Timestamp,
    ) -> (Duration, Vec<Turn>) {
        let state = &mut *self.state();
        let keys = if whose == ALL { vec![ALL] } else { vec![ALL, whose] };
        let before: Vec<_> = keys.iter().map(|key| state.is_stopped(key)).collect();
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
        let turns = keys.into_iter().zip(before).filter_map(|(key, was_stopped)| {
            let is_stopped = state.is_stopped(key);
            let turn = || Turn { whose: key.to_owned(), is_stopped };
            (is_stopped != was_stopped).then(turn)
        });
        (length, turns.collect())
    }
}

impl State {
    fn is_stopped(&self, key: &str) -> bool {
        self.closed.get(key).is_some_and(|closed| closed.is_stop)
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
            length: until.since(now),
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_795_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn gate() -> Gate {
        Gate::new(const { NonZeroU32::new(5).unwrap() })
    }

    #[test]
    fn a_clock_that_is_put_back_closes_nothing_for_long() {
        let gate = gate();
        let later = NOON.plus(HOUR);
        let first = gate.enter("1", later).unwrap();
        gate.settle("2", first, Verdict::Stop, "refused", later);
        // An hour back.
        assert!(gate.enter("1", NOON).is_err());
        assert!(gate.enter("1", NOON.plus(Duration::from_secs(3))).is_ok());
        let shut = gate.enter("2", NOON).unwrap_err();
        assert!(shut.is_stop && shut.length <= PROBE_EVERY, "{shut:?}");
        assert!(gate.enter("2", NOON.plus(PROBE_EVERY)).is_ok());
    }

    #[test]
    fn what_stops_and_goes_on_is_told_by_whose_it_is() {
        let gate = gate();
        let entry = gate.enter("1", NOON).unwrap();
        let turn = |whose: &str, is_stopped| vec![Turn { whose: whose.to_owned(), is_stopped }];
        let settle = |whose, verdict, now| gate.settle(whose, entry, verdict, "refused", now).1;
        assert_eq!(settle("1", Verdict::Stop, NOON), turn("1", true));
        assert_eq!(settle("2", Verdict::Stop, NOON), turn("2", true));
        assert_eq!(settle("2", Verdict::Stop, NOON), []);
        assert_eq!(settle("3", Verdict::Open, NOON), []);
        let probe = gate.enter("1", NOON.plus(PROBE_EVERY)).unwrap();
        let (_, turns) = gate.settle("1", probe, Verdict::Open, "", NOON.plus(PROBE_EVERY));
        assert_eq!(turns, turn("1", false), "the other is stopped still");
    }
}
