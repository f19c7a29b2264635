//! Records counted every way that an operator asks for. Holds nobody's data: of what a person or a
//! stranger typed there are utm values alone, cut to a length.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::{Value, json};

use crate::lead::{Record, SourceId, State, Timestamp};

const HOUR_MS: i64 = 3_600_000;

/// Characters of a utm value that are told. Campaigns have names of some words.
const UTM_LENGTH_MAX: usize = 100;

/// Rows of the attribution table; what comes less often is told as one sum.
const ROWS_MAX: usize = 100;

/// What was counted.
pub(super) struct Tally {
    since: Timestamp,
    is_cut_short: bool,
    submissions: u64,
    sources: BTreeMap<SourceId, BTreeMap<&'static str, u64>>,
    /// By the hour's number since 1970.
    hours: BTreeMap<i64, Hour>,
    /// From accepted to created, in milliseconds.
    latencies: Vec<u64>,
    attribution: HashMap<Origin, Fate>,
}

#[derive(Default)]
struct Hour {
    accepted: u64,
    created: u64,
}

/// A row's key. `None`: the submission had no such value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
struct Origin {
    source: Option<String>,
    medium: Option<String>,
    campaign: Option<String>,
}

/// What became of submissions.
#[derive(Clone, Copy, Default, Serialize)]
struct Fate {
    submissions: u64,
    created: u64,
    merged: u64,
    dead: u64,
}

impl Tally {
    /// An empty one, of what was accepted from then on.
    pub(super) fn from(since: Timestamp) -> Self {
        Self {
            since,
            is_cut_short: false,
            submissions: 0,
            sources: BTreeMap::new(),
            hours: BTreeMap::new(),
            latencies: Vec::new(),
            attribution: HashMap::new(),
        }
    }

    /// How many were counted.
    pub(super) fn submissions(&self) -> u64 {
        self.submissions
    }

    /// There are older ones, which are not counted.
    pub(super) fn cut_short(&mut self) {
        self.is_cut_short = true;
    }

    /// Counts one more.
    pub(super) fn add(&mut self, record: &Record) {
        self.submissions += 1;
        let states = self.sources.entry(record.source.clone()).or_default();
        *states.entry(record.state.as_str()).or_default() += 1;
        self.hours.entry(hour(record.received_at)).or_default().accepted += 1;
        if let (State::Created, Some(at)) = (record.state, record.settled_at) {
            self.hours.entry(hour(at)).or_default().created += 1;
            let took = at.since(record.received_at).as_millis();
            self.latencies.push(u64::try_from(took).unwrap_or(u64::MAX));
        }
        self.attribution.entry(Origin::of(record)).or_default().add(record.state);
    }

    /// The answer of `GET /api/stats`, asked at `until`.
    pub(super) fn view(mut self, until: Timestamp) -> Value {
        let mut states: BTreeMap<_, u64> =
            State::ALL.map(|state| (state.as_str(), 0)).into_iter().collect();
        for (state, count) in self.sources.values().flatten() {
            *states.entry(*state).or_default() += count;
        }
        // What is older than the last that was counted is not known to be nothing.
        let oldest = self.hours.keys().next().filter(|_| self.is_cut_short);
        let first = oldest.copied().unwrap_or_else(|| hour(self.since));
        let hours: Vec<Value> = (first..=hour(until)).map(|hour| self.hour(hour)).collect();
        self.latencies.sort_unstable();
        json!({
            "since": self.since,
            "until": until,
            "truncated": self.is_cut_short,
            "submissions": self.submissions,
            "states": states,
            "sources": self.sources.iter().map(|(id, states)| (id.to_string(), json!(states)))
                .collect::<serde_json::Map<_, _>>(),
            "hours": hours,
            "latency_ms": latency(&self.latencies),
            "attribution": rows(self.attribution),
        })
    }

    fn hour(&self, hour: i64) -> Value {
        let (accepted, created) =
            self.hours.get(&hour).map_or((0, 0), |hour| (hour.accepted, hour.created));
        let begins = Timestamp::from_millis(hour.saturating_mul(HOUR_MS));
        json!({ "hour": begins, "accepted": accepted, "created": created })
    }
}

impl Origin {
    fn of(record: &Record) -> Self {
        let utm = record.lead.as_ref().map(|lead| &lead.attribution.utm);
        let value = |name: &str| utm?.get(name).map(|value| shortened(value));
        Self { source: value("source"), medium: value("medium"), campaign: value("campaign") }
    }
}

impl Fate {
    fn add(&mut self, state: State) {
        self.submissions += 1;
        match state {
            State::Created => self.created += 1,
            State::Merged => self.merged += 1,
            State::Dead => self.dead += 1,
            _ => {}
        }
    }

    fn add_all(&mut self, other: Self) {
        self.submissions += other.submissions;
        self.created += other.created;
        self.merged += other.merged;
        self.dead += other.dead;
    }
}

fn hour(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(HOUR_MS)
}

/// A value as it is told: a stranger may have typed anything, of any length.
fn shortened(value: &str) -> String {
    let mut told: String = value.chars().filter(|c| !c.is_control()).take(UTM_LENGTH_MAX).collect();
    if value.chars().nth(UTM_LENGTH_MAX).is_some() {
        told.push('…');
    }
    told
}

/// Percentiles by nearest rank; `null` where nothing was created.
fn latency(sorted: &[u64]) -> Value {
    let rank = |percent: usize| {
        let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        sorted.get(place)
    };
    json!({
        "count": sorted.len(),
        "p50": rank(50),
        "p90": rank(90),
        "p95": rank(95),
        "p99": rank(99),
        "max": sorted.last(),
    })
}

