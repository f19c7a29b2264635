//! The pace and the gate of each lane. One process at a time has the database open, so its own
//! monotonic clock counts the pace, and nothing of that is on the disk. The gate is: silence
//! that was asked for outlasts a restart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension, Row};

use super::fault::Fault;
use super::transaction::Transaction;
use crate::lead::DestinationId;
use crate::store::pace::Gcra;
use crate::store::{PaceRule, Paced, SharedGate};

/// What the process knows of its lanes.
pub(super) struct Lanes {
    /// Where its clock begins.
    began: Instant,
    lanes: Mutex<HashMap<DestinationId, Lane>>,
}

#[derive(Default)]
struct Lane {
    /// As it is on the disk.
    gate: SharedGate,
    pace: Gcra,
}

impl Lanes {
    fn load(db: &Connection) -> Result<Self, Fault> {
        let mut select = db.prepare("SELECT version, gate, name FROM lanes")?;
        let lanes = select.query_map([], |row| {
            Ok((row.get(2)?, Lane { gate: read(row)?, pace: Gcra::default() }))
        })?;
        let lanes = Mutex::new(lanes.collect::<Result<_, _>>()?);
        Ok(Self { began: Instant::now(), lanes })
    }

    pub(super) fn pace(&self, lane: &DestinationId, rule: &PaceRule, gate: u64) -> Paced {
        let mut lanes = self.lock();
        let lane = entry(&mut lanes, lane);
        if lane.gate.version != gate {
            return Paced::Moved(lane.gate.clone());
        }
        // Looked at under the lock, or a place could be due before the one that was given first.
        match lane.pace.take(rule, self.began.elapsed()) {
            Ok(wait) => Paced::Go(wait),
            Err(wait) => Paced::Later(wait),
        }
    }

    pub(super) fn gate(&self, lane: &DestinationId) -> SharedGate {
        self.lock().get(lane).map(|lane| lane.gate.clone()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DestinationId, Lane>> {
        // Nothing in here panics half-way, so a poisoned map is still a whole one.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry<'a>(lanes: &'a mut HashMap<DestinationId, Lane>, lane: &DestinationId) -> &'a mut Lane {
    lanes.entry(lane.clone()).or_default() // a name is cheap to clone
}

/// What the writer remembers of the lanes: what everybody sees, and what is not committed yet.
pub(super) struct Gates {
    pub(super) lanes: Arc<Lanes>,
    moved: Vec<(DestinationId, SharedGate)>,
}

impl Gates {
    pub(super) fn load(db: &Connection) -> Result<Self, Fault> {
        Ok(Self { lanes: Arc::new(Lanes::load(db)?), moved: Vec::new() })
    }

    pub(super) fn committed(&mut self) {
        if self.moved.is_empty() {
            return;
        }
        let mut lanes = self.lanes.lock();
        for (lane, gate) in self.moved.drain(..) {
            entry(&mut lanes, &lane).gate = gate;
        }
    }

    pub(super) fn rolled_back(&mut self) {
        self.moved.clear();
    }
}

/// Writes the gate if its version is still `from`; answers the one that is in force.
pub(super) fn move_gate(
    transaction: &mut Transaction<'_>,
    lane: &DestinationId,
    from: u64,
    state: &str,
) -> Result<SharedGate, Fault> {
    let gate = transaction
        .db
        .prepare_cached("SELECT version, gate FROM lanes WHERE name = ?1")?
        .query_row([lane], read)
        .optional()?
        .unwrap_or_default();
    if gate.version != from {
        return Ok(gate);
    }
    let gate = SharedGate { version: from + 1, state: state.to_owned() };
    transaction
        .db
        .prepare_cached("INSERT OR REPLACE INTO lanes (name, version, gate) VALUES (?1, ?2, ?3)")?
        .execute((lane, i64::try_from(gate.version).unwrap_or(i64::MAX), &gate.state))?;
    transaction.memory.gates.moved.push((lane.clone(), gate.clone()));
    transaction.arrived = true;
    Ok(gate)
}

/// From the columns `version` and `gate`.
fn read(row: &Row<'_>) -> Result<SharedGate, rusqlite::Error> {
    let version: i64 = row.get(0)?;
    Ok(SharedGate { version: u64::try_from(version).unwrap_or(0), state: row.get(1)? })
}
