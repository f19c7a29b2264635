//! The queue of a lane: who is next, and how it ended.

use rusqlite::{Connection, OptionalExtension};
use std::time::Duration;

use super::fault::Fault;
use super::transaction::Transaction;
use super::{history, person, record};
use crate::lead::{DestinationId, Event, SourceId, State, SubmissionId, Timestamp, Upstream};
use crate::store::{Lease, Leased, Outcome, Settled, Work};

/// The most that one call leases.
const LEASED_MAX: u32 = 1000;
/// How many waiting records of a class are made ready by one call, at least: after an outage
/// 100,000 of them may be due at once, and no call should take that long.
const MADE_READY: u32 = 256;
/// While both classes wait, every fourth place is a later one's.
const PLACES: u8 = 4;
/// How many leases one call expires.
pub(super) const EXPIRED_MAX: u32 = 500;

const EXPIRED: &str = "the lease ended before the outcome was known: it may have been sent";
const UNREADABLE: &str = "the stored lead cannot be read";

/// The two classes of a lane, as they are stored.
const FRESH: u8 = 0;
const LATER: u8 = 1;

/// See [`crate::store::Store::lease`].
pub(super) fn lease(
    transaction: &mut Transaction<'_>,
    lane: &DestinationId,
    max: usize,
    now: Timestamp,
    term: Duration,
) -> Result<Leased, Fault> {
    let max = u32::try_from(max).unwrap_or(LEASED_MAX).min(LEASED_MAX);
    let db = transaction.db;
    for class in [FRESH, LATER] {
        make_ready(db, lane, class, now, max.max(MADE_READY))?;
    }
    let fresh = ready(db, lane, FRESH, max)?;
    let later = ready(db, lane, LATER, max)?;
    if !transaction.memory.turns.contains_key(lane) {
        transaction.memory.turns.insert(lane.clone(), 0);
    }
    let turn = transaction.memory.turns.entry(lane.clone()).or_default();

    let mut work = Vec::new();
    for seq in in_turns(turn, fresh, later, max as usize) {
        work.extend(take(transaction, lane, seq, now, now.plus(term))?);
    }
    let next_due = if work.len() < max as usize { next_due(db, lane)? } else { None };
    Ok(Leased { work, next_due })
}

/// Those that are due wait no longer: from here on their place in the queue counts, so that a
/// postponed record stands where it stood.
fn make_ready(
    db: &Connection,
    lane: &DestinationId,
    class: u8,
    now: Timestamp,
    max: u32,
) -> Result<(), Fault> {
    db.prepare_cached(
        "UPDATE records SET due = NULL WHERE seq IN (
             SELECT seq FROM records INDEXED BY waiting
             WHERE state = 0 AND deadline IS NULL AND due IS NOT NULL
                 AND destination = ?1 AND later = ?2 AND due <= ?3
             ORDER BY due LIMIT ?4)",
    )?
    .execute((lane, class, now, max))?;
    Ok(())
}

