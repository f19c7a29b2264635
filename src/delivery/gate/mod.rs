//! Whether a lane may send: what CareSoft's answers say about going on, over all replicas.
//!
//! The gate that rules is the store's ([`SharedGate`]), and a replica moves it by comparing its
//! version. Each holds a view of it. What an answer says applies to the view at once, before the
//! store is asked, and is shared as soon as the store answers. While all is fine nothing is
//! written.

mod order;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

pub use self::order::{LaneStanding, Order, give_order, lane_standing};
use self::state::{Entry, State};
pub use self::state::{LANE_STATES, Rules, Signal};
use crate::lead::{DestinationId, SubmissionId, Timestamp};
use crate::notify::{Notifier, Standing};
use crate::store::{SharedGate, Store, StoreError};

/// Whoever loses against others so often in a row has seen the newest gate and waits a moment.
const SHARES_MAX: usize = 8;

/// A view that could not be shared yet lets no probe go; it is looked at again after this.
const SHARE_AGAIN: Duration = Duration::from_secs(1);

/// A turn to send. Handed back with what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    generation: u64,
    word: u64,
    is_probe: bool,
}

/// See [`Gate::keep`].
pub struct KeptTurn<'a> {
    gate: &'a Gate,
    turn: Turn,
}

impl Drop for KeptTurn<'_> {
    fn drop(&mut self) {
        self.gate.cancel(self.turn);
    }
}

/// What the gate says to a worker that wants to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Send. With `alone`, one request only, a probe, which has to be [claimed](Gate::claim)
    /// before it goes out.
    Go { turn: Turn, alone: bool },
    /// Not before this.
    Closed(Timestamp),
    /// A probe is under way, here or elsewhere; wait for its end.
    Probing(Timestamp),
}

/// The gate of one lane, as one replica sees it. Closes at the first sign of trouble, opens after
/// one probe.
pub struct Gate {
    lane: DestinationId,
    store: Arc<dyn Store>,
    rules: Rules,
    /// By which this replica's probes are known.
    owner: String,
    view: Mutex<View>,
    moved: Notify,
    notifier: Notifier,
}

/// What one replica knows.
#[derive(Default)]
struct View {
    /// Of the shared gate that `state` was made from.
    version: u64,
    /// That gate.
    shared: State,
    /// What rules here.
    state: State,
    /// Whether `state` is newer than what is shared.
    is_unshared: bool,
    /// Rises with every change of `state`: what was not sent by then is not sent.
    generation: u64,
    /// Rises with what CareSoft's answers change in `state`: what was sent before then knows
    /// nothing of it. A pause is no word of CareSoft's.
    word: u64,
    /// While the gate stands as it does.
    failures_in_a_row: u32,
    /// Whether the probe that `state` speaks of is out, from here.
    probes: bool,
    /// The last version of the shared gate that was written from here.
    noted: u64,
    /// What that was, until the operator is told.
    news: Option<News>,
}

/// The shared gate was moved from here.
struct News {
    version: u64,
    before: Standing,
    after: Standing,
    at: Timestamp,
}

impl Gate {
    /// A gate that stands open until the store was [asked](Gate::sync).
    pub fn new(lane: DestinationId, store: Arc<dyn Store>, rules: Rules) -> Self {
        let owner = SubmissionId::generate().to_string(); // any random name does
        let (view, moved, notifier) = (Mutex::default(), Notify::new(), Notifier::default());
        Self { lane, store, rules, owner, view, moved, notifier }
    }

    /// The same gate, telling the operator when it moves the shared one.
    pub fn notifying(self, notifier: Notifier) -> Self {
        Self { notifier, ..self }
    }

    /// What it goes by.
    pub const fn rules(&self) -> Rules {
        self.rules
    }

    /// Asks for a turn.
    pub fn enter(&self, now: Timestamp) -> Permission {
        let view = self.view();
        let turn = view.turn(false);
        match view.state.entry(now) {
            Entry::Open => Permission::Go { turn, alone: false },
            Entry::Closed(until) => Permission::Closed(until),
            // One of this replica's that is not out: that it was begun was told too late.
            Entry::Probing(until)
                if view.probes || view.state.probe_owner() != Some(self.owner.as_str()) =>
            {
                Permission::Probing(until)
            }
            Entry::Probing(_) | Entry::ProbeDue if view.is_unshared => {
                Permission::Closed(now.plus(SHARE_AGAIN))
            }
            Entry::Probing(_) | Entry::ProbeDue => Permission::Go { turn, alone: true },
        }
    }

