//! What Redis does to a store that is open: forgets, refuses, freezes, is another one.

use std::time::Instant;

use super::servers::Redis as Server;
use super::*;
use crate::lead::{Phase, State};
use crate::store::conformance::{self, at, form};

/// Longer than anything here takes on a slow machine; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

async fn open(server: &Server) -> Redis {
    Redis::open(&RedisUrl(server.url()), options()).await.unwrap()
}

/// Admits until it is taken.
async fn until_accepted(store: &Redis, number: u32) -> SubmissionId {
    let admission = form().phone(number).admission();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match store.admit(vec![admission.clone()]).await {
            Ok(verdicts) => {
                assert_eq!(verdicts, [Verdict::Accepted]);
                return admission.id;
            }
            Err(StoreError::Unavailable(_)) => {
                assert!(Instant::now() < deadline, "never taken");
                tokio::time::sleep(Duration::from_millis(10)).await; // between two tries
            }
            Err(other) => panic!("{other}"),
        }
    }
}

async fn refused(store: &Redis, number: u32) {
    let answer = store.admit(vec![form().phone(number).admission()]).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
}

#[tokio::test]
async fn forgotten_scripts_are_sent_again() {
    let server = Server::start();
    let store = open(&server).await;
    form().phone(11).accepted(&store).await;
    let _: () = server.query(&["SCRIPT", "FLUSH"]);
    form().phone(12).accepted(&store).await;
    assert_eq!(conformance::lease(&store, 10, at(1)).await.len(), 2);
}

#[tokio::test]
async fn what_redis_refuses_is_taken_when_it_does_so_no_more() {
    let server = Server::start();
    let store = open(&server).await;
    form().phone(11).accepted(&store).await;

    let _: () = server.query(&["CONFIG", "SET", "maxmemory", "1"]); // OOM
    refused(&store, 12).await;
    let _: () = server.query(&["CONFIG", "SET", "maxmemory", "0"]);
    until_accepted(&store, 12).await;

    let _: () = server.query(&["REPLICAOF", "127.0.0.1", "1"]); // READONLY
    refused(&store, 13).await;
    let _: () = server.query(&["REPLICAOF", "NO", "ONE"]);
    until_accepted(&store, 13).await;
    assert_eq!(store.ledger().await.unwrap().accepted(), 3);
}

