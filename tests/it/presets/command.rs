//! `leadgate presets`.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::fixture::folder_of_all;
use crate::served::{leadgate, told};

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
