//! The files: whose they are, who may open them, what is in them.

use rusqlite::Connection;
use secrecy::SecretString;

use super::*;
use crate::lead::State;
use crate::store::Task;
use crate::store::conformance::{self, at, form, phone, rotation};

#[tokio::test]
async fn a_closed_store_leaves_one_file_and_opens_again() {
    let folder = Folder::new();
    let store = folder.open();
    let event = form().phone(11).delivery("evt-1");
    let lead = event.accepted(&store).await;
    store.close().await;
    assert!(folder.bytes("leads.db-wal").is_empty());

    let store = folder.open();
    form().phone(11).at(at(1)).merged(&store, lead).await;
    assert_eq!(event.send(&store).await.1, Verdict::Repeated { id: lead });
    drop(store);
    folder.open();
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = Folder::new();
    let store = folder.open();
    let Err(StoreError::Unavailable(why)) = folder.try_open(&options()) else {
        panic!("opened twice");
    };
    assert!(why.contains("in use"), "{why}");
    form().phone(11).accepted(&store).await; // and the first one does not mind
    store.close().await;
    folder.open();
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_reads_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/on the way/leads.db");
    let store = Sqlite::open(&path, options()).unwrap();
    form().phone(11).accepted(&store).await;
    let mut files = 0;
    for file in fs::read_dir(path.parent().unwrap()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files += 1;
    }
    assert_eq!(files, 4, "database, log, index of the log, lock");
}

#[tokio::test]
async fn a_store_is_opened_with_the_secret_it_began_with() {
    let with = |secret: Option<&str>| Options {
        secrets: secret.map(SecretString::from).into_iter().collect(),
        ..options()
    };
    for (first, other) in [(Some("one"), Some("two")), (Some("one"), None), (None, Some("one"))] {
        let folder = Folder::new();
        let store = folder.try_open(&with(first)).unwrap();
        let lead = form().phone(11).accepted(&store).await;
        drop(store);
        let refused = folder.try_open(&with(other));
        assert!(matches!(refused, Err(StoreError::Unavailable(why)) if why.contains("secret")));
        let store = folder.try_open(&with(first)).unwrap();
        form().phone(11).merged(&store, lead).await;
    }
}

#[tokio::test]
async fn a_person_stays_known_when_secrets_are_rotated() {
    let folder = Folder::new();
    rotation::a_person_stays_known(async |options| {
        folder.try_open(&options).map(|store| Arc::new(store) as Arc<dyn Store>)
    })
    .await;
}

#[test]
fn foreign_files_are_left_alone() {
    let folder = Folder::new();
    fs::write(folder.database(), "a text that somebody wrote, and no database".repeat(100))
        .unwrap();
    assert!(matches!(folder.try_open(&options()), Err(StoreError::Corrupt(_))));

    let folder = Folder::new();
    let db = Connection::open(folder.database()).unwrap();
    db.execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(folder.try_open(&options()), Err(StoreError::Corrupt(_))));

    let folder = Folder::new();
    drop(folder.open());
    let db = Connection::open(folder.database()).unwrap();
    db.pragma_update(None, "user_version", 999).unwrap();
    assert!(matches!(folder.try_open(&options()), Err(StoreError::Corrupt(_))));
}

/// Compressed or sealed, a person is not to be found by their words: what is looked for is what
/// the store itself had written of them, in pieces, since what is long is on several pages.
#[tokio::test]
async fn nothing_of_an_erased_person_stays_in_the_file() {
    for options in [options(), options_with_secret()] {
        let folder = Folder::new();
        let store = folder.try_open(&options).unwrap();
        let erased = form().phone(11).email("thu").external_id("f-1").says(&babble(1, 20_000));
        let erased = erased.accepted(&store).await;
        let (odd, _) = form().phone(11).external_id("f-3").quarantined().send(&store).await;
        let kept = form().phone(12).external_id("f-2").says(&babble(2, 20_000));
        let kept = kept.accepted(&store).await;
        let work = conformance::lease(&store, 1, at(1)).await;
        conformance::settle(&store, &work[0], at(2), conformance::created(7)).await;
        let [of_erased, of_odd, of_kept] =
            [traces(&store, erased).await, traces(&store, odd).await, traces(&store, kept).await];
        assert_eq!([of_erased.len(), of_odd.len(), of_kept.len()], [4, 5, 4], "columns");
        assert!(of_erased.iter().any(|trace| trace.len() > 2 * 4096), "pages of its own");

        store.forget(vec![phone(11)], at(3)).await.unwrap();
        assert_eq!(conformance::state(&store, erased).await, State::Erased);
        store.close().await;
        let file = folder.bytes("leads.db");
        let is_there = |piece: &[u8]| file.windows(piece.len()).any(|bytes| bytes == piece);
        let pieces = |trace: &[u8]| -> Vec<Vec<u8>> {
            trace.chunks_exact(16).map(<[u8]>::to_vec).step_by(16).collect()
        };
        for trace in &of_kept {
            let there = pieces(trace).iter().filter(|piece| is_there(piece)).count();
            assert!(there * 10 >= pieces(trace).len() * 9, "the other one is there");
        }
        for trace in of_erased.iter().chain(&of_odd) {
            assert!(!pieces(trace).iter().any(|piece| is_there(piece)));
        }
    }
}

