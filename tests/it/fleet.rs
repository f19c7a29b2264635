//! Several gateways on one Redis.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use leadgate::sandbox::{Options, Route};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::{CareSoft, eventually, http_client, id_of, toml_of};
use crate::load::{Load, assert_kept, assert_nobody_twice, until_metric, until_metric_within};
use crate::served::{Served, figure};
use crate::servers::Redis;

/// Some thousand leads on a slow machine.
pub const BACKLOG_PATIENCE: Duration = Duration::from_secs(180);

pub const NOTHING_WAITS: &str = r#"leadgate_queue_depth{destination="main"} 0"#;
pub const NOTHING_SPOOLED: &str = "leadgate_spool_depth 0";

/// A CareSoft that is no bottleneck.
pub fn fast() -> CareSoft {
    CareSoft::start(Options {
        rate_per_second: 2_000,
        rate_per_hour: 7_200_000,
        ..Options::default()
    })
}

/// The configuration of a gateway on `url`, with files of its own in `folder`.
pub fn configuration(url: &str, folder: &Path, caresoft: &CareSoft, rate: u32) -> String {
    let store = format!("url = \"{url}\"\nspool = \"{}\"", folder.join("spool.db").display());
    let rates = format!("rate = {{ per_second = {rate}, per_hour = {} }}", rate * 3600);
    let before = "rate = { per_second = 15, per_hour = 54000 }";
    let text = toml_of(&store, caresoft.address, "");
    assert!(text.contains(before));
    text.replace(before, &rates)
}

/// A gateway with a folder of its own.
pub struct Replica {
    pub served: Served,
    _folder: TempDir,
}

impl Replica {
    pub async fn start(url: &str, caresoft: &CareSoft, rate: u32) -> Self {
        let folder = TempDir::new().unwrap();
        let text = configuration(url, folder.path(), caresoft, rate);
        Self { served: Served::start(folder.path(), &text).await, _folder: folder }
    }

    pub async fn two(url: &str, caresoft: &CareSoft, rate: u32) -> [Self; 2] {
        let starting = join_all([(); 2].map(|()| Self::start(url, caresoft, rate))).await;
        starting.try_into().unwrap_or_else(|_| panic!("two were started"))
    }

    pub fn endpoint(&self) -> String {
        self.served.endpoint("website")
    }
}

pub fn appending() -> Redis {
    Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
}

/// When each create came, in order.
fn creates(caresoft: &CareSoft) -> Vec<Instant> {
    let log = caresoft.sandbox.log();
    log.iter().filter(|entry| entry.route == Route::CreateLead).map(|entry| entry.arrived).collect()
}

