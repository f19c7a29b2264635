//! What an answer of CareSoft's means for the lead, and for the lane.

use crate::caresoft::{Call, CreatedLead, Exchange, Failure};
use crate::config::Retry;
use crate::lead::{Timestamp, Upstream};
use crate::store::{LOOK_AFTER, Outcome, Work};

use super::gate::Signal;
use super::reconcile::ATTEMPTS_MIN;
use super::retry;

/// What an answer says about going on; a call that only reads says less: that lists fail does not
/// keep leads from being made.
pub fn signal(call: Call, failure: Option<&Failure>) -> Signal {
    match failure {
        None | Some(Failure::Rejected { .. }) => Signal::Fine,
        Some(Failure::NotSent { .. }) => Signal::Failing,
        Some(Failure::Throttled { retry_after, .. }) => Signal::Throttled(*retry_after),
        Some(Failure::LockedOut { retry_after, .. }) => Signal::LockedOut(*retry_after),
        Some(Failure::Configuration { .. }) => Signal::Misconfigured,
        Some(Failure::Ambiguous { .. }) if call.writes() => Signal::Failing,
        Some(Failure::Ambiguous { .. }) => Signal::Doubtful,
        // Nothing went out, and nothing would the next time: it says nothing of CareSoft.
        Some(Failure::Unbuildable { .. }) => Signal::Unasked,
    }
}

/// How a request ended, for the metrics: `ok`, `created`, or the failure's kind.
pub fn word<T>(exchange: &Exchange<T>) -> &'static str {
    match &exchange.result {
        Ok(_) if exchange.call == Call::CreateLead => "created",
        Ok(_) => "ok",
        Err(failure) => failure.kind(),
    }
}

/// What a create's answer means for the lead, and what its history says: CareSoft's words,
/// scrubbed. Decided by the table of `ARCHITECTURE.md`, "What an answer means".
pub fn after_create(
    result: Result<CreatedLead, Failure>,
    work: &Work,
    policy: &Retry,
    now: Timestamp,
) -> (Outcome, Option<String>) {
    let failure = match result {
        Ok(lead) => {
            let upstream = Upstream { lead_id: lead.id, requester_id: lead.requester_id };
            return (Outcome::Created(upstream), None);
        }
        Err(failure) => failure,
    };
    let reason = failure.to_string();
    let outcome = match failure {
        Failure::NotSent { .. } => again_or_dead(&reason, work, policy, now),
        Failure::Throttled { .. } | Failure::LockedOut { .. } | Failure::Configuration { .. } => {
            Outcome::Postponed { due: now }
        }
        Failure::Ambiguous { .. } => Outcome::Unknown { reason: reason.clone() },
        Failure::Rejected { .. } | Failure::Unbuildable { .. } => {
            Outcome::Dead { reason: reason.clone() }
        }
    };
    (outcome, Some(reason))
}

