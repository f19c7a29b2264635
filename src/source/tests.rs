//! Sources of platforms that only give notices, read from what is fetched for them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::config::MapEnvironment;
use crate::lead::{Lead, RawBody};
use crate::preset::{Remedy, built_in_names};
use crate::store::Content;

fn source_of(settings: &str) -> Source {
    compiled(settings).unwrap()
}

fn compiled(settings: &str) -> Result<Source, SourceError> {
    let text = format!(
        "[server]\npublic_url = \"https://leads.example.vn\"\n\
         [destinations.main]\nbase_url = \"https://api.caresoft.vn\"\ndomain = \"d\"\ntoken = \"t\"\n\
         [destinations.main.lead]\nservice_id = 1\n\
         [sources.ads]\ndestination = \"main\"\n{settings}"
    );
    let environment = MapEnvironment::default();
    let parsed = config::parse(&text, "test.toml", &environment, &built_in_names());
    let config = parsed.unwrap_or_else(|faults| panic!("{faults}")).config;
    let id = "ads".parse().unwrap();
    Source::compile(&id, &config.sources[&id], &config)
}

#[test]
fn what_makes_it_fetch_or_erase_is_not_anybodys() {
    let fault = |settings: &str| match compiled(settings) {
        Err(error @ SourceError::Unguarded { .. }) => error.to_string(),
        other => panic!("{settings}: {other:?}"),
    };
    let told = fault("preset = \"meta-lead-ads\"\nsecrets = { page_token = \"t\" }");
    assert!(told.contains("fetch") && told.ends_with("configure app_secret or token"), "{told}");
    // What answers a handshake verifies no post.
    fault("preset = \"meta-lead-ads\"\nsecrets = { page_token = \"t\", verify_token = \"v\" }");
    fault("preset = \"linkedin-lead-sync\"\nsecrets = { access_token = \"t\" }");
    for secret in ["token", "client_secret"] {
        let secrets = format!("secrets = {{ access_token = \"t\", {secret} = \"s\" }}");
        source_of(&format!("preset = \"linkedin-lead-sync\"\n{secrets}"));
    }
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("mine.toml");
    let text = "schema = 1\nid = \"mine\"\ntitle = \"Mine\"\n\
                [lead]\ndeletion = { path = \"gone\", eq = true }\n";
    fs::write(&file, text).unwrap();
    let preset = format!("preset = {:?}", file.display().to_string());
    assert!(fault(&preset).contains("erase a lead: configure token"));
    source_of(&format!("{preset}\nsecrets = {{ token = \"t\" }}"));
}

fn meta() -> Source {
    source_of("preset = \"meta-lead-ads\"\nsecrets = { page_token = \"t\", app_secret = \"s\" }")
}

fn linkedin() -> Source {
    source_of(
        "preset = \"linkedin-lead-sync\"\nsecrets = { access_token = \"t\", client_secret = \"s\" }",
    )
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn fixture(name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder().join(name)).unwrap()).unwrap()
}

/// What the platform answers, with what is expected of it, by its file's name.
fn answers(platform: &str) -> BTreeMap<String, (Value, Value)> {
    let files = fs::read_dir(folder().join(platform)).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let names = names.filter(|name| name.ends_with(".response.json"));
    let read = |name: String| {
        let meta = fixture(&format!("{platform}/{name}.meta.json"));
        (name.clone(), (fixture(&format!("{platform}/{name}")), meta))
    };
    names.map(read).collect()
}

fn lead_of(kept: Kept) -> (Lead, bool) {
    match kept.content {
        Content::Lead { lead, .. } => (lead, false),
        Content::Test { lead } => (lead, true),
        Content::Quarantined { lead: Some(lead), .. } => (lead, false),
        other => panic!("{other:?}"),
    }
}

fn answer<'a>(lead: &'a Lead, label: &str) -> Option<&'a str> {
    let mut answers = lead.answers.iter();
    answers.find(|answer| answer.label == label).map(|answer| answer.value.as_str())
}

