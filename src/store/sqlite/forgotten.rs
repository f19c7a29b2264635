//! Who was forgotten, and when: see `store/forgotten.rs`.

use rusqlite::Connection;

use super::fault::Fault;
use super::transaction::Transaction;
use crate::lead::{Identity, Timestamp};
use crate::store::forgotten::FORGOTTEN_FOR;
use crate::store::identity::IdentityKey;

/// Notes that a person was forgotten.
pub(super) fn note(
    db: &Connection,
    key: &IdentityKey,
    identities: &[Identity],
    now: Timestamp,
) -> Result<(), Fault> {
    let mut insert = db.prepare_cached(
        "INSERT INTO forgotten (hash, at) VALUES (?1, ?2)
         ON CONFLICT (hash) DO UPDATE SET at = max(at, excluded.at)",
    )?;
    for hash in key.forgotten(identities) {
        insert.execute((hash, now))?;
    }
    Ok(())
}

/// Whether one of these persons was forgotten at `received_at` or later.
pub(super) fn is_since(
    transaction: &Transaction<'_>,
    persons: &[Identity],
    received_at: Timestamp,
) -> Result<bool, Fault> {
    let sql = "SELECT 1 FROM forgotten WHERE hash = ?1 AND at >= ?2";
    let mut select = transaction.db.prepare_cached(sql)?;
    for hash in transaction.settings.vault.key().forgotten(persons) {
        if select.exists((hash, received_at))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes what was known long enough, at most `limit`; how many.
pub(super) fn sweep(db: &Connection, now: Timestamp, limit: u32) -> Result<u32, Fault> {
    let mut delete = db.prepare_cached(
        "DELETE FROM forgotten WHERE hash IN
             (SELECT hash FROM forgotten WHERE at < ?1 ORDER BY at LIMIT ?2)",
    )?;
    let swept = delete.execute((now.minus(FORGOTTEN_FOR), limit))?;
    Ok(u32::try_from(swept).unwrap_or(limit))
}
