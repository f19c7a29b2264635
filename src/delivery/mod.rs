//! From a durable submission to a lead in CareSoft: one lane per destination.

mod compose;
mod gate;
mod lane;
mod pace;
mod retry;
mod verdict;

pub use compose::Composer;
pub use gate::LANE_STATES;
pub use lane::Lane;
