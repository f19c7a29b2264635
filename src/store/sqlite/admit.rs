//! Accepting submissions: duplicates are decided, written and queued in one step, one row each.

use super::claims::Claim;
use super::columns::Hashes;
use super::fault::Fault;
use super::transaction::Transaction;
use super::{chores, erase, notices};
use crate::lead::{DestinationId, SourceId, State, SubmissionId, Timestamp, TraceId};
use crate::store::identity::{IdentityHash, named};
use crate::store::payload::{Payload, Vault};
use crate::store::{Admission, Content, Idempotency, Verdict};

/// An admission with everything done that can be done before the writer's turn.
pub(super) struct Entry {
    id: SubmissionId,
    source: SourceId,
    destination: DestinationId,
    received_at: Timestamp,
    trace_id: Option<TraceId>,
    delivery: Option<IdentityHash>,
    idempotency: Option<Idempotency>,
    identities: Hashes,
    external: Option<IdentityHash>,
    content: Option<IdentityHash>,
    payload: Option<Vec<u8>>,
    fate: Fate,
}

/// What is to become of an entry.
enum Fate {
    Lead,
    Quarantined {
        reason: String,
        raw: Vec<u8>,
    },
    Test,
    Notice {
        notice: Vec<u8>,
    },
    /// Of the submission of that external id, if it is there; otherwise known by that delivery.
    Deletion {
        external: IdentityHash,
        delivery: IdentityHash,
    },
}

/// Does the hashing and the sealing.
pub(super) fn prepare(vault: &Vault, admission: Admission) -> Entry {
    let Admission {
        id,
        source,
        destination,
        received_at,
        trace_id,
        mut external_id,
        idempotency,
        content,
    } = admission;
    let key = vault.key();
    let (lead, identities, fate) = match content {
        Content::Lead { lead, identities } => (Some(lead), identities, Fate::Lead),
        Content::Quarantined { reason, lead, raw } => {
            let named = lead.as_ref().map(named).unwrap_or_default();
            (lead, named, Fate::Quarantined { reason, raw: vault.close_body(&raw) })
        }
        Content::Test { lead } => {
            let named = named(&lead);
            (Some(lead), named, Fate::Test)
        }
        Content::Notice { notice } => {
            (None, Vec::new(), Fate::Notice { notice: vault.close_body(&notice) })
        }
        Content::Deletion => {
            // Nothing of whoever is to be erased is kept.
            let id = external_id.take().unwrap_or_default();
            let external = key.external_id(&id);
            (None, Vec::new(), Fate::Deletion { external, delivery: key.delivery(&source, &id) })
        }
    };
    let payload = Payload { external_id, lead };
    Entry {
        delivery: idempotency.as_ref().map(|known| key.delivery(&source, &known.key)),
        idempotency,
        identities: Hashes(key.identities(&destination, &identities)),
        external: payload.external_id.as_deref().map(|id| key.external_id(id)),
        content: payload.lead.as_ref().map(|lead| key.content(lead)),
        payload: (!payload.is_empty()).then(|| vault.close(&payload)),
        id,
        source,
        destination,
        received_at,
        trace_id,
        fate,
    }
}

/// See [`crate::store::Store::admit`].
pub(super) fn admit(
    transaction: &mut Transaction<'_>,
    entries: &[Entry],
) -> Result<Vec<Verdict>, Fault> {
    entries.iter().map(|entry| admit_one(transaction, entry)).collect()
}

fn admit_one(transaction: &mut Transaction<'_>, entry: &Entry) -> Result<Verdict, Fault> {
    if let Some(hash) = entry.delivery {
        let claims = &transaction.memory.claims;
        if let Some(earlier) = claims.held(transaction.db, hash, entry.received_at)? {
            return Ok(Verdict::Repeated { id: earlier.lead });
        }
    }
    transaction.know(&entry.destination)?;
    let verdict = match &entry.fate {
        Fate::Lead => admit_lead(transaction, entry)?,
        Fate::Quarantined { reason, raw } => {
            let row = Row {
                reason: Some(reason),
                raw: Some(raw),
                ..Row::settled(State::Quarantined, entry)
            };
            row.insert(transaction, entry)?;
            Verdict::Quarantined
        }
        Fate::Test => {
            Row::settled(State::Test, entry).insert(transaction, entry)?;
            Verdict::Test
        }
        Fate::Notice { notice } => {
            let (raw, due) = (Some(notice.as_slice()), Some(entry.received_at));
            let row = Row { class: notices::CLASS, raw, due, ..Row::pending() };
            row.insert(transaction, entry)?;
            Verdict::Accepted
        }
        Fate::Deletion { external, delivery } => {
            let now = entry.received_at;
            erase::of_external_id(transaction, &entry.source, external, now)?;
            Row::settled(State::Erased, entry).insert(transaction, entry)?;
            if transaction.memory.claims.held(transaction.db, *delivery, now)?.is_none() {
                let until = now.plus(transaction.settings.idempotency_window);
                let claim = Claim { lead: entry.id, until };
                transaction.memory.claims.give(transaction.db, *delivery, claim)?;
            }
            Verdict::Deleted
        }
    };
    Ok(verdict)
}

