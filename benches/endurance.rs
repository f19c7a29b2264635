//! Whether the gateway stays as it is: the release binary as a process of its own, over SQLite or (with
//! `--redis`, which must be installed) over a Redis of its own, in front of a CareSoft that has bad
//! days, looked at from outside.
//!
//! - `cargo bench --bench endurance -- console`: 100,000 records in the ledger, 200 posts a second, one
//!   reader of the events, and the overview asked for every half second: how long it takes, and how much
//!   memory the process has.
//! - `cargo bench --bench endurance -- soak` (ten minutes; `--seconds N` for less): 500 posts a second
//!   while one request in five upstream goes wrong. Memory, open files and threads are looked at every
//!   second, and told as the mean of each minute: what a moment's burst holds is no leak. The first
//!   two minutes are warming up: caches fill.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a benchmark looks at the clock, and waits")]

#[path = "accept/load.rs"]
mod load;
mod process;

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use leadgate::sandbox::{Fault, FaultKind, Options, Sandbox};
use load::{Figures, Load};
use process::redis::{self, Fsync};
use process::{ADMIN_TOKEN, Process, free_address};
use tempfile::TempDir;

const CONNECTIONS: usize = 32;

/// What the console is looked at with.
const RECORDS: u32 = 100_000;
const EVENTS_PER_SECOND: f64 = 200.0;
const CONSOLE_LENGTH: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

const SOAK_PER_SECOND: f64 = 500.0;
const SOAK_LENGTH: u64 = 600;
const BETWEEN_SAMPLES: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const MINUTES_WARM: usize = 2;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let seconds = arguments.iter().position(|argument| argument == "--seconds");
    let seconds = seconds.and_then(|place| arguments.get(place + 1)?.parse().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let store = if has("--redis") { Store::Redis } else { Store::Sqlite };
    if has("console") || !has("soak") {
        console(&runtime, store);
    }
    if has("soak") {
        soak(store, Duration::from_secs(seconds.unwrap_or(SOAK_LENGTH)));
    }
}

/// What the gateway stands on.
#[derive(Clone, Copy)]
enum Store {
    Sqlite,
    Redis,
}

/// A gateway, and a CareSoft in front of which it stands.
struct Gateway {
    process: Process,
    public: SocketAddr,
    admin: SocketAddr,
    sandbox: Sandbox,
    _redis: Option<Process>,
    _folder: TempDir,
}

impl Gateway {
    fn start(store: Store) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let sandbox = Sandbox::new(Options::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = listener.local_addr().unwrap();
        tokio::spawn(sandbox.serve(listener, std::future::pending()));
        let (public, admin) = (free_address(), free_address());
        let (redis, url) = match store {
            Store::Sqlite => {
                (None, format!("sqlite:{}", folder.path().join("leadgate.db").display()))
            }
            Store::Redis => {
                let (redis, url) =
                    redis::start(Command::new("env"), folder.path(), Fsync::EverySecond);
                (Some(redis), url)
            }
        };
        let gateway = process::Gateway { public, admin, store: &url, upstream };
        let mut command = Command::new("env");
        command.arg("-i");
        let process = gateway.serve(command, folder.path());
        Self { process, public, admin, sandbox, _redis: redis, _folder: folder }
    }

    /// Posts at an even pace, each another person, on a thread of its own.
    fn load(&self, mut people: u32, rate: Option<f64>, length: Duration) -> JoinHandle<Figures> {
        let load = Load { address: self.public, connections: CONNECTIONS, rate, length };
        std::thread::spawn(move || load.run(&mut people))
    }

    fn sample(&self) -> Sample {
        let process = &self.process;
        Sample {
            resident_mib: process.resident_mib(),
            files: process.files() as f64,
            threads: process.threads(),
        }
    }
}

struct Sample {
    resident_mib: f64,
    files: f64,
    threads: f64,
}

impl Sample {
    /// The mean of some, one at least.
    fn mean(of: &[Self]) -> Self {
        let mean = |value: fn(&Self) -> f64| of.iter().map(value).sum::<f64>() / of.len() as f64;
        Self {
            resident_mib: mean(|sample| sample.resident_mib),
            files: mean(|sample| sample.files),
            threads: mean(|sample| sample.threads),
        }
    }
}

