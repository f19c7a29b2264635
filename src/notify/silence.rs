//! Looks for sources that have sent before and send nothing any more: a form whose script was
//! removed makes no error anywhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Notifier;
use crate::lead::{Clock, SourceId, Timestamp};
use crate::store::{Query, Store, StoreError};

/// Four looks in the time that a source may be silent, no more than one a second and no fewer
/// than one in five minutes.
const LOOKS: u32 = 4;
const LOOK_MIN: Duration = Duration::from_secs(1);
const LOOK_MAX: Duration = Duration::from_secs(300);

/// Looks at every source now and then.
pub struct Silence {
    store: Arc<dyn Store>,
    notifier: Notifier,
    after: Duration,
    clock: Clock,
    known: BTreeMap<SourceId, Known>,
}

/// What is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The sources that there are.
    pub sources: BTreeSet<SourceId>,
    /// After how long one is silent; without it nobody looks.
    pub after: Option<Duration>,
}

/// What is known of a source.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Submissions there ever were. While that stays the same nothing else needs to be asked.
    accepted: u64,
    /// When the newest that is still kept was accepted.
    last: Option<Timestamp>,
    /// Whether that it is silent since then was told.
    is_told: bool,
}

impl Silence {
    /// Will look at `sources` and tell of each that has sent nothing for `after`.
    pub fn new(
        store: Arc<dyn Store>,
        notifier: Notifier,
        sources: impl IntoIterator<Item = SourceId>,
        after: Duration,
        clock: Clock,
    ) -> Self {
        let known = sources.into_iter().map(|source| (source, Known::default())).collect();
        Self { store, notifier, after, clock, known }
    }

    /// Looks at what is `wanted` until `stopping` turns true. Not at once: after a pause of the
    /// gateway itself the sources get a moment to be heard.
    pub async fn run(
        mut self,
        mut wanted: watch::Receiver<Wanted>,
        mut stopping: watch::Receiver<bool>,
    ) {
        // A store that is away is told of once.
        let mut in_trouble = false;
        loop {
            let between = self.follow(&wanted.borrow_and_update());
            let pause = async {
                match between {
                    Some(between) => self.clock.sleep(between).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => return,
                Ok(()) = wanted.changed() => continue,
                () = pause => {}
            }
            match self.look().await {
                Ok(()) => in_trouble = false,
                Err(error) if !in_trouble => {
                    in_trouble = true;
                    tracing::error!(%error, "silent sources could not be looked for; it is tried again");
                }
                Err(_) => {}
            }
        }
    }

    /// Goes by `wanted` from now on; what is known of a source that is still there is kept. Answers
    /// the time between two looks, where there are any.
    fn follow(&mut self, wanted: &Wanted) -> Option<Duration> {
        self.known.retain(|source, _| wanted.sources.contains(source));
        for source in &wanted.sources {
            self.known.entry(source.clone()).or_default();
        }
        self.after = wanted.after?;
        Some((self.after / LOOKS).clamp(LOOK_MIN, LOOK_MAX))
    }

    /// Looks at every source once.
    pub(super) async fn look(&mut self) -> Result<(), StoreError> {
        let ledger = self.store.ledger().await?;
        let now = self.clock.now();
        for (source, known) in &mut self.known {
            let accepted = ledger.sources.get(source).map_or(0, |ledger| ledger.accepted);
            if accepted != known.accepted {
                let last = newest(&*self.store, source).await?;
                *known = Known { accepted, last, is_told: false };
            }
            let silent_since = known.last.filter(|last| now.since(*last) >= self.after);
            if let Some(last) = silent_since.filter(|_| !known.is_told) {
                known.is_told = true;
                self.notifier.silent(source, last, now);
            }
        }
        Ok(())
    }
}

/// When the newest submission of `source` was accepted.
async fn newest(store: &dyn Store, source: &SourceId) -> Result<Option<Timestamp>, StoreError> {
    let query = Query { source: Some(source.clone()), limit: 1, ..Query::default() };
    let page = store.list(query).await?;
    Ok(page.records.first().map(|record| record.received_at))
}
