//! A queue of opaque entries in the same database, behind the same writer: what waits here is
//! durable like everything else, and shares its commits.

use rusqlite::Connection;

use super::fault::Fault;
use super::transaction::Transaction;
use super::{Sqlite, StoreError};

/// What waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::store) struct Waiting {
    pub(in crate::store) entries: u64,
    pub(in crate::store) bytes: u64,
}

/// An entry, and its place in the queue.
pub(in crate::store) type Entry = (i64, Vec<u8>);

impl Sqlite {
    /// Appends entries, all of them or none, and answers when they are on the disk.
    pub(in crate::store) async fn spool(&self, entries: Vec<Vec<u8>>) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let mut insert =
                transaction.db.prepare_cached("INSERT INTO spool (entry) VALUES (?1)")?;
            entries.iter().try_for_each(|entry| insert.execute([entry]).map(drop))?;
            Ok(())
        })
        .await
    }

    /// The first entries, in order.
    pub(in crate::store) async fn spooled(&self, max: u32) -> Result<Vec<Entry>, StoreError> {
        self.read(move |db| first(db, max)).await
    }

    /// The first entries behind a place, in order.
    pub(in crate::store) async fn spooled_after(
        &self,
        place: i64,
        max: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.read(move |db| {
            let mut select = db.prepare_cached(
                "SELECT seq, entry FROM spool WHERE aside = 0 AND seq > ?1 ORDER BY seq LIMIT ?2",
            )?;
            let rows = select.query_map((place, max), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The place of the last entry; 0 when there is none.
    pub(in crate::store) async fn newest_spooled(&self) -> Result<i64, StoreError> {
        self.read(|db| {
            let sql = "SELECT coalesce(max(seq), 0) FROM spool";
            Ok(db.query_row(sql, [], |row| row.get(0))?)
        })
        .await
    }

    /// Writes other entries in the places of these.
    pub(in crate::store) async fn respool(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let sql = "UPDATE spool SET entry = ?2 WHERE seq = ?1";
            let mut change = transaction.db.prepare_cached(sql)?;
            entries.iter().try_for_each(|entry| change.execute((entry.0, &entry.1)).map(drop))?;
            Ok(())
        })
        .await
    }

    /// Removes entries that are somewhere else by now.
    pub(in crate::store) async fn unspool(&self, places: Vec<i64>) -> Result<(), StoreError> {
        self.each(places, "DELETE FROM spool WHERE seq = ?1").await
    }

    /// Keeps entries that cannot be read for a person to look at, and out of the queue.
    pub(in crate::store) async fn set_aside(&self, places: Vec<i64>) -> Result<(), StoreError> {
        self.each(places, "UPDATE spool SET aside = 1 WHERE seq = ?1").await
    }

    /// How much waits in the queue.
    pub(in crate::store) async fn waiting(&self) -> Result<Waiting, StoreError> {
        self.read(|db| {
            let sql = "SELECT count(*), coalesce(sum(length(entry)), 0) FROM spool WHERE aside = 0";
            let (entries, bytes): (i64, i64) =
                db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
            Ok(Waiting { entries: unsigned(entries), bytes: unsigned(bytes) })
        })
        .await
    }

    async fn each(&self, places: Vec<i64>, statement: &'static str) -> Result<(), StoreError> {
        self.write(move |transaction: &mut Transaction<'_>| {
            let mut change = transaction.db.prepare_cached(statement)?;
            places.iter().try_for_each(|place| change.execute([place]).map(drop))?;
            Ok(())
        })
        .await
    }
}

fn first(db: &Connection, max: u32) -> Result<Vec<Entry>, Fault> {
    let mut select =
        db.prepare_cached("SELECT seq, entry FROM spool WHERE aside = 0 ORDER BY seq LIMIT ?1")?;
    let rows = select.query_map([max], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
