//! Claims and carriers on the disk, in runs that are sorted and written once.
//!
//! A run is appended in the order of its hashes, so that writing it fills page after page instead
//! of touching one page per hash. To look a hash up is to ask every run; a filter in memory
//! answers for nearly all of them. A run's claims are thrown away together, when the last of them
//! has ended.

use rusqlite::{Connection, OptionalExtension};

use super::claims::Claim;
use super::fault::Fault;
use super::filter::Filter;
use crate::lead::{SubmissionId, Timestamp};
use crate::store::identity::IdentityHash;

/// Takes what is written out of turn; the only run that changes.
const LOOSE: i64 = 0;
/// More than are ever loose: replays and deaths are rare. With more, its filter only helps less.
const LOOSE_EXPECTED: usize = 4096;

/// The claims of all runs.
pub(super) struct Runs {
    /// Oldest first; the first is [`LOOSE`].
    runs: Vec<Run>,
    /// Complete with the open transaction.
    completed: Option<Run>,
}

struct Run {
    number: i64,
    until: Timestamp,
    filter: Filter,
}

impl Runs {
    /// Makes the runs known, and removes what a crash left of one that was being written.
    pub(super) fn load(db: &Connection) -> Result<Self, Fault> {
        let newest = newest(db)?;
        db.execute("DELETE FROM claims WHERE run > ?1", [newest])?;
        db.execute("DELETE FROM carriers WHERE run > ?1", [newest])?;

        let until = Timestamp::from_millis(i64::MAX);
        let mut loose = Run { number: LOOSE, until, filter: Filter::for_hashes(LOOSE_EXPECTED) };
        let mut select = db.prepare("SELECT hash FROM claims WHERE run = ?1")?;
        for hash in select.query_map([LOOSE], |row| row.get(0))? {
            loose.filter.add(hash?);
        }
        let mut runs = vec![loose];
        let mut select = db
            .prepare("SELECT run, until, filter FROM runs WHERE filter IS NOT NULL ORDER BY run")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let filter = Filter::from_bytes(row.get_ref(2)?.as_blob().unwrap_or_default());
            let filter = filter.ok_or(Fault::Unreadable("the filter of a run"))?;
            runs.push(Run { number: row.get(0)?, until: row.get(1)?, filter });
        }
        Ok(Self { runs, completed: None })
    }

    /// The claim that holds at `now`, if one does.
    pub(super) fn held(
        &self,
        db: &Connection,
        hash: IdentityHash,
        now: Timestamp,
    ) -> Result<Option<Claim>, Fault> {
        for run in self.runs.iter().rev().filter(|run| now < run.until) {
            if run.filter.may_hold(hash) {
                let mut select = db.prepare_cached(
                    "SELECT lead, until FROM claims WHERE run = ?1 AND hash = ?2",
                )?;
                let claim = select.query_row((run.number, hash), |row| {
                    Ok(Claim { lead: row.get(0)?, until: row.get(1)? })
                });
                if let Some(claim) = claim.optional()?.filter(|claim| claim.holds_at(now)) {
                    return Ok(Some(claim));
                }
            }
        }
        Ok(None)
    }

    /// Writes a claim out of turn.
    pub(super) fn add_loose(
        &mut self,
        db: &Connection,
        hash: IdentityHash,
        claim: Claim,
    ) -> Result<(), Fault> {
        self.runs[0].filter.add(hash);
        append_claim(db, LOOSE, hash, claim)
    }

    /// Removes a claim, if `lead` (or whoever) holds it. `unfinished` is the run being written.
    pub(super) fn remove(
        &self,
        db: &Connection,
        hash: IdentityHash,
        lead: Option<SubmissionId>,
        unfinished: Option<i64>,
    ) -> Result<(), Fault> {
        let mut delete = db.prepare_cached(
            "DELETE FROM claims WHERE run = ?1 AND hash = ?2 AND (?3 IS NULL OR lead = ?3)",
        )?;
        let may_hold = self.runs.iter().filter(|run| run.filter.may_hold(hash));
        for number in may_hold.map(|run| run.number).chain(unfinished) {
            delete.execute((number, hash, lead))?;
        }
        Ok(())
    }

    /// Everything of a run is written: from the end of the transaction on it counts.
    pub(super) fn complete(
        &mut self,
        db: &Connection,
        number: i64,
        until: Timestamp,
        filter: Filter,
    ) -> Result<(), Fault> {
        db.prepare_cached("INSERT INTO runs (run, until, filter) VALUES (?1, ?2, ?3)")?
            .execute((number, until, filter.to_bytes()))?;
        self.completed = Some(Run { number, until, filter });
        Ok(())
    }

    pub(super) fn committed(&mut self) {
        self.runs.extend(self.completed.take());
    }

    pub(super) fn rolled_back(&mut self) {
        self.completed = None;
    }

    /// Removes at most `limit` claims that have ended; answers how many.
    pub(super) fn sweep(
        &mut self,
        db: &Connection,
        now: Timestamp,
        limit: u32,
    ) -> Result<u32, Fault> {
        let mut swept = db
            .prepare_cached(
                "DELETE FROM claims WHERE run = ?1 AND hash IN (
                     SELECT hash FROM claims WHERE run = ?1 AND until <= ?2 LIMIT ?3)",
            )?
            .execute((LOOSE, now, limit))
            .map(bounded)?;
        let ended = |run: &Run| run.until <= now;
        while let Some(position) = self.runs.iter().position(ended).filter(|_| swept < limit) {
            let number = self.runs[position].number;
            let some = db
                .prepare_cached(
                    "DELETE FROM claims WHERE run = ?1 AND hash IN (
                         SELECT hash FROM claims WHERE run = ?1 LIMIT ?2)",
                )?
                .execute((number, limit - swept))
                .map(bounded)?;
            swept += some;
            if swept < limit {
                db.prepare_cached("UPDATE runs SET filter = NULL WHERE run = ?1")?
                    .execute([number])?;
                // Nothing in it holds, whether or not the transaction comes about.
                self.runs.remove(position);
            }
        }
        Ok(swept)
    }
}

