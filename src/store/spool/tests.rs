//! A spool beside a Redis that is away, and back.

use tempfile::TempDir;

use super::*;
use crate::config::RedisUrl;
use crate::lead::State;
use crate::store::Notice;
use crate::store::conformance::{self, Form, at, form, options, options_with_secret};
use crate::store::redis::tests::servers::Redis as Server;

/// Longer than anything here takes on a slow machine; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

async fn open(server: &Server, folder: &TempDir, bytes_max: u64) -> Spooled {
    open_with(server, folder, bytes_max, options_with_secret()).await
}

async fn open_with(server: &Server, folder: &TempDir, bytes_max: u64, options: Options) -> Spooled {
    let redis = Redis::open(&RedisUrl(server.url()), options.clone()).await.unwrap();
    let path = folder.path().join("spool.db");
    Spooled::open_bounded(redis, &path, options, bytes_max).await.unwrap()
}

async fn drained(store: &Spooled) {
    let empty = SpoolState { active: false, depth: 0 };
    let waiting = async {
        while store.spool() != Some(empty) {
            tokio::time::sleep(Duration::from_millis(5)).await; // between two looks
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the spool is emptied");
}

#[tokio::test]
async fn what_is_spooled_is_admitted_as_it_was_and_in_order() {
    let (mut server, folder) = (Server::start(), TempDir::new().unwrap());
    server.kill();
    let store = open(&server, &folder, BYTES_MAX).await;
    let first = form().phone(11).email("thu").says("trước").delivery("evt-1").external_id("f-1");
    let forms: [Form; 8] = [
        first.clone(),
        form().phone(11).says("sau").at(at(1)),
        form().phone(12).quarantined().at(at(2)),
        form().phone(13).test().at(at(3)),
        first.at(at(4)), // the same delivery
        form().notice().external_id("n-1").at(at(5)),
        form().notice().external_id("n-2").at(at(6)),
        form().deletion().external_id("n-2").at(at(7)),
    ];
    let mut ids = Vec::new();
    for form in &forms {
        let (id, verdict) = form.send(&store).await;
        assert_eq!(verdict, Verdict::Spooled);
        ids.push(id);
    }
    assert_eq!(store.spool(), Some(SpoolState { active: true, depth: 8 }));
    server.start_again();
    drained(&store).await;
    let record = conformance::record(&store, ids[0]).await;
    assert_eq!((record.state, record.received_at), (State::Pending, at(0)));
    assert!(record.lead == Some(forms[0].lead()));
    assert_eq!(record.external_id.as_deref(), Some("f-1"));
    assert_eq!(record.trace_id, crate::lead::TraceId::from_bytes([7; 16]));
    let joined = conformance::record(&store, ids[1]).await;
    assert_eq!((joined.state, joined.duplicate_of), (State::Merged, Some(ids[0])));
    assert_eq!(conformance::state(&store, ids[2]).await, State::Quarantined);
    assert_eq!(conformance::state(&store, ids[3]).await, State::Test);
    assert_eq!(store.find(ids[4]).await.unwrap(), None, "it had come before");
    let notices = store.lease_notices(&conformance::lane(), 5, PATIENCE, at(8)).await.unwrap();
    let [notice] = <[Notice; 1]>::try_from(notices.notices).expect("the other one is deleted");
    assert_eq!(notice.lease.id, ids[5]);
    assert!(notice.body == conformance::body(conformance::NOTICE));
    assert_eq!(conformance::state(&store, ids[6]).await, State::Erased);
    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger.accepted(), ledger.residue()), (7, 0));
    form().phone(14).accepted(&store).await; // by Redis again
}