    /// Makes the turn of a lane that goes alone a probe, unless another replica was first.
    /// `None` when it is no good any more.
    ///
    /// # Errors
    /// The store does not answer, and nobody knows who probes.
    pub async fn claim(&self, turn: Turn, now: Timestamp) -> Result<Option<Turn>, StoreError> {
        let (from, probing) = {
            let view = self.view();
            if view.generation != turn.generation || view.is_unshared {
                return Ok(None);
            }
            let deadline = now.plus(self.rules.probe_term);
            (view.version, view.state.probed_by(&self.owner, deadline))
        };
        let (text, told) = self.ask(from, &probing).await?;
        Ok(self.change(|view| {
            let is_ours = told.version == from + 1 && told.state == text;
            if is_ours && view.version == from && view.generation == turn.generation {
                view.version = told.version;
                view.shared = probing.clone();
                view.become_state(probing);
            } else if !is_ours || view.version != told.version || view.state != probing {
                view.learn(from, &told, now);
                return None;
            } // or the watch was told before this, of the same probe
            view.probes = true;
            Some(view.turn(true))
        }))
    }

    /// The version of the gate that let a turn through, as the store knows it; `None` when the
    /// gate has closed since, and the turn is good no more.
    pub fn version_of(&self, turn: Turn) -> Option<u64> {
        let view = self.view();
        (view.generation == turn.generation).then_some(view.version)
    }

    /// Whether a turn is still good: the gate has not closed since.
    pub fn holds(&self, turn: Turn) -> bool {
        self.version_of(turn).is_some()
    }

