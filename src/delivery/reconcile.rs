//! Whether a lead that may have been made was: what to ask CareSoft for, what of its answers could
//! be the lead, and what follows. Pure; `lane/look.rs` does the asking.
//!
//! CareSoft has no idempotency key. What a create leaves behind is the person's contact, a row in
//! the list (late, by up to a minute) with the subject, and the comment in the detail. So a lead is
//! gone for when two thorough looks have not found it, the second one later after the first than
//! the list can lag.

use std::time::Duration;

use crate::caresoft::{LeadRow, LeadsQuery, VIETNAM_OFFSET_HOURS, parse_wall_clock};
use crate::config::{Marker, Retry};
use crate::lead::{SubmissionId, Timestamp, Upstream};
use crate::store::{Outcome, Unsure, Work};

use super::retry;

/// Between two looks: CareSoft's list has been seen to lag by seconds, and is survived up to a
/// minute.
const LOOK_AGAIN: Duration = Duration::from_secs(80);

/// So many thorough looks in vain mean that there is none.
const LOOKS: u32 = 2;

/// A lead is sent again at once, then after growing waits, and then no more: if it was made each
/// time and cannot be found, each time is a lead too many.
const RESEND_WAITS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(6 * 3600),
];

/// So many attempts a lead gets, however old it is; a look that did not come to its end counts.
pub const ATTEMPTS_MIN: u32 = 5;

/// Clocks differ, and CareSoft's may be set.
const SKEW: Duration = Duration::from_secs(10 * 60);

/// The window's end, far in the future by either reading of CareSoft's clock.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

/// CareSoft's `Z` is Vietnam's wall clock, as far as is known; if it is UTC after all, the same
/// digits are so much later.
const OTHER_READING: Duration = Duration::from_secs(VIETNAM_OFFSET_HOURS as u64 * 3600);

/// CareSoft's pages hold at most so many rows.
pub const ROWS: u32 = 500;
/// Pages that one look reads of one list.
pub const PAGES_MAX: u32 = 6;
/// Details that one look reads.
pub const DETAILS_MAX: usize = 15;

/// What there would be of a lead upstream.
#[derive(Clone)]
pub struct Sought {
    /// The submission that it would be of.
    pub id: SubmissionId,
    /// The phone, as it was sent.
    pub phone: Option<String>,
    /// Whether an e-mail address was sent.
    pub has_email: bool,
    /// The subject, as it was sent.
    pub subject: String,
    /// The service, as it was sent.
    pub service_id: Option<u64>,
    /// The agent, as it was sent.
    pub assignee_id: Option<u64>,
    /// Where the gateway's own reference is.
    pub marker: Marker,
    /// It was made after this, if it was.
    pub since: Timestamp,
}

/// What a look has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// The lead.
    Found(Upstream),
    /// Everything there is, and not the lead.
    Absent,
    /// Not everything.
    Unclear(String),
}

impl Sought {
    /// The leads of a person.
    pub fn of_person(&self, requester_id: u64, now: Timestamp) -> LeadsQuery {
        LeadsQuery { requester_id: Some(requester_id), ..self.in_window(now) }
    }

    /// The leads of whatever this one was sent to: the person cannot be asked for.
    pub fn of_service(&self, now: Timestamp) -> LeadsQuery {
        let assignee_id = self.assignee_id.filter(|_| self.service_id.is_none());
        LeadsQuery { service_id: self.service_id, assignee_id, ..self.in_window(now) }
    }

    /// Wide enough for either reading of CareSoft's clock, and named always: a list without a
    /// window may have one of its own.
    fn in_window(&self, now: Timestamp) -> LeadsQuery {
        LeadsQuery {
            created_since: Some(self.since.minus(OTHER_READING + SKEW)),
            created_to: Some(now.plus(AHEAD)),
            count: Some(ROWS),
            ..LeadsQuery::default()
        }
    }

    /// What of a list could be the lead, the likeliest first. Where the list is not of the person
    /// alone, only what has the same subject.
    pub fn candidates(
        &self,
        rows: Vec<LeadRow>,
        is_of_person: bool,
        now: Timestamp,
    ) -> Vec<LeadRow> {
        let mut rows: Vec<_> = rows
            .into_iter()
            .filter(|row| self.could_be_then(row, now))
            .filter(|row| {
                is_of_person && self.marker == Marker::Comment || self.is_its_subject(row)
            })
            .filter(|row| {
                self.service_id.is_none_or(|own| row.service_id.is_none_or(|id| id == own))
            })
            .collect();
        rows.sort_by_key(|row| (!self.is_its_subject(row), row.id));
        rows.dedup_by_key(|row| row.id);
        rows
    }

