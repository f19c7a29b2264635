//! What follows for a person's other submissions when the one that carries their lead is out.

use rusqlite::{Connection, OptionalExtension, Row};

use super::chores;
use super::claims::Claim;
use super::columns::Hashes;
use super::fault::Fault;
use super::history;
use super::queue::{self, Class};
use super::transaction::Transaction;
use crate::lead::{Event, SourceId, State, SubmissionId, Timestamp};
use crate::store::LOOK_AFTER;
use crate::store::identity::IdentityHash;

/// A record as far as its person goes.
pub(super) struct Member {
    pub(super) seq: i64,
    pub(super) id: SubmissionId,
    /// Who carries its lead: itself, unless it is merged.
    lead: SubmissionId,
    pub(super) source: SourceId,
    pub(super) received_at: Timestamp,
    pub(super) events: Option<String>,
    pub(super) identities: Vec<IdentityHash>,
    /// Bit n: it brought the claim on the n-th identity.
    claimed: u8,
}

impl Member {
    const COLUMNS: &str = "seq, id, source, received_at, events, identities, claimed, \
         duplicate_of";

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let Hashes(identities) = row.get(5)?;
        let id = row.get(1)?;
        Ok(Self {
            seq: row.get(0)?,
            id,
            lead: row.get::<_, Option<_>>(7)?.unwrap_or(id),
            source: row.get(2)?,
            received_at: row.get(3)?,
            events: row.get(4)?,
            identities,
            claimed: row.get(6)?,
        })
    }

    /// The record with this number.
    pub(super) fn by_seq(db: &Connection, seq: i64) -> Result<Option<Self>, Fault> {
        let sql = format!("SELECT {} FROM records WHERE seq = ?1", Self::COLUMNS);
        Ok(db.prepare_cached(&sql)?.query_row([seq], Self::read).optional()?)
    }

    /// The identities on which it brought the claim.
    fn brought(&self) -> impl Iterator<Item = IdentityHash> + '_ {
        let brought = |position: &usize| self.claimed & (1 << position) != 0;
        (0..self.identities.len()).filter(brought).map(|position| self.identities[position])
    }
}

/// A lead is dead: the claims on its person end (invariant 3), or pass to the next submission of
/// that person that says something else. What it says would otherwise be lost, since it was to be
/// part of the dead lead; one that says the same would be refused the same.
pub(super) fn bury(
    transaction: &mut Transaction<'_>,
    seq: i64,
    now: Timestamp,
) -> Result<(), Fault> {
    let Some(dead) = Member::by_seq(transaction.db, seq)? else { return Ok(()) };
    inherit(transaction, &dead, Heirs::WhoSayMore, now).map(drop)
}

