//! What a store knows after a crash, and what it has forgotten for good.

use std::time::Duration;

use super::*;
use crate::lead::State;
use crate::store::Match;
use crate::store::conformance::chance::Run;
use crate::store::conformance::{self, at, email, form, phone};

/// Who holds a claim on each of these now.
async fn holders(
    store: &Sqlite,
    persons: &[Identity],
    now: Timestamp,
) -> Vec<Option<SubmissionId>> {
    let main = conformance::lane();
    let key = store.settings.vault.key();
    let hashes: Vec<_> = persons.iter().map(|person| key.identity(&main, person)).collect();
    let held = store.write(move |transaction| {
        let claims = &transaction.memory.claims;
        let held = hashes.iter().map(|hash| claims.held(transaction.db, *hash, now));
        held.map(|claim| Ok(claim?.map(|claim| claim.lead))).collect::<Result<Vec<_>, Fault>>()
    });
    held.await.unwrap()
}

/// How many claims are in a run that is not complete.
async fn unfinished(store: &Sqlite) -> i64 {
    let count = "SELECT count(*) FROM claims
                 WHERE run > (SELECT coalesce(max(run), 0) FROM runs)";
    store.read(move |db| Ok(db.query_row(count, [], |row| row.get(0))?)).await.unwrap()
}

/// Invariants 1 and 2: a store that is opened again after a crash knows who is known.
#[tokio::test]
async fn a_crash_loses_nothing() {
    let folder = Folder::new();
    let store = folder.open();
    let mut persons: Vec<_> = (0..40).map(phone).collect();
    persons.extend((0..40).map(|number| email(&format!("thu{number}"))));
    let mut run = Run::new(0xC0FFEE);
    for _ in 0..16 {
        for _ in 0..25 {
            run.step(&store).await;
        }
        let crashed = folder.copy();
        let survivor = crashed.open();
        assert_eq!(unfinished(&survivor).await, 0, "half a run would stay for ever");
        assert_eq!(
            holders(&survivor, &persons, run.now()).await,
            holders(&store, &persons, run.now()).await
        );
        assert_eq!(
            survivor.ledger().await.unwrap().accepted(),
            store.ledger().await.unwrap().accepted()
        );
        for person in &persons {
            let query = Query {
                matching: vec![Match::Identity(person.clone())],
                limit: 500,
                ..Query::default()
            };
            let found = survivor.list(query.clone()).await.unwrap().records.len();
            assert_eq!(found, store.list(query).await.unwrap().records.len());
        }
    }
}

/// Nor does a sweep: what a claim was known by may be in the row that goes.
#[tokio::test]
async fn a_swept_record_leaves_its_claims_behind() {
    let folder = Folder::new();
    let store = folder.open();
    let lead = form().phone(11).delivery("evt-1").accepted(&store).await;
    let work = conformance::lease_one(&store, lead, at(1)).await;
    conformance::settle(&store, &work, at(2), conformance::created(7)).await;
    let nothing_kept = Retention([(State::Created, Duration::ZERO)].into());
    assert_eq!(store.sweep(at(3), &nothing_kept, 10).await.unwrap(), 1);

    let survivor = folder.copy();
    let survivor = survivor.open();
    form().phone(11).at(at(4)).merged(&survivor, lead).await;
    let again = form().phone(12).delivery("evt-1").at(at(4)).send(&survivor).await;
    assert_eq!(again.1, Verdict::Repeated { id: lead });
}

/// A keyed hash is a pseudonym of somebody: it goes when its record goes.
#[tokio::test]
async fn no_hash_outlives_its_record() {
    let folder = Folder::new();
    let store = folder.open();
    let mut number = 0;
    for round in 0..100 {
        // Erased while it is on its way to a run: sooner or later at every stage of it.
        let erased = form().phone(99).email("thu").accepted(&store).await;
        for _ in 0..round % 10 {
            number += 1;
            form().email(&format!("thu{number}")).accepted(&store).await;
        }
        store.forget(vec![phone(99)], at(0)).await.unwrap();
        assert_eq!(conformance::state(&store, erased).await, State::Erased);
    }
    for _ in 0..100 {
        form().test().send(&store).await; // and whatever is on its way arrives
    }
    for left in [
        "SELECT count(*) FROM carriers
         WHERE seq NOT IN (SELECT seq FROM records WHERE identities IS NOT NULL)",
        "SELECT count(*) FROM claims WHERE lead IN (SELECT id FROM records WHERE payload IS NULL)",
    ] {
        let left: i64 =
            store.read(move |db| Ok(db.query_row(left, [], |row| row.get(0))?)).await.unwrap();
        assert_eq!(left, 0);
    }
}

#[tokio::test]
async fn what_was_in_flight_at_a_crash_is_unknown() {
    let folder = Folder::new();
    let store = folder.open();
    let flying = form().phone(11).accepted(&store).await;
    let waiting = form().phone(12).at(at(1)).accepted(&store).await;
    conformance::lease_one(&store, flying, at(2)).await;

    let survivor = folder.copy();
    let survivor = survivor.open();
    let record = conformance::record(&survivor, flying).await;
    assert_eq!(record.state, State::Unknown);
    assert_eq!(record.history.last().unwrap().event, "lease_expired");
    conformance::lease_one(&survivor, waiting, at(3)).await;
    assert_eq!(survivor.ledger().await.unwrap().residue(), 0);
}

/// Silence that CareSoft asked for outlasts the process that was asked.
#[tokio::test]
async fn a_gate_stands_as_it_stood_after_a_crash() {
    let folder = Folder::new();
    let store = folder.open();
    let main = conformance::lane();
    store.move_gate(&main, 0, "shut".into()).await.unwrap();
    let shut = store.move_gate(&main, 1, "shut for long".into()).await.unwrap();

    let survivor = folder.copy();
    let survivor = survivor.open();
    assert_eq!(survivor.gate(&main).await.unwrap(), shut);
    let rule = PaceRule { between: Duration::from_millis(1), hour: None };
    assert_eq!(survivor.pace(&main, &rule, 0).await.unwrap(), Paced::Moved(shut));
}
