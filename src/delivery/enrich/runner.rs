//! What fetches the leads of notices, beside the lane that makes leads and never in its way: lease →
//! fetch → fill.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::Instrument;

use super::{Enricher, Fetched};
use crate::config::Retry;
use crate::delivery::retry;
use crate::delivery::verdict::is_too_old;
use crate::fail_point::{self, FailPoint};
use crate::lead::{Clock, DestinationId, Event, SourceId, Timestamp};
use crate::notify::{Notifier, Settling};
use crate::source::Kept;
use crate::store::{Content, Notice, Outcome, Settled, Store, StoreError};
use crate::telemetry::{Metrics, trace};

/// Fetches of one source that are under way at once. More would only wait for the pace, and a platform
/// that does not answer must leave room for another one's.
pub(super) const SOURCE_MAX: usize = 8;

/// Of all sources of a destination.
const AT_ONCE: usize = 32;

/// What is leased beyond what its source may have comes again after this.
const SURPLUS_WAIT: Duration = Duration::from_secs(1);

/// A fetch that takes longer is tried again: a few documents, with each of several tokens.
const FETCH_MAX: Duration = Duration::from_secs(120);

/// The lease outlives the fetch by this much: the time to write down how it ended.
const LEASE_MARGIN: Duration = Duration::from_secs(10);

/// Should a wake-up be lost, it looks by itself this often; where no source fetches anything, only
/// for notices of one that did.
const IDLE_POLL: Duration = Duration::from_secs(1);
const IDLE_POLL_WITHOUT: Duration = Duration::from_secs(60);

/// Every submission wakes it: where there was nothing to begin with, it does not look more often.
const LOOK_GAP: Duration = Duration::from_millis(50);

/// What fetches for the sources of one destination.
pub struct Runner {
    lane: DestinationId,
    store: Arc<dyn Store>,
    enricher: Arc<ArcSwap<Enricher>>,
    retry: Retry,
    metrics: Arc<Metrics>,
    notifier: Notifier,
    clock: Clock,
    /// What each source may have under way.
    rooms: Mutex<HashMap<SourceId, Arc<Semaphore>>>,
}

impl Runner {
    /// A runner that fetches nothing yet. Each fetch is done by the `enricher` in force when it begins.
    /// `retry` is the destination's: what is tried again waits by
    /// it, and is given up by it.
    pub fn new(
        lane: DestinationId,
        retry: Retry,
        enricher: Arc<ArcSwap<Enricher>>,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        notifier: Notifier,
        clock: Clock,
    ) -> Self {
        let rooms = Mutex::default();
        Self { lane, store, enricher, retry, metrics, notifier, clock, rooms }
    }