fn ready(db: &Connection, lane: &DestinationId, class: u8, max: u32) -> Result<Vec<i64>, Fault> {
    let mut select = db.prepare_cached(
        "SELECT seq FROM records INDEXED BY ready
         WHERE state = 0 AND deadline IS NULL AND due IS NULL AND destination = ?1 AND later = ?2
         ORDER BY place, received_at, seq LIMIT ?3",
    )?;
    let rows = select.query_map((lane, class, max), |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whose turn it is goes on from call to call, so that a lane that leases one at a time is fair.
fn in_turns(turn: &mut u8, fresh: Vec<i64>, later: Vec<i64>, max: usize) -> Vec<i64> {
    let mut fresh = fresh.into_iter().peekable();
    let mut later = later.into_iter().peekable();
    let mut chosen = Vec::new();
    while chosen.len() < max {
        let both_wait = fresh.peek().is_some() && later.peek().is_some();
        let next = if both_wait {
            *turn = (*turn + 1) % PLACES;
            if *turn == 0 { later.next() } else { fresh.next() }
        } else {
            fresh.next().or_else(|| later.next())
        };
        let Some(seq) = next else { break };
        chosen.push(seq);
    }
    chosen
}

/// Leases one record. One whose lead cannot be read is dead, or it would stop its lane for ever.
fn take(
    transaction: &mut Transaction<'_>,
    lane: &DestinationId,
    seq: i64,
    now: Timestamp,
    deadline: Timestamp,
) -> Result<Option<Work>, Fault> {
    let mut update = transaction.db.prepare_cached(
        "UPDATE records SET fence = fence + 1, deadline = ?2 WHERE seq = ?1
         RETURNING id, fence, source, received_at, attempts, payload",
    )?;
    let (work, stored) = update.query_row((seq, deadline), |row| {
        let lease = Lease { lane: lane.clone(), id: row.get(0)?, fence: row.get(1)?, deadline };
        let work = Work {
            lease,
            source: row.get(2)?,
            received_at: row.get(3)?,
            attempts: row.get(4)?,
            lead: crate::lead::Lead::default(),
        };
        Ok((work, row.get::<_, Option<Vec<u8>>>(5)?))
    })?;
    let payload = record::payload(&transaction.settings.vault, stored);
    if let Some(lead) = payload.ok().and_then(|payload| payload.lead) {
        return Ok(Some(Work { lead, ..work }));
    }
    tracing::error!(lead_id = %work.lease.id, "a stored lead cannot be read");
    let dead = Outcome::Dead { reason: UNREADABLE.into() };
    let event = Event { outcome: Some("dead".into()), ..Event::plain(now, "attempt") };
    settle(transaction, &work.lease, now, &dead, &event)?;
    Ok(None)
}

fn next_due(db: &Connection, lane: &DestinationId) -> Result<Option<Timestamp>, Fault> {
    let mut select = db.prepare_cached(
        "SELECT min(due) FROM records INDEXED BY waiting
         WHERE state = 0 AND deadline IS NULL AND due IS NOT NULL
             AND destination = ?1 AND later = ?2",
    )?;
    let mut earliest =
        |class: u8| select.query_row((lane, class), |row| row.get::<_, Option<Timestamp>>(0));
    Ok(earliest(FRESH)?.into_iter().chain(earliest(LATER)?).min())
}

/// What settling needs to know of a record in flight, or of one whose lease expired.
struct InFlight {
    seq: i64,
    state: State,
    source: SourceId,
    events: Option<String>,
}

impl InFlight {
    /// Of a row of `seq, state, source, events`.
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { seq: row.get(0)?, state: row.get(1)?, source: row.get(2)?, events: row.get(3)? })
    }
}

/// See [`crate::store::Store::settle`].
pub(super) fn settle(
    transaction: &mut Transaction<'_>,
    lease: &Lease,
    now: Timestamp,
    outcome: &Outcome,
    event: &Event,
) -> Result<Settled, Fault> {
    let created = matches!(outcome, Outcome::Created(_));
    let Some(record) = held_by(transaction.db, lease, created)? else {
        return Ok(Settled::Stale);
    };
    let events = history::append(record.events.as_deref(), event.clone())?;
    let db = transaction.db;
    match outcome {
        Outcome::Retry { due } => {
            back_in_queue(db, RETRY, record.seq, *due, now, &events)?;
            transaction.arrived |= *due <= now;
        }
        Outcome::Postponed { due } => {
            back_in_queue(db, POSTPONE, record.seq, *due, now, &events)?;
            transaction.arrived |= *due <= now;
        }
        Outcome::Created(upstream) => {
            let end = End { upstream: Some(*upstream), ..End::new(State::Created, now) };
            end.write(transaction, &record, &events)?;
        }
        Outcome::Unknown { reason } => {
            let end =
                End { settled_at: None, reason: Some(reason), ..End::new(State::Unknown, now) };
            end.write(transaction, &record, &events)?;
        }
        Outcome::Dead { reason } => {
            let end = End { reason: Some(reason), ..End::new(State::Dead, now) };
            end.write(transaction, &record, &events)?;
            person::bury(transaction, record.seq, now)?;
        }
    }
    Ok(Settled::Done)
}

/// The record that a lease may still say something of. That it was created is believed as long as
/// nobody has leased it since: when its outcome is unknown, and when it waits to be sent again.
fn held_by(db: &Connection, lease: &Lease, created: bool) -> Result<Option<InFlight>, Fault> {
    let mut select = db.prepare_cached(
        "SELECT seq, state, source, events FROM records
         WHERE id = ?1 AND fence = ?2
             AND (state = 0 AND deadline IS NOT NULL OR ?4 AND state IN (0, ?3))",
    )?;
    let record = select.query_row((lease.id, lease.fence, State::Unknown, created), InFlight::of);
    Ok(record.optional()?)
}

