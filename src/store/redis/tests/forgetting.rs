//! Forgetting somebody while what was received before is on its way.

use super::*;
use crate::lead::State;
use crate::store::conformance::{self, at, email, form, lane, phone};

/// It had looked whether the person was forgotten, and was not yet there to be erased.
#[tokio::test]
async fn what_comes_in_while_somebody_is_forgotten_is_looked_at_again() {
    let server = servers::Redis::start();
    let store = Redis::open(&RedisUrl(server.url()), options()).await.unwrap();
    let vault = store.inner.vault().await.unwrap();
    let stranger = form().phone(12).accepted(&store).await;
    let late = form().phone(11).admission();
    let batch = [&late];
    let seen = forgotten::look_at(&store.inner, &vault, &lane(), &batch).await.unwrap();
    assert!(!seen.is_since(0, late.received_at));
    assert_eq!(store.forget(vec![phone(11)], at(1)).await.unwrap(), 0);
    let outdated = forgotten::admit_seen(&store.inner, &vault, &lane(), &batch, &seen).await;
    assert!(matches!(outdated, Err(StoreError::Busy)));
    assert_eq!(store.find(late.id).await.unwrap(), None);
    form().phone(13).accepted(&store).await; // what comes just now does not wait for that

    assert_eq!(store.admit_late(std::slice::from_ref(&late)).await.unwrap(), [Verdict::Deleted]);
    assert_eq!(conformance::state(&store, late.id).await, State::Erased);
    assert_eq!(conformance::state(&store, stranger).await, State::Pending);
    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger.accepted(), ledger.residue()), (3, 0));
}

/// Whoever forgets does not know of a destination that nothing was for yet.
#[tokio::test]
async fn a_destination_that_is_named_later_has_its_forgotten_too() {
    let server = servers::Redis::start();
    let [store, other] = [
        Redis::open(&RedisUrl(server.url()), options()).await.unwrap(),
        Redis::open(&RedisUrl(server.url()), options()).await.unwrap(),
    ];
    assert_eq!(other.forget(vec![phone(11), email("thu")], at(1)).await.unwrap(), 0);
    let batch = [
        form().phone(11).destination("other").admission(),
        form().phone(12).admission(),
        form().phone(13).email("thu").admission(),
        form().phone(12).at(at(1)).admission(),
        form().notice().admission(),
    ];
    let verdicts = store.admit_late(&batch).await.unwrap();
    let merged = Verdict::Merged { into: batch[1].id };
    let expected =
        [Verdict::Deleted, Verdict::Accepted, Verdict::Deleted, merged, Verdict::Accepted];
    assert_eq!(verdicts, expected);
    assert_eq!(store.admit_late(&batch).await.unwrap(), expected, "told again, it answers so");
    assert_eq!(store.ledger().await.unwrap().accepted(), 5);

    let all = cmd("ZRANGE").arg(forgotten::FORGOTTEN).arg(0).arg(-1).to_owned();
    let kept = store.inner.link.send(&all).await.unwrap();
    let kept: Vec<Vec<u8>> = from_redis_value(kept).unwrap();
    assert_eq!(kept.iter().map(Vec::len).collect::<Vec<_>>(), [12, 12], "hashes, and no more");
}
