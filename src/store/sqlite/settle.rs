//! How work on a leased record ends: settled by its lease, or expired with it.

use rusqlite::{Connection, OptionalExtension};

use super::fault::Fault;
use super::transaction::Transaction;
use super::{chores, history, notices, person};
use crate::lead::{Event, SourceId, State, Timestamp, Upstream};
use crate::store::{LOOK_AFTER, Lease, Outcome, Settled};

/// How many leases one call expires.
pub(super) const EXPIRED_MAX: u32 = 500;

const EXPIRED: &str = "the lease ended before the outcome was known: it may have been sent";

/// What settling needs to know of a record in flight, or of one whose lease expired.
struct InFlight {
    seq: i64,
    state: State,
    source: SourceId,
    events: Option<String>,
    is_notice: bool,
}

impl InFlight {
    const COLUMNS: &str = "seq, state, source, events, later";

    /// Of a row of [`InFlight::COLUMNS`].
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let state = row.get(1)?;
        Ok(Self {
            seq: row.get(0)?,
            state,
            source: row.get(2)?,
            events: row.get(3)?,
            is_notice: state == State::Pending && row.get::<_, u8>(4)? == notices::CLASS,
        })
    }

    /// Whether it was leased for something else than to make its lead.
    fn is_chore(&self) -> bool {
        self.state != State::Pending || self.is_notice
    }

    fn can_end(&self, outcome: &Outcome) -> bool {
        if self.is_notice { outcome.ends_notice() } else { outcome.ends(self.state) }
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
    let Some(record) = held_by(transaction.db, lease, outcome)? else {
        return Ok(Settled::Stale);
    };
    let events = history::append(record.events.as_deref(), event.clone())?;
    let db = transaction.db;
    match outcome {
        Outcome::Retry { due } => {
            back_in_queue(
                db,
                if record.is_chore() { CHORE_RETRY } else { RETRY },
                record.seq,
                *due,
                now,
                &events,
            )?;
            transaction.arrived |= *due <= now;
        }
        Outcome::Postponed { due } => {
            back_in_queue(
                db,
                if record.is_chore() { CHORE_POSTPONE } else { POSTPONE },
                record.seq,
                *due,
                now,
                &events,
            )?;
            transaction.arrived |= *due <= now;
        }
        Outcome::Look { due, looks } => {
            back_in_queue(db, CHORE_RETRY, record.seq, *due, now, &events)?;
            db.prepare_cached("UPDATE records SET looks = ?2 WHERE seq = ?1")?
                .execute((record.seq, looks))?;
        }
        Outcome::SendAgain { due } => {
            back_in_queue(db, SEND_AGAIN, record.seq, *due, now, &events)?;
            transaction.memory.ledger.moved(&record.source, State::Unknown, State::Pending);
            transaction.arrived |= *due <= now;
        }
        Outcome::Told => {
            db.prepare_cached(
                "UPDATE records SET deadline = NULL, due = NULL, told = ?2, events = ?3
                 WHERE seq = ?1",
            )?
            .execute((record.seq, chores::TOLD, events))?;
        }
        Outcome::Created(upstream) => {
            let end = End { upstream: Some(*upstream), ..End::new(State::Created, now) };
            end.write(transaction, &record, &events)?;
            chores::follow_up(transaction, lease.id, now)?;
        }
        Outcome::Unknown { reason } => become_unknown(transaction, &record, reason, now, &events)?,
        Outcome::Dead { reason } => {
            let end = End { reason: Some(reason), ..End::new(State::Dead, now) };
            end.write(transaction, &record, &events)?;
            person::bury(transaction, record.seq, now)?;
        }
    }
    Ok(Settled::Done)
}