/// A retry waits among the later ones, from when it is due.
const RETRY: &str = "\
    UPDATE records SET deadline = NULL, later = 1, place = ?2, attempts = attempts + 1, events = ?4,
        due = CASE WHEN ?2 > ?3 THEN ?2 END
    WHERE seq = ?1";
/// A postponed one keeps its class and its place.
const POSTPONE: &str = "\
    UPDATE records SET deadline = NULL, events = ?4, due = CASE WHEN ?2 > ?3 THEN ?2 END
    WHERE seq = ?1";

fn back_in_queue(
    db: &Connection,
    statement: &str,
    seq: i64,
    due: Timestamp,
    now: Timestamp,
    events: &str,
) -> Result<(), Fault> {
    db.prepare_cached(statement)?.execute((seq, due, now, events))?;
    Ok(())
}

/// How a record leaves the queue.
struct End<'a> {
    state: State,
    settled_at: Option<Timestamp>,
    reason: Option<&'a str>,
    upstream: Option<Upstream>,
}

impl End<'_> {
    fn new(state: State, now: Timestamp) -> Self {
        Self { state, settled_at: Some(now), reason: None, upstream: None }
    }

    fn write(
        &self,
        transaction: &mut Transaction<'_>,
        record: &InFlight,
        events: &str,
    ) -> Result<(), Fault> {
        let signed = |id: u64| i64::try_from(id).unwrap_or(i64::MAX); // no id is that long
        let lead_id = self.upstream.map(|upstream| signed(upstream.lead_id));
        let requester = self.upstream.and_then(|upstream| upstream.requester_id).map(signed);
        transaction
            .db
            .prepare_cached(
                "UPDATE records SET deadline = NULL, due = NULL, attempts = attempts + 1,
                     state = ?2, settled_at = ?3, reason = ?4, upstream_lead = ?5,
                     upstream_requester = ?6, events = ?7
                 WHERE seq = ?1",
            )?
            .execute(rusqlite::params![
                record.seq,
                self.state,
                self.settled_at,
                self.reason,
                lead_id,
                requester,
                events
            ])?;
        transaction.memory.ledger.moved(&record.source, record.state, self.state);
        Ok(())
    }
}

/// Expires some leases whose deadline is before `before`; see
/// [`crate::store::Store::expire_leases`]. Answers how many: fewer than [`EXPIRED_MAX`] when none
/// is left.
pub(super) fn expire_leases(
    transaction: &mut Transaction<'_>,
    before: Timestamp,
    now: Timestamp,
) -> Result<u32, Fault> {
    let mut select = transaction.db.prepare_cached(
        "SELECT seq, state, source, events FROM records INDEXED BY leased
         WHERE deadline IS NOT NULL AND deadline < ?1 ORDER BY deadline LIMIT ?2",
    )?;
    let expired: Vec<InFlight> =
        select.query_map((before, EXPIRED_MAX), InFlight::of)?.collect::<Result<_, _>>()?;
    for record in &expired {
        let event = Event::plain(now, "lease_expired");
        let events = history::append(record.events.as_deref(), event)?;
        let end = End { settled_at: None, reason: Some(EXPIRED), ..End::new(State::Unknown, now) };
        end.write(transaction, record, &events)?;
    }
    Ok(u32::try_from(expired.len()).unwrap_or(EXPIRED_MAX))
}

/// Where a promoted or replayed record goes.
pub(super) enum Class {
    /// Before everything that has failed or waited already.
    Fresh,
    Later,
}

/// Puts a record that was settled (back) into its lane, ready.
pub(super) fn enqueue(
    transaction: &mut Transaction<'_>,
    id: SubmissionId,
    class: &Class,
    place: Timestamp,
    events: &str,
) -> Result<(), Fault> {
    let class = match class {
        Class::Fresh => FRESH,
        Class::Later => LATER,
    };
    transaction
        .db
        .prepare_cached(
            "UPDATE records SET state = 0, later = ?2, place = ?3, due = NULL, deadline = NULL,
                 attempts = 0, settled_at = NULL, reason = NULL, duplicate_of = NULL, events = ?4
             WHERE id = ?1",
        )?
        .execute((id, class, place, events))?;
    transaction.arrived = true;
    Ok(())
}
