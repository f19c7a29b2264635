//! What a lane does besides making leads: it looks for those that may have been made, and tells
//! CareSoft what came later of the same person.

use super::*;
use crate::store::{Depth, Joined, Replayed, Unsure};

/// When an unknown one is looked for, that became so at `seconds`.
fn looked_at(seconds: i64) -> Timestamp {
    at(seconds).plus(crate::store::LOOK_AFTER)
}

fn unsure(work: &Work) -> Unsure {
    match work.task {
        Task::Look(unsure) => unsure,
        _ => panic!("a look, not {}", work.task.word()),
    }
}

fn joined(work: &Work) -> Vec<SubmissionId> {
    match &work.task {
        Task::Create { joined } => joined.iter().map(|joined| joined.id).collect(),
        _ => panic!("a create, not {}", work.task.word()),
    }
}

fn comment(work: &Work) -> (Upstream, &[Joined]) {
    match &work.task {
        Task::Comment { to, said } => (*to, said),
        _ => panic!("a comment, not {}", work.task.word()),
    }
}

/// A lead whose outcome is unknown since second 2; it was sent at second 1.
async fn unknown_lead(store: &dyn Store) -> SubmissionId {
    let id = form().phone(11).accepted(store).await;
    let work = lease_one(store, id, at(1)).await;
    assert_eq!(settle(store, &work, at(2), unknown()).await, Settled::Done);
    id
}

/// A lead that CareSoft calls 7 since second 2.
async fn created_lead(store: &dyn Store) -> SubmissionId {
    let id = form().phone(11).accepted(store).await;
    let work = lease_one(store, id, at(1)).await;
    assert_eq!(settle(store, &work, at(2), created(7)).await, Settled::Done);
    id
}

fn nobody_else() -> Depth {
    Depth::default()
}

pub(crate) async fn unknown_is_leased_to_be_looked_for(store: &dyn Store) {
    let id = unknown_lead(store).await;
    let found = record(store, id).await;
    assert_eq!((found.state, found.phase), (State::Unknown, None));
    assert_eq!((found.settled_at, found.reason.as_deref()), (None, Some("timed out")));
    form().phone(11).at(at(3)).merged(store, id).await; // it may be a lead

    let early = store.lease(&lane(), up_to(5), at(11)).await.unwrap();
    assert!(early.work.is_empty());
    assert_eq!(early.next_due, Some(looked_at(2)));
    let work = lease_one(store, id, looked_at(2)).await;
    assert_eq!(unsure(&work), Unsure { sent_at: at(1), looks: 0, resent: 0 });
    assert!(work.lead == form().phone(11).lead());
    assert_eq!((work.lease.fence, work.lease.deadline), (2, looked_at(2).plus(OTHER_TERM)));
    assert!(lease(store, 5, looked_at(2)).await.is_empty(), "by one at a time");
}

pub(crate) async fn a_look_in_vain_is_made_again(store: &dyn Store) {
    let id = unknown_lead(store).await;
    let work = lease_one(store, id, at(20)).await;
    let in_vain = Outcome::Look { due: at(100), looks: 1 };
    assert_eq!(settle(store, &work, at(21), in_vain.clone()).await, Settled::Done);
    assert_eq!(settle(store, &work, at(22), in_vain).await, Settled::Stale);
    assert_eq!(state(store, id).await, State::Unknown);
    assert_eq!(events(store, id).await, ["accepted", "attempt", "look"]);

    assert!(lease(store, 5, at(99)).await.is_empty());
    let work = lease_one(store, id, at(100)).await;
    assert_eq!(unsure(&work), Unsure { sent_at: at(1), looks: 1, resent: 0 });
    assert_eq!(work.attempts, 2, "the create and the look");
    settle(store, &work, at(101), Outcome::Postponed { due: at(101) }).await;
    let work = lease_one(store, id, at(101)).await;
    assert_eq!((unsure(&work).looks, work.attempts), (1, 2), "one that was not made is none");
}

