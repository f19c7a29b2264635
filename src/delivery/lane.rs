//! One lane per destination: lease → pace → send → classify → settle.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};

use super::compose::Composer;
use super::gate::{Gate, LANE_STATES, Pacer, Permission, Turn};
use super::retry;
use super::verdict::judge;
use crate::caresoft::{Client, NewLead};
use crate::config::{Destination, Retry};
use crate::lead::{Clock, DestinationId, Event, Timestamp};
use crate::store::{Outcome, Settled, Store, Work};
use crate::telemetry::Metrics;

/// A lease outlives the longest attempt by this much: the time to write down how it ended.
const LEASE_MARGIN: Duration = Duration::from_secs(10);

/// A fast lane leases this part of a second's worth at once, since each lease costs a commit; at
/// CareSoft's rates it leases one by one, and a fresh lead waits behind none.
const AHEAD: u32 = 50;

/// An idle lane looks by itself this often, should a wake-up ever be lost.
const IDLE_POLL: Duration = Duration::from_secs(1);

/// Added to a lane's pause, so that lanes that were stopped together do not resume together.
const JITTER_MAX: Duration = Duration::from_millis(250);

/// Between two tries to write down how an attempt ended.
const SETTLE_AGAIN: Duration = Duration::from_millis(250);

/// The delivery of one destination.
pub struct Lane {
    id: DestinationId,
    store: Arc<dyn Store>,
    client: Client,
    composer: Composer,
    gate: Gate,
    gate_moved: Notify,
    pacer: Pacer,
    retry: Retry,
    batch: usize,
    slots: Arc<Semaphore>,
    lease_term: Duration,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl Lane {
    /// A lane that sends nothing yet.
    pub fn new(
        id: DestinationId,
        destination: &Destination,
        client: Client,
        composer: Composer,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let batch = (destination.rate.per_second.get() / AHEAD).clamp(1, 256);
        metrics.lane(&id, "open", &LANE_STATES);
        Self {
            id,
            store,
            client,
            composer,
            gate: Gate::new(destination.breaker, destination.lockout),
            gate_moved: Notify::new(),
            pacer: Pacer::new(destination.rate),
            retry: destination.retry,
            batch: usize::try_from(batch).unwrap_or(1),
            slots: Arc::new(Semaphore::new(destination.max_in_flight)),
            lease_term: destination.timeout + LEASE_MARGIN,
            metrics,
            clock,
        }
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
        while let Some((slots, turn)) = self.permission(&mut stop).await {
            while let Some(ended) = sending.try_join_next() {
                self.note(ended);
            }
            arrivals.mark_unchanged(); // before the lease looks: nothing arrives unnoticed
            let (now, lane) = (self.clock.now(), &self.id);
            match self.store.lease(lane, slots.len(), now, self.lease_term).await {
                Ok(leased) if leased.work.is_empty() => {
                    drop(slots);
                    self.gate.cancel(turn);
                    self.idle(leased.next_due, &mut arrivals, &mut stop).await;
                }
                Ok(leased) => {
                    if let Err(wait) =
                        self.begin(leased.work, slots, turn, &mut sending, &stop).await
                    {
                        self.sleep(wait, &mut stop).await;
                    }
                }
                Err(error) => {
                    drop(slots);
                    self.gate.cancel(turn);
                    self.metrics.store_error(self.store.kind());
                    tracing::error!(lane = %self.id, %error, "no work could be leased");
                    self.idle(None, &mut arrivals, &mut stop).await;
                }
            }
        }
        while let Some(ended) = sending.join_next().await {
            self.note(ended);
        }
    }

    /// Waits for slots and for the gate. `None` when the lane is to stop.
    async fn permission(
        &self,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<(Vec<OwnedSemaphorePermit>, Turn)> {
        let slot = tokio::select! {
            biased;
            () = stopped(stop) => return None,
            slot = Arc::clone(&self.slots).acquire_owned() => slot.ok()?,
        };
        loop {
            let moved = self.gate_moved.notified();
            let wait = match self.gate.enter(self.clock.now()) {
                Permission::Go { turn, alone } => {
                    return Some((self.slots_for_batch(slot, alone), turn));
                }
                Permission::Probing => IDLE_POLL,
                Permission::Closed(until) => until.since(self.clock.now()),
            };
            tokio::select! {
                biased;
                () = stopped(stop) => return None,
                () = moved => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// As many slots as are free, up to a batch; a probe goes alone.
    fn slots_for_batch(
        &self,
        first: OwnedSemaphorePermit,
        alone: bool,
    ) -> Vec<OwnedSemaphorePermit> {
        let mut slots = vec![first];
        while !alone && slots.len() < self.batch {
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { break };
            slots.push(slot);
        }
        slots
    }

    /// Sends each record when the pace allows, in a task of its own that has the turn from then
    /// on. What may not go out any more is handed back, and the turn too if nothing went out.
    ///
    /// # Errors
    /// How long until the hour's allowance has room again, when it is used up.
    async fn begin(
        self: &Arc<Self>,
        work: Vec<Work>,
        slots: Vec<OwnedSemaphorePermit>,
        turn: Turn,
        sending: &mut JoinSet<()>,
        stop: &watch::Receiver<bool>,
    ) -> Result<(), Duration> {
        let mut used_up = Ok(());
        let mut has_begun = false;
        for (work, slot) in work.into_iter().zip(slots) {
            // Made beforehand, so that nothing stands between the pace and the send.
            let request = self.composer.compose(&work);
            if used_up.is_ok() {
                used_up = self.pacer.spend_hour();
            }
            if used_up.is_ok() {
                self.pacer.wait_second().await;
            }
            // Looked at last: a 429 or a stop may have come while the pace was waited for.
            if used_up.is_err() || *stop.borrow() || !self.gate.holds(turn) {
                self.hand_back(&work).await;
                continue;
            }
            has_begun = true;
            let lane = Arc::clone(self);
            sending.spawn(async move {
                let _turn = lane.gate.keep(turn);
                lane.send(&work, &request, turn).await;
                drop(slot);
            });
        }
        if !has_begun {
            self.gate.cancel(turn);
        }
        used_up
    }

    /// A task that sends ends by itself, or with a fault of this program: its lead was perhaps
    /// sent, so it becomes `unknown` when its lease expires.
    fn note(&self, ended: Result<(), JoinError>) {
        if ended.is_err_and(|error| error.is_panic()) {
            tracing::error!(lane = %self.id, "a sending task panicked");
        }
    }

    async fn sleep(&self, wait: Duration, stop: &mut watch::Receiver<bool>) {
        tokio::select! {
            biased;
            () = stopped(stop) => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    async fn idle(
        &self,
        next_due: Option<Timestamp>,
        arrivals: &mut watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
    ) {
        let due = next_due.map_or(IDLE_POLL, |due| due.since(self.clock.now()));
        tokio::select! {
            biased;
            () = stopped(stop) => {}
            _ = arrivals.changed() => {}
            () = tokio::time::sleep(due.min(IDLE_POLL)) => {}
        }
    }

    /// Puts a record that was not sent back where it stood.
    async fn hand_back(&self, work: &Work) {
        let now = self.clock.now();
        let event = Event::plain(now, "handed_back");
        self.settle(work, Outcome::Postponed { due: now }, event).await;
    }

    async fn send(&self, work: &Work, request: &NewLead, turn: Turn) {
        let began = self.clock.now();
        let exchange = self.client.create_lead(request).await;
        let now = self.clock.now();
        let verdict = judge(&exchange.result, work, &self.retry, now);
        let call = exchange.call.as_str();
        self.metrics.upstream(&self.id, call, verdict.word, exchange.elapsed);
        let jitter = retry::jitter(JITTER_MAX);
        if let Some(state) = self.gate.leave(turn, verdict.signal, now, jitter) {
            self.metrics.lane(&self.id, state, &LANE_STATES);
            tracing::warn!(lane = %self.id, state, "the lane changed its state");
        }
        self.gate_moved.notify_waiters();
        let event = Event {
            outcome: Some(verdict.outcome.word().to_owned()),
            status: exchange.status,
            ms: u64::try_from(exchange.elapsed.as_millis()).ok(),
            detail: verdict.detail,
            ..Event::plain(began, "attempt")
        };
        let created = matches!(verdict.outcome, Outcome::Created(_));
        if self.settle(work, verdict.outcome, event).await == Some(Settled::Done) && created {
            self.metrics.created(&work.source, now.since(work.received_at));
        }
    }

    /// Writes down how work ended, again and again while the lease lasts. If the store stays
    /// away, the lease expires and the record becomes `unknown`, which is the truth.
    async fn settle(&self, work: &Work, outcome: Outcome, event: Event) -> Option<Settled> {
        loop {
            let now = self.clock.now();
            match self.store.settle(&work.lease, now, outcome.clone(), event.clone()).await {
                Ok(settled) => {
                    if settled == Settled::Stale {
                        let (id, outcome) = (work.lease.id, outcome.word());
                        tracing::warn!(lane = %self.id, lead_id = %id, outcome, "an outcome came too late");
                    }
                    return Some(settled);
                }
                Err(error) if now >= work.lease.deadline => {
                    let id = work.lease.id;
                    tracing::error!(lane = %self.id, lead_id = %id, %error, "an outcome could not be stored");
                    return None;
                }
                Err(_) => {
                    self.metrics.store_error(self.store.kind());
                    tokio::time::sleep(SETTLE_AGAIN).await;
                }
            }
        }
    }
}

/// Resolves when the lane is to stop, or when whoever could say so is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
