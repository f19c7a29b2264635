//! What no secret opens any more: its page says so, and it can be erased all the same.

use leadgate::sandbox::Options;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::operator::{Operator, location};
use crate::gateway::{Backing, CareSoft, Gateway, configuration, over_every_store};

over_every_store!(what_no_secret_opens_is_told_and_can_be_erased);

async fn what_no_secret_opens_is_told_and_can_be_erased(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let run = async |secrets: &[&str]| {
        let mut config = configuration(&store, &folder, caresoft.address, "");
        config.store.secret = secrets.iter().map(|secret| (*secret).into()).collect();
        Gateway::run(&config, TempDir::new().unwrap()).await
    };
    let (old, new) = ("the old one, long enough", "the new one, long enough");
    let person = |message: &str| json!({"phone": "0900000001", "message": message});

    let gateway = run(&[old]).await;
    let id = gateway.submit(person("một")).await;
    gateway.settled(&id, &["created"]).await;
    gateway.stop().await;
    let gateway = run(&[new, old]).await;
    let joined = gateway.submit(person("hai")).await;
    gateway.settled(&joined, &["merged"]).await;
    let lead = format!("/leads/{id}");
    let page = Operator::sign_in(&gateway).await.page(&lead).await;
    assert!(!page.contains("id=\"unreadable\"") && page.contains("id=\"forget\""));
    gateway.stop().await;

    let gateway = run(&[new]).await;
    let operator = Operator::sign_in(&gateway).await;
    let page = operator.page(&lead).await;
    assert!(page.contains("id=\"unreadable\""), "{page}");
    assert!(page.contains("id=\"forget\"") && page.contains("are not found by it"), "{page}");
    let readable = operator.page(&format!("/leads/{joined}")).await;
    assert!(!readable.contains("id=\"unreadable\""));

    let forget = format!("{lead}/forget");
    assert_eq!(operator.post(&forget, &[]).await.status(), 400, "nobody has said to be sure");
    assert_eq!(gateway.record(&id).await["state"], "created");
    let done = operator.post(&forget, &[("sure", "yes")]).await;
    assert_eq!(done.status(), 303);
    let back = location(&done).to_owned();
    assert!(back.starts_with(&format!("{lead}?done=forgotten-erasure-")), "{back}");
    let record = gateway.record(&id).await;
    assert_eq!((&record["state"], &record["unreadable"]), (&json!("erased"), &Value::Null));
    assert_eq!(gateway.record(&joined).await["state"], "merged", "it alone");
    let page = operator.page(&back).await;
    assert!(page.contains("one submission was erased, by its id"), "{page}");
    assert!(page.contains("erasure-"), "{page}");
    assert!(!page.contains("id=\"unreadable\"") && !page.contains("id=\"forget\""), "{page}");
    assert_eq!(operator.post(&forget, &[("sure", "yes")]).await.status(), 404);
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}
