//! Which submissions passed a moment ago: a token is good once, and a form that is sent again, since
//! its answer was lost or could not be read, has the same one.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::lead::Timestamp;

/// As long as the longest-lived token is good.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// The oldest are forgotten beyond this: 40 bytes each.
const KEPT_MAX: usize = 1000;

/// The submissions that passed, the oldest first.
#[derive(Default)]
pub(super) struct Known {
    passed: Mutex<VecDeque<([u8; 32], Timestamp)>>,
}

impl Known {
    /// Whether it passed a moment ago.
    pub(super) fn holds(&self, hash: &[u8; 32], now: Timestamp) -> bool {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        passed.iter().rev().any(|(known, at)| known == hash && now < at.plus(KEPT_FOR))
    }

    /// It has passed.
    pub(super) fn remember(&self, hash: [u8; 32], now: Timestamp) {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        if passed.len() >= KEPT_MAX {
            passed.pop_front();
        }
        passed.push_back((hash, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passed_is_known_for_a_while_and_within_bounds() {
        let known = Known::default();
        let now = Timestamp::from_millis(1_795_469_067_000);
        known.remember([1; 32], now);
        assert!(known.holds(&[1; 32], now) && !known.holds(&[2; 32], now));
        assert!(!known.holds(&[1; 32], now.plus(KEPT_FOR)));
        for _ in 0..KEPT_MAX {
            known.remember([2; 32], now);
        }
        assert!(!known.holds(&[1; 32], now), "the oldest is forgotten");
    }
}
