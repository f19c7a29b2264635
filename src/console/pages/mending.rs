//! `GET /trouble/{group}`: what a replay of everything that failed for one reason would come to, and
//! `POST …/replay`, which does it.

use std::time::Duration;

use actix_web::web::Payload;
use actix_web::{HttpResponse, web};
use askama::Template;
use futures_util::stream::{self, StreamExt};

use super::assets;
use super::figures::walk;
use super::format::{count, span};
use super::lead::{Mapping, mapping};
use super::overview::time_for;
use super::trouble::{LOOKED_AT_MAX, Trouble, key_of, mendable};
use super::visit::{Refusal, Visit};
use crate::console::api::replay::patiently;
use crate::delivery::lane_standing;
use crate::lead::{Record, State, Timestamp};
use crate::store::{Query, Replayed};

/// Replays under way at once.
const AT_ONCE: usize = 64;

/// A bulk replay that takes longer goes on by asking again.
const REPLAYING_MAX: Duration = Duration::from_secs(120);

#[derive(Template)]
#[template(path = "mending.html")]
struct Page<'a> {
    v: &'a Visit,
    key: String,
    state: State,
    source: String,
    reason: String,
    number: String,
    takes: String,
    lane_is_open: bool,
    /// Of quarantined ones: how the newest are read now.
    tried: Vec<(String, Mapping)>,
    usable: usize,
}

pub(super) async fn preview(visit: Visit, group: web::Path<String>) -> HttpResponse {
    visit.answer(previewed(&visit, &group).await)
}

async fn previewed(visit: &Visit, key: &str) -> Result<HttpResponse, Refusal> {
    let console = &visit.console;
    let trouble = Trouble::of(visit).await.ok_or(Refusal::Store)?;
    let group = trouble.groups.iter().find(|group| group.key == key).ok_or(Refusal::Missing)?;
    let standing = lane_standing(&*console.store, &group.destination, visit.now).await?;
    let outlet = console.destinations.get(&group.destination);
    let takes = outlet.map(|outlet| span(time_for(group.number, outlet.pace), visit.language));
    let mut tried = Vec::new();
    if group.state == State::Quarantined {
        for id in &group.newest {
            if let Some(record) = console.store.find(*id).await? {
                tried.push((id.to_string(), mapping(visit, &record).await?));
            }
        }
    }
    Ok(visit.page(&Page {
        v: visit,
        key: key.to_owned(),
        state: group.state,
        source: group.source.to_string(),
        reason: group.reason.clone(),
        number: count(group.number, visit.language),
        takes: takes.unwrap_or_else(|| "–".to_owned()),
        lane_is_open: standing.state == "open",
        usable: tried.iter().filter(|(_, mapping)| mapping.is_usable()).count(),
        tried,
    }))
}

pub(super) async fn replay(
    visit: Visit,
    group: web::Path<String>,
    payload: Payload,
) -> HttpResponse {
    visit.answer(replayed(&visit, &group, payload).await)
}

async fn replayed(visit: &Visit, key: &str, payload: Payload) -> Result<HttpResponse, Refusal> {
    visit.posted(payload).await?;
    let console = &visit.console;
    let mut records: Vec<Record> = Vec::new();
    let beginning = Timestamp::from_millis(0);
    let query = Query { until: Some(visit.now), ..mendable() };
    walk(&*console.store, query, beginning, LOOKED_AT_MAX, |record| {
        if key_of(record) == key {
            records.push(record.clone());
        }
    })
    .await?;
    if records.is_empty() {
        return Err(Refusal::Missing);
    }
    let mut replayed = 0_u64;
    let replaying = async {
        let records = stream::iter(records);
        let mut done = records.map(|record| patiently(console, record)).buffer_unordered(AT_ONCE);
        while let Some(one) = done.next().await {
            if !matches!(one?, Replayed::Refused(_) | Replayed::Forgotten | Replayed::Missing) {
                replayed += 1;
            }
        }
        Ok::<_, Refusal>(())
    };
    let ended = tokio::time::timeout(REPLAYING_MAX, replaying).await;
    tracing::info!(replayed, "a person has replayed leads");
    console.pages.forget_figures();
    match ended {
        Ok(Err(refusal)) => Err(refusal),
        Ok(Ok(())) | Err(_) => Ok(visit.done("/trouble", &format!("replayed-{replayed}"))),
    }
}