/// The newest record that is in a run.
pub(super) fn newest(db: &Connection) -> Result<i64, Fault> {
    let mut select = db.prepare_cached("SELECT max(run) FROM runs")?;
    Ok(select.query_row([], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(0))
}

/// Adds a claim to a run.
pub(super) fn append_claim(
    db: &Connection,
    run: i64,
    hash: IdentityHash,
    claim: Claim,
) -> Result<(), Fault> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO claims (run, hash, lead, until) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((run, hash, claim.lead, claim.until))?;
    Ok(())
}

/// Adds a carrier to a run.
pub(super) fn append_carrier(
    db: &Connection,
    run: i64,
    hash: IdentityHash,
    seq: i64,
) -> Result<(), Fault> {
    db.prepare_cached("INSERT OR IGNORE INTO carriers (run, hash, seq) VALUES (?1, ?2, ?3)")?
        .execute((run, hash, seq))?;
    Ok(())
}

/// Notes out of turn that a record carries an identity.
pub(super) fn add_loose_carrier(
    db: &Connection,
    hash: IdentityHash,
    seq: i64,
) -> Result<(), Fault> {
    append_carrier(db, LOOSE, hash, seq)
}

/// A record carries this identity no more.
pub(super) fn remove_carrier(db: &Connection, hash: IdentityHash, seq: i64) -> Result<(), Fault> {
    // A run is named after its newest record, so the first that is not older has this one; the
    // last is the run that is being written, which `runs` does not have yet.
    db.prepare_cached(
        "DELETE FROM carriers WHERE hash = ?1 AND seq = ?2 AND run IN (
             0, (SELECT min(run) FROM runs WHERE run >= ?2), (SELECT max(run) FROM carriers))",
    )?
    .execute((hash, seq))?;
    Ok(())
}

/// The records that carry an identity, also those too young to be in a run. Each question mark
/// is the hash: [`CARRIERS_VALUES`] of them.
pub(super) const CARRIERS: &str = "\
    SELECT seq FROM carriers WHERE run = 0 AND hash = ?
    UNION SELECT carriers.seq FROM runs CROSS JOIN carriers USING (run) WHERE hash = ?
    UNION SELECT seq FROM records
        WHERE seq > (SELECT coalesce(max(run), 0) FROM runs) AND instr(identities, ?) > 0";
pub(super) const CARRIERS_VALUES: usize = 3;

fn bounded(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
