//! What the admin API answers and takes, as types: the answers are made of them, and so is the
//! OpenAPI document. Where an answer is made elsewhere, or a body is read field by field, the type
//! is of the document alone, and a test holds both together.

mod forget;
mod lane;
mod readiness;
mod replay;
mod stats;
mod submission;
mod text;

pub(super) use self::forget::{Forget, Forgotten};
pub(super) use self::lane::{LaneList, LaneView, Rate};
pub(in crate::console) use self::readiness::Readiness;
pub(super) use self::replay::{ReplayMany, ReplayOne, ReplayedMany, ReplayedOne};
pub(super) use self::stats::Stats;
pub(super) use self::submission::{LeadPage, Submission};
