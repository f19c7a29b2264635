//! Leads that platforms only give notice of, end to end: noticed, fetched, created.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use leadgate::config::{Config, HookUrl, Notify, NotifyEvent, SigningKey};
use leadgate::lead::Clock;
use leadgate::sandbox::Options;
use reqwest::Response;
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;

use crate::checkout::file;
use crate::gateway::{Backing, CareSoft, Gateway, configuration, eventually, over_every_store};
use crate::platform::{Answer, Platform};
use crate::receiver::Receiver;

over_every_store!(
    metas_leads_are_fetched_after_the_answer,
    a_thousand_notices_of_one_post_are_kept,
    an_expired_token_parks_and_alerts,
    what_is_hidden_is_kept_and_fetched_again_on_replay,
    a_fetch_outlives_its_gateway,
    who_is_forgotten_before_the_fetch_is_not_brought_back,
    linkedins_leads_are_joined_and_erased,
    what_is_always_refused_holds_up_no_others,
    a_platform_that_is_silent_holds_up_no_other,
);

const SECRET: &str = "a secret of the test";
const TOKEN: &str = "a-token-of-the-test";

/// A port that nobody listens at.
const NOBODY: &str = "http://127.0.0.1:9";

/// A source of `preset` that fetches at `api`.
fn fetching(
    store: &Backing,
    folder: &TempDir,
    caresoft: &CareSoft,
    (preset, secret, token): (&str, &str, &str),
    api: &str,
) -> Config {
    let mut config = configuration(store, folder, caresoft.address, "");
    let source = config.sources.values_mut().next().unwrap();
    source.preset = preset.to_owned();
    source.api_base = Some(api.parse().unwrap());
    source.secrets.insert(secret.to_owned(), vec![SECRET.into()]);
    source.secrets.insert(token.to_owned(), vec![TOKEN.into()]);
    config
}

const META: (&str, &str, &str) = ("meta-lead-ads", "app_secret", "page_token");
const LINKEDIN: (&str, &str, &str) = ("linkedin-lead-sync", "client_secret", "access_token");

