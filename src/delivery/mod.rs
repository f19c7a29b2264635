//! From a durable submission to a lead in CareSoft: one lane per destination.

mod compose;
pub mod enrich;
mod field_names;
mod gate;
mod hosts;
mod lane;
mod pace;
mod reconcile;
mod verdict;

pub use compose::Composer;
pub use gate::{LANE_STATES, LaneStanding, Order, give_order, lane_standing};
pub use hosts::Hosts;
pub use lane::Lane;

use crate::retry;
