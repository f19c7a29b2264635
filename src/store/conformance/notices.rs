//! Notices, whose leads are fetched; what is read anew; and what platforms want erased.

use super::*;
use crate::lead::{Phase, RawBody};
use crate::store::{Content, Lease, Match, Notice, Replayed, Verdict};

/// Leases notices of the suite's lane.
pub(super) async fn lease_notices(store: &dyn Store, max: usize, now: Timestamp) -> Vec<Notice> {
    store.lease_notices(&lane(), max, OTHER_TERM, now).await.unwrap().notices
}

/// Leases the one notice that there is.
async fn lease_notice(store: &dyn Store, id: SubmissionId, now: Timestamp) -> Lease {
    let [notice] = <[Notice; 1]>::try_from(lease_notices(store, 5, now).await).expect("one");
    assert_eq!(notice.lease.id, id);
    notice.lease
}

fn fetched(now: Timestamp) -> Event {
    Event { outcome: Some("read".into()), ..Event::plain(now, "fetch") }
}

pub(super) async fn fill(
    store: &dyn Store,
    lease: &Lease,
    now: Timestamp,
    content: Content,
) -> Settled {
    store.fill(lease, now, content, fetched(now)).await.unwrap()
}

async fn settle_fetch(
    store: &dyn Store,
    lease: &Lease,
    now: Timestamp,
    outcome: Outcome,
) -> Settled {
    let event = Event { outcome: Some(outcome.word().into()), ..Event::plain(now, "fetch") };
    store.settle(lease, now, outcome, event).await.unwrap()
}

fn unusable() -> Content {
    Content::Quarantined { reason: "it says nothing".into(), lead: None, raw: body("{}") }
}

