//! What may have been made is looked for, end to end.

use std::time::Duration;

use leadgate::lead::Clock;
use leadgate::sandbox::{Fault, FaultKind, Options, Route};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::{Backing, CareSoft, Gateway, configuration, eventually, over_every_store};

over_every_store!(
    an_answer_lost_after_commit_is_found_and_never_sent_again,
    a_request_lost_before_commit_is_sent_again_once,
    a_list_that_fails_decides_nothing,
);

/// A gateway by a clock that `hand` puts forward, and a CareSoft by the same.
async fn bed(store: &Backing) -> (CareSoft, Gateway, leadgate::lead::Hand) {
    let (clock, hand) = Clock::with_hand();
    let options = Options { clock: clock.clone(), ..Options::default() };
    let caresoft = CareSoft::start(options);
    let folder = TempDir::new().unwrap();
    let config = configuration(store, &folder, caresoft.address, "");
    let gateway = Gateway::run_by(clock, &config, folder).await;
    (caresoft, gateway, hand)
}

/// The record, once it is `created`; the clock is put forward to whatever is waited for.
async fn created(gateway: &Gateway, hand: &leadgate::lead::Hand, id: &str) -> Value {
    eventually("it is created", || async {
        let record = gateway.record(id).await;
        if record["state"] == "unknown" {
            hand.skip(Duration::from_secs(1)); // a lease lasts longer than a look by far
        }
        (record["state"] == "created").then_some(record)
    })
    .await
}

fn outcomes(record: &Value) -> Vec<&str> {
    let history = record["history"].as_array().unwrap().iter();
    history.filter_map(|event| event["outcome"].as_str()).collect()
}

fn creates(caresoft: &CareSoft) -> usize {
    caresoft.sandbox.log().iter().filter(|entry| entry.route == Route::CreateLead).count()
}

async fn an_answer_lost_after_commit_is_found_and_never_sent_again(store: Backing) {
    let (caresoft, gateway, hand) = bed(&store).await;
    caresoft.sandbox.inject(Fault::once(Route::CreateLead, FaultKind::CommitReset));
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    let record = created(&gateway, &hand, &id).await;
    assert_eq!(creates(&caresoft), 1);
    let leads = caresoft.leads_of("0900000001");
    assert_eq!(record["upstream"]["lead_id"], json!(leads[0].id));
    assert_eq!(outcomes(&record).first(), Some(&"unknown"));
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

async fn a_request_lost_before_commit_is_sent_again_once(store: Backing) {
    let (caresoft, gateway, hand) = bed(&store).await;
    caresoft.sandbox.inject(Fault::once(Route::CreateLead, FaultKind::Error500));
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    let record = created(&gateway, &hand, &id).await;
    assert_eq!(caresoft.leads_of("0900000001").len(), 1);
    assert_eq!(creates(&caresoft), 2);
    assert_eq!(outcomes(&record), ["unknown", "absent", "send_again", "created"]);
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

/// CareSoft's list answers 500 for a while: that is no empty page, and the lead is not sent again.
async fn a_list_that_fails_decides_nothing(store: Backing) {
    let (caresoft, gateway, hand) = bed(&store).await;
    caresoft.sandbox.inject(Fault::once(Route::CreateLead, FaultKind::CommitReset));
    let fails = Fault::always(Some(Route::Leads), FaultKind::Error500);
    caresoft.sandbox.inject(Fault { times: Some(3), ..fails });
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    let record = created(&gateway, &hand, &id).await;
    assert_eq!(creates(&caresoft), 1);
    assert_eq!(outcomes(&record), ["unknown", "unclear", "unclear", "unclear", "created"]);
    gateway.stop().await;
}
