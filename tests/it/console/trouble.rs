//! What is to be mended, tried and replayed from a page.

use leadgate::sandbox::Options;
use serde_json::json;
use tempfile::TempDir;

use super::operator::{Operator, location};
use crate::gateway::{Backing, CareSoft, Gateway, configuration};

/// The preview tries what is kept against the mapping as it is now; a bulk replay takes what is of use.
#[tokio::test]
async fn what_was_quarantined_is_tried_live_and_replayed() {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let quarantine = "invalid = \"quarantine\"";
    let mut config = configuration(&Backing::Sqlite, &folder, caresoft.address, quarantine);
    let before = Gateway::run(&config, TempDir::new().unwrap()).await;
    let useful = before.submit(json!({"goi_lai_cho": "0900000003"})).await;
    let useless = before.submit(json!({"dich_vu": "A"})).await;
    let operator = Operator::sign_in(&before).await;
    assert!(operator.page(&group(&operator).await).await.contains("0/2"));
    let refused = operator.post(&format!("/leads/{useful}/replay"), &[]).await;
    assert_eq!(refused.status(), 409);
    before.stop().await;

    for source in config.sources.values_mut() {
        source.fields.insert("phone".into(), vec!["goi_lai_cho".into()]);
    }
    let gateway = Gateway::run(&config, TempDir::new().unwrap()).await;
    let operator = Operator::sign_in(&gateway).await;
    let group = group(&operator).await;
    let preview = operator.page(&group).await;
    assert!(preview.contains("1/2") && preview.contains("id=\"number\">2<"), "{preview}");
    let done = operator.post(&format!("{group}/replay"), &[]).await;
    assert_eq!(location(&done), "/trouble?done=replayed-1");
    assert!(operator.page("/trouble?done=replayed-1").await.contains("Replayed: 1"));
    gateway.settled(&useful, &["created"]).await;
    assert_eq!(gateway.record(&useless).await["state"], "quarantined");
    assert_eq!(caresoft.leads_of("0900000003").len(), 1);
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

/// The address of the only group of what is to be mended.
async fn group(operator: &Operator<'_>) -> String {
    let page = operator.page("/trouble").await;
    let (_, rest) = page.split_once("href=\"/trouble/").unwrap();
    format!("/trouble/{}", rest.split('"').next().unwrap())
}
