//! What a lane does besides making leads: unknown records are looked for, and merged ones are told
//! to CareSoft once the lead that they joined is there.
//!
//! A record with such a chore has a `due`, unless it is leased. `told` of a merged record says
//! whether CareSoft knows what it says: [`NOT_YET`], [`WITH_CREATE`] or [`TOLD`].

use rusqlite::{Connection, OptionalExtension};

use super::fault::Fault;
use super::transaction::Transaction;
use super::{history, record};
use crate::lead::{DestinationId, Event, State, SubmissionId, Timestamp, Upstream};
use crate::store::payload::Vault;
use crate::store::{JOINED_MAX, Joined, Task};

/// Nor need it be, where it says what the lead says.
const NOT_YET: u8 = 0;
/// It is in the create that was leased last.
const WITH_CREATE: u8 = 1;
pub(super) const TOLD: u8 = 2;

/// The states of records that have a chore.
pub(super) const STATES: [State; 2] = [State::Unknown, State::Merged];

/// Those of a state that are due, the longest first.
pub(super) fn ready(
    db: &Connection,
    lane: &DestinationId,
    state: State,
    now: Timestamp,
    max: u32,
) -> Result<Vec<i64>, Fault> {
    let mut select = db.prepare_cached(
        "SELECT seq FROM records INDEXED BY chores
         WHERE state > 1 AND deadline IS NULL AND due IS NOT NULL
             AND destination = ?1 AND state = ?2 AND due <= ?3
         ORDER BY due, received_at, seq LIMIT ?4",
    )?;
    let rows = select.query_map((lane, state, now, max), |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When the next chore of a lane is due.
pub(super) fn next_due(db: &Connection, lane: &DestinationId) -> Result<Option<Timestamp>, Fault> {
    let mut select = db.prepare_cached(
        "SELECT min(due) FROM records INDEXED BY chores
         WHERE state > 1 AND deadline IS NULL AND due IS NOT NULL
             AND destination = ?1 AND state = ?2",
    )?;
    let mut earliest =
        |state: State| select.query_row((lane, state), |row| row.get::<_, Option<Timestamp>>(0));
    Ok(earliest(State::Unknown)?.into_iter().chain(earliest(State::Merged)?).min())
}

/// The earliest that have joined a lead and say something else: they go into its create, which is
/// noted of them.
pub(super) fn join_create(
    transaction: &Transaction<'_>,
    lead: SubmissionId,
) -> Result<Vec<Joined>, Fault> {
    if !transaction.settings.dedup.comments() {
        return Ok(Vec::new());
    }
    let db = transaction.db;
    let rows = joined(db, lead, i64::MAX)?;
    let mut all = Vec::new();
    for row in rows {
        // What cannot be read is passed over: it says nothing to anybody.
        let Some(joined) = row.open(&transaction.settings.vault) else { continue };
        set_told(db, row.seq, WITH_CREATE)?;
        all.push(joined);
    }
    Ok(all)
}

/// CareSoft has a lead: what joined it and is not in it is to be told.
pub(super) fn follow_up(
    transaction: &mut Transaction<'_>,
    lead: SubmissionId,
    now: Timestamp,
) -> Result<(), Fault> {
    if !transaction.settings.dedup.comments() {
        return Ok(());
    }
    let db = transaction.db;
    let mut any =
        db.prepare_cached("SELECT 1 FROM records INDEXED BY duplicates WHERE duplicate_of = ?1")?;
    if !any.exists([lead])? {
        return Ok(()); // as nearly always
    }
    let mut select = db.prepare_cached(
        "SELECT seq, events FROM records INDEXED BY duplicates
         WHERE duplicate_of = ?1 AND state = ?2 AND told = ?3",
    )?;
    let in_create: Vec<(i64, Option<String>)> = select
        .query_map((lead, State::Merged, WITH_CREATE), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (seq, events) in in_create {
        let event = Event { outcome: Some("with_lead".into()), ..Event::plain(now, "comment") };
        let events = history::append(events.as_deref(), event)?;
        set_told(db, seq, TOLD)?;
        db.prepare_cached("UPDATE records SET events = ?2 WHERE seq = ?1")?
            .execute((seq, events))?;
    }
    let due = db
        .prepare_cached(
            "UPDATE records SET due = ?2 WHERE seq IN (
                 SELECT seq FROM records INDEXED BY duplicates
                 WHERE duplicate_of = ?1 AND state = ?3 AND told = ?4 AND content IS NOT NULL
                     AND deadline IS NULL
                     AND content IS NOT (SELECT content FROM records WHERE id = ?1))",
        )?
        .execute((lead, now, State::Merged, NOT_YET))?;
    transaction.arrived |= due > 0;
    Ok(())
}

/// Whether a submission that joins `lead` is to be told to CareSoft at once: the lead is there, and
/// is not of the same content.
pub(super) fn is_due(
    transaction: &Transaction<'_>,
    lead: SubmissionId,
    content: Option<&crate::store::identity::IdentityHash>,
) -> Result<bool, Fault> {
    if !transaction.settings.dedup.comments() || content.is_none() {
        return Ok(false);
    }
    let mut select = transaction.db.prepare_cached(
        "SELECT 1 FROM records WHERE id = ?1 AND state = ?2 AND content IS NOT ?3",
    )?;
    Ok(select.exists((lead, State::Created, content))?)
}

/// A record has joined another lead: nothing of it was told there yet.
pub(super) fn moved(
    transaction: &mut Transaction<'_>,
    seq: i64,
    lead: SubmissionId,
    now: Timestamp,
) -> Result<(), Fault> {
    let content = transaction
        .db
        .prepare_cached("SELECT content FROM records WHERE seq = ?1")?
        .query_row([seq], |row| row.get::<_, Option<_>>(0))?;
    let due = is_due(transaction, lead, content.as_ref())?;
    transaction
        .db
        .prepare_cached("UPDATE records SET told = ?2, due = ?3 WHERE seq = ?1")?
        .execute((seq, NOT_YET, due.then_some(now)))?;
    transaction.arrived |= due;
    Ok(())
}

/// What is to be told of a merged record, and to which lead; `None` when that lead is not there. One
/// that is erased here is there nevertheless, where it was made.
pub(super) fn comment(transaction: &Transaction<'_>, seq: i64) -> Result<Option<Task>, Fault> {
    let db = transaction.db;
    let mut select = db.prepare_cached(
        "SELECT lead.id, lead.upstream_lead, lead.upstream_requester, lead.seq, lead.source,
                lead.received_at, lead.payload
         FROM records own JOIN records lead ON lead.id = own.duplicate_of
         WHERE own.seq = ?1 AND lead.state IN (?2, ?3) AND lead.upstream_lead IS NOT NULL",
    )?;
    let found = select.query_row((seq, State::Created, State::Erased), |row| {
        let unsigned = |id: i64| u64::try_from(id).unwrap_or_default(); // written as one
        let to = Upstream {
            lead_id: unsigned(row.get(1)?),
            requester_id: row.get::<_, Option<i64>>(2)?.map(unsigned),
        };
        let lead = Row {
            seq: row.get(3)?,
            id: row.get(0)?,
            source: row.get(4)?,
            received_at: row.get(5)?,
            payload: row.get(6)?,
        };
        Ok((to, lead))
    });
    let Some((to, lead)) = found.optional()? else { return Ok(None) };
    let earlier = joined(db, lead.id, seq)?;
    let vault = &transaction.settings.vault;
    let said = std::iter::once(lead).chain(earlier).filter_map(|row| row.open(vault)).collect();
    Ok(Some(Task::Comment { to, said }))
}

/// A record that has joined a lead, or the lead itself, as it is stored.
struct Row {
    seq: i64,
    id: SubmissionId,
    source: crate::lead::SourceId,
    received_at: Timestamp,
    payload: Option<Vec<u8>>,
}

impl Row {
    fn open(&self, vault: &Vault) -> Option<Joined> {
        let payload = record::payload(vault, self.payload.clone()).ok()?;
        Some(Joined {
            id: self.id,
            source: self.source.clone(),
            received_at: self.received_at,
            lead: payload.lead?,
        })
    }
}

/// The earliest that have joined a lead before the record `before` and say something else.
fn joined(db: &Connection, lead: SubmissionId, before: i64) -> Result<Vec<Row>, Fault> {
    let mut select = db.prepare_cached(
        "SELECT seq, id, source, received_at, payload FROM records INDEXED BY duplicates
         WHERE duplicate_of = ?1 AND state = ?2 AND seq < ?3 AND content IS NOT NULL
             AND content IS NOT (SELECT content FROM records WHERE id = ?1)
         ORDER BY seq LIMIT ?4",
    )?;
    let max = u32::try_from(JOINED_MAX).unwrap_or(u32::MAX);
    let rows = select.query_map((lead, State::Merged, before, max), |row| {
        Ok(Row {
            seq: row.get(0)?,
            id: row.get(1)?,
            source: row.get(2)?,
            received_at: row.get(3)?,
            payload: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn set_told(db: &Connection, seq: i64, told: u8) -> Result<(), Fault> {
    db.prepare_cached("UPDATE records SET told = ?2 WHERE seq = ?1")?.execute((seq, told))?;
    Ok(())
}
