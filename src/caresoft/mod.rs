//! CareSoft's REST API: the typed client of every endpoint the gateway uses, and what an answer
//! means. Only this room knows CareSoft's JSON.
//!
//! CareSoft has no idempotency key, so the important word of every answer is whether the request
//! may be sent again: [`Failure::sent`], [`Failure::retryable`] and [`Failure::blame`] say so, and
//! nothing in here ever sends a request a second time by itself.
//!
//! What the vendor's pages leave open is read generously (`tolerant`) and decided strictly
//! (`answer`): a lead counts as created only on a 2xx whose JSON says `ok` and names a positive id.

mod answer;
mod catalog;
mod client;
mod clock;
mod failure;
mod lists;
mod names;
mod record;
mod tolerant;
mod wire;
mod words;

#[cfg(test)]
pub(crate) mod socket_tests;

pub use catalog::{Catalog, List, Unasked, between_lists};
pub use client::{Client, ClientError, Exchange};
pub use clock::{VIETNAM_OFFSET_HOURS, parse_wall_clock, plain_clock, wall_clock};
pub use failure::{Blame, Call, Failure, Sent};
pub use lists::{
    Agent, Contact, CustomFieldDefinition, CustomFieldOption, Group, Label, LeadStatus, Service,
    UnqualifiedReason,
};
pub use names::{Chosen, OptionNames, is_id, nearest, one_line};
pub use record::{
    Comment, CreatedLead, CustomFieldEntry, LeadDetail, LeadPage, LeadRow, Requester,
};
pub use wire::{CustomFieldValue, LeadUpdate, LeadsQuery, NewLead, UpdateComment, cut};
