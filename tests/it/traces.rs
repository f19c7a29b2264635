//! One lead's trace, from its post to CareSoft, as a collector gets it from the real binary.

use std::collections::BTreeSet;
use std::path::Path;

use leadgate::sandbox::Options;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::collector::{Collector, Span};
use crate::enrich::{fixture, lead_of, notice, signature};
use crate::fleet;
use crate::gateway::{Backing, CareSoft, eventually, http_client, id_of, toml_of};
use crate::platform::{Answer, Platform};
use crate::served::{Served, leadgate};

pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub const CALLER: &str = "00f067aa0ba902b7";

pub fn traced(store: &str, caresoft: &CareSoft, endpoint: &str) -> String {
    let more = format!("[log]\notlp_endpoint = \"{endpoint}\"");
    toml_of(store, caresoft.address, &more)
}

pub async fn start(folder: &Path, text: &str, role: &str) -> Served {
    let file = folder.join(format!("{role}.toml"));
    std::fs::write(&file, text).unwrap();
    let mut command = leadgate(folder);
    command.args(["serve", "--role", role, "--config"]).arg(&file);
    Served::spawn(command).await
}

/// A person who is easily found again, posted as part of a trace.
pub async fn post(served: &Served, phone: &str, traceparent: &str) -> String {
    let body = json!({
        "name": "Nguyễn Thị Bí Mật", "phone": phone, "email": format!("bi.mat.{phone}@example.vn"),
        "message": "điều riêng tư", "thanh_pho": "Huế Bí Mật",
    });
    let post = http_client()
        .post(served.endpoint("website"))
        .header("traceparent", traceparent)
        .header("Referer", "https://shop.example.vn/?utm_source=nguonbimat&fbclid=clickbimat")
        .json(&body);
    id_of(post.send().await.unwrap()).await
}

/// The only span of that name.
fn only<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
    assert!(found.next().is_none(), "several {name} in {spans:#?}");
    span
}

/// What is asked of the trace of one lead that was created by the first request.
fn assert_whole(spans: &[Span], id: &str, parent: &str, caresoft: &CareSoft) {
    let names: BTreeSet<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["post", "admit", "attempt", "create_lead", "settle"]));
    let of = |name| only(spans, name);
    let [post, admit, attempt, create, settle] =
        ["post", "admit", "attempt", "create_lead", "settle"].map(of);
    assert_eq!(post.parent, parent);
    for (child, parent) in [(admit, post), (attempt, admit), (create, attempt), (settle, attempt)] {
        assert_eq!(child.parent, parent.id, "{} hangs on {}", child.name, parent.name);
        assert!(child.began >= parent.began, "{} after {}", child.name, parent.name);
    }
    assert!(create.ended <= settle.began && settle.ended <= attempt.ended);
    assert_eq!([post, admit, attempt, create].map(|span| span.kind), [2, 1, 5, 3]);
    assert!(spans.iter().all(|span| !span.is_error));
    let says = |span: &Span, expected: &[(&str, &str)]| {
        let said: Vec<_> = span.attributes.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(said, expected, "{}", span.name);
    };
    says(
        post,
        &[
            ("http.request.method", "POST"),
            ("http.response.status_code", "202"),
            ("http.route", "/in/{source}"),
            ("outcome", "accepted"),
            ("source", "website"),
            ("submissions", "1"),
        ],
    );
    says(admit, &[("destination", "main"), ("lead_id", id), ("outcome", "accepted")]);
    says(
        attempt,
        &[
            ("attempts", "0"),
            ("destination", "main"),
            ("lead_id", id),
            ("outcome", "created"),
            ("source", "website"),
        ],
    );
    says(
        create,
        &[
            ("http.response.status_code", "200"),
            ("outcome", "created"),
            ("server.address", "127.0.0.1"),
        ],
    );
    says(settle, &[("outcome", "created")]);
    let sent: Vec<_> =
        caresoft.sandbox.log().into_iter().filter_map(|entry| entry.traceparent).collect();
    assert_eq!(sent, [format!("00-{}-{}-01", post.trace, create.id).into_boxed_str()]);
}

