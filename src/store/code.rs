//! States as numbers: part of the stored format of every store (an index of SQLite's and the scripts of
//! Redis's name some).

use crate::lead::State;

/// The code of a state.
pub(super) const fn code(state: State) -> u8 {
    match state {
        State::Pending => 0,
        State::Created => 1,
        State::Unknown => 2,
        State::Merged => 3,
        State::Dead => 4,
        State::Quarantined => 5,
        State::Test => 6,
        State::Erased => 7,
    }
}

/// The state that a code is of.
pub(super) fn of_code(found: i64) -> Option<State> {
    State::ALL.into_iter().find(|state| i64::from(code(*state)) == found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_own_code() {
        for state in State::ALL {
            assert_eq!(of_code(code(state).into()), Some(state));
        }
        assert_eq!(of_code(8), None);
    }
}
