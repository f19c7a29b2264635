//! What became of every submission there ever was, in numbers.

use std::collections::BTreeMap;

use crate::lead::{SourceId, State};

/// The ledger of one source (invariant 5). Counts are since the store began; retention does not
/// lower them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceLedger {
    /// Submissions that were accepted (repeated deliveries are none).
    pub accepted: u64,
    /// How many of them are in each state now, or were when retention removed them.
    pub states: BTreeMap<State, u64>,
}

impl SourceLedger {
    /// Accepted less the sum of the states: 0, or the ledger is wrong.
    pub fn residue(&self) -> i64 {
        let counted: u64 = self.states.values().sum();
        i64::try_from(self.accepted).unwrap_or(i64::MAX)
            - i64::try_from(counted).unwrap_or(i64::MAX)
    }
}

/// The ledger of every source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// By source.
    pub sources: BTreeMap<SourceId, SourceLedger>,
}

impl Ledger {
    /// How many submissions are in `state`, over all sources.
    pub fn count(&self, state: State) -> u64 {
        self.sources.values().filter_map(|source| source.states.get(&state)).sum()
    }

    /// Accepted over all sources.
    pub fn accepted(&self) -> u64 {
        self.sources.values().map(|source| source.accepted).sum()
    }

    /// The sum of what every source's ledger is off by; 0.
    pub fn residue(&self) -> i64 {
        self.sources.values().map(|source| source.residue().abs()).sum()
    }
}
