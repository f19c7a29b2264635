//! Posts of several events, and events of no use.

use leadgate::sandbox::Options;
use serde_json::{Value, json};

use super::{gateway, records};
use crate::gateway::CareSoft;

/// An event that does not say what it is may be a lead: it is no other event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_no_kind_is_kept() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = gateway(&caresoft, "preset = \"tiktok-lead\"").await;
    for (body, outcome) in [
        (json!({"object": 2, "entry": [{"id": "t-1"}]}), "ignored"),
        (json!({"objects": 1, "entry": [{"id": "t-2"}]}), "quarantined"),
    ] {
        assert_eq!(gateway.post().json(&body).send().await.unwrap().status(), 200);
        let line = "leadgate_submissions_total{source=\"website\",outcome=";
        assert_eq!(gateway.metric(&format!("{line}\"{outcome}\"}}")).await, 1.0, "{outcome}");
    }
    let found = records(&gateway).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["reason"], "it does not say what kind of event it is");
    gateway.stop().await;
}

/// Whoever sends several at once is told of none alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_forms_the_unusable_is_kept_and_the_others_are_taken() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = gateway(&caresoft, "preset = \"web-form\"\ninvalid = \"reject\"").await;
    let crowded: Value =
        (0..1001).map(|n| (format!("f{n}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    let forms = json!([{"phone": "0900000001"}, {"name": "Thử"}, crowded, {"phone": "0900000002"}]);
    let answer = gateway.post().json(&forms).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["ids"].as_array().unwrap().len(), 4);
    let found = records(&gateway).await;
    let kept = found.iter().filter(|record| record["state"] == "quarantined").count();
    assert_eq!((found.len(), kept), (4, 2), "{found:#?}");
    // Where nothing of it can be taken, nothing is.
    let forms = json!([{"name": "Một"}, {"name": "Hai"}]);
    assert_eq!(gateway.post().json(&forms).send().await.unwrap().status(), 422);
    assert_eq!(records(&gateway).await.len(), 4);
    gateway.stop().await;
}

/// A post of several events of which none can be used: each is kept, by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_that_cannot_be_used_is_kept_by_itself() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = gateway(&caresoft, "preset = \"tiktok-lead\"").await;
    let name = |name: &str| json!([{"field": "name", "value": name}]);
    let body = json!({"object": 1, "entry": [
        {"id": "t-1", "changes": name("Thử Một")},
        {"id": "t-2", "changes": name("Thử Hai")},
        {"id": "t-3"},
        {"id": "t-4", "changes": [{"field": "phone", "value": "0900000001"}]},
    ]});
    assert_eq!(gateway.post().json(&body).send().await.unwrap().status(), 200);
    let found = records(&gateway).await;
    let states: Vec<_> = found.iter().map(|record| record["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|state| **state == "quarantined").count(), 3, "{states:?}");
    assert_eq!(found.len(), 4);
    for (id, name) in [("t-1", "Thử Một"), ("t-2", "Thử Hai")] {
        let record = found.iter().find(|record| record["external_id"] == id).unwrap();
        assert_eq!(record["lead"]["name"], name);
    }
    gateway.stop().await;
}
