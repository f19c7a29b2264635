//! What every store must do when its secrets are rotated. `open` opens the same store each time,
//! with the secrets that it is given.

use std::sync::Arc;

use super::{at, body, email, form, lease, listed, phone, record};
use crate::lead::{State, SubmissionId};
use crate::store::{Match, Options, Query, Store, StoreError, Verdict};

const OLD: &str = "the secret that it began with";
const NEW: &str = "the secret that comes after it";
const NEWER: &str = "the secret that comes after that";

/// The suite's options with these secrets.
fn options(secrets: &[&str]) -> Options {
    Options { secrets: secrets.iter().map(|secret| (*secret).into()).collect(), ..super::options() }
}

async fn found(store: &dyn Store, what: Match) -> Vec<SubmissionId> {
    listed(store, Query { matching: vec![what], ..Query::default() }).await
}

/// Old secret, both, both the other way round, the new one alone, and once more.
pub(crate) async fn a_person_stays_known(
    open: impl AsyncFn(Options) -> Result<Arc<dyn Store>, StoreError>,
) {
    let store = open(options(&[OLD])).await.unwrap();
    let old = form().phone(11).email("thu").says("trước").external_id("f-1");
    let first = old.accepted(&*store).await;
    let (odd, verdict) = form().phone(12).quarantined().send(&*store).await;
    assert_eq!(verdict, Verdict::Quarantined);
    store.close().await;
    drop(store);

    let mut joined = Vec::new();
    for (seconds, secrets) in [(1, [OLD, NEW]), (2, [NEW, OLD])] {
        let store = open(options(&secrets)).await.unwrap();
        assert!(record(&*store, first).await.lead == Some(old.lead()), "what is sealed is read");
        assert!(store.body(odd).await.unwrap() == Some(body("ho_ten=Th")));
        let again = form().phone(11).says("sau").at(at(seconds));
        joined.push(again.merged(&*store, first).await);
        assert_eq!(found(&*store, Match::Identity(phone(11))).await.len(), joined.len() + 1);
        assert_eq!(found(&*store, Match::Identity(email("thu"))).await, [first]);
        assert_eq!(found(&*store, Match::ExternalId("f-1".into())).await, [first]);
        store.close().await;
    }
    let store = open(options(&[NEW, OLD])).await.unwrap();
    let later = form().phone(13).says("mới").at(at(3));
    let second = later.accepted(&*store).await;
    store.close().await;
    drop(store);

    let refused = open(options(&["somebody else's"])).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(why)) if why.contains("store.secret")));
    let refused = open(options(&[])).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(why)) if why.contains("store.secret")));

    let store = open(options(&[NEW])).await.unwrap();
    for (id, is_readable) in [(first, false), (joined[0], false), (joined[1], true), (second, true)]
    {
        let record = record(&*store, id).await;
        assert_eq!((record.unreadable, record.lead.is_some()), (!is_readable, is_readable));
    }
    let all = listed(&*store, Query::default()).await;
    assert_eq!(all.len(), 5, "nothing hides the others");
    assert!(matches!(store.body(odd).await, Err(StoreError::Corrupt(_))));
    form().phone(13).says("nữa").at(at(4)).merged(&*store, second).await;
    form().email("thu").says("nữa").at(at(4)).merged(&*store, first).await;

    // What cannot be read cannot be sent, and holds nobody up.
    let work = lease(&*store, 10, at(5)).await;
    assert!(work.iter().any(|work| work.lease.id == second && work.lead == later.lead()));
    assert!(work.iter().all(|work| work.lease.id != first));
    let dead = record(&*store, first).await;
    assert_eq!((dead.state, dead.unreadable), (State::Dead, true));
    assert!(dead.reason.is_some_and(|reason| reason.contains("cannot be read")));

    assert_eq!(store.forget(vec![phone(11), email("thu")], at(6)).await.unwrap(), 4);
    let erased = record(&*store, first).await;
    assert_eq!((erased.state, erased.unreadable), (State::Erased, false));
    assert_eq!(found(&*store, Match::Identity(phone(11))).await, []);
    store.close().await;
    drop(store);

    for secrets in [&[NEWER, NEW][..], &[NEWER]] {
        let store = open(options(secrets)).await.unwrap();
        form().phone(13).says("lại").at(at(7)).merged(&*store, second).await;
        store.close().await;
    }
}
