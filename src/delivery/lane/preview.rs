//! What a lane would send, for people to look at.

use super::Lane;
use crate::caresoft::NewLead;
use crate::lead::Record;
use crate::store::{Lease, Task, Work};

impl Lane {
    /// The request that would make a record's lead, were it made now: without what has joined it.
    /// `None` where there is no lead. Sends nothing.
    pub fn would_send(&self, record: &Record) -> Option<NewLead> {
        let lease = Lease {
            lane: self.id.clone(),
            id: record.id,
            fence: 0,
            deadline: record.received_at, // over: nothing can be settled with it
        };
        Some(self.composer.compose(&Work {
            lease,
            task: Task::Create { joined: Vec::new() },
            source: record.source.clone(),
            received_at: record.received_at,
            trace_id: record.trace_id,
            attempts: 0,
            lead: record.lead.clone()?,
        }))
    }
}
