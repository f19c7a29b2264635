//! What fetches the leads of notices, beside the lane that makes leads and never in its way: lease →
//! fetch → fill.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Enricher, Fetched};
use crate::config::Retry;
use crate::delivery::retry;
use crate::delivery::verdict::is_too_old;
use crate::fail_point::{self, FailPoint};
use crate::lead::{Clock, DestinationId, Event, Timestamp};
use crate::notify::{Notifier, Settling};
use crate::source::Kept;
use crate::store::{Content, Notice, Outcome, Settled, Store, StoreError};
use crate::telemetry::Metrics;

/// Notices that one destination's runner works on at once. More would only wait for the pace.
const AT_ONCE: usize = 8;

/// A fetch that takes longer is tried again: a few documents, with each of several tokens.
const FETCH_MAX: Duration = Duration::from_secs(120);

/// The lease outlives the fetch by this much: the time to write down how it ended.
const LEASE_MARGIN: Duration = Duration::from_secs(10);

/// Should a wake-up be lost, it looks by itself this often; where no source fetches anything, only
/// for notices of one that did.
const IDLE_POLL: Duration = Duration::from_secs(1);
const IDLE_POLL_WITHOUT: Duration = Duration::from_secs(60);

/// Every submission wakes it: it does not look for notices more often than this.
const LOOK_GAP: Duration = Duration::from_millis(50);

/// What fetches for the sources of one destination.
pub struct Runner {
    lane: DestinationId,
    store: Arc<dyn Store>,
    enricher: Arc<Enricher>,
    retry: Retry,
    metrics: Arc<Metrics>,
    notifier: Notifier,
    clock: Clock,
}

impl Runner {
    /// A runner that fetches nothing yet. `retry` is the destination's: what is tried again waits by
    /// it, and is given up by it.
    pub fn new(
        lane: DestinationId,
        retry: Retry,
        enricher: Arc<Enricher>,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        notifier: Notifier,
        clock: Clock,
    ) -> Self {
        Self { lane, store, enricher, retry, metrics, notifier, clock }
    }

