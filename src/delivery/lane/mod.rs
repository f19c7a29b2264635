//! One lane per destination: lease → pace → send → classify → settle. What it does about a record
//! is in `tasks.rs`.

mod asking;
mod comment;
mod look;
mod names;
mod preview;
mod sending;
mod tasks;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

use self::names::Names;
use super::compose::Composer;
use super::gate::{Gate, LANE_STATES, Permission, Rules, Turn};
use super::hosts::Hosts;
use super::pace::Pacer;
use super::retry;
use crate::config::{Destination, Retry};
use crate::fail_point::{self, FailPoint};
use crate::lead::{Clock, DestinationId, Timestamp};
use crate::notify::Notifier;
use crate::store::{PLACE_AHEAD_MAX, Store, StoreError, Task, Wanted, Work};
use crate::telemetry::Metrics;

/// A lease outlives the longest attempt by this much: the time to write down how it ended. So
/// does the right to probe, which begins just before its request goes out.
const LEASE_MARGIN: Duration = Duration::from_secs(10);

/// So many records are looked for or told at once.
const CHORES_MAX: usize = 4;

/// A look may take some twenty requests, which are done in some seconds when CareSoft is well.
const CHORE_TERM_MIN: Duration = Duration::from_secs(120);

/// A fast lane leases this part of a second's worth at once, since each lease costs a commit; at
/// CareSoft's rates it leases one by one, and a fresh lead waits behind none.
const AHEAD: u32 = 50;

/// Its slots come free one by one: while few are, it waits a moment for more, or it would lease one
/// by one all the same.
const GATHERED_FOR: Duration = Duration::from_millis(5);

/// An idle lane looks by itself this often, should a wake-up ever be lost. So does every lane at
/// the shared gate.
const IDLE_POLL: Duration = Duration::from_secs(1);

/// Every submission wakes a lane: it does not look at the shared gate more often than this.
const LOOK_GAP: Duration = Duration::from_millis(50);

/// The delivery of one destination.
pub struct Lane {
    id: DestinationId,
    store: Arc<dyn Store>,
    hosts: Hosts,
    composer: Composer,
    names: Names,
    comment_author_id: Option<u64>,
    gate: Arc<Gate>,
    shown: Mutex<Shown>,
    pacer: Pacer,
    retry: Retry,
    batch: usize,
    /// So many slots are worth a lease.
    enough: usize,
    slots: Arc<Semaphore>,
    /// Chores take several requests each, and slots all the while.
    chore_slots: Arc<Semaphore>,
    chore_done: Notify,
    /// Whether leads wait to be made.
    busy: AtomicBool,
    timeout: Duration,
    metrics: Arc<Metrics>,
    notifier: Notifier,
    clock: Clock,
    in_trouble: AtomicBool,
}

/// The lane's state as it was last shown.
struct Shown {
    metric: &'static str,
    /// In the log, where `probing` is not told: it lasts a moment, and what comes of it is.
    told: &'static str,
}

impl Lane {
    /// A lane that sends nothing yet.
    pub fn new(
        id: DestinationId,
        destination: &Destination,
        hosts: Hosts,
        composer: Composer,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let batch = (destination.rate.per_second.get() / AHEAD).clamp(1, 256);
        let batch = usize::try_from(batch).unwrap_or(1);
        let rules = Rules {
            breaker: destination.breaker,
            lockout: destination.lockout,
            probe_term: destination.timeout + LEASE_MARGIN,
        };
        Self {
            gate: Arc::new(Gate::new(id.clone(), Arc::clone(&store), rules)),
            id,
            store,
            hosts,
            composer,
            names: Names::default(),
            comment_author_id: destination.comment_author_id,
            shown: Mutex::new(Shown { metric: "open", told: "open" }),
            pacer: Pacer::new(destination.rate),
            retry: destination.retry,
            batch,
            enough: batch.min(destination.max_in_flight / 2),
            slots: Arc::new(Semaphore::new(destination.max_in_flight)),
            chore_slots: Arc::new(Semaphore::new(
                CHORES_MAX.min(destination.max_in_flight / 2).max(1),
            )),
            chore_done: Notify::new(),
            busy: AtomicBool::new(false),
            timeout: destination.timeout,
            metrics,
            notifier: Notifier::default(),
            clock,
            in_trouble: AtomicBool::new(false),
        }
    }