/// The first identity that is claimed decides, and a phone comes before an e-mail.
fn admit_lead(transaction: &mut Transaction<'_>, entry: &Entry) -> Result<Verdict, Fault> {
    let mut earlier: Option<Claim> = None;
    let mut claimed = 0_u8;
    for (position, hash) in entry.identities.0.iter().enumerate() {
        match transaction.memory.claims.held(transaction.db, *hash, entry.received_at)? {
            None => claimed |= 1 << position,
            Some(claim) => earlier = earlier.or(Some(claim)),
        }
    }
    let claim = earlier.unwrap_or_else(|| Claim {
        lead: entry.id,
        until: entry.received_at.plus(transaction.settings.dedup.window()),
    });
    for (position, hash) in entry.identities.0.iter().enumerate() {
        if claimed & (1 << position) != 0 {
            transaction.memory.claims.take(*hash, claim);
        }
    }
    let claimed_until = (claimed != 0).then_some(claim.until);
    let is_told = match earlier {
        Some(earlier) => chores::is_due(transaction, earlier.lead, entry.content.as_ref())?,
        None => false,
    };
    let row = match earlier {
        None => Row { claimed, claimed_until, ..Row::pending() },
        Some(earlier) => Row {
            claimed,
            claimed_until,
            duplicate_of: Some(earlier.lead),
            due: is_told.then_some(entry.received_at),
            ..Row::settled(State::Merged, entry)
        },
    };
    row.insert(transaction, entry)?;
    Ok(match earlier {
        None => Verdict::Accepted,
        Some(earlier) => Verdict::Merged { into: earlier.lead },
    })
}

/// What of a new row depends on the decision.
struct Row<'a> {
    state: State,
    settled_at: Option<Timestamp>,
    claimed: u8,
    claimed_until: Option<Timestamp>,
    duplicate_of: Option<SubmissionId>,
    class: u8,
    /// When what it says is to be added to its person's lead, or a notice's lead fetched.
    due: Option<Timestamp>,
    reason: Option<&'a str>,
    raw: Option<&'a [u8]>,
}

impl Row<'_> {
    fn pending() -> Self {
        Self {
            state: State::Pending,
            settled_at: None,
            claimed: 0,
            claimed_until: None,
            duplicate_of: None,
            class: 0,
            due: None,
            reason: None,
            raw: None,
        }
    }

    fn settled(state: State, entry: &Entry) -> Self {
        Self { state, settled_at: Some(entry.received_at), ..Self::pending() }
    }

    fn insert(&self, transaction: &mut Transaction<'_>, entry: &Entry) -> Result<(), Fault> {
        let memory = &mut *transaction.memory;
        memory.newest += 1;
        let usual = transaction.settings.idempotency_window;
        let until = |known: &Idempotency| known.until(entry.received_at, usual);
        let delivery_until = entry.idempotency.as_ref().map(until);
        transaction.db.prepare_cached(INSERT)?.execute(rusqlite::params![
            memory.newest,
            entry.id,
            self.state,
            entry.source,
            entry.destination,
            entry.received_at,
            self.settled_at,
            entry.identities,
            self.claimed,
            self.claimed_until,
            entry.delivery,
            delivery_until,
            self.duplicate_of,
            entry.external,
            entry.content,
            self.reason,
            entry.payload,
            self.raw,
            self.due,
            self.class,
            entry.trace_id,
        ])?;
        memory.claims.carry(&entry.identities.0, memory.newest);
        if let Some((hash, until)) = entry.delivery.zip(delivery_until) {
            memory.claims.take(hash, Claim { lead: entry.id, until });
        }
        memory.ledger.accepted(&entry.source, self.state);
        memory.zones.accepted(memory.newest, entry.received_at);
        transaction.arrived |= self.state == State::Pending || self.due.is_some();
        Ok(())
    }
}

/// A fresh record's place in the queue is the moment it came.
const INSERT: &str = "\
    INSERT INTO records (seq, id, state, began, source, destination, received_at, place,
                         settled_at, identities, claimed, claimed_until, delivery, delivery_until,
                         duplicate_of, external, content, reason, payload, raw, due, later,
                         trace)
    VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
            ?18, ?19, ?20, ?21)";