fn check(kept: Kept, expected: &Value) {
    assert_eq!(json!(kept.external_id), expected["external_id"]);
    let (lead, is_test) = lead_of(kept);
    let told = serde_json::to_value(&lead).unwrap();
    for field in ["name", "phone", "email", "page_url", "click_ids"] {
        assert_eq!(told[field], expected[field], "{field}: {told:#}");
    }
    assert_eq!(json!(is_test), expected["test"]);
    let utm = lead.attribution.utm.iter().map(|(name, value)| (format!("utm_{name}"), value));
    assert_eq!(json!(utm.collect::<BTreeMap<_, _>>()), expected["utm"]);
    for (label, value) in expected["extra"].as_object().unwrap() {
        let text = match value {
            Value::Array(several) => {
                several.iter().map(|one| one.as_str().unwrap()).collect::<Vec<_>>().join(", ")
            }
            one => one.as_str().unwrap().to_owned(),
        };
        assert_eq!(answer(&lead, label), Some(text.as_str()), "{label}: {told:#}");
    }
}

fn meta_element(lead: &Value) -> Value {
    let ids = json!({"leadgen_id": lead["id"], "page_id": 7, "form_id": 9});
    json!({"notice": {"field": "leadgen", "value": ids}, "lead": lead})
}

#[test]
fn what_the_graph_api_answers_becomes_leads() {
    let source = meta();
    let mut played = 0;
    for (name, (lead, meta)) in answers("meta") {
        let expected = &meta["expected"];
        if expected["external_id"].is_null() {
            continue; // no lead: the other tests here
        }
        check(source.read_itself(meta_element(&lead)), expected);
        played += 1;
        assert!(name.starts_with("graph_lead"));
    }
    assert_eq!(played, 3);
}

#[test]
fn a_consent_is_kept_whether_it_was_given_or_not() {
    let mut lead = fixture("meta/graph_disclaimer.response.json");
    lead["field_data"] = json!([{"name": "PHONE_NUMBER", "values": ["+84900000001"]}]);
    let (lead, _) = lead_of(meta().read_itself(meta_element(&lead)));
    assert_eq!(json!(lead.phone), "+84900000001");
    assert_eq!(answer(&lead, "consent optional_1"), Some("true"));
    assert_eq!(answer(&lead, "consent optional_2"), Some("false"));
    assert_eq!(answer(&lead, "page_id"), Some("7"));
}

/// The answers of a lead know their questions by number alone: the form names them.
#[test]
fn linkedins_lead_and_form_are_read_together() {
    let source = linkedin();
    let answers = answers("linkedin");
    let (lead, meta) = &answers["leadFormResponse.response.json"];
    let (form, _) = &answers["leadForm.response.json"];
    let element = |lead: &Value| json!({"notice": fixture("linkedin/lead_created.json"), "lead": lead, "form": form});
    check(source.read_itself(element(lead)), &meta["expected"]);
    let (kept, _) = lead_of(source.read_itself(element(lead)));
    assert_eq!(answer(&kept, "consent 1"), Some("true"));
    let mut test = lead.clone();
    test["testLead"] = json!(true);
    assert!(lead_of(source.read_itself(element(&test))).1, "its own flag");
}

#[test]
fn what_the_graph_api_refuses_is_judged_by_its_code() {
    let enrich = meta().preset.enrich.unwrap();
    let mut judged = 0;
    for (name, (body, meta)) in answers("meta") {
        let Some(status) = meta["response_status"].as_u64() else { continue };
        let expected = match meta["expected"]["class"].as_str().unwrap() {
            "auth" => Remedy::Alert,
            "rate_limited" => Remedy::Backoff,
            "not_found_or_permission" => Remedy::FewThenPark,
            other => panic!("{name}: {other}"),
        };
        let refused = enrich.refused(u16::try_from(status).unwrap(), &body);
        assert_eq!(refused.remedy, expected, "{name}: {}", refused.told);
        judged += 1;
    }
    assert_eq!(judged, 5);
}