/// What the columns that speak of a person hold of one.
async fn traces(store: &Sqlite, id: SubmissionId) -> Vec<Vec<u8>> {
    let sql = "SELECT identities, external, content, payload, raw FROM records WHERE id = ?1";
    let columns = store.read(move |db| {
        let columns = |row: &rusqlite::Row<'_>| (0..5).map(|column| row.get(column)).collect();
        Ok(db.query_row(sql, [id], columns)?)
    });
    let columns: Vec<Option<Vec<u8>>> = columns.await.unwrap();
    columns.into_iter().flatten().collect()
}

/// What was accepted before traces were kept has none.
#[tokio::test]
async fn a_database_without_traces_is_upgraded() {
    let folder = Folder::new();
    let store = folder.open();
    let id = form().phone(11).accepted(&store).await;
    store.close().await;
    drop(store);
    let db = Connection::open(folder.database()).unwrap();
    db.execute_batch(
        "DROP TABLE forgotten; DROP INDEX listed; DROP TABLE zones;
         CREATE INDEX uncommon ON records (state, seq) WHERE state > 1;
         ALTER TABLE records DROP COLUMN trace; PRAGMA user_version = 3",
    )
    .unwrap();
    drop(db);

    let store = folder.open();
    assert_eq!(conformance::record(&store, id).await.trace_id, None);
    let since = Query { since: Some(at(0)), ..Query::default() };
    assert_eq!(
        store.list(since).await.unwrap().records.len(),
        1,
        "its time is in the list's index"
    );
    let work = conformance::lease_one(&store, id, at(1)).await;
    assert_eq!(work.trace_id, None);
    let later = form().phone(12).at(at(2)).accepted(&store).await;
    assert!(conformance::record(&store, later).await.trace_id.is_some());
}

/// Nobody was noted as forgotten before; from now on they are.
#[tokio::test]
async fn a_database_without_the_forgotten_is_upgraded() {
    let folder = Folder::new();
    let store = folder.open();
    let id = form().notice().accepted(&store).await;
    store.close().await;
    drop(store);
    let db = Connection::open(folder.database()).unwrap();
    db.execute_batch("DROP TABLE forgotten; PRAGMA user_version = 4").unwrap();
    drop(db);

    let store = folder.open();
    store.forget(vec![phone(11)], at(1)).await.unwrap();
    let noted = store.read(|db| {
        let sql = "SELECT length(hash), at FROM forgotten INDEXED BY forgettings";
        Ok(db.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Timestamp>(1)?)))?)
    });
    assert_eq!(noted.await.unwrap(), (16, at(1)));
    store.close().await;
    drop(store);
    let store = folder.open(); // of this version now, and it remembers
    let leased = store.lease_notices(&conformance::lane(), 1, conformance::TERM, at(2)).await;
    let lease = leased.unwrap().notices.remove(0).lease;
    let content = form().phone(11).correction();
    store.fill(&lease, at(3), content, Event::plain(at(3), "fetch")).await.unwrap();
    assert_eq!(conformance::state(&store, id).await, State::Erased);
}

/// A database of an older version is gone on with, and what was parked in it is looked for.
#[tokio::test]
async fn an_older_version_is_upgraded() {
    let folder = Folder::new();
    let store = folder.open();
    let id = form().phone(11).accepted(&store).await;
    let work = conformance::lease_one(&store, id, at(1)).await;
    conformance::settle(&store, &work, at(2), conformance::unknown()).await;
    store.close().await;
    drop(store);
    let db = Connection::open(folder.database()).unwrap();
    db.execute_batch(
        "DROP INDEX chores; DROP INDEX leased;
         CREATE INDEX leased ON records (deadline, destination, received_at)
             WHERE deadline IS NOT NULL;
         ALTER TABLE records DROP COLUMN sent_at; ALTER TABLE records DROP COLUMN looks;
         ALTER TABLE records DROP COLUMN resent; ALTER TABLE records DROP COLUMN told;
         DROP TABLE forgotten; DROP INDEX listed; DROP TABLE zones;
         CREATE INDEX uncommon ON records (state, seq) WHERE state > 1;
         ALTER TABLE records DROP COLUMN trace;
         UPDATE records SET due = NULL; PRAGMA user_version = 2;",
    )
    .unwrap();
    drop(db);

    let store = folder.open();
    let work = conformance::lease_one(&store, id, at(20)).await;
    assert!(matches!(work.task, Task::Look(_)), "{}", work.task.word());
    form().phone(11).at(at(21)).merged(&store, id).await;
    store.close().await;
    drop(store);
    folder.open(); // and is of this version now
}
