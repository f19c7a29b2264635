//! The requests of one piece of work: each has a turn at the gate and a place in the pace, whether
//! it is the first or the twentieth.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::super::gate::{Permission, Turn};
use super::super::hosts::may_ask_the_other;
use super::super::verdict::{signal, word};
use super::sending::{JITTER_MAX, Place};
use super::{IDLE_POLL, Lane, retry, stopped};
use crate::caresoft::{Client, Exchange, Failure};
use crate::fail_point::{self, FailPoint};
use crate::lead::{Timestamp, TraceId};
use crate::telemetry::trace;

/// What a piece of work asks with.
pub(super) struct Asking<'a> {
    lane: &'a Lane,
    /// Nothing is sent that could take longer.
    deadline: Timestamp,
    /// The first request's, whose place has come.
    first: Option<Turn>,
    /// What the requests say that they belong to.
    trace: TraceId,
    stop: watch::Receiver<bool>,
    /// The last answer's, where one came.
    pub(super) status: Option<u16>,
    /// Of all requests together.
    pub(super) elapsed: Duration,
}

/// Why there is no answer.
pub(super) enum Ended {
    /// Nothing more may be sent now: the gate has closed, the lane is to stop, or the lease is
    /// about to end.
    Stopped,
    /// It was sent, or could not be.
    Failed(Failure),
}

impl<'a> Asking<'a> {
    /// The first request goes out at once, with `first`.
    pub(super) fn new(
        lane: &'a Lane,
        deadline: Timestamp,
        first: Turn,
        trace: TraceId,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (first, elapsed) = (Some(first), Duration::ZERO);
        Self { lane, deadline, first, trace, stop, status: None, elapsed }
    }

    /// Sends one request, to the other host too if it must and may be, and tells the gate what
    /// its answer says.
    pub(super) async fn ask<T, F: Future<Output = Exchange<T>>>(
        &mut self,
        send: impl Fn(Client) -> F,
    ) -> Result<T, Ended> {
        let lane = self.lane;
        let turn = match self.first.take() {
            Some(turn) => turn,
            None => self.next_turn().await?,
        };
        let hosts = lane.hosts.order(lane.clock.now());
        let (last, mut failure) = (hosts.len() - 1, None);
        for (position, (host, client)) in hosts.into_iter().enumerate() {
            if position > 0 && self.place(turn).await.is_err() {
                break;
            }
            let request = trace::Request::begin(self.trace, client.host());
            let exchange = send(client.traced(&request.parent().to_string())).await;
            fail_point::pass(FailPoint::Answered);
            let now = lane.clock.now();
            let word = word(&exchange);
            lane.metrics.upstream(&lane.id, exchange.call.as_str(), word, exchange.elapsed);
            let is_error = exchange.result.is_err();
            request.ended(exchange.call.as_str(), exchange.status, word, is_error);
            lane.hosts.note(host, exchange.result.as_ref().err(), now);
            self.status = exchange.status;
            self.elapsed += exchange.elapsed;
            let call = exchange.call;
            match exchange.result {
                Err(failed) if position < last && may_ask_the_other(call, &failed) => {
                    failure = Some((call, failed));
                }
                result => return self.answered(turn, call, result).await,
            }
        }
        let Some((call, failed)) = failure else { return Err(Ended::Stopped) };
        self.answered(turn, call, Err(failed)).await
    }

    async fn answered<T>(
        &self,
        turn: Turn,
        call: crate::caresoft::Call,
        result: Result<T, Failure>,
    ) -> Result<T, Ended> {
        let lane = self.lane;
        let signal = signal(call, result.as_ref().err());
        lane.gate.leave(turn, signal, lane.clock.now(), retry::jitter(JITTER_MAX));
        lane.show();
        if !lane.gate.is_shared() {
            fail_point::pass(FailPoint::GateMoved);
            lane.share().await;
            fail_point::pass(FailPoint::GateShared);
        }
        result.map_err(Ended::Failed)
    }

    /// The turn of a further request, when its place has come. What makes leads goes first: while
    /// there is any, chores have a quarter of the pace for these.
    async fn next_turn(&mut self) -> Result<Turn, Ended> {
        if self.lane.is_busy() {
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return Err(Ended::Stopped),
                () = self.lane.pacer.time_for_a_chore() => {}
            }
        }
        let now = self.lane.clock.now();
        let Permission::Go { turn, alone: false } = self.lane.gate.enter(now) else {
            return Err(Ended::Stopped);
        };
        self.place(turn).await?;
        fail_point::pass(FailPoint::FurtherRequest);
        Ok(turn)
    }

    /// Waits for a place in the pace.
    async fn place(&mut self, turn: Turn) -> Result<(), Ended> {
        let lane = self.lane;
        loop {
            match lane.place(turn, &self.stop).await {
                Place::At(at) => {
                    sleep_until(at).await;
                    let may_go = !*self.stop.borrow() && lane.gate.holds(turn);
                    return if may_go && !lane.is_late(self.deadline) {
                        Ok(())
                    } else {
                        Err(Ended::Stopped)
                    };
                }
                Place::Later(wait) if !lane.is_late(self.deadline) => {
                    lane.sleep(wait.min(IDLE_POLL), &mut self.stop).await;
                }
                Place::Later(_) | Place::Gone => return Err(Ended::Stopped),
            }
        }
    }
}