#[tokio::test]
async fn a_frozen_redis_keeps_nobody_waiting_for_long() {
    let server = Server::start();
    let store = open(&server).await;
    form().phone(11).accepted(&store).await;
    server.freeze();
    refused(&store, 12).await;
    let began = Instant::now();
    for number in 13..20 {
        refused(&store, number).await; // at once, from now on
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    server.thaw();
    until_accepted(&store, 20).await;
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_knows_the_same_people_by_the_same_key() {
    let mut server = Server::start();
    let store = open(&server).await;
    form().phone(11).accepted(&store).await;
    let key = store.inner.vault().await.unwrap().key().fingerprint();
    server.kill();
    server.start_empty();
    let lead = until_accepted(&store, 11).await;
    assert!(store.inner.vault().await.unwrap().key().fingerprint() == key);
    // Another gateway finds what this one wrote there.
    let other = open(&server).await;
    form().phone(11).merged(&other, lead).await;
}

#[tokio::test]
async fn another_secret_is_refused() {
    let server = Server::start();
    form().phone(11).accepted(&open(&server).await).await;
    let secrets = vec!["another secret of sixteen".into()];
    let opened = Redis::open(&RedisUrl(server.url()), Options { secrets, ..options() }).await;
    let Err(OpenError::Store(StoreError::Unavailable(problem))) = opened else { panic!() };
    assert!(problem.contains("store.secret"), "{problem}");
}

#[tokio::test]
async fn a_person_stays_known_when_secrets_are_rotated() {
    let server = Server::start();
    conformance::rotation::a_person_stays_known(async |options| {
        match Redis::open(&RedisUrl(server.url()), options).await {
            Ok(store) => Ok(Arc::new(store) as Arc<dyn Store>),
            Err(OpenError::Store(error)) => Err(error),
            Err(OpenError::Unfit(problem)) => panic!("{problem}"),
        }
    })
    .await;
}

/// Whoever is still running with the old secret first, and whoever has the new one first, are one
/// fleet; and neither forgets when Redis does.
#[tokio::test]
async fn replicas_in_the_midst_of_a_rotation_know_the_same_people() {
    let mut server = Server::start();
    let url = RedisUrl(server.url());
    let (old, new) = ("the old secret of sixteen", "the new secret of sixteen");
    let with = |secrets: &[&'static str]| Options {
        secrets: secrets.iter().map(|secret| (*secret).into()).collect(),
        ..options()
    };
    let before = Redis::open(&url, with(&[old, new])).await.unwrap();
    let after = Redis::open(&url, with(&[new, old])).await.unwrap();
    let lead = form().phone(11).accepted(&before).await;
    form().phone(11).says("again").merged(&after, lead).await;
    let other = form().phone(12);
    let sealed_anew = other.accepted(&after).await;
    assert!(conformance::record(&before, sealed_anew).await.lead == Some(other.lead()));
    server.kill();
    server.start_empty();
    let lead = until_accepted(&after, 11).await;
    let alone = Redis::open(&url, with(&[new])).await.unwrap();
    form().phone(11).says("once more").merged(&alone, lead).await;
}

/// Whoever did not hear that it was taken sends it again; that makes no second one of it.
#[tokio::test]
async fn a_submission_that_is_admitted_twice_is_one() {
    let server = Server::start();
    let store = open(&server).await;
    let lead = form().phone(11).delivery("evt-1").admission();
    let joined = form().phone(11).says("again").admission();
    let odd = form().phone(12).quarantined().admission();
    let batch = vec![lead.clone(), joined, odd];
    let first = store.admit(batch.clone()).await.unwrap();
    let merged = Verdict::Merged { into: lead.id };
    assert_eq!(first, [Verdict::Accepted, merged, Verdict::Quarantined]);
    assert_eq!(store.admit(batch).await.unwrap(), first);
    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger.accepted(), ledger.residue()), (3, 0));
    assert_eq!(conformance::lease(&store, 10, at(1)).await.len(), 1);
}

/// Whose answer was lost is asked again, and answers the same: nobody is left in flight by whom
/// nobody knows.
#[tokio::test]
async fn a_lease_whose_answer_was_lost_is_given_again() {
    let server = Server::start();
    let store = open(&server).await;
    for number in 11..15 {
        form().phone(number).at(at(i64::from(number))).accepted(&store).await;
    }
    let lost = conformance::lease(&store, 2, at(20)).await;
    store.inner.with_calls(&conformance::lane(), |calls| calls.lose());
    let again = conformance::lease(&store, 2, at(21)).await;
    let leases = |work: &[crate::store::Work]| -> Vec<_> {
        work.iter().map(|work| (work.lease.id, work.lease.fence)).collect()
    };
    assert_eq!(leases(&lost), leases(&again));
    // With room for fewer, the others go back.
    store.inner.with_calls(&conformance::lane(), |calls| calls.lose());
    let fewer = conformance::lease(&store, 1, at(22)).await;
    assert_eq!(leases(&fewer), leases(&lost)[..1]);
    let others = conformance::lease(&store, 10, at(23)).await;
    assert_eq!(others.len(), 3, "and the next call goes on");

    // What somebody else has leased meanwhile is theirs.
    let held =
        conformance::lease_one(&store, form().phone(20).accepted(&store).await, at(24)).await;
    store.expire_leases(at(100)).await.unwrap();
    store.replay(held.lease.id, at(101), None).await.unwrap();
    let theirs = open(&server).await;
    let theirs = conformance::lease_one(&theirs, held.lease.id, at(102)).await;
    assert!(theirs.lease.fence > held.lease.fence);
    store.inner.with_calls(&conformance::lane(), |calls| calls.lose());
    assert!(conformance::lease(&store, 1, at(103)).await.is_empty());
}

