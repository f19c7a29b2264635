//! Fetching over real sockets, from a platform that answers what it is told to.

mod documents;
mod experience;
#[path = "../../../../tests/servers/platform.rs"]
mod platform;
mod tokens;

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Value, json};

use self::platform::{Answer, Platform};
use super::*;
use crate::config::{self, MapEnvironment};
use crate::lead::{Hand, RawBody, SubmissionId, Timestamp};
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