    fn is_its_subject(&self, row: &LeadRow) -> bool {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let subject = words(row.subject.as_deref().unwrap_or_default());
        match self.marker {
            Marker::Subject => subject.contains(&super::compose::subject_marker(self.id)),
            Marker::Comment | Marker::None => subject == words(&self.subject),
        }
    }

    /// By either reading of CareSoft's clock.
    fn could_be_then(&self, row: &LeadRow, now: Timestamp) -> bool {
        let Some(created) = row.created_at.as_deref().and_then(parse_wall_clock) else {
            return true;
        };
        let span = self.since.minus(SKEW)..=now.plus(SKEW);
        span.contains(&created) || span.contains(&created.plus(OTHER_READING))
    }
}

/// How work on an unknown record ends, and what its history says.
pub fn after_look(
    sight: Sight,
    work: &Work,
    unsure: Unsure,
    policy: &Retry,
    now: Timestamp,
) -> (Outcome, &'static str, Option<String>) {
    let is_old =
        now.since(work.received_at) >= policy.give_up_after && work.attempts + 1 >= ATTEMPTS_MIN;
    match sight {
        Sight::Found(upstream) => (Outcome::Created(upstream), "created", None),
        Sight::Absent if unsure.looks + 1 < LOOKS => {
            let due = now.plus(LOOK_AGAIN);
            (Outcome::Look { due, looks: unsure.looks + 1 }, "absent", None)
        }
        Sight::Absent => match wait_before_resend(unsure.resent).filter(|_| !is_old) {
            Some(wait) => (Outcome::SendAgain { due: now.plus(wait) }, "send_again", None),
            None => (given_up(unsure, "it is not to be found"), "dead", None),
        },
        Sight::Unclear(why) if is_old => (given_up(unsure, &why), "dead", Some(why)),
        Sight::Unclear(why) => {
            let due = now.plus(wait_after_unclear(unsure, policy, now));
            (Outcome::Look { due, looks: unsure.looks }, "unclear", Some(why))
        }
    }
}

fn given_up(unsure: Unsure, why: &str) -> Outcome {
    let times = unsure.resent + 1;
    let reason = format!("outcome unknown after sending it {times} times: {why}");
    Outcome::Dead { reason }
}

fn wait_before_resend(resent: u32) -> Option<Duration> {
    let position = usize::try_from(resent).unwrap_or(usize::MAX);
    RESEND_WAITS.get(position).copied()
}

