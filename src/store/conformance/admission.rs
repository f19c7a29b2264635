//! Accepting: durable, once per person, once per delivery.

use futures_util::future::join_all;

use super::*;
use crate::lead::{Phase, State, TraceId};
use crate::store::{Admission, Verdict};

pub(crate) async fn accepted_is_durable_and_readable(store: &dyn Store) {
    let form = form().phone(11).email("thu").says("Xin chào").campaign("tết").at(at(7));
    let id = form.external_id("f-1").accepted(store).await;
    let record = record(store, id).await;

    assert_eq!((record.id, record.state, record.phase), (id, State::Pending, Some(Phase::Ready)));
    assert_eq!((record.received_at, record.settled_at), (at(7), None));
    assert_eq!((record.source.as_str(), record.destination.as_str()), ("website", "main"));
    assert_eq!(record.external_id.as_deref(), Some("f-1"));
    assert_eq!(record.trace_id, TraceId::from_bytes([7; 16]));
    let sent = super::form().phone(11).email("thu").says("Xin chào").campaign("tết").lead();
    assert!(record.lead == Some(sent), "the lead comes back as it went in");
    assert_eq!((record.upstream, record.duplicate_of, record.reason), (None, None, None));
    assert_eq!(record.history, [Event::plain(at(7), "accepted")]);
}

/// A trace goes with the record to whoever works on it, and is not left of one that is erased.
pub(crate) async fn a_trace_is_kept_until_the_record_is_erased(store: &dyn Store) {
    let trace = TraceId::from_bytes([7; 16]);
    let lead = form().phone(11).accepted(store).await;
    let (odd, _) = form().phone(12).quarantined().send(store).await;
    let notice = form().notice().accepted(store).await;
    let untraced = Admission { trace_id: None, ..form().phone(13).admission() };
    let before = untraced.id;
    store.admit(vec![untraced]).await.unwrap();

    let leased = lease(store, 2, at(1)).await;
    let traces: Vec<_> = leased.iter().map(|work| (work.lease.id, work.trace_id)).collect();
    assert_eq!(traces, [(lead, trace), (before, None)]);
    let notices = store.lease_notices(&lane(), 1, OTHER_TERM, at(1)).await.unwrap().notices;
    assert_eq!(notices.iter().map(|notice| notice.trace_id).collect::<Vec<_>>(), [trace]);
    for (id, expected) in [(lead, trace), (odd, trace), (notice, trace), (before, None)] {
        assert_eq!(record(store, id).await.trace_id, expected);
    }
    settle(store, &leased[0], at(2), created(7)).await;
    assert_eq!(record(store, lead).await.trace_id, trace);
    let listed = store.list(Query { limit: 9, ..Query::default() }).await.unwrap().records;
    assert_eq!(listed.iter().filter(|record| record.trace_id == trace).count(), 3);
    store.forget(vec![phone(11)], at(3)).await.unwrap();
    assert_eq!(record(store, lead).await.trace_id, None);
}

pub(crate) async fn verdicts_come_in_order(store: &dyn Store) {
    let forms = [
        form().phone(11),
        form().phone(12).test(),
        form().phone(11).delivery("d-1"),
        form().quarantined(),
        form().phone(13).delivery("d-1"),
    ];
    let batch: Vec<_> = forms.iter().map(Form::admission).collect();
    let ids: Vec<_> = batch.iter().map(|admission| admission.id).collect();
    assert_eq!(
        store.admit(batch).await.unwrap(),
        [
            Verdict::Accepted,
            Verdict::Test,
            Verdict::Merged { into: ids[0] },
            Verdict::Quarantined,
            Verdict::Repeated { id: ids[2] },
        ]
    );
    assert_eq!(store.admit(Vec::new()).await.unwrap(), []);
}

/// Invariant 2.
pub(crate) async fn many_posts_of_one_person_at_once_make_one_lead(store: &dyn Store) {
    let forms: Vec<Form> = (0..36)
        .map(|number| match number % 3 {
            0 => form().phone(11),
            1 => form().phone(11).email("thu"),
            _ => form().phone(11).email(&format!("thu{number}")),
        })
        .collect();
    let answers = join_all(forms.iter().map(|form| form.send(store))).await;

    let accepted: Vec<_> =
        answers.iter().filter(|(_, verdict)| *verdict == Verdict::Accepted).collect();
    assert_eq!(accepted.len(), 1);
    let lead = accepted[0].0;
    let joined = answers.iter().filter(|(_, verdict)| *verdict == Verdict::Merged { into: lead });
    assert_eq!(joined.count(), 35);
    assert_eq!(lease(store, 100, at(1)).await.len(), 1);
}

pub(crate) async fn a_phone_wins_over_an_email(store: &dyn Store) {
    let by_email = form().email("thu").accepted(store).await;
    let by_phone = form().phone(11).accepted(store).await;
    form().phone(11).email("thu").merged(store, by_phone).await;
    form().email("thu").merged(store, by_email).await; // its claim has not changed hands
}

pub(crate) async fn a_known_person_brings_a_new_identity(store: &dyn Store) {
    let lead = form().phone(11).accepted(store).await;
    form().phone(11).email("thu").merged(store, lead).await;
    let joined = form().email("thu").phone(12).merged(store, lead).await;
    form().phone(12).merged(store, lead).await;

    let record = record(store, joined).await;
    assert_eq!((record.state, record.duplicate_of), (State::Merged, Some(lead)));
    assert_eq!((record.phase, record.settled_at), (None, Some(at(0))));
    assert_eq!(record.history, [Event::plain(at(0), "merged")]);
}