pub(crate) async fn a_notice_is_pending_and_leased_by_itself(store: &dyn Store) {
    let mut arrivals = store.arrivals();
    arrivals.mark_unchanged();
    let first = form().notice().external_id("7").delivery("7").accepted(store).await;
    assert!(arrivals.has_changed().unwrap(), "there is something to fetch");
    let second = form().notice().at(at(1)).accepted(store).await;
    let elsewhere = form().notice().destination("other").accepted(store).await;
    let (_, again) = form().notice().external_id("7").delivery("7").send(store).await;
    assert_eq!(again, Verdict::Repeated { id: first });

    assert!(lease(store, 10, at(100)).await.is_empty(), "there is no lead to be made");
    let kept = record(store, first).await;
    assert_eq!((kept.state, kept.phase), (State::Pending, Some(Phase::Waiting)));
    assert_eq!((kept.lead, kept.external_id.as_deref()), (None, Some("7")));
    assert_eq!(store.depth(&lane()).await.unwrap().pending, 2);
    assert_eq!(store.depth(&lane()).await.unwrap().oldest, Some(at(0)));

    let early = store.lease_notices(&lane(), 5, OTHER_TERM, at(0)).await.unwrap();
    assert_eq!(early.next_due, Some(at(1)));
    let [notice] = <[Notice; 1]>::try_from(early.notices).expect("the one that is due");
    assert_eq!((notice.lease.id, notice.received_at, notice.attempts), (first, at(0), 0));
    assert_eq!(notice.lease.deadline, at(60));
    assert!(notice.body == body(NOTICE));
    assert_eq!(record(store, first).await.phase, Some(Phase::InFlight));
    assert_eq!(store.depth(&lane()).await.unwrap().pending, 2, "in flight or not");
    let next = lease_notices(store, 5, at(2)).await;
    assert_eq!(next.iter().map(|notice| notice.lease.id).collect::<Vec<_>>(), [second]);
    assert_eq!(state(store, elsewhere).await, State::Pending);
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

pub(crate) async fn a_filled_notice_is_a_fresh_lead(store: &dyn Store) {
    let noticed = form().notice().external_id("7").accepted(store).await;
    let held = lease_notice(store, noticed, at(1)).await;
    let later = form().phone(12).at(at(2)).accepted(store).await;
    let mut arrivals = store.arrivals();
    arrivals.mark_unchanged();
    let content = form().phone(11).email("thu").correction();
    assert_eq!(fill(store, &held, at(3), content).await, Settled::Done);
    assert!(arrivals.has_changed().unwrap());

    let filled = record(store, noticed).await;
    assert_eq!((filled.state, filled.phase), (State::Pending, Some(Phase::Ready)));
    assert_eq!(filled.external_id.as_deref(), Some("7"));
    assert_eq!(filled.history.last(), Some(&fetched(at(3))));
    let by_email = Query { matching: vec![Match::Identity(email("thu"))], ..Query::default() };
    assert_eq!(listed(store, by_email).await, [noticed]);
    form().phone(11).at(at(3599)).merged(store, noticed).await;
    form().email("thu").at(at(3600)).accepted(store).await; // claimed from when the notice came

    let order: Vec<_> = lease(store, 2, at(4)).await.iter().map(|work| work.lease.id).collect();
    assert_eq!(order, [noticed, later], "it came first");
    assert!(lease_notices(store, 5, at(100)).await.is_empty());
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

pub(crate) async fn a_filled_notice_joins_the_lead_of_its_person(store: &dyn Store) {
    let noticed = form().notice().accepted(store).await;
    let lead = form().phone(11).at(at(1)).accepted(store).await;
    let work = lease_one(store, lead, at(2)).await;
    settle(store, &work, at(3), created(7)).await;
    let held = lease_notice(store, noticed, at(4)).await;
    let content = form().phone(11).email("thu").says("more").correction();
    assert_eq!(fill(store, &held, at(5), content).await, Settled::Done);

    let joined = record(store, noticed).await;
    assert_eq!((joined.state, joined.duplicate_of), (State::Merged, Some(lead)));
    form().email("thu").at(at(6)).merged(store, lead).await;
    let told = lease(store, 5, at(7)).await;
    let comment = told.iter().find(|work| work.lease.id == noticed).expect("it says more");
    assert!(matches!(comment.task, Task::Comment { .. }));
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

pub(crate) async fn a_notice_may_be_a_test_or_unusable(store: &dyn Store) {
    let trial = form().notice().accepted(store).await;
    let held = lease_notice(store, trial, at(1)).await;
    let content = Content::Test { lead: form().phone(11).lead() };
    assert_eq!(fill(store, &held, at(2), content).await, Settled::Done);
    assert_eq!(record(store, trial).await.settled_at, Some(at(2)));
    assert_eq!(state(store, trial).await, State::Test);
    form().phone(11).at(at(2)).accepted(store).await; // a test claims nobody

    let odd = form().notice().at(at(3)).accepted(store).await;
    let held = lease_notice(store, odd, at(3)).await;
    assert_eq!(fill(store, &held, at(4), unusable()).await, Settled::Done);
    let kept = record(store, odd).await;
    assert_eq!((kept.state, kept.reason.as_deref()), (State::Quarantined, Some("it says nothing")));
    assert!(store.body(odd).await.unwrap() == Some(body("{}")));
    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger.count(State::Test), ledger.residue()), (1, 0));
}

pub(crate) async fn a_fetch_is_tried_again_and_postponed(store: &dyn Store) {
    let noticed = form().notice().accepted(store).await;
    let held = lease_notice(store, noticed, at(1)).await;
    let retry = Outcome::Retry { due: at(10) };
    assert_eq!(settle_fetch(store, &held, at(2), retry).await, Settled::Done);
    let none = store.lease_notices(&lane(), 5, OTHER_TERM, at(9)).await.unwrap();
    assert_eq!((none.notices.len(), none.next_due), (0, Some(at(10))));
    let again = lease_notices(store, 5, at(10)).await;
    assert_eq!((again[0].lease.id, again[0].attempts), (noticed, 1));
    let postponed = Outcome::Postponed { due: at(20) };
    assert_eq!(settle_fetch(store, &again[0].lease, at(11), postponed).await, Settled::Done);
    let again = lease_notices(store, 5, at(20)).await;
    assert_eq!(again[0].attempts, 1, "postponing spends none");
    assert_eq!(store.depth(&lane()).await.unwrap().pending, 1);
    assert!(lease(store, 5, at(100)).await.is_empty());
}

pub(crate) async fn a_notice_has_no_other_end(store: &dyn Store) {
    let noticed = form().notice().accepted(store).await;
    let held = lease_notice(store, noticed, at(1)).await;
    let (due, looks) = (at(3), 1);
    for outcome in [
        created(7),
        unknown(),
        Outcome::Look { due, looks },
        Outcome::SendAgain { due },
        Outcome::Told,
    ] {
        assert_eq!(settle_fetch(store, &held, at(2), outcome).await, Settled::Stale);
    }
    for content in [Content::Notice { notice: body("again") }, Content::Deletion] {
        assert_eq!(fill(store, &held, at(2), content).await, Settled::Stale);
    }
    assert_eq!(fill(store, &held, at(2), unusable()).await, Settled::Done);
}

pub(crate) async fn an_expired_fetch_goes_back(store: &dyn Store) {
    let noticed = form().notice().accepted(store).await;
    let held = lease_notice(store, noticed, at(1)).await;
    assert_eq!(store.expire_leases(at(61)).await.unwrap(), 0);
    assert!(lease_notices(store, 5, at(61)).await.is_empty(), "it ends after 60 s");
    assert_eq!(store.expire_leases(at(62)).await.unwrap(), 0, "nothing was sent");
    assert_eq!(state(store, noticed).await, State::Pending);
    lease_notice(store, noticed, at(62)).await;
    assert_eq!(fill(store, &held, at(63), unusable()).await, Settled::Stale);
}

pub(crate) async fn an_old_fence_fills_nothing(store: &dyn Store) {
    let noticed = form().notice().accepted(store).await;
    let held = lease_notice(store, noticed, at(1)).await;
    settle_fetch(store, &held, at(2), Outcome::Postponed { due: at(3) }).await;
    assert_eq!(fill(store, &held, at(3), unusable()).await, Settled::Stale);
    let newer = lease_notice(store, noticed, at(3)).await;
    assert_eq!(fill(store, &held, at(4), unusable()).await, Settled::Stale);
    let content = form().phone(11).correction();
    assert_eq!(fill(store, &newer, at(4), content).await, Settled::Done);
    assert_eq!(fill(store, &newer, at(5), unusable()).await, Settled::Stale);
}

pub(crate) async fn a_dead_notice_is_replayed_and_fetched(store: &dyn Store) {
    let noticed = form().notice().external_id("7").accepted(store).await;
    let held = lease_notice(store, noticed, at(1)).await;
    assert_eq!(settle_fetch(store, &held, at(2), dead()).await, Settled::Done);
    assert_eq!(state(store, noticed).await, State::Dead);
    assert!(lease_notices(store, 5, at(100)).await.is_empty());

    assert_eq!(store.replay(noticed, at(3), None).await.unwrap(), Replayed::Queued);
    let [notice] = <[Notice; 1]>::try_from(lease_notices(store, 5, at(4)).await).expect("one");
    assert_eq!((notice.lease.id, notice.attempts), (noticed, 0));
    assert!(notice.body == body(NOTICE));
    assert_eq!(record(store, noticed).await.external_id.as_deref(), Some("7"));
    let content = form().phone(11).correction();
    assert_eq!(fill(store, &notice.lease, at(5), content).await, Settled::Done);
    form().phone(11).at(at(6)).merged(store, noticed).await;
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

pub(crate) async fn what_is_quarantined_is_read_anew(store: &dyn Store) {
    let (first, _) = form().quarantined().send(store).await;
    let (second, _) = form().quarantined().at(at(1)).send(store).await;
    let (third, _) = form().quarantined().at(at(2)).send(store).await;
    for useless in [unusable(), Content::Deletion] {
        let refused = Replayed::Refused(State::Quarantined);
        assert_eq!(store.replay(first, at(3), Some(useless)).await.unwrap(), refused);
    }
    let notice = Content::Notice { notice: body("fetch this") };
    assert_eq!(store.replay(first, at(3), Some(notice)).await.unwrap(), Replayed::Queued);
    let trial = Content::Test { lead: form().phone(12).lead() };
    assert_eq!(store.replay(second, at(3), Some(trial)).await.unwrap(), Replayed::Test);
    let content = form().phone(13).correction();
    assert_eq!(store.replay(third, at(3), Some(content)).await.unwrap(), Replayed::Queued);

    let [notice] = <[Notice; 1]>::try_from(lease_notices(store, 5, at(4)).await).expect("one");
    assert!(notice.lease.id == first && notice.body == body("fetch this"));
    assert_eq!(state(store, second).await, State::Test);
    lease_one(store, third, at(4)).await;
    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger.count(State::Test), ledger.residue()), (1, 0));
    assert_eq!(ledger.count(State::Pending), 2);
}

