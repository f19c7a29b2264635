//! What comes again, and what only looks like it.

use leadgate::sandbox::Options;
use serde_json::json;

use super::{gateway, records};
use crate::gateway::{CareSoft, eventually};

/// A platform without ids posts twice what it posted once; another content is another submission.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_content_is_the_same_submission_where_there_is_no_id() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = gateway(&caresoft, "preset = \"ladipage\"").await;
    let form = |message: &str| json!({"phone": "0900000001", "message": message});
    let first = gateway.submit(form("một")).await;
    assert_eq!(gateway.submit(form("một")).await, first);
    let other = gateway.submit(form("hai")).await;
    assert_ne!(other, first);
    assert_eq!(gateway.record(&other).await["state"], "merged");
    assert_eq!(records(&gateway).await.len(), 2);
    gateway.stop().await;
}

/// What LadiPage captures of a form that is not sent yet, and the form itself, are one lead that says
/// both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_captured_of_a_form_and_the_form_are_one_lead() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = gateway(&caresoft, "preset = \"ladipage\"").await;
    let captured = json!({"phone": "0900000001", "status_send": "capture", "utm_source": "zalo"});
    let first = gateway.submit(captured).await;
    gateway.settled(&first, &["created"]).await;
    let whole = json!({"phone": "0900000001", "name": "Thử", "message": "cần tư vấn"});
    let second = gateway.submit(whole).await;
    let record = gateway.record(&second).await;
    assert_eq!((&record["state"], &record["duplicate_of"]), (&json!("merged"), &json!(first)));
    let lead = eventually("the lead says both", || async {
        let [lead] = <[_; 1]>::try_from(caresoft.leads_of("0900000001")).ok()?;
        let is_said = lead.comments.iter().any(|comment| comment.body.contains("cần tư vấn"));
        is_said.then_some(lead)
    })
    .await;
    assert!(lead.received["ref_url"].as_str().unwrap().contains("utm_source=zalo"));
    gateway.stop().await;
}

/// Two sites on one source count their entries from 1 each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_two_sites_give_takes_nobody_for_another() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = gateway(&caresoft, "preset = \"formidable\"").await;
    for phone in ["0900000001", "0900000002", "0900000002"] {
        let body = json!({"item_id": "12", "dien_thoai": phone});
        assert_eq!(gateway.post().json(&body).send().await.unwrap().status(), 200);
    }
    let found = records(&gateway).await;
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|record| record["external_id"] == "12"), "{found:#?}");
    gateway.stop().await;
}
