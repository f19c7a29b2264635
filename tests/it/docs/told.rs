//! What the program tells is in the book, and nothing else: metrics, problems, states, signals, faults, exit codes.

use std::collections::{BTreeMap, BTreeSet};

use leadgate::config::NotifyEvent;
use leadgate::delivery::LANE_STATES;
use leadgate::lead::State;
use reqwest::StatusCode;
use tempfile::TempDir;

use super::{Page, page, pages, rows};
use crate::checkout::sources;
use crate::k8s::monitored::{metrics_of_a_day, shown};
use crate::served::{leadgate, told};

const TROUBLE: &str = "docs/troubleshooting.md";

/// Name and labels of a metric as it is written: `leadgate_records{state}`.
fn metric(code: &str) -> Option<(&str, BTreeSet<String>)> {
    let (name, labels) = code.split_once('{').unwrap_or((code, ""));
    let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
    let labels = labels.map(|label| label.split('=').next().unwrap_or_default().to_owned());
    let is_name =
        name.starts_with("leadgate_") && name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase());
    is_name.then(|| (name, labels.collect()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_documented_both_ways() {
    let mut given = BTreeMap::<String, BTreeSet<String>>::new();
    for (name, labels) in shown(&metrics_of_a_day().await) {
        let parts = ["_bucket", "_sum", "_count"];
        let of_histogram = parts.iter().find_map(|part| name.strip_suffix(part));
        let labels = labels.into_keys().filter(|label| label != "le");
        given.entry(of_histogram.unwrap_or(&name).to_owned()).or_default().extend(labels);
    }
    let listed = rows(&page("docs/metrics.md"));
    let listed = listed.iter().filter_map(|(first, _)| metric(first));
    let listed: BTreeMap<String, BTreeSet<String>> =
        listed.map(|(name, labels)| (name.to_owned(), labels)).collect();
    assert_eq!(listed, given);
    for Page { path, code, .. } in pages() {
        // The hidden field of the script for web pages.
        for code in code.iter().filter(|code| *code != "leadgate_id") {
            let Some((name, labels)) = metric(code) else { continue };
            let known = given.get(name).unwrap_or_else(|| panic!("{path}: {name}"));
            assert!(labels.is_subset(known), "{path}: {code}");
        }
    }
}

/// Each problem that the source makes, with the statuses that it comes with.
fn problems() -> BTreeMap<String, BTreeSet<u16>> {
    let statuses: BTreeMap<String, u16> = (100..600)
        .filter_map(|code| {
            let status = StatusCode::from_u16(code).ok()?;
            Some((status.canonical_reason()?.to_uppercase().replace(['-', ' '], "_"), code))
        })
        .collect();
    let mut problems = BTreeMap::<String, BTreeSet<u16>>::new();
    for (_, text) in sources() {
        for call in text.split("Problem::new(").skip(1) {
            let (before, rest) = call.split_once('"').expect("a name");
            let name = rest.split('"').next().unwrap_or_default();
            let known = problems.entry(name.to_owned()).or_default();
            if let Some((_, status)) = before.split_once("StatusCode::") {
                let status = status.split(',').next().unwrap_or_default();
                known.insert(statuses[status]);
            }
        }
    }
    problems
}

/// The words in the first cells of the tables under a heading of a page.
fn words_under(page: &Page, heading: &str) -> BTreeMap<String, Vec<String>> {
    let (_, below) = page.text.split_once(&format!("\n## {heading}\n")).expect(heading);
    let below = below.split("\n## ").next().unwrap_or_default();
    rows(&Page { text: below.to_owned(), ..Page::default() }).into_iter().collect()
}

#[test]
fn problems_are_documented_both_ways() {
    let listed = words_under(&page(TROUBLE), "Problem documents");
    let listed: BTreeMap<String, BTreeSet<u16>> = listed
        .into_iter()
        .map(|(name, cells)| {
            (name, cells[0].split(", ").map(|status| status.parse().unwrap()).collect())
        })
        .collect();
    let made = problems();
    assert!(made.len() > 15, "{made:?}");
    assert_eq!(listed, made);
    for Page { path, text, .. } in pages() {
        for rest in text.split("urn:leadgate:problem:").skip(1) {
            let name = rest.split(|c: char| !c.is_ascii_lowercase() && c != '-').next();
            let name = name.unwrap_or_default();
            assert!(name.is_empty() || made.contains_key(name), "{path}: {name}");
        }
    }
}

fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

#[test]
fn states_and_signals_are_documented_both_ways() {
    let trouble = page(TROUBLE);
    let lanes: BTreeSet<String> = words_under(&trouble, "States of a lane").into_keys().collect();
    assert_eq!(lanes, set(LANE_STATES));
    let states = words_under(&trouble, "States of a submission");
    let states: BTreeSet<String> = states.into_keys().collect();
    assert_eq!(states, set(State::ALL.map(State::as_str)));
    let signals = rows(&page("docs/signals.md")).into_iter().map(|(word, _)| word);
    let signals: BTreeSet<String> = signals.filter(|word| word != "type").collect();
    assert_eq!(signals, set(NotifyEvent::ALL.map(NotifyEvent::as_str)));
}

/// A configuration with the faults that the page explains.
const FAULTY: &str = r#"[server]
listn = "127.0.0.1:8080"
[destinations.main]
domain = "khachhang01"
token = { env = "CARESOFT_TOKEN" }
[sources.website]
preset = "webform"
destination = "mian"
[sources.landing]
preset = "web-form"
destination = "main"
max_age = "5"
"#;

#[test]
fn faults_and_exit_codes_are_as_documented() {
    let folder = TempDir::new().unwrap();
    let run = |arguments: &[&str]| {
        let output = leadgate(folder.path()).args(arguments).output().unwrap();
        (output.status.code().expect("an exit").to_string(), told(&output))
    };
    let trouble = page(TROUBLE);
    std::fs::write(folder.path().join("leadgate.toml"), FAULTY).unwrap();
    let (faulty, faults) = run(&["check", "--config", "leadgate.toml"]);
    let block = trouble.blocks.iter().find(|(_, block)| block.contains(".toml:2: "));
    let (_, shown) = block.expect("the page shows what check says");
    let shown: Vec<&str> = shown.lines().filter(|line| !line.starts_with("$ ")).collect();
    assert_eq!(shown, faults.lines().collect::<Vec<_>>());
    let (done, _) = run(&["presets", "list"]);
    // Nothing runs here that could be asked.
    let (failed, why) = run(&["leads", "list"]);
    let said = trouble.text.replace('\n', " ");
    let message = why.trim().split(": No such file").next().unwrap_or_default().to_owned();
    assert!(said.contains(&message), "{message}");
    let codes: BTreeSet<String> = words_under(&trouble, "Exit codes").into_keys().collect();
    assert_eq!(codes, set(["0", "1", "2"]));
    assert_eq!([done, failed, faulty], ["0", "1", "2"]);
}
