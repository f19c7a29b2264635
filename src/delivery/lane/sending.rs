//! What a lane does with a record that it has leased: a place in the pace, the request, the end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Instrument;

use super::super::gate::Turn;
use super::tasks::traced;
use super::{IDLE_POLL, Lane, stopped};
use crate::fail_point::{self, FailPoint};
use crate::lead::{Event, Timestamp};
use crate::notify::Settling;
use crate::store::{Outcome, Paced, Settled, Work};
use crate::telemetry::trace;

/// Added to a lane's pause, so that lanes that were stopped together do not resume together.
pub(super) const JITTER_MAX: Duration = Duration::from_millis(250);

/// A lane turns to its next record this long before the one at hand goes out, or one step of the
/// pace, if that is less: a lease that takes a moment loses no place. More at once would wait
/// in vain when the gate closes.
const PLACED_AHEAD_MAX: Duration = Duration::from_millis(25);
/// A timer's grain is a millisecond: the fastest lanes need some of them.
const PLACED_AHEAD_MIN: Duration = Duration::from_millis(5);

/// That the gate has moved may be this lane's own news, which it is just sharing: the turn is good
/// all the same, and the place is asked for again.
const PLACE_TRIES: u32 = 2;

/// Between two tries to write down how an attempt ended, at first and at last.
const SETTLE_AGAIN: Duration = Duration::from_millis(250);
const SETTLE_AGAIN_MAX: Duration = Duration::from_secs(5);

/// That a lead was made is believed after its lease, too. After this a store is given up: it has
/// been away for longer than a restart of it takes, and what waits takes up the lane's slots.
const CREATED_KEPT: Duration = Duration::from_secs(600);

/// How often news about the gate is told to a store that does not answer, before it is left to
/// the lane, which tries again before anything else goes out.
const SHARE_TRIES: u32 = 5;
const SHARE_AGAIN: Duration = Duration::from_millis(250);

/// Where a record stands in the pace.
pub(super) enum Place {
    /// It goes out then.
    At(Instant),
    /// The gate is not the one that let it through.
    Gone,
    /// Nothing goes out for so long.
    Later(Duration),
}

