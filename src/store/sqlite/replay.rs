//! A record that is there already comes to hold something else, or gets another chance: replays,
//! and what was fetched for a notice.

use rusqlite::OptionalExtension;

use super::claims::Claim;
use super::columns::Hashes;
use super::fault::Fault;
use super::person::{self, Member};
use super::queue::{self, Class};
use super::transaction::Transaction;
use super::{chores, erase, forgotten, history, notices, record};
use crate::lead::{DestinationId, Event, Identity, Lead, RawBody, State, SubmissionId, Timestamp};
use crate::store::identity::named;
use crate::store::payload::Payload;
use crate::store::{Content, Lease, Replayed, Settled};

/// A record that is to be changed.
struct Held {
    seq: i64,
    state: State,
    destination: DestinationId,
    /// Whether there is a lead in it.
    has_lead: bool,
    /// Whether there is a body in it.
    has_body: bool,
}

/// How it goes on with a record that holds a lead.
struct Onward {
    /// What is added to its history.
    event: Event,
    class: Class,
    /// Its place in its class.
    place: Timestamp,
    /// From when on its person is claimed, and as of when it is asked whose that is.
    claimed_from: Timestamp,
    now: Timestamp,
}

/// See [`crate::store::Store::replay`].
pub(super) fn replay(
    transaction: &mut Transaction<'_>,
    id: SubmissionId,
    now: Timestamp,
    content: Option<&Content>,
) -> Result<Replayed, Fault> {
    let Some(held) = held(transaction, id)? else { return Ok(Replayed::Missing) };
    let event = Event::plain(now, "replayed");
    let onward = |event| Onward { event, class: Class::Later, place: now, claimed_from: now, now };
    let refused = Ok(Replayed::Refused(held.state));
    if !matches!(held.state, State::Dead | State::Unknown | State::Quarantined) {
        return refused;
    }
    if let Some(content) = content
        && erase_forgotten(transaction, &held, content, now)?
    {
        return Ok(Replayed::Forgotten);
    }
    match content {
        None if held.state == State::Quarantined => refused,
        None if held.has_lead => go_on(transaction, &held, &onward(event)),
        None if held.has_body => {
            notices::await_again(transaction, id, now, event)?;
            Ok(Replayed::Queued)
        }
        Some(Content::Lead { lead, identities }) if !identities.is_empty() => {
            hold_lead(transaction, &held, lead, identities)?;
            go_on(transaction, &held, &onward(event))
        }
        Some(Content::Notice { notice }) => {
            hold_body(transaction, &held, Some(notice))?;
            notices::await_again(transaction, id, now, event)?;
            Ok(Replayed::Queued)
        }
        Some(Content::Test { lead }) => {
            hold_lead(transaction, &held, lead, &named(lead))?;
            end(transaction, &held, State::Test, None, event, now)?;
            Ok(Replayed::Test)
        }
        _ => refused,
    }
}

/// See [`crate::store::Store::fill`].
pub(super) fn fill(
    transaction: &mut Transaction<'_>,
    lease: &Lease,
    now: Timestamp,
    content: &Content,
    event: &Event,
) -> Result<Settled, Fault> {
    let Some(received_at) = notices::held_by(transaction.db, lease)? else {
        return Ok(Settled::Stale);
    };
    let Some(held) = held(transaction, lease.id)? else { return Ok(Settled::Stale) };
    if erase_forgotten(transaction, &held, content, now)? {
        return Ok(Settled::Done);
    }
    let event = event.clone();
    match content {
        Content::Lead { lead, identities } => {
            hold_lead(transaction, &held, lead, identities)?;
            hold_body(transaction, &held, None)?;
            let (class, place) = (Class::Fresh, received_at);
            let onward = Onward { event, class, place, claimed_from: received_at, now };
            go_on(transaction, &held, &onward)?;
        }
        Content::Test { lead } => {
            hold_lead(transaction, &held, lead, &named(lead))?;
            hold_body(transaction, &held, None)?;
            end(transaction, &held, State::Test, None, event, now)?;
        }
        Content::Quarantined { reason, lead, raw } => {
            if let Some(lead) = lead {
                hold_lead(transaction, &held, lead, &named(lead))?;
            }
            hold_body(transaction, &held, Some(raw))?;
            end(transaction, &held, State::Quarantined, Some(reason), event, now)?;
        }
        Content::Notice { .. } | Content::Deletion => return Ok(Settled::Stale),
    }
    Ok(Settled::Done)
}

/// Erases the record, if somebody in `content` was forgotten since it was received.
fn erase_forgotten(
    transaction: &mut Transaction<'_>,
    held: &Held,
    content: &Content,
    now: Timestamp,
) -> Result<bool, Fault> {
    let Some(member) = Member::by_seq(transaction.db, held.seq)? else { return Ok(false) };
    let is_forgotten = forgotten::is_since(transaction, &content.persons(), member.received_at)?;
    if is_forgotten {
        erase::erase(transaction, &member, now)?;
    }
    Ok(is_forgotten)
}

