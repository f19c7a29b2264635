//! A person stops a lane and lets it go on.

use leadgate::sandbox::{Fault, FaultKind, Options, Route};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fleet::{Replica, appending, fast};
use crate::gateway::{
    Backing, CareSoft, Gateway, configuration, eventually, http_client, id_of, over_every_store,
    toml_of,
};
use crate::served::{Served, figure};

over_every_store!(
    a_paused_lane_sends_nothing_also_after_a_restart,
    a_lockout_passes_beneath_a_pause,
    going_on_tries_a_mended_configuration_at_once,
);

const PAUSED: &str = r#"leadgate_lane_state{destination="main",state="paused"}"#;

async fn order(gateway: &Gateway, order: &str) -> Value {
    let answered = gateway.admin_post(&format!("/api/lanes/main/{order}"), json!({})).await;
    assert_eq!(answered.status(), 200);
    answered.json().await.unwrap()
}

async fn lane(gateway: &Gateway) -> Value {
    let lanes: Value = gateway.admin_get("/api/lanes").await.json().await.unwrap();
    assert_eq!(lanes["lanes"].as_array().unwrap().len(), 1);
    lanes["lanes"][0].clone()
}

/// Waits until the lane is, for this replica and for all: orders are given to what they share.
async fn is_in(gateway: &Gateway, state: &str) {
    let line = format!("leadgate_lane_state{{destination=\"main\",state=\"{state}\"}}");
    eventually(&format!("the lane is {state}"), || async {
        let is_here = gateway.metric(&line).await == 1.0;
        (is_here && lane(gateway).await["state"] == state).then_some(())
    })
    .await;
}

async fn a_paused_lane_sends_nothing_also_after_a_restart(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let config = configuration(&store, &folder, caresoft.address, "");
    let mut ids = Vec::new();
    for round in 1..=2 {
        let gateway = Gateway::run(&config, TempDir::new().unwrap()).await;
        if round == 1 {
            assert_eq!(order(&gateway, "pause").await["state"], "paused");
        }
        is_in(&gateway, "paused").await;
        ids.push(gateway.submit(json!({"phone": format!("090000000{round}")})).await);
        let shown = lane(&gateway).await;
        let rate = json!({"per_second": 15, "per_hour": 54000});
        assert_eq!((&shown["destination"], &shown["rate"]), (&json!("main"), &rate));
        assert_eq!((&shown["paused"], &shown["pending"]), (&json!(true), &json!(round)));
        assert!(shown["oldest_seconds"].is_u64() && shown["closed"].is_null(), "{shown}");
        gateway.stop().await; // every task had its chance to send
        assert!(caresoft.sandbox.log().is_empty(), "after {round} starts");
    }
    let gateway = Gateway::run(&config, TempDir::new().unwrap()).await;
    assert_eq!(order(&gateway, "resume").await["state"], "open");
    for id in &ids {
        gateway.settled(id, &["created"]).await;
    }
    is_in(&gateway, "open").await;
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

/// A lane that is locked out is paused: the pause does not end the silence beneath it, and
/// going on does not either.
async fn a_lockout_passes_beneath_a_pause(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    caresoft.sandbox.inject(Fault::once(Route::CreateLead, FaultKind::LockOut));
    let gateway = Gateway::over(&store, &caresoft, "").await;
    gateway.submit(json!({"phone": "0900000001"})).await;
    is_in(&gateway, "locked_out").await;
    let paused = order(&gateway, "pause").await;
    assert_eq!((&paused["state"], &paused["closed"]), (&json!("paused"), &json!("locked_out")));
    is_in(&gateway, "paused").await;
    let resumed = order(&gateway, "resume").await;
    assert_eq!((&resumed["state"], &resumed["until"]), (&json!("locked_out"), &paused["until"]));
    is_in(&gateway, "locked_out").await;
    gateway.stop().await;
    assert_eq!(caresoft.sandbox.log().len(), 1);
    assert_eq!(caresoft.sandbox.requests_during_lockout(), 0);
}

/// By itself the lane would look again after a minute.
async fn going_on_tries_a_mended_configuration_at_once(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    caresoft.sandbox.inject(Fault::once(Route::CreateLead, FaultKind::Unauthorized));
    let gateway = Gateway::over(&store, &caresoft, "").await;
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    is_in(&gateway, "misconfigured").await;
    order(&gateway, "resume").await;
    gateway.settled(&id, &["created"]).await;
    is_in(&gateway, "open").await;
    gateway.stop().await;
}

#[tokio::test]
async fn there_is_no_lane_of_that_name() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    for name in ["other", "a%20b"] {
        let path = format!("/api/lanes/{name}/pause");
        assert_eq!(gateway.admin_post(&path, json!({})).await.status(), 404, "{name}");
    }
    assert_eq!(lane(&gateway).await["state"], "open");
    gateway.stop().await;
}

/// Any replica can be asked, and all obey.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_replica_is_asked_and_all_stop() {
    let caresoft = fast();
    let redis = appending();
    let [one, other] = Replica::two(&redis.url(), &caresoft, 100).await;
    let say = async |replica: &Replica, order: &str| {
        let path = format!("/api/lanes/main/{order}");
        let answered = replica.served.admin_post(&path, json!({})).await.unwrap();
        assert_eq!(answered.status(), 200);
    };
    let all_are = async |paused: f64| {
        for replica in [&one, &other] {
            eventually("each replica obeys", || async {
                (figure(&replica.served.metrics().await, PAUSED) == paused).then_some(())
            })
            .await;
        }
    };
    say(&one, "pause").await;
    all_are(1.0).await;
    let mut ids = Vec::new();
    for (number, replica) in [&one, &other, &one, &other].into_iter().enumerate() {
        let body = json!({"phone": format!("090000000{number}")});
        let post = http_client().post(replica.endpoint()).json(&body);
        ids.push(id_of(post.send().await.unwrap()).await);
    }
    // One that starts now obeys as well, and is asked to go on.
    let third = Replica::start(&redis.url(), &caresoft, 100).await;
    eventually("it obeys too", || async {
        (figure(&third.served.metrics().await, PAUSED) == 1.0).then_some(())
    })
    .await;
    assert!(caresoft.sandbox.log().is_empty(), "woken by four posts, nobody has sent");
    say(&third, "resume").await;
    all_are(0.0).await;
    for id in &ids {
        other.served.settled(id, "created").await;
    }
    assert_eq!(caresoft.sandbox.leads().len(), 4);
}

/// The commands, against the real binary.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_stops_a_lane_and_lets_it_go_on() {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let text = toml_of(&Backing::Sqlite.toml(folder.path()), caresoft.address, "");
    let served = Served::start(folder.path(), &text).await;
    let run = |arguments: &[&str]| served.command_line(folder.path(), arguments);
    let (code, said) = run(&["lanes", "pause", "main"]).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&["lanes"]).await;
    assert_eq!(code, Some(0), "{said}");
    let lines: Vec<Vec<&str>> =
        said.lines().map(|line| line.split_whitespace().collect()).collect();
    let heading = ["DESTINATION", "STATE", "UNTIL", "PENDING", "OLDEST", "UNKNOWN", "RATE"];
    assert_eq!(lines[0], heading);
    assert_eq!(lines[1], ["main", "paused", "-", "0", "-", "0", "15/s", "54000/h"]);
    let (code, said) = run(&["lanes", "resume", "main", "--json"]).await;
    let shown: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &shown["state"]), (Some(0), &json!("open")));
    let (code, said) = run(&["lanes", "pause", "mian"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("there is no such destination"), "{said}");
    served.terminate().await;
}
