//! What an answer of CareSoft's means for the lead, and for the lane.

use crate::caresoft::{CreatedLead, Failure};
use crate::config::Retry;
use crate::lead::{Timestamp, Upstream};
use crate::store::{Outcome, Work};

use super::gate::Signal;
use super::retry;

/// What follows from one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// For the lead.
    pub outcome: Outcome,
    /// For the lane.
    pub signal: Signal,
    /// For the metrics: `created`, or the failure's kind.
    pub word: &'static str,
    /// For the history: CareSoft's words, scrubbed.
    pub detail: Option<String>,
}

/// Decides by the table of `ARCHITECTURE.md`, "What an answer means".
pub fn judge(
    result: &Result<CreatedLead, Failure>,
    work: &Work,
    policy: &Retry,
    now: Timestamp,
) -> Verdict {
    let failure = match result {
        Ok(lead) => {
            let upstream = Upstream { lead_id: lead.id, requester_id: lead.requester_id };
            let outcome = Outcome::Created(upstream);
            return Verdict { outcome, signal: Signal::Fine, word: "created", detail: None };
        }
        Err(failure) => failure,
    };
    let reason = failure.to_string();
    let (outcome, signal) = match failure {
        Failure::NotSent { .. } => (again_or_dead(&reason, work, policy, now), Signal::Failing),
        Failure::Throttled { retry_after, .. } => {
            (Outcome::Postponed { due: now }, Signal::Throttled(*retry_after))
        }
        Failure::LockedOut { retry_after, .. } => {
            (Outcome::Postponed { due: now }, Signal::LockedOut(*retry_after))
        }
        Failure::Configuration { .. } => (Outcome::Postponed { due: now }, Signal::Misconfigured),
        Failure::Ambiguous { .. } => (Outcome::Unknown { reason: reason.clone() }, Signal::Failing),
        Failure::Rejected { .. } => (Outcome::Dead { reason: reason.clone() }, Signal::Fine),
        // Nothing went out, and nothing would the next time: it says nothing of CareSoft.
        Failure::Unbuildable { .. } => (Outcome::Dead { reason: reason.clone() }, Signal::Unasked),
    };
    Verdict { outcome, signal, word: failure.kind(), detail: Some(reason) }
}

/// So many attempts a lead gets, however old it is.
const ATTEMPTS_MIN: u32 = 5;

fn again_or_dead(reason: &str, work: &Work, policy: &Retry, now: Timestamp) -> Outcome {
    let waited = now.since(work.received_at);
    // Time alone gives nobody up: the lane may have been stopped all the while.
    if waited >= policy.give_up_after && work.attempts + 1 >= ATTEMPTS_MIN {
        let hours = waited.as_secs() / 3600;
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

    fn judged(failure: Failure, now: Timestamp, attempts: u32) -> Verdict {
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
            attempts,
            lead: Lead::default(),
        };
        judge(&Err(failure), &work, &POLICY, now)
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
            let verdict = judged(failure.clone(), now, 0);
            assert_eq!((verdict.outcome, verdict.signal), (outcome, signal), "{failure:?}");
        }
    }

    #[test]
    fn what_was_not_sent_is_tried_again_until_it_is_given_up() {
        let failure = Failure::NotSent { message: message() };
        let verdict = judged(failure.clone(), ACCEPTED, 0);
        let Outcome::Retry { due } = verdict.outcome else { panic!("{verdict:?}") };
        assert!(due >= ACCEPTED && due <= ACCEPTED.plus(POLICY.initial));
        let late = ACCEPTED.plus(POLICY.give_up_after);
        assert!(matches!(judged(failure.clone(), late, 3).outcome, Outcome::Retry { .. }));
        assert!(matches!(judged(failure, late, 4).outcome, Outcome::Dead { .. }));
    }
}
