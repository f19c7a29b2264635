//! Fetching over real sockets, from a platform that answers what it is told to.

#[path = "../../../tests/servers/platform.rs"]
mod platform;

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use serde_json::json;

use self::platform::{Answer, Platform};
use super::*;
use crate::config::{self, MapEnvironment};
use crate::lead::{Hand, RawBody, SubmissionId};
use crate::preset::built_in_names;
use crate::source::element_body;
use crate::store::{Content, Lease};

const MINUTE: Duration = Duration::from_secs(60);
const LEAD: &str = "/v26.0/900000000000011";

#[derive(Default)]
struct Heard(Mutex<Vec<Standing>>);

impl Watcher for Heard {
    fn changed(&self, _: &SourceId, standing: &Standing, _: Timestamp) {
        self.0.lock().unwrap().push(standing.clone());
    }
}

/// A platform, and what fetches from it for a source `ads`.
struct Bed {
    platform: Platform,
    enricher: Enricher,
    heard: Arc<Heard>,
    hand: Hand,
    metrics: Arc<Metrics>,
}

impl Bed {
    fn new(settings: &str) -> Self {
        let platform = Platform::start();
        let base = platform.url();
        Self::at(platform, &base, settings)
    }

    /// What asks at `base`.
    fn at(platform: Platform, base: &str, settings: &str) -> Self {
        let sources = sources(base, settings);
        let (metrics, heard) = (Arc::new(Metrics::default()), Arc::new(Heard::default()));
        let (clock, hand) = Clock::with_hand();
        let watcher: Arc<dyn Watcher> = heard.clone();
        let enricher = Enricher::new(&sources, &metrics, clock, watcher, None).unwrap();
        Self { platform, enricher, heard, hand, metrics }
    }

    /// Goes on with another configuration.
    fn reload(&mut self, settings: &str) {
        let sources = sources(&self.platform.url(), settings);
        let clock = self.enricher.clock.clone();
        let (metrics, watcher) = (&self.metrics, Arc::clone(&self.enricher.watcher));
        let before = Some(&self.enricher);
        self.enricher = Enricher::new(&sources, metrics, clock, watcher, before).unwrap();
    }

    fn meta(tokens: &str) -> Self {
        Self::new(&format!(
            "preset = \"meta-lead-ads\"\nsecrets = {{ page_token = {tokens}, token = \"t\" }}"
        ))
    }

    /// As a notice that has just come.
    async fn fetch(&self, notice: &Value) -> Fetched {
        self.enricher.fetch(&self.notice(notice)).await
    }

    fn notice(&self, notice: &Value) -> Notice {
        let now = self.enricher.clock.now();
        let (lane, id) = ("main".parse().unwrap(), SubmissionId::generate());
        Notice {
            lease: Lease { lane, id, fence: 1, deadline: now.plus(MINUTE) },
            source: "ads".parse().unwrap(),
            received_at: now,
            trace_id: None,
            attempts: 0,
            body: element_body(&json!({ "notice": notice })),
        }
    }

    fn heard(&self) -> Vec<Standing> {
        std::mem::take(&mut *self.heard.0.lock().unwrap())
    }

    fn counts(&self, outcome: &str) -> bool {
        let line =
            format!("leadgate_enrich_requests_total{{source=\"ads\",outcome=\"{outcome}\"}}");
        self.metrics.render().contains(&line)
    }
}

/// The source `ads` of a configuration whose platform is at `base`.
fn sources(base: &str, settings: &str) -> Sources {
    let text = format!(
        "[server]\npublic_url = \"https://leads.example.vn\"\n\
             [destinations.main]\nbase_url = \"https://api.caresoft.vn\"\ndomain = \"d\"\ntoken = \"t\"\n\
             [destinations.main.lead]\nservice_id = 1\n\
             [sources.ads]\ndestination = \"main\"\napi_base = \"{base}\"\n{settings}"
    );
    let environment = MapEnvironment::default();
    let parsed = config::parse(&text, "test.toml", &environment, &built_in_names());
    let config = parsed.unwrap_or_else(|faults| panic!("{faults}")).config;
    Source::compile_all(&config).unwrap()
}

fn fixture(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}

