//! Every metric, named once. Labels hold names from the configuration and words of ours, so their
//! number is bounded and none is a person's.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::config::NotifyEvent;
use crate::lead::{DestinationId, SourceId, State, Timestamp};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceOutcome {
    source: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySource {
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    destination: String,
    call: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallOutcome {
    destination: String,
    call: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDestination {
    destination: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneState {
    destination: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPart {
    part: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStore {
    store: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeOutcome {
    r#type: &'static str,
    outcome: &'static str,
}

type Seconds<Labels> = Family<Labels, Histogram, fn() -> Histogram>;

/// Half a millisecond to 16 s, doubling: an fsync is near the lower end, CareSoft near the upper.
fn request_seconds() -> Histogram {
    Histogram::new((0..16).map(|step| 0.0005 * f64::from(1 << step)))
}

/// 50 ms to 15 h, times four: a lead takes a fraction of a second, or as long as an outage.
fn lead_seconds() -> Histogram {
    Histogram::new((0..11).map(|step| 0.05 * 4_f64.powi(step)))
}

/// The process's metrics. Cheap to update; made once and shared.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    parts: Family<ByPart, Gauge>,
    submissions: Family<SourceOutcome, Counter>,
    intake: Seconds<BySource>,
    upstream_requests: Family<CallOutcome, Counter>,
    upstream: Seconds<Call>,
    speed_to_lead: Seconds<BySource>,
    queue_depth: Family<ByDestination, Gauge>,
    queue_oldest: Family<ByDestination, Gauge<f64, std::sync::atomic::AtomicU64>>,
    lane_state: Family<LaneState, Gauge>,
    records: Family<ByState, Gauge>,
    residue: Gauge,
    last_received: Family<BySource, Gauge<f64, std::sync::atomic::AtomicU64>>,
    spool_depth: Gauge,
    store_errors: Family<ByStore, Counter>,
    notifications: Family<TypeOutcome, Counter>,
    enrich_requests: Family<SourceOutcome, Counter>,
    spans: Family<ByOutcome, Counter>,
    reload_successful: Gauge,
    reload_success_timestamp: Gauge<f64, std::sync::atomic::AtomicU64>,
    restart_needed: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            parts: Family::default(),
            submissions: Family::default(),
            intake: Family::new_with_constructor(request_seconds),
            upstream_requests: Family::default(),
            upstream: Family::new_with_constructor(request_seconds),
            speed_to_lead: Family::new_with_constructor(lead_seconds),
            queue_depth: Family::default(),
            queue_oldest: Family::default(),
            lane_state: Family::default(),
            records: Family::default(),
            residue: Gauge::default(),
            last_received: Family::default(),
            spool_depth: Gauge::default(),
            store_errors: Family::default(),
            notifications: Family::default(),
            enrich_requests: Family::default(),
            spans: Family::default(),
            reload_successful: Gauge::default(),
            reload_success_timestamp: Gauge::default(),
            restart_needed: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        // The encoder itself appends `_total` to the name of a counter.
        let registry = &mut self.registry;
        let each = |name: &str| format!("leadgate_{name}");
        registry.register(
            each("part"),
            "1 for each part of the gateway that this process runs: intake, delivery",
            self.parts.clone(),
        );
        registry.register(
            each("submissions"),
            "Submissions by source and outcome, refused posts among them",
            self.submissions.clone(),
        );
        registry.register(
            each("intake_seconds"),
            "From a post's first byte to its answer",
            self.intake.clone(),
        );
        registry.register(
            each("upstream_requests"),
            "Requests to CareSoft by call and outcome",
            self.upstream_requests.clone(),
        );
        registry.register(
            each("upstream_seconds"),
            "How long CareSoft took to answer",
            self.upstream.clone(),
        );
        registry.register(
            each("speed_to_lead_seconds"),
            "From accepted to created",
            self.speed_to_lead.clone(),
        );
        registry.register(
            each("queue_depth"),
            "Pending records of a lane",
            self.queue_depth.clone(),
        );
        registry.register(
            each("queue_oldest_seconds"),
            "Age of a lane's oldest pending record",
            self.queue_oldest.clone(),
        );
        registry.register(
            each("lane_state"),
            "1 for the state that a lane is in",
            self.lane_state.clone(),
        );
        registry.register(
            each("records"),
            "Submissions in each state, since the store began",
            self.records.clone(),
        );
        registry.register(
            each("ledger_residue"),
            "Accepted less the sum of the states: anything but 0 is a fault",
            self.residue.clone(),
        );
        registry.register(
            each("source_last_received_timestamp_seconds"),
            "When the newest submission of a source was accepted, in Unix time",
            self.last_received.clone(),
        );
        registry.register(
            each("spool_depth"),
            "Submissions that wait beside a store that is away",
            self.spool_depth.clone(),
        );
        registry.register(
            each("store_errors"),
            "Calls that the store could not serve",
            self.store_errors.clone(),
        );
        registry.register(
            each("notifications"),
            "Outcome signals by type, and what became of them",
            self.notifications.clone(),
        );
        registry.register(
            each("enrich_requests"),
            "Requests to platforms for what they only give notice of, by source and outcome",
            self.enrich_requests.clone(),
        );
        registry.register(
            each("spans"),
            "Spans of traces by what became of them: collected, failed, dropped",
            self.spans.clone(),
        );
        registry.register(
            each("config_last_reload_successful"),
            "1 while the configuration in force is the one that was read last",
            self.reload_successful.clone(),
        );
        registry.register(
            each("config_last_reload_success_timestamp_seconds"),
            "When the configuration in force was read",
            self.reload_success_timestamp.clone(),
        );
        registry.register(
            each("config_restart_needed"),
            "Keys that the configuration has changed and only a restart applies",
            self.restart_needed.clone(),
        );
    }

    /// This process runs a part of the gateway: `intake` or `delivery`.
    pub fn runs(&self, part: &'static str) {
        self.parts.get_or_create(&ByPart { part }).set(1);
    }

    /// What became of a submission to `source`, or of a post that held none.
    pub fn submission(&self, source: &SourceId, outcome: &'static str) {
        let label = SourceOutcome { source: source.to_string(), outcome };
        self.submissions.get_or_create(&label).inc();
    }

    /// A post to `source` was answered.
    pub fn intake(&self, source: &SourceId, took: Duration) {
        let label = BySource { source: source.to_string() };
        self.intake.get_or_create(&label).observe(took.as_secs_f64());
    }

    /// A request to CareSoft ended.
    pub fn upstream(
        &self,
        lane: &DestinationId,
        call: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        let destination = lane.to_string();
        self.upstream
            .get_or_create(&Call { destination: destination.clone(), call })
            .observe(took.as_secs_f64());
        self.upstream_requests.get_or_create(&CallOutcome { destination, call, outcome }).inc();
    }

    /// A lead was created upstream, `took` after it was accepted.
    pub fn created(&self, source: &SourceId, took: Duration) {
        self.speed_to_lead
            .get_or_create(&BySource { source: source.to_string() })
            .observe(took.as_secs_f64());
    }

    /// What waits in a lane.
    pub fn queue(&self, lane: &DestinationId, depth: u64, oldest: Duration) {
        let label = ByDestination { destination: lane.to_string() };
        self.queue_depth.get_or_create(&label).set(i64::try_from(depth).unwrap_or(i64::MAX));
        self.queue_oldest.get_or_create(&label).set(oldest.as_secs_f64());
    }

    /// The state that a lane is in, out of all that a lane can be in.
    pub fn lane(&self, lane: &DestinationId, state: &'static str, all: &[&'static str]) {
        for other in all {
            let label = LaneState { destination: lane.to_string(), state: other };
            self.lane_state.get_or_create(&label).set(i64::from(*other == state));
        }
    }

    /// There is no such lane any more, in none of the states that a lane can be in.
    pub fn forget_lane(&self, lane: &DestinationId, all: &[&'static str]) {
        let destination = lane.to_string();
        let label = ByDestination { destination };
        self.queue_depth.remove(&label);
        self.queue_oldest.remove(&label);
        for state in all {
            let label = LaneState { destination: label.destination.clone(), state };
            self.lane_state.remove(&label);
        }
    }

    /// A configuration is in force since `at`; of `restart_needed` of its keys only a restart applies
    /// what they say.
    pub fn configured(&self, at: Timestamp, restart_needed: usize) {
        self.reload_successful.set(1);
        self.reload_success_timestamp.set(at.as_millis() as f64 / 1000.0);
        self.restart_needed.set(i64::try_from(restart_needed).unwrap_or(i64::MAX));
    }

    /// The configuration that was read last is faulty.
    pub fn configuration_refused(&self) {
        self.reload_successful.set(0);
    }

    /// How many submissions are in `state`.
    pub fn records(&self, state: State, count: u64) {
        self.records
            .get_or_create(&ByState { state: state.as_str() })
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// What the ledger is off by.
    pub fn residue(&self, residue: i64) {
        self.residue.set(residue);
    }

    /// When the newest submission of `source` was accepted.
    pub fn last_received(&self, source: &SourceId, at: Timestamp) {
        let label = BySource { source: source.to_string() };
        // Milliseconds of our time are far below 2^53.
        self.last_received.get_or_create(&label).set(at.as_millis() as f64 / 1000.0);
    }

    /// The store does not answer: old figures of it would be taken for new ones.
    pub fn forget_store(&self) {
        self.queue_depth.clear();
        self.queue_oldest.clear();
        self.records.clear();
    }

    /// How many submissions wait beside a store that is away.
    pub fn spool(&self, depth: u64) {
        self.spool_depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// The store that is used: its errors are 0 so far, and not missing.
    pub fn store(&self, store: &'static str) {
        self.store_errors.get_or_create(&ByStore { store }).inc_by(0);
    }

    /// A call that the store could not serve.
    pub fn store_error(&self, store: &'static str) {
        self.store_errors.get_or_create(&ByStore { store }).inc();
    }

    /// What became of an outcome signal: `delivered`, `failed`, `dropped`.
    pub fn notification(&self, event: NotifyEvent, outcome: &'static str) {
        let label = TypeOutcome { r#type: event.as_str(), outcome };
        self.notifications.get_or_create(&label).inc();
    }

    /// A request to a platform ended: `document`, `no_answer`, or what its refusal asks for.
    pub fn enrich(&self, source: &SourceId, outcome: &'static str) {
        let label = SourceOutcome { source: source.to_string(), outcome };
        self.enrich_requests.get_or_create(&label).inc();
    }

    /// What became of so many spans: `collected`; `failed`, the collector did not take them;
    /// `dropped`, too many waited for it.
    pub fn spans(&self, outcome: &'static str, spans: u64) {
        self.spans.get_or_create(&ByOutcome { outcome }).inc_by(spans);
    }

    /// Everything, in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        if encode(&mut text, &self.registry).is_err() {
            // Writing into a String cannot fail; say so in the text rather than panic.
            let _ = writeln!(text, "# the metrics could not be written");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_contract() {
        let metrics = Metrics::default();
        let source: SourceId = "website".parse().unwrap();
        let lane: DestinationId = "main".parse().unwrap();
        metrics.runs("intake");
        metrics.submission(&source, "accepted");
        metrics.intake(&source, Duration::from_millis(3));
        metrics.upstream(&lane, "create_lead", "created", Duration::from_millis(200));
        metrics.created(&source, Duration::from_millis(250));
        metrics.queue(&lane, 7, Duration::from_secs(2));
        metrics.lane(&lane, "open", &["open", "paused"]);
        metrics.records(State::Created, 1);
        metrics.last_received(&source, Timestamp::from_millis(1_795_469_067_500));
        metrics.spool(3);
        metrics.store_error("sqlite");
        metrics.notification(NotifyEvent::LaneStopped, "delivered");
        metrics.enrich(&source, "document");
        metrics.spans("dropped", 9);
        let text = metrics.render();
        for line in [
            r#"leadgate_part{part="intake"} 1"#,
            r#"leadgate_submissions_total{source="website",outcome="accepted"} 1"#,
            r#"leadgate_intake_seconds_count{source="website"} 1"#,
            r#"leadgate_upstream_requests_total{destination="main",call="create_lead",outcome="created"} 1"#,
            r#"leadgate_upstream_seconds_count{destination="main",call="create_lead"} 1"#,
            r#"leadgate_speed_to_lead_seconds_count{source="website"} 1"#,
            r#"leadgate_queue_depth{destination="main"} 7"#,
            r#"leadgate_queue_oldest_seconds{destination="main"} 2.0"#,
            r#"leadgate_lane_state{destination="main",state="open"} 1"#,
            r#"leadgate_lane_state{destination="main",state="paused"} 0"#,
            r#"leadgate_records{state="created"} 1"#,
            r#"leadgate_ledger_residue 0"#,
            r#"leadgate_source_last_received_timestamp_seconds{source="website"} 1795469067.5"#,
            "leadgate_spool_depth 3",
            r#"leadgate_store_errors_total{store="sqlite"} 1"#,
            r#"leadgate_enrich_requests_total{source="website",outcome="document"} 1"#,
            r#"leadgate_spans_total{outcome="dropped"} 9"#,
            r#"leadgate_notifications_total{type="lane.stopped",outcome="delivered"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "no line {line}\n{text}");
        }
    }
}