impl Lane {
    /// Sends each record at its place in the pace, in a task of its own. What may not go out any
    /// more is handed back.
    ///
    /// # Errors
    /// How long until there is a place again, when there is none now.
    pub(super) async fn begin(
        self: &Arc<Self>,
        work: impl Iterator<Item = (Work, OwnedSemaphorePermit)>,
        turn: Turn,
        alone: bool,
        sending: &mut JoinSet<()>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Duration> {
        let mut ready = Vec::new();
        for (work, slot) in work {
            let chore_slot = self.chore_slot(&work.task);
            let span = traced(&self.id, &work).begin();
            if let Some(prepared) = self.prepare(&work).instrument(span.clone()).await {
                ready.push((work, slot, chore_slot, prepared, span));
            }
        }
        // All at once: a fast lane's batch waits for one answer of the store, not for each.
        let places = join_all(ready.iter().map(|_| self.place(turn, stop))).await;
        let mut later = None;
        for ((work, slot, chore_slot, prepared, span), place) in ready.into_iter().zip(places) {
            if let Place::Later(wait) = place {
                later = Some(wait);
            }
            let Place::At(at) = place else {
                self.hand_back(&work).instrument(span).await;
                continue;
            };
            fail_point::pass(FailPoint::Placed);
            let turn = if alone {
                self.wait_until(at, stop).await;
                let Some(probe) = self.claim(turn, stop).await else {
                    self.hand_back(&work).instrument(span).await;
                    continue;
                };
                fail_point::pass(FailPoint::ProbeClaimed);
                probe
            } else {
                self.wait_until(at - self.placed_ahead(), stop).await;
                turn
            };
            let (lane, stop) = (Arc::clone(self), stop.clone());
            let send = async move {
                let _kept = lane.gate.keep(turn);
                sleep_until(at).await;
                // Looked at last: a 429 or a stop may have come while the place was waited for.
                if *stop.borrow() || !lane.gate.holds(turn) || lane.is_late(work.lease.deadline) {
                    lane.hand_back(&work).await;
                } else {
                    fail_point::pass(FailPoint::Due);
                    lane.carry_out(&work, prepared, turn, stop).await;
                }
                drop(slot);
                if chore_slot.is_some() {
                    drop(chore_slot);
                    lane.chore_done.notify_one();
                }
            };
            sending.spawn(send.instrument(span));
        }
        later.map_or(Ok(()), Err)
    }

    /// Takes the next place in the pace, over all replicas.
    pub(super) async fn place(&self, turn: Turn, stop: &watch::Receiver<bool>) -> Place {
        self.pacer.time_to_ask().await;
        for _ in 0..PLACE_TRIES {
            let Some(version) = self.gate.version_of(turn).filter(|_| !*stop.borrow()) else {
                break;
            };
            match self.store.pace(&self.id, self.pacer.rule(), version).await {
                Ok(Paced::Go(wait)) => return Place::At(Instant::now() + wait),
                Ok(Paced::Later(wait)) => return Place::Later(wait),
                Ok(Paced::Moved(gate)) => {
                    self.gate.learn(version, &gate, self.clock.now());
                    self.show();
                }
                Err(error) => {
                    self.trouble("no place in the pace could be taken", &error);
                    return Place::Later(IDLE_POLL);
                }
            }
        }
        Place::Gone
    }

    /// The right to probe, which one of all replicas gets.
    pub(super) async fn claim(&self, turn: Turn, stop: &watch::Receiver<bool>) -> Option<Turn> {
        if *stop.borrow() {
            return None; // a probe that is not sent would keep all replicas waiting
        }
        let claimed = self.gate.claim(turn, self.clock.now()).await;
        self.show();
        claimed.unwrap_or_else(|error| {
            self.trouble("the right to probe could not be claimed", &error);
            None
        })
    }

    fn placed_ahead(&self) -> Duration {
        self.pacer.rule().between.clamp(PLACED_AHEAD_MIN, PLACED_AHEAD_MAX)
    }

    /// Returns early when the lane is to stop or the gate moves.
    pub(super) async fn wait_until(&self, at: Instant, stop: &mut watch::Receiver<bool>) {
        tokio::select! {
            biased;
            () = stopped(stop) => {}
            () = self.gate.moved() => {}
            () = sleep_until(at) => {}
        }
    }

    /// Whether a request that went out now could outlast the lease: somebody else would take its
    /// record for one that may have been sent, and might look, and replay it, before it is.
    pub(super) fn is_late(&self, deadline: Timestamp) -> bool {
        self.clock.now().plus(self.timeout) > deadline
    }

    /// Puts a record that was not sent back where it stood.
    async fn hand_back(&self, work: &Work) {
        let now = self.clock.now();
        let event = Event::plain(now, "handed_back");
        trace::worked("handed_back", false);
        self.settle(work, Outcome::Postponed { due: now }, event).await;
    }

    /// Tells the other replicas what an answer has said about the gate.
    pub(super) async fn share(&self) {
        for _ in 0..SHARE_TRIES {
            match self.gate.share(self.clock.now()).await {
                Ok(()) => return self.show(),
                Err(_) => {
                    self.metrics.store_error(self.store.kind());
                    sleep(SHARE_AGAIN).await;
                }
            }
        }
        tracing::warn!(lane = %self.id, "the other replicas could not be told how the gate stands");
    }

    /// Writes down how work ended, again and again while the lease lasts. If the store stays
    /// away, the lease expires and the record becomes `unknown`, which is the truth. Only that a
    /// lead was made is worth more, and is tried for longer.
    pub(super) async fn settle(
        &self,
        work: &Work,
        outcome: Outcome,
        event: Event,
    ) -> Option<Settled> {
        let span = trace::settle(outcome.word());
        self.write_down(work, outcome, event).instrument(span).await
    }

    async fn write_down(&self, work: &Work, outcome: Outcome, event: Event) -> Option<Settled> {
        let until = match outcome {
            Outcome::Created(_) => work.lease.deadline.plus(CREATED_KEPT),
            _ => work.lease.deadline,
        };
        let mut again = SETTLE_AGAIN;
        loop {
            let now = self.clock.now();
            match self.store.settle(&work.lease, now, outcome.clone(), event.clone()).await {
                Ok(settled) => {
                    if settled == Settled::Done {
                        let Work { lease, source, received_at, .. } = work;
                        let lead = Settling { lease, source, received_at: *received_at };
                        self.notifier.settled(lead, &outcome, now);
                    } else {
                        let (id, outcome) = (work.lease.id, outcome.word());
                        let trace_id = traced(&self.id, work).trace();
                        tracing::warn!(lane = %self.id, lead_id = %id, %trace_id, outcome, "an outcome came too late");
                    }
                    return Some(settled);
                }
                Err(error) if now >= until => {
                    let (id, trace_id) = (work.lease.id, traced(&self.id, work).trace());
                    tracing::error!(lane = %self.id, lead_id = %id, %trace_id, %error, "an outcome could not be stored");
                    return None;
                }
                Err(_) => {
                    self.metrics.store_error(self.store.kind());
                    sleep(again).await;
                    // While the lease lasts each moment counts.
                    let is_over = now >= work.lease.deadline;
                    again = if is_over { (again * 2).min(SETTLE_AGAIN_MAX) } else { again };
                }
            }
        }
    }
}
