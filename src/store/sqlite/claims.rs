//! Who holds a phone, an e-mail or an idempotency key, and which records carry an identity.
//!
//! Hashes are random, so writing them where an index wants them touches one page per hash; a
//! submission has three. The row of a record therefore carries its hashes and the claims it
//! brought, which makes them durable; here they are also kept in memory, and when there are many
//! they set out for the disk together, in order, as a run ([`super::runs`]). At the start the rows
//! that are in no run yet are read again.
//!
//! Measured over 640,000 submissions of one phone, one e-mail and one idempotency key: the writer
//! spends 13 to 16 µs on each like this. With one index, filled from memory in sorted batches of
//! 32,768, it is 22 µs and rising to 38; with an index that every transaction writes, the store
//! accepts 7,000 a second instead of 45,000.
//!
//! Only accepting a submission goes through memory. Whatever else changes a claim is rare, writes
//! the disk at once, and takes the hash out of memory.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::Tuning;
use super::columns::Hashes;
use super::fault::Fault;
use super::filter::Filter;
use super::runs::{self, Runs};
use crate::lead::{SubmissionId, Timestamp};
use crate::store::identity::{IdentityHash, Uniform};

/// The right to be the one lead of an identity.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    /// The submission that carries the lead.
    pub(super) lead: SubmissionId,
    /// Not at or after this.
    pub(super) until: Timestamp,
}

