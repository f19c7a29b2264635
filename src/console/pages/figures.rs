//! Figures that cost a walk through the newest records: counted by one at a time, kept for a while,
//! and shown as they were while they are counted anew. No page view goes through the ledger.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::lead::{DestinationId, Record, SourceId, State, Timestamp};
use crate::store::{Query, Store, StoreError};

/// Figures are no older than this, unless counting takes long: a page that follows what happens
/// looks again after three seconds.
const FRESH: Duration = Duration::from_secs(2);

/// Counting has no more than a tenth of a processor: what took a second is good for ten.
const REST: u32 = 10;

/// Who asks for figures that nobody has counted yet waits so long for them.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// The same on a page that looks again by itself, and should be there at a glance.
const GLANCE: Duration = Duration::from_millis(60);

/// Records that one walk looks at, the newest first.
pub(super) const WALK_MAX: usize = 50_000;

const HOUR_MS: i64 = 3_600_000;

/// Figures by what they are of, at most one counting of each under way.
pub(super) struct Kept<K, T> {
    kept: Arc<Mutex<HashMap<K, Figure<T>>>>,
}

struct Figure<T> {
    value: Option<Arc<T>>,
    counted_at: Instant,
    good_for: Duration,
    is_being_counted: bool,
    /// Something was changed while it was counted.
    is_void: bool,
}

impl<K, T> Default for Kept<K, T> {
    fn default() -> Self {
        Self { kept: Arc::default() }
    }
}

impl<K, T> Kept<K, T>
where
    K: Copy + Eq + Hash + Send + 'static,
    T: Send + Sync + 'static,
{
    /// The figure as it was last counted; `None` while it is counted for the first time and takes
    /// its time. `count` runs where it is old.
    pub(super) async fn get<F>(&self, key: K, count: impl FnOnce() -> F) -> Option<Arc<T>>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        self.get_within(FIRST_WAIT, key, count).await
    }

    /// The same for a page that looks again by itself, and rather does without than wait.
    pub(super) async fn glance<F>(&self, key: K, count: impl FnOnce() -> F) -> Option<Arc<T>>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        self.get_within(GLANCE, key, count).await
    }

    async fn get_within<F>(
        &self,
        first_wait: Duration,
        key: K,
        count: impl FnOnce() -> F,
    ) -> Option<Arc<T>>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let (value, is_due) = self.look(key);
        if !is_due {
            return value;
        }
        let (kept, counting) = (Arc::clone(&self.kept), count());
        let counting = tokio::spawn(async move {
            let began = Instant::now();
            let counted = counting.await;
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(figure) = kept.get_mut(&key) else { return };
            figure.is_being_counted = false;
            if std::mem::take(&mut figure.is_void) {
                return; // and is due at once
            }
            figure.counted_at = Instant::now();
            figure.good_for = FRESH.max(began.elapsed() * REST);
            match counted {
                Ok(counted) => figure.value = Some(Arc::new(counted)),
                Err(error) => tracing::warn!(%error, "figures of the console are not counted"),
            }
        });
        if value.is_some() {
            return value;
        }
        let _ = tokio::time::timeout(first_wait, counting).await;
        self.look(key).0
    }

    /// What is kept, and whether it is to be counted anew, by the caller.
    fn look(&self, key: K) -> (Option<Arc<T>>, bool) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let figure = kept.entry(key).or_insert_with(|| Figure {
            value: None,
            counted_at: Instant::now(),
            good_for: Duration::ZERO,
            is_being_counted: false,
            is_void: false,
        });
        let is_old = figure.counted_at.elapsed() >= figure.good_for;
        let is_due = is_old && !figure.is_being_counted;
        figure.is_being_counted |= is_due;
        (figure.value.clone(), is_due)
    }

    /// Somebody has changed what was counted: it is counted before it is shown again.
    pub(super) fn forget(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, figure| figure.is_being_counted);
        for figure in kept.values_mut() {
            (figure.value, figure.good_for, figure.is_void) = (None, Duration::ZERO, true);
        }
    }
}

/// Shows every record that `query` matches, the newest first, at most `max` of them and none that
/// was accepted before `since`. Whether all were shown.
///
/// # Errors
/// The store does not answer.
pub(super) async fn walk(
    store: &dyn Store,
    mut query: Query,
    since: Timestamp,
    max: usize,
    mut show: impl FnMut(&Record) + Send,
) -> Result<bool, StoreError> {
    query.limit = Query::LIMIT_MAX;
    let mut shown = 0;
    loop {
        let page = store.list(query.clone()).await?;
        // What was spooled is accepted late and stands among what is newer: a whole page tells.
        let mut is_over = true;
        for record in page.records.iter().filter(|record| record.received_at >= since) {
            is_over = false;
            if shown == max {
                return Ok(false);
            }
            shown += 1;
            show(record);
        }
        query.cursor = page.next;
        if is_over || query.cursor.is_none() {
            return Ok(true);
        }
        tokio::task::yield_now().await;
    }
}

