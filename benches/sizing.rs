//! What submissions cost in Redis's memory: `cargo bench --bench sizing` fills a Redis of its own
//! (`redis-server` must be installed) with 100,000 people and asks it.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod form;
#[path = "../tests/servers/mod.rs"]
mod servers;

use std::time::Duration;

use leadgate::config::RedisUrl;
use leadgate::lead::{DestinationId, Event, Timestamp, Upstream};
use leadgate::store::redis::Redis;
use leadgate::store::{
    Admission, Content, Idempotency, Options, Outcome, Retention, Store, Wanted,
};
use servers::Redis as Server;

const PEOPLE: u32 = 100_000;
const BATCH: u32 = 500;

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let server = Server::start();
    let window = Duration::from_secs(30 * 24 * 3600);
    let options = Options {
        dedup_window: window,
        idempotency_window: Duration::from_secs(72 * 3600),
        comments: true,
        secrets: vec!["the secret of a benchmark".to_owned().into()],
    };
    let store = Redis::open(&RedisUrl(server.url()), options).await.unwrap();
    let lane: DestinationId = "main".parse().unwrap();
    let at = |ms: i64| Timestamp::from_millis(1_795_425_302_000 + ms);

    let empty = used(&server);
    let mut json_bytes = 0;
    for first in (0..PEOPLE).step_by(BATCH as usize) {
        let batch: Vec<_> =
            (first..first + BATCH).map(|n| admission(&lane, n, at(i64::from(n)))).collect();
        for admission in &batch {
            if let Content::Lead { lead, .. } = &admission.content {
                json_bytes += serde_json::to_vec(lead).unwrap().len();
            }
        }
        store.admit(batch).await.unwrap();
    }
    let pending = used(&server) - empty;
    let claims = 2.0 * sampled(&server, "{main}i");
    let deliveries = sampled(&server, "{main}d");
    let each = |bytes: u64| bytes as f64 / f64::from(PEOPLE);

    let mut now = 1_000_000;
    loop {
        now += 1;
        let term = Duration::from_secs(60);
        let max = BATCH as usize;
        let wanted = Wanted { max, chores: max, create_term: term, chore_term: term };
        let leased = store.lease(&lane, wanted, at(now)).await.unwrap();
        if leased.work.is_empty() {
            break;
        }
        for (number, work) in leased.work.iter().enumerate() {
            let lead_id = 400_000_000 + (now as u64 % 1_000_000) * 1_000 + number as u64;
            let upstream = Upstream { lead_id, requester_id: Some(lead_id / 7) };
            let event = Event {
                outcome: Some("created".into()),
                status: Some(200),
                ms: Some(212),
                ..Event::plain(at(now), "attempt")
            };
            let created = Outcome::Created(upstream);
            store.settle(&work.lease, at(now + 212), created, event).await.unwrap();
        }
    }
    let settled = used(&server) - empty;

    println!("{PEOPLE} people, each with a phone, an e-mail and an idempotency key; sealed");
    println!("the lead as JSON           {:7.0} B", json_bytes as f64 / f64::from(PEOPLE));
    println!("a claim                    {:7.0} B", claims / 2.0);
    println!("an idempotency key         {deliveries:7.0} B");
    println!("a pending record           {:7.0} B", each(pending) - claims - deliveries);
    println!("a settled record           {:7.0} B", each(settled) - claims - deliveries);
    println!("a lead, pending, in all    {:7.0} B", each(pending));
    println!("a lead, settled, in all    {:7.0} B", each(settled));

    let retention = Retention([(leadgate::lead::State::Created, Duration::ZERO)].into());
    let long_after = at(90 * 24 * 3600 * 1000);
    while store.sweep(long_after, &retention, 500).await.unwrap() > 0 {}
    println!(
        "left of each after the sweep {:5.0} B",
        each(used(&server).saturating_sub(empty)) - deliveries
    );
}

/// A form whose sender gave it an id.
fn admission(lane: &DestinationId, number: u32, received_at: Timestamp) -> Admission {
    let idempotency = Some(Idempotency::of_id(format!("evt-{number}")));
    Admission { idempotency, ..form::admission(lane, number, received_at) }
}

fn used(server: &Server) -> u64 {
    let info: String = server.query(&["INFO", "memory"]);
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory_dataset:"));
    line.unwrap().trim().parse().unwrap()
}

/// The mean of what keys of one kind take, by Redis's own account, and the two tables that they
/// are in: 8 bytes for the key's place, 24 and 8 for that of an expiry.
fn sampled(server: &Server, prefix: &str) -> f64 {
    let (_, keys): (u64, Vec<Vec<u8>>) =
        server.query(&["SCAN", "0", "MATCH", &format!("{prefix}*"), "COUNT", "20000"]);
    let mut bytes = 0;
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    for key in &keys {
        let taken: u64 = redis::cmd("MEMORY").arg("USAGE").arg(key).query(&mut connection).unwrap();
        bytes += taken;
    }
    bytes as f64 / keys.len() as f64
}
