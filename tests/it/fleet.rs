//! Several gateways on one Redis, and what Redis does to them: it dies, it comes back, it comes
//! back empty, another one takes over.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use leadgate::sandbox::{Options, Route};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::{
    CareSoft, PATIENCE, eventually, eventually_within, http_client, id_of, toml_of,
};
use crate::load::{Load, assert_kept, assert_nobody_twice, until_metric, until_metric_within};
use crate::served::{Served, figure};
use crate::servers::{Cluster, Redis, Sentinels};

/// Some thousand leads on a slow machine.
const BACKLOG_PATIENCE: Duration = Duration::from_secs(180);

const NOTHING_WAITS: &str = r#"leadgate_queue_depth{destination="main"} 0"#;
const NOTHING_SPOOLED: &str = "leadgate_spool_depth 0";

/// A CareSoft that is no bottleneck.
fn fast() -> CareSoft {
    CareSoft::start(Options {
        rate_per_second: 2_000,
        rate_per_hour: 7_200_000,
        ..Options::default()
    })
}

/// The configuration of a gateway on `url`, with files of its own in `folder`.
fn configuration(url: &str, folder: &Path, caresoft: &CareSoft, rate: u32) -> String {
    let store = format!("url = \"{url}\"\nspool = \"{}\"", folder.join("spool.db").display());
    let rates = format!("rate = {{ per_second = {rate}, per_hour = {} }}", rate * 3600);
    let before = "rate = { per_second = 15, per_hour = 54000 }";
    let text = toml_of(&store, caresoft.address, "");
    assert!(text.contains(before));
    text.replace(before, &rates)
}

/// A gateway with a folder of its own.
struct Replica {
    served: Served,
    _folder: TempDir,
}

impl Replica {
    async fn start(url: &str, caresoft: &CareSoft, rate: u32) -> Self {
        let folder = TempDir::new().unwrap();
        let text = configuration(url, folder.path(), caresoft, rate);
        Self { served: Served::start(folder.path(), &text).await, _folder: folder }
    }

    async fn two(url: &str, caresoft: &CareSoft, rate: u32) -> [Self; 2] {
        let starting = join_all([(); 2].map(|()| Self::start(url, caresoft, rate))).await;
        starting.try_into().unwrap_or_else(|_| panic!("two were started"))
    }

    fn endpoint(&self) -> String {
        self.served.endpoint("website")
    }
}

