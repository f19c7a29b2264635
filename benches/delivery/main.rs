//! What a lane makes of a backlog, against a bare loop in the same run; and what part of a rate it
//! uses while the upstream is slow.
//!
//! `cargo bench --bench delivery` runs it over SQLite; `-- --redis always` and `-- --redis everysec`
//! over a Redis of its own (`redis-server` must be installed). `--rounds 7`, `--leads 20000` and
//! `--in-flight 64` are the defaults; `--answers-after 100` has the stub take 100 ms, where it
//! answers at once. Everything is one process on two threads, beside the stub's, the store's and
//! Redis. In turn:
//!
//! - `bare`: so many tasks that post the bodies with `reqwest`, each its next when it has the whole
//!   answer of its last;
//! - `lane`: a lane that may have as many under way, at a pace that holds nothing up, over a store
//!   that holds as many leads: each is leased, composed, posted and settled, durably.
//!
//! Then the stub answers after a second and a half, and a lane with the default configuration works
//! off 120 leads: requests per second from the first to the last, over the 12 of the rate.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "../form/mod.rs"]
mod form;
mod leads;
#[path = "../../tests/servers/mod.rs"]
mod servers;
mod upstream;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use leadgate::caresoft::Client;
use leadgate::config::{self, Config, Destination};
use leadgate::delivery::{Composer, Hosts, Lane};
use leadgate::lead::{Clock, DestinationId, State};
use leadgate::store::Store;
use leadgate::telemetry::Metrics;
use servers::Redis;
use tempfile::TempDir;
use tokio::sync::watch;
use upstream::Upstream;

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So slow is CareSoft on a bad day.
const SLOW: Duration = Duration::from_millis(1500);

/// Worked off while it is slow.
const SLOW_LEADS: u32 = 120;

struct Plan {
    rounds: usize,
    leads: u32,
    in_flight: usize,
    /// The stub's answers to both take so long.
    answers_after: Duration,
    /// Redis's `appendfsync`; SQLite without one.
    redis: Option<String>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |flag: &str| {
        let place = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(place + 1).cloned()
    };
    let number = |flag: &str| text(flag)?.parse::<u32>().ok();
    let plan = Plan {
        rounds: number("--rounds").unwrap_or(7) as usize,
        leads: number("--leads").unwrap_or(20_000),
        in_flight: number("--in-flight").unwrap_or(64) as usize,
        answers_after: Duration::from_millis(number("--answers-after").unwrap_or(0).into()),
        redis: text("--redis"),
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        throughput(&plan).await;
        utilisation(&plan).await;
    });
}

/// Alternating rounds, so that a drifting machine drifts for both.
async fn throughput(plan: &Plan) {
    let upstream = Upstream::start(plan.answers_after);
    let config = configuration(&upstream, |main| {
        main.rate.per_second = 100_000.try_into().unwrap();
        main.rate.per_hour = 360_000_000.try_into().unwrap();
        main.max_in_flight = plan.in_flight;
    });
    let (lane, _) = destination(&config);
    let bodies = Arc::new(leads::bodies(&composer(&config), lane, plan.leads));
    let length: usize = bodies.iter().map(Vec::len).sum();
    println!("{} leads, bodies of {} bytes each", plan.leads, length / bodies.len());
    let after = plan.answers_after;
    println!("{} in flight, answered after {after:?}, {}\n", plan.in_flight, store_name(plan));
    bare(plan, &upstream, &bodies).await; // warm
    let mut rounds = Vec::new();
    for round in 1..=plan.rounds {
        let bare = bare(plan, &upstream, &bodies).await;
        let lane = work_off(plan, &config, plan.leads).await;
        assert_eq!(upstream.arrivals().len(), 2 * plan.leads as usize, "each once");
        println!("round {round:2}: bare {bare:.0}/s, lane {lane:.0}/s, {:.2}", lane / bare);
        rounds.push((bare, lane));
    }
    let ratios: Vec<_> = rounds.iter().map(|(bare, lane)| lane / bare).collect();
    let low = ratios.iter().copied().fold(f64::MAX, f64::min);
    let high = ratios.iter().copied().fold(0.0, f64::max);
    println!(
        "\nbare {:.0}/s, lane {:.0}/s (medians); lane / bare: median {:.2} (min {low:.2}, max {high:.2})",
        median(rounds.iter().map(|(bare, _)| *bare).collect()),
        median(rounds.iter().map(|(_, lane)| *lane).collect()),
        median(ratios),
    );
}

