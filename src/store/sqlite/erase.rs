//! What leaves the store: persons on request, and what retention no longer wants.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};

use super::columns::Hashes;
use super::fault::Fault;
use super::person::{self, Member};
use super::runs::{self, CARRIERS, CARRIERS_VALUES};
use super::transaction::Transaction;
use super::{forgotten, history, zones};
use crate::lead::{DestinationId, Event, Identity, SourceId, State, SubmissionId, Timestamp};
use crate::store::Retention;
use crate::store::identity::{IdentityHash, IdentityKey};

/// The most that one call sweeps: some tens of milliseconds that nobody else can write.
const SWEPT_MAX: u32 = 1000;

/// The hashes of persons, one for each of them and each destination there ever was.
pub(super) fn hashes_everywhere(
    db: &Connection,
    key: &IdentityKey,
    identities: &[Identity],
) -> Result<BTreeSet<IdentityHash>, Fault> {
    let mut select = db.prepare_cached("SELECT name FROM destinations")?;
    let destinations: Vec<DestinationId> =
        select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let everywhere = destinations.iter().flat_map(|destination| {
        identities.iter().map(|identity| key.identity(destination, identity))
    });
    Ok(everywhere.collect())
}

/// See [`crate::store::Store::forget`].
pub(super) fn forget(
    transaction: &mut Transaction<'_>,
    identities: &[Identity],
    now: Timestamp,
) -> Result<u64, Fault> {
    let db = transaction.db;
    let key = transaction.settings.vault.key();
    forgotten::note(db, key, identities, now)?;
    let hashes = hashes_everywhere(db, key, identities)?;
    let mut records = BTreeSet::new();
    for hash in &hashes {
        let mut select = db.prepare_cached(CARRIERS)?;
        let values = [hash; CARRIERS_VALUES];
        for seq in select.query_map(values, |row| row.get::<_, i64>(0))? {
            records.insert(seq?);
        }
    }
    let mut erased = 0;
    for seq in records {
        if let Some(member) = Member::by_seq(db, seq)? {
            erase(transaction, &member, now)?;
            erased += 1;
        }
    }
    for hash in hashes {
        transaction.memory.claims.end(db, hash)?;
    }
    Ok(erased)
}

/// Erases what a source has sent under a platform's own id.
pub(super) fn of_external_id(
    transaction: &mut Transaction<'_>,
    source: &SourceId,
    external: &IdentityHash,
    now: Timestamp,
) -> Result<(), Fault> {
    let mut select = transaction
        .db
        .prepare_cached("SELECT seq FROM records WHERE external = ?1 AND source = ?2")?;
    let found: Vec<i64> =
        select.query_map((external, source), |row| row.get(0))?.collect::<Result<_, _>>()?;
    for seq in found {
        alone(transaction, seq, now)?;
    }
    Ok(())
}

/// See [`crate::store::Store::erase`].
pub(super) fn by_id(
    transaction: &mut Transaction<'_>,
    id: SubmissionId,
    now: Timestamp,
) -> Result<bool, Fault> {
    let mut select =
        transaction.db.prepare_cached("SELECT seq FROM records WHERE id = ?1 AND state <> ?2")?;
    let found = select.query_row((id, State::Erased), |row| row.get(0)).optional()?;
    found.map(|seq| alone(transaction, seq, now)).transpose().map(|erased| erased.is_some())
}

/// Erases one record; whoever has joined it goes on without it.
fn alone(transaction: &mut Transaction<'_>, seq: i64, now: Timestamp) -> Result<(), Fault> {
    let Some(member) = Member::by_seq(transaction.db, seq)? else { return Ok(()) };
    let mut select = transaction.db.prepare_cached(
        "SELECT state, deadline IS NOT NULL, sent_at FROM records WHERE seq = ?1",
    )?;
    let (state, is_leased, sent_at): (State, bool, Option<Timestamp>) =
        select.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    if matches!(state, State::Pending | State::Unknown) {
        let may_be_there = is_leased || state == State::Unknown || sent_at.is_some();
        let sent_at = may_be_there.then(|| sent_at.unwrap_or(member.received_at));
        person::go_on_without(transaction, &member, sent_at, now)?;
    }
    erase(transaction, &member, now)
}

/// What stays is what the ledger and CareSoft's own erasure need: ids, times and states.
pub(super) fn erase(
    transaction: &mut Transaction<'_>,
    member: &Member,
    now: Timestamp,
) -> Result<(), Fault> {
    person::release(transaction, member)?;
    let db = transaction.db;
    let state: State = db
        .prepare_cached("SELECT state FROM records WHERE seq = ?1")?
        .query_row([member.seq], |row| row.get(0))?;
    let events = history::without_details(member.events.as_deref())?;
    let events = history::append(events.as_deref(), Event::plain(now, "erased"))?;
    db.prepare_cached(
        "UPDATE records SET state = ?2, settled_at = ?3, events = ?4, deadline = NULL, due = NULL,
             identities = NULL, claimed = 0, claimed_until = NULL, external = NULL,
             content = NULL, reason = NULL, payload = NULL, raw = NULL, trace = NULL
         WHERE seq = ?1",
    )?
    .execute((member.seq, State::Erased, now, events))?;
    transaction.memory.claims.drop_carrier(db, &member.identities, member.seq)?;
    transaction.memory.ledger.moved(&member.source, state, State::Erased);
    Ok(())
}

/// See [`crate::store::Store::sweep`]. Claims count like records.
pub(super) fn sweep(
    transaction: &mut Transaction<'_>,
    now: Timestamp,
    retention: &Retention,
    limit: usize,
) -> Result<u64, Fault> {
    let limit = u32::try_from(limit).unwrap_or(SWEPT_MAX).min(SWEPT_MAX);
    let mut left = limit;
    let kept = retention.0.iter().filter(|(state, _)| is_settled(**state));
    for (state, kept_for) in kept {
        left -= sweep_records(transaction, *state, now.minus(*kept_for), now, left)?;
    }
    if left < limit {
        zones::sweep(transaction.db)?;
    }
    left -= forgotten::sweep(transaction.db, now, left)?;
    let ended = transaction.memory.claims.sweep(transaction.db, now, left)?;
    Ok(u64::from(limit - left + ended))
}

/// Whether nothing more happens to a record by itself: what is on its way is never swept.
fn is_settled(state: State) -> bool {
    !matches!(state, State::Pending | State::Unknown)
}

fn sweep_records(
    transaction: &mut Transaction<'_>,
    state: State,
    before: Timestamp,
    now: Timestamp,
    limit: u32,
) -> Result<u32, Fault> {
    let db = transaction.db;
    let mut select = db.prepare_cached(
        "SELECT seq, identities, delivery FROM records INDEXED BY settled
         WHERE state = ?1 AND settled_at IS NOT NULL AND settled_at < ?2
         ORDER BY settled_at LIMIT ?3",
    )?;
    let old: Vec<(i64, Hashes, Option<IdentityHash>)> = select
        .query_map((state, before, limit), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let in_runs = runs::newest(db)?;
    for (seq, Hashes(identities), delivery) in &old {
        if *seq > in_runs {
            // It is the row that makes its claims durable: what still holds must go elsewhere.
            for hash in identities.iter().chain(delivery) {
                transaction.memory.claims.write_down(db, *hash, now)?;
            }
        }
        transaction.memory.claims.drop_carrier(db, identities, *seq)?;
        db.prepare_cached("DELETE FROM records WHERE seq = ?1")?.execute([seq])?;
    }
    Ok(u32::try_from(old.len()).unwrap_or(limit))
}
