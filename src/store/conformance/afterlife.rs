//! After the end: what the dead leave, replays, erasure, retention.

use super::*;
use crate::store::{Match, Replayed, StoreError};

/// Invariant 3.
pub(crate) async fn dead_releases_its_claims(store: &dyn Store) {
    let lead = form().phone(11).email("thu").accepted(store).await;
    kill(store, lead, at(1)).await;
    let record = record(store, lead).await;
    assert_eq!((record.state, record.settled_at), (State::Dead, Some(at(1))));
    assert_eq!(record.reason.as_deref(), Some("phone is invalid"));

    form().email("thu").at(at(2)).accepted(store).await;
    form().phone(11).at(at(2)).accepted(store).await;
}

pub(crate) async fn dead_releases_what_others_brought_it(store: &dyn Store) {
    let lead = form().phone(11).email("thu").accepted(store).await;
    let work = lease_one(store, lead, at(1)).await;
    // The same lead by what it says, but found under one more name.
    let mut again = form().phone(11).email("thu").admission();
    if let crate::store::Content::Lead { identities, .. } = &mut again.content {
        identities.push(email("thu2"));
    }
    store.admit(vec![again]).await.unwrap();
    form().email("thu2").says("again").at(at(1)).merged(store, lead).await;
    settle(store, &work, at(2), dead()).await;

    // The one that said something else is a lead now, and holds what it carries; no more.
    let heir = lease(store, 1, at(3)).await.pop().expect("somebody promoted");
    form().email("thu2").at(at(3)).merged(store, heir.lease.id).await;
    form().phone(11).at(at(3)).accepted(store).await;
    settle(store, &heir, at(4), dead()).await;
}

pub(crate) async fn a_different_follower_of_the_dead_is_promoted(store: &dyn Store) {
    let lead = form().phone(11).accepted(store).await;
    let equal = form().phone(11).at(at(1)).merged(store, lead).await;
    let heir = form().phone(11).email("thu").says("again").at(at(2)).merged(store, lead).await;
    let last = form().email("thu").at(at(3)).merged(store, lead).await;
    let work = lease_one(store, lead, at(4)).await;
    let mut arrivals = store.arrivals();
    arrivals.mark_unchanged();
    settle(store, &work, at(5), dead()).await;
    assert!(arrivals.has_changed().unwrap(), "there is something to do");

    let promoted = record(store, heir).await;
    assert_eq!((promoted.state, promoted.duplicate_of), (State::Pending, None));
    assert_eq!(promoted.settled_at, None);
    assert_eq!(events(store, heir).await, ["merged", "promoted"]);
    for follower in [equal, last] {
        assert_eq!(record(store, follower).await.duplicate_of, Some(heir));
    }
    form().phone(11).at(at(6)).merged(store, heir).await;
    form().email("thu").at(at(6)).merged(store, heir).await;
    form().phone(11).at(at(3602)).accepted(store).await; // the window is the heir's own

    let ledger = store.ledger().await.unwrap();
    assert_eq!(ledger.residue(), 0);
    assert_eq!((ledger.count(State::Dead), ledger.count(State::Merged)), (1, 4));
    lease_one(store, heir, at(7)).await;
}

pub(crate) async fn an_equal_follower_of_the_dead_is_not_promoted(store: &dyn Store) {
    let lead = form().phone(11).accepted(store).await;
    let equal = form().phone(11).at(at(1)).merged(store, lead).await;
    kill(store, lead, at(2)).await;
    assert_eq!(state(store, equal).await, State::Merged);
    assert!(lease(store, 10, at(3)).await.is_empty());
    form().phone(11).at(at(3)).accepted(store).await;
}

pub(crate) async fn a_follower_that_belongs_to_another_lead_joins_it(store: &dyn Store) {
    let dying = form().phone(11).accepted(store).await;
    let other = form().email("thu").accepted(store).await;
    let torn = form().phone(11).email("thu").merged(store, dying).await;
    kill(store, dying, at(1)).await;

    let torn = record(store, torn).await;
    assert_eq!((torn.state, torn.duplicate_of), (State::Merged, Some(other)));
    form().phone(11).at(at(2)).merged(store, other).await; // brought along
}

