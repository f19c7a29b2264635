//! The queue of a lane: who is next. How it ends is in `settle.rs`.

use rusqlite::Connection;

use super::fault::Fault;
use super::settle::settle;
use super::transaction::Transaction;
use super::{chores, record};
use crate::lead::{DestinationId, Event, State, SubmissionId, Timestamp};
use crate::store::{Lease, Leased, Outcome, Task, Unsure, Wanted, Work};

/// The most that one call leases.
const LEASED_MAX: u32 = 1000;
/// How many waiting records of a class are made ready by one call, at least: after an outage
/// 100,000 of them may be due at once, and no call should take that long.
const MADE_READY: u32 = 256;
/// While both classes wait, every fourth place is a later one's.
const PLACES: u8 = 4;

const UNREADABLE: &str = "the stored lead cannot be read";
const LEAD_GONE: &str = "the lead that it joined is not there any more";

/// The two classes of leads to be made, as they are stored; [`notices`](super::notices) are a third.
const FRESH: u8 = 0;
const LATER: u8 = 1;

/// Whose turn it is in a lane. Goes on from call to call, so that a lane that leases one at a time
/// is fair.
#[derive(Default)]
pub(super) struct Turns {
    /// Counts the places that were given while fresh ones and others waited.
    place: u8,
    /// Which of the other classes has the next of theirs.
    class: usize,
}

/// The classes besides the fresh: later ones, and the [chores](chores::STATES).
const OTHERS: usize = 3;
const LATER_CLASS: usize = 0;