/// A fraction of the time that it has been unknown, so that looks become rarer: an outage of
/// CareSoft's lists is not answered with more questions.
fn wait_after_unclear(unsure: Unsure, policy: &Retry, now: Timestamp) -> Duration {
    let longest = policy.max.max(LOOK_AGAIN);
    let wait = (now.since(unsure.sent_at) / 3).clamp(Duration::from_secs(10), longest);
    wait / 2 + retry::jitter(wait / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::Lead;
    use crate::store::{Lease, Task};

    const POLICY: Retry = Retry {
        initial: Duration::from_secs(1),
        max: Duration::from_secs(600),
        give_up_after: Duration::from_secs(72 * 3600),
    };
    const SENT: Timestamp = Timestamp::from_millis(1_795_425_302_000); // 16:15:02 in Vietnam

    fn sought(marker: Marker) -> Sought {
        Sought {
            id: "01938d5f-0000-7000-8000-0123456789ab".parse().unwrap(),
            phone: Some("0900000001".into()),
            has_email: false,
            subject: "Lead website: Thử".into(),
            service_id: Some(1244),
            assignee_id: None,
            marker,
            since: SENT,
        }
    }

    fn row(id: u64, subject: &str, created_at: &str) -> LeadRow {
        serde_json::from_value(serde_json::json!({
            "id": id, "subject": subject, "created_at": created_at, "service_id": 1244,
        }))
        .unwrap()
    }

    fn ids(rows: &[LeadRow]) -> Vec<u64> {
        rows.iter().map(|row| row.id).collect()
    }

    #[test]
    fn a_window_holds_the_lead_by_either_reading_of_the_clock() {
        let now = SENT.plus(Duration::from_secs(100));
        let query = sought(Marker::Comment).of_person(7, now);
        let (since, to) = (query.created_since.unwrap(), query.created_to.unwrap());
        // What is filtered by are digits: those of Vietnam's clock, or seven hours fewer.
        for made in [SENT, SENT.minus(Duration::from_secs(7 * 3600))] {
            assert!(since <= made.minus(SKEW) && made.plus(SKEW) <= to);
        }
        assert_eq!((query.requester_id, query.count), (Some(7), Some(500)));
        let query = sought(Marker::Comment).of_service(now);
        assert_eq!((query.requester_id, query.service_id), (None, Some(1244)));
    }

    #[test]
    fn candidates_are_of_that_time_and_the_likeliest_comes_first() {
        let now = SENT.plus(Duration::from_secs(100));
        let rows = || {
            vec![
                row(1, "Lead website: Thử", "2026-11-23T16:15:03Z"),
                row(2, "another", "2026-11-23T16:15:03Z"),
                row(3, "Lead  website: Thử ", "2026-11-23T09:15:03Z"), // if it were UTC
                row(4, "Lead website: Thử", "2026-11-23T12:00:00Z"),   // before, by both
                row(5, "Lead website: Thử", "no time at all"),
                row(1, "Lead website: Thử", "2026-11-23T16:15:03Z"), // on two pages
                row(6, "x #lg0123456789ab", "2026-11-23T16:15:03Z"),
            ]
        };
        let of = |marker, is_of_person| ids(&sought(marker).candidates(rows(), is_of_person, now));
        assert_eq!(of(Marker::Comment, true), [1, 3, 5, 2, 6]);
        assert_eq!(of(Marker::Comment, false), [1, 3, 5]);
        assert_eq!(of(Marker::None, true), [1, 3, 5]);
        let marked = super::super::compose::subject_marker(sought(Marker::Subject).id);
        let rows = vec![row(6, &format!("x {marked}"), "2026-11-23T16:15:03Z"), row(7, "x", "")];
        assert_eq!(ids(&sought(Marker::Subject).candidates(rows, true, now)), [6]);
    }

    fn after(sight: Sight, looks: u32, resent: u32, waited: Duration) -> Outcome {
        let work = Work {
            lease: Lease {
                lane: "main".parse().unwrap(),
                id: SubmissionId::generate(),
                fence: 1,
                deadline: SENT,
            },
            task: Task::Create { joined: Vec::new() },
            source: "website".parse().unwrap(),
            received_at: SENT,
            trace_id: None,
            attempts: 4,
            lead: Lead::default(),
        };
        let unsure = Unsure { sent_at: SENT, looks, resent };
        after_look(sight, &work, unsure, &POLICY, SENT.plus(waited)).0
    }

    #[test]
    fn only_two_looks_in_vain_have_it_sent_again_and_not_for_ever() {
        let minute = Duration::from_secs(60);
        let now = SENT.plus(minute);
        let again = Outcome::Look { due: now.plus(LOOK_AGAIN), looks: 1 };
        assert_eq!(after(Sight::Absent, 0, 0, minute), again);
        assert_eq!(after(Sight::Absent, 1, 0, minute), Outcome::SendAgain { due: now });
        let later = Outcome::SendAgain { due: now.plus(Duration::from_secs(300)) };
        assert_eq!(after(Sight::Absent, 1, 1, minute), later);
        let Outcome::Dead { reason } = after(Sight::Absent, 1, 5, minute) else { panic!("dead") };
        assert!(reason.starts_with("outcome unknown after sending it 6 times"), "{reason}");
        assert!(matches!(after(Sight::Absent, 1, 0, POLICY.give_up_after), Outcome::Dead { .. }));

        let upstream = Upstream { lead_id: 7, requester_id: None };
        assert_eq!(after(Sight::Found(upstream), 1, 5, minute), Outcome::Created(upstream));
    }

    #[test]
    fn what_was_not_seen_clearly_is_looked_at_again_ever_less_often() {
        let unclear = || Sight::Unclear("HTTP 500".into());
        let mut longest = Duration::ZERO;
        for minutes in [1, 10, 60, 600] {
            let waited = Duration::from_secs(minutes * 60);
            let Outcome::Look { due, looks } = after(unclear(), 1, 0, waited) else { panic!() };
            assert_eq!(looks, 1, "it counts for nothing");
            let wait = due.since(SENT.plus(waited));
            assert!(wait > longest / 2 && wait <= POLICY.max, "{wait:?}");
            longest = wait;
        }
        assert!(matches!(after(unclear(), 0, 0, POLICY.give_up_after), Outcome::Dead { .. }));
    }
}
