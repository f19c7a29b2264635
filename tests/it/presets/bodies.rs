//! What becomes of each body.

use std::collections::{BTreeMap, BTreeSet};

use leadgate::sandbox::Options;
use serde_json::{Value, json};

use super::fixture::{CASES, fixtures};
use super::{gateway, records};
use crate::gateway::CareSoft;

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