fn of_page(page: u32) -> Value {
    json!({"field": "leadgen", "value": {"leadgen_id": "900000000000011", "page_id": page}})
}

fn lead() -> Answer {
    Answer::json(200, &fixture("meta/graph_lead_vi_full.response.json"))
}

fn error(name: &str) -> Answer {
    Answer::json(400, &fixture(&format!("meta/graph_error_{name}.response.json")))
}

fn whole(fetched: Fetched) -> Kept {
    match fetched {
        Fetched::Whole(kept) => *kept,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lead_is_fetched_with_the_pages_token_and_read() {
    let bed = Bed::meta("\"page-token\"");
    bed.platform.answers(LEAD, [lead()]);
    let kept = whole(bed.fetch(&of_page(7)).await);
    assert_eq!(kept.external_id.as_deref(), Some("900000000000011"));
    let Content::Lead { lead, .. } = kept.content else { panic!("{kept:?}") };
    assert_eq!(lead.name.as_deref(), Some("Nguyễn Thị Thử Nghiệm"));
    let asked = bed.platform.asked();
    assert_eq!((asked.len(), asked[0].token.as_str()), (1, "page-token"));
    assert!(asked[0].query.contains("field_data") && !asked[0].query.contains("token"));
    assert!(bed.counts("document") && bed.heard().is_empty());
}

#[tokio::test]
async fn a_form_is_asked_for_once_for_many_leads() {
    let secrets =
        "preset = \"linkedin-lead-sync\"\nsecrets = { access_token = \"t\", token = \"t\" }";
    let bed = Bed::new(secrets);
    let answer = |name| Answer::json(200, &fixture(name));
    let response = answer("linkedin/leadFormResponse.response.json");
    bed.platform.answers("/rest/leadFormResponses/1a2b3c-4", [response]);
    bed.platform.answers("/rest/leadForms/1", [answer("linkedin/leadForm.response.json")]);
    let notice = fixture("linkedin/lead_created.json");
    for _ in 0..2 {
        let kept = whole(bed.fetch(&notice).await);
        assert!(matches!(kept.content, Content::Lead { .. }), "{kept:?}");
    }
    let asked = bed.platform.asked();
    let of_form = |asked: &&platform::Asked| asked.path == "/rest/leadForms/1";
    assert_eq!((asked.len(), asked.iter().filter(of_form).count()), (3, 1));
    assert!(asked.iter().all(|asked| asked.version == "202605"), "{asked:?}");
    bed.hand.skip(61 * MINUTE);
    whole(bed.fetch(&notice).await);
    assert_eq!(bed.platform.asked().iter().filter(of_form).count(), 2, "an hour is over");
}

#[tokio::test]
async fn a_limit_is_silence_for_as_long_as_it_is_told() {
    for name in ["4_app_limit", "17_user_limit", "32_page_limit"] {
        let bed = Bed::meta("\"t\"");
        let usage = r#"{"1":[{"type":"leadgen","estimated_time_to_regain_access":12}]}"#;
        let limited = error(name).with("X-Business-Use-Case-Usage", usage);
        bed.platform.answers(LEAD, [limited, lead()]);
        let Fetched::Wait { length, why } = bed.fetch(&of_page(7)).await else { panic!() };
        assert_eq!(length, 12 * MINUTE);
        assert!(why.starts_with("lead: 400, code "), "{why}");
        let other = bed.fetch(&of_page(8)).await;
        assert!(matches!(other, Fetched::Wait { .. }), "{other:?}");
        assert_eq!(bed.platform.asked().len(), 1, "the whole source is silent");
        bed.hand.skip(12 * MINUTE);
        whole(bed.fetch(&of_page(8)).await);
        assert!(bed.heard().is_empty(), "nothing for a person to do");
    }
    let bed = Bed::meta("\"t\"");
    bed.platform.answers(LEAD, [Answer::text(429, "slow down").with("Retry-After", "30")]);
    let Fetched::Wait { length, .. } = bed.fetch(&of_page(7)).await else { panic!() };
    assert_eq!(length, Duration::from_secs(30));
}

#[tokio::test]
async fn a_dead_token_stops_its_page_until_it_is_mended() {
    let bed = Bed::meta("\"t\"");
    let expired = error("190_expired");
    bed.platform.answers(LEAD, [expired.clone(), expired, lead()]);
    let Fetched::Stopped { length, why, .. } = bed.fetch(&of_page(7)).await else { panic!() };
    assert_eq!((length, why.as_str()), (5 * MINUTE, "lead: 400, code 190/463"));
    assert!(matches!(bed.heard().as_slice(), [Standing::Stopped { .. }]));
    assert!(matches!(bed.fetch(&of_page(7)).await, Fetched::Stopped { .. }));
    assert_eq!(bed.platform.asked().len(), 1, "nothing is asked meanwhile");
    bed.hand.skip(5 * MINUTE);
    assert!(matches!(bed.fetch(&of_page(7)).await, Fetched::Stopped { .. }), "the probe");
    assert!(bed.heard().is_empty(), "told once");
    bed.hand.skip(5 * MINUTE);
    whole(bed.fetch(&of_page(7)).await);
    let whose = Some("page_id 7".to_owned());
    assert_eq!(bed.heard(), [Standing::Resumed { whose }]);
}

#[tokio::test]
async fn of_several_tokens_the_pages_own_is_found_and_remembered() {
    let bed = Bed::meta("[\"a\", \"b\"]");
    bed.platform.answers_to("a", LEAD, [error("190_expired")]);
    bed.platform.answers_to("b", LEAD, [lead()]);
    for _ in 0..2 {
        whole(bed.fetch(&of_page(7)).await);
    }
    let tokens: Vec<_> = bed.platform.asked().into_iter().map(|asked| asked.token).collect();
    assert_eq!(tokens, ["a", "b", "b"]);
    assert!(bed.heard().is_empty());
    bed.platform.answers_to("b", LEAD, [error("100_33_not_found")]);
    let stopped = bed.fetch(&of_page(8)).await;
    assert!(matches!(stopped, Fetched::Stopped { .. }), "{stopped:?}");
    let own = bed.fetch(&of_page(7)).await;
    assert!(matches!(own, Fetched::Again { .. }), "another page goes on: {own:?}");
    bed.platform.answers_to("b", LEAD, [lead()]);
    bed.hand.skip(5 * MINUTE);
    whole(bed.fetch(&of_page(8)).await);
    assert!(matches!(bed.heard().as_slice(), [Standing::Stopped { .. }, Standing::Resumed { .. }]));
}

#[tokio::test]
async fn what_is_not_there_is_asked_for_a_while_and_then_kept() {
    let bed = Bed::meta("\"t\"");
    bed.platform.answers(LEAD, [error("100_33_not_found")]);
    let mut notice = bed.notice(&of_page(7));
    notice.attempts = 20; // nobody has answered so often: that says nothing of it
    let mut waits = Vec::new();
    let why = loop {
        match bed.enricher.fetch(&notice).await {
            Fetched::Again { after: Some(after), .. } => {
                waits.push(after.as_secs_f64().round() as u64);
                bed.hand.skip(after);
            }
            Fetched::Hidden { why } => break why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(why, "lead: 400, code 100/33");
    let expected = [30_u64, 30, 60, 120, 240, 300, 120];
    assert_eq!(waits.len(), expected.len(), "{waits:?}");
    // What passes meanwhile is no part of the waits.
    let is_near = |(wait, expected): (&u64, u64)| wait.abs_diff(expected) <= 20;
    assert!(waits.iter().zip(expected).all(is_near), "{waits:?}");
    let Fetched::Hidden { .. } = bed.enricher.fetch(&notice).await else { panic!("it is old") };
}

#[tokio::test]
async fn a_second_pages_dead_token_is_told_too() {
    let bed = Bed::meta("[\"one\", \"two\"]");
    bed.platform.answers(LEAD, [error("190_expired")]);
    for page in [7, 8] {
        bed.fetch(&of_page(page)).await;
        let heard = bed.heard();
        let [Standing::Stopped { whose: Some(whose), .. }] = &heard[..] else {
            panic!("{heard:?}")
        };
        assert_eq!(*whose, format!("page_id {page}"));
    }
    bed.platform.answers(LEAD, [lead()]);
    bed.hand.skip(5 * MINUTE);
    whole(bed.fetch(&of_page(8)).await);
    assert_eq!(bed.heard(), [Standing::Resumed { whose: Some("page_id 8".to_owned()) }]);
}

#[tokio::test]
async fn the_newer_token_of_a_page_is_tried_when_the_older_expires() {
    let bed = Bed::meta("[\"old\", \"new\"]");
    bed.platform.answers_to("old", LEAD, [lead(), error("190_expired")]);
    bed.platform.answers_to("new", LEAD, [lead()]);
    for _ in 0..3 {
        whole(bed.fetch(&of_page(7)).await);
    }
    let tokens: Vec<_> = bed.platform.asked().into_iter().map(|asked| asked.token).collect();
    assert_eq!(tokens, ["old", "old", "new", "new"]);
    assert!(bed.heard().is_empty());
}

fn of_response(id: &str) -> Value {
    let mut notice = fixture("linkedin/lead_created.json");
    notice["leadGenFormResponse"] = format!("urn:li:leadGenFormResponse:{id}").into();
    notice
}

#[tokio::test]
async fn one_response_that_may_not_be_seen_stops_no_others_for_ever() {
    let bed = Bed::new(
        "preset = \"linkedin-lead-sync\"\nsecrets = { access_token = \"t\", token = \"t\" }",
    );
    let denied = Answer::json(403, &json!({"serviceErrorCode": 100, "status": 403}));
    bed.platform.answers("/rest/leadFormResponses/gone", [denied]);
    for (path, file) in
        [("leadFormResponses/1a2b3c-4", "leadFormResponse"), ("leadForms/1", "leadForm")]
    {
        let answer = Answer::json(200, &fixture(&format!("linkedin/{file}.response.json")));
        bed.platform.answers(&format!("/rest/{path}"), [answer]);
    }
    let gone = bed.notice(&of_response("gone"));
    for times in 1..10 {
        let refused = bed.enricher.fetch(&gone).await;
        let Fetched::Stopped { is_own: true, .. } = refused else { panic!("{times}: {refused:?}") };
        let other = bed.fetch(&of_response("1a2b3c-4")).await;
        assert!(matches!(other, Fetched::Stopped { is_own: false, .. }), "{other:?}");
        bed.hand.skip(5 * MINUTE);
    }
    assert_eq!(bed.platform.asked().len(), 9, "nobody says that it is not the token");
    // Now another one is the probe.
    whole(bed.fetch(&of_response("1a2b3c-4")).await);
    let owner = "owner urn:li:sponsoredAccount:123".to_owned();
    assert_eq!(bed.heard().last(), Some(&Standing::Resumed { whose: Some(owner) }));
    let hidden = bed.enricher.fetch(&gone).await;
    assert!(matches!(hidden, Fetched::Hidden { .. }), "{hidden:?}");
    whole(bed.fetch(&of_response("1a2b3c-4")).await);
    assert!(bed.heard().is_empty(), "it has closed nothing");
}

#[tokio::test]
async fn what_is_no_document_is_tried_again() {
    let bed = Bed::meta("\"t\"");
    let long = json!({"field_data": "x".repeat(300 * 1024)});
    for answer in [
        Answer::text(200, "<html>"),
        Answer::text(500, ""),
        Answer::text(302, "").with("Location", "/elsewhere"),
        Answer::json(200, &long),
        Answer::json(200, &fixture("meta/graph_error_17_user_limit.response.json")),
    ] {
        bed.platform.answers(LEAD, [answer.clone()]);
        let fetched = bed.fetch(&of_page(7)).await;
        let is_limit = answer.body.contains("request limit");
        let expected = match fetched {
            Fetched::Again { .. } => !is_limit,
            Fetched::Wait { .. } => is_limit,
            _ => false,
        };
        assert!(expected, "{fetched:?}: {} {:.60}", answer.status, answer.body);
    }
    assert!(bed.counts("no_answer") && bed.counts("retry") && bed.counts("backoff"));
    assert!(bed.platform.asked().iter().all(|asked| asked.path == LEAD), "no redirect is followed");
}

#[tokio::test]
async fn a_platform_that_is_away_is_tried_again() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let settings = "preset = \"meta-lead-ads\"\nsecrets = { page_token = \"t\", token = \"t\" }";
    let bed = Bed::at(Platform::start(), &base, settings);
    let Fetched::Again { why, .. } = bed.fetch(&of_page(7)).await else { panic!() };
    assert_eq!(why, "lead: could not connect");
}

/// Without a configuration nothing is fetched from anybody but the simulator.
#[tokio::test]
async fn the_simulator_answers_as_the_platforms_do() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let simulator = crate::sandbox::Sandbox::new(crate::sandbox::Options::default());
    let serving = tokio::spawn(simulator.serve(listener, std::future::pending()));
    for (preset, secret, notice) in [
        ("meta-lead-ads", "page_token", of_page(7)),
        ("linkedin-lead-sync", "access_token", fixture("linkedin/lead_created.json")),
    ] {
        let settings =
            format!("preset = \"{preset}\"\nsecrets = {{ {secret} = \"t\", token = \"t\" }}");
        let bed = Bed::at(Platform::start(), &base, &settings);
        let Content::Lead { lead, .. } = whole(bed.fetch(&notice).await).content else { panic!() };
        let name = lead.name.unwrap();
        assert!(name.starts_with("Nguyễn") && name.contains("Thử"), "{name}");
        assert_eq!(lead.attribution.utm["campaign"], "sandbox");
    }
    serving.abort();
}

#[tokio::test]
async fn a_notice_that_says_nothing_is_kept_for_a_person() {
    let bed = Bed::meta("\"t\"");
    for notice in [json!({}), json!([]), json!({"value": {"leadgen_id": ".."}})] {
        assert!(matches!(bed.fetch(&notice).await, Fetched::Hidden { .. }), "{notice}");
    }
    let mut unknown = bed.notice(&of_page(7));
    unknown.source = "other".parse().unwrap();
    let fetched = bed.enricher.fetch(&unknown).await;
    assert!(matches!(fetched, Fetched::Wait { .. }), "{fetched:?}");
    let mut broken = bed.notice(&of_page(7));
    broken.body = RawBody { bytes: b"{".to_vec(), ..broken.body };
    let fetched = bed.enricher.fetch(&broken).await;
    assert!(matches!(fetched, Fetched::Hidden { .. }), "{fetched:?}");
    assert!(bed.platform.asked().is_empty());
}

#[tokio::test]
async fn what_was_learned_of_a_platform_outlives_a_change_of_something_else() {
    let settings = |token: &str, more: &str| {
        let secrets = format!("secrets = {{ page_token = \"{token}\", token = \"t\" }}");
        format!("preset = \"meta-lead-ads\"\n{secrets}\n{more}")
    };
    let mut bed = Bed::new(&settings("dead", ""));
    bed.platform.answers(LEAD, [error("190_expired"), lead()]);
    assert!(matches!(bed.fetch(&of_page(7)).await, Fetched::Stopped { is_own: true, .. }));
    assert!(matches!(bed.heard().as_slice(), [Standing::Stopped { .. }]));
    bed.reload(&settings("dead", "page_url = \"https://shop.example.vn/\""));
    assert!(matches!(bed.fetch(&of_page(7)).await, Fetched::Stopped { is_own: false, .. }));
    assert_eq!(bed.platform.asked().len(), 1, "the token is known to be dead");
    bed.reload(&settings("alive", ""));
    whole(bed.fetch(&of_page(7)).await);
    assert_eq!(bed.platform.asked()[1].token, "alive", "another one is asked with at once");
    assert!(matches!(bed.heard().as_slice(), [Standing::Resumed { .. }]), "and that is told");

    let mut bed = Bed::new(&settings("one", ""));
    let limited = Answer::text(429, "slow down").with("Retry-After", "30");
    bed.platform.answers(LEAD, [limited, lead()]);
    assert!(matches!(bed.fetch(&of_page(7)).await, Fetched::Wait { .. }));
    bed.reload(&settings("another", ""));
    assert!(matches!(bed.fetch(&of_page(7)).await, Fetched::Wait { .. }), "it asked for silence");
    assert_eq!(bed.platform.asked().len(), 1);
}