/// The record that a lease may still say something of.
fn held_by(db: &Connection, lease: &Lease, outcome: &Outcome) -> Result<Option<InFlight>, Fault> {
    let sql = format!(
        "SELECT {}, fence, deadline IS NOT NULL FROM records WHERE id = ?1",
        InFlight::COLUMNS
    );
    let mut select = db.prepare_cached(&sql)?;
    let found = select.query_row([lease.id], |row| {
        Ok((InFlight::of(row)?, row.get::<_, u32>(5)?, row.get::<_, bool>(6)?))
    });
    let Some((record, fence, is_leased)) = found.optional()? else { return Ok(None) };
    let holds = is_leased && fence == lease.fence && record.can_end(outcome);
    // A lead that is there is there, whoever has looked since.
    let is_news = matches!(outcome, Outcome::Created(_))
        && !record.is_notice
        && (record.state == State::Unknown || record.state == State::Pending && !is_leased);
    Ok((holds || is_news).then_some(record))
}

/// A retry waits among the later ones, from when it is due.
const RETRY: &str = "\
    UPDATE records SET deadline = NULL, later = 1, place = ?2, attempts = attempts + 1, events = ?4,
        due = CASE WHEN ?2 > ?3 THEN ?2 END,
        sent_at = CASE resent WHEN 0 THEN NULL ELSE sent_at END
    WHERE seq = ?1";
/// A postponed one keeps its class and its place.
const POSTPONE: &str = "\
    UPDATE records SET deadline = NULL, events = ?4, due = CASE WHEN ?2 > ?3 THEN ?2 END,
        sent_at = CASE resent WHEN 0 THEN NULL ELSE sent_at END
    WHERE seq = ?1";
/// Chores have a `due` even when that is past.
const CHORE_RETRY: &str = "\
    UPDATE records SET deadline = NULL, due = max(?2, ?3), attempts = attempts + 1, events = ?4
    WHERE seq = ?1";
const CHORE_POSTPONE: &str = "\
    UPDATE records SET deadline = NULL, due = max(?2, ?3), events = ?4 WHERE seq = ?1";
const SEND_AGAIN: &str = "\
    UPDATE records SET state = 0, deadline = NULL, later = 1, place = ?2, events = ?4,
        due = CASE WHEN ?2 > ?3 THEN ?2 END, looks = 0, resent = resent + 1, reason = NULL
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

/// It may have been sent: it is looked for, after a while.
fn become_unknown(
    transaction: &mut Transaction<'_>,
    record: &InFlight,
    reason: &str,
    now: Timestamp,
    events: &str,
) -> Result<(), Fault> {
    let end = End { settled_at: None, reason: Some(reason), ..End::new(State::Unknown, now) };
    end.write(transaction, record, events)?;
    transaction
        .db
        .prepare_cached("UPDATE records SET due = ?2, looks = 0 WHERE seq = ?1")?
        .execute((record.seq, now.plus(LOOK_AFTER)))?;
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

/// What one call of [`expire_leases`] did.
pub(super) struct Expired {
    /// Fewer than [`EXPIRED_MAX`] when none is left.
    pub(super) looked_at: u32,
    /// How many of them became unknown.
    pub(super) unknown: u32,
}

/// Expires some leases whose deadline is before `before`; see
/// [`crate::store::Store::expire_leases`].
pub(super) fn expire_leases(
    transaction: &mut Transaction<'_>,
    before: Timestamp,
    now: Timestamp,
) -> Result<Expired, Fault> {
    let sql = format!(
        "SELECT {} FROM records INDEXED BY leased
         WHERE deadline IS NOT NULL AND deadline < ?1 ORDER BY deadline LIMIT ?2",
        InFlight::COLUMNS
    );
    let mut select = transaction.db.prepare_cached(&sql)?;
    let expired: Vec<InFlight> =
        select.query_map((before, EXPIRED_MAX), InFlight::of)?.collect::<Result<_, _>>()?;
    let mut ended =
        Expired { looked_at: u32::try_from(expired.len()).unwrap_or(EXPIRED_MAX), unknown: 0 };
    for record in &expired {
        let event = Event::plain(now, "lease_expired");
        let events = history::append(record.events.as_deref(), event)?;
        if record.is_chore() {
            back_in_queue(transaction.db, CHORE_POSTPONE, record.seq, now, now, &events)?;
            transaction.arrived = true;
        } else {
            become_unknown(transaction, record, EXPIRED, now, &events)?;
            ended.unknown += 1;
        }
    }
    Ok(ended)
}