    /// Hands a turn back when it is dropped, whatever happened in between: a probe that was lost
    /// would keep the lane closed until its deadline.
    pub fn keep(&self, turn: Turn) -> KeptTurn<'_> {
        KeptTurn { gate: self, turn }
    }

    /// Hands a turn back unused. Does nothing for one that was handed back already.
    fn cancel(&self, turn: Turn) {
        if turn.is_probe {
            self.leave(turn, Signal::Unasked, Timestamp::from_millis(0), Duration::ZERO);
        }
    }

    /// Hands a turn back with what CareSoft's answer says; `jitter` is added to a pause. It rules
    /// here from now on; [`Gate::sync`] shares it.
    pub fn leave(&self, turn: Turn, signal: Signal, now: Timestamp, jitter: Duration) {
        self.change(|view| {
            let is_stale = turn.word != view.word;
            if is_stale && !matches!(signal, Signal::LockedOut(_)) {
                return; // sent before the gate closed: it knows nothing newer
            }
            match signal {
                Signal::Fine => view.failures_in_a_row = 0,
                Signal::Failing => view.failures_in_a_row += 1,
                _ => {}
            }
            let failures = view.failures_in_a_row;
            let next = view.state.after(signal, failures, &self.rules, now, jitter);
            if next != view.state {
                view.become_state(next);
                view.is_unshared = true;
            }
        });
    }

    /// Shares what is not shared yet, or looks at how the shared gate stands.
    ///
    /// # Errors
    /// The store does not answer. What is known here rules on.
    pub async fn sync(&self, now: Timestamp) -> Result<(), StoreError> {
        let asked = self.view().version;
        if self.is_shared() {
            let told = self.store.gate(&self.lane).await?;
            self.learn(asked, &told, now);
            return Ok(());
        }
        self.share(now).await
    }

    /// Shares what is not shared yet.
    ///
    /// # Errors
    /// The store does not answer. What is known here rules on.
    pub async fn share(&self, now: Timestamp) -> Result<(), StoreError> {
        for _ in 0..SHARES_MAX {
            let (from, before, state) = {
                let view = self.view();
                if !view.is_unshared {
                    break;
                }
                (view.version, view.shared.clone(), view.state.clone())
            };
            let (text, told) = self.ask(from, &state).await?;
            let is_ours = told.version == from + 1 && told.state == text;
            self.change(|view| {
                if is_ours {
                    view.note(told.version, &before, &state, now);
                }
                if view.version != from || !is_ours {
                    return view.learn(from, &told, now);
                }
                view.version = told.version;
                view.shared = state.clone();
                view.is_unshared = view.state != state; // it may have changed again meanwhile
            });
        }
        Ok(())
    }

    /// Whether everything is let through.
    pub fn is_open(&self) -> bool {
        self.view().state == State::default()
    }

    /// Whether the other replicas know what is known here.
    pub fn is_shared(&self) -> bool {
        !self.view().is_unshared
    }

    /// Takes over how the shared gate stands, as the store told it to someone who knew it as
    /// `asked`.
    pub fn learn(&self, asked: u64, told: &SharedGate, now: Timestamp) {
        self.change(|view| view.learn(asked, told, now));
    }

    /// Resolves when what rules here has changed since this was called.
    pub fn moved(&self) -> Notified<'_> {
        self.moved.notified()
    }

    /// The lane's state in a word of [`LANE_STATES`].
    pub fn name(&self) -> &'static str {
        self.view().state.name()
    }

    /// Moves the shared gate; answers what was written and what is in force.
    async fn ask(&self, from: u64, state: &State) -> Result<(String, SharedGate), StoreError> {
        let text = state.write();
        let told = self.store.move_gate(&self.lane, from, text.clone()).await?;
        Ok((text, told))
    }

    fn change<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        let mut view = self.view();
        let before = view.generation;
        let result = change(&mut view);
        let has_moved = view.generation != before;
        let news = view.news.take();
        drop(view);
        if let Some(News { version, before, after, at }) = news {
            self.notifier.lane_moved(&self.lane, version, before, after, at);
        }
        if has_moved {
            self.moved.notify_waiters();
        }
        result
    }

    fn view(&self) -> MutexGuard<'_, View> {
        // Nothing in here panics half-way, so a poisoned view is still a whole one.
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View {
    /// Takes over what the store told someone who knew the gate as `asked`. When the view has
    /// moved on since, that is old and says nothing.
    fn learn(&mut self, asked: u64, told: &SharedGate, now: Timestamp) {
        if self.version != asked || told.version == asked {
            return;
        }
        let shared = State::read(&told.state, now);
        let before = std::mem::replace(&mut self.shared, shared.clone());
        self.version = told.version;
        if told.version < asked && self.state != State::default() {
            // The store has lost what it knew. What is known here is newer, and is told again.
            self.is_unshared = true;
            self.noted = 0;
            return;
        }
        // What was not shared yet comes from answers to requests that an older gate let through.
        // They know nothing newer, but for a lock-out, which holds whenever it was heard of.
        let silence = if self.is_unshared { self.state.silence(now) } else { None };
        if self.is_unshared && self.state == shared {
            self.is_unshared = false; // it is this one's own: the answer to that is on its way
            self.note(told.version, &before, &shared, now);
            return;
        }
        let is_pause = told.version == asked + 1 && shared.is_but_for_a_pause(&before);
        if is_pause {
            // No word of CareSoft's: what answers have said here since holds, shared or not.
            self.state = self.state.with_pause(shared.is_paused());
            self.generation += 1;
            self.is_unshared = self.state != shared;
            return;
        }
        let state = silence.map_or_else(|| shared.clone(), |until| shared.silent(until));
        let differs = state != shared;
        self.become_state(state);
        self.is_unshared = differs;
    }

    /// A turn of now.
    fn turn(&self, is_probe: bool) -> Turn {
        Turn { generation: self.generation, word: self.word, is_probe }
    }

    /// A version of the shared gate was written from here. Two tasks may hear so of the same one.
    fn note(&mut self, version: u64, before: &State, after: &State, at: Timestamp) {
        if self.noted != version {
            self.noted = version;
            let (before, after) = (before.standing(), after.standing());
            self.news = Some(News { version, before, after, at });
        }
    }

    fn become_state(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
        self.word += 1;
        self.failures_in_a_row = 0;
        self.probes = false;
    }
}