pub(crate) async fn a_link_ends_with_the_first_leads_window(store: &dyn Store) {
    let lead = form().phone(11).accepted(store).await;
    form().phone(11).email("thu").at(at(3000)).merged(store, lead).await;
    form().email("thu").at(at(3599)).merged(store, lead).await;
    form().email("thu").at(at(3600)).accepted(store).await;
}

pub(crate) async fn a_window_ends(store: &dyn Store) {
    let first = form().phone(11).accepted(store).await;
    form().phone(11).at(at(3599)).merged(store, first).await; // and does not make it longer
    let second = form().phone(11).at(at(3600)).accepted(store).await;
    form().phone(11).at(at(7199)).merged(store, second).await;
}

pub(crate) async fn a_batch_sees_itself(store: &dyn Store) {
    let batch = [form().phone(11).email("thu"), form().email("thu"), form().phone(12)];
    let batch: Vec<_> = batch.iter().map(Form::admission).collect();
    let first = batch[0].id;
    assert_eq!(
        store.admit(batch).await.unwrap(),
        [Verdict::Accepted, Verdict::Merged { into: first }, Verdict::Accepted]
    );
}

pub(crate) async fn a_repeated_delivery_writes_nothing(store: &dyn Store) {
    let event = form().phone(11).delivery("evt-1");
    let first = event.accepted(store).await;
    let (again, verdict) = event.clone().at(at(5)).send(store).await;
    assert_eq!(verdict, Verdict::Repeated { id: first });
    assert_eq!(store.find(again).await.unwrap(), None);

    // Also when the person is another, and when the first one has come to an end.
    kill(store, first, at(6)).await;
    let (_, verdict) = form().phone(12).delivery("evt-1").at(at(7)).send(store).await;
    assert_eq!(verdict, Verdict::Repeated { id: first });
    assert_eq!(store.ledger().await.unwrap().accepted(), 1);
    form().phone(12).at(at(8)).accepted(store).await; // the repeated one had claimed nobody
}

pub(crate) async fn a_delivery_is_forgotten_after_its_window(store: &dyn Store) {
    let event = form().test().delivery("evt-1");
    let (first, _) = event.send(store).await;
    let (_, verdict) = event.clone().at(at(599)).send(store).await;
    assert_eq!(verdict, Verdict::Repeated { id: first });
    assert_eq!(event.clone().at(at(600)).send(store).await.1, Verdict::Test);
}

pub(crate) async fn a_delivery_may_have_a_window_of_its_own(store: &dyn Store) {
    let minute = Duration::from_secs(60);
    let event = form().test().content_known_for("content-1", minute);
    let (first, _) = event.send(store).await;
    let (_, verdict) = event.clone().at(at(59)).send(store).await;
    assert_eq!(verdict, Verdict::Repeated { id: first });
    let (second, verdict) = event.clone().at(at(60)).send(store).await;
    assert_eq!(verdict, Verdict::Test);
    let (_, verdict) = event.clone().at(at(100)).send(store).await;
    assert_eq!(verdict, Verdict::Repeated { id: second }, "the newer one is known now");
}

pub(crate) async fn deliveries_are_known_within_a_source(store: &dyn Store) {
    form().phone(11).delivery("evt-1").accepted(store).await;
    form().phone(12).delivery("evt-1").source("landing").accepted(store).await;
}

pub(crate) async fn destinations_do_not_share_persons(store: &dyn Store) {
    form().phone(11).accepted(store).await;
    form().phone(11).destination("other").accepted(store).await;
}

pub(crate) async fn quarantined_and_test_are_kept_and_never_sent(store: &dyn Store) {
    let (odd, verdict) = form().phone(11).quarantined().send(store).await;
    assert_eq!(verdict, Verdict::Quarantined);
    let (trial, verdict) = form().phone(12).test().send(store).await;
    assert_eq!(verdict, Verdict::Test);

    let odd = record(store, odd).await;
    assert_eq!((odd.state, odd.settled_at), (State::Quarantined, Some(at(0))));
    assert_eq!(odd.reason.as_deref(), Some("no phone and no e-mail"));
    assert_eq!(odd.history, [Event::plain(at(0), "quarantined")]);
    let trial = record(store, trial).await;
    assert_eq!((trial.state, trial.phase), (State::Test, None));
    assert_eq!(trial.history, [Event::plain(at(0), "test")]);

    assert!(lease(store, 10, at(9)).await.is_empty());
    form().phone(11).accepted(store).await; // neither claims anybody
    form().phone(12).accepted(store).await;
}

pub(crate) async fn admitting_wakes_a_lane(store: &dyn Store) {
    let mut arrivals = store.arrivals();
    arrivals.mark_unchanged();
    form().phone(11).test().send(store).await;
    assert!(!arrivals.has_changed().unwrap(), "a test is no work");
    form().phone(11).accepted(store).await;
    assert!(arrivals.has_changed().unwrap());
    arrivals.mark_unchanged();
    form().phone(11).send(store).await;
    assert!(!arrivals.has_changed().unwrap(), "a merged one is no work");
}
