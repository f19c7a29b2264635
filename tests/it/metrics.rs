//! The metrics that the contract with an operator names, with their labels, after one lead.

use std::collections::{BTreeMap, BTreeSet};

use leadgate::sandbox::Options;
use serde_json::json;
use tempfile::TempDir;

use crate::collector::Collector;
use crate::gateway::{CareSoft, http_client, id_of, toml_of};
use crate::served::Served;

/// Name and labels. A histogram is told by its `_count`.
const METRICS: [(&str, &[&str]); 20] = [
    ("leadgate_submissions_total", &["source", "outcome"]),
    ("leadgate_intake_seconds_count", &["source"]),
    ("leadgate_upstream_requests_total", &["destination", "call", "outcome"]),
    ("leadgate_upstream_seconds_count", &["destination", "call"]),
    ("leadgate_speed_to_lead_seconds_count", &["source"]),
    ("leadgate_queue_depth", &["destination"]),
    ("leadgate_queue_oldest_seconds", &["destination"]),
    ("leadgate_lane_state", &["destination", "state"]),
    ("leadgate_records", &["state"]),
    ("leadgate_spool_depth", &[]),
    ("leadgate_store_errors_total", &["store"]),
    // Beyond the contract.
    ("leadgate_ledger_residue", &[]),
    ("leadgate_notifications_total", &["type", "outcome"]),
    ("leadgate_enrich_requests_total", &["source", "outcome"]),
    ("leadgate_spans_total", &["outcome"]),
    ("leadgate_part", &["part"]),
    ("leadgate_source_last_received_timestamp_seconds", &["source"]),
    ("leadgate_config_last_reload_successful", &[]),
    ("leadgate_config_last_reload_success_timestamp_seconds", &[]),
    ("leadgate_config_restart_needed", &[]),
];

/// Those that a lead which meets no trouble does not move.
const OF_TROUBLE: [&str; 2] = ["leadgate_notifications_total", "leadgate_enrich_requests_total"];

/// The name and the labels of a line.
fn sample(line: &str) -> Option<(String, BTreeMap<String, String>)> {
    let (series, _) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.trim_end_matches('}').split(',').filter_map(|label| {
        let (key, value) = label.split_once('=')?;
        Some((key.to_owned(), value.trim_matches('"').to_owned()))
    });
    Some((name.to_owned(), labels.collect()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_the_contract_has_its_labels_and_no_others() {
    let (caresoft, collector) = (CareSoft::start(Options::default()), Collector::start());
    let folder = TempDir::new().unwrap();
    let store = format!("url = \"sqlite:{}\"", folder.path().join("leads.db").display());
    let traces = format!("[log]\notlp_endpoint = \"{}\"", collector.url());
    let served = Served::start(folder.path(), &toml_of(&store, caresoft.address, &traces)).await;
    let http = http_client();
    let post = http.post(served.endpoint("website")).json(&json!({"phone": "0900000061"}));
    let id = id_of(post.send().await.unwrap()).await;
    served.settled(&id, "created").await;
    // Whatever strangers make up is no label.
    for made_up in ["no-such-source", "web\"site", "%0Aleadgate_made_up%201", "0900000062"] {
        let url = served.endpoint(made_up);
        let answer = http.post(url).json(&json!({"phone": "0900000062"})).send().await.unwrap();
        assert_eq!(answer.status(), 404);
    }

    let text = served.metrics().await;
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let Some((name, mut labels)) = sample(line) else { continue };
        labels.remove("le");
        let told = ["_bucket", "_sum"].iter().find_map(|end| name.strip_suffix(end));
        let name = told.map_or(name.clone(), |histogram| format!("{histogram}_count"));
        let known = METRICS.iter().find(|(known, _)| *known == name);
        let (_, wanted) = known.unwrap_or_else(|| panic!("{name} is not in the list"));
        let keys: BTreeSet<&str> = labels.keys().map(String::as_str).collect();
        assert_eq!(keys, BTreeSet::from_iter(wanted.iter().copied()), "{line}");
        for (key, value) in &labels {
            let is_configured = match key.as_str() {
                "source" => value == "website",
                "destination" => value == "main",
                _ => value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            };
            assert!(is_configured, "{line}");
        }
        seen.insert(name);
    }
    for (name, _) in METRICS {
        assert!(seen.contains(name) || OF_TROUBLE.contains(&name), "{name} is missing\n{text}");
    }
}