fn assert_nobody_is_told(collector: &Collector) {
    for secret in [
        "900000051",
        "bi.mat",
        "Bí Mật",
        "riêng tư",
        "Huế",
        "nguonbimat",
        "clickbimat",
        "shop.example",
        &Options::default().token,
    ] {
        assert!(!collector.was_told(secret), "{secret} was told");
    }
    assert!(collector.was_told("website"), "and what may be told is found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lead_is_one_trace_from_its_post_to_caresoft() {
    let (caresoft, collector) = (CareSoft::start(Options::default()), Collector::start());
    let folder = TempDir::new().unwrap();
    let store = Backing::Sqlite.toml(folder.path());
    let text = traced(&store, &caresoft, &collector.url());
    let served = start(folder.path(), &text, "all").await;
    // Not sampled, its sender says. What is collected is not a stranger's to decide.
    let id = post(&served, "0900000051", &format!("00-{TRACE}-{CALLER}-00")).await;
    let record = served.settled(&id, "created").await;
    assert_eq!(record["trace_id"], TRACE);
    let refused = http_client().post(served.endpoint("website")).json(&json!({"phone": "1"}));
    let problem: Value = refused.send().await.unwrap().json().await.unwrap();
    let instance = problem["instance"].as_str().unwrap();
    let refused = instance.strip_prefix("urn:leadgate:trace:").expect("a trace").to_owned();

    let (code, log) = served.terminate().await; // and what waits is flushed
    assert_eq!(code, Some(0), "{log}");
    assert_whole(&collector.spans_of(TRACE), &id, CALLER, &caresoft);
    let spans = collector.spans_of(&refused);
    let [of_refused] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((&*of_refused.name, &*of_refused.parent), ("post", ""));
    assert_eq!(of_refused.attributes["outcome"], "invalid");
    assert_nobody_is_told(&collector);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_on_in_another_process() {
    let (caresoft, collector) = (CareSoft::start(Options::default()), Collector::start());
    let redis = fleet::appending();
    let folder = TempDir::new().unwrap();
    let store = format!("url = \"{}\"\nspool = \"\"", redis.url());
    let text = traced(&store, &caresoft, &collector.url());
    let intake = start(folder.path(), &text, "intake").await;
    let worker = start(folder.path(), &text, "worker").await;
    let id = post(&intake, "0900000051", &format!("00-{TRACE}-{CALLER}-01")).await;
    assert_eq!(intake.settled(&id, "created").await["trace_id"], TRACE);
    for served in [intake, worker] {
        let (code, log) = served.terminate().await;
        assert_eq!(code, Some(0), "{log}");
    }
    let spans = collector.spans_of(TRACE);
    assert_whole(&spans, &id, CALLER, &caresoft);
    let process = |name| &only(&spans, name).process;
    assert_eq!(process("post"), process("admit"));
    assert_eq!(process("attempt"), process("create_lead"));
    assert_ne!(process("post"), process("attempt"));
    assert_nobody_is_told(&collector);
}

/// A lead that may have been made: each piece of work on it is in the same trace, and its failures
/// are marked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_marked_and_stay_in_the_trace() {
    let (caresoft, collector) = (CareSoft::start(Options::default()), Collector::start());
    let folder = TempDir::new().unwrap();
    let store = Backing::Sqlite.toml(folder.path());
    let text = traced(&store, &caresoft, &collector.url())
        .replace("service_id = 1244", "service_id = 999999"); // CareSoft knows no such service
    let served = start(folder.path(), &text, "all").await;
    // What is no traceparent begins a trace.
    let id = post(&served, "0900000051", &format!("00-{}-{CALLER}-01", "0".repeat(32))).await;
    let record = served.settled(&id, "dead").await;
    let trace = record["trace_id"].as_str().unwrap().to_owned();
    served.terminate().await;
    let spans = collector.spans_of(&trace);
    assert_eq!(only(&spans, "post").parent, "");
    for (name, is_error) in [("post", false), ("attempt", true), ("create_lead", true)] {
        assert_eq!(only(&spans, name).is_error, is_error, "{name} in {spans:#?}");
    }
    assert_eq!(only(&spans, "attempt").attributes["outcome"], "dead");
    assert_nobody_is_told(&collector);
}

/// A platform that only gives notice: it is asked for the lead within the trace of its post, each
/// time, and hears nothing of the trace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lead_that_has_to_be_fetched_is_one_trace() {
    const SECRET: &str = "the app's secret of the test";
    const TOKEN: &str = "the-token-of-the-page";
    let (caresoft, collector) = (CareSoft::start(Options::default()), Collector::start());
    let (platform, folder) = (Platform::start(), TempDir::new().unwrap());
    let busy = Answer::text(503, "");
    platform.answers("/v26.0/11", [busy, lead_of(11, "meta/graph_lead_vi_full.response.json")]);
    let store = Backing::Sqlite.toml(folder.path());
    let source = format!(
        "[sources.fanpage]\npreset = \"meta-lead-ads\"\ndestination = \"main\"\n\
         api_base = \"{}\"\nsecrets = {{ app_secret = \"{SECRET}\", page_token = \"{TOKEN}\" }}\n",
        platform.url()
    );
    let text = traced(&store, &caresoft, &collector.url()) + "\n" + &source;
    let served = start(folder.path(), &text, "all").await;
    let body = notice(11);
    let post = http_client()
        .post(served.endpoint("fanpage"))
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .header("X-Hub-Signature-256", format!("sha256={}", signature(SECRET, &[body.as_bytes()])))
        .header("Content-Type", "application/json")
        .body(body);
    assert_eq!(post.send().await.unwrap().status(), 200);
    let listed = eventually("its lead is created", || async {
        let listed = served.admin_get("/api/leads?state=created").await?;
        let listed: Value = listed.json().await.unwrap();
        listed["leads"].as_array().unwrap().first().cloned()
    })
    .await;
    let record = served.record(listed["id"].as_str().unwrap()).await.unwrap();
    assert_eq!(record["trace_id"], TRACE);
    let (code, log) = served.terminate().await;
    assert_eq!(code, Some(0), "{log}");

    let spans = collector.spans_of(TRACE);
    let [admit, attempt] = ["admit", "attempt"].map(|name| only(&spans, name));
    assert_eq!((&admit.parent, &attempt.parent), (&only(&spans, "post").id, &admit.id));
    let fetches: Vec<_> = spans.iter().filter(|span| span.name == "fetch").collect();
    let [first, second] = fetches[..] else { panic!("each time that it was asked: {spans:#?}") };
    for (fetch, attempts, outcome) in [(first, "0", "retry"), (second, "1", "read")] {
        assert_eq!((&fetch.parent, fetch.kind, fetch.is_error), (&admit.id, 5, false));
        let said: Vec<_> = fetch.attributes.iter().map(|(key, value)| (&**key, &**value)).collect();
        let expected = [
            ("attempts", attempts),
            ("destination", "main"),
            ("lead_id", record["id"].as_str().unwrap()),
            ("outcome", outcome),
            ("source", "fanpage"),
        ];
        assert_eq!(said, expected);
    }
    assert!(first.ended <= second.began && second.ended <= attempt.began, "one after the other");
    let asked = platform.asked();
    assert!(
        asked.len() == 2 && asked.iter().all(|asked| asked.traceparent.is_empty()),
        "{asked:?}"
    );
    let lead = fixture("meta/graph_lead_vi_full.response.json");
    for personal in ["900000001", "Thử Nghiệm", "Thu.Nghiem", "niềng_răng", "facebook", "t10_"]
    {
        assert!(lead.contains(personal) && !collector.was_told(personal), "{personal}");
    }
    for secret in [SECRET, TOKEN, &platform.url()] {
        assert!(!collector.was_told(secret), "{secret} was told");
    }
    assert!(collector.was_told("fanpage"), "and what may be told is found");
}

/// Without a collector a lead has a trace all the same, which CareSoft is told of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_collector_a_trace_is_an_id() {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let text = toml_of(&Backing::Sqlite.toml(folder.path()), caresoft.address, "");
    let served = start(folder.path(), &text, "all").await;
    let http = http_client();
    let send = http.post(served.endpoint("website")).json(&json!({"phone": "0900000051"}));
    let id = id_of(send.send().await.unwrap()).await;
    let record = served.settled(&id, "created").await;
    let trace = record["trace_id"].as_str().unwrap();
    let log = caresoft.sandbox.log();
    let sent = log[0].traceparent.as_deref().unwrap();
    assert_eq!((&sent[..3], &sent[3..35], &sent[52..]), ("00-", trace, "-00"), "{sent}");
    // Two of that header are none.
    let twice = http
        .post(served.endpoint("nowhere"))
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
    let problem: Value = twice.send().await.unwrap().json().await.unwrap();
    let instance = problem["instance"].as_str().unwrap();
    assert!(instance.starts_with("urn:leadgate:trace:") && !instance.ends_with(TRACE));
}
