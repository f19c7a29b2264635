//! A person stops a lane or lets it go on, and looks how it stands: all of it in the shared gate,
//! so that any replica can be asked and every replica obeys, those that start later as well.

use serde::Serialize;

use super::SHARES_MAX;
use super::state::State;
use crate::lead::{DestinationId, Timestamp};
use crate::notify::Notifier;
use crate::store::{Store, StoreError};

/// What a person tells a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Send nothing, until told to go on. What is under way is finished.
    Pause,
    /// Go on. Where CareSoft refuses the configuration or keeps failing, the next probe is due at
    /// once; after a 429 or a lock-out its silence stays.
    Resume,
}

/// How a lane stands over all replicas, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LaneStanding {
    /// In a word of [`super::LANE_STATES`].
    pub state: &'static str,
    /// Whether a person has stopped it.
    pub paused: bool,
    /// What CareSoft's answers say, in a word of [`super::LANE_STATES`], also beneath a pause.
    /// `None`: nothing is wrong.
    pub closed: Option<&'static str>,
    /// When it is looked whether that is over; of a paused lane, not before it goes on.
    pub until: Option<Timestamp>,
}

/// How the lane stands.
///
/// # Errors
/// The store does not answer.
pub async fn lane_standing(
    store: &dyn Store,
    lane: &DestinationId,
    now: Timestamp,
) -> Result<LaneStanding, StoreError> {
    let shared = store.gate(lane).await?;
    Ok(State::read(&shared.state, now).shown())
}

/// Gives the lane an order, and answers how it stands with that. An order that changes nothing
/// does no harm.
///
/// # Errors
/// The store does not answer, or others move the gate all the time.
pub async fn give_order(
    store: &dyn Store,
    lane: &DestinationId,
    order: Order,
    notifier: &Notifier,
    now: Timestamp,
) -> Result<LaneStanding, StoreError> {
    let mut shared = store.gate(lane).await?;
    for _ in 0..SHARES_MAX {
        let before = State::read(&shared.state, now);
        let after = match order {
            Order::Pause => before.with_pause(true),
            Order::Resume => before.resumed(now),
        };
        if after == before {
            return Ok(after.shown());
        }
        let (from, text) = (shared.version, after.write());
        shared = store.move_gate(lane, from, text.clone()).await?;
        if shared.version == from + 1 && shared.state == text {
            notifier.lane_moved(lane, shared.version, before.standing(), after.standing(), now);
            return Ok(after.shown());
        }
    }
    Err(StoreError::Busy)
}

impl State {
    fn shown(&self) -> LaneStanding {
        let closed = self.closed();
        LaneStanding {
            state: self.name(),
            paused: self.is_paused(),
            closed: closed.map(|(cause, _)| cause),
            until: closed.map(|(_, until)| until),
        }
    }
}