/// A gateway that leases nothing meanwhile notices the new server as well.
#[tokio::test]
async fn looking_at_a_gate_notices_another_server() {
    let server = Server::start();
    let (store, other) = (open(&server).await, open(&server).await);
    let id = form().phone(11).accepted(&store).await;
    let before = server.bytes(&[b"GET", &key(id)]);
    let flying = conformance::lease_one(&store, id, at(1)).await;
    server.bytes(&[b"SET", &key(id), &before]);
    server.bytes(&[b"ZREM", b"{main}leased", id.as_bytes()]);
    server.bytes(&[b"ZADD", b"{main}fresh", b"1", id.as_bytes()]);
    server.bytes(&[b"HSET", b"{main}lane", b"run", b"another"]);

    assert!(conformance::lease(&other, 1, at(2)).await.is_empty(), "the new server holds");
    store.gate(&conformance::lane()).await.unwrap();
    assert_eq!(conformance::state(&store, id).await, State::Unknown);
    let settled = conformance::settle(&store, &flying, at(3), conformance::created(7)).await;
    assert_eq!((settled, conformance::state(&store, id).await), (Settled::Done, State::Created));
}

/// A user who may not publish: other gateways find out by looking, and nothing fails.
#[tokio::test]
async fn who_may_not_publish_is_served_all_the_same() {
    let server = Server::start_with_user("quiet", "m-t-kh-u", &["~*", "resetchannels", "+@all"]);
    let store = open(&server).await;
    form().phone(11).accepted(&store).await;
    assert_eq!(conformance::lease(&store, 1, at(1)).await.len(), 1);
}