#[tokio::test]
async fn what_was_spooled_under_the_old_secret_is_admitted_under_the_new_one() {
    let (mut server, folder) = (Server::start(), TempDir::new().unwrap());
    server.kill();
    let store = open(&server, &folder, BYTES_MAX).await;
    let form = form().phone(11).says("trước");
    let (id, verdict) = form.send(&store).await;
    assert_eq!(verdict, Verdict::Spooled);
    store.close().await;
    drop(store);
    let old = options_with_secret().secrets.remove(0);
    let rotated = Options { secrets: vec!["another secret of sixteen".into(), old], ..options() };
    let store = open_with(&server, &folder, BYTES_MAX, rotated).await;
    assert_eq!(store.spool(), Some(SpoolState { active: true, depth: 1 }));
    server.start_again();
    drained(&store).await;
    assert!(conformance::record(&store, id).await.lead == Some(form.lead()));
}

#[tokio::test]
async fn who_is_forgotten_while_they_wait_comes_out_erased() {
    let (mut server, folder) = (Server::start(), TempDir::new().unwrap());
    server.kill();
    let store = open(&server, &folder, BYTES_MAX).await;
    let theirs = [
        form().phone(11).email("thu").says("trước").delivery("evt-1").external_id("f-1"),
        form().phone(12).email("thu").at(at(1)),
        form().phone(13).email("thu").quarantined().at(at(2)),
        form().phone(14).email("thu").test().at(at(3)),
    ];
    let mut erased = Vec::new();
    for form in &theirs {
        erased.push(form.send(&store).await.0);
    }
    let (other, _) = form().phone(15).at(at(4)).send(&store).await;
    let before = store.shared.bytes.load(Ordering::Relaxed);
    let forgetting = store.forget(vec![conformance::email("thu")], at(5)).await;
    assert!(matches!(forgetting, Err(StoreError::Unavailable(_))), "Redis is away");
    assert!(store.shared.bytes.load(Ordering::Relaxed) < before);
    assert_eq!(store.spool(), Some(SpoolState { active: true, depth: 5 }));
    for (_, entry) in store.shared.file.spooled(10).await.unwrap() {
        let waiting = entry::read(&store.shared.vault, &entry).unwrap();
        let is_theirs = erased.contains(&waiting.id);
        assert_eq!(matches!(waiting.content, Content::Deletion), is_theirs);
    }

    server.start_again();
    drained(&store).await;
    for id in &erased {
        let record = conformance::record(&store, *id).await;
        assert_eq!((record.state, record.lead.is_none()), (State::Erased, true));
        assert_eq!(record.external_id, None);
    }
    assert_eq!(conformance::state(&store, other).await, State::Pending);
    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger.accepted(), ledger.residue()), (5, 0));
    assert_eq!(theirs[0].send(&store).await.1, Verdict::Repeated { id: erased[0] });
    form().phone(11).email("thu").at(at(6)).accepted(&store).await; // nobody is known by it
    assert_eq!(store.forget(vec![conformance::email("thu")], at(7)).await.unwrap(), 1);
}

/// One process has the person in its file when another one is asked to forget them.
#[tokio::test]
async fn who_is_forgotten_by_another_process_comes_out_erased() {
    let mut server = Server::start();
    let (folder, other_folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    server.kill();
    let store = open(&server, &folder, BYTES_MAX).await;
    let theirs = [
        form().phone(11).email("thu").says("trước").delivery("evt-1").external_id("f-1"),
        form().phone(12).email("thu").destination("elsewhere").at(at(1)),
        form().phone(13).email("thu").quarantined().at(at(2)),
        form().phone(14).email("thu").test().at(at(5)),
    ];
    let mut waiting: Vec<Admission> = theirs.iter().map(Form::admission).collect();
    let erased: Vec<_> = waiting.iter().map(|admission| admission.id).collect();
    let bystander = form().phone(15).at(at(4)).admission();
    let again = form().phone(11).email("thu").says("sau").at(at(6)).admission();
    waiting.extend([bystander.clone(), again.clone()]);
    let spooled = store.admit(waiting.clone()).await.unwrap();
    assert!(spooled.iter().all(|verdict| *verdict == Verdict::Spooled));
    store.close().await;
    drop(store); // its process is gone, and its file stays

    server.start_again();
    let other = open(&server, &other_folder, BYTES_MAX).await;
    // It had taken one of them there before it went, and not noted that.
    assert_eq!(other.admit(vec![waiting[0].clone()]).await.unwrap(), [Verdict::Accepted]);
    assert_eq!(other.forget(vec![conformance::email("thu")], at(5)).await.unwrap(), 1);
    assert_eq!(other.ledger().await.unwrap().accepted(), 1);

    let store = open(&server, &folder, BYTES_MAX).await; // as the next process does
    drained(&store).await;
    for id in &erased {
        let record = conformance::record(&other, *id).await;
        assert_eq!((record.state, record.lead), (State::Erased, None));
        assert_eq!((record.external_id, record.trace_id), (None, None));
    }
    assert_eq!(conformance::state(&other, bystander.id).await, State::Pending);
    assert_eq!(conformance::state(&other, again.id).await, State::Pending, "they came again");
    let to_send = conformance::lease(&other, 9, at(7)).await;
    let to_send: Vec<_> = to_send.iter().map(|work| work.lease.id).collect();
    assert_eq!(to_send, [bystander.id, again.id], "nobody else is created");
    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger.accepted(), ledger.residue()), (6, 0));
    assert_eq!(theirs[0].send(&store).await.1, Verdict::Repeated { id: erased[0] });
    form().phone(11).at(at(8)).merged(&store, again.id).await;
    form().phone(12).at(at(8)).accepted(&store).await; // a new post is a new lead
}

