//! The two hosts of one account: the standby is turned to only where that cannot make a second
//! lead.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::caresoft::{Call, Client, Failure};
use crate::lead::Timestamp;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// `base_url`
    Primary,
    /// `fallback_url`
    Standby,
}

/// The clients of both hosts. They share one pace and one gate: it is one account.
pub struct Hosts {
    primary: Client,
    standby: Option<Client>,
    /// After the primary could not be reached, the standby is asked first for so long.
    rest: Duration,
    /// Until when it is, in milliseconds since 1970.
    resting_until: AtomicI64,
}

impl Hosts {
    /// Both as reachable as the other.
    pub fn new(primary: Client, standby: Option<Client>, rest: Duration) -> Self {
        Self { primary, standby, rest, resting_until: AtomicI64::new(i64::MIN) }
    }

    /// The hosts in the order in which they are to be asked now.
    pub fn order(&self, now: Timestamp) -> Vec<(Host, Client)> {
        let mut order = vec![(Host::Primary, self.primary.clone())];
        order.extend(self.standby.clone().map(|standby| (Host::Standby, standby)));
        if now.as_millis() < self.resting_until.load(Ordering::Relaxed) {
            order.reverse();
        }
        order
    }

    /// Takes note of how a request to a host ended.
    pub fn note(&self, host: Host, failure: Option<&Failure>, now: Timestamp) {
        let until = match (host, failure) {
            (Host::Standby, _) => return,
            (Host::Primary, Some(Failure::NotSent { .. })) => now.plus(self.rest).as_millis(),
            (Host::Primary, _) => i64::MIN,
        };
        self.resting_until.store(until, Ordering::Relaxed);
    }
}

/// Whether the other host may be asked the same after this: what changes something only when it
/// surely was not sent, what only reads also when nothing sensible came back.
pub fn may_ask_the_other(call: Call, failure: &Failure) -> bool {
    match failure {
        Failure::NotSent { .. } => true,
        Failure::Ambiguous { .. } => !call.writes(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(is_sent: bool) -> Failure {
        let message = "words".to_owned();
        if is_sent { Failure::Ambiguous { message } } else { Failure::NotSent { message } }
    }

    #[test]
    fn a_create_is_never_given_to_the_other_host_when_it_may_have_been_sent() {
        for (call, is_sent, expected) in [
            (Call::CreateLead, false, true),
            (Call::CreateLead, true, false),
            (Call::UpdateLead, false, true),
            (Call::UpdateLead, true, false),
            (Call::Leads, false, true),
            (Call::Leads, true, true),
        ] {
            assert_eq!(may_ask_the_other(call, &failure(is_sent)), expected, "{call:?} {is_sent}");
        }
        for definite in [
            Failure::Throttled { retry_after: None, message: String::new() },
            Failure::LockedOut { retry_after: None, message: String::new() },
            Failure::Configuration { status: 401, message: String::new() },
            Failure::Rejected { status: 400, message: String::new() },
        ] {
            assert!(!may_ask_the_other(Call::Leads, &definite), "{definite:?}: one account");
        }
    }
}