pub(crate) async fn replay_puts_the_dead_back(store: &dyn Store) {
    let lead = form().phone(11).accepted(store).await;
    kill(store, lead, at(1)).await;
    let mut arrivals = store.arrivals();
    arrivals.mark_unchanged();
    assert_eq!(store.replay(lead, at(5), None).await.unwrap(), Replayed::Queued);
    assert!(arrivals.has_changed().unwrap());

    let record = record(store, lead).await;
    assert_eq!((record.state, record.settled_at, record.reason), (State::Pending, None, None));
    assert_eq!(events(store, lead).await, ["accepted", "attempt", "replayed"]);
    form().phone(11).at(at(6)).merged(store, lead).await; // claimed anew
    let fresh = form().phone(12).at(at(6)).accepted(store).await;
    let order: Vec<_> = lease(store, 2, at(7)).await.iter().map(|work| work.lease.id).collect();
    assert_eq!(order, [fresh, lead], "a replay waits behind fresh ones");
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

pub(crate) async fn replay_joins_the_lead_that_came_meanwhile(store: &dyn Store) {
    let lead = form().phone(11).email("thu").accepted(store).await;
    kill(store, lead, at(1)).await;
    let newer = form().phone(11).at(at(2)).accepted(store).await;
    let merged = Replayed::Merged { into: newer };
    assert_eq!(store.replay(lead, at(3), None).await.unwrap(), merged);

    let record = record(store, lead).await;
    assert_eq!((record.state, record.duplicate_of), (State::Merged, Some(newer)));
    assert_eq!(events(store, lead).await, ["accepted", "attempt", "replayed", "merged"]);
    form().email("thu").at(at(4)).merged(store, newer).await; // its e-mail came along
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

pub(crate) async fn replay_refuses_what_is_under_way(store: &dyn Store) {
    let lead = form().phone(11).accepted(store).await;
    let merged = form().phone(11).merged(store, lead).await;
    let (trial, _) = form().phone(12).test().send(store).await;
    let (odd, _) = form().quarantined().send(store).await;
    for (id, state) in [
        (lead, State::Pending),
        (merged, State::Merged),
        (trial, State::Test),
        (odd, State::Quarantined), // there is no lead in it
    ] {
        assert_eq!(store.replay(id, at(1), None).await.unwrap(), Replayed::Refused(state));
    }
    let work = lease_one(store, lead, at(1)).await;
    settle(store, &work, at(2), created(7)).await;
    let refused = Replayed::Refused(State::Created);
    assert_eq!(store.replay(lead, at(3), None).await.unwrap(), refused);
    assert_eq!(
        store.replay(SubmissionId::generate(), at(3), None).await.unwrap(),
        Replayed::Missing
    );
}

pub(crate) async fn replay_takes_a_correction(store: &dyn Store) {
    let (odd, _) = form().phone(11).quarantined().send(store).await;
    let corrected = form().phone(12).says("mended").correction();
    assert_eq!(store.replay(odd, at(1), Some(corrected)).await.unwrap(), Replayed::Queued);
    form().phone(12).at(at(2)).merged(store, odd).await;
    form().phone(11).at(at(2)).accepted(store).await;

    let work = lease(store, 10, at(3)).await;
    let mended = work.iter().find(|work| work.lease.id == odd).expect("it is queued");
    assert_eq!(mended.lead.message.as_deref(), Some("mended"));

    // One whose outcome is not known keeps the person it may have become upstream no longer.
    settle(store, mended, at(4), unknown()).await;
    let corrected = form().phone(13).correction();
    assert_eq!(store.replay(odd, at(5), Some(corrected)).await.unwrap(), Replayed::Queued);
    form().phone(13).at(at(6)).merged(store, odd).await;
    form().phone(12).at(at(6)).accepted(store).await;
    let before = Query { matching: vec![Match::Identity(phone(11))], ..Query::default() };
    assert!(!listed(store, before).await.contains(&odd), "found by what it says now");
}

pub(crate) async fn forgetting_erases_a_person(store: &dyn Store) {
    let lead = form().phone(11).email("thu").external_id("f-1").accepted(store).await;
    let joined = form().phone(11).says("again").at(at(1)).merged(store, lead).await;
    let (odd, _) = form().phone(11).quarantined().send(store).await;
    let elsewhere = form().phone(11).destination("other").accepted(store).await;
    let stranger = form().phone(12).accepted(store).await;
    let work = lease_one(store, lead, at(2)).await;
    let event = Event { detail: Some("+84900000011".into()), ..Event::plain(at(3), "attempt") };
    store.settle(&work.lease, at(3), created(7), event).await.unwrap();

    assert_eq!(store.forget(vec![phone(11)], at(4)).await.unwrap(), 4);
    for id in [lead, joined, odd, elsewhere] {
        let record = record(store, id).await;
        assert_eq!((record.state, record.settled_at), (State::Erased, Some(at(4))));
        assert_eq!((record.lead, record.external_id, record.reason), (None, None, None));
        assert!(record.history.iter().all(|event| event.detail.is_none()));
        assert_eq!(record.history.last().unwrap().event, "erased");
    }
    assert!(record(store, lead).await.upstream.is_some(), "to erase it there as well");
    assert_eq!(state(store, stranger).await, State::Pending);
    assert_eq!(store.forget(vec![phone(11)], at(5)).await.unwrap(), 0);

    form().phone(11).email("thu").at(at(6)).accepted(store).await;
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

pub(crate) async fn forgetting_frees_whoever_was_linked(store: &dyn Store) {
    let lead = form().phone(11).accepted(store).await;
    form().phone(11).email("thu").at(at(1)).merged(store, lead).await;
    let kept = form().email("thu").phone(12).at(at(2)).merged(store, lead).await;
    let work = lease_one(store, lead, at(2)).await;

    assert_eq!(store.forget(vec![phone(11)], at(3)).await.unwrap(), 2);
    assert_eq!(settle(store, &work, at(4), created(7)).await, Settled::Stale);
    assert_eq!(state(store, kept).await, State::Merged);
    form().email("thu").at(at(5)).accepted(store).await; // no claim leads to what is erased
    form().phone(12).at(at(5)).accepted(store).await;
}

pub(crate) async fn forgetting_frees_what_the_erased_brought(store: &dyn Store) {
    let lead = form().phone(12).accepted(store).await;
    form().phone(12).email("thu").phone(11).at(at(1)).merged(store, lead).await;
    assert_eq!(store.forget(vec![phone(11)], at(2)).await.unwrap(), 1);
    form().email("thu").at(at(3)).accepted(store).await;
    form().phone(12).at(at(3)).merged(store, lead).await; // which is its own
}

pub(crate) async fn sweeping_keeps_what_is_wanted(store: &dyn Store) {
    let mut trials = Vec::new();
    for number in 0..10 {
        let (id, _) = form().phone(number).test().at(at(i64::from(number))).send(store).await;
        trials.push(id);
    }
    let pending = form().phone(11).accepted(store).await;
    let flying = form().phone(12).at(at(1)).accepted(store).await;
    let work = lease(store, 2, at(2)).await;
    settle(store, &work[1], at(3), unknown()).await;

    let minute = Duration::from_secs(60);
    let every = State::ALL.map(|state| (state, minute));
    let tests = Retention([(State::Test, minute)].into());
    assert_eq!(sweep(store, at(65), &tests).await, 5);
    for (number, id) in trials.iter().enumerate() {
        assert_eq!(store.find(*id).await.unwrap().is_some(), number >= 5);
    }
    sweep(store, at(100_000), &Retention(every.into())).await;
    assert_eq!(state(store, pending).await, State::Pending, "nothing under way is swept");
    assert_eq!(state(store, flying).await, State::Unknown);
    assert_eq!(listed(store, Query::default()).await.len(), 2);

    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger.accepted(), ledger.count(State::Test), ledger.residue()), (12, 10, 0));
}

pub(crate) async fn sweeping_leaves_claims_alone(store: &dyn Store) {
    let lead = form().phone(11).delivery("evt-1").accepted(store).await;
    let work = lease_one(store, lead, at(1)).await;
    settle(store, &work, at(2), created(7)).await;
    let nothing_kept = Retention([(State::Created, Duration::ZERO)].into());
    sweep(store, at(3), &nothing_kept).await;
    assert_eq!(store.find(lead).await.unwrap(), None);

    let (_, verdict) = form().phone(12).delivery("evt-1").at(at(4)).send(store).await;
    assert_eq!(verdict, crate::store::Verdict::Repeated { id: lead });
    form().phone(11).at(at(4)).merged(store, lead).await;
    sweep(store, at(3600), &Retention([].into())).await;
    form().phone(11).at(at(3600)).accepted(store).await;
}

pub(crate) async fn a_closed_store_says_so(store: &dyn Store) {
    form().phone(11).accepted(store).await;
    store.close().await;
    store.close().await; // twice does no harm
    let refused = store.admit(vec![form().phone(12).admission()]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.health().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.gate(&lane()).await, Err(StoreError::Unavailable(_))));
}