/// Another server answers, and has not heard of the last moments.
#[tokio::test]
async fn after_a_failover_what_was_in_flight_is_unknown_and_what_was_created_is_created() {
    let server = Server::start();
    let (store, other) = (open(&server).await, open(&server).await);
    let mut ids = Vec::new();
    for number in 0..4 {
        ids.push(form().phone(number).at(at(i64::from(number))).accepted(&store).await);
    }
    let records = |ids: &[SubmissionId]| -> Vec<Vec<u8>> {
        ids.iter().map(|id| server.bytes(&[b"GET", &key(*id)])).collect()
    };
    let before = records(&ids);
    let [flying, created, heard] =
        conformance::lease(&store, 3, at(10)).await.try_into().expect("three");
    conformance::settle(&store, &created, at(11), conformance::created(7)).await;
    conformance::settle(&store, &heard, at(11), conformance::created(8)).await;

    // The first two as they were before, and so their counts; a new server.
    for (id, record) in ids[..2].iter().zip(&before) {
        server.bytes(&[b"SET", &key(*id), record]);
        server.bytes(&[b"ZREM", b"{main}leased", id.as_bytes()]);
        server.bytes(&[b"ZADD", b"{main}fresh", b"1", id.as_bytes()]);
    }
    server.bytes(&[b"HINCRBY", b"{main}ledger", b"website 1", b"-1"]);
    server.bytes(&[b"HINCRBY", b"{main}ledger", b"website 0", b"1"]);
    server.bytes(&[b"HSET", b"{main}lane", b"run", b"another"]);

    // Nobody leases before everybody could say what they had in flight.
    let held = other.lease(&conformance::lane(), conformance::up_to(10), at(12)).await.unwrap();
    assert!(held.work.is_empty());
    assert!(held.next_due.is_some_and(|due| due > at(12)), "{:?}", held.next_due);
    let held = store.lease(&conformance::lane(), conformance::up_to(10), at(12)).await.unwrap();
    assert!(held.work.is_empty());
    let states = async |store: &Redis| {
        let mut states = Vec::new();
        for id in &ids {
            states.push(conformance::state(store, *id).await);
        }
        states
    };
    let expected = [State::Unknown, State::Created, State::Created, State::Pending];
    assert_eq!(states(&store).await, expected);
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
    assert_eq!(conformance::record(&store, ids[3]).await.phase, Some(Phase::Ready));

    // The answer to the one in flight comes: it is believed.
    let settled = conformance::settle(&store, &flying, at(13), conformance::created(9)).await;
    assert_eq!(settled, Settled::Done);
    assert_eq!(states(&store).await[0], State::Created);
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

fn key(id: SubmissionId) -> Vec<u8> {
    [b"{main}r", &id.as_bytes()[..]].concat()
}

/// What one gateway accepts wakes the others, and does so once.
#[tokio::test]
async fn what_one_accepts_wakes_the_others() {
    let server = Server::start();
    let (store, other) = (open(&server).await, open(&server).await);
    let mut arrivals = other.arrivals();
    arrivals.mark_unchanged();
    form().phone(11).accepted(&store).await;
    tokio::time::timeout(PATIENCE, arrivals.changed()).await.expect("it is told").unwrap();
    let gate = store.move_gate(&conformance::lane(), 0, "shut".into()).await.unwrap();
    assert_eq!(gate.version, 1);
    tokio::time::timeout(PATIENCE, arrivals.changed()).await.expect("of gates too").unwrap();
}

/// There is an end to what may wait.
#[tokio::test]
async fn too_much_that_waits_is_busy() {
    let server = Server::start_with(&["--maxmemory", "16mb"]);
    let store = open(&server).await; // half of it
    let mut taken = 0_u64;
    let busy = loop {
        // Nothing that can be packed.
        let words: String = (0..2000).map(|_| SubmissionId::generate().to_string()).collect();
        let long = form().email(&format!("thu{taken}")).says(&words).admission();
        match store.admit(vec![long]).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 10_000, "there is no end to it");
    };
    assert!(matches!(busy, StoreError::Busy), "{busy}");
    assert!(taken > 10);
    // What is sent makes room.
    while let Some(work) = conformance::lease(&store, 1, at(1)).await.pop() {
        conformance::settle(&store, &work, at(2), conformance::created(taken)).await;
    }
    form().phone(11).accepted(&store).await;
}