impl Claim {
    pub(super) fn holds_at(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

/// An identity, and the number of a record that carries it.
type Carrier = (IdentityHash, i64);

/// See the module's words.
pub(super) struct Claims {
    /// What the open transaction changes.
    staged: Staged,
    /// Committed, in no run and not on the way to one.
    recent: HashMap<IdentityHash, Claim, Uniform>,
    recent_carriers: Vec<Carrier>,
    moving: Option<Moving>,
    runs: Runs,
    tuning: Tuning,
}

#[derive(Default)]
struct Staged {
    /// `None`: the disk knows, nothing older in memory counts.
    claims: HashMap<IdentityHash, Option<Claim>, Uniform>,
    carriers: Vec<Carrier>,
    dropped_carriers: HashSet<Carrier>,
}

/// A run on its way to the disk, some of it with every transaction.
struct Moving {
    /// The newest record in it.
    number: i64,
    /// All but those that ended on the way.
    claims: HashMap<IdentityHash, Claim, Uniform>,
    /// The order in which they go, and that of `carriers`.
    hashes: Vec<IdentityHash>,
    carriers: Vec<Carrier>,
    /// How far in both the committed transactions have come.
    done: (usize, usize),
    /// How far in both the open one has come.
    reached: (usize, usize),
}

impl Claims {
    /// Reads again what is in no run.
    pub(super) fn load(db: &Connection, tuning: Tuning) -> Result<Self, Fault> {
        let mut claims = Self {
            staged: Staged::default(),
            recent: HashMap::default(),
            recent_carriers: Vec::new(),
            moving: None,
            runs: Runs::load(db)?,
            tuning,
        };
        let mut select = db.prepare(
            "SELECT seq, id, identities, claimed, claimed_until, delivery, delivery_until, \
             duplicate_of FROM records WHERE seq > ?1 ORDER BY seq",
        )?;
        let mut rows = select.query([runs::newest(db)?])?;
        while let Some(row) = rows.next()? {
            let (seq, id) = (row.get(0)?, row.get(1)?);
            let Hashes(identities) = row.get(2)?;
            let claimed: u8 = row.get(3)?;
            let until: Option<Timestamp> = row.get(4)?;
            let lead = row.get::<_, Option<_>>(7)?.unwrap_or(id);
            for (position, hash) in identities.iter().enumerate() {
                if let Some(until) = until.filter(|_| claimed & (1 << position) != 0) {
                    claims.recent.insert(*hash, Claim { lead, until });
                }
            }
            let delivery = row.get::<_, Option<_>>(5)?.zip(row.get::<_, Option<_>>(6)?);
            if let Some((hash, until)) = delivery {
                claims.recent.insert(hash, Claim { lead: id, until });
            }
            claims.recent_carriers.extend(identities.into_iter().map(|hash| (hash, seq)));
        }
        Ok(claims)
    }

    /// The claim that holds at `now`, if one does.
    pub(super) fn held(
        &self,
        db: &Connection,
        hash: IdentityHash,
        now: Timestamp,
    ) -> Result<Option<Claim>, Fault> {
        match self.in_memory(hash).filter(|claim| claim.holds_at(now)) {
            Some(claim) => Ok(Some(claim)),
            None => self.runs.held(db, hash, now),
        }
    }

    /// Takes a claim that the row of a new record makes durable.
    pub(super) fn take(&mut self, hash: IdentityHash, claim: Claim) {
        self.staged.claims.insert(hash, Some(claim));
    }

    /// Notes who carries what, for a new record.
    pub(super) fn carry(&mut self, hashes: &[IdentityHash], seq: i64) {
        self.staged.carriers.extend(hashes.iter().map(|hash| (*hash, seq)));
    }

    /// Gives a claim to another lead, or takes one for a record that is not new.
    pub(super) fn give(
        &mut self,
        db: &Connection,
        hash: IdentityHash,
        claim: Claim,
    ) -> Result<(), Fault> {
        self.runs.add_loose(db, hash, claim)?;
        self.staged.claims.insert(hash, None);
        Ok(())
    }

    /// Makes a claim durable by itself, if it holds at `now`: its record is going away.
    pub(super) fn write_down(
        &mut self,
        db: &Connection,
        hash: IdentityHash,
        now: Timestamp,
    ) -> Result<(), Fault> {
        match self.in_memory(hash).filter(|claim| claim.holds_at(now)) {
            Some(claim) => self.give(db, hash, claim),
            None => Ok(()),
        }
    }

    /// Ends a claim if `lead` holds it.
    pub(super) fn release(
        &mut self,
        db: &Connection,
        hash: IdentityHash,
        lead: SubmissionId,
    ) -> Result<(), Fault> {
        if self.in_memory(hash).is_some_and(|claim| claim.lead != lead) {
            return Ok(()); // somebody took it when this lead's window had ended
        }
        self.remove(db, hash, Some(lead))
    }

    /// Ends a claim whoever holds it.
    pub(super) fn end(&mut self, db: &Connection, hash: IdentityHash) -> Result<(), Fault> {
        self.remove(db, hash, None)
    }

    fn remove(
        &mut self,
        db: &Connection,
        hash: IdentityHash,
        lead: Option<SubmissionId>,
    ) -> Result<(), Fault> {
        let unfinished = self.moving.as_ref().map(|moving| moving.number);
        self.runs.remove(db, hash, lead, unfinished)?;
        self.staged.claims.insert(hash, None);
        Ok(())
    }

    /// A record that is not new carries these as well.
    pub(super) fn add_carrier(
        &mut self,
        db: &Connection,
        hashes: &[IdentityHash],
        seq: i64,
    ) -> Result<(), Fault> {
        hashes.iter().try_for_each(|hash| runs::add_loose_carrier(db, *hash, seq))
    }

    /// A record carries these no more.
    pub(super) fn drop_carrier(
        &mut self,
        db: &Connection,
        hashes: &[IdentityHash],
        seq: i64,
    ) -> Result<(), Fault> {
        for hash in hashes {
            runs::remove_carrier(db, *hash, seq)?;
            self.staged.dropped_carriers.insert((*hash, seq));
        }
        Ok(())
    }

    /// See [`Runs::sweep`].
    pub(super) fn sweep(
        &mut self,
        db: &Connection,
        now: Timestamp,
        limit: u32,
    ) -> Result<u32, Fault> {
        self.runs.sweep(db, now, limit)
    }

    /// Takes a run some way to the disk: called at the end of every transaction, so that the work
    /// is spread and no transaction is long.
    pub(super) fn move_on(&mut self, db: &Connection) -> Result<(), Fault> {
        let Some(moving) = &mut self.moving else { return Ok(()) };
        // Twice what came in, so that a run arrives before the next one sets out.
        let some =
            self.tuning.moved_min + 2 * self.staged.claims.len().max(self.staged.carriers.len());
        moving.reached.0 = moving.hashes.len().min(moving.done.0 + some);
        moving.reached.1 = moving.carriers.len().min(moving.done.1 + some);
        for hash in &moving.hashes[moving.done.0..moving.reached.0] {
            let ended = matches!(self.staged.claims.get(hash), Some(None));
            if let Some(claim) = moving.claims.get(hash).filter(|_| !ended) {
                runs::append_claim(db, moving.number, *hash, *claim)?;
            }
        }
        for carrier in &moving.carriers[moving.done.1..moving.reached.1] {
            if !self.staged.dropped_carriers.contains(carrier) {
                runs::append_carrier(db, moving.number, carrier.0, carrier.1)?;
            }
        }
        if moving.has_arrived() {
            let (until, filter) = moving.summary();
            self.runs.complete(db, moving.number, until, filter)?;
        }
        Ok(())
    }

    /// The transaction is durable; `newest` is the newest record there is.
    pub(super) fn committed(&mut self, newest: i64) {
        self.runs.committed();
        if let Some(moving) = &mut self.moving {
            moving.done = moving.reached;
            if moving.has_arrived() {
                self.moving = None;
            }
        }
        let Staged { claims, mut carriers, dropped_carriers } = std::mem::take(&mut self.staged);
        for (hash, claim) in claims {
            match claim {
                Some(claim) => drop(self.recent.insert(hash, claim)),
                None => self.forget(hash),
            }
        }
        self.recent_carriers.append(&mut carriers);
        if !dropped_carriers.is_empty() {
            self.recent_carriers.retain(|carrier| !dropped_carriers.contains(carrier));
            if let Some(moving) = &mut self.moving {
                // What is done is on the disk, and was removed there.
                let mut ahead = moving.carriers.split_off(moving.done.1);
                ahead.retain(|carrier| !dropped_carriers.contains(carrier));
                moving.carriers.append(&mut ahead);
            }
        }
        if self.moving.is_none() && self.recent.len() >= self.tuning.run_length {
            self.set_out(newest);
        }
    }

    /// The transaction did not come about.
    pub(super) fn rolled_back(&mut self) {
        self.runs.rolled_back();
        self.staged = Staged::default();
        if let Some(moving) = &mut self.moving {
            moving.reached = moving.done;
        }
    }

    fn in_memory(&self, hash: IdentityHash) -> Option<Claim> {
        if let Some(staged) = self.staged.claims.get(&hash) {
            return *staged;
        }
        let recent = self.recent.get(&hash);
        recent.or_else(|| self.moving.as_ref()?.claims.get(&hash)).copied()
    }

    fn forget(&mut self, hash: IdentityHash) {
        self.recent.remove(&hash);
        if let Some(moving) = &mut self.moving {
            moving.claims.remove(&hash);
        }
    }

    fn set_out(&mut self, number: i64) {
        let claims = std::mem::take(&mut self.recent);
        let mut hashes: Vec<_> = claims.keys().copied().collect();
        let mut carriers = std::mem::take(&mut self.recent_carriers);
        hashes.sort_unstable();
        carriers.sort_unstable();
        let (done, reached) = ((0, 0), (0, 0));
        self.moving = Some(Moving { number, claims, hashes, carriers, done, reached });
    }
}

impl Moving {
    fn has_arrived(&self) -> bool {
        self.reached == (self.hashes.len(), self.carriers.len())
    }

    /// When the last of the claims ends, and the filter of them.
    fn summary(&self) -> (Timestamp, Filter) {
        let mut until = Timestamp::from_millis(0);
        let mut filter = Filter::for_hashes(self.claims.len());
        for (hash, claim) in &self.claims {
            until = until.max(claim.until);
            filter.add(*hash);
        }
        (until, filter)
    }
}
