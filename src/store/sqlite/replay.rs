//! A record that was given up on gets another chance.

use rusqlite::OptionalExtension;

use super::claims::Claim;
use super::columns::Hashes;
use super::fault::Fault;
use super::person::{self, Member};
use super::queue::{self, Class};
use super::transaction::Transaction;
use super::{chores, history, record};
use crate::lead::{DestinationId, Event, Identity, Lead, State, SubmissionId, Timestamp};
use crate::store::Replayed;
use crate::store::payload::Payload;

/// See [`crate::store::Store::replay`].
pub(super) fn replay(
    transaction: &mut Transaction<'_>,
    id: SubmissionId,
    now: Timestamp,
    corrected: Option<&(Lead, Vec<Identity>)>,
) -> Result<Replayed, Fault> {
    let mut select = transaction.db.prepare_cached(
        "SELECT seq, state, destination, content IS NOT NULL FROM records WHERE id = ?1",
    )?;
    let found = select.query_row([id], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get::<_, DestinationId>(2)?, row.get(3)?))
    });
    let Some((seq, state, destination, has_lead)) = found.optional()? else {
        return Ok(Replayed::Missing);
    };
    let replayable = matches!(state, State::Dead | State::Unknown | State::Quarantined);
    let usable = match corrected {
        Some((_, identities)) => !identities.is_empty(),
        None => has_lead && state != State::Quarantined,
    };
    if !replayable || !usable {
        return Ok(Replayed::Refused(state));
    }
    if let Some((lead, identities)) = corrected {
        correct(transaction, seq, &destination, lead, identities)?;
    }
    let Some(member) = Member::by_seq(transaction.db, seq)? else { return Ok(Replayed::Missing) };
    match person::other_lead(transaction, &member, member.id, now)? {
        None => queue_again(transaction, &member, state, now),
        Some(other) => join(transaction, &member, state, other, now),
    }
}

/// Replaces the record's lead and identities.
fn correct(
    transaction: &mut Transaction<'_>,
    seq: i64,
    destination: &DestinationId,
    lead: &Lead,
    identities: &[Identity],
) -> Result<(), Fault> {
    if let Some(before) = Member::by_seq(transaction.db, seq)? {
        person::release_own(transaction, &before)?;
        transaction.memory.claims.drop_carrier(transaction.db, &before.identities, seq)?;
    }
    let vault = &transaction.settings.vault;
    let identities = Hashes(vault.key().identities(destination, identities));
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

fn queue_again(
    transaction: &mut Transaction<'_>,
    member: &Member,
    state: State,
    now: Timestamp,
) -> Result<Replayed, Fault> {
    let until = now.plus(transaction.settings.dedup_window);
    person::claim_own(transaction, member, Claim { lead: member.id, until }, now)?;
    let events = history::append(member.events.as_deref(), Event::plain(now, "replayed"))?;
    queue::enqueue(transaction, member.id, &Class::Later, now, &events)?;
    transaction.memory.ledger.moved(&member.source, state, State::Pending);
    Ok(Replayed::Queued)
}

/// The record, and whoever had joined it, join the lead that the person has now.
fn join(
    transaction: &mut Transaction<'_>,
    member: &Member,
    state: State,
    lead: Claim,
    now: Timestamp,
) -> Result<Replayed, Fault> {
    person::release_own(transaction, member)?;
    person::hand_over(transaction, member.id, lead, now)?;
    person::claim_own(transaction, member, lead, now)?;
    let events = history::append(member.events.as_deref(), Event::plain(now, "replayed"))?;
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
