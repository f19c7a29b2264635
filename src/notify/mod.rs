//! Outcome signals: the operator's own URL is told when a lead is created or dead, a lane stops
//! or goes on, a source is silent or cannot be fetched for.
//!
//! Whoever has something to tell gives it to a [`Notifier`] and goes on at once; a [`Courier`]
//! posts it, again and again for about an hour. All of it is in memory and bounded: what a crash
//! or a full queue takes is gone. The ledger has it nevertheless.

mod courier;
mod notice;
mod signals;
mod signature;
mod silence;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

pub use self::courier::{Courier, OpenError, Post};
use self::notice::Notice;
pub use self::notice::{Settling, Standing};
pub use self::signals::{Plan, Signals};
use self::silence::Silence;
use crate::config::{Notify, NotifyEvent};
use crate::lead::{Clock, DestinationId, SourceId, Timestamp};
use crate::store::Outcome;
use crate::telemetry::Metrics;

/// Signals that are kept, those that are tried again among them: some 5 MB.
const KEPT_MAX: usize = 10_000;

/// What somebody tells the operator through. Cheap to clone. The default one tells nothing, until a
/// configuration asks for signals.
#[derive(Clone, Default)]
pub struct Notifier(Arc<ArcSwapOption<Desk>>);

/// What all clones of a notifier share.
struct Desk {
    wanted: BTreeSet<NotifyEvent>,
    queue: mpsc::Sender<Parcel>,
    /// One permit for each signal that can be kept.
    room: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    is_full: AtomicBool,
}

/// A notifier, and the courier that posts what it is told.
///
/// # Errors
/// TLS that cannot be set up.
#[cfg(test)]
pub fn open(
    settings: &Notify,
    metrics: Arc<Metrics>,
    clock: Clock,
) -> Result<(Notifier, Courier), OpenError> {
    let post = Arc::new(ArcSwap::from_pointee(Post::new(settings)?));
    let (desk, courier) = Desk::open(settings, post, metrics, clock);
    Ok((Notifier(Arc::new(ArcSwapOption::from_pointee(desk))), courier))
}

impl Notifier {
    /// Work on a record has ended so, and it is written down. Tells of `created` and `dead`.
    pub fn settled(&self, lead: Settling<'_>, outcome: &Outcome, at: Timestamp) {
        match outcome {
            Outcome::Created(upstream) => {
                self.tell(NotifyEvent::LeadCreated, || Notice::created(&lead, *upstream, at));
            }
            Outcome::Dead { reason } => {
                self.tell(NotifyEvent::LeadDead, || Notice::dead(&lead, reason, at));
            }
            _ => {}
        }
    }

    /// This replica has moved the shared gate of `lane`, which has `version` since. Tells when
    /// the lane has stopped or goes on with that.
    pub fn lane_moved(
        &self,
        lane: &DestinationId,
        version: u64,
        before: Standing,
        after: Standing,
        at: Timestamp,
    ) {
        if self.0.load().is_none() {
            return;
        }
        if let Some(notice) = Notice::moved(lane, version, before, after, at) {
            self.tell(notice.event, || notice);
        }
    }

    /// Nothing can be fetched for `source`, or for `whose` of it (a Page by its id), until somebody has mended it; it is looked again at
    /// `until`. `reason` holds nobody's data.
    pub fn source_stopped(
        &self,
        source: &SourceId,
        whose: Option<&str>,
        reason: &str,
        until: Timestamp,
        at: Timestamp,
    ) {
        let notice = || Notice::source_stopped(source, whose, reason, until, at);
        self.tell(NotifyEvent::SourceStopped, notice);
    }

    /// It is fetched for `source`, or for `whose` of it, again.
    pub fn source_resumed(&self, source: &SourceId, whose: Option<&str>, at: Timestamp) {
        self.tell(NotifyEvent::SourceResumed, || Notice::source_resumed(source, whose, at));
    }

    /// `source` has sent nothing since `last_received_at`.
    fn silent(&self, source: &SourceId, last_received_at: Timestamp, at: Timestamp) {
        let notice = || Notice::silent(source, last_received_at, at);
        self.tell(NotifyEvent::SourceSilent, notice);
    }

    fn tell(&self, event: NotifyEvent, notice: impl FnOnce() -> Notice) {
        let desk = self.0.load();
        if let Some(desk) = desk.as_ref().filter(|desk| desk.wanted.contains(&event)) {
            desk.take(notice());
        }
    }
}

impl Desk {
    /// For what `settings` want, and the courier that posts it.
    fn open(
        settings: &Notify,
        post: Arc<ArcSwap<Post>>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> (Self, Courier) {
        let (sender, queue) = mpsc::channel(KEPT_MAX);
        let room = Arc::new(Semaphore::new(KEPT_MAX));
        let courier = Courier::new(post, queue, Arc::clone(&room), clock);
        let wanted = settings.events.clone();
        let is_full = AtomicBool::new(false);
        (Self { wanted, queue: sender, room, metrics, is_full }, courier)
    }

    /// The same queue, for what `settings` want.
    fn wanting(&self, settings: &Notify) -> Self {
        Self {
            wanted: settings.events.clone(),
            queue: self.queue.clone(),
            room: Arc::clone(&self.room),
            metrics: Arc::clone(&self.metrics),
            is_full: AtomicBool::new(false),
        }
    }

    /// Queues a signal, or drops it when too many are kept. Never waits.
    fn take(&self, notice: Notice) {
        let event = notice.event;
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            self.metrics.notification(event, DROPPED);
            if !self.is_full.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    kept = KEPT_MAX,
                    "too many outcome signals wait: new ones are dropped"
                );
            }
            return;
        };
        // Told again only after it has been half empty in between.
        if self.room.available_permits() > KEPT_MAX / 2 {
            self.is_full.store(false, Ordering::Relaxed);
        }
        let metrics = Arc::clone(&self.metrics);
        let parcel =
            Parcel { notice, tries: 0, first_try: None, metrics, end: DROPPED, _place: place };
        // Where nobody posts any more the parcel is counted by its own end.
        let _ = self.queue.try_send(parcel);
    }
}

const DELIVERED: &str = "delivered";
const FAILED: &str = "failed";
const DROPPED: &str = "dropped";

/// A signal on its way. Counted once, when it is gone, wherever that is.
struct Parcel {
    notice: Notice,
    /// Posts that were begun.
    tries: u32,
    first_try: Option<Timestamp>,
    metrics: Arc<Metrics>,
    end: &'static str,
    _place: OwnedSemaphorePermit,
}

impl Parcel {
    /// What became of it.
    fn end(mut self, end: &'static str) {
        self.end = end;
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        self.metrics.notification(self.notice.event, self.end);
    }
}
