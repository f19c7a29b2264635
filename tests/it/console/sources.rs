//! What a page tells of sources and lanes: samples, guides, silence, pace.

use leadgate::sandbox::Options;
use serde_json::json;
use tempfile::TempDir;

use super::operator::{Operator, get, location};
use crate::gateway::{Backing, CareSoft, Gateway, configuration, parsed, toml_of};

#[tokio::test]
async fn a_sample_goes_the_road_of_every_post() {
    let caresoft = CareSoft::start(Options::default());
    let more = r#"
secrets = { token = "a-secret-of-a-test" }
[sources.closed]
preset = "web-form"
destination = "main"
challenge = { kind = "turnstile", secret = "a-secret-of-a-test" }
[sources.signed]
preset = "standard-webhooks"
destination = "main"
secrets = { secret = "whsec_ZGV2ZWxvcG1lbnQtc2VjcmV0" }
"#;
    let folder = TempDir::new().unwrap();
    let config = configuration(&Backing::Sqlite, &folder, caresoft.address, more);
    let gateway = Gateway::run(&config, folder).await;
    let operator = Operator::sign_in(&gateway).await;
    for source in ["website", "signed"] {
        let path = format!("/sources/{source}/sample");
        assert!(operator.page(&path).await.contains(&caresoft.address.to_string()));
        let forged = operator.bare_post(&path, &[]).send().await.unwrap();
        assert_eq!(forged.status(), 403);
        let sent = operator.post(&path, &[]).await;
        let place = location(&sent).to_owned();
        let id = place.strip_prefix("/leads/").and_then(|rest| rest.strip_suffix("?done=sampled"));
        gateway.settled(id.expect(&place), &["created", "merged"]).await;
        let line = format!("leadgate_submissions_total{{source=\"{source}\",outcome=\"");
        let counted = gateway.metrics().await;
        assert!(counted.contains(&line), "{counted}");
    }
    let refused = operator.post("/sources/closed/sample", &[]).await;
    assert_eq!(refused.status(), 409);
    assert!(refused.text().await.unwrap().contains("only a visitor"));
    assert_eq!(operator.post("/sources/none/sample", &[]).await.status(), 404);
    let sources = operator.page("/sources").await;
    assert!(sources.contains("1 (100 %)"), "the refusal and its share: {sources}");
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_guide_has_the_sources_own_address_in_it() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let operator = Operator::sign_in(&gateway).await;
    assert!(operator.page("/sources").await.contains("/guides/web-form?source=website"));
    let page = operator.page("/guides/tally").await;
    assert!(page.contains("https://leads.example.vn/in/tally") && page.contains("<h1>"), "{page}");
    for nothing in ["/guides/none", "/guides/..%2FREADME"] {
        assert_eq!(operator.get(nothing).send().await.unwrap().status(), 404);
    }
    let nobody = get(&gateway, "/guides/tally").send().await.unwrap();
    assert_eq!(nobody.status(), 303);
    gateway.stop().await;
}

#[tokio::test]
async fn silence_is_what_the_configuration_says() {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let text = toml_of(&Backing::Sqlite.toml(folder.path()), caresoft.address, "");
    let notify = "[notify]\nurl = \"http://127.0.0.1:9/\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n\
                  silent_after = \"1h\"\nevents = [\"lead.dead\"]\n";
    let config = parsed(&format!("{notify}{text}"));
    let (clock, hand) = leadgate::lead::Clock::with_hand();
    let gateway = Gateway::run_by(clock, &config, folder).await;
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    gateway.settled(&id, &["created"]).await;
    let operator = Operator::sign_in(&gateway).await;
    assert!(!operator.page("/").await.contains("has sent nothing since"));
    hand.skip(std::time::Duration::from_secs(3601));
    assert!(operator.page("/").await.contains("has sent nothing since"));
    assert!(operator.page("/sources").await.contains(">silent<"));
    gateway.stop().await;
}

#[tokio::test]
async fn every_lane_shows_what_it_uses_of_its_pace() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start_with(&caresoft, "", |config| {
        let (id, other) = ("other".parse().unwrap(), config.destinations.values().next().cloned());
        config.destinations.insert(id, other.unwrap());
    })
    .await;
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    gateway.settled(&id, &["created"]).await;
    let operator = Operator::sign_in(&gateway).await;
    let page = operator.page("/").await;
    for used in ["1&nbsp;<small>per minute", "0&nbsp;<small>per minute"] {
        assert!(page.contains(used), "{used}: {page}");
    }
    gateway.stop().await;
}
