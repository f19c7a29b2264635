//! Alert rules and dashboard: what they mean is tried by promtool, and what they name is in the metrics of a gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use leadgate::sandbox::Options;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{list, of_kind, rendered, text};
use crate::checkout::{at, file, script};
use crate::collector::Collector;
use crate::gateway::{Backing, CareSoft, eventually, http_client, toml_of};
use crate::receiver::Receiver;
use crate::served::{Served, told};
use crate::servers::Redis;

const RULES: &str = "k8s/components/monitoring/alerts.yaml";

/// The rules as Prometheus reads them, by the command that the file itself gives.
fn write_rules(folder: &Path) {
    let command = r"sed '1,/^spec:/d; s/^  //' alerts.yaml > rules.yml";
    assert!(file(RULES).contains(command), "the file says how");
    std::fs::copy(at(RULES), folder.join("alerts.yaml")).unwrap();
    let shell = std::process::Command::new("sh").args(["-c", command]).current_dir(folder).status();
    assert!(shell.unwrap().success());
}

fn promtool(folder: &Path, arguments: &[&str]) -> String {
    let output = script("promtool").current_dir(folder).args(arguments).output().unwrap();
    let said = told(&output);
    assert!(output.status.success(), "{said}");
    said
}

/// Every rule of the manifests.
fn rules() -> Vec<Value> {
    let objects = rendered("k8s/overlays/production");
    let [rule] = of_kind(&objects, "PrometheusRule")[..] else { panic!("one") };
    list(&rule["spec"]["groups"]).iter().flat_map(|group| list(&group["rules"])).cloned().collect()
}

/// The queries of the dashboard.
fn queries() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&file("k8s/components/monitoring/dashboard.json")).unwrap();
    let targets = list(&dashboard["panels"]).iter().flat_map(|panel| list(&panel["targets"]));
    let queries: Vec<String> = targets.map(|target| text(&target["expr"]).to_owned()).collect();
    assert!(queries.len() > 10);
    queries
}

#[test]
fn every_alert_wakes_when_it_should_and_not_before() {
    let folder = TempDir::new().unwrap();
    write_rules(folder.path());
    let tried = file("tests/rules/alerts.yml");
    std::fs::write(folder.path().join("tests.yml"), &tried).unwrap();
    let checked = promtool(folder.path(), &["check", "rules", "rules.yml"]);
    let rules = rules();
    assert!(checked.contains(&format!("{} rules found", rules.len())), "{checked}");
    promtool(folder.path(), &["test", "rules", "tests.yml"]);
    for rule in rules.iter().filter(|rule| !rule["alert"].is_null()) {
        let alert = text(&rule["alert"]);
        let mark = format!("alertname: {alert}\n");
        let mut times = tried.split(&mark).skip(1);
        let wakes = times.clone().any(|rest| !rest.trim_start().starts_with("exp_alerts: []"));
        let sleeps = times.any(|rest| rest.trim_start().starts_with("exp_alerts: []"));
        assert!(wakes && sleeps, "{alert} is not tried both ways");
        let page = file("docs/kubernetes.md");
        assert!(page.contains(&format!("`{alert}`")), "{alert}: what is one to do?");
        assert!(["critical", "warning"].contains(&text(&rule["labels"]["severity"])));
        assert!(
            rule["annotations"]["summary"].is_string()
                && rule["annotations"]["description"].is_string()
        );
    }
}

#[test]
fn every_query_of_the_dashboard_is_one() {
    let folder = TempDir::new().unwrap();
    let rule = |(number, query): (usize, String)| json!({"record": format!("query{number}"), "expr": query.replace("$__rate_interval", "5m")});
    let rules: Vec<Value> = queries().into_iter().enumerate().map(rule).collect();
    let rules = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    std::fs::write(folder.path().join("rules.yml"), rules.to_string()).unwrap(); // JSON is YAML
    promtool(folder.path(), &["check", "rules", "rules.yml"]);
}

/// A series that a query asks for: its name, and what it says of labels.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    name: String,
    matchers: Vec<(String, String)>,
}

/// Every series of ours in a query.
fn series(query: &str) -> Vec<Asked> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let starts = query.match_indices("leadgate_").map(|(at, _)| &query[at..]);
    let series = starts.map(|rest| {
        let (name, rest) =
            rest.split_at(rest.find(|letter| !is_name(letter)).unwrap_or(rest.len()));
        let inside =
            rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
        let matcher = |matcher: &str| {
            let (label, value) = matcher.split_once('=')?;
            let value = value.trim_start_matches('~').trim_matches('"');
            Some((label.trim_end_matches('!').trim().to_owned(), value.to_owned()))
        };
        Asked { name: name.to_owned(), matchers: inside.split(',').filter_map(matcher).collect() }
    });
    series.collect()
}

/// The labels that a query groups by.
fn grouped(query: &str) -> BTreeSet<String> {
    let groups = query.split(" by (").skip(1).filter_map(|rest| rest.split(')').next());
    groups.flat_map(|group| group.split(',')).map(|label| label.trim().to_owned()).collect()
}