/// Every key goes with something: when all that was accepted is swept, nothing is left of it.
#[tokio::test]
async fn nothing_is_left_of_what_is_swept() {
    let server = Server::start();
    let store = open(&server).await;
    let mut run = conformance::chance::Run::new(0x5EED);
    for _ in 0..400 {
        run.step(&store).await;
    }
    store.expire_leases(at(1_000_000)).await.unwrap();
    for number in 0..60 {
        // Whoever is left unknown is looked at by a person, and erased.
        store.forget(vec![conformance::phone(number)], at(1_000_000)).await.unwrap();
        let email = conformance::email(&format!("thu{number}"));
        store.forget(vec![email], at(1_000_000)).await.unwrap();
    }
    let main = conformance::lane();
    loop {
        let leased = store.lease_notices(&main, 5, Duration::from_secs(60), at(1_000_001)).await;
        let notices = leased.unwrap().notices;
        if notices.is_empty() {
            break;
        }
        for notice in notices {
            let event = Event::plain(at(1_000_001), "fetch");
            let trial = form().phone(61).test().admission().content; // nobody who was forgotten
            store.fill(&notice.lease, at(1_000_001), trial, event).await.unwrap();
        }
    }
    while let Some(work) = conformance::lease(&store, 1, at(1_000_001)).await.pop() {
        conformance::settle(&store, &work, at(1_000_002), conformance::created(1)).await;
    }
    let nothing = Retention(State::ALL.map(|state| (state, Duration::ZERO)).into());
    conformance::sweep(&store, at(9_000_000), &nothing).await; // that they were forgotten is, too

    let mut keys: Vec<Vec<u8>> = server.query(&["KEYS", "*"]);
    keys.retain(|key| !key.starts_with(b"{main}d") && !key.starts_with(b"{main}given:"));
    keys.sort();
    let names: Vec<_> = keys.iter().map(|key| String::from_utf8_lossy(key)).collect();
    let expected = [
        "leadgate",
        "leadgate:destinations",
        "{main}base",
        "{main}bytes",
        "{main}indexed",
        "{main}lane",
        "{main}ledger",
    ];
    assert_eq!(names, expected);
    let bytes: i64 = server.query(&["GET", "{main}bytes"]);
    assert_eq!(bytes, 0);
    // The others end by themselves.
    for key in server.query::<Vec<Vec<u8>>>(&["KEYS", "{main}[dg]*"]) {
        let left: i64 = server.number(&[b"PTTL", &key]);
        assert!(left > 0, "{} never ends", String::from_utf8_lossy(&key));
    }
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

/// Invariant 9, at rest: what Redis holds shows nobody, and is found all the same.
#[tokio::test]
async fn a_dump_of_a_store_with_a_secret_shows_nobody() {
    let server = Server::start();
    let with_secret = conformance::options_with_secret();
    let store = Redis::open(&RedisUrl(server.url()), with_secret).await.unwrap();
    let person = form().phone(11).email("bi.mat").says("điều riêng tư").external_id("ngoai-7");
    let lead = person.clone().delivery("giao-8").accepted(&store).await;
    person.clone().quarantined().send(&store).await;
    person.clone().says("điều khác").at(at(1)).merged(&store, lead).await;
    person.test().send(&store).await;
    conformance::kill(&store, lead, at(2)).await;

    let mut dump = Vec::new();
    for key in server.query::<Vec<Vec<u8>>>(&["KEYS", "*"]) {
        dump.extend_from_slice(&key);
        let shown: &[&[&[u8]]] = &[
            &[b"GET", &key],
            &[b"HGETALL", &key],
            &[b"LRANGE", &key, b"0", b"-1"],
            &[b"ZRANGE", &key, b"0", b"-1"],
            &[b"SMEMBERS", &key],
        ];
        for command in shown {
            flatten(server.answer(command), &mut dump);
        }
    }
    let holds = |text: &str| dump.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(holds("website"), "the dump is one");
    for secret in
        ["900000011", "bi.mat", "Nguyễn Văn Thử", "điều riêng tư", "ho_ten", "ngoai-7", "giao-8"]
    {
        assert!(!holds(secret), "{secret}");
    }
    let matching = vec![crate::store::Match::ExternalId("ngoai-7".into())];
    let found = conformance::listed(&store, Query { matching, ..Query::default() }).await;
    assert_eq!(found.len(), 4);
}

fn flatten(value: redis::Value, into: &mut Vec<u8>) {
    match value {
        redis::Value::BulkString(bytes) => into.extend(bytes),
        redis::Value::Array(values) => {
            values.into_iter().for_each(|value| flatten(value, into));
        }
        _ => {}
    }
}

impl Server {
    /// What a command answers; nothing where the key is of another type.
    fn answer(&self, command: &[&[u8]]) -> redis::Value {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let (name, arguments) = command.split_first().unwrap();
        let name = std::str::from_utf8(name).unwrap();
        redis::cmd(name).arg(arguments).query(&mut connection).unwrap_or_default()
    }

    /// A command of bytes; what it answers, where that is bytes.
    fn bytes(&self, command: &[&[u8]]) -> Vec<u8> {
        match self.answer(command) {
            redis::Value::BulkString(bytes) => bytes,
            _ => Vec::new(),
        }
    }

    fn number(&self, command: &[&[u8]]) -> i64 {
        match self.answer(command) {
            redis::Value::Int(number) => number,
            other => panic!("{other:?}"),
        }
    }
}

/// A notice is filled and leased to be made; then another server answers that has not heard of it.
async fn unfilled_by_a_failover(server: &Server, store: &Redis, made: bool) -> SubmissionId {
    let id = form().notice().accepted(store).await;
    let (lane, term) = (conformance::lane(), Duration::from_secs(60));
    let leased = store.lease_notices(&lane, 5, term, at(1)).await.unwrap();
    let before = server.bytes(&[b"GET", &key(id)]);
    let content = form().phone(11).correction();
    let event = Event::plain(at(2), "fetch");
    store.fill(&leased.notices[0].lease, at(2), content, event).await.unwrap();
    let work = conformance::lease(store, 3, at(3)).await;
    assert_eq!(work.len(), 1);
    if made {
        conformance::settle(store, &work[0], at(4), conformance::created(7)).await;
        server.bytes(&[b"HINCRBY", b"{main}ledger", b"website 1", b"-1"]);
        server.bytes(&[b"HINCRBY", b"{main}ledger", b"website 0", b"1"]);
    }
    server.bytes(&[b"SET", &key(id), &before]);
    server.bytes(&[b"ZREM", b"{main}leased", id.as_bytes()]);
    server.bytes(&[b"ZADD", b"{main}held", b"1795425363000", id.as_bytes()]);
    server.bytes(&[b"HSET", b"{main}lane", b"run", b"another"]);
    store.lease(&lane, conformance::up_to(10), at(5)).await.unwrap();
    id
}

#[tokio::test]
async fn after_a_failover_what_was_made_of_a_notice_is_there() {
    let server = Server::start();
    let store = open(&server).await;
    let id = unfilled_by_a_failover(&server, &store, true).await;
    assert_eq!(conformance::state(&store, id).await, State::Created, "its gateway knows it");
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

/// It is fetched again, and looked for before it is sent again.
#[tokio::test]
async fn after_a_failover_what_may_have_been_made_of_a_notice_is_looked_for() {
    let server = Server::start();
    let store = open(&server).await;
    let id = unfilled_by_a_failover(&server, &store, false).await;
    assert_eq!(conformance::state(&store, id).await, State::Pending);
    let (lane, term) = (conformance::lane(), Duration::from_secs(60));
    let leased = store.lease_notices(&lane, 5, term, at(6)).await.unwrap();
    let content = form().phone(11).correction();
    let event = Event::plain(at(7), "fetch");
    store.fill(&leased.notices[0].lease, at(7), content, event).await.unwrap();
    assert_eq!(conformance::state(&store, id).await, State::Unknown);
    form().phone(11).at(at(8)).merged(&store, id).await;
    assert_eq!(store.ledger().await.unwrap().residue(), 0);
}

/// A version before this one kept no index: its records are in it by the first list.
#[tokio::test]
async fn what_an_older_version_admitted_is_listed() {
    let server = Server::start();
    let store = open(&server).await;
    let mut expected = Vec::new();
    for number in 0..1500 {
        let source = if number % 500 == 0 { "rare" } else { "website" };
        let form = form().phone(number).source(source).at(at(i64::from(number)));
        let id = form.accepted(&store).await;
        if source == "rare" {
            expected.insert(0, id);
        }
    }
    for key in server.query::<Vec<Vec<u8>>>(&["KEYS", "{main}v*"]) {
        assert_eq!(server.number(&[b"DEL", &key]), 1);
    }
    let _: i64 = server.query(&["DEL", "{main}zones", "{main}indexed"]);
    let store = open(&server).await;
    let rare = || Query { source: Some("rare".parse().unwrap()), ..Query::default() };
    assert_eq!(conformance::listed(&store, rare()).await, expected);
    let old = Query { until: Some(at(600)), ..rare() };
    assert_eq!(conformance::listed(&store, old).await, expected[1..]);
    let indexed: String = server.query(&["GET", "{main}indexed"]);
    assert_eq!(indexed, "all");
}