    /// Fetches until `stop` turns true; what is under way then goes back as it was.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut arrivals = self.store.arrivals();
        let mut fetching = JoinSet::new();
        let mut in_trouble = false;
        while !*stop.borrow() {
            arrivals.mark_unchanged(); // before the lease looks: nothing arrives unnoticed
            let free = AT_ONCE - fetching.len();
            let (term, now) = (FETCH_MAX + LEASE_MARGIN, self.clock.now());
            let next_due = match self.store.lease_notices(&self.lane, free, term, now).await {
                Ok(leased) => {
                    in_trouble = false;
                    if !leased.notices.is_empty() {
                        fail_point::pass(FailPoint::NoticeLeased);
                    }
                    for notice in leased.notices {
                        fetching.spawn(Arc::clone(&self).work(notice, stop.clone()));
                    }
                    leased.next_due
                }
                Err(error) => {
                    self.trouble(&error, &mut in_trouble);
                    None
                }
            };
            self.idle(next_due, &mut fetching, &mut arrivals, &mut stop).await;
        }
        while fetching.join_next().await.is_some() {}
    }

    /// Waits until there may be something to fetch, and room for it.
    async fn idle(
        &self,
        next_due: Option<Timestamp>,
        fetching: &mut JoinSet<()>,
        arrivals: &mut watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
    ) {
        while fetching.len() == AT_ONCE {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                _ = fetching.join_next() => {}
            }
        }
        let due = async {
            match next_due {
                Some(due) => self.clock.sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let is_idle = self.enricher.is_idle();
        let poll = if is_idle { IDLE_POLL_WITHOUT } else { IDLE_POLL };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = arrivals.changed(), if !is_idle => {}
            Some(_) = fetching.join_next() => {}
            () = due => {}
            () = sleep(poll) => {}
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            () = sleep(LOOK_GAP) => {}
        }
    }

    async fn work(self: Arc<Self>, notice: Notice, mut stop: watch::Receiver<bool>) {
        let begun = self.clock.now();
        let fetch = self.enricher.fetch(&notice.source, &notice.body, notice.attempts);
        let fetched = tokio::select! {
            biased;
            fetched = timeout(FETCH_MAX, fetch) => fetched.unwrap_or_else(|_| Fetched::Again {
                why: "it took too long".to_owned(),
            }),
            _ = stop.wait_for(|stop| *stop) => {
                Fetched::Wait { length: Duration::ZERO, why: "the gateway stopped".to_owned() }
            }
        };
        fail_point::pass(FailPoint::Fetched);
        let now = self.clock.now();
        let ms = u64::try_from(now.since(begun).as_millis()).ok();
        let end = self.end(&notice, fetched, now);
        let event = Event {
            outcome: Some(end.word.to_owned()),
            ms,
            detail: end.why,
            ..Event::plain(now, "fetch")
        };
        let lease = &notice.lease;
        let written = match end.next {
            Next::Holds(content) => self.store.fill(lease, now, *content, event).await,
            Next::Ends(outcome) => {
                let settled = self.store.settle(lease, now, outcome.clone(), event).await;
                if let Ok(Settled::Done) = settled {
                    let Notice { lease, source, received_at, .. } = &notice;
                    let lead = Settling { lease, source, received_at: *received_at };
                    self.notifier.settled(lead, &outcome, now);
                }
                settled
            }
        };
        fail_point::pass(FailPoint::Filled);
        match written {
            Ok(Settled::Done) => {}
            Ok(Settled::Stale) => tracing::debug!(lead_id = %lease.id, "a fetch came too late"),
            Err(error) => {
                // Its lease ends, and it is fetched again: nothing was sent anywhere.
                self.metrics.store_error(self.store.kind());
                tracing::error!(lead_id = %lease.id, %error, "what was fetched could not be written");
            }
        }
    }

    /// What becomes of a notice.
    fn end(&self, notice: &Notice, fetched: Fetched, now: Timestamp) -> End {
        match fetched {
            Fetched::Whole(kept) => read(*kept),
            Fetched::Again { why } => {
                let (received_at, attempts) = (notice.received_at, notice.attempts);
                let is_over = is_too_old(received_at, attempts, &self.retry, now);
                let due = now.plus(retry::delay(&self.retry, notice.attempts + 1));
                match is_over {
                    true => End::ends("dead", Outcome::Dead { reason: why.clone() }, why),
                    false => End::ends("retry", Outcome::Retry { due }, why),
                }
            }
            Fetched::Wait { length, why } | Fetched::Stopped { length, why } => {
                End::ends("postponed", Outcome::Postponed { due: now.plus(length) }, why)
            }
            Fetched::Hidden { why } => {
                let raw = notice.body.clone();
                let content = Content::Quarantined { reason: why.clone(), lead: None, raw };
                End { word: "hidden", next: Next::Holds(Box::new(content)), why: Some(why) }
            }
        }
    }

    /// The store does not answer: told once, until it does. Each time is counted.
    fn trouble(&self, error: &StoreError, in_trouble: &mut bool) {
        self.metrics.store_error(self.store.kind());
        if !*in_trouble {
            *in_trouble = true;
            tracing::error!(lane = %self.lane, %error, "no notices could be leased");
        }
    }
}

/// How work on a notice ended.
struct End {
    /// In the record's history.
    word: &'static str,
    next: Next,
    why: Option<String>,
}

enum Next {
    /// It holds this now.
    Holds(Box<Content>),
    /// It is a notice still, or dead.
    Ends(Outcome),
}

impl End {
    fn ends(word: &'static str, outcome: Outcome, why: String) -> Self {
        Self { word, next: Next::Ends(outcome), why: Some(why) }
    }
}

/// What was fetched is there.
fn read(kept: Kept) -> End {
    let content = kept.content;
    let word = match &content {
        Content::Quarantined { .. } => "unusable",
        Content::Test { .. } => "test",
        _ => "read",
    };
    End { word, next: Next::Holds(Box::new(content)), why: None }
}
