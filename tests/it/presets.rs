//! Every preset with real bodies: what is verified, extracted, marked as a test and answered; and
//! `leadgate presets`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use leadgate::config::{self, Config};
use leadgate::sandbox::Options;
use reqwest::Response;
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;

use crate::gateway::{Backing, CareSoft, Gateway, eventually, toml_of};
use crate::served::{leadgate, told};

/// A folder of `tests/fixtures`, or one file of it, and the preset that it is for; with the name
/// of the secret and of the fields that a source needs.
const CASES: &[Case] = &[
    case("calendly", "calendly", Some("secret")),
    case("formspree", "formspree", Some("secret")),
    case("framer", "framer", Some("secret")),
    case("google_ads", "google-lead-form", Some("google_key")),
    case("google_forms", "google-forms", Some("secret")),
    case("jotform", "jotform", None),
    case("ladipage", "ladipage", None),
    case("linkedin", "linkedin-lead-sync", Some("client_secret")),
    case("meta", "meta-lead-ads", Some("app_secret")),
    case("netlify", "netlify-forms", Some("secret")),
    case("shopify", "shopify-customer", Some("secret")),
    case("snapchat", "snapchat-lead", None),
    case("tally", "tally", Some("secret")),
    case("tiktok", "tiktok-lead", None),
    case("typeform", "typeform", Some("secret")),
    case("unbounce", "unbounce", None),
    case("webflow", "webflow", Some("secret")),
    case("wix", "wix", None),
    case("wordpress/cf7", "contact-form-7", None),
    case("wordpress/elementor", "elementor", None),
    case("wordpress/formidable", "formidable", None),
    case("wordpress/gravity", "gravity-forms", None),
    case("wordpress/metform", "metform", None),
    case("wordpress/ninja", "ninja-forms", None),
    case("wordpress/wpforms_json", "wpforms", Some("secret")),
    case("zalo", "zalo-oa", Some("oa_secret")),
    case("generic/standard", "standard-webhooks", Some("secret")),
    case("generic/github", "signed-json", Some("secret")),
    case("generic/hmac_sha1", "signed-json", Some("secret")),
];

/// Fixtures that no preset plays, and why.
const UNPLAYED: &[(&str, &str)] = &[
    ("generic/", "forms without a preset of their own: fixtures.rs"),
    ("hubspot/", "no preset: there is no event of a form"),
    ("normalisation/", "tables, not posts"),
    ("wordpress/wpforms_form", "signed over PHP's own encoding: its page says to use JSON"),
];

/// What `expected.extra` says in another shape than the lead has it, and why.
const OTHERWISE: &[(&str, &str)] =
    &[("zalo/user_submit_info.json:address", "kept in the three parts that Zalo sends")];

struct Case {
    prefix: &'static str,
    preset: &'static str,
    secret: Option<&'static str>,
}

const fn case(prefix: &'static str, preset: &'static str, secret: Option<&'static str>) -> Case {
    Case { prefix, preset, secret }
}

/// A body and what is said of it.
struct Fixture {
    /// `zalo/user_submit_info.json`
    name: String,
    body: Vec<u8>,
    meta: Value,
}