fn console(runtime: &tokio::runtime::Runtime, store: Store) {
    let gateway = Gateway::start(store);
    let mut people = 0;
    while people < RECORDS {
        let fill = gateway.load(people, None, Duration::from_secs(1));
        people += u32::try_from(fill.join().unwrap().answered).unwrap() + CONNECTIONS as u32;
    }
    println!("{people} records, then {EVENTS_PER_SECOND} posts a second");
    let posts = gateway.load(people, Some(EVENTS_PER_SECOND), CONSOLE_LENGTH);
    let (mut took, mut resident) = runtime.block_on(look(&gateway));
    let posts = posts.join().unwrap();
    took.sort_by(f64::total_cmp);
    resident.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!(
        "overview, {} times: p50 {:.1} ms, p95 {:.1} ms, at most {:.1} ms; posts {:.0}/s, p99 {:.1} ms; \
         resident at most {:.1} MiB",
        took.len(),
        at(0.5),
        at(0.95),
        at(1.0),
        posts.per_second(),
        posts.percentile(0.99),
        resident.last().unwrap(),
    );
}

/// Milliseconds of each overview, and the memory after it, for as long as the posts go on.
async fn look(gateway: &Gateway) -> (Vec<f64>, Vec<f64>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let none = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder().redirect(none).no_proxy();
    let client = client.timeout(Duration::from_secs(90)).build().unwrap();
    let url = |path: &str| format!("http://{}{path}", gateway.admin);
    let form = client.post(url("/sign-in")).body(format!("token={ADMIN_TOKEN}"));
    let form = form.header("Content-Type", "application/x-www-form-urlencoded");
    let signed_in = form.header("Origin", url("")).send().await.unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let events = client.get(url("/api/events")).bearer_auth(ADMIN_TOKEN).send().await.unwrap();
    let reader = tokio::spawn(async move {
        let mut events = events;
        while let Ok(Some(_)) = events.chunk().await {}
    });
    let began = Instant::now();
    let (mut took, mut resident) = (Vec::new(), Vec::new());
    while began.elapsed() < CONSOLE_LENGTH - Duration::from_secs(2) {
        let asked = Instant::now();
        let page = client.get(url("/")).header("Cookie", &cookie).send().await.unwrap();
        assert_eq!(page.status(), 200);
        assert!(page.text().await.unwrap().contains("data-live"), "it is the overview");
        took.push(asked.elapsed().as_secs_f64() * 1e3);
        resident.push(gateway.sample().resident_mib);
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    reader.abort();
    (took, resident)
}

fn soak(store: Store, length: Duration) {
    let gateway = Gateway::start(store);
    let kinds = [
        FaultKind::CommitReset,
        FaultKind::Reset,
        FaultKind::Error500,
        FaultKind::Commit502,
        FaultKind::CommitEmpty,
        FaultKind::NoAnswer,
        FaultKind::Slow(Duration::from_millis(800)),
    ];
    for (seed, kind) in (1..).zip(kinds) {
        let fault = Fault { probability: Some(0.03), seed, ..Fault::always(None, kind) };
        gateway.sandbox.inject(fault);
    }
    let posts = gateway.load(0, Some(SOAK_PER_SECOND), length);
    let began = Instant::now();
    let minute = MINUTE.min(length / 10);
    let mut minutes: Vec<Sample> = Vec::new();
    let mut looks: Vec<Sample> = Vec::new();
    println!(
        "{:>8} {:>14} {:>6} {:>8} {:>8}",
        "seconds", "resident MiB", "files", "threads", "leads"
    );
    while !posts.is_finished() {
        std::thread::sleep(BETWEEN_SAMPLES.min(minute / 4));
        looks.push(gateway.sample());
        let passed = began.elapsed();
        if passed >= minute * (minutes.len() as u32 + 1) && passed < length + minute / 2 {
            let mean = Sample::mean(&std::mem::take(&mut looks));
            println!(
                "{:8.0} {:14.1} {:6.1} {:8.1} {:8}",
                passed.as_secs_f64(),
                mean.resident_mib,
                mean.files,
                mean.threads,
                gateway.sandbox.leads().len()
            );
            minutes.push(mean);
        }
    }
    let posts = posts.join().unwrap();
    println!(
        "{} posts, all answered 202: {:.0}/s, p50 {:.1} ms, p99 {:.1} ms",
        posts.answered,
        posts.per_second(),
        posts.percentile(0.5),
        posts.percentile(0.99)
    );
    let warm = minutes.len().min(MINUTES_WARM);
    for (what, of) in [
        ("resident MiB", (|sample| sample.resident_mib) as fn(&Sample) -> f64),
        ("files", |sample| sample.files),
        ("threads", |sample| sample.threads),
    ] {
        let values = minutes[warm..].iter().map(of);
        let low = values.clone().fold(f64::MAX, f64::min);
        let high = values.fold(0.0, f64::max);
        let swing = 100.0 * (high - low) / (high + low);
        println!(
            "{what}: {low:.1} to {high:.1}, ± {swing:.1} %, after the first {warm} of {minute:?}"
        );
    }
}