pub(crate) async fn what_was_surely_not_made_is_sent_again_as_later(store: &dyn Store) {
    let id = unknown_lead(store).await;
    let fresh = form().phone(12).at(at(3)).accepted(store).await;
    let work = lease(store, 2, at(20)).await;
    let look = work.iter().find(|work| work.lease.id == id).unwrap();
    settle(store, look, at(21), Outcome::SendAgain { due: at(21) }).await;
    let again = record(store, id).await;
    assert_eq!((again.state, again.reason), (State::Pending, None));
    assert_eq!(again.history.last().unwrap().outcome.as_deref(), Some("send_again"));
    form().phone(11).at(at(22)).merged(store, id).await; // it keeps its claim
    let work = work.into_iter().find(|work| work.lease.id == fresh).unwrap();
    settle(store, &work, at(22), Outcome::Postponed { due: at(22) }).await;

    let order: Vec<_> = lease(store, 2, at(23)).await;
    assert_eq!(order[0].lease.id, fresh, "behind the fresh");
    assert!(matches!(order[1].task, Task::Create { .. }));
    settle(store, &order[1], at(24), unknown()).await;
    let work = lease_one(store, id, at(40)).await;
    assert_eq!(unsure(&work), Unsure { sent_at: at(1), looks: 0, resent: 1 });
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

pub(crate) async fn what_is_found_is_created(store: &dyn Store) {
    let id = unknown_lead(store).await;
    let work = lease_one(store, id, at(20)).await;
    assert_eq!(settle(store, &work, at(21), created(7)).await, Settled::Done);
    let found = record(store, id).await;
    assert_eq!((found.state, found.settled_at), (State::Created, Some(at(21))));
    assert_eq!((found.upstream.unwrap().lead_id, found.reason), (7, None));
    assert!(lease(store, 5, at(1000)).await.is_empty());
    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger.count(State::Created), ledger.residue()), (1, 0));
}

pub(crate) async fn what_is_not_cleared_up_dies(store: &dyn Store) {
    let id = unknown_lead(store).await;
    let work = lease_one(store, id, at(20)).await;
    for wrong in [unknown(), Outcome::Retry { due: at(30) }, Outcome::Told] {
        assert_eq!(settle(store, &work, at(21), wrong).await, Settled::Stale);
    }
    assert_eq!(settle(store, &work, at(21), dead()).await, Settled::Done);
    assert_eq!(state(store, id).await, State::Dead);
    form().phone(11).at(at(22)).accepted(store).await; // its claim is released
    let merged = matches!(store.replay(id, at(23), None).await, Ok(Replayed::Merged { .. }));
    assert!(merged, "by a person who has looked");
}

pub(crate) async fn an_expired_look_goes_back(store: &dyn Store) {
    let id = unknown_lead(store).await;
    let work = lease_one(store, id, at(20)).await;
    assert_eq!(store.expire_leases(at(50)).await.unwrap(), 0);
    assert!(lease(store, 5, at(50)).await.is_empty(), "not before its own term");
    assert_eq!(store.expire_leases(at(81)).await.unwrap(), 0, "nothing became unknown by it");
    let again = lease_one(store, id, at(81)).await;
    assert!(again.lease.fence > work.lease.fence);
    let in_vain = Outcome::Look { due: at(100), looks: 1 };
    assert_eq!(settle(store, &work, at(82), in_vain).await, Settled::Stale);
}

