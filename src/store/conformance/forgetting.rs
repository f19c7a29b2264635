//! Who was forgotten is not brought back by what was received before.

use super::notices::{fill, lease_notices};
use super::*;
use crate::store::forgotten::FORGOTTEN_FOR;
use crate::store::{Notice, Replayed, Verdict};

/// Leases the one notice that there is.
async fn the_notice(store: &dyn Store, now: Timestamp) -> Notice {
    let [notice] = <[Notice; 1]>::try_from(lease_notices(store, 5, now).await).expect("one");
    notice
}

pub(crate) async fn what_is_fetched_of_the_forgotten_is_erased(store: &dyn Store) {
    let mut noticed = Vec::new();
    for form in [form().phone(11), form().email("thu").test(), form().phone(11).quarantined()] {
        let id = form.clone().notice().external_id("n-1").accepted(store).await;
        noticed.push((id, form.admission().content));
    }
    let bystander = form().notice().accepted(store).await;
    let since = form().notice().at(at(6)).accepted(store).await;
    noticed.push((bystander, form().phone(12).admission().content));
    noticed.push((since, form().phone(11).admission().content));

    assert_eq!(store.forget(vec![phone(11), email("thu")], at(5)).await.unwrap(), 0);
    let mut leased = lease_notices(store, 9, at(7)).await;
    for (id, content) in &noticed {
        let place = leased.iter().position(|notice| notice.lease.id == *id).expect("it waits");
        let notice = leased.swap_remove(place);
        assert_eq!(fill(store, &notice.lease, at(8), content.clone()).await, Settled::Done);
        assert_eq!(fill(store, &notice.lease, at(8), content.clone()).await, Settled::Stale);
    }
    for (id, _) in &noticed[..3] {
        let erased = record(store, *id).await;
        assert_eq!((erased.state, erased.settled_at), (State::Erased, Some(at(8))));
        assert_eq!((erased.lead, erased.external_id, erased.trace_id), (None, None, None));
        assert_eq!(erased.history.last().unwrap().event, "erased");
        assert!(store.body(*id).await.unwrap().is_none());
    }
    for id in [bystander, since] {
        assert_eq!(state(store, id).await, State::Pending);
    }
    form().phone(11).at(at(9)).merged(store, since).await;
    assert!(lease_notices(store, 9, at(1000)).await.is_empty());
    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger.accepted(), ledger.count(State::Erased), ledger.residue()), (6, 3, 0));
}

/// Also where nothing was for that destination when it was forgotten, and the last time counts.
pub(crate) async fn the_forgotten_are_so_everywhere(store: &dyn Store) {
    form().phone(12).accepted(store).await;
    store.forget(vec![phone(11)], at(5)).await.unwrap();
    store.forget(vec![phone(11)], at(3)).await.unwrap(); // by a clock that is behind
    let elsewhere = form().notice().destination("other").at(at(5)).accepted(store).await;
    let other = "other".parse().unwrap();
    let leased = store.lease_notices(&other, 5, OTHER_TERM, at(6)).await.unwrap().notices;
    let content = form().phone(11).correction();
    assert_eq!(fill(store, &leased[0].lease, at(7), content).await, Settled::Done);
    assert_eq!(state(store, elsewhere).await, State::Erased);
    let (_, verdict) = form().phone(11).destination("other").at(at(6)).send(store).await;
    assert_eq!(verdict, Verdict::Accepted, "who comes again is new");
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

pub(crate) async fn the_forgotten_are_known_as_such_for_ninety_days(store: &dyn Store) {
    let days = i64::try_from(FORGOTTEN_FOR.as_secs()).unwrap();
    assert_eq!(days, 90 * 86_400);
    store.forget(vec![phone(11), phone(12), email("thu"), email("khac")], at(1)).await.unwrap();
    let first = form().notice().accepted(store).await;
    let keep = Retention([].into());
    assert_eq!(sweep(store, at(1 + days), &keep).await, 0, "just as long");
    let notice = the_notice(store, at(1 + days)).await;
    let content = form().phone(11).correction();
    assert_eq!(fill(store, &notice.lease, at(1 + days), content.clone()).await, Settled::Done);
    assert_eq!(state(store, first).await, State::Erased);

    assert_eq!(sweep(store, at(2 + days), &keep).await, 4, "no more than three at once");
    let second = form().notice().accepted(store).await;
    let notice = the_notice(store, at(2 + days)).await;
    assert_eq!(fill(store, &notice.lease, at(2 + days), content).await, Settled::Done);
    assert_eq!(state(store, second).await, State::Pending, "nothing of them is known any more");
}

/// Nobody could be read in it when the person was forgotten.
pub(crate) async fn a_body_that_turns_out_to_be_of_the_forgotten_is_erased(store: &dyn Store) {
    let (odd, _) = form().quarantined().send(store).await;
    let (later, _) = form().quarantined().at(at(6)).send(store).await;
    store.forget(vec![phone(11)], at(5)).await.unwrap();
    let read = form().phone(11).correction();
    let replayed = store.replay(odd, at(7), Some(read.clone())).await.unwrap();
    assert_eq!((replayed, state(store, odd).await), (Replayed::Forgotten, State::Erased));
    assert!(store.body(odd).await.unwrap().is_none());
    let refused = Replayed::Refused(State::Erased);
    assert_eq!(store.replay(odd, at(8), Some(read.clone())).await.unwrap(), refused);
    assert_eq!(store.replay(later, at(8), Some(read)).await.unwrap(), Replayed::Queued);
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

pub(crate) async fn one_record_is_erased_alone(store: &dyn Store) {
    let lead = form().phone(11).email("thu").external_id("f-1").accepted(store).await;
    let joined = form().phone(11).says("more").at(at(1)).merged(store, lead).await;
    let elsewhere = form().phone(11).destination("other").accepted(store).await;
    let work = lease_one(store, lead, at(2)).await;
    let mut arrivals = store.arrivals();
    arrivals.mark_unchanged();
    assert!(store.erase(lead, at(3)).await.unwrap());
    assert!(arrivals.has_changed().unwrap());
    let erased = record(store, lead).await;
    assert_eq!((erased.state, erased.settled_at), (State::Erased, Some(at(3))));
    assert_eq!((erased.lead, erased.external_id), (None, None));
    assert_eq!(settle(store, &work, at(4), created(7)).await, Settled::Stale);
    assert_eq!(state(store, joined).await, State::Unknown, "it goes on, and may have been sent");
    assert_eq!(state(store, elsewhere).await, State::Pending);
    form().phone(11).at(at(5)).merged(store, joined).await;
    form().email("thu").at(at(5)).accepted(store).await; // which it alone had brought

    assert!(store.erase(elsewhere, at(6)).await.unwrap(), "whatever it is for");
    assert!(!store.erase(lead, at(6)).await.unwrap(), "again");
    assert!(!store.erase(SubmissionId::generate(), at(6)).await.unwrap());
    assert_eq!(record(store, lead).await.settled_at, Some(at(3)));
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}