/// What signs a platform's post.
pub fn signature(secret: &str, parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn fixture(name: &str) -> String {
    file(&format!("tests/fixtures/{name}"))
}

/// What Meta posts, signed.
async fn meta(gateway: &Gateway, body: String) -> Response {
    let signature = format!("sha256={}", signature(SECRET, &[body.as_bytes()]));
    let post = gateway.post().header("X-Hub-Signature-256", signature).body(body);
    post.header("Content-Type", "application/json").send().await.unwrap()
}

async fn linkedin(gateway: &Gateway, body: String) -> Response {
    let signature = signature(SECRET, &[b"hmacsha256=", body.as_bytes()]);
    let post = gateway.post().header("X-LI-Signature", signature).body(body);
    post.header("Content-Type", "application/json").send().await.unwrap()
}

pub fn notice(id: u64) -> String {
    let value =
        json!({"leadgen_id": id, "page_id": 1, "form_id": 2, "created_time": 1_760_000_000});
    let change = json!({"field": "leadgen", "value": value});
    json!({"object": "page", "entry": [{"id": 1, "time": 1, "changes": [change]}]}).to_string()
}

/// Every record, the oldest first.
async fn records(gateway: &Gateway) -> Vec<Value> {
    let listed: Value = gateway.admin_get("/api/leads?limit=100").await.json().await.unwrap();
    let mut found = Vec::new();
    for listed in listed["leads"].as_array().unwrap().iter().rev() {
        found.push(gateway.record(listed["id"].as_str().unwrap()).await);
    }
    found
}

/// The records, once all of them are in this state.
async fn all(gateway: &Gateway, count: usize, state: &str) -> Vec<Value> {
    eventually(&format!("{count} are {state}"), || async {
        let found = records(gateway).await;
        let are = found.iter().filter(|record| record["state"] == state).count();
        (are == count && found.len() == count).then_some(found)
    })
    .await
}

pub fn lead_of(id: u64, file: &str) -> Answer {
    let mut lead: Value = serde_json::from_str(&fixture(file)).unwrap();
    lead["id"] = id.to_string().into();
    Answer::json(200, &lead)
}

/// Three entries: two leads, one of them twice, and something else.
async fn metas_leads_are_fetched_after_the_answer(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let (platform, folder) = (Platform::start(), TempDir::new().unwrap());
    let full = lead_of(900_000_000_000_011, "meta/graph_lead_vi_full.response.json");
    platform.answers("/v26.0/900000000000011", [full]);
    let trial = lead_of(900_000_000_000_012, "meta/graph_lead_test_dummy.response.json");
    platform.answers("/v26.0/900000000000012", [trial]);
    let config = fetching(&store, &folder, &caresoft, META, &platform.url());
    let gateway = Gateway::run(&config, folder).await;

    let answer = meta(&gateway, fixture("meta/leadgen_bad_signature.json")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "EVENT_RECEIVED");
    let found = eventually("both are settled", || async {
        let found = records(&gateway).await;
        found.iter().all(|record| record["settled_at"].is_string()).then_some(found)
    })
    .await;
    let [first, second] = &found[..] else { panic!("the repeated one is one: {found:#?}") };
    assert_eq!((&first["state"], &second["state"]), (&json!("created"), &json!("test")));
    assert_eq!(first["external_id"], "900000000000011");
    assert_eq!(first["lead"]["phone"], "+84900000001");
    assert_eq!(first["lead"]["utm"], json!({"source": "facebook", "campaign": "t10_leadform"}));
    let events: Vec<_> = first["history"].as_array().unwrap().iter().collect();
    assert_eq!((&events[1]["event"], &events[1]["outcome"]), (&json!("fetch"), &json!("read")));
    assert_eq!(caresoft.leads_of("0900000001").len(), 1);
    assert_eq!(caresoft.sandbox.leads().len(), 1, "a test is never sent");
    let asked = platform.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked.iter().all(|asked| asked.token == TOKEN && !asked.query.contains(TOKEN)));

    // Once more, as Meta does when an answer was lost.
    meta(&gateway, fixture("meta/leadgen_bad_signature.json")).await;
    assert_eq!(records(&gateway).await.len(), 2);
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

async fn a_thousand_notices_of_one_post_are_kept(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let config = fetching(&store, &folder, &caresoft, META, NOBODY);
    let gateway = Gateway::run(&config, folder).await;
    let change = |id: u64| {
        let value = json!({"leadgen_id": id, "page_id": 1, "form_id": 2, "created_time": 1});
        let field = if id.is_multiple_of(10) { "feed" } else { "leadgen" };
        json!({"field": field, "value": value})
    };
    // Each comes twice in it, and every tenth is something else.
    let changes: Vec<_> = (0..1000).map(|number| change(1000 + number / 2)).collect();
    let body = json!({"object": "page", "entry": [{"id": 1, "time": 1, "changes": changes}]});
    assert_eq!(meta(&gateway, body.to_string()).await.status(), 200);
    assert_eq!(gateway.metric(r#"leadgate_records{state="pending"}"#).await, 450.0);
    let counted = |outcome: &str| {
        format!(r#"leadgate_submissions_total{{source="website",outcome="{outcome}"}}"#)
    };
    for (outcome, count) in [("accepted", 450.0), ("repeated", 450.0), ("ignored", 100.0)] {
        assert_eq!(gateway.metric(&counted(outcome)).await, count, "{outcome}");
    }
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

/// Nothing is lost, nothing is hammered, and a person is told.
async fn an_expired_token_parks_and_alerts(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let (platform, folder) = (Platform::start(), TempDir::new().unwrap());
    let expired = Answer::text(400, fixture("meta/graph_error_190_expired.response.json"));
    let lead = lead_of(11, "meta/graph_lead_vi_full.response.json");
    platform.answers("/v26.0/11", [expired, lead]);
    let other = lead_of(12, "meta/graph_lead_doc.response.json");
    platform.answers("/v26.0/12", [other]);
    let receiver = Receiver::start([]);
    let mut config = fetching(&store, &folder, &caresoft, META, &platform.url());
    config.notify = Some(Notify {
        url: HookUrl(receiver.url().parse().unwrap()),
        keys: vec![SigningKey(b"the key of the test".to_vec().into())],
        events: NotifyEvent::ALL.into(),
        silent_after: None,
        timeout: Duration::from_secs(10),
    });
    let (clock, hand) = Clock::with_hand();
    let gateway = Gateway::run_by(clock, &config, folder).await;

    assert_eq!(meta(&gateway, notice(11)).await.status(), 200);
    let told = eventually("the operator is told", || async {
        receiver.posts_of("source.stopped").into_iter().next()
    })
    .await;
    let told = told.body;
    assert_eq!(told["data"]["source"], "website");
    assert!(
        told["data"]["reason"].as_str().unwrap().contains("page_id 1: lead: 400, code 190"),
        "{told}"
    );
    // What comes meanwhile is kept, and not asked for.
    assert_eq!(meta(&gateway, notice(12)).await.status(), 200);
    let parked = eventually("both are put off", || async {
        let found = records(&gateway).await;
        let put_off = |record: &Value| {
            let mut events = record["history"].as_array().unwrap().iter();
            events.any(|e| e["outcome"] == "postponed" || e["outcome"] == "retry")
        };
        (found.len() == 2 && found.iter().all(put_off)).then_some(found)
    })
    .await;
    assert!(parked.iter().all(|record| record["state"] == "pending"), "{parked:#?}");
    assert_eq!(platform.asked().len(), 1);

    // The one that was refused has spent an attempt, the other one has not.
    let outcomes = parked.iter().map(|record| {
        let events = record["history"].as_array().unwrap();
        events.iter().filter_map(|e| e["outcome"].as_str()).collect::<Vec<_>>()
    });
    let outcomes: Vec<_> = outcomes.collect();
    assert!(outcomes[0].contains(&"retry") && !outcomes[1].contains(&"retry"), "{outcomes:?}");

    hand.skip(Duration::from_secs(361)); // five minutes, and a fifth of it
    all(&gateway, 2, "created").await;
    eventually("the operator is told", || async {
        receiver.posts_of("source.resumed").into_iter().next()
    })
    .await;
    assert_eq!(receiver.posts_of("source.stopped").len(), 1);
    assert_eq!(caresoft.leads_of("0900000001").len(), 1);
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

async fn what_is_hidden_is_kept_and_fetched_again_on_replay(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let (platform, folder) = (Platform::start(), TempDir::new().unwrap());
    let hidden = Answer::text(400, fixture("meta/graph_error_100_33_not_found.response.json"));
    platform.answers("/v26.0/11", [hidden]);
    let config = fetching(&store, &folder, &caresoft, META, &platform.url());
    let (clock, hand) = Clock::with_hand();
    let gateway = Gateway::run_by(clock, &config, folder).await;
    assert_eq!(meta(&gateway, notice(11)).await.status(), 200);
    let running = &gateway;
    let is_put_off = |times: usize| {
        eventually("it is put off", move || async move {
            let found = records(running).await.into_iter().next()?;
            let events = found["history"].as_array()?.iter();
            let retries = events.filter(|event| event["outcome"] == "retry").count();
            (retries == times && found["state"] == "pending").then_some(())
        })
    };
    is_put_off(1).await;
    hand.skip(Duration::from_secs(31)); // a notice may precede its lead
    is_put_off(2).await;
    hand.skip(Duration::from_secs(15 * 60));
    let kept = all(&gateway, 1, "quarantined").await.remove(0);
    assert!(kept["reason"].as_str().unwrap().contains("100/33"), "{kept:#}");
    // It is old: once more is enough.
    let asked = platform.asked().len();
    let replay = json!({"state": "quarantined"});
    gateway.admin_post("/api/replay", replay).await;
    eventually("it is asked for", || async { (platform.asked().len() > asked).then_some(()) })
        .await;
    all(&gateway, 1, "quarantined").await;

    let lead = lead_of(11, "meta/graph_lead_vi_full.response.json");
    platform.answers("/v26.0/11", [lead]);
    let replay = json!({"state": "quarantined"});
    let told: Value = gateway.admin_post("/api/replay", replay).await.json().await.unwrap();
    assert_eq!(told["replayed"], 1);
    let created = all(&gateway, 1, "created").await.remove(0);
    assert_eq!((&created["external_id"], &created["reason"]), (&json!("11"), &Value::Null));
    assert_eq!(caresoft.leads_of("0900000001").len(), 1);
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

async fn a_fetch_outlives_its_gateway(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let (platform, folder) = (Platform::start(), TempDir::new().unwrap());
    let mut config = fetching(&store, &folder, &caresoft, META, NOBODY);
    let before = Gateway::run(&config, TempDir::new().unwrap()).await;
    assert_eq!(meta(&before, notice(11)).await.status(), 200);
    before.stop().await;
    let lead = lead_of(11, "meta/graph_lead_vi_full.response.json");
    platform.answers("/v26.0/11", [lead]);
    let source = config.sources.values_mut().next().unwrap();
    source.api_base = Some(platform.url().parse().unwrap());
    let gateway = Gateway::run(&config, TempDir::new().unwrap()).await;
    all(&gateway, 1, "created").await;
    assert_eq!(caresoft.leads_of("0900000001").len(), 1);
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

/// The platform gives out the lead only after its person was forgotten.
async fn who_is_forgotten_before_the_fetch_is_not_brought_back(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let (platform, folder) = (Platform::start(), TempDir::new().unwrap());
    let expired = Answer::text(400, fixture("meta/graph_error_190_expired.response.json"));
    let lead = |id: u64| lead_of(id, "meta/graph_lead_vi_full.response.json");
    platform.answers("/v26.0/11", [expired, lead(11)]);
    platform.answers("/v26.0/12", [lead(12)]);
    let config = fetching(&store, &folder, &caresoft, META, &platform.url());
    let (clock, hand) = Clock::with_hand();
    let gateway = Gateway::run_by(clock, &config, folder).await;

    assert_eq!(meta(&gateway, notice(11)).await.status(), 200);
    eventually("it was refused", || async {
        let found = records(&gateway).await;
        let mut events = found[0]["history"].as_array().unwrap().iter();
        events.any(|event| event["outcome"] == "retry").then_some(())
    })
    .await;
    let asked = json!({"phone": "0900 000 001"});
    let answer: Value = gateway.admin_post("/api/forget", asked).await.json().await.unwrap();
    assert_eq!(answer["erased"], 0, "nobody knows yet whose it is");

    hand.skip(Duration::from_secs(361)); // five minutes, and a fifth of it
    let erased = all(&gateway, 1, "erased").await.remove(0);
    assert_eq!((&erased["lead"], &erased["external_id"]), (&Value::Null, &Value::Null));
    assert_eq!(platform.asked().len(), 2, "it was fetched");

    assert_eq!(meta(&gateway, notice(12)).await.status(), 200);
    let created = eventually("they came again", || async {
        let found = records(&gateway).await;
        (found.len() == 2 && found[1]["state"] == "created").then_some(found)
    })
    .await;
    assert_eq!(created[0]["state"], "erased");
    assert_eq!(caresoft.leads_of("0900000001").len(), 1, "the new one alone");
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

async fn linkedins_leads_are_joined_and_erased(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let (platform, folder) = (Platform::start(), TempDir::new().unwrap());
    for (path, file) in
        [("leadFormResponses/1a2b3c-4", "leadFormResponse"), ("leadForms/1", "leadForm")]
    {
        let answer = Answer::text(200, fixture(&format!("linkedin/{file}.response.json")));
        platform.answers(&format!("/rest/{path}"), [answer]);
    }
    let config = fetching(&store, &folder, &caresoft, LINKEDIN, &platform.url());
    let gateway = Gateway::run(&config, folder).await;
    let answer = linkedin(&gateway, fixture("linkedin/lead_created.json")).await;
    assert!(answer.status().is_success());
    let lead = all(&gateway, 1, "created").await.remove(0);
    assert_eq!(lead["lead"]["name"], "Nguyễn Thử");
    assert_eq!(lead["lead"]["utm"], json!({"campaign": "li_q4"}));
    let asked = platform.asked();
    assert!(asked.len() == 2 && asked.iter().all(|asked| !asked.version.is_empty()), "{asked:?}");

    let answer = linkedin(&gateway, fixture("linkedin/lead_deleted.json")).await;
    assert!(answer.status().is_success());
    let erased = all(&gateway, 2, "erased").await;
    assert!(erased.iter().all(|record| record["lead"].is_null()), "{erased:#?}");
    assert!(erased[0]["upstream"]["lead_id"].is_u64(), "to erase it at CareSoft as well");
    // Neither comes again.
    for file in ["linkedin/lead_created.json", "linkedin/lead_deleted.json"] {
        assert!(linkedin(&gateway, fixture(file)).await.status().is_success());
    }
    all(&gateway, 2, "erased").await;
    assert_eq!(platform.asked().len(), 2);
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

/// The probe is not always the same one.
async fn what_is_always_refused_holds_up_no_others(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let (platform, folder) = (Platform::start(), TempDir::new().unwrap());
    let refused = Answer::text(400, fixture("meta/graph_error_190_expired.response.json"));
    platform.answers("/v26.0/11", [refused]);
    platform.answers("/v26.0/12", [lead_of(12, "meta/graph_lead_doc.response.json")]);
    let config = fetching(&store, &folder, &caresoft, META, &platform.url());
    let (clock, hand) = Clock::with_hand();
    let gateway = Gateway::run_by(clock, &config, folder).await;
    for id in [11, 12] {
        assert_eq!(meta(&gateway, notice(id)).await.status(), 200);
        // The first one is refused before the other one comes.
        eventually("it is put off", || async {
            let found = records(&gateway).await;
            found.iter().all(|r| r["history"].as_array().unwrap().len() > 1).then_some(())
        })
        .await;
    }
    eventually("the other one is fetched", || async {
        hand.skip(Duration::from_secs(20));
        platform.asked().iter().any(|asked| asked.path == "/v26.0/12").then_some(())
    })
    .await;
    eventually("its lead is created", || async {
        let found = records(&gateway).await;
        found.iter().any(|record| record["state"] == "created").then_some(())
    })
    .await;
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

/// Two sources of one destination, of which one's platform takes connections and says nothing.
async fn a_platform_that_is_silent_holds_up_no_other(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let (platform, folder) = (Platform::start(), TempDir::new().unwrap());
    platform.answers("/v26.0/11", [lead_of(11, "meta/graph_lead_vi_full.response.json")]);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", silent.local_addr().unwrap());
    let mut config = fetching(&store, &folder, &caresoft, META, &base);
    let mut other = config.sources.values().next().unwrap().clone();
    other.api_base = Some(platform.url().parse().unwrap());
    config.sources.insert("other".parse().unwrap(), other);
    let gateway = Gateway::run(&config, folder).await;
    for id in 100..140 {
        assert_eq!(meta(&gateway, notice(id)).await.status(), 200);
    }
    let body = notice(11);
    let signature = format!("sha256={}", signature(SECRET, &[body.as_bytes()]));
    let url = format!("http://{}/in/other", gateway.public);
    let post = gateway.http.post(url).header("X-Hub-Signature-256", signature).body(body);
    let post = post.header("Content-Type", "application/json");
    assert_eq!(post.send().await.unwrap().status(), 200);
    // Before anything of the silent one has timed out.
    let found = eventually("the other's lead is created", || async {
        let found = records(&gateway).await;
        found.iter().any(|record| record["state"] == "created").then_some(found)
    })
    .await;
    let no_answer = |record: &&Value| {
        let mut events = record["history"].as_array().unwrap().iter();
        events.any(|e| e["detail"].as_str().is_some_and(|why| why.contains("no answer")))
    };
    assert_eq!(found.iter().filter(no_answer).count(), 0);
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}
