//! The writer under load and in trouble, and what statements cost.

use std::sync::mpsc;

use futures_util::future::join_all;
use rusqlite::OptionalExtension;

use super::*;
use crate::lead::State;
use crate::store::conformance::{self, Form, at, form};

/// Keeps the writer from going on until it is told to.
fn hold(store: &Sqlite) -> (mpsc::Sender<()>, impl Future<Output = Result<(), StoreError>> + '_) {
    let (release, held) = mpsc::channel();
    let (began, begins) = mpsc::channel();
    let (call, answer) = writer::call(move |_| {
        began.send(()).unwrap();
        held.recv().unwrap();
        Ok(())
    });
    store.send(|channels| &channels.calls, call).unwrap();
    begins.recv().unwrap();
    (release, wait_for(answer))
}

#[tokio::test]
async fn one_bad_call_fails_alone() {
    let folder = Folder::new();
    let store = folder.open();
    let (release, held) = hold(&store);
    let twin = form().phone(12).admission();
    let good = [form().phone(11).admission(), twin.clone(), form().phone(13).admission()];
    let bad = Admission { content: form().phone(14).admission().content, ..twin };
    // All of these wait while the writer is held, so they share one transaction.
    let calls = good.into_iter().chain([bad]).map(|admission| store.admit(vec![admission]));
    let (answers, held, ()) =
        tokio::join!(biased; join_all(calls), held, async { release.send(()).unwrap() });
    held.unwrap();

    assert!(answers[..3].iter().all(|answer| matches!(answer.as_deref(), Ok([Verdict::Accepted]))));
    assert!(matches!(&answers[3], Err(StoreError::Unavailable(_))), "its id was there already");
    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger.accepted(), ledger.residue()), (3, 0));
    form().phone(14).accepted(&store).await; // what failed claims nobody
    form().phone(11).send(&store).await;
    assert_eq!(store.ledger().await.unwrap().count(State::Merged), 1);
}

#[tokio::test]
async fn too_many_calls_are_refused_at_once() {
    let folder = Folder::new();
    let store = folder.open();
    let (release, held) = hold(&store);
    let waiting: Vec<_> = (0..writer::WAITING_MAX)
        .map(|_| {
            let (call, answer) = writer::call(|_| Ok(()));
            store.send(|channels| &channels.calls, call).unwrap();
            answer
        })
        .collect();
    let refused = store.admit(vec![form().phone(11).admission()]).await;
    assert!(matches!(refused, Err(StoreError::Busy)));
    release.send(()).unwrap();
    held.await.unwrap();
    for answer in waiting {
        wait_for(answer).await.unwrap();
    }
    form().phone(11).accepted(&store).await;
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let folder = Folder::new();
    let store = folder.open();
    form().phone(11).accepted(&store).await;
    let pages_max = |pages: &'static str| {
        store.write(move |transaction| {
            Ok(transaction.db.pragma_update(None, "max_page_count", pages).ok())
        })
    };
    pages_max("1").await.unwrap(); // no more than there are
    let mut refused = 0;
    for number in 12..60 {
        let long = form().phone(number).says(&babble(number.into(), 5000));
        match store.admit(vec![long.admission()]).await {
            Err(StoreError::Unavailable(_)) => refused += 1,
            other => drop(other.unwrap()),
        }
    }
    assert!(refused > 0);
    let before = store.ledger().await.unwrap();
    assert_eq!((before.accepted(), before.residue()), (49 - refused, 0));

    pages_max("1000000").await.unwrap();
    form().phone(59).says(&babble(59, 5000)).accepted(&store).await; // nor did they claim anybody
}

#[tokio::test]
async fn the_log_stays_short_under_load() {
    let folder = Folder::new();
    let store = folder.open();
    let mut longest = 0;
    for round in 0..40 {
        let forms: Vec<Form> = (0..64)
            .map(|number| (number, babble(round * 64 + number, 1300)))
            .map(|(number, words)| form().email(&format!("thu{round}-{number}")).says(&words))
            .collect();
        join_all(forms.iter().map(|form| form.accepted(&store))).await;
        longest = longest.max(folder.bytes("leads.db-wal").len());
    }
    // One transaction may come on top of what is allowed before it.
    let allowed = usize::try_from(checkpoint::log_bytes_max(TUNING.checkpoint_pages)).unwrap();
    let database = folder.bytes("leads.db").len();
    assert!(longest < 2 * allowed, "{longest} bytes of log");
    assert!(database > 2 * allowed, "{database} bytes are no load");
}

#[tokio::test]
async fn what_cannot_be_read_does_not_stop_its_lane() {
    let folder = Folder::new();
    let store = folder.open();
    let spoilt = form().phone(11).accepted(&store).await;
    let next = form().phone(12).at(at(1)).accepted(&store).await;
    let spoil = "UPDATE records SET payload = x'7b' WHERE id = ?1";
    store.write(move |transaction| Ok(transaction.db.execute(spoil, [spoilt])?)).await.unwrap();

    let work = conformance::lease(&store, 10, at(2)).await;
    assert_eq!(work.iter().map(|work| work.lease.id).collect::<Vec<_>>(), [next]);
    let state = "SELECT state FROM records WHERE id = ?1";
    let state: Option<State> = store
        .read(move |db| Ok(db.query_row(state, [spoilt], |row| row.get(0)).optional()?))
        .await
        .unwrap();
    assert_eq!(state, Some(State::Dead));
    let record = conformance::record(&store, spoilt).await;
    assert!(record.unreadable && record.lead.is_none());
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

/// A list, a lease or a depth that walks a whole table of a million records stalls its thread.
#[tokio::test]
async fn statements_keep_to_their_indexes() {
    let folder = Folder::new();
    let store = folder.open();
    let plan = async |sql: String| -> String {
        store
            .read(move |db| {
                let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let steps = plan.query_map([], |row| row.get::<_, String>(3))?;
                Ok(steps.collect::<Result<Vec<_>, _>>()?.join("; "))
            })
            .await
            .unwrap()
    };
    for sql in list::DEPTH {
        let steps = plan(sql.replace("?1", "'main'")).await;
        assert!(steps.contains("COVERING INDEX"), "{steps}");
    }
    for sql in list::CHORES {
        let steps = plan(sql.replace("?1", "'main'").replace("?2", "2")).await;
        assert!(steps.contains("COVERING INDEX"), "{steps}");
    }
    let bound = |sql: &str| {
        // The plan does not depend on the values.
        (1..=8).rev().fold(sql.to_owned(), |sql, n| sql.replace(&format!("?{n}"), "1"))
    };
    let steps = plan(bound(list::LISTED)).await;
    assert!(steps.contains("SEARCH records USING COVERING INDEX listed"), "{steps}");
    let in_time = plan(bound(list::LISTED_IN_TIME)).await;
    assert!(in_time.contains("SEARCH records USING INDEX listed"), "{in_time}");
    let newest = plan(bound(list::NEWEST)).await;
    assert!(newest.contains("USING INTEGER PRIMARY KEY"), "{newest}");
    for steps in [steps, in_time, newest] {
        assert!(!steps.contains("TEMP B-TREE"), "{steps}");
    }
}