/// Invariants 2 and 6 over a fleet: 60 people, each posted six times, over both replicas at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_make_one_lead_of_each_of_60_people_at_one_pace() {
    const RATE: u32 = 12;
    // Requests leave 2 % further apart than the rate asks. How far apart they arrive is also the
    // machine's doing: what it delays by more than this is not held against the gateways.
    const JITTER: Duration = Duration::from_millis(150);
    let caresoft = CareSoft::start(Options::default());
    let redis = appending();
    let replicas = Replica::two(&redis.url(), &caresoft, RATE).await;
    let http = http_client();
    let posts = (0..360).map(|number| {
        let url = replicas[number % 2].endpoint();
        let spelling = match number % 3 {
            0 => format!("09000000{:02}", number / 6),
            1 => format!("+849000000{:02}", number / 6),
            _ => format!("(+84) 0900 000.0{:02}", number / 6),
        };
        let post = http.post(url).json(&json!({ "phone": spelling })).send();
        async move { id_of(post.await.unwrap()).await }
    });
    let ids = join_all(posts).await;
    until_metric(&replicas[0].served, NOTHING_WAITS).await;

    assert_eq!(caresoft.sandbox.leads().len(), 60);
    assert_nobody_twice(&caresoft);
    for replica in &replicas {
        assert_kept(&replica.served, &ids).await;
        let metrics = replica.served.metrics().await;
        assert_eq!(figure(&metrics, r#"leadgate_records{state="created"}"#), 60.0);
        assert_eq!(figure(&metrics, r#"leadgate_records{state="merged"}"#), 300.0);
        assert!(
            figure(&metrics, r#"leadgate_speed_to_lead_seconds_count{source="website"}"#) > 0.0,
            "each of them sends"
        );
    }
    let sent = creates(&caresoft);
    for (first, at) in sent.iter().enumerate() {
        let second = Duration::from_secs(1) - JITTER;
        let together = sent[first..].iter().take_while(|later| **later - *at < second).count();
        assert!(together <= RATE as usize, "{together} in less than a second");
    }
    assert!(caresoft.sandbox.log().iter().all(|entry| entry.status != Some(429)));
    let took = sent[sent.len() - 1] - sent[0];
    let used =
        f64::from(u32::try_from(sent.len() - 1).unwrap()) / took.as_secs_f64() / f64::from(RATE);
    println!("{:.1} % of the pace was used", used * 100.0);
    assert!(used >= 0.85, "{used} of the pace: both wait for each other");
}

/// A submission that one replica took is sent by another, and soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_intake_accepts_a_worker_sends() {
    let caresoft = fast();
    let redis = appending();
    // One configuration, one folder, as on one machine.
    let folder = TempDir::new().unwrap();
    let start = async |role: &str| {
        let text = configuration(&redis.url(), folder.path(), &caresoft, 500);
        let file = folder.path().join("leadgate.toml");
        std::fs::write(&file, text).unwrap();
        let mut command = crate::served::leadgate(folder.path());
        command.args(["serve", "--role", role, "--config"]).arg(&file);
        Served::spawn(command).await
    };
    let intake = start("intake").await;
    let worker = start("worker").await;
    assert!(!worker.takes_submissions());
    let mut waits = Vec::new();
    for number in 0..20 {
        let body = json!({"phone": format!("09000000{number:02}")});
        let answer = http_client().post(intake.endpoint("website")).json(&body).send().await;
        let id = id_of(answer.unwrap()).await;
        let record = intake.settled(&id, "created").await;
        let at = |text: &Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        waits.push(
            at(&record["settled_at"]).as_millisecond()
                - at(&record["received_at"]).as_millisecond(),
        );
    }
    waits.sort_unstable();
    println!(
        "accepted by one, created by another: {} ms median, {} ms at most",
        waits[10], waits[19]
    );
    assert!(waits[10] < 500, "{waits:?}: it was found by looking, not by being told");
    assert_eq!(caresoft.sandbox.leads().len(), 20);
}

/// A fleet that has nothing to do leaves Redis alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_fleet_costs_redis_little() {
    const WINDOW: Duration = Duration::from_secs(5);
    let caresoft = fast();
    let redis = appending();
    let _replicas = Replica::two(&redis.url(), &caresoft, 12).await;
    let commands = || -> u64 {
        let info: String = redis.query(&["INFO", "stats"]);
        let line = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        line.unwrap().trim().parse().unwrap()
    };
    let (began, before) = (Instant::now(), commands());
    eventually("some seconds of idleness", || async { (began.elapsed() >= WINDOW).then_some(()) })
        .await;
    let each = (commands() - before) as f64 / began.elapsed().as_secs_f64() / 2.0;
    println!("{each:.1} commands a second from each replica");
    assert!(each < 20.0, "{each} commands a second from each");
}

/// Invariants 1, 4 and 5: one of two replicas is killed while both send; the other finishes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replica_is_finished_for() {
    let caresoft = fast();
    let redis = appending();
    let [killed, other] = Replica::two(&redis.url(), &caresoft, 300).await;
    let load = Load::keep_on(&[killed.endpoint(), other.endpoint()], 0);
    load.has_accepted(400).await;
    killed.served.signal("-KILL");
    let so_far = load.accepted();
    load.has_accepted(so_far + 200).await;
    let accepted = load.stop().await;
    // What the killed one had in flight is unknown once its leases have ended.
    until_metric_within(BACKLOG_PATIENCE, &other.served, NOTHING_WAITS).await;
    assert_kept(&other.served, &accepted).await;
    assert_nobody_twice(&caresoft);
    assert_created_or_unknown(&other.served, &caresoft).await;
}

/// What CareSoft has is what the ledger calls created, and perhaps some that it calls unknown.
pub async fn assert_created_or_unknown(served: &Served, caresoft: &CareSoft) {
    let metrics = served.metrics().await;
    let count = |state: &str| figure(&metrics, &format!("leadgate_records{{state=\"{state}\"}}"));
    let (created, unknown) = (count("created"), count("unknown"));
    let leads = caresoft.sandbox.leads().len() as f64;
    assert!(
        (created..=created + unknown).contains(&leads),
        "{created} created and {unknown} unknown here, {leads} there"
    );
    for state in ["pending", "dead", "quarantined", "test", "erased"] {
        assert_eq!(count(state), 0.0, "{state}: {}", served.log());
    }
}
