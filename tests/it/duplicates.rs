//! What a person says later goes to the lead that is there, or that is about to be.

use leadgate::config::OnDuplicate;
use leadgate::sandbox::{Fault, FaultKind, Options, Route};
use serde_json::{Value, json};

use crate::gateway::{Backing, CareSoft, Gateway, eventually, ids_of, over_every_store};

over_every_store!(
    a_later_message_is_added_to_the_lead_once,
    what_joins_a_waiting_lead_goes_into_its_create,
    a_lost_answer_to_a_comment_adds_it_once,
    drop_only_records,
);

/// The record, once its history has such an outcome.
async fn told(gateway: &Gateway, id: &str, outcome: &str) -> Value {
    eventually(&format!("{id} has {outcome}"), || async {
        let record = gateway.record(id).await;
        let mut history = record["history"].as_array()?.iter();
        history.any(|event| event["outcome"] == outcome).then_some(record)
    })
    .await
}

/// How many of the lead's comments hold a text.
fn comments_with(caresoft: &CareSoft, text: &str) -> usize {
    let leads = caresoft.sandbox.leads();
    assert_eq!(leads.len(), 1, "one person, one lead");
    leads[0].comments.iter().filter(|comment| comment.body.contains(text)).count()
}

async fn a_later_message_is_added_to_the_lead_once(store: Backing) {
    // The reading of CareSoft's page that is hardest on a client.
    let options = Options { update_resets_status: true, ..Options::default() };
    let caresoft = CareSoft::start(options);
    let extra = "[sources.website.lead]\nlead_status_id = 558\n";
    let gateway = Gateway::over_with(&store, &caresoft, extra, |config| {
        let main = config.destinations.values_mut().next().expect("a destination");
        main.comment_author_id = Some(124_734_559);
    })
    .await;
    let body = |message: &str, campaign: &str| json!({"phone": "0900000001", "message": message, "utm_campaign": campaign});
    let first = gateway.submit(body("một", "tet")).await;
    gateway.settled(&first, &["created"]).await;
    let later = gateway.submit(body("hai", "he")).await;
    let record = told(&gateway, &later, "added").await;
    assert_eq!(record["state"], "merged");
    // Told apart from the first only by how the number is written: that adds nothing.
    let again = json!({"phone": "+84 900 000 001", "message": "hai", "utm_campaign": "he"});
    let same = gateway.submit(again).await;
    told(&gateway, &same, "nothing_new").await;

    assert_eq!(comments_with(&caresoft, "hai"), 1);
    let lead = caresoft.sandbox.leads().remove(0);
    assert_eq!(lead.lead_status_id, 558, "the status is left as it was");
    let added = lead.comments.last().unwrap();
    assert_eq!((added.is_public, added.author_id), (false, Some(124_734_559)));
    assert!(added.body.contains("utm_campaign: he"), "the last touch: {}", added.body);
    assert!(lead.comments[0].body.contains("utm_campaign: tet"), "and the first");
    gateway.stop().await;
}

async fn what_joins_a_waiting_lead_goes_into_its_create(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::over(&store, &caresoft, "").await;
    let both = json!([
        {"phone": "0900000001", "message": "một"},
        {"phone": "0900000001", "email": "thu@example.vn", "message": "hai"},
    ]);
    let ids = ids_of(gateway.post().json(&both).send().await.unwrap()).await;
    gateway.settled(&ids[0], &["created"]).await;
    told(&gateway, &ids[1], "with_lead").await;
    let lead = caresoft.sandbox.leads().remove(0);
    let comment = lead.received_text("comment").unwrap();
    for said in ["một", "hai", "email: thu@example.vn"] {
        assert!(comment.contains(said), "{said}: {comment}");
    }
    assert!(comment.ends_with(&format!("leadgate:{}", ids[0])));
    assert_eq!(caresoft.sandbox.log().len(), 1, "in one request");
    gateway.stop().await;
}

async fn a_lost_answer_to_a_comment_adds_it_once(store: Backing) {
    let (clock, hand) = leadgate::lead::Clock::with_hand();
    let caresoft = CareSoft::start(Options { clock: clock.clone(), ..Options::default() });
    caresoft.sandbox.inject(Fault::once(Route::UpdateLead, FaultKind::CommitReset));
    let folder = tempfile::TempDir::new().unwrap();
    let config = crate::gateway::configuration(&store, &folder, caresoft.address, "");
    let gateway = Gateway::run_by(clock, &config, folder).await;
    let first = gateway.submit(json!({"phone": "0900000001", "message": "một"})).await;
    gateway.settled(&first, &["created"]).await;
    let later = gateway.submit(json!({"phone": "0900000001", "message": "hai"})).await;
    told(&gateway, &later, "retry").await;
    hand.skip(std::time::Duration::from_secs(10)); // CareSoft may still be at the first one
    told(&gateway, &later, "added_before").await;
    assert_eq!(comments_with(&caresoft, "hai"), 1);
    gateway.stop().await;
}

async fn drop_only_records(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::over_with(&store, &caresoft, "", |config| {
        config.dedup.on_duplicate = OnDuplicate::Drop;
    })
    .await;
    let first = gateway.submit(json!({"phone": "0900000001", "message": "một"})).await;
    gateway.settled(&first, &["created"]).await;
    let later = gateway.submit(json!({"phone": "0900000001", "message": "hai"})).await;
    assert_eq!(gateway.record(&later).await["duplicate_of"], json!(first));
    // One behind it has gone out, so the lane had every occasion to tell.
    let next = gateway.submit(json!({"phone": "0900000002"})).await;
    gateway.settled(&next, &["created"]).await;
    gateway.stop().await;
    assert!(caresoft.sandbox.log().iter().all(|entry| entry.route == Route::CreateLead));
}
