//! How long the first page of a list takes: `cargo bench --bench lists` fills each store with
//! 100,000 records (`redis-server` must be installed) and asks for what a console asks for.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "../tests/servers/mod.rs"]
mod servers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use leadgate::config::RedisUrl;
use leadgate::lead::{
    DestinationId, Event, Identity, Lead, Phone, State, SubmissionId, Timestamp, Upstream,
};
use leadgate::store::redis::Redis;
use leadgate::store::sqlite::Sqlite;
use leadgate::store::{Admission, Content, Match, Options, Outcome, Query, Store, Wanted};
use servers::Redis as Server;

const RECORDS: u32 = 100_000;
const BATCH: u32 = 500;

/// The oldest so many are of another source.
const RARE: u32 = 10;

/// The newest so many are pending; one in 100 of the others is dead.
const PENDING: u32 = 1_000;
const DEAD_EVERY: u32 = 100;

/// Each list is asked for so often; the median and the slowest are shown.
const TIMES: usize = 21;

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(&folder.path().join("lists.db"), options()).unwrap();
        measure("SQLite", Arc::new(sqlite)).await;
        let server = Server::start();
        let redis = Redis::open(&RedisUrl(server.url()), options()).await.unwrap();
        measure("Redis", Arc::new(redis)).await;
    });
}

fn options() -> Options {
    Options {
        dedup_window: Duration::from_secs(30 * 24 * 3600),
        idempotency_window: Duration::from_secs(72 * 3600),
        comments: true,
        secrets: vec!["the secret of a benchmark".to_owned().into()],
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_795_425_302_000 + ms)
}

async fn measure(name: &str, store: Arc<dyn Store>) {
    let lane: DestinationId = "main".parse().unwrap();
    let began = Instant::now();
    fill(&*store, &lane).await;
    println!("{name}: {RECORDS} records in {:.0} s", began.elapsed().as_secs_f64());
    let phone: Phone = "+84900000007".parse().unwrap();
    let page = Query { limit: 50, ..Query::default() };
    let states = |states: &[State]| Query { states: states.to_vec(), ..page.clone() };
    let asked = [
        ("everything", page.clone()),
        ("state=dead", states(&[State::Dead])),
        ("state=created", states(&[State::Created])),
        ("state=pending", states(&[State::Pending])),
        ("state=merged, of which there are none", states(&[State::Merged])),
        ("source, most of all", Query { source: Some("website".parse().unwrap()), ..page.clone() }),
        ("source, the oldest few", Query { source: Some("rare".parse().unwrap()), ..page.clone() }),
        (
            "source, of which there are none",
            Query { source: Some("none".parse().unwrap()), ..page.clone() },
        ),
        ("until, the oldest day", Query { until: Some(at(1000)), ..page.clone() }),
        (
            "state=created, source, since",
            Query {
                states: vec![State::Created],
                source: Some("website".parse().unwrap()),
                since: Some(at(500_000)),
                ..page.clone()
            },
        ),
        ("destination", Query { destination: Some(lane.clone()), ..page.clone() }),
        ("since, and nothing later", Query { since: Some(at(10_000_000_000)), ..page.clone() }),
        (
            "q, a phone",
            Query { matching: vec![Match::Identity(Identity::Phone(phone))], ..page.clone() },
        ),
        (
            "q, an external id",
            Query { matching: vec![Match::ExternalId("x".into())], ..page.clone() },
        ),
    ];
    for (what, query) in asked {
        let mut took = Vec::new();
        let mut records = 0;
        for _ in 0..TIMES {
            let began = Instant::now();
            records = store.list(query.clone()).await.unwrap().records.len();
            took.push(began.elapsed().as_secs_f64() * 1e3);
        }
        took.sort_by(f64::total_cmp);
        println!(
            "{what:40} {records:3} records  {:8.2} ms, at most {:8.2}",
            took[TIMES / 2],
            took[TIMES - 1]
        );
    }
    store.close().await;
}

async fn fill(store: &dyn Store, lane: &DestinationId) {
    for first in (0..RECORDS).step_by(BATCH as usize) {
        let batch = (first..first + BATCH).map(|number| admission(lane, number)).collect();
        store.admit(batch).await.unwrap();
        if first >= RECORDS - PENDING {
            continue;
        }
        let (max, term) = (BATCH as usize, Duration::from_secs(60));
        let wanted = Wanted { max, chores: 0, create_term: term, chore_term: term };
        let now = at(i64::from(first) * 10 + 100_000);
        let leased = store.lease(lane, wanted, now).await.unwrap();
        for (number, work) in leased.work.iter().enumerate() {
            let lead_id = u64::from(first) + number as u64 + 1;
            let outcome = match (first + number as u32).is_multiple_of(DEAD_EVERY) {
                true => Outcome::Dead { reason: "refused".into() },
                false => Outcome::Created(Upstream { lead_id, requester_id: None }),
            };
            let event = Event::plain(now, "attempt");
            store.settle(&work.lease, now, outcome, event).await.unwrap();
        }
    }
}

fn admission(lane: &DestinationId, number: u32) -> Admission {
    let phone: Phone = format!("+849{number:08}").parse().unwrap();
    let lead = Lead {
        name: Some(format!("Nguyễn Văn Thử {number}")),
        phone: Some(phone.clone()),
        message: Some("Tôi muốn được tư vấn về căn hộ hai phòng ngủ.".into()),
        ..Lead::default()
    };
    let source = if number < RARE { "rare" } else { "website" };
    Admission {
        id: SubmissionId::generate(),
        source: source.parse().unwrap(),
        destination: lane.clone(),
        received_at: at(i64::from(number) * 10),
        trace_id: None,
        external_id: None,
        idempotency: None,
        content: Content::Lead { lead, identities: vec![Identity::Phone(phone)] },
    }
}
