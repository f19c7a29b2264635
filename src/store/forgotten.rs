//! Who was forgotten, and when: what was received until then and comes into the store only later,
//! from a spool or from a platform that is asked for it, does not bring the person back.

use std::time::Duration;

use super::identity::named;
use super::{Admission, Content};
use crate::lead::Identity;

/// How long it is known that a person was forgotten: platforms give leads out for 90 days, and a
/// spool whose process has not come back by then does not come back with somebody's request.
pub(super) const FORGOTTEN_FOR: Duration = Duration::from_secs(90 * 24 * 60 * 60);

impl Content {
    /// By whom a store would know it. Of a notice nobody knows yet.
    pub(super) fn persons(&self) -> Vec<Identity> {
        match self {
            Self::Lead { identities, .. } => identities.clone(),
            Self::Quarantined { lead: Some(lead), .. } | Self::Test { lead } => named(lead),
            Self::Quarantined { lead: None, .. } | Self::Notice { .. } | Self::Deletion => vec![],
        }
    }
}

impl Admission {
    /// What stays is what stays of a record: ids, times, and by what the delivery is known again.
    pub(super) fn without_person(self) -> Self {
        // A deletion erases what has its external id: nothing has this one.
        let external_id = Some(format!("forgotten {}", self.id));
        Self { external_id, trace_id: None, content: Content::Deletion, ..self }
    }
}
