//! `GET /sources`: where leads come from, how each stands, and what to paste where.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::HttpResponse;
use askama::Template;

use super::assets;
use super::format::{count, moment, percent};
use super::overview::{SILENT_AFTER, day};
use super::visit::{Refusal, Visit};
use crate::lead::{SourceId, State};
use crate::source::Source;

/// What `leadgate_submissions_total` calls what was not taken for the sender's fault.
const REFUSALS: [&str; 7] =
    ["malformed", "unauthorized", "too_long", "content_type", "invalid", "limited", "challenge"];

#[derive(Template)]
#[template(path = "sources.html")]
struct Page<'a> {
    v: &'a Visit,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    preset: String,
    title: String,
    endpoint: String,
    /// The names of its secrets; an open source has none.
    secrets: Vec<String>,
    last: Option<String>,
    is_silent: bool,
    in_a_day: String,
    duplicates: String,
    tests: String,
    dead: String,
    refused: String,
    /// What a web page includes.
    embed: Option<String>,
}

pub(super) async fn show(visit: Visit) -> HttpResponse {
    visit.answer(shown(&visit).await)
}

async fn shown(visit: &Visit) -> Result<HttpResponse, Refusal> {
    let console = &visit.console;
    let ledger = console.store.ledger().await?;
    let accepted = console
        .sources
        .keys()
        .map(|id| (id.clone(), ledger.sources.get(id).map_or(0, |source| source.accepted)));
    let heard = console.pages.heard.look(&*console.store, accepted).await?;
    let day = day(visit).await;
    let metrics = console.metrics.render();
    let row = |(id, source): (&SourceId, &Arc<Source>)| {
        let states = day.as_ref().and_then(|day| day.sources.get(id).cloned()).unwrap_or_default();
        let all: u64 = states.values().sum();
        let share = |state| percent(states.get(&state).copied().unwrap_or_default(), all);
        let last = heard.get(id).copied();
        let endpoint = source.endpoint.to_string();
        Row {
            id: id.to_string(),
            preset: source.preset.id.clone(),
            title: source.preset.title.clone(),
            secrets: secrets(source),
            last: last.map(|last| moment(last, visit.now)),
            is_silent: last.is_some_and(|last| visit.now.since(last) >= SILENT_AFTER),
            in_a_day: count(all, visit.language),
            duplicates: share(State::Merged),
            tests: share(State::Test),
            dead: share(State::Dead),
            refused: count(refused(&metrics, id), visit.language),
            embed: (source.preset.id == "web-form").then(|| snippet(source)),
            endpoint,
        }
    };
    let mut rows: Vec<Row> = console.sources.iter().map(row).collect();
    rows.sort_by_key(|row| row.last.is_none()); // those that have sent first, each by name
    Ok(visit.page(&Page { v: visit, rows }))
}

fn secrets(source: &Source) -> Vec<String> {
    let set: BTreeMap<_, _> =
        source.secrets.iter().filter(|(_, values)| !values.is_empty()).collect();
    let told = |(name, values): (&String, &Vec<_>)| match values.len() {
        1 => name.clone(),
        several => format!("{name} ×{several}"),
    };
    set.into_iter().map(told).collect()
}

/// What a web page of this source's includes. A token would be in everybody's sight there, so there
/// is none in it.
fn snippet(source: &Source) -> String {
    let endpoint = source.endpoint.as_str();
    let script = source.endpoint.join("/embed.js").map(String::from).unwrap_or_default();
    format!(
        "<script src=\"{script}\" async></script>\n\n\
         <form data-leadgate method=\"post\" action=\"{endpoint}\">\n  \
         <input name=\"ho_ten\" required> <input name=\"so_dien_thoai\" type=\"tel\" required>\n  \
         <button>Gửi</button>\n</form>"
    )
}

/// Posts to a source that were refused, of the metrics' text.
fn refused(metrics: &str, source: &SourceId) -> u64 {
    let head = format!("leadgate_submissions_total{{source=\"{source}\",outcome=\"");
    let value = |line: &str| {
        let (outcome, value) = line.strip_prefix(&head)?.split_once("\"} ")?;
        REFUSALS.contains(&outcome).then(|| value.parse::<u64>().ok()).flatten()
    };
    metrics.lines().filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn refusals_are_counted_of_what_the_metrics_say() {
        let metrics = Metrics::default();
        let source: SourceId = "website".parse().unwrap();
        for outcome in ["accepted", "invalid", "invalid", "unauthorized"] {
            metrics.submission(&source, outcome);
        }
        metrics.submission(&"web".parse().unwrap(), "invalid");
        assert_eq!(refused(&metrics.render(), &source), 3);
    }
}