pub(crate) async fn a_body_is_kept_until_it_is_not_needed(store: &dyn Store) {
    let kept = async |id| -> Option<RawBody> { store.body(id).await.unwrap() };
    let noticed = form().notice().accepted(store).await;
    let (odd, _) = form().quarantined().send(store).await;
    let plain = form().phone(11).accepted(store).await;
    assert!(kept(noticed).await == Some(body(NOTICE)));
    assert!(kept(odd).await == Some(body("ho_ten=Th")));
    assert!(kept(plain).await.is_none());
    assert!(kept(SubmissionId::generate()).await.is_none());

    let held = lease_notice(store, noticed, at(1)).await;
    fill(store, &held, at(2), form().phone(12).correction()).await;
    assert!(kept(noticed).await.is_none(), "the lead is there");
    store.forget(vec![phone(12)], at(3)).await.unwrap();
    assert_eq!(state(store, noticed).await, State::Erased);
}

pub(crate) async fn a_deletion_erases_what_it_is_of(store: &dyn Store) {
    let of_it = form().phone(11).source("li").external_id("r-1").delivery("r-1");
    let lead = of_it.accepted(store).await;
    let other = form().phone(12).source("website").external_id("r-1").accepted(store).await;
    let noticed = form().notice().source("li").external_id("r-2").accepted(store).await;
    let work = lease_one(store, lead, at(1)).await;
    settle(store, &work, at(2), created(7)).await;

    let deletion = form().source("li").deletion();
    let (first, verdict) =
        deletion.clone().external_id("r-1").delivery("deleted r-1").at(at(3)).send(store).await;
    assert_eq!(verdict, Verdict::Deleted);
    deletion.clone().external_id("r-2").at(at(3)).send(store).await;
    for id in [lead, noticed] {
        let erased = record(store, id).await;
        assert_eq!((erased.state, erased.settled_at), (State::Erased, Some(at(3))));
        assert_eq!((erased.lead, erased.external_id), (None, None));
        assert!(store.body(id).await.unwrap().is_none());
    }
    assert!(record(store, lead).await.upstream.is_some(), "to erase it there as well");
    assert_eq!(state(store, other).await, State::Pending, "of another source");
    assert!(lease_notices(store, 5, at(100)).await.is_empty());
    form().phone(11).at(at(4)).accepted(store).await; // its claims are gone with it

    let own = record(store, first).await;
    assert_eq!((own.state, own.external_id), (State::Erased, None));
    assert_eq!(events(store, first).await, ["erased"]);
    let again = deletion.external_id("r-1").delivery("deleted r-1").at(at(5)).send(store).await;
    assert_eq!(again.1, Verdict::Repeated { id: first });
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

pub(crate) async fn a_deletion_comes_first_and_its_lead_is_repeated(store: &dyn Store) {
    let deletion = form().source("li").external_id("r-1").deletion();
    let (id, verdict) = deletion.send(store).await;
    assert_eq!(verdict, Verdict::Deleted);
    let late = form().phone(11).source("li").external_id("r-1").delivery("r-1").at(at(1));
    assert_eq!(late.send(store).await.1, Verdict::Repeated { id });
    let other = form().phone(11).source("li").external_id("r-2").delivery("r-2").at(at(1));
    other.accepted(store).await;
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

/// The token was dead for two hours; the window is one.
pub(crate) async fn late_fills_of_one_person_are_one_lead(store: &dyn Store) {
    let first = form().notice().accepted(store).await;
    let second = form().notice().at(at(1)).accepted(store).await;
    for notice in lease_notices(store, 5, at(7200)).await {
        let content = form().phone(11).correction();
        assert_eq!(fill(store, &notice.lease, at(7201), content).await, Settled::Done);
    }
    let states = [state(store, first).await, state(store, second).await];
    assert_eq!(states, [State::Pending, State::Merged], "they came within a second");
}

/// A submission of the person's that another source has sent, and that has joined the lead.
async fn joined_elsewhere(store: &dyn Store, lead: SubmissionId, says: &str) -> SubmissionId {
    form().phone(11).source("website").says(says).at(at(1)).merged(store, lead).await
}

async fn delete(store: &dyn Store, now: Timestamp) {
    let deletion = form().source("li").deletion().external_id("r-1").at(now);
    assert_eq!(deletion.send(store).await.1, Verdict::Deleted);
}

pub(crate) async fn a_deletion_loses_nobody_elses_lead(store: &dyn Store) {
    let of_it = form().phone(11).source("li").external_id("r-1").says("the same");
    let lead = of_it.accepted(store).await;
    let same = joined_elsewhere(store, lead, "the same").await;
    let more = joined_elsewhere(store, lead, "more").await;
    delete(store, at(2)).await;
    assert_eq!(state(store, lead).await, State::Erased);
    let work = lease_one(store, same, at(3)).await;
    assert!(matches!(&work.task, Task::Create { joined } if joined[0].id == more));
    form().phone(11).at(at(4)).merged(store, same).await;
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

/// Not made another time, should it have been made.
pub(crate) async fn what_was_on_its_way_when_it_was_deleted_is_looked_for(store: &dyn Store) {
    let lead = form().phone(11).source("li").external_id("r-1").accepted(store).await;
    let work = lease_one(store, lead, at(1)).await;
    let web = joined_elsewhere(store, lead, "call me").await;
    delete(store, at(2)).await;
    assert_eq!(settle(store, &work, at(3), created(7)).await, Settled::Stale);
    assert_eq!(state(store, web).await, State::Unknown);
    let look = lease_one(store, web, at(60)).await;
    let Task::Look(unsure) = look.task else { panic!("{:?}", look.task) };
    assert!(unsure.sent_at <= at(1), "{unsure:?}");
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

pub(crate) async fn a_deletion_loses_nobody_elses_comment(store: &dyn Store) {
    let lead = form().phone(11).source("li").external_id("r-1").accepted(store).await;
    let work = lease_one(store, lead, at(0)).await;
    settle(store, &work, at(1), created(7)).await;
    let web = joined_elsewhere(store, lead, "call me").await;
    delete(store, at(2)).await;
    let told = lease_one(store, web, at(3)).await;
    assert!(matches!(&told.task, Task::Comment { to, .. } if to.lead_id == 7), "{:?}", told.task);
}

/// Its source sends elsewhere by now.
pub(crate) async fn a_deletion_finds_its_lead_at_another_destination(store: &dyn Store) {
    let lead = form().phone(11).source("li").external_id("r-1").destination("other");
    let lead = lead.accepted(store).await;
    delete(store, at(2)).await;
    assert_eq!(state(store, lead).await, State::Erased);
}
