//! The three things that a lane does about a record: make its lead, look for it, add to it.

use tokio::sync::watch;

use super::super::gate::Turn;
use super::super::reconcile::{Sight, Sought, after_look};
use super::super::verdict::{after_comment, after_create};
use super::Lane;
use super::asking::{Asking, Ended};
use super::look::Broken;
use crate::caresoft::NewLead;
use crate::fail_point::{self, FailPoint};
use crate::lead::{DestinationId, Event};
use crate::store::{Outcome, Settled, Task, Unsure, Work};
use crate::telemetry::trace;

/// What there is to do, made before a place in the pace is taken: nothing stands between the place
/// and the request.
pub(super) enum Prepared {
    Create(Box<NewLead>),
    Look(Box<Sought>, Unsure),
    Comment { lead_id: u64, text: String },
}

/// How it ended.
struct End {
    outcome: Outcome,
    /// In the history.
    word: &'static str,
    detail: Option<String>,
}

/// A leased record as its trace tells of it.
pub(super) fn traced<'a>(lane: &'a DestinationId, work: &'a Work) -> trace::Leased<'a> {
    trace::Leased {
        id: work.lease.id,
        trace: work.trace_id,
        source: &work.source,
        destination: lane,
        task: work.task.word(),
        attempts: work.attempts,
    }
}

impl Lane {
    /// What is to be sent for a record; `None` when nothing is, which is written down.
    pub(super) async fn prepare(&self, work: &Work) -> Option<Prepared> {
        match &work.task {
            Task::Create { .. } => Some(Prepared::Create(Box::new(self.composer.compose(work)))),
            Task::Look(unsure) => {
                let sought = self.composer.sought(work, unsure.sent_at);
                Some(Prepared::Look(Box::new(sought), *unsure))
            }
            Task::Comment { to, said } => match self.composer.comment(work, said) {
                Some(text) => Some(Prepared::Comment { lead_id: to.lead_id, text }),
                None => {
                    let event = Event {
                        outcome: Some("nothing_new".to_owned()),
                        ..Event::plain(self.clock.now(), work.task.word())
                    };
                    self.settle(work, Outcome::Told, event).await;
                    None
                }
            },
        }
    }

    /// Does it: the first request goes out at once.
    pub(super) async fn carry_out(
        &self,
        work: &Work,
        prepared: Prepared,
        turn: Turn,
        stop: watch::Receiver<bool>,
    ) {
        let began = self.clock.now();
        let mut asking =
            Asking::new(self, work.lease.deadline, turn, traced(&self.id, work).trace(), stop);
        let end = match prepared {
            Prepared::Create(request) => self.create(&mut asking, work, &request).await,
            Prepared::Look(sought, unsure) => {
                let sight = self.look(&mut asking, &sought).await;
                fail_point::pass(FailPoint::Looked);
                self.looked(work, unsure, sight)
            }
            Prepared::Comment { lead_id, text } => {
                let told = self.comment(&mut asking, work.lease.id, lead_id, &text).await;
                fail_point::pass(FailPoint::Commented);
                let now = self.clock.now();
                let (outcome, word, detail) = after_comment(told, work, &self.retry, now);
                End { outcome, word, detail }
            }
        };
        let event = Event {
            outcome: Some(end.word.to_owned()),
            status: asking.status,
            ms: u64::try_from(asking.elapsed.as_millis()).ok(),
            detail: end.detail,
            ..Event::plain(began, work.task.word())
        };
        let is_created = matches!(end.outcome, Outcome::Created(_));
        let is_failure = matches!(end.outcome, Outcome::Unknown { .. } | Outcome::Dead { .. });
        trace::worked(end.word, is_failure);
        fail_point::pass(FailPoint::Unsettled);
        let settled = self.settle(work, end.outcome, event).await;
        fail_point::pass(FailPoint::Settled);
        if settled == Some(Settled::Done) && is_created {
            let took = self.clock.now().since(work.received_at);
            self.metrics.created(&work.source, took);
        }
    }

    async fn create(&self, asking: &mut Asking<'_>, work: &Work, request: &NewLead) -> End {
        let sent = asking.ask(|client| async move { client.create_lead(request).await }).await;
        let now = self.clock.now();
        let (outcome, detail) = match sent {
            Err(Ended::Stopped) => (Outcome::Postponed { due: now }, None),
            Err(Ended::Failed(failure)) => after_create(Err(failure), work, &self.retry, now),
            Ok(lead) => after_create(Ok(lead), work, &self.retry, now),
        };
        End { word: outcome.word(), outcome, detail }
    }

    fn looked(&self, work: &Work, unsure: Unsure, sight: Result<Sight, Broken>) -> End {
        let now = self.clock.now();
        let sight = match sight {
            Ok(sight) => sight,
            Err(Broken::Failed(why)) => Sight::Unclear(why),
            Err(Broken::Stopped) => {
                let outcome = Outcome::Postponed { due: now };
                return End { outcome, word: "postponed", detail: None };
            }
        };
        let (outcome, word, detail) = after_look(sight, work, unsure, &self.retry, now);
        End { outcome, word, detail }
    }
}