/// How a comment ended.
pub enum Told {
    /// It is there: in the history, by this word.
    Yes(&'static str),
    /// It never will be, for a reason in words.
    Never(String),
    /// Not now; it counts for nothing.
    Stopped,
    /// Not surely: to be tried again.
    Perhaps(String),
}

/// What an attempt to add a comment means for the merged submission: its outcome, a word and a
/// detail for its history.
pub fn after_comment(
    told: Told,
    work: &Work,
    policy: &Retry,
    now: Timestamp,
) -> (Outcome, &'static str, Option<String>) {
    match told {
        Told::Yes(word) => (Outcome::Told, word, None),
        Told::Never(why) => (Outcome::Told, "given_up", Some(why)),
        Told::Stopped => (Outcome::Postponed { due: now }, "postponed", None),
        Told::Perhaps(why) if is_too_old(work.received_at, work.attempts, policy, now) => {
            (Outcome::Told, "given_up", Some(why))
        }
        Told::Perhaps(why) => {
            // CareSoft may still be at the first one.
            let wait = LOOK_AFTER.max(retry::delay(policy, work.attempts + 1));
            (Outcome::Retry { due: now.plus(wait) }, "retry", Some(why))
        }
    }
}

/// Whether work has been tried for long enough, and often enough: time alone gives nobody up, since
/// the lane may have been stopped all the while.
pub fn is_too_old(received_at: Timestamp, attempts: u32, policy: &Retry, now: Timestamp) -> bool {
    now.since(received_at) >= policy.give_up_after && attempts + 1 >= ATTEMPTS_MIN
}

fn again_or_dead(reason: &str, work: &Work, policy: &Retry, now: Timestamp) -> Outcome {
    if is_too_old(work.received_at, work.attempts, policy, now) {
        let hours = now.since(work.received_at).as_secs() / 3600;
        return Outcome::Dead { reason: format!("given up after {hours} h: {reason}") };
    }
    Outcome::Retry { due: now.plus(retry::delay(policy, work.attempts + 1)) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lead::{Lead, SubmissionId};
    use crate::store::{Lease, Task};

    const POLICY: Retry = Retry {
        initial: Duration::from_secs(1),
        max: Duration::from_secs(600),
        give_up_after: Duration::from_secs(72 * 3600),
    };
    const ACCEPTED: Timestamp = Timestamp::from_millis(1_000_000);

    fn judged(failure: Failure, now: Timestamp, attempts: u32) -> (Outcome, Signal) {
        let deadline = now.plus(Duration::from_secs(25));
        let work = Work {
            lease: Lease {
                lane: "main".parse().unwrap(),
                id: SubmissionId::generate(),
                fence: 1,
                deadline,
            },
            task: Task::Create { joined: Vec::new() },
            source: "website".parse().unwrap(),
            received_at: ACCEPTED,
            trace_id: None,
            attempts,
            lead: Lead::default(),
        };
        let signal = signal(Call::CreateLead, Some(&failure));
        (after_create(Err(failure), &work, &POLICY, now).0, signal)
    }

    fn message() -> String {
        "words".to_owned()
    }

    #[test]
    fn every_kind_of_failure_has_its_outcome_and_its_signal() {
        let (now, message) = (ACCEPTED, message());
        let postponed = Outcome::Postponed { due: now };
        let unknown = "outcome not known: words".to_owned();
        let refused = "refused (HTTP 400): words".to_owned();
        let pause = Some(Duration::from_secs(7));
        for (failure, outcome, signal) in [
            (
                Failure::Throttled { retry_after: pause, message: message.clone() },
                postponed.clone(),
                Signal::Throttled(pause),
            ),
            (
                Failure::LockedOut { retry_after: None, message: message.clone() },
                postponed.clone(),
                Signal::LockedOut(None),
            ),
            (
                Failure::Configuration { status: 401, message: message.clone() },
                postponed,
                Signal::Misconfigured,
            ),
            (
                Failure::Ambiguous { message: message.clone() },
                Outcome::Unknown { reason: unknown },
                Signal::Failing,
            ),
            (
                Failure::Rejected { status: 400, message },
                Outcome::Dead { reason: refused },
                Signal::Fine,
            ),
        ] {
            assert_eq!(judged(failure.clone(), now, 0), (outcome, signal), "{failure:?}");
        }
        let doubtful = Failure::Ambiguous { message: "HTTP 500".to_owned() };
        assert_eq!(signal(Call::Leads, Some(&doubtful)), Signal::Doubtful);
    }

    #[test]
    fn what_was_not_sent_is_tried_again_until_it_is_given_up() {
        let failure = Failure::NotSent { message: message() };
        let (Outcome::Retry { due }, _) = judged(failure.clone(), ACCEPTED, 0) else {
            panic!("a retry")
        };
        assert!(due >= ACCEPTED && due <= ACCEPTED.plus(POLICY.initial));
        let late = ACCEPTED.plus(POLICY.give_up_after);
        assert!(matches!(judged(failure.clone(), late, 3).0, Outcome::Retry { .. }));
        assert!(matches!(judged(failure, late, 4).0, Outcome::Dead { .. }));
    }
}
