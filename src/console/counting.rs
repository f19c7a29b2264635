//! Going through the ledger's newest records, to count them.

use super::Console;
use super::tally::Tally;
use crate::lead::Timestamp;
use crate::store::{Query, StoreError};

/// Submissions that are counted, the newest first: a second or two of work, and some MB.
pub(super) const COUNTED_MAX: u64 = 50_000;

/// Counts what was accepted from `since` on, the newest `max` of it.
///
/// The store is asked for pages without a beginning, and what is older is left out here: a store
/// that is told one looks through everything before it for more.
pub(super) async fn count(
    console: &Console,
    since: Timestamp,
    until: Timestamp,
    max: u64,
) -> Result<Tally, StoreError> {
    // Who waits here has gone when its client has; nothing is counted for it.
    let _alone = console.counting.acquire().await;
    let mut tally = Tally::from(since);
    let mut query = Query { until: Some(until), limit: Query::LIMIT_MAX, ..Query::default() };
    loop {
        let page = console.store.list(query.clone()).await?;
        // What was spooled is accepted late and stands among what is newer: a whole page tells.
        let mut is_over = true;
        for record in page.records.iter().filter(|record| record.received_at >= since) {
            is_over = false;
            if tally.submissions() == max {
                tally.cut_short();
                return Ok(tally);
            }
            tally.add(record);
        }
        query.cursor = page.next;
        if is_over || query.cursor.is_none() {
            return Ok(tally);
        }
        tokio::task::yield_now().await; // probes and other requests have this thread too
    }
}