/// The last 24 hours.
#[derive(Default)]
pub(super) struct Day {
    /// Since midnight, by state.
    pub(super) today: BTreeMap<State, u64>,
    /// Accepted in each hour (its number since 1970), by source.
    pub(super) hours: BTreeMap<i64, BTreeMap<SourceId, u64>>,
    /// In 24 hours, by source.
    pub(super) sources: BTreeMap<SourceId, BTreeMap<State, u64>>,
    /// From accepted to created, in rising order.
    pub(super) latencies: Vec<Duration>,
    /// Made in the last minute that was counted, by destination.
    pub(super) created_in_a_minute: BTreeMap<DestinationId, u64>,
    /// Whether there are more than were counted.
    pub(super) is_cut_short: bool,
}

impl Day {
    /// Counts the 24 hours before `now`.
    ///
    /// # Errors
    /// The store does not answer.
    pub(super) async fn count(
        store: &dyn Store,
        midnight: Timestamp,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut day = Self::default();
        let since = now.minus(Duration::from_secs(24 * 3600));
        let query = Query { until: Some(now), ..Query::default() };
        let show = |record: &Record| day.add(record, midnight, now);
        day.is_cut_short = !walk(store, query, since, WALK_MAX, show).await?;
        day.latencies.sort_unstable();
        Ok(day)
    }

    fn add(&mut self, record: &Record, midnight: Timestamp, now: Timestamp) {
        if record.received_at >= midnight {
            *self.today.entry(record.state).or_default() += 1;
        }
        let hour = self.hours.entry(hour(record.received_at)).or_default();
        *hour.entry(record.source.clone()).or_default() += 1;
        let states = self.sources.entry(record.source.clone()).or_default();
        *states.entry(record.state).or_default() += 1;
        if let (State::Created, Some(at)) = (record.state, record.settled_at) {
            self.latencies.push(at.since(record.received_at));
            if now.since(at) < Duration::from_secs(60) {
                *self.created_in_a_minute.entry(record.destination.clone()).or_default() += 1;
            }
        }
    }

    /// Accepted since midnight.
    pub(super) fn accepted_today(&self) -> u64 {
        self.today.values().sum()
    }

    /// A percentile of the latencies, by nearest rank.
    pub(super) fn percentile(&self, percent: usize) -> Option<Duration> {
        let place = (self.latencies.len() * percent).div_ceil(100).max(1) - 1;
        self.latencies.get(place).copied()
    }
}

/// The number of a moment's hour since 1970.
pub(super) fn hour(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(HOUR_MS)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_figure_is_counted_once_in_a_while_and_shown_meanwhile() {
        let kept = Kept::<u8, u32>::default();
        let counted = Arc::new(AtomicU32::new(0));
        let get = async || {
            let counted = Arc::clone(&counted);
            let count = async move || Ok(counted.fetch_add(1, Ordering::SeqCst) + 1);
            kept.get(7, count).await.map(|figure| *figure)
        };
        assert_eq!((get().await, get().await), (Some(1), Some(1)));
        tokio::time::advance(FRESH).await;
        assert_eq!(get().await, Some(1), "the old one, while a new one is counted");
        tokio::task::yield_now().await;
        assert_eq!(get().await, Some(2));
        kept.forget();
        assert_eq!(get().await, Some(3), "what was changed is counted first");
    }

    #[tokio::test(start_paused = true)]
    async fn a_counting_that_fails_is_tried_again_later() {
        let kept = Kept::<u8, u32>::default();
        let fail = async || Err(StoreError::Busy);
        assert_eq!(kept.get(7, fail).await, None);
        assert_eq!(kept.get(7, async || Ok(1)).await, None, "not at once");
        tokio::time::advance(FRESH).await;
        assert_eq!(kept.get(7, async || Ok(2)).await.as_deref(), Some(&2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_glance_does_without_what_takes_long_to_count() {
        let kept = Kept::<u8, u32>::default();
        let slow = async || {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(1)
        };
        let began = Instant::now();
        assert_eq!(kept.glance(7, slow).await, None);
        assert_eq!(began.elapsed(), GLANCE);
        tokio::time::sleep(Duration::from_secs(1)).await; // the clock stands still until then
        assert_eq!(kept.glance(7, slow).await.as_deref(), Some(&1));
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut day = Day::default();
        assert_eq!(day.percentile(50), None);
        day.latencies = (1..=100).map(Duration::from_millis).collect();
        let told = [50, 95].map(|percent| day.percentile(percent));
        assert_eq!(told, [50, 95].map(|ms| Some(Duration::from_millis(ms))));
    }
}