/// A lead is to be erased that CareSoft is not known to have, and only it: whoever else has joined it
/// goes on without it, also one that says the same. `sent_at`: it may have been made, not before that;
/// then whoever goes on in its place is looked for first.
pub(super) fn go_on_without(
    transaction: &mut Transaction<'_>,
    erased: &Member,
    sent_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Fault> {
    let heir = inherit(transaction, erased, Heirs::Anybody, now)?;
    let (Some(heir), Some(sent_at)) = (heir, sent_at) else { return Ok(()) };
    transaction
        .db
        .prepare_cached(
            "UPDATE records SET state = ?2, due = ?3, sent_at = ?4, reason = ?5 WHERE seq = ?1",
        )?
        .execute((heir.seq, State::Unknown, now.plus(LOOK_AFTER), sent_at, MAY_BE_THERE))?;
    transaction.memory.ledger.moved(&heir.source, State::Pending, State::Unknown);
    Ok(())
}

const MAY_BE_THERE: &str =
    "the submission that it had joined was erased while it was on its way: it may have been sent";

/// Who comes into a lead's place.
#[derive(Clone, Copy)]
enum Heirs {
    /// Those who had joined it and said something else.
    WhoSayMore,
    /// Those who had joined it.
    Anybody,
}

/// The earliest heir of a lead takes its place, if there is one; otherwise its claims end.
fn inherit(
    transaction: &mut Transaction<'_>,
    gone: &Member,
    heirs: Heirs,
    now: Timestamp,
) -> Result<Option<Member>, Fault> {
    release_own(transaction, gone)?;
    while let Some(heir) = heir(transaction.db, gone, heirs)? {
        match other_lead(transaction, &heir, gone.id, now)? {
            None => {
                promote(transaction, &heir, gone.id, now)?;
                return Ok(Some(heir));
            }
            Some(other) => join(transaction, &heir, other, now)?, // the one that goes loses it
        }
    }
    release(transaction, gone)?;
    Ok(None)
}

/// A submission that had joined a lead becomes one in its place.
fn promote(
    transaction: &mut Transaction<'_>,
    heir: &Member,
    dead: SubmissionId,
    now: Timestamp,
) -> Result<(), Fault> {
    let until = heir.received_at.plus(transaction.settings.dedup.window());
    let claim = Claim { lead: heir.id, until };
    hand_over(transaction, dead, claim, now)?;
    claim_own(transaction, heir, claim, now)?;
    let events = history::append(heir.events.as_deref(), Event::plain(now, "promoted"))?;
    queue::enqueue(transaction, heir.id, &Class::Fresh, heir.received_at, &events)?;
    transaction.memory.ledger.moved(&heir.source, State::Merged, State::Pending);
    Ok(())
}

/// A submission leaves one lead for another.
fn join(
    transaction: &mut Transaction<'_>,
    member: &Member,
    to: Claim,
    now: Timestamp,
) -> Result<(), Fault> {
    release_own(transaction, member)?;
    claim_own(transaction, member, to, now)?;
    transaction
        .db
        .prepare_cached("UPDATE records SET duplicate_of = ?2 WHERE seq = ?1")?
        .execute((member.seq, to.lead))?;
    chores::moved(transaction, member.seq, to.lead, now)
}

/// The lead, other than `but`, that the first claimed identity of `member` belongs to.
pub(super) fn other_lead(
    transaction: &Transaction<'_>,
    member: &Member,
    but: SubmissionId,
    now: Timestamp,
) -> Result<Option<Claim>, Fault> {
    for hash in &member.identities {
        let held = transaction.memory.claims.held(transaction.db, *hash, now)?;
        if let Some(other) = held.filter(|held| held.lead != but) {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// Ends the claims that a record brought, and those that others brought to it.
pub(super) fn release(transaction: &mut Transaction<'_>, member: &Member) -> Result<(), Fault> {
    for follower in bringers(transaction.db, member.id)? {
        release_own(transaction, &follower)?;
    }
    release_own(transaction, member)
}

/// Ends the claims that a record brought, to itself or to the lead it joined.
pub(super) fn release_own(transaction: &mut Transaction<'_>, member: &Member) -> Result<(), Fault> {
    for hash in member.brought() {
        transaction.memory.claims.release(transaction.db, hash, member.lead)?;
    }
    set_claimed(transaction.db, member.seq, 0, None)
}

/// Gives `to` everything that others brought to the lead `from`: their claims, and themselves.
pub(super) fn hand_over(
    transaction: &mut Transaction<'_>,
    from: SubmissionId,
    to: Claim,
    now: Timestamp,
) -> Result<(), Fault> {
    for follower in bringers(transaction.db, from)? {
        release_own(transaction, &follower)?;
        claim(transaction, &follower, follower.claimed, to, now)?;
    }
    let mut select = transaction.db.prepare_cached(
        "UPDATE records SET duplicate_of = ?2 WHERE duplicate_of = ?1 RETURNING seq",
    )?;
    let moved: Vec<i64> =
        select.query_map((from, to.lead), |row| row.get(0))?.collect::<Result<_, _>>()?;
    for seq in moved {
        chores::moved(transaction, seq, to.lead, now)?;
    }
    Ok(())
}

/// Claims, for a lead, every identity of `member` that nobody else has claimed.
pub(super) fn claim_own(
    transaction: &mut Transaction<'_>,
    member: &Member,
    lead: Claim,
    now: Timestamp,
) -> Result<(), Fault> {
    claim(transaction, member, u8::MAX, lead, now)
}

/// Claims those of `member`'s identities that `wanted` has a bit for.
fn claim(
    transaction: &mut Transaction<'_>,
    member: &Member,
    wanted: u8,
    lead: Claim,
    now: Timestamp,
) -> Result<(), Fault> {
    let mut claimed = 0;
    for (position, hash) in member.identities.iter().enumerate() {
        let bit = 1 << position;
        let held = transaction.memory.claims.held(transaction.db, *hash, now)?;
        if wanted & bit != 0 && held.is_none_or(|held| held.lead == lead.lead) {
            transaction.memory.claims.give(transaction.db, *hash, lead)?;
            claimed |= bit;
        }
    }
    set_claimed(transaction.db, member.seq, claimed, Some(lead.until))
}

/// The earliest of those who come into a lead's place.
fn heir(db: &Connection, gone: &Member, heirs: Heirs) -> Result<Option<Member>, Fault> {
    let anybody = matches!(heirs, Heirs::Anybody);
    let sql = format!(
        "SELECT {} FROM records INDEXED BY duplicates
         WHERE duplicate_of = ?1 AND state = ?3 AND content IS NOT NULL
             AND (?4 OR content <> (SELECT content FROM records WHERE seq = ?2))
         ORDER BY seq LIMIT 1",
        Member::COLUMNS
    );
    Ok(db
        .prepare_cached(&sql)?
        .query_row((gone.id, gone.seq, State::Merged, anybody), Member::read)
        .optional()?)
}

/// Those who joined a lead and brought it a claim.
fn bringers(db: &Connection, lead: SubmissionId) -> Result<Vec<Member>, Fault> {
    let sql = format!(
        "SELECT {} FROM records INDEXED BY duplicates WHERE duplicate_of = ?1 AND claimed <> 0",
        Member::COLUMNS
    );
    let mut select = db.prepare_cached(&sql)?;
    Ok(select.query_map([lead], Member::read)?.collect::<Result<_, _>>()?)
}

fn set_claimed(
    db: &Connection,
    seq: i64,
    claimed: u8,
    until: Option<Timestamp>,
) -> Result<(), Fault> {
    db.prepare_cached("UPDATE records SET claimed = ?2, claimed_until = ?3 WHERE seq = ?1")?
        .execute((seq, claimed, until))?;
    Ok(())
}