/// Every series of a `/metrics` text: name, and each label with all of its values.
pub fn shown(metrics: &[String]) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut shown: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for line in metrics.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').expect("a series and its value").0;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let known = shown.entry(name.to_owned()).or_default();
        for label in labels.trim_end_matches('}').split("\",") {
            if let Some((label, value)) = label.split_once("=\"") {
                known
                    .entry(label.to_owned())
                    .or_default()
                    .insert(value.trim_end_matches('"').to_owned());
            }
        }
    }
    shown
}

/// Everything that a gateway shows in the course of a day: leads, refusals, a signal, a store that goes away.
pub async fn metrics_of_a_day() -> Vec<String> {
    let caresoft = CareSoft::start(Options::default());
    let mut redis = Redis::start_with(&[]);
    let folder = TempDir::new().unwrap();
    let (receiver, collector) = (Receiver::start([]), Collector::start());
    let store = format!("url = \"{}\"\nspool = \"\"", redis.url());
    let told = format!(
        "[notify]\nurl = \"{}\"\nsecret = \"whsec_ZGV2ZWxvcG1lbnQtc2VjcmV0LW9mLWEtdGVzdA==\"\n\
         [log]\notlp_endpoint = \"{}\"",
        receiver.url(),
        collector.url()
    );
    let text = toml_of(&store, caresoft.address, &told);
    let served = Served::start(folder.path(), &text).await;
    let post = async |phone: &str| {
        let post = http_client().post(served.endpoint("website")).json(&json!({ "phone": phone }));
        post.send().await.unwrap().status()
    };
    assert_eq!(post("0900000001").await, 202);
    assert_eq!(post("nobody").await, 422);
    eventually("a lead is created, and told", || async {
        let metrics = served.metrics().await;
        (metrics.contains("leadgate_speed_to_lead_seconds_bucket")
            && metrics.contains("leadgate_notifications_total{"))
        .then_some(())
    })
    .await;
    let by_day = served.metrics().await;
    redis.kill();
    assert_eq!(post("0900000002").await, 503);
    vec![by_day, served.metrics().await, metrics_of_fetching().await]
}

/// Of a gateway that has tried to fetch a lead.
async fn metrics_of_fetching() -> String {
    let caresoft = CareSoft::start(Options::default());
    let extra = "[sources.facebook]\npreset = \"meta-lead-ads\"\ndestination = \"main\"\napi_base = \"http://127.0.0.1:9\"\n\
                 secrets = { token = \"t\", page_token = \"p\" }";
    let folder = TempDir::new().unwrap();
    let store = Backing::Sqlite.toml(folder.path());
    let served = Served::start(folder.path(), &toml_of(&store, caresoft.address, extra)).await;
    let change = json!({"field": "leadgen", "value": {"leadgen_id": "1", "page_id": "2", "form_id": "3", "created_time": 1_795_469_067}});
    let body = json!({"object": "page", "entry": [{"id": "2", "time": 1_795_469_067, "changes": [change]}]});
    let post =
        http_client().post(served.endpoint("facebook")).header("x-leadgate-token", "t").json(&body);
    assert_eq!(post.send().await.unwrap().status(), 200);
    eventually("it is asked for", || async {
        let metrics = served.metrics().await;
        metrics.contains("leadgate_enrich_requests_total{").then_some(metrics)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_rules_and_dashboard_name_is_in_the_metrics() {
    let shown = shown(&metrics_of_a_day().await);
    let rules = rules().into_iter().map(|rule| text(&rule["expr"]).to_owned());
    let dashboard = queries();
    for (query, is_rule) in
        rules.map(|rule| (rule, true)).chain(dashboard.into_iter().map(|query| (query, false)))
    {
        let all = series(&query);
        assert!(!all.is_empty() || query.contains("leadgate:late:"), "{query}");
        for asked in &all {
            let labels = shown
                .get(&asked.name)
                .unwrap_or_else(|| panic!("{}: no gateway shows it: {query}", asked.name));
            for (label, value) in &asked.matchers {
                let known = labels
                    .get(label)
                    .unwrap_or_else(|| panic!("{asked:?}: it has no label {label}"));
                // What a dashboard asks for may be rarer than a day; a rule that waits for a word nobody says is dead.
                let mut words = value.split('|');
                assert!(
                    !is_rule || words.all(|word| known.contains(word)),
                    "{asked:?}: there is {known:?}"
                );
            }
        }
        for label in grouped(&query) {
            assert!(
                all.iter().any(|asked| shown[&asked.name].contains_key(&label)),
                "{query}: {label}"
            );
        }
    }
    // Both ways: what a gateway shows is on the dashboard.
    let on_it: BTreeSet<String> =
        queries().iter().flat_map(|query| series(query)).map(|asked| asked.name).collect();
    let family = |name: &str| {
        ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name)
            .to_owned()
    };
    let on_it: BTreeSet<String> = on_it.iter().map(|name| family(name)).collect();
    for name in shown.keys() {
        assert!(on_it.contains(&family(name)), "{name} is on no panel");
    }
}