/// See [`crate::store::Store::lease`].
pub(super) fn lease(
    transaction: &mut Transaction<'_>,
    lane: &DestinationId,
    wanted: Wanted,
    now: Timestamp,
) -> Result<Leased, Fault> {
    let bounded = |max: usize| u32::try_from(max).unwrap_or(LEASED_MAX).min(LEASED_MAX);
    let (max, chores_max) = (bounded(wanted.max), bounded(wanted.chores));
    let db = transaction.db;
    for class in [FRESH, LATER] {
        make_ready(db, lane, class, now, max.max(MADE_READY))?;
    }
    let fresh = ready(db, lane, FRESH, max)?;
    let later = ready(db, lane, LATER, max)?;
    let [unknown, merged] =
        chores::STATES.map(|state| chores::ready(db, lane, state, now, chores_max));
    let others = [later, unknown?, merged?];
    if !transaction.memory.turns.contains_key(lane) {
        transaction.memory.turns.insert(lane.clone(), Turns::default());
    }
    let turns = transaction.memory.turns.entry(lane.clone()).or_default();

    let mut work = Vec::new();
    for seq in turns.choose(fresh, others, &wanted) {
        work.extend(take(transaction, lane, seq, now, &wanted)?);
    }
    let is_short = work.len() < max as usize;
    let next_due = if is_short { next_due(db, lane, chores_max > 0)? } else { None };
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

impl Turns {
    fn choose(&mut self, fresh: Vec<i64>, others: [Vec<i64>; OTHERS], wanted: &Wanted) -> Vec<i64> {
        let mut fresh = fresh.into_iter().peekable();
        let mut others = others.map(|class| class.into_iter().peekable());
        let (mut chosen, mut chores) = (Vec::new(), 0);
        while chosen.len() < wanted.max.min(LEASED_MAX as usize) {
            let classes = if chores < wanted.chores { OTHERS } else { 1 };
            let any_other = others[..classes].iter_mut().any(|class| class.peek().is_some());
            let both_wait = fresh.peek().is_some() && any_other;
            if both_wait {
                self.place = (self.place + 1) % PLACES;
            }
            let is_fresh = fresh.peek().is_some() && !(both_wait && self.place == 0);
            let next = if is_fresh {
                fresh.next().map(|seq| (seq, LATER_CLASS))
            } else {
                self.next_other(&mut others[..classes])
            };
            let Some((seq, class)) = next else { break };
            chores += usize::from(class != LATER_CLASS);
            chosen.push(seq);
        }
        chosen
    }

    /// The next of the classes in turn, past those that are empty.
    fn next_other(&mut self, others: &mut [impl Iterator<Item = i64>]) -> Option<(i64, usize)> {
        for step in 0..OTHERS {
            let class = (self.class + step) % OTHERS;
            if let Some(seq) = others.get_mut(class).and_then(Iterator::next) {
                self.class = (class + 1) % OTHERS;
                return Some((seq, class));
            }
        }
        None
    }
}

/// A record that was just leased, as it is stored.
struct Taken {
    state: State,
    payload: Option<Vec<u8>>,
    unsure: Unsure,
}

/// Leases one record. One whose lead cannot be read leaves the queue, or it would stop its lane for
/// ever.
fn take(
    transaction: &mut Transaction<'_>,
    lane: &DestinationId,
    seq: i64,
    now: Timestamp,
    wanted: &Wanted,
) -> Result<Option<Work>, Fault> {
    let mut update = transaction.db.prepare_cached(
        "UPDATE records SET fence = fence + 1, due = NULL,
             deadline = CASE state WHEN 0 THEN ?2 ELSE ?3 END,
             sent_at = CASE state WHEN 0 THEN coalesce(sent_at, ?4) ELSE sent_at END
         WHERE seq = ?1
         RETURNING id, fence, deadline, source, received_at, attempts, state, payload, sent_at,
             looks, resent, trace",
    )?;
    let deadlines = (now.plus(wanted.create_term), now.plus(wanted.chore_term));
    let (work, taken) = update.query_row((seq, deadlines.0, deadlines.1, now), |row| {
        let received_at = row.get(4)?;
        let lease = Lease {
            lane: lane.clone(),
            id: row.get(0)?,
            fence: row.get(1)?,
            deadline: row.get(2)?,
        };
        let work = Work {
            lease,
            task: Task::Create { joined: Vec::new() },
            source: row.get(3)?,
            received_at,
            trace_id: row.get(11)?,
            attempts: row.get(5)?,
            lead: crate::lead::Lead::default(),
        };
        let unsure = Unsure {
            sent_at: row.get::<_, Option<Timestamp>>(8)?.unwrap_or(received_at),
            looks: row.get(9)?,
            resent: row.get(10)?,
        };
        Ok((work, Taken { state: row.get(6)?, payload: row.get(7)?, unsure }))
    })?;
    let task = match taken.state {
        State::Pending => Task::Create { joined: chores::join_create(transaction, work.lease.id)? },
        State::Unknown => Task::Look(taken.unsure),
        _ => match chores::comment(transaction, seq)? {
            Some(task) => task,
            None => return leave(transaction, &work.lease, now, LEAD_GONE),
        },
    };
    let payload = record::payload(&transaction.settings.vault, taken.payload);
    if let Some(lead) = payload.ok().and_then(|payload| payload.lead) {
        return Ok(Some(Work { lead, task, ..work }));
    }
    let trace_id = work.trace_id.map(tracing::field::display);
    tracing::error!(lead_id = %work.lease.id, trace_id, "a stored lead cannot be read");
    if taken.state == State::Merged {
        return leave(transaction, &work.lease, now, UNREADABLE);
    }
    let dead = Outcome::Dead { reason: UNREADABLE.into() };
    let event = Event { outcome: Some("dead".into()), ..Event::plain(now, work.task.word()) };
    settle(transaction, &work.lease, now, &dead, &event)?;
    Ok(None)
}

/// Nothing can be told of a merged record.
fn leave(
    transaction: &mut Transaction<'_>,
    lease: &Lease,
    now: Timestamp,
    why: &str,
) -> Result<Option<Work>, Fault> {
    let event = Event {
        outcome: Some("given_up".into()),
        detail: Some(why.to_owned()),
        ..Event::plain(now, "comment")
    };
    settle(transaction, lease, now, &Outcome::Told, &event)?;
    Ok(None)
}

fn next_due(
    db: &Connection,
    lane: &DestinationId,
    with_chores: bool,
) -> Result<Option<Timestamp>, Fault> {
    let queued = earliest(db, lane, FRESH)?.into_iter().chain(earliest(db, lane, LATER)?).min();
    let chore = if with_chores { chores::next_due(db, lane)? } else { None };
    Ok(queued.into_iter().chain(chore).min())
}

/// When the first that waits in a class is due.
pub(super) fn earliest(
    db: &Connection,
    lane: &DestinationId,
    class: u8,
) -> Result<Option<Timestamp>, Fault> {
    let mut select = db.prepare_cached(
        "SELECT min(due) FROM records INDEXED BY waiting
         WHERE state = 0 AND deadline IS NULL AND due IS NOT NULL
             AND destination = ?1 AND later = ?2",
    )?;
    Ok(select.query_row((lane, class), |row| row.get(0))?)
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
                 attempts = 0, settled_at = NULL, reason = NULL, duplicate_of = NULL, events = ?4,
                 sent_at = NULL, looks = 0, resent = 0, told = 0
             WHERE id = ?1",
        )?
        .execute((id, class, place, events))?;
    transaction.arrived = true;
    Ok(())
}