fn only(source: &Source, post: Value) -> Kept {
    let mut items = source.preset.items(post);
    assert_eq!((items.leads.len(), items.unusable.len()), (1, 0));
    source.read_itself(items.leads.remove(0))
}

#[test]
fn a_notice_waits_to_be_fetched_and_a_deletion_erases_what_it_names() {
    let kept = only(&meta(), fixture("meta/leadgen_single_string_ids_no_ad.json"));
    assert_eq!(kept.external_id.as_deref(), Some("230000000000001"));
    assert!(matches!(kept.content, Content::Notice { .. }));
    let source = linkedin();
    let created = only(&source, fixture("linkedin/lead_created.json"));
    let deleted = only(&source, fixture("linkedin/lead_deleted.json"));
    assert!(matches!(created.content, Content::Notice { .. }));
    assert!(matches!(deleted.content, Content::Deletion));
    assert_eq!(created.external_id.as_deref(), Some("1a2b3c-4"));
    assert_eq!(created.external_id, deleted.external_id);
    let mut nobody = fixture("linkedin/lead_deleted.json");
    nobody["leadGenFormResponse"] = json!("urn:li:leadGenFormResponse:");
    assert!(matches!(only(&source, nobody).content, Content::Quarantined { .. }));
}

async fn stored(source: &Source, raw: &RawBody) -> Result<Kept, String> {
    source.read_stored(raw).await.map_err(|error| error.to_string())
}

fn post(name: &str) -> RawBody {
    let content_type = "application/json".to_owned();
    RawBody { content_type, bytes: fs::read(folder().join(name)).unwrap() }
}

#[tokio::test]
async fn what_was_kept_is_mapped_anew() {
    let source = meta();
    let one = stored(&source, &post("meta/leadgen_single_string_ids_no_ad.json")).await.unwrap();
    let Content::Notice { notice } = one.content else { panic!("{one:?}") };
    let again = stored(&source, &notice).await.unwrap();
    assert!(matches!(again.content, Content::Notice { .. }), "a notice is fetched again");
    assert_eq!(again.external_id, one.external_id);
    let whole = meta_element(&fixture("meta/graph_lead_vi_full.response.json"));
    let whole = stored(&source, &element_body(&whole)).await.unwrap();
    assert!(matches!(whole.content, Content::Lead { .. }), "what was fetched is there");

    let several = stored(&source, &post("meta/leadgen_two_changes_numeric_ids.json")).await;
    assert_eq!(several.unwrap_err(), "it holds 2 leads; replay cannot tell which");
    let none = stored(&source, &post("meta/changed_fields_only.json")).await.unwrap_err();
    assert!(none.contains("Include Values"), "{none}");
    let lacking = element_body(&json!({"notice": {"value": {}}}));
    assert!(stored(&source, &lacking).await.unwrap_err().contains("lacks"));
    let forged = post_body(Some("application/json; leadgate=element"), notice.bytes);
    assert!(stored(&source, &forged).await.is_err(), "nobody posts an element");
    let broken = RawBody { content_type: "application/json".to_owned(), bytes: b"{".to_vec() };
    assert!(stored(&source, &broken).await.unwrap_err().contains("JSON"));

    let form = RawBody {
        content_type: "application/x-www-form-urlencoded".to_owned(),
        bytes: b"goi=0900000001&utm_source=fb".to_vec(),
    };
    let unmended = "preset = \"web-form\"\ninvalid = \"quarantine\"";
    assert!(stored(&source_of(unmended), &form).await.is_err());
    let mended = source_of(&format!("{unmended}\nfields = {{ phone = [\"goi\"] }}"));
    let (lead, _) = lead_of(stored(&mended, &form).await.unwrap());
    assert_eq!(json!(lead.phone), "+84900000001");
}