    /// The same lane, telling the operator what becomes of its leads and of itself.
    #[must_use]
    pub fn notifying(self, notifier: Notifier) -> Self {
        let gate = Gate::new(self.id.clone(), Arc::clone(&self.store), self.gate.rules());
        Self { gate: Arc::new(gate.notifying(notifier.clone())), notifier, ..self }
    }

    /// The same lane in the place of another one of its name, which may still finish what it has
    /// begun: the two are to CareSoft as two replicas are. What the other one knows of the gate
    /// is known to this one too, where they have the same rules, and what it has learned of the
    /// account's fields, where it is the `same_account`.
    #[must_use]
    pub fn in_place_of(self, before: &Self, same_account: bool) -> Self {
        let same_rules = self.gate.rules() == before.gate.rules();
        let gate = if same_rules { Arc::clone(&before.gate) } else { self.gate };
        let has_learned = same_account && self.composer.learn_from(&before.composer);
        let names = if has_learned { Names::as_of(&before.names) } else { self.names };
        let state = gate.name();
        let shown = Mutex::new(Shown { metric: state, told: state });
        Self { gate, names, shown, ..self }
    }

    /// The lane's name.
    pub fn id(&self) -> &DestinationId {
        &self.id
    }

    /// The lane's state in a word of [`LANE_STATES`].
    pub fn state(&self) -> &'static str {
        self.gate.name()
    }

    /// Sends until `stop` turns true; then finishes what is under way and hands back the rest.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut arrivals = self.store.arrivals();
        let mut sending = JoinSet::new();
        self.metrics.lane(&self.id, self.state(), &LANE_STATES);
        // What the others know, and what this one knew before it was started anew. Should the
        // store not answer now, it tells when it is asked for the first place.
        let _ = self.sync(&mut stop).await;
        let mut watching = JoinSet::new();
        watching.spawn(Arc::clone(&self).watch(stop.clone()));
        while let Some((slots, turn, alone)) = self.permission(&mut stop).await {
            while let Some(ended) = sending.try_join_next() {
                self.note(ended);
            }
            if self.names_are_due() {
                self.learn_names(turn, alone, &mut stop).await;
                continue;
            }
            arrivals.mark_unchanged(); // before the lease looks: nothing arrives unnoticed
            let wanted = Wanted {
                max: slots.len(),
                chores: self.chore_slots.available_permits().min(slots.len()),
                create_term: self.timeout + LEASE_MARGIN,
                chore_term: CHORE_TERM_MIN.max(self.timeout * 4) + LEASE_MARGIN,
            };
            match self.store.lease(&self.id, wanted, self.clock.now()).await {
                Ok(leased) if leased.work.is_empty() => {
                    self.in_trouble.store(false, Ordering::Relaxed);
                    self.busy.store(false, Ordering::Relaxed);
                    drop(slots);
                    self.idle(leased.next_due, &mut arrivals, &mut stop).await;
                }
                Ok(leased) => {
                    fail_point::pass(FailPoint::Leased);
                    self.in_trouble.store(false, Ordering::Relaxed);
                    let is_create = |work: &Work| matches!(work.task, Task::Create { .. });
                    if leased.work.iter().any(is_create) {
                        self.busy.store(true, Ordering::Relaxed);
                    }
                    let begun = leased.work.into_iter().zip(slots);
                    let begun = self.begin(begun, turn, alone, &mut sending, &mut stop).await;
                    if let Err(wait) = begun {
                        self.stand_back(wait, &mut stop).await;
                    }
                }
                Err(error) => {
                    drop(slots);
                    self.trouble("no work could be leased", &error);
                    self.idle(None, &mut arrivals, &mut stop).await;
                }
            }
        }
        while let Some(ended) = sending.join_next().await {
            self.note(ended);
        }
        while watching.join_next().await.is_some() {}
        self.share().await; // a probe that was not sent is not waited for
    }

    /// Keeps this replica's gate and the store's together, whatever else the lane waits for.
    async fn watch(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut news = self.store.arrivals();
        let mut is_told = false;
        while !*stop.borrow() {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                _ = news.changed() => {}
                () = sleep(IDLE_POLL) => {}
            }
            let synced = self.sync(&mut stop).await;
            if let Err(error) = &synced {
                self.metrics.store_error(self.store.kind());
                if !is_told {
                    tracing::error!(lane = %self.id, %error, "the lane's gate could not be looked at");
                }
            }
            is_told = synced.is_err(); // once, not each second while the store is away
            self.sleep(LOOK_GAP, &mut stop).await;
        }
    }

    /// A slot for a chore; the lane leases no more chores than it has of these.
    fn chore_slot(&self, task: &Task) -> Option<OwnedSemaphorePermit> {
        match task {
            Task::Create { .. } => None,
            Task::Look(_) | Task::Comment { .. } => {
                Arc::clone(&self.chore_slots).try_acquire_owned().ok()
            }
        }
    }

    /// Whether leads wait to be made.
    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Waits for slots and for the gate. `None` when the lane is to stop.
    async fn permission(
        &self,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<(Vec<OwnedSemaphorePermit>, Turn, bool)> {
        let first = tokio::select! {
            biased;
            () = stopped(stop) => return None,
            slot = Arc::clone(&self.slots).acquire_owned() => slot.ok()?,
        };
        let mut slots = self.slots_for_batch(first).await;
        loop {
            let moved = self.gate.moved();
            let now = self.clock.now();
            let until = match self.gate.enter(now) {
                Permission::Go { turn, alone } => {
                    slots.truncate(if alone { 1 } else { self.batch }); // a probe goes alone
                    return Some((slots, turn, alone));
                }
                Permission::Closed(until) | Permission::Probing(until) => until,
            };
            tokio::select! {
                biased;
                () = stopped(stop) => return None,
                () = moved => {}
                () = self.clock.sleep_until(until) => {}
            }
        }
    }

    /// As many slots as are free, up to a batch, and as many as come free in a moment while these
    /// are few.
    async fn slots_for_batch(&self, first: OwnedSemaphorePermit) -> Vec<OwnedSemaphorePermit> {
        let mut slots = vec![first];
        let until = Instant::now() + GATHERED_FOR;
        while slots.len() < self.batch {
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                slots.push(slot);
                continue;
            }
            if slots.len() >= self.enough {
                break;
            }
            let next = timeout_at(until, Arc::clone(&self.slots).acquire_owned()).await;
            let Ok(Ok(slot)) = next else { break };
            slots.push(slot);
        }
        slots
    }

    /// Brings this replica's gate and the store's together.
    async fn sync(&self, stop: &mut watch::Receiver<bool>) -> Result<(), StoreError> {
        let synced = tokio::select! {
            biased;
            () = stopped(stop) => Ok(()),
            synced = self.gate.sync(self.clock.now()) => synced,
        };
        self.show();
        synced
    }

    /// Tells people when the lane has changed its state.
    fn show(&self) {
        let state = self.gate.name();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.metric != state {
            shown.metric = state;
            self.metrics.lane(&self.id, state, &LANE_STATES);
        }
        if shown.told != state && state != "probing" {
            shown.told = state;
            tracing::warn!(lane = %self.id, state, "the lane changed its state");
        }
    }

    /// The store does not answer: told once, until it does. Each time is counted.
    fn trouble(&self, what: &'static str, error: &StoreError) {
        self.metrics.store_error(self.store.kind());
        if !self.in_trouble.swap(true, Ordering::Relaxed) {
            tracing::error!(lane = %self.id, what, %error, "the store did not answer the lane");
        }
    }

    /// A task that sends ends by itself, or with a fault of this program: its lead was perhaps
    /// sent, so it becomes `unknown` when its lease expires.
    fn note(&self, ended: Result<(), JoinError>) {
        if ended.is_err_and(|error| error.is_panic()) {
            tracing::error!(lane = %self.id, "a sending task panicked");
        }
    }

    /// Waits until the store may give a place away again, `wait` before the place itself: each
    /// time that it is asked too early costs a lease and its return.
    async fn stand_back(&self, wait: Duration, stop: &mut watch::Receiver<bool>) {
        let wait = wait.saturating_sub(PLACE_AHEAD_MAX).max(wait.min(IDLE_POLL));
        self.sleep(wait, stop).await;
    }

    async fn sleep(&self, wait: Duration, stop: &mut watch::Receiver<bool>) {
        tokio::select! {
            biased;
            () = stopped(stop) => {}
            () = sleep(wait) => {}
        }
    }

    async fn idle(
        &self,
        next_due: Option<Timestamp>,
        arrivals: &mut watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
    ) {
        let due = async {
            match next_due {
                Some(due) => self.clock.sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stopped(stop) => {}
            _ = arrivals.changed() => {}
            () = self.chore_done.notified() => {}
            () = due => {}
            () = sleep(IDLE_POLL) => {}
        }
    }
}

/// Resolves when the lane is to stop, or when whoever could say so is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
