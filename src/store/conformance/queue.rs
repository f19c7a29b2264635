//! The queue of a lane: order, leases and fences, endings.

use futures_util::future::join_all;

use super::*;
use crate::lead::{Phase, State};
use crate::store::Replayed;

async fn fresh(store: &dyn Store, count: u32) -> Vec<SubmissionId> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(form().phone(number).at(at(i64::from(number))).accepted(store).await);
    }
    ids
}

fn ids(work: &[Work]) -> Vec<SubmissionId> {
    work.iter().map(|work| work.lease.id).collect()
}

pub(crate) async fn invariant_7_fresh_ones_come_first_and_in_order(store: &dyn Store) {
    let waiting = fresh(store, 3).await;
    let retried = lease_one(store, waiting[0], at(5)).await;
    settle(store, &retried, at(5), Outcome::Retry { due: at(5) }).await;

    let leased = store.lease(&lane(), up_to(10), at(6)).await.unwrap();
    assert_eq!(ids(&leased.work), [waiting[1], waiting[2], waiting[0]]);
    assert_eq!(leased.next_due, None);
    let work = &leased.work[0];
    assert_eq!((work.lease.fence, work.lease.deadline), (1, at(36)));
    assert_eq!((work.source.as_str(), work.received_at), ("website", at(1)));
    assert!(work.lead == form().phone(1).lead());
    assert_eq!(leased.work[2].lease.fence, 2);
    assert!(lease(store, 10, at(7)).await.is_empty(), "what is leased is not leased again");
}

pub(crate) async fn invariant_7_later_ones_get_one_place_in_four(store: &dyn Store) {
    let all = fresh(store, 20).await;
    for work in lease(store, 5, at(20)).await {
        settle(store, &work, at(20), Outcome::Retry { due: at(20) }).await;
    }
    let is_later = |id: &SubmissionId| all[..5].contains(id);
    // Whether it leases many at a time or one.
    let mut order = ids(&lease(store, 8, at(21)).await);
    for _ in 0..4 {
        order.extend(ids(&lease(store, 1, at(21)).await));
    }
    let later: Vec<_> = order.iter().filter(|id| is_later(id)).copied().collect();
    assert_eq!(later, all[..3], "12 places, 3 of them for later ones, in their order");
    for four in order.chunks(4) {
        assert_eq!(four.iter().filter(|id| is_later(id)).count(), 1);
    }
    let rest = ids(&lease(store, 100, at(21)).await);
    assert_eq!(rest.len(), 8, "nobody is left behind");
}

pub(crate) async fn a_retry_waits_until_it_is_due(store: &dyn Store) {
    let id = form().phone(11).accepted(store).await;
    let work = lease_one(store, id, at(1)).await;
    assert_eq!(record(store, id).await.phase, Some(Phase::InFlight));
    settle(store, &work, at(2), Outcome::Retry { due: at(60) }).await;
    assert_eq!(record(store, id).await.phase, Some(Phase::Waiting));

    let early = store.lease(&lane(), up_to(1), at(59)).await.unwrap();
    assert!(early.work.is_empty());
    assert_eq!(early.next_due, Some(at(60)));
    lease_one(store, id, at(60)).await;
}

pub(crate) async fn a_postponed_one_keeps_its_place(store: &dyn Store) {
    let all = fresh(store, 3).await;
    let first = lease_one(store, all[0], at(5)).await;
    settle(store, &first, at(5), Outcome::Postponed { due: at(10) }).await;
    assert_eq!(record(store, all[0]).await.phase, Some(Phase::Waiting));

    let second = lease_one(store, all[1], at(9)).await; // the first is not due yet
    settle(store, &second, at(9), Outcome::Postponed { due: at(9) }).await;
    assert_eq!(record(store, all[1]).await.phase, Some(Phase::Ready));
    assert_eq!(ids(&lease(store, 3, at(10)).await), all);
}

pub(crate) async fn retries_spend_attempts_and_postponing_does_not(store: &dyn Store) {
    let id = form().phone(11).accepted(store).await;
    let mut spent = Vec::new();
    for outcome in [
        Outcome::Postponed { due: at(1) },
        Outcome::Retry { due: at(1) },
        Outcome::Postponed { due: at(1) },
        Outcome::Retry { due: at(1) },
    ] {
        let work = lease_one(store, id, at(1)).await;
        spent.push(work.attempts);
        settle(store, &work, at(1), outcome).await;
    }
    spent.push(lease_one(store, id, at(1)).await.attempts);
    assert_eq!(spent, [0, 0, 1, 1, 2]);
}

/// Invariant 4: only who holds the newest lease says how it ended.
pub(crate) async fn an_old_fence_is_refused(store: &dyn Store) {
    let id = form().phone(11).accepted(store).await;
    let old = lease_one(store, id, at(1)).await;
    settle(store, &old, at(2), Outcome::Postponed { due: at(2) }).await;
    let new = lease_one(store, id, at(3)).await;
    assert!(new.lease.fence > old.lease.fence);

    assert_eq!(settle(store, &old, at(4), dead()).await, Settled::Stale);
    assert_eq!(record(store, id).await.phase, Some(Phase::InFlight));
    assert_eq!(settle(store, &new, at(4), created(7)).await, Settled::Done);
    assert_eq!(state(store, id).await, State::Created);
}

pub(crate) async fn a_settled_lease_is_over(store: &dyn Store) {
    let id = form().phone(11).accepted(store).await;
    let work = lease_one(store, id, at(1)).await;
    assert_eq!(settle(store, &work, at(2), created(7)).await, Settled::Done);
    assert_eq!(settle(store, &work, at(3), dead()).await, Settled::Stale);
    let record = record(store, id).await;
    assert_eq!((record.state, record.settled_at), (State::Created, Some(at(2))));
    assert_eq!(record.history.len(), 2, "what was refused is not in the history");
}

