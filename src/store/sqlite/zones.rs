//! When the records of each zone came: a thousand numbers in a row, and the earliest and the latest
//! of them. They come nearly in the order of their times and not quite (what was spooled comes late),
//! so that a list of some hours asks the zones where to look.

use std::collections::BTreeMap;
use std::ops::Range;

use rusqlite::Connection;

use super::fault::Fault;
use crate::lead::Timestamp;

/// Numbers in a zone, as a power of two.
const BITS: i64 = 10;

/// What the open transaction adds: the earliest and the latest of each zone.
#[derive(Default)]
pub(super) struct ZoneChanges(BTreeMap<i64, (Timestamp, Timestamp)>);

impl ZoneChanges {
    /// The record of this number came at `at`.
    pub(super) fn accepted(&mut self, seq: i64, at: Timestamp) {
        let (earliest, latest) = self.0.entry(seq >> BITS).or_insert((at, at));
        (*earliest, *latest) = (at.min(*earliest), at.max(*latest));
    }

    /// Writes the changes down, and forgets them.
    pub(super) fn write(&mut self, db: &Connection) -> Result<(), Fault> {
        while let Some((zone, (earliest, latest))) = self.0.pop_first() {
            db.prepare_cached(UPSERT)?.execute((zone, earliest, latest))?;
        }
        Ok(())
    }

    /// Forgets the changes of a transaction that did not come about.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

const UPSERT: &str = "\
    INSERT INTO zones (zone, earliest, latest) VALUES (?1, ?2, ?3)
    ON CONFLICT (zone) DO UPDATE SET
        earliest = min(earliest, excluded.earliest), latest = max(latest, excluded.latest)
    WHERE excluded.earliest < earliest OR excluded.latest > latest";

/// Where records that came in a time may be, newest first: numbers below `below` alone.
pub(super) fn spans(
    db: &Connection,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    below: i64,
) -> Result<Vec<Range<i64>>, Fault> {
    if since.is_none() && until.is_none() {
        return Ok(std::iter::once(0..below).collect());
    }
    let since = since.map_or(i64::MIN, |since| since.as_millis());
    let until = until.map_or(i64::MAX, |until| until.as_millis());
    let mut select = db.prepare_cached(
        "SELECT zone FROM zones WHERE latest >= ?1 AND earliest < ?2 AND zone <= ?3
         ORDER BY zone DESC",
    )?;
    let mut spans: Vec<Range<i64>> = Vec::new();
    for zone in select.query_map((since, until, below >> BITS), |row| row.get::<_, i64>(0))? {
        let first = zone? << BITS;
        let end = (first + (1 << BITS)).min(below);
        match spans.last_mut() {
            Some(newer) if newer.start == end => newer.start = first,
            _ => spans.push(first..end),
        }
    }
    Ok(spans)
}

/// Forgets the zones of which every record was swept.
pub(super) fn sweep(db: &Connection) -> Result<(), Fault> {
    db.prepare_cached(
        "DELETE FROM zones WHERE zone < (SELECT coalesce(min(seq), 0) >> 10 FROM records)",
    )?
    .execute([])?;
    Ok(())
}