#[tokio::test]
async fn a_full_spool_refuses_and_keeps_what_it_has() {
    let (mut server, folder) = (Server::start(), TempDir::new().unwrap());
    server.kill();
    let store = open(&server, &folder, 2_000).await;
    let mut spooled = 0;
    let refused = loop {
        match store.admit(vec![form().phone(spooled).admission()]).await {
            Ok(verdicts) => assert_eq!(verdicts, [Verdict::Spooled]),
            Err(error) => break error,
        }
        spooled += 1;
        assert!(spooled < 99, "it is never full");
    };
    assert!(matches!(refused, StoreError::Busy) && spooled > 3, "{refused} after {spooled}");
    drop(store);

    server.start_again();
    let store = open(&server, &folder, 2_000).await; // as the next process does
    drained(&store).await;
    assert_eq!(store.ledger().await.unwrap().accepted(), u64::from(spooled));
}

/// Nothing of a person is readable in the file, and what cannot be read holds up nobody.
#[tokio::test]
async fn a_spool_is_sealed_and_a_spoilt_entry_is_put_aside() {
    let (mut server, folder) = (Server::start(), TempDir::new().unwrap());
    server.kill();
    let store = open(&server, &folder, BYTES_MAX).await;
    store.shared.file.spool(vec![b"spoilt".to_vec()]).await.unwrap();
    form().phone(11).email("bi.mat").says("điều riêng tư").send(&store).await;
    let mut file = Vec::new();
    for name in ["spool.db", "spool.db-wal"] {
        file.extend(std::fs::read(folder.path().join(name)).unwrap_or_default());
    }
    for secret in ["900000011", "bi.mat", "Nguyễn Văn Thử", "điều riêng tư"] {
        let shown = file.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
        assert!(!shown, "{secret}");
    }
    server.start_again();
    drained(&store).await;
    assert_eq!(store.ledger().await.unwrap().accepted(), 1);
    assert_eq!(store.shared.file.waiting().await.unwrap().entries, 0);
}

/// Without a spool's secret nothing is sealed, and everything else is the same.
#[tokio::test]
async fn a_spool_without_a_secret_gives_back_what_it_got() {
    let (mut server, folder) = (Server::start(), TempDir::new().unwrap());
    server.kill();
    let redis = Redis::open(&RedisUrl(server.url()), options()).await.unwrap();
    let path = folder.path().join("spool.db");
    let store = Spooled::open(redis, &path, options()).await.unwrap();
    let (id, _) = form().phone(11).says("xin chào").send(&store).await;
    server.start_again();
    drained(&store).await;
    let lead = conformance::record(&store, id).await.lead.unwrap();
    assert_eq!(lead.message.as_deref(), Some("xin chào"));
}