fn folder_of_all() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Every fixture that is a post, in order.
fn fixtures() -> Vec<Fixture> {
    let mut found = Vec::new();
    for platform in fs::read_dir(folder_of_all()).unwrap() {
        let platform = platform.unwrap().path();
        for file in fs::read_dir(&platform).unwrap() {
            let file = file.unwrap().path();
            let name = file.strip_prefix(folder_of_all()).unwrap().to_str().unwrap().to_owned();
            if name.ends_with(".meta.json") {
                continue;
            }
            let meta = fs::read(format!("{}.meta.json", file.display())).unwrap();
            let meta: Value = serde_json::from_slice(&meta).unwrap();
            if meta["method"].as_str().is_some_and(|method| method != "POST") {
                continue; // a handshake, below, or what is fetched, beside the code
            }
            found.push(Fixture { name, body: fs::read(&file).unwrap(), meta });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

impl Fixture {
    fn case(&self) -> Option<&'static Case> {
        CASES.iter().find(|case| self.name.starts_with(case.prefix))
    }

    /// A source for this fixture alone.
    fn source(&self, case: &Case, max_age: &str) -> String {
        let mut text = format!("preset = \"{}\"\n{max_age}\n", case.preset);
        if case.preset == "gravity-forms" {
            // What its numbers mean, only the site's owner knows.
            let names = &self.meta["requires"];
            assert!(names.is_string());
            text += "[sources.website.fields]\nphone = [\"3\"]\nemail = [\"4\"]\n\
                     first_name = [\"1.3\"]\nlast_name = [\"1.6\"]\n";
        }
        let fetched_with = match case.preset {
            "meta-lead-ads" => Some("page_token"),
            "linkedin-lead-sync" => Some("access_token"),
            _ => None,
        };
        text += fetched_with.map_or("", |_| NOWHERE);
        text += "[sources.website.secrets]\n";
        text += &fetched_with.map(|name| format!("{name} = \"t\"\n")).unwrap_or_default();
        if let (Some(secret), Some(value)) = (case.secret, self.meta["secret"].as_str()) {
            text += &format!("{secret} = [\"b2YgdG9tb3Jyb3c=\", {}]\n", json!(value));
        } else if fetched_with.is_some() {
            text += "token = \"t\"\n"; // not anybody may make it fetch
        }
        text
    }

    async fn post(&self, gateway: &Gateway, body: Vec<u8>, change: Option<Change>) -> Response {
        let mut request = gateway.post().body(body);
        if self.meta["secret"].is_null() {
            request = request.header("X-Leadgate-Token", "t"); // where it is not signed
        }
        if let Some(content_type) = self.meta["content_type"].as_str() {
            request = request.header("Content-Type", content_type);
        }
        for (name, value) in self.meta["headers"].as_object().unwrap() {
            let value = value.as_str().unwrap();
            if value.contains('<') || change == Some(Change::WithoutHeaders) {
                continue; // something that the operator may type
            }
            request = request.header(name, value);
        }
        request.send().await.unwrap()
    }
}

/// What is to be fetched is not: no test asks a platform.
const NOWHERE: &str = "api_base = \"http://127.0.0.1:9\"\n";

#[derive(Clone, Copy, PartialEq)]
enum Change {
    WithoutHeaders,
}

/// A gateway whose source `website` is `source`.
async fn gateway(caresoft: &CareSoft, source: &str) -> Gateway {
    let folder = TempDir::new().unwrap();
    let config = parsed(&Backing::Sqlite.toml(folder.path()), caresoft, source);
    Gateway::run(&config, folder).await
}

fn parsed(store: &str, caresoft: &CareSoft, source: &str) -> Config {
    let text = toml_of(store, caresoft.address, "");
    let text = text.replace("preset = \"web-form\"\ndestination = \"main\"\n", "");
    let text = text.replace(
        "[sources.website]\n",
        &format!("[sources.website]\ndestination = \"main\"\n{source}\n"),
    );
    let names = leadgate::preset::built_in_names();
    let parsed = config::parse(&text, "test.toml", &config::MapEnvironment::default(), &names);
    parsed.unwrap_or_else(|faults| panic!("{text}\n{faults}")).config
}

/// The records that the gateway has, the oldest first.
async fn records(gateway: &Gateway) -> Vec<Value> {
    let listed: Value = gateway.admin_get("/api/leads?limit=500").await.json().await.unwrap();
    let ids = listed["leads"].as_array().unwrap().iter().rev();
    let mut found = Vec::new();
    for id in ids {
        found.push(gateway.record(id["id"].as_str().unwrap()).await);
    }
    found
}

#[test]
fn every_fixture_is_played_or_said_why_not() {
    let mut used = BTreeSet::new();
    for fixture in fixtures() {
        let unplayed = UNPLAYED.iter().find(|(prefix, _)| fixture.name.starts_with(prefix));
        match (fixture.case(), unplayed) {
            (Some(case), _) => used.insert(case.prefix),
            (None, Some((prefix, _))) => used.insert(*prefix),
            (None, None) => panic!("{} belongs to no preset", fixture.name),
        };
    }
    assert_eq!(used.len(), CASES.len() + UNPLAYED.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_body_becomes_what_is_expected_of_it() {
    let caresoft = CareSoft::start(Options::default());
    for fixture in fixtures() {
        let Some(case) = fixture.case() else { continue };
        let expected = &fixture.meta["expected"];
        if !expected["valid"].is_null() || !expected["valid_when_clock_at"].is_null() {
            continue; // a vector: it holds no lead
        }
        let gateway = gateway(&caresoft, &fixture.source(case, "max_age = \"0s\"")).await;
        let response = fixture.post(&gateway, fixture.body.clone(), None).await;
        let status = response.status().as_u16();
        let name = &fixture.name;
        let told = &expected["response_status"];
        let refused = told.as_str().is_some_and(|text| text.starts_with('4'))
            || told.as_u64().is_some_and(|status| status >= 400);
        assert_eq!((400..500).contains(&status), refused, "{name}: {status}");
        if let Some(told) = expected["response_status"].as_u64() {
            assert_eq!(u64::from(status), told, "{name}");
        }
        let found = records(&gateway).await;
        if let Some(word) = expected["warning"].as_str() {
            let told = found[0]["reason"].as_str().unwrap();
            assert_eq!((found.len(), &found[0]["state"]), (1, &json!("quarantined")), "{name}");
            assert!(told.contains("Include Values") && word.contains("Include Values"), "{told}");
            continue;
        }
        if expected["deletions"].is_array() {
            assert_eq!((found.len(), &found[0]["state"]), (1, &json!("erased")), "{name}");
            continue;
        }
        let leads: Vec<&Value> = match expected["leads"].as_array() {
            Some(leads) => leads.iter().collect(),
            None => vec![expected],
        };
        assert_eq!(found.len(), leads.len(), "{name}: {found:#?}");
        for (record, expected) in found.iter().zip(leads) {
            check(name, record, expected);
        }
        gateway.stop().await;
    }
}

fn check(name: &str, record: &Value, expected: &Value) {
    if expected["needs_fetch"] == true {
        assert_eq!(record["external_id"], expected["external_id"], "{name}: external_id");
        assert_eq!(record["state"], "pending", "{name}: {record:#}");
        return;
    }
    let lead = &record["lead"];
    for field in ["name", "phone", "email", "page_url"] {
        if field == "name" && !expected["first_name"].is_null() && expected["name"].is_null() {
            assert_eq!(lead[field], expected["first_name"], "{name}: {field}: {lead:#}");
            continue;
        }
        assert_eq!(lead[field], expected[field], "{name}: {field}: {lead:#}");
    }
    assert_eq!(record["external_id"], expected["external_id"], "{name}: external_id");
    let is_test = record["state"] == "test";
    assert_eq!(json!(is_test), expected["test"], "{name}: test: {record:#}");
    let utm: BTreeMap<_, _> = lead["utm"].as_object().unwrap().iter().collect();
    let utm: BTreeMap<_, _> =
        utm.into_iter().map(|(key, value)| (format!("utm_{key}"), value)).collect();
    assert_eq!(json!(utm), expected["utm"], "{name}: utm");
    assert_eq!(lead["click_ids"], expected["click_ids"], "{name}: click ids");
    let answers = lead["answers"].as_array().unwrap();
    for (label, value) in expected["extra"].as_object().unwrap() {
        if OTHERWISE.iter().any(|(place, _)| *place == format!("{name}:{label}")) {
            continue;
        }
        let text = match value {
            Value::Array(several) => {
                several.iter().map(|one| one.as_str().unwrap()).collect::<Vec<_>>().join(", ")
            }
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let is_kept = answers.iter().any(|answer| answer["value"] == text.as_str())
            || lead["message"] == text.as_str();
        assert!(is_kept, "{name}: {label}: {text} in {lead:#}");
    }
    for secret in ["otp_code", "token", "nonce", "secret"] {
        assert!(
            answers.iter().all(|answer| answer["label"] != secret),
            "{name}: {secret} is stored"
        );
    }
}

/// LinkedIn's member wants it gone: what is kept goes, and what comes late is not taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_platform_wants_erased_is_erased() {
    let caresoft = CareSoft::start(Options::default());
    let all = fixtures();
    let fixture = |name: &str| all.iter().find(|fixture| fixture.name == name).unwrap();
    let created = fixture("linkedin/lead_created.json");
    let deleted = fixture("linkedin/lead_deleted.json");
    let source = created.source(created.case().unwrap(), "");
    let gateway = gateway(&caresoft, &source).await;
    for fixture in [created, deleted, deleted, created] {
        let status = fixture.post(&gateway, fixture.body.clone(), None).await.status();
        assert_eq!(status, 200, "{}", fixture.name);
    }
    let found = records(&gateway).await;
    let states: Vec<_> = found.iter().map(|record| record["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["erased", "erased"], "{found:#?}");
    assert!(found.iter().all(|record| record["external_id"].is_null()), "{found:#?}");
    gateway.stop().await;
}

/// Who sets a webhook up is answered by what only the right configuration knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_handshakes_of_platforms_are_answered() {
    let caresoft = CareSoft::start(Options::default());
    for (file, preset, own, other) in [
        ("meta/handshake.query", "meta-lead-ads", "verify_token", "page_token"),
        ("meta/handshake_wrong_token.query", "meta-lead-ads", "verify_token", "page_token"),
        ("linkedin/handshake.query", "linkedin-lead-sync", "client_secret", "access_token"),
    ] {
        let query = fs::read_to_string(folder_of_all().join(file)).unwrap();
        let meta = fs::read(folder_of_all().join(format!("{file}.meta.json"))).unwrap();
        let meta: Value = serde_json::from_slice(&meta).unwrap();
        let source = format!(
            "preset = \"{preset}\"\n{NOWHERE}\
             secrets = {{ {own} = {}, {other} = \"t\", token = \"t\" }}",
            meta["secret"]
        );
        let gateway = gateway(&caresoft, &source).await;
        let url = format!("http://{}/in/website?{}", gateway.public, query.trim());
        let response = gateway.http.get(url).send().await.unwrap();
        let expected = &meta["expected"];
        assert_eq!(json!(response.status().as_u16()), expected["response_status"], "{file}");
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let body = response.text().await.unwrap();
        match &expected["response_body"] {
            Value::String(text) => assert_eq!(&body, text, "{file}"),
            Value::Null => assert!(!body.contains("1158201444"), "{file}: {body}"),
            json => assert_eq!(&serde_json::from_str::<Value>(&body).unwrap(), json, "{file}"),
        }
        if let Some(expected) = expected["response_content_type"].as_str() {
            assert!(content_type.starts_with(expected), "{file}: {content_type}");
        }
        gateway.stop().await;
    }
}

/// One flipped byte, no signature, another key, an old time: each is refused, by every preset that
/// can tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_authentic_is_refused() {
    let caresoft = CareSoft::start(Options::default());
    let mut tried = BTreeSet::new();
    for fixture in fixtures() {
        let signed = fixture.meta["headers"].as_object().is_some_and(|headers| {
            headers.keys().any(|name| {
                let name = name.to_lowercase();
                name.contains("signature") || name.contains("hmac")
            })
        });
        let Some(case) = fixture.case().filter(|case| signed && case.secret.is_some()) else {
            continue;
        };
        if fixture.name.contains("bad_signature") {
            continue;
        }
        let name = &fixture.name;
        let any_age = "max_age = \"0s\"";
        let open = gateway(&caresoft, &fixture.source(case, any_age)).await;
        let right = fixture.post(&open, fixture.body.clone(), None).await.status().as_u16();
        assert!(right != 401 && right != 403, "{name}: {right}");

        let mut flipped = fixture.body.clone();
        let place = flipped.len() / 2;
        flipped[place] ^= 1;
        let denied = [401, 403];
        let status = fixture.post(&open, flipped, None).await.status().as_u16();
        assert!(denied.contains(&status), "{name}: a flipped byte: {status}");
        let without = Some(Change::WithoutHeaders);
        let status = fixture.post(&open, fixture.body.clone(), without).await.status().as_u16();
        assert!(denied.contains(&status), "{name}: no signature: {status}");
        open.stop().await;

        let other = fixture
            .source(case, any_age)
            .replace(&json!(fixture.meta["secret"]).to_string(), "\"d2hzZWNfYW5vdGhlciBrZXk=\"");
        let other = gateway(&caresoft, &other).await;
        let status = fixture.post(&other, fixture.body.clone(), None).await.status().as_u16();
        assert!(denied.contains(&status), "{name}: another key: {status}");
        assert!(records(&other).await.is_empty(), "{name}");
        other.stop().await;

        if !timeless(case.preset) {
            let strict = gateway(&caresoft, &fixture.source(case, "")).await;
            let status = fixture.post(&strict, fixture.body.clone(), None).await.status().as_u16();
            assert!(denied.contains(&status), "{name}: an old time: {status}");
            strict.stop().await;
        }
        tried.insert(case.preset);
    }
    assert_eq!(tried.len(), 13, "{tried:?}");
}

/// Presets whose signatures do not say when they were made.
fn timeless(preset: &str) -> bool {
    let timeless = [
        "framer",
        "linkedin-lead-sync",
        "meta-lead-ads",
        "netlify-forms",
        "shopify-customer",
        "signed-json",
        "tally",
        "typeform",
        "zalo-oa",
    ];
    timeless.contains(&preset)
}

/// An authentic post that is no JSON is kept, and answered as the platform wants; the same from
/// nobody is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_authentic_and_cannot_be_read_is_kept_whole() {
    let caresoft = CareSoft::start(Options::default());
    let source = "preset = \"framer\"\n[sources.website.secrets]\nsecret = \"s\"";
    let gateway = gateway(&caresoft, source).await;
    let body = "{\"Phone\":";
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s").unwrap();
    mac.update(format!("{body}s-1").as_bytes());
    let signature: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let post = || {
        let post = gateway.post().body(body).header("Content-Type", "application/json");
        post.header("Framer-Webhook-Submission-Id", "s-1")
    };
    let unsigned = post().send().await.unwrap();
    assert_eq!(unsigned.status(), 401);
    for _ in 0..2 {
        let signed = post().header("Framer-Signature", format!("sha256={signature}"));
        assert_eq!(signed.send().await.unwrap().status(), 200);
    }
    let found = records(&gateway).await;
    assert_eq!(found.len(), 1, "what comes again is kept once");
    assert_eq!(found[0]["state"], "quarantined");
    assert!(found[0]["reason"].as_str().unwrap().contains("JSON"), "{found:#?}");
    gateway.stop().await;
}

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

/// A secret that could verify nothing is told at the start, not by refusals.
#[tokio::test]
async fn a_secret_that_is_no_key_is_a_fault() {
    let caresoft = CareSoft::start(Options::default());
    let source = "preset = \"standard-webhooks\"\nsecrets = { secret = \"whsec_!\" }";
    let config = parsed("url = \"sqlite:x.db\"\nspool = \"\"", &caresoft, source);
    let faults = leadgate::app::App::preflight(&config);
    let [(key, problem)] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!(key, "sources.website");
    assert!(problem.contains("whsec_ and base64") && !problem.contains('!'), "{problem}");
}

/// Nor is a token that no request could carry.
#[tokio::test]
async fn what_would_fail_at_the_start_is_told_before() {
    let caresoft = CareSoft::start(Options::default());
    let source = "preset = \"meta-lead-ads\"\n\
                  secrets = { app_secret = \"s\", page_token = \"in two\" }";
    let config = parsed("url = \"sqlite:x.db\"\nspool = \"\"", &caresoft, source);
    let faults = leadgate::app::App::preflight(&config);
    let [(key, problem)] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!(key, "sources.website");
    assert!(problem.contains("page_token") && !problem.contains("in two"), "{problem}");
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

#[test]
fn presets_are_listed_shown_and_tried() {
    let folder = TempDir::new().unwrap();
    let run = |arguments: &[&str]| leadgate(folder.path()).args(arguments).output().unwrap();
    let listed = run(&["presets", "list"]);
    let text = told(&listed);
    for name in leadgate::preset::built_in_names() {
        assert!(text.contains(name), "{name} in {text}");
    }
    let shown = run(&["presets", "show", "typeform"]);
    assert!(told(&shown).contains("Typeform-Signature"));
    assert_eq!(run(&["presets", "show", "nothing"]).status.code(), Some(2));

    let file = folder_of_all().join("typeform/official_example_trimmed.json");
    let file = file.to_str().unwrap();
    let tried = run(&["presets", "try", "typeform", "--file", file, "--json"]);
    assert!(tried.status.success(), "{}", told(&tried));
    let tried: Value = serde_json::from_slice(&tried.stdout).unwrap();
    assert_eq!(tried[0]["verdict"], "lead");
    assert_eq!(tried[0]["lead"]["email"], "laura@example.com");
    assert_eq!(tried[0]["external_id"], "a3a12ec67a1365927098a606107fac15");
    assert_eq!(tried[0]["caresoft"]["lead"]["email"], "laura@example.com", "{tried:#}");
    // A notice is told to be one; with what was fetched beside it, it is a lead.
    let notice = folder_of_all().join("meta/leadgen_single_string_ids_no_ad.json");
    let tried = run(&["presets", "try", "meta-lead-ads", "--file", notice.to_str().unwrap()]);
    assert!(told(&tried).contains("verdict: notice"), "{}", told(&tried));
    let lead = fs::read(folder_of_all().join("meta/graph_lead_vi_full.response.json")).unwrap();
    let lead: Value = serde_json::from_slice(&lead).unwrap();
    let whole = json!({"notice": {"value": {"leadgen_id": "900000000000011"}}, "lead": lead});
    let fetched = folder.path().join("fetched.json");
    std::fs::write(&fetched, whole.to_string()).unwrap();
    let tried = run(&["presets", "try", "meta-lead-ads", "--file", fetched.to_str().unwrap()]);
    assert!(told(&tried).contains("verdict: lead"), "{}", told(&tried));
    // A file of one's own is a preset as well, with another's text to begin from.
    let own = folder.path().join("mine.toml");
    std::fs::write(&own, &shown.stdout).unwrap();
    let own = run(&["presets", "try", own.to_str().unwrap(), "--file", file]);
    assert!(told(&own).contains("verdict: lead"), "{}", told(&own));
}