/// The commonest first; what has no row of its own is in `other`, where there is any.
fn rows(attribution: HashMap<Origin, Fate>) -> Value {
    let mut rows: Vec<_> = attribution.into_iter().collect();
    rows.sort_by(|(a, fate), (b, other)| {
        other.submissions.cmp(&fate.submissions).then_with(|| a.cmp(b))
    });
    let rest = rows.split_off(rows.len().min(ROWS_MAX));
    let row = |(origin, fate): (Origin, Fate)| {
        let Origin { source, medium, campaign } = origin;
        let Fate { submissions, created, merged, dead } = fate;
        json!({
            "source": source, "medium": medium, "campaign": campaign,
            "submissions": submissions, "created": created, "merged": merged, "dead": dead,
        })
    };
    let mut other = Fate::default();
    rest.iter().for_each(|(_, fate)| other.add_all(*fate));
    let other = (!rest.is_empty()).then_some(other);
    json!({ "rows": rows.into_iter().map(row).collect::<Vec<_>>(), "other": other })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::{Lead, SubmissionId};

    /// 2026-11-23T09:15:02.123Z
    const NOW: Timestamp = Timestamp::from_millis(1_795_425_302_123);
    const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

    fn record(state: State, received_at: Timestamp, took_ms: i64, campaign: &str) -> Record {
        let mut lead = Lead::default();
        if !campaign.is_empty() {
            lead.attribution.utm = [("campaign".into(), campaign.into())].into();
        }
        let settled_at = Timestamp::from_millis(received_at.as_millis() + took_ms);
        Record {
            id: SubmissionId::generate(),
            state,
            phase: None,
            source: "website".parse().unwrap(),
            destination: "main".parse().unwrap(),
            external_id: None,
            trace_id: None,
            received_at,
            settled_at: (state != State::Pending).then_some(settled_at),
            lead: Some(lead),
            unreadable: false,
            upstream: None,
            duplicate_of: None,
            reason: None,
            history: Vec::new(),
        }
    }

    #[test]
    fn each_is_counted_every_way() {
        let mut tally = Tally::from(NOW.minus(MINUTE * 120));
        let earlier = NOW.minus(MINUTE * 70);
        for (state, at, took_ms, campaign) in [
            (State::Created, NOW, 100, "tet"),
            (State::Created, earlier, 3_600_000, "tet"),
            (State::Merged, earlier, 0, "tet"),
            (State::Dead, earlier, 5, ""),
            (State::Pending, NOW, 0, ""),
        ] {
            tally.add(&record(state, at, took_ms, campaign));
        }
        let view = tally.view(NOW);
        assert_eq!((&view["submissions"], &view["truncated"]), (&json!(5), &json!(false)));
        let by_state = json!({"created": 2, "dead": 1, "merged": 1, "pending": 1});
        assert_eq!(view["sources"], json!({ "website": by_state }));
        let every_state = view["states"].as_object().unwrap();
        assert_eq!((every_state.len(), &every_state["created"]), (8, &json!(2)));
        let hours = json!([
            {"hour": "2026-11-23T07:00:00.000Z", "accepted": 0, "created": 0},
            {"hour": "2026-11-23T08:00:00.000Z", "accepted": 3, "created": 0},
            {"hour": "2026-11-23T09:00:00.000Z", "accepted": 2, "created": 2},
        ]);
        assert_eq!(view["hours"], hours);
        let slowest = 3_600_000;
        let latency = json!({
            "count": 2, "p50": 100, "p90": slowest, "p95": slowest, "p99": slowest, "max": slowest,
        });
        assert_eq!(view["latency_ms"], latency);
        let row = |campaign: Value, [submissions, created, merged, dead]: [u64; 4]| {
            json!({
                "source": null, "medium": null, "campaign": campaign, "submissions": submissions,
                "created": created, "merged": merged, "dead": dead,
            })
        };
        let rows = [row(json!("tet"), [3, 2, 1, 0]), row(Value::Null, [2, 0, 0, 1])];
        assert_eq!(view["attribution"], json!({"rows": rows, "other": null}));
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let of = |sorted: &[u64]| latency(sorted);
        assert_eq!(of(&[])["p50"], Value::Null);
        assert_eq!(of(&[7])["p99"], 7);
        let hundred: Vec<u64> = (1..=100).collect();
        let told = of(&hundred);
        for (name, value) in [("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99), ("max", 100)] {
            assert_eq!(told[name], value, "{name}");
        }
    }

    #[test]
    fn a_flood_of_campaigns_is_bounded() {
        let mut tally = Tally::from(NOW);
        for number in 0..150 {
            tally.add(&record(State::Dead, NOW, 0, &format!("{number}{}", "x".repeat(5000))));
        }
        tally.add(&record(State::Created, NOW, 0, "7"));
        tally.add(&record(State::Created, NOW, 0, "7"));
        let view = tally.view(NOW);
        let rows = view["attribution"]["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 100);
        assert_eq!((&rows[0]["campaign"], &rows[0]["submissions"]), (&json!("7"), &json!(2)));
        let longest = rows.iter().map(|row| row["campaign"].as_str().unwrap().chars().count());
        assert_eq!(longest.max(), Some(101));
        let other = json!({"submissions": 51, "created": 0, "merged": 0, "dead": 51});
        assert_eq!(view["attribution"]["other"], other);
    }

    #[test]
    fn what_was_not_counted_is_not_told_as_nothing() {
        let mut tally = Tally::from(NOW.minus(MINUTE * 60 * 24));
        tally.add(&record(State::Pending, NOW, 0, ""));
        tally.cut_short();
        let view = tally.view(NOW);
        assert_eq!(view["hours"].as_array().unwrap().len(), 1);
        assert_eq!(view["truncated"], true);
    }
}