    /// Fetches until `stop` turns true; what is under way then goes back as it was.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut arrivals = self.store.arrivals();
        let mut fetching = JoinSet::new();
        let mut in_trouble = false;
        while !*stop.borrow() {
            while fetching.try_join_next().is_some() {}
            arrivals.mark_unchanged(); // before the lease looks: nothing arrives unnoticed
            let free = AT_ONCE - fetching.len();
            let (term, now) = (FETCH_MAX + LEASE_MARGIN, self.clock.now());
            let looked = match self.store.lease_notices(&self.lane, free, term, now).await {
                Ok(leased) => {
                    in_trouble = false;
                    let is_all = leased.notices.len() < free;
                    if !leased.notices.is_empty() {
                        fail_point::pass(FailPoint::NoticeLeased);
                    }
                    let begun = self.begin(leased.notices, &mut fetching, &stop).await;
                    Looked { begun, is_all, next_due: leased.next_due }
                }
                Err(error) => {
                    self.trouble(&error, &mut in_trouble);
                    Looked { begun: 0, is_all: true, next_due: None }
                }
            };
            self.idle(looked, &mut fetching, &mut arrivals, &mut stop).await;
        }
        while fetching.join_next().await.is_some() {}
    }

    /// Begins to fetch what was leased, where its source has room; the rest goes back for a while.
    /// How many were begun.
    async fn begin(
        self: &Arc<Self>,
        notices: Vec<Notice>,
        fetching: &mut JoinSet<()>,
        stop: &watch::Receiver<bool>,
    ) -> usize {
        let (mut begun, mut surplus) = (0, Vec::new());
        for notice in notices {
            match self.room(&notice.source) {
                Some(room) => {
                    begun += 1;
                    let span = self.traced(&notice).begin();
                    let work = Arc::clone(self).work(notice, stop.clone()).instrument(span);
                    fetching.spawn(async move {
                        work.await;
                        drop(room);
                    });
                }
                None => surplus.push(notice),
            }
        }
        let now = self.clock.now();
        let put_off = surplus.iter().map(|notice| {
            let why = "others of its source are fetched first".to_owned();
            let end = self.end(notice, Fetched::Wait { length: SURPLUS_WAIT, why }, now);
            self.write(notice, end, now, None)
        });
        join_all(put_off).await;
        begun
    }

    /// The right to fetch one more for a source, if it has not as many under way as it may.
    fn room(&self, source: &SourceId) -> Option<OwnedSemaphorePermit> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if !rooms.contains_key(source) {
            rooms.insert(source.clone(), Arc::new(Semaphore::new(SOURCE_MAX)));
        }
        Arc::clone(rooms.get(source)?).try_acquire_owned().ok()
    }

    /// Waits until there may be something to fetch, and room for it.
    async fn idle(
        &self,
        Looked { begun, is_all, next_due }: Looked,
        fetching: &mut JoinSet<()>,
        arrivals: &mut watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
    ) {
        if fetching.len() >= AT_ONCE {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => {}
                _ = fetching.join_next() => {}
            }
            return;
        }
        if is_all {
            let due = async {
                match next_due {
                    Some(due) => self.clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let is_idle = self.enricher.load().is_idle();
            let poll = if is_idle { IDLE_POLL_WITHOUT } else { IDLE_POLL };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                _ = arrivals.changed(), if !is_idle => {}
                Some(_) = fetching.join_next() => {}
                () = due => {}
                () = sleep(poll) => {}
            }
        }
        if begun == 0 {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => {}
                () = sleep(LOOK_GAP) => {}
            }
        }
    }

    async fn work(self: Arc<Self>, notice: Notice, mut stop: watch::Receiver<bool>) {
        let begun = self.clock.now();
        let enricher = self.enricher.load_full();
        let fetch = enricher.fetch(&notice);
        let fetched = tokio::select! {
            biased;
            fetched = timeout(FETCH_MAX, fetch) => fetched.unwrap_or_else(|_| Fetched::Again {
                why: "it took too long".to_owned(),
                after: None,
            }),
            _ = stop.wait_for(|stop| *stop) => {
                Fetched::Wait { length: Duration::ZERO, why: "the gateway stopped".to_owned() }
            }
        };
        fail_point::pass(FailPoint::Fetched);
        let now = self.clock.now();
        let ms = u64::try_from(now.since(begun).as_millis()).ok();
        let end = self.end(&notice, fetched, now);
        let is_failure = matches!(end.next, Next::Ends(Outcome::Dead { .. }));
        trace::worked(end.word, is_failure);
        self.write(&notice, end, now, ms).await;
        fail_point::pass(FailPoint::Filled);
    }

    /// Writes down how work on a notice ended, which took so long.
    async fn write(&self, notice: &Notice, end: End, now: Timestamp, ms: Option<u64>) {
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
                    let Notice { lease, source, received_at, .. } = notice;
                    let lead = Settling { lease, source, received_at: *received_at };
                    self.notifier.settled(lead, &outcome, now);
                }
                settled
            }
        };
        match written {
            Ok(Settled::Done) => {}
            Ok(Settled::Stale) => {
                let trace_id = self.traced(notice).trace();
                tracing::debug!(lead_id = %lease.id, %trace_id, "a fetch came too late");
            }
            Err(error) => {
                // Its lease ends, and it is fetched again: nothing was sent anywhere.
                self.metrics.store_error(self.store.kind());
                let trace_id = self.traced(notice).trace();
                tracing::error!(lead_id = %lease.id, %trace_id, %error, "what was fetched could not be written");
            }
        }
    }

    /// A leased notice as its trace tells of it.
    fn traced<'a>(&'a self, notice: &'a Notice) -> trace::Leased<'a> {
        trace::Leased {
            id: notice.lease.id,
            trace: notice.trace_id,
            source: &notice.source,
            destination: &self.lane,
            task: "fetch",
            attempts: notice.attempts,
        }
    }

    /// What becomes of a notice.
    fn end(&self, notice: &Notice, fetched: Fetched, now: Timestamp) -> End {
        match fetched {
            Fetched::Whole(kept) => read(*kept),
            Fetched::Again { why, after } => {
                let (received_at, attempts) = (notice.received_at, notice.attempts);
                let is_over = is_too_old(received_at, attempts, &self.retry, now);
                let wait = after.unwrap_or_else(|| retry::delay(&self.retry, attempts + 1));
                match is_over {
                    true => End::ends("dead", Outcome::Dead { reason: why.clone() }, why),
                    false => End::ends("retry", Outcome::Retry { due: now.plus(wait) }, why),
                }
            }
            // Behind others that wait: not always the same one is the probe.
            Fetched::Stopped { is_own: true, length, why } => {
                End::ends("retry", Outcome::Retry { due: now.plus(spread(length)) }, why)
            }
            Fetched::Wait { length, why } | Fetched::Stopped { is_own: false, length, why } => {
                let due = now.plus(spread(length));
                End::ends("postponed", Outcome::Postponed { due }, why)
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

/// `length`, and up to a fifth of it more, by chance.
fn spread(length: Duration) -> Duration {
    length + retry::jitter(length / 5)
}

/// What a look for notices has found.
struct Looked {
    /// How many are fetched now.
    begun: usize,
    /// There were no more than were leased.
    is_all: bool,
    /// When the next one is due, where there were no more.
    next_due: Option<Timestamp>,
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
