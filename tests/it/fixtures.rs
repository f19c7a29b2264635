//! Every body in `tests/fixtures/generic` that is a form: what is extracted, field by field.

use std::collections::BTreeMap;
use std::fs;

use leadgate::sandbox::Options;
use serde_json::{Value, json};

use crate::checkout;
use crate::gateway::{CareSoft, Gateway, id_of};

/// Signature vectors for presets other than `web-form`: no forms.
const VECTORS: [&str; 3] =
    ["github_hmac_vector.txt", "hmac_sha1_upper_hex_vector.json", "standard_webhooks_vector.json"];

#[tokio::test]
async fn generic_bodies_become_the_expected_leads() {
    let caresoft = CareSoft::start(Options::default());
    let extra = "honeypot = \"website\"\ncors = { origins = [\"https://site.example.vn\"] }\n\
        [sources.website.secrets]\ntoken = \"static-token-test\"";
    let gateway = Gateway::start(&caresoft, extra).await;
    let folder = checkout::at("tests/fixtures/generic");
    let mut checked = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".meta.json") || VECTORS.contains(&&*name) {
            continue;
        }
        let body = fs::read(folder.join(&name)).unwrap();
        let meta = fs::read(folder.join(format!("{name}.meta.json"))).unwrap();
        check(&gateway, &name, body, &serde_json::from_slice(&meta).unwrap()).await;
        checked += 1;
    }
    assert_eq!(checked, 5, "every form among the fixtures");
    gateway.stop().await;
}

async fn check(gateway: &Gateway, name: &str, body: Vec<u8>, meta: &Value) {
    let query = meta["query"].as_str().unwrap_or_default();
    let mut request = gateway.http.post(gateway.url(&format!("/in/website?{query}"))).body(body);
    request = request.header("Content-Type", meta["content_type"].as_str().unwrap());
    request = request.header("X-Leadgate-Token", "static-token-test");
    for header in ["Origin", "Referer"] {
        if let Some(value) = meta["headers"][header].as_str() {
            request = request.header(header, value);
        }
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 202, "{name}");
    for (header, value) in entries(&meta["expected"]["response_headers"]) {
        let found = response.headers().get(&header).map(|found| found.to_str().unwrap());
        assert_eq!(found, Some(&*value), "{name}: {header}");
    }
    let id = id_of(response).await;
    let expected = &meta["expected"];
    if expected["spam"] == json!(true) {
        assert_eq!(gateway.admin_get(&format!("/api/leads/{id}")).await.status(), 404, "{name}");
        return;
    }
    let record = gateway.record(&id).await;
    let lead = &record["lead"];
    for field in ["name", "phone", "email", "page_url"] {
        assert_eq!(lead[field], expected[field], "{name}: {field}");
    }
    assert_eq!(record["external_id"], expected["external_id"], "{name}");
    let utm: BTreeMap<_, _> =
        entries(&lead["utm"]).map(|(name, value)| (format!("utm_{name}"), value)).collect();
    assert_eq!(json!(utm), expected["utm"], "{name}");
    assert_eq!(lead["click_ids"], expected["click_ids"], "{name}");
    let answers = lead["answers"].as_array().unwrap();
    let answers: BTreeMap<_, _> = answers
        .iter()
        .map(|answer| (answer["label"].as_str().unwrap(), answer["value"].as_str().unwrap()))
        .collect();
    for (label, value) in entries(&expected["extra"]) {
        assert_eq!(answers.get(&*label), Some(&&*value), "{name}: {label} is kept");
    }
    // Besides those, only what stood around a number or an address ("gọi sau 18h").
    let known =
        |label: &str| !expected["extra"][label].is_null() || ["phone", "email"].contains(&label);
    let unknown: Vec<_> = answers.keys().filter(|label| !known(label)).collect();
    assert!(unknown.is_empty(), "{name}: {unknown:?} is kept and should not be");
}

/// An object's entries as text; several values are one answer.
fn entries(object: &Value) -> impl Iterator<Item = (String, String)> {
    let entries = object.as_object().cloned().unwrap_or_default();
    entries.into_iter().map(|(name, value)| match value {
        Value::Array(values) => {
            let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
            (name, values.join(", "))
        }
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    })
}
