//! What a piece of writing work has in its hands while it runs.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rusqlite::Connection;

use super::claims::Claims;
use super::fault::Fault;
use super::lanes::Gates;
use super::ledger::LedgerChanges;
use super::queue::Turns;
use super::zones::ZoneChanges;
use super::{Tuning, runs};
use crate::lead::DestinationId;
use crate::store::Options;
use crate::store::dedup::Dedup;
use crate::store::payload::Vault;

/// What the store was opened with, and the vault that came of it.
pub(super) struct Settings {
    pub(super) dedup: Dedup,
    pub(super) idempotency_window: Duration,
    pub(super) vault: Vault,
}

impl Settings {
    pub(super) fn new(options: &Options, vault: Vault) -> Self {
        Self { dedup: Dedup::of(options), idempotency_window: options.idempotency_window, vault }
    }
}

/// What the writer remembers from one transaction to the next.
pub(super) struct Memory {
    pub(super) claims: Claims,
    pub(super) ledger: LedgerChanges,
    pub(super) zones: ZoneChanges,
    pub(super) gates: Gates,
    /// The newest record's number. Never falls, so that a number is given once: a cursor and
    /// the runs of claims depend on it.
    pub(super) newest: i64,
    /// Whose turn it is in each lane: `queue` counts in it.
    pub(super) turns: HashMap<DestinationId, Turns>,
    /// The destinations that are surely in their table.
    pub(super) destinations: HashSet<DestinationId>,
}

impl Memory {
    /// As it is when a store has just been opened.
    pub(super) fn load(db: &Connection, tuning: Tuning) -> Result<Self, Fault> {
        let newest: Option<i64> =
            db.query_row("SELECT max(seq) FROM records", [], |row| row.get(0))?;
        Ok(Self {
            claims: Claims::load(db, tuning)?,
            ledger: LedgerChanges::default(),
            zones: ZoneChanges::default(),
            gates: Gates::load(db)?,
            newest: newest.unwrap_or(0).max(runs::newest(db)?),
            turns: HashMap::new(),
            destinations: HashSet::new(),
        })
    }

    pub(super) fn committed(&mut self) {
        self.claims.committed(self.newest);
        self.gates.committed();
    }

    pub(super) fn rolled_back(&mut self) {
        self.claims.rolled_back();
        self.ledger.clear();
        self.zones.clear();
        self.gates.rolled_back();
        self.destinations.clear(); // some may have been written in what was rolled back
    }
}

/// An open transaction: every change of the database and of the memory about it goes through one.
pub(super) struct Transaction<'a> {
    pub(super) db: &'a Connection,
    pub(super) settings: &'a Settings,
    pub(super) memory: &'a mut Memory,
    /// Whether a lane got something to do.
    pub(super) arrived: bool,
}

impl Transaction<'_> {
    /// Notes that there is such a destination.
    pub(super) fn know(&mut self, destination: &DestinationId) -> Result<(), Fault> {
        if self.memory.destinations.contains(destination) {
            return Ok(());
        }
        self.db
            .prepare_cached("INSERT OR IGNORE INTO destinations (name) VALUES (?1)")?
            .execute([destination])?;
        self.memory.destinations.insert(destination.clone());
        Ok(())
    }

    /// What every transaction ends with, before it is committed.
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        self.memory.ledger.write(self.db)?;
        self.memory.zones.write(self.db)?;
        self.memory.claims.move_on(self.db)
    }
}