fn held(transaction: &Transaction<'_>, id: SubmissionId) -> Result<Option<Held>, Fault> {
    let mut select = transaction.db.prepare_cached(
        "SELECT seq, state, destination, content IS NOT NULL, raw IS NOT NULL FROM records
         WHERE id = ?1",
    )?;
    let found = select.query_row([id], |row| {
        Ok(Held {
            seq: row.get(0)?,
            state: row.get(1)?,
            destination: row.get(2)?,
            has_lead: row.get(3)?,
            has_body: row.get(4)?,
        })
    });
    Ok(found.optional()?)
}

/// Replaces the record's lead and identities.
fn hold_lead(
    transaction: &mut Transaction<'_>,
    held: &Held,
    lead: &Lead,
    identities: &[Identity],
) -> Result<(), Fault> {
    let seq = held.seq;
    if let Some(before) = Member::by_seq(transaction.db, seq)? {
        person::release_own(transaction, &before)?;
        transaction.memory.claims.drop_carrier(transaction.db, &before.identities, seq)?;
    }
    let vault = &transaction.settings.vault;
    let identities = Hashes(vault.key().identities(&held.destination, identities));
    let stored = transaction
        .db
        .prepare_cached("SELECT payload FROM records WHERE seq = ?1")?
        .query_row([seq], |row| row.get(0))?;
    // What cannot be read is replaced like any other, only that its external id is lost with it.
    let before = record::payload(vault, stored).unwrap_or_default();
    let payload = vault.close(&Payload { lead: Some(lead.clone()), ..before });
    transaction
        .db
        .prepare_cached(
            "UPDATE records SET payload = ?2, content = ?3, identities = ?4 WHERE seq = ?1",
        )?
        .execute((seq, payload, vault.key().content(lead), &identities))?;
    transaction.memory.claims.add_carrier(transaction.db, &identities.0, seq)
}

/// Replaces the record's body.
fn hold_body(
    transaction: &Transaction<'_>,
    held: &Held,
    body: Option<&RawBody>,
) -> Result<(), Fault> {
    let closed = body.map(|body| transaction.settings.vault.close_body(body));
    transaction
        .db
        .prepare_cached("UPDATE records SET raw = ?2 WHERE seq = ?1")?
        .execute((held.seq, closed))?;
    Ok(())
}

/// A record with a lead goes into its lane, or joins the lead that its person has.
fn go_on(
    transaction: &mut Transaction<'_>,
    held: &Held,
    onward: &Onward,
) -> Result<Replayed, Fault> {
    let Some(member) = Member::by_seq(transaction.db, held.seq)? else {
        return Ok(Replayed::Missing);
    };
    match person::other_lead(transaction, &member, member.id, onward.claimed_from)? {
        None => queue_up(transaction, &member, held.state, onward),
        Some(other) => join(transaction, &member, held.state, other, onward),
    }
}

fn queue_up(
    transaction: &mut Transaction<'_>,
    member: &Member,
    state: State,
    onward: &Onward,
) -> Result<Replayed, Fault> {
    let until = onward.claimed_from.plus(transaction.settings.dedup.window());
    let claim = Claim { lead: member.id, until };
    person::claim_own(transaction, member, claim, onward.claimed_from)?;
    let events = history::append(member.events.as_deref(), onward.event.clone())?;
    queue::enqueue(transaction, member.id, &onward.class, onward.place, &events)?;
    transaction.memory.ledger.moved(&member.source, state, State::Pending);
    Ok(Replayed::Queued)
}

/// The record, and whoever had joined it, join the lead that the person has now.
fn join(
    transaction: &mut Transaction<'_>,
    member: &Member,
    state: State,
    lead: Claim,
    onward: &Onward,
) -> Result<Replayed, Fault> {
    let now = onward.now;
    person::release_own(transaction, member)?;
    person::hand_over(transaction, member.id, lead, now)?;
    person::claim_own(transaction, member, lead, onward.claimed_from)?;
    let events = history::append(member.events.as_deref(), onward.event.clone())?;
    let events = history::append(Some(&events), Event::plain(now, "merged"))?;
    transaction
        .db
        .prepare_cached(
            "UPDATE records SET state = ?2, duplicate_of = ?3, settled_at = ?4, reason = NULL,
                 events = ?5, deadline = NULL
             WHERE seq = ?1",
        )?
        .execute((member.seq, State::Merged, lead.lead, now, events))?;
    chores::moved(transaction, member.seq, lead.lead, now)?;
    transaction.memory.ledger.moved(&member.source, state, State::Merged);
    Ok(Replayed::Merged { into: lead.lead })
}

/// Nothing is sent of the record: it is a test, or unusable.
fn end(
    transaction: &mut Transaction<'_>,
    held: &Held,
    state: State,
    reason: Option<&str>,
    event: Event,
    now: Timestamp,
) -> Result<(), Fault> {
    let Some(member) = Member::by_seq(transaction.db, held.seq)? else { return Ok(()) };
    let events = history::append(member.events.as_deref(), event)?;
    transaction
        .db
        .prepare_cached(
            "UPDATE records SET state = ?2, settled_at = ?3, reason = ?4, events = ?5,
                 deadline = NULL, due = NULL
             WHERE seq = ?1",
        )?
        .execute((held.seq, state, now, reason, events))?;
    transaction.memory.ledger.moved(&member.source, held.state, state);
    Ok(())
}
