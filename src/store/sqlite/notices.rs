//! Notices: platforms' words that there is a lead, which is to be fetched. Pending records of a
//! class of their own, which always have a `due` unless they are leased, so that the lane that
//! makes leads never meets them.

use rusqlite::{Connection, OptionalExtension};

use super::fault::Fault;
use super::settle::settle;
use super::transaction::Transaction;
use super::{history, queue, record};
use crate::lead::{DestinationId, Event, RawBody, State, SubmissionId, Timestamp};
use crate::store::{Lease, Notice, Notices, Outcome};

/// The class, beside the two of `queue.rs`.
pub(super) const CLASS: u8 = 2;

/// The most that one call leases.
const LEASED_MAX: usize = 256;

const UNREADABLE: &str = "what the platform said cannot be read";

/// See [`crate::store::Store::lease_notices`].
pub(super) fn lease(
    transaction: &mut Transaction<'_>,
    lane: &DestinationId,
    max: usize,
    deadline: Timestamp,
    now: Timestamp,
) -> Result<Notices, Fault> {
    let max = max.min(LEASED_MAX);
    let due = due(transaction.db, lane, max, now)?;
    let is_short = due.len() < max;
    let mut notices = Vec::with_capacity(due.len());
    for seq in due {
        notices.extend(take(transaction, lane, seq, deadline, now)?);
    }
    let next_due = if is_short { queue::earliest(transaction.db, lane, CLASS)? } else { None };
    Ok(Notices { notices, next_due })
}

fn due(
    db: &Connection,
    lane: &DestinationId,
    max: usize,
    now: Timestamp,
) -> Result<Vec<i64>, Fault> {
    let mut select = db.prepare_cached(
        "SELECT seq FROM records INDEXED BY waiting
         WHERE state = 0 AND deadline IS NULL AND due IS NOT NULL
             AND destination = ?1 AND later = ?2 AND due <= ?3
         ORDER BY due, received_at, seq LIMIT ?4",
    )?;
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let rows = select.query_map((lane, CLASS, now, max), |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Leases one. One that cannot be read is dead, or it would come back for ever.
fn take(
    transaction: &mut Transaction<'_>,
    lane: &DestinationId,
    seq: i64,
    deadline: Timestamp,
    now: Timestamp,
) -> Result<Option<Notice>, Fault> {
    let mut update = transaction.db.prepare_cached(
        "UPDATE records SET fence = fence + 1, due = NULL, deadline = ?2 WHERE seq = ?1
         RETURNING id, fence, source, received_at, attempts, raw, trace",
    )?;
    let (notice, raw) = update.query_row((seq, deadline), |row| {
        let lease = Lease { lane: lane.clone(), id: row.get(0)?, fence: row.get(1)?, deadline };
        let notice = Notice {
            lease,
            source: row.get(2)?,
            received_at: row.get(3)?,
            trace_id: row.get(6)?,
            attempts: row.get(4)?,
            body: RawBody { content_type: String::new(), bytes: Vec::new() },
        };
        Ok((notice, row.get::<_, Option<Vec<u8>>>(5)?))
    })?;
    if let Ok(Some(body)) = record::body(&transaction.settings.vault, raw) {
        return Ok(Some(Notice { body, ..notice }));
    }
    let Notice { lease, trace_id, .. } = notice;
    let trace_id = trace_id.map(tracing::field::display);
    tracing::error!(lead_id = %lease.id, trace_id, "a stored notice cannot be read");
    let dead = Outcome::Dead { reason: UNREADABLE.into() };
    let event = Event { outcome: Some("dead".into()), ..Event::plain(now, "fetch") };
    settle(transaction, &lease, now, &dead, &event)?;
    Ok(None)
}

/// When a notice was received, if this lease still holds it.
pub(super) fn held_by(db: &Connection, lease: &Lease) -> Result<Option<Timestamp>, Fault> {
    let mut select = db.prepare_cached(
        "SELECT received_at FROM records
         WHERE id = ?1 AND state = ?2 AND later = ?3 AND fence = ?4 AND deadline IS NOT NULL",
    )?;
    let found = select.query_row((lease.id, State::Pending, CLASS, lease.fence), |row| row.get(0));
    Ok(found.optional()?)
}

/// A record that was given up on, and holds what its platform said, waits to be fetched again.
pub(super) fn await_again(
    transaction: &mut Transaction<'_>,
    id: SubmissionId,
    now: Timestamp,
    event: Event,
) -> Result<(), Fault> {
    let mut select =
        transaction.db.prepare_cached("SELECT state, source, events FROM records WHERE id = ?1")?;
    let (state, source, events) = select
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?)))?;
    let events = history::append(events.as_deref(), event)?;
    transaction
        .db
        .prepare_cached(
            "UPDATE records SET state = ?2, later = ?3, place = ?4, due = ?4, deadline = NULL,
                 attempts = 0, settled_at = NULL, reason = NULL, events = ?5, sent_at = NULL,
                 looks = 0, resent = 0
             WHERE id = ?1",
        )?
        .execute((id, State::Pending, CLASS, now, events))?;
    transaction.memory.ledger.moved(&source, state, State::Pending);
    transaction.arrived = true;
    Ok(())
}