fn appending() -> Redis {
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
async fn assert_created_or_unknown(served: &Served, caresoft: &CareSoft) {
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

/// Invariant 1: Redis is killed under load and comes back with what it had on the disk. Nothing
/// that got a 202 is missing, whether Redis or the spool had taken it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_got_a_202_is_lost_when_redis_is_killed() {
    let caresoft = fast();
    let mut redis = appending();
    let replicas = Replica::two(&redis.url(), &caresoft, 300).await;
    let urls = [replicas[0].endpoint(), replicas[1].endpoint()];
    let load = Load::keep_on(&urls, 0);
    for round in 1..=3 {
        load.has_accepted(round * 400).await;
        redis.kill();
        let so_far = load.accepted();
        load.has_accepted(so_far + 200).await; // by the spools
        redis.start_again();
    }
    let so_far = load.accepted();
    load.has_accepted(so_far + 100).await;
    let accepted = load.stop().await;
    for replica in &replicas {
        until_metric_within(BACKLOG_PATIENCE, &replica.served, NOTHING_SPOOLED).await;
    }
    until_metric_within(BACKLOG_PATIENCE, &replicas[0].served, NOTHING_WAITS).await;
    assert_kept(&replicas[1].served, &accepted).await;
    assert_nobody_twice(&caresoft);
    assert_created_or_unknown(&replicas[0].served, &caresoft).await;
}

/// Redis is away for ten seconds: forms are answered 202 all the while, the gateway says that it
/// spools, and the leads arrive when Redis is back, queued in the order in which they came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_are_taken_while_redis_is_away_and_the_leads_arrive_after() {
    const AWAY: Duration = Duration::from_secs(10);
    let caresoft = fast();
    let mut redis = appending();
    let replica = Replica::start(&redis.url(), &caresoft, 300).await;
    let http = http_client();
    let mut ids = Vec::new();
    let post = async |number: usize| {
        let body = json!({"phone": format!("0900000{number:03}"), "name": format!("Thử {number}")});
        let answer = http.post(replica.endpoint()).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        id_of(answer).await
    };
    ids.push(post(0).await);
    redis.stop();
    let (away, mut pace) = (Instant::now(), tokio::time::interval(Duration::from_millis(100)));
    while away.elapsed() < AWAY {
        ids.push(post(ids.len()).await);
        pace.tick().await; // a form now and then
    }
    let ready = replica.served.admin_get("/readyz").await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
    let ready: Value = ready.json().await.unwrap();
    assert_eq!((&ready["status"], &ready["store"]["state"]), (&json!("spooling"), &json!("down")));
    assert!(ready["spool"]["depth"].as_u64().unwrap() >= 50, "{ready}");

    redis.start_again();
    for id in &ids {
        replica.served.settled(id, "created").await;
    }
    until_metric(&replica.served, NOTHING_SPOOLED).await;
    let listed = replica.served.admin_get("/api/leads?limit=500").await.unwrap();
    let listed: Value = listed.json().await.unwrap();
    let listed = listed["leads"].as_array().unwrap().iter().rev();
    let listed: Vec<_> = listed.map(|lead| lead["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, ids, "in the order in which they came");
    assert_eq!(caresoft.sandbox.leads().len(), ids.len());
    assert_few_lines(&replica.served, away.elapsed());
}

/// A trouble is told when it begins and when it ends, not all the while.
fn assert_few_lines(served: &Served, during: Duration) {
    let lines = served.log_lines();
    let allowed = 100.0 * (during.as_secs_f64() / 60.0).max(1.0);
    assert!((lines as f64) < allowed, "{lines} lines of log in {during:?}");
}

/// What was spooled when the gateway died is admitted by the next one, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_outlives_its_gateway() {
    let caresoft = fast();
    let mut redis = appending();
    let folder = TempDir::new().unwrap();
    let text = configuration(&redis.url(), folder.path(), &caresoft, 300);
    redis.stop();
    // It starts while Redis is away, and spools.
    let served = Served::start(folder.path(), &text).await;
    let load = Load::keep_on(&[served.endpoint("website")], 0);
    load.has_accepted(100).await;
    served.signal("-KILL");
    let accepted = load.stop().await;

    redis.start_again();
    let served = Served::start(folder.path(), &text).await;
    until_metric(&served, NOTHING_SPOOLED).await;
    until_metric_within(BACKLOG_PATIENCE, &served, NOTHING_WAITS).await;
    assert_kept(&served, &accepted).await;
    assert_nobody_twice(&caresoft);
    assert_created_or_unknown(&served, &caresoft).await;
}

/// Redis comes back with nothing in it: the gateway goes on without a restart, and says little.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_empty_is_gone_on_with() {
    let caresoft = fast();
    let mut redis = Redis::start();
    let replica = Replica::start(&redis.url(), &caresoft, 300).await;
    let began = Instant::now();
    let http = http_client();
    let post = async |phone: &str| {
        let answer = http.post(replica.endpoint()).json(&json!({ "phone": phone })).send().await;
        id_of(answer.unwrap()).await
    };
    let gone = post("0900000001").await;
    replica.served.settled(&gone, "created").await;
    redis.kill();
    let spooled = post("0900000002").await;
    redis.start_empty();
    let after = eventually("it is ready", || async {
        let ready = replica.served.admin_get("/readyz").await?;
        let ready: Value = ready.json().await.ok()?;
        (ready["status"] == "ready").then_some(())
    });
    after.await;
    let fresh = post("0900000003").await;
    for id in [&spooled, &fresh] {
        replica.served.settled(id, "created").await;
    }
    let found = replica.served.admin_get(&format!("/api/leads/{gone}")).await.unwrap();
    assert_eq!(found.status(), StatusCode::NOT_FOUND);
    let metrics = replica.served.metrics().await;
    assert!(metrics.lines().any(|line| line == "leadgate_ledger_residue 0"));
    assert_few_lines(&replica.served, began.elapsed());
}