pub(crate) async fn created_says_what_caresoft_calls_it(store: &dyn Store) {
    let id = form().phone(11).accepted(store).await;
    let work = lease_one(store, id, at(1)).await;
    let upstream = Upstream { lead_id: 414_856_017, requester_id: Some(63_215_969) };
    let event = Event {
        outcome: Some("created".into()),
        status: Some(200),
        ms: Some(212),
        detail: Some("ok".into()),
        ..Event::plain(at(2), "attempt")
    };
    store.settle(&work.lease, at(2), Outcome::Created(upstream), event.clone()).await.unwrap();

    let record = record(store, id).await;
    assert_eq!((record.upstream, record.phase), (Some(upstream), None));
    assert_eq!(record.history, [Event::plain(at(0), "accepted"), event]);
    form().phone(11).at(at(3)).merged(store, id).await; // and the person stays known
}

pub(crate) async fn an_expired_lease_makes_unknown(store: &dyn Store) {
    let all = fresh(store, 2).await;
    let first = lease_one(store, all[0], at(10)).await;
    lease_one(store, all[1], at(20)).await;

    assert_eq!(store.expire_leases(at(40)).await.unwrap(), 0, "not before it has ended");
    assert_eq!(store.expire_leases(at(41)).await.unwrap(), 1);
    let record = record(store, all[0]).await;
    assert_eq!(record.state, State::Unknown);
    assert!(record.reason.is_some());
    assert_eq!(record.history.last().unwrap(), &Event::plain(at(41), "lease_expired"));
    assert_eq!(store.expire_leases(at(1000)).await.unwrap(), 1);
    assert_eq!(store.ledger().await.unwrap().count(State::Unknown), 2);

    // The answer came after all: that a lead was made is believed, anything else is too late.
    assert_eq!(settle(store, &first, at(1001), dead()).await, Settled::Stale);
    assert_eq!(settle(store, &first, at(1001), created(7)).await, Settled::Done);
    assert_eq!(state(store, all[0]).await, State::Created);
    assert_eq!(settle(store, &first, at(1002), created(8)).await, Settled::Stale);
    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger.count(State::Unknown), ledger.residue()), (1, 0));
}

/// Somebody had it sent again, and then the answer came after all: it is not sent again.
pub(crate) async fn a_late_created_is_believed_until_somebody_leases_anew(store: &dyn Store) {
    let all = fresh(store, 2).await;
    let work = lease(store, 2, at(10)).await;
    assert_eq!(store.expire_leases(at(100)).await.unwrap(), 2);
    for id in &all {
        assert_eq!(store.replay(*id, at(101), None).await.unwrap(), Replayed::Queued);
    }
    assert_eq!(settle(store, &work[0], at(102), dead()).await, Settled::Stale);
    assert_eq!(settle(store, &work[0], at(102), created(7)).await, Settled::Done);
    assert_eq!(state(store, all[0]).await, State::Created);

    let again = lease(store, 2, at(103)).await;
    assert_eq!(ids(&again), [all[1]], "what was created waits no more");
    assert_eq!(settle(store, &work[1], at(104), created(8)).await, Settled::Stale);
    assert_eq!(settle(store, &again[0], at(104), created(9)).await, Settled::Done);
    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger.count(State::Created), ledger.residue()), (2, 0));
    assert_eq!(store.depth(&lane()).await.unwrap().pending, 0);
}

pub(crate) async fn a_lane_leases_its_own_only(store: &dyn Store) {
    let other = form().phone(11).destination("other").accepted(store).await;
    assert!(lease(store, 10, at(1)).await.is_empty());
    let lane = "other".parse().unwrap();
    let leased = store.lease(&lane, up_to(10), at(1)).await.unwrap();
    assert_eq!(ids(&leased.work), [other]);
}

pub(crate) async fn history_is_kept_and_bounded(store: &dyn Store) {
    let id = form().phone(11).accepted(store).await;
    for round in 1..=100 {
        let work = lease_one(store, id, at(round)).await;
        settle(store, &work, at(round), Outcome::Retry { due: at(round) }).await;
    }
    let history = record(store, id).await.history;
    assert_eq!(history.len(), 64);
    assert_eq!(history[0], Event::plain(at(0), "accepted"));
    assert_eq!((history[1].at, history[63].at), (at(38), at(100)));
}

pub(crate) async fn depth_counts_what_waits(store: &dyn Store) {
    assert_eq!(store.depth(&lane()).await.unwrap().pending, 0);
    let all = fresh(store, 4).await;
    let depth = store.depth(&lane()).await.unwrap();
    assert_eq!((depth.pending, depth.oldest), (4, Some(at(0))));

    let retried = lease_one(store, all[0], at(9)).await;
    settle(store, &retried, at(9), Outcome::Retry { due: at(60) }).await;
    let work = lease(store, 2, at(9)).await;
    let depth = store.depth(&lane()).await.unwrap();
    assert_eq!((depth.pending, depth.oldest), (4, Some(at(0))), "in flight and waiting count");

    settle(store, &work[0], at(10), created(1)).await;
    settle(store, &work[1], at(10), unknown()).await;
    let retried = lease(store, 2, at(60)).await;
    for work in &retried {
        settle(store, work, at(61), created(2)).await;
    }
    let depth = store.depth(&lane()).await.unwrap();
    assert_eq!((depth.pending, depth.oldest), (0, None));
}

pub(crate) async fn nobody_is_leased_twice_at_once(store: &dyn Store) {
    fresh(store, 40).await;
    let leased = join_all((0..10).map(|_| lease(store, 5, at(60)))).await;
    let mut all = ids(&leased.concat());
    assert_eq!(all.len(), 40);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 40);
}
