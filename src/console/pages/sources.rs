//! `GET /sources`: where leads come from, how each stands, and what to paste where.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::{HttpResponse, web};
use askama::Template;

use super::assets;
use super::format::{count, moment, percent};
use super::overview::day;
use super::visit::{Refusal, Visit, see_other};
use crate::lead::{SourceId, State};
use crate::preset::built_in_guide;
use crate::source::Source;

/// What `leadgate_submissions_total` calls what was not taken for the sender's fault.
const REFUSALS: [&str; 8] = [
    "malformed",
    "unauthorized",
    "too_slow",
    "too_long",
    "content_type",
    "invalid",
    "limited",
    "challenge",
];

/// And what was taken.
const TAKEN: [&str; 8] =
    ["accepted", "merged", "repeated", "quarantined", "test", "deleted", "spooled", "honeypot"];

#[derive(Template)]
#[template(path = "sources.html")]
struct Page<'a> {
    v: &'a Visit,
    takes_posts: bool,
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
    has_guide: bool,
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
    let heard = console.heard.look(&*console.store, accepted).await?;
    let day = day(visit).await;
    let metrics = console.metrics.render();
    let takes_posts = console.intake.is_some();
    let row = |(id, source): (&SourceId, &Arc<Source>)| {
        let states = day.as_ref().and_then(|day| day.sources.get(id).cloned()).unwrap_or_default();
        let all: u64 = states.values().sum();
        let share = |state| percent(states.get(&state).copied().unwrap_or_default(), all);
        let taken = counted(&metrics, id, &TAKEN);
        let refused = counted(&metrics, id, &REFUSALS);
        let last = heard.get(id).copied();
        let endpoint = source.endpoint.to_string();
        Row {
            id: id.to_string(),
            preset: source.preset.id.clone(),
            title: source.preset.title.clone(),
            secrets: secrets(source),
            last: last.map(|last| moment(last, visit.now)),
            is_silent: last.is_some_and(|last| visit.now.since(last) >= console.silent_after),
            in_a_day: count(all, visit.language),
            duplicates: share(State::Merged),
            tests: share(State::Test),
            dead: share(State::Dead),
            refused: match (takes_posts, refused) {
                (false, _) => "–".to_owned(),
                (true, 0) => "0".to_owned(),
                (true, refused) => {
                    let share = percent(refused, refused + taken);
                    format!("{} ({share})", count(refused, visit.language))
                }
            },
            has_guide: built_in_guide(&source.preset.id).is_some(),
            embed: (source.preset.id == "web-form").then(|| snippet(source)),
            endpoint,
        }
    };
    let mut rows: Vec<Row> = console.sources.iter().map(row).collect();
    rows.sort_by_key(|row| row.last.is_none()); // those that have sent first, each by name
    Ok(visit.page(&Page { v: visit, takes_posts, rows }))
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

/// Whoever goes up from a source's own page.
pub(super) async fn gone_to(_: Visit, source: web::Path<String>) -> HttpResponse {
    let id = source.parse::<SourceId>();
    see_other(&id.map_or_else(|_| "/sources".to_owned(), |id| format!("/sources#{id}")))
}

/// Posts to a source with one of these outcomes, of the metrics' text.
fn counted(metrics: &str, source: &SourceId, outcomes: &[&str]) -> u64 {
    let head = format!("leadgate_submissions_total{{source=\"{source}\",outcome=\"");
    let value = |line: &str| {
        let (outcome, value) = line.strip_prefix(&head)?.split_once("\"} ")?;
        outcomes.contains(&outcome).then(|| value.parse::<u64>().ok()).flatten()
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
        assert_eq!(counted(&metrics.render(), &source, &REFUSALS), 3);
        assert_eq!(counted(&metrics.render(), &source, &TAKEN), 1);
    }
}