/// The answer came after all, while somebody looks for the lead, or after.
pub(crate) async fn created_is_believed_while_somebody_looks(store: &dyn Store) {
    let id = form().phone(11).accepted(store).await;
    let sent = lease_one(store, id, at(1)).await;
    store.expire_leases(at(40)).await.unwrap();
    let look = lease_one(store, id, at(60)).await;
    assert_eq!(settle(store, &sent, at(61), created(7)).await, Settled::Done);
    assert_eq!(state(store, id).await, State::Created);
    let again = Outcome::SendAgain { due: at(62) };
    assert_eq!(settle(store, &look, at(62), again).await, Settled::Stale);
    assert!(lease(store, 5, at(1000)).await.is_empty());
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

pub(crate) async fn a_replay_ends_the_looking(store: &dyn Store) {
    let id = unknown_lead(store).await;
    let look = lease_one(store, id, at(20)).await;
    assert_eq!(store.replay(id, at(21), None).await.unwrap(), Replayed::Queued);
    assert_eq!(settle(store, &look, at(22), dead()).await, Settled::Stale);
    let work = lease_one(store, id, at(23)).await;
    assert!(matches!(work.task, Task::Create { .. }));
    store.expire_leases(at(1000)).await.unwrap();
    let work = lease_one(store, id, at(2000)).await;
    assert_eq!(unsure(&work), Unsure { sent_at: at(23), looks: 0, resent: 0 });
}

pub(crate) async fn what_joined_a_waiting_lead_goes_into_its_create(store: &dyn Store) {
    let lead = form().phone(11).accepted(store).await;
    let first = form().phone(11).says("first").at(at(1)).merged(store, lead).await;
    form().phone(11).at(at(2)).merged(store, lead).await; // says what the lead says
    let work = lease_one(store, lead, at(3)).await;
    assert_eq!(joined(&work), [first]);
    settle(store, &work, at(4), Outcome::Retry { due: at(5) }).await;
    let second = form().phone(11).says("second").at(at(4)).merged(store, lead).await;
    let work = lease_one(store, lead, at(5)).await;
    assert_eq!(joined(&work), [first, second]);
    match &work.task {
        Task::Create { joined } => {
            assert!(joined[1].lead == form().phone(11).says("second").lead());
            assert_eq!((joined[1].source.as_str(), joined[1].received_at), ("website", at(4)));
        }
        _ => unreachable!("`joined` has looked"),
    }

    settle(store, &work, at(6), created(7)).await;
    assert!(lease(store, 5, at(7)).await.is_empty(), "nothing is left to be told");
    for id in [first, second] {
        let told = record(store, id).await;
        assert_eq!(told.state, State::Merged);
        let last = told.history.last().unwrap();
        assert_eq!((last.event.as_str(), last.outcome.as_deref()), ("comment", Some("with_lead")));
    }
}

pub(crate) async fn what_joins_while_it_is_sent_is_told_after(store: &dyn Store) {
    let lead = form().phone(11).accepted(store).await;
    let first = form().phone(11).says("first").at(at(1)).merged(store, lead).await;
    let work = lease_one(store, lead, at(2)).await;
    let second = form().phone(11).says("second").at(at(3)).merged(store, lead).await;
    settle(store, &work, at(4), unknown()).await;
    let third = form().phone(11).says("third").at(at(5)).merged(store, lead).await;
    let look = lease_one(store, lead, at(20)).await; // nobody is told before the lead is there
    settle(store, &look, at(21), created(7)).await;

    let work = lease(store, 5, at(22)).await;
    let ids: Vec<_> = work.iter().map(|work| work.lease.id).collect();
    assert_eq!(ids, [second, third]);
    let (to, said) = comment(&work[1]);
    assert_eq!((to.lead_id, to.requester_id), (7, Some(8)));
    let said: Vec<_> = said.iter().map(|said| said.id).collect();
    assert_eq!(said, [lead, first, second]);
}

pub(crate) async fn what_joins_a_created_lead_is_told(store: &dyn Store) {
    let lead = created_lead(store).await;
    let mut arrivals = store.arrivals();
    arrivals.mark_unchanged();
    let later = form().phone(11).says("again").at(at(3)).merged(store, lead).await;
    assert!(arrivals.has_changed().unwrap());
    let work = lease_one(store, later, at(4)).await;
    assert_eq!(comment(&work).0.lead_id, 7);
    assert!(work.lead == form().phone(11).says("again").lead());
    assert!(comment(&work).1[0].lead == form().phone(11).lead());
    assert_eq!(state(store, later).await, State::Merged);
    assert_eq!(settle(store, &work, at(5), Outcome::Told).await, Settled::Done);
    assert_eq!(settle(store, &work, at(6), Outcome::Told).await, Settled::Stale);
    assert!(lease(store, 5, at(1000)).await.is_empty());
    assert_eq!(events(store, later).await, ["merged", "comment"]);
    assert_eq!(store.ledger().await.unwrap().count(State::Merged), 1);
}

pub(crate) async fn what_says_the_same_is_not_told(store: &dyn Store) {
    let lead = created_lead(store).await;
    form().phone(11).at(at(3)).merged(store, lead).await;
    assert!(lease(store, 5, at(1000)).await.is_empty());
    assert_eq!(store.depth(&lane()).await.unwrap(), nobody_else());
}

pub(crate) async fn a_comment_is_tried_again(store: &dyn Store) {
    let lead = created_lead(store).await;
    let later = form().phone(11).says("again").at(at(3)).merged(store, lead).await;
    let work = lease_one(store, later, at(4)).await;
    assert_eq!(settle(store, &work, at(5), Outcome::Retry { due: at(60) }).await, Settled::Done);
    let waits = store.lease(&lane(), up_to(5), at(59)).await.unwrap();
    assert_eq!((waits.work.len(), waits.next_due), (0, Some(at(60))));
    let work = lease_one(store, later, at(60)).await;
    assert_eq!(work.attempts, 1);
    settle(store, &work, at(61), Outcome::Postponed { due: at(61) }).await;
    let work = lease_one(store, later, at(61)).await;
    assert_eq!(work.attempts, 1);
    assert_eq!(store.expire_leases(at(200)).await.unwrap(), 0);
    let again = lease_one(store, later, at(200)).await;
    assert_eq!(settle(store, &work, at(201), Outcome::Told).await, Settled::Stale);
    assert_eq!(settle(store, &again, at(201), Outcome::Told).await, Settled::Done);
}

pub(crate) async fn a_comment_on_a_lead_that_is_gone_is_given_up(store: &dyn Store) {
    let lead = created_lead(store).await;
    let later = form().phone(11).says("again").at(at(3)).merged(store, lead).await;
    let kept = Retention([(State::Created, Duration::ZERO)].into());
    sweep(store, at(4), &kept).await;
    assert!(lease(store, 5, at(5)).await.is_empty());
    let given_up = record(store, later).await;
    assert_eq!(given_up.history.last().unwrap().outcome.as_deref(), Some("given_up"));
    assert_eq!(store.depth(&lane()).await.unwrap(), nobody_else());
    form().phone(11).says("once more").at(at(6)).merged(store, lead).await;
    assert!(lease(store, 5, at(7)).await.is_empty());
}

pub(crate) async fn a_replay_that_joins_a_created_lead_is_told(store: &dyn Store) {
    let refused = form().phone(11).says("refused").accepted(store).await;
    kill(store, refused, at(1)).await;
    let lead = form().phone(11).at(at(2)).accepted(store).await;
    let work = lease_one(store, lead, at(3)).await;
    settle(store, &work, at(4), created(7)).await;
    let merged = Replayed::Merged { into: lead };
    assert_eq!(store.replay(refused, at(5), None).await.unwrap(), merged);
    let work = lease_one(store, refused, at(6)).await;
    assert_eq!(comment(&work).0.lead_id, 7);
}

pub(crate) async fn the_forgotten_have_no_chores(store: &dyn Store) {
    let lead = created_lead(store).await;
    form().phone(11).says("again").at(at(3)).merged(store, lead).await;
    let other = form().phone(12).at(at(4)).accepted(store).await;
    let work: Vec<_> = lease(store, 1, at(5)).await;
    assert_eq!(work[0].lease.id, other);
    settle(store, &work[0], at(6), unknown()).await;
    store.forget(vec![phone(11), phone(12)], at(7)).await.unwrap();
    assert!(lease(store, 5, at(1000)).await.is_empty());
    assert_eq!(store.depth(&lane()).await.unwrap(), nobody_else());
}

/// A long tail of retries, looks or comments delays neither fresh leads nor one another.
pub(crate) async fn invariant_7_chores_take_turns_behind_the_fresh(store: &dyn Store) {
    let lead = created_lead(store).await;
    let mut kinds = Vec::new();
    for number in 20..26 {
        form().phone(number).at(at(3)).accepted(store).await;
    }
    for (number, work) in lease(store, 6, at(4)).await.iter().enumerate() {
        let outcome = if number < 3 { unknown() } else { Outcome::Retry { due: at(5) } };
        settle(store, work, at(5), outcome).await;
    }
    for number in 0..3 {
        form().phone(11).says(&format!("{number}")).at(at(6)).merged(store, lead).await;
    }
    for number in 30..57 {
        form().phone(number).at(at(7)).accepted(store).await;
    }
    for _ in 0..36 {
        let work = lease(store, 1, at(100)).await.remove(0);
        let is_fresh = work.received_at == at(7);
        kinds.push(if is_fresh { "fresh" } else { work.task.word() });
    }
    let behind: Vec<_> = kinds.iter().copied().filter(|kind| *kind != "fresh").collect();
    for three in behind.chunks(3) {
        let mut three = three.to_vec();
        three.sort_unstable();
        assert_eq!(three, ["attempt", "comment", "look"], "in turn: {behind:?}");
    }
    assert_eq!(behind.len(), 9);
    for four in kinds.chunks(4) {
        assert_eq!(four.iter().filter(|kind| **kind != "fresh").count(), 1, "{kinds:?}");
    }
}

pub(crate) async fn depth_counts_chores(store: &dyn Store) {
    let lead = created_lead(store).await;
    form().phone(11).says("again").at(at(3)).merged(store, lead).await;
    for number in 12..14 {
        let id = form().phone(number).at(at(0)).accepted(store).await;
        let all = lease(store, 1, at(1)).await;
        assert_eq!(all[0].lease.id, id);
        settle(store, &all[0], at(2), unknown()).await;
    }
    let depth = Depth { unknown: 2, comments: 1, ..Depth::default() };
    assert_eq!(store.depth(&lane()).await.unwrap(), depth);
    let work = lease(store, 5, at(20)).await;
    assert_eq!(work.len(), 3);
    assert_eq!(store.depth(&lane()).await.unwrap(), depth, "leased or not");
    for work in work {
        let outcome = if matches!(work.task, Task::Look(_)) { dead() } else { Outcome::Told };
        settle(store, &work, at(21), outcome).await;
    }
    assert_eq!(store.depth(&lane()).await.unwrap(), nobody_else());
}

/// A lane has hands for so many chores: the others wait, and wake nobody meanwhile.
pub(crate) async fn no_more_chores_than_wanted(store: &dyn Store) {
    let lead = created_lead(store).await;
    for number in 0..4 {
        form().phone(11).says(&format!("{number}")).at(at(3)).merged(store, lead).await;
    }
    let fresh = form().phone(12).at(at(4)).accepted(store).await;
    let leased = |chores| {
        let wanted = Wanted { chores, ..up_to(10) };
        async move { store.lease(&lane(), wanted, at(5)).await.unwrap() }
    };
    let some = leased(1).await;
    let (creates, comments): (Vec<_>, Vec<_>) =
        some.work.iter().partition(|work| matches!(work.task, Task::Create { .. }));
    assert_eq!((creates.len(), comments.len()), (1, 1));
    assert_eq!(creates[0].lease.id, fresh);
    assert_eq!(some.next_due, Some(at(3)), "more of them are due");
    let none = leased(0).await;
    assert_eq!((none.work.len(), none.next_due), (0, None));
    assert_eq!(leased(5).await.work.len(), 3);
}