/// Posts every body; answers how many a second.
async fn bare(plan: &Plan, upstream: &Upstream, bodies: &Arc<Vec<Vec<u8>>>) -> f64 {
    upstream.arrivals();
    let client =
        reqwest::Client::builder().no_proxy().pool_max_idle_per_host(plan.in_flight).build();
    let client = client.unwrap();
    let url = format!("http://{}/bench/api/v1/lead", upstream.address);
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let posting: Vec<_> = (0..plan.in_flight)
        .map(|_| {
            let (client, url) = (client.clone(), url.clone());
            let (bodies, next) = (Arc::clone(bodies), Arc::clone(&next));
            tokio::spawn(async move {
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let post = client.post(&url).header("content-type", "application/json");
                    let answer = post.bearer_auth("bench").body(body.clone()).send().await.unwrap();
                    assert!(answer.status().is_success());
                    answer.bytes().await.unwrap();
                }
            })
        })
        .collect();
    for task in posting {
        task.await.unwrap();
    }
    bodies.len() as f64 / began.elapsed().as_secs_f64()
}

/// A lane works off a backlog in a new store; answers how many a second, until all are settled.
async fn work_off(plan: &Plan, config: &Config, count: u32) -> f64 {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let redis = plan.redis.as_deref().map(|appendfsync| {
        let never = ["--auto-aof-rewrite-percentage", "0"]; // Redis's own affair
        Redis::start_with(
            &[&["--appendonly", "yes", "--appendfsync", appendfsync], &never[..]].concat(),
        )
    });
    let store = leads::open(folder.path(), redis.as_ref().map(Redis::url)).await;
    let (id, _) = destination(config);
    leads::admit(&*store, id, count).await;
    let lane = lane(config, &store);
    let (stop, stopping) = watch::channel(false);
    let began = Instant::now();
    let running = tokio::spawn(lane.run(stopping));
    while store.ledger().await.unwrap().count(State::Created) < u64::from(count) {
        tokio::time::sleep(Duration::from_millis(10)).await; // between two looks
    }
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    stop.send(true).unwrap();
    running.await.unwrap();
    store.close().await;
    rate
}

/// What part of the default rate is used while the upstream is slow.
async fn utilisation(plan: &Plan) {
    let upstream = Upstream::start(SLOW);
    let config = configuration(&upstream, |_| {});
    work_off(plan, &config, SLOW_LEADS).await;
    let arrivals = upstream.arrivals();
    let (first, last) = (arrivals.iter().min().unwrap(), arrivals.iter().max().unwrap());
    let took = last.duration_since(*first).as_secs_f64();
    let (_, main) = destination(&config);
    let used = (arrivals.len() - 1) as f64 / took / f64::from(main.rate.per_second.get());
    println!(
        "answers after {SLOW:?}: {} requests in {took:.2} s, {:.1} % of {}/s",
        arrivals.len(),
        used * 100.0,
        main.rate.per_second,
    );
}

/// The default configuration, in front of `upstream`, but for `change`.
fn configuration(upstream: &Upstream, change: impl FnOnce(&mut Destination)) -> Config {
    let text = format!(
        "[admin]\ntoken = \"bench\"\n[destinations.main]\nbase_url = \"http://{}\"\n\
         domain = \"bench\"\ntoken = \"bench\"\nlead = {{ service_id = 1244 }}\n",
        upstream.address
    );
    let parsed = config::parse(&text, "bench.toml", &config::MapEnvironment::default(), &[]);
    let mut config = parsed.unwrap().config;
    change(config.destinations.values_mut().next().unwrap());
    config
}

fn destination(config: &Config) -> (&DestinationId, &Destination) {
    config.destinations.iter().next().unwrap()
}

fn composer(config: &Config) -> Composer {
    Composer::new(destination(config).1, &config.sources, config.phone.output).unwrap()
}

fn lane(config: &Config, store: &Arc<dyn Store>) -> Arc<Lane> {
    let (id, main) = destination(config);
    let hosts = Hosts::new(Client::new(main).unwrap(), None, main.breaker.probe_every);
    let (store, metrics) = (Arc::clone(store), Arc::new(Metrics::default()));
    let (composer, clock) = (composer(config), Clock::system());
    Arc::new(Lane::new(id.clone(), main, hosts, composer, store, metrics, clock))
}

fn store_name(plan: &Plan) -> String {
    plan.redis.as_ref().map_or("SQLite".to_owned(), |fsync| format!("Redis, appendfsync {fsync}"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
