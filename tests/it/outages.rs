//! What Redis does to gateways: it dies, it is full, it comes back, it comes back empty, another one
//! takes over.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fleet::{
    BACKLOG_PATIENCE, NOTHING_SPOOLED, NOTHING_WAITS, Replica, appending,
    assert_created_or_unknown, configuration, fast,
};
use crate::gateway::{CareSoft, PATIENCE, eventually, eventually_within, http_client, id_of};
use crate::load::{Load, assert_kept, assert_nobody_twice, until_metric, until_metric_within};
use crate::served::Served;
use crate::servers::{Cluster, Redis, Sentinels};

/// Redis is full: it refuses some commands and does others. That is told once, not each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_is_told_of_once_and_its_forms_are_spooled() {
    let caresoft = fast();
    let redis = appending();
    let replica = Replica::start(&redis.url(), &caresoft, 300).await;
    let before = replica.served.log_lines();
    redis.query::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let (http, mut ids) = (http_client(), Vec::new());
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    for number in 0..30 {
        let body = json!({"phone": format!("09000000{number:02}")});
        let answer = http.post(replica.endpoint()).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        ids.push(id_of(answer).await);
        pace.tick().await; // the spool is tried again all the while
    }
    let log = replica.served.log();
    let told: Vec<_> = log.lines().skip(before).map(message_of).collect();
    let times = |message: &String| told.iter().filter(|other| *other == message).count();
    assert!(!told.is_empty(), "somebody says that Redis is full");
    assert!(told.iter().all(|message| times(message) == 1), "each once: {told:#?}");
    redis.query::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    until_metric(&replica.served, NOTHING_SPOOLED).await;
    for id in &ids {
        replica.served.settled(id, "created").await;
    }
}

/// What a line of the log says, without its fields.
fn message_of(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    line["message"].as_str().unwrap().to_owned()
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