/// Another server has taken over, and may lack the last moments: the load goes on, everything is
/// worked off, the ledger sums, and nobody is sent twice.
async fn assert_gone_on_with(load: Load, replicas: &[Replica], caresoft: &CareSoft) {
    let so_far = load.accepted();
    load.has_accepted(so_far + 200).await;
    load.stop().await;
    for replica in replicas {
        until_metric_within(BACKLOG_PATIENCE, &replica.served, NOTHING_SPOOLED).await;
    }
    until_metric_within(BACKLOG_PATIENCE, &replicas[0].served, NOTHING_WAITS).await;
    assert_nobody_twice(caresoft);
    let metrics = replicas[0].served.metrics().await;
    assert!(metrics.lines().any(|line| line == "leadgate_ledger_residue 0"), "{metrics}");
}

/// Sentinels make a replica the master under load: the ledger sums, and nobody is sent twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_failover_sends_nobody_twice() {
    let caresoft = fast();
    let mut sentinels = Sentinels::start();
    let replicas = Replica::two(&sentinels.url(), &caresoft, 200).await;
    let load = Load::keep_on(&[replicas[0].endpoint(), replicas[1].endpoint()], 0);
    load.has_accepted(400).await;
    let failed = sentinels.kill_master();
    sentinels.wait_for_another_master(failed);
    assert_gone_on_with(load, &replicas, &caresoft).await;
}

/// The cluster's node that serves the lane dies under load, and its replica takes over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_cluster_node_sends_nobody_twice() {
    let caresoft = fast();
    let mut cluster = Cluster::start(3, 1);
    let replicas = Replica::two(&cluster.url(), &caresoft, 200).await;
    let load = Load::keep_on(&[replicas[0].endpoint(), replicas[1].endpoint()], 0);
    load.has_accepted(400).await;
    let serving = cluster.master_of("{main}");
    cluster.kill(serving);
    eventually_within(PATIENCE * 2, "another node takes over", || {
        let now = cluster.master_of("{main}");
        async move { (now != serving).then_some(()) }
    })
    .await;
    assert_gone_on_with(load, &replicas, &caresoft).await;
}

/// A Redis that would throw leads away is refused before anything else happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evicting_redis_is_refused_with_what_to_set() {
    let caresoft = fast();
    let redis = Redis::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("leadgate.toml");
    std::fs::write(&file, configuration(&redis.url(), folder.path(), &caresoft, 12)).unwrap();
    let mut command = crate::served::leadgate(folder.path());
    let output = command.args(["serve", "--config"]).arg(&file).output().unwrap();
    let told = crate::served::told(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for said in ["store.url", "allkeys-lru", "maxmemory-policy noeviction"] {
        assert!(told.contains(said), "{said} in {told}");
    }
}

/// TLS with a certificate of one's own, and a user with a password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_users_work() {
    let caresoft = fast();
    for redis in
        [Redis::start_tls(), Redis::start_with_user("leadgate", "m-t-kh-u", &["~*", "&*", "+@all"])]
    {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("leadgate.toml");
        std::fs::write(&file, configuration(&redis.url(), folder.path(), &caresoft, 300)).unwrap();
        let mut command = crate::served::leadgate(folder.path());
        command.args(["serve", "--config"]).arg(&file);
        if redis.url().starts_with("rediss") {
            command.env("SSL_CERT_FILE", redis.ca_file());
        }
        let served = Served::spawn(command).await;
        let ready: Value = served.admin_get("/readyz").await.unwrap().json().await.unwrap();
        assert_eq!(ready["store"], json!({"state": "up", "kind": "redis", "durability": "memory"}));
        let body = json!({"phone": "0900000001"});
        let answer = http_client().post(served.endpoint("website")).json(&body).send().await;
        let id = id_of(answer.unwrap()).await;
        served.settled(&id, "created").await;
        assert!(!served.output().contains("m-t-kh-u"));
    }
}

/// What is worth saying of the store is said where an operator looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readyz_says_what_a_2xx_is_worth() {
    let caresoft = fast();
    for (arguments, worth) in [
        (&["--appendonly", "yes", "--appendfsync", "always"][..], "fsync always"),
        (&["--appendonly", "yes", "--appendfsync", "everysec"], "fsync every second"),
        (&[], "memory"),
    ] {
        let redis = Redis::start_with(arguments);
        let replica = Replica::start(&redis.url(), &caresoft, 12).await;
        let ready: Value = replica.served.admin_get("/readyz").await.unwrap().json().await.unwrap();
        assert_eq!(ready["store"]["durability"], worth);
        assert_eq!(ready["spool"], json!({"depth": 0}));
    }
}
