//! `leadgate leads list|show|replay|export`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::admin::AdminApi;
use super::export::Export;
use super::moment::{Moment, moment};
use super::replay::Replay;
use super::said::say;
use super::{Failed, Invocation, block_on};
use crate::lead::{State, SubmissionId};

#[derive(Debug, Args)]
pub(super) struct Leads {
    #[command(subcommand)]
    command: LeadsCommand,
}

#[derive(Debug, Subcommand)]
enum LeadsCommand {
    /// The newest submissions
    List(List),
    /// One submission, whole, with its history
    Show {
        /// Its id
        id: SubmissionId,
    },
    /// Give dead, unknown and quarantined submissions another chance: by their ids, or all that match
    Replay(Replay),
    /// All submissions that match, as JSON lines or CSV
    Export(Export),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    filters: Filters,
    /// Where the page before ended
    #[arg(long)]
    cursor: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

/// Which submissions a list holds. Everything is ANDed.
#[derive(Debug, Args)]
pub(super) struct Filters {
    /// Only these states, separated by commas: pending, unknown, created, merged, dead, …
    #[arg(long, value_delimiter = ',')]
    state: Vec<State>,
    /// Only this source
    #[arg(long)]
    source: Option<String>,
    /// Only this destination
    #[arg(long)]
    destination: Option<String>,
    /// A phone, an e-mail, an id, an upstream lead id or an external id
    #[arg(long, short)]
    q: Option<String>,
    /// Accepted at or after this time, such as 2026-11-23, 2026-11-23T09:00+07:00 (else UTC), or 2h ago
    #[arg(long, value_parser = moment)]
    since: Option<Moment>,
    /// Accepted before this time
    #[arg(long, value_parser = moment)]
    until: Option<Moment>,
}

impl Leads {
    pub(super) fn run(self, invocation: &Invocation) -> Result<(), Failed> {
        let api = AdminApi::of(invocation)?;
        match self.command {
            LeadsCommand::List(list) => {
                let page = block_on(api.get("/api/leads", &list.query()))?;
                if invocation.json { print_json(&page) } else { print_table(&page) }
            }
            LeadsCommand::Show { id } => {
                let record = block_on(api.get(&format!("/api/leads/{id}"), &[]))?;
                if invocation.json { print_json(&record) } else { print_record(&record) }
            }
            LeadsCommand::Replay(replay) => return replay.run(&api, invocation.json),
            LeadsCommand::Export(export) => return export.run(&api),
        }
        Ok(())
    }
}

impl List {
    fn query(self) -> Vec<(&'static str, String)> {
        let mut query = self.filters.query();
        query.extend(self.cursor.map(|cursor| ("cursor", cursor)));
        query.push(("limit", self.limit.to_string()));
        query
    }
}

impl Filters {
    /// As the admin API takes them.
    pub(super) fn query(self) -> Vec<(&'static str, String)> {
        let states: Vec<_> = self.state.iter().map(|state| state.as_str()).collect();
        let given = [
            ("state", Some(states.join(",")).filter(|states| !states.is_empty())),
            ("source", self.source),
            ("destination", self.destination),
            ("q", self.q),
            ("since", self.since.map(|moment| moment.to_string())),
            ("until", self.until.map(|moment| moment.to_string())),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

pub(super) fn print_json(answer: &Value) {
    say!("{answer:#}");
}

fn print_table(page: &Value) {
    let leads = page["leads"].as_array().map(Vec::as_slice).unwrap_or_default();
    say!(
        "{:36}  {:11}  {:16}  {:20}  {:12}  NAME: REASON",
        "ID",
        "STATE",
        "SOURCE",
        "RECEIVED",
        "UPSTREAM"
    );
    for lead in leads {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let received = text(&lead["received_at"]);
        say!(
            "{:36}  {:11}  {:16}  {:20}  {:12}  {}",
            text(&lead["id"]),
            text(&lead["state"]),
            text(&lead["source"]),
            received.get(..19).map_or(received.clone(), |seconds| format!("{seconds}Z")),
            lead["upstream"]["lead_id"].as_u64().map_or("-".to_owned(), |id| id.to_string()),
            match lead["reason"].as_str() {
                Some(reason) => format!("{}: {reason}", text(&lead["lead"]["name"])),
                None => text(&lead["lead"]["name"]),
            },
        );
    }
    if let Some(next) = page["next"].as_str() {
        say!("more: --cursor {next}");
    }
}

fn print_record(record: &Value) {
    let line = |name: &str, value: &Value| {
        let text = match value {
            Value::Null => return,
            Value::String(text) => text.clone(),
            Value::Object(map) if map.is_empty() => return,
            other => other.to_string(),
        };
        say!("{name:14}{text}");
    };
    for name in ["id", "state", "phase", "reason", "source", "destination", "external_id"] {
        line(name, &record[name]);
    }
    for name in ["received_at", "settled_at", "duplicate_of"] {
        line(name, &record[name]);
    }
    line("upstream", &record["upstream"]["lead_id"]);
    for name in ["name", "phone", "email", "message", "page_url", "referrer", "ref_url"] {
        line(name, &record["lead"][name]);
    }
    line("utm", &record["lead"]["utm"]);
    line("click_ids", &record["lead"]["click_ids"]);
    let all = |list: &Value| list.as_array().cloned().unwrap_or_default();
    for answer in all(&record["lead"]["answers"]) {
        line("answer", &format!("{}: {}", shown(&answer["label"]), shown(&answer["value"])).into());
    }
    for event in all(&record["history"]) {
        let parts = ["event", "outcome", "status", "detail"].map(|name| shown(&event[name]));
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        line(&shown(&event["at"]), &format!("  {}", parts.join(" ")).into());
    }
}

/// A value as people write it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
