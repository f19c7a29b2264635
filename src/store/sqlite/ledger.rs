//! The ledger's counts (invariant 5): they move in the transaction that moves a record, one
//! statement per source and transaction, however many records moved.

use std::collections::BTreeMap;

use rusqlite::{Connection, params_from_iter};

use super::fault::Fault;
use crate::lead::{SourceId, State};
use crate::store::{Ledger, SourceLedger};

/// What the open transaction adds to one source's counts.
#[derive(Default)]
struct Delta {
    accepted: i64,
    /// In the order of [`State::ALL`].
    states: [i64; State::ALL.len()],
}

/// What the open transaction adds to the ledger.
#[derive(Default)]
pub(super) struct LedgerChanges(BTreeMap<SourceId, Delta>);

impl LedgerChanges {
    /// A submission came and began in `state`.
    pub(super) fn accepted(&mut self, source: &SourceId, state: State) {
        self.of(source).accepted += 1;
        self.of(source).states[position(state)] += 1;
    }

    /// A submission left one state for another.
    pub(super) fn moved(&mut self, source: &SourceId, from: State, to: State) {
        let delta = self.of(source);
        delta.states[position(from)] -= 1;
        delta.states[position(to)] += 1;
    }

    /// Writes the changes down, and forgets them.
    pub(super) fn write(&mut self, db: &Connection) -> Result<(), Fault> {
        while let Some((source, delta)) = self.0.pop_first() {
            let mut upsert = db.prepare_cached(UPSERT)?;
            let counts = std::iter::once(delta.accepted).chain(delta.states);
            let values = counts.map(rusqlite::types::Value::from);
            let source = rusqlite::types::Value::from(source.as_str().to_owned());
            upsert.execute(params_from_iter(std::iter::once(source).chain(values)))?;
        }
        Ok(())
    }

    /// Forgets the changes of a transaction that did not come about.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn of(&mut self, source: &SourceId) -> &mut Delta {
        if !self.0.contains_key(source) {
            self.0.insert(source.clone(), Delta::default());
        }
        self.0.get_mut(source).expect("it was there or is now")
    }
}

const UPSERT: &str = "\
    INSERT INTO ledger (source, accepted, pending, unknown, created, merged, dead, quarantined,
                        test, erased)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT (source) DO UPDATE SET
        accepted = accepted + excluded.accepted, pending = pending + excluded.pending,
        unknown = unknown + excluded.unknown, created = created + excluded.created,
        merged = merged + excluded.merged, dead = dead + excluded.dead,
        quarantined = quarantined + excluded.quarantined, test = test + excluded.test,
        erased = erased + excluded.erased";

/// The whole ledger, of one moment.
pub(super) fn read(db: &Connection) -> Result<Ledger, Fault> {
    let mut select = db.prepare_cached(
        "SELECT source, accepted, pending, unknown, created, merged, dead, quarantined, test, \
         erased FROM ledger",
    )?;
    let mut rows = select.query([])?;
    let mut ledger = Ledger::default();
    while let Some(row) = rows.next()? {
        let count = |column: usize| -> Result<u64, Fault> {
            let stored: i64 = row.get(column)?;
            u64::try_from(stored).map_err(|_| Fault::Unreadable("a count below zero"))
        };
        let mut source = SourceLedger { accepted: count(1)?, ..SourceLedger::default() };
        for (position, state) in State::ALL.into_iter().enumerate() {
            let counted = count(2 + position)?;
            if counted > 0 {
                source.states.insert(state, counted);
            }
        }
        ledger.sources.insert(row.get(0)?, source);
    }
    Ok(ledger)
}

fn position(state: State) -> usize {
    State::ALL.into_iter().position(|other| other == state).expect("ALL holds every state")
}
