//! `GET /`: what needs a person first, then how everything stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use futures_util::future::try_join_all;

use super::assets;
use super::chart::Chart;
use super::figures::Day;
use super::format::{self, count, moment, span};
use super::sign_in::asked;
use super::trouble::Trouble;
use super::visit::{Refusal, Visit};
use crate::config::Pace;
use crate::console::Outlet;
use crate::console::api::receipt::Told;
use crate::delivery::{LaneStanding, lane_standing};
use crate::lead::{DestinationId, SourceId, State, Timestamp};
use crate::store::{Depth, StoreError};

#[derive(Template)]
#[template(path = "overview.html")]
struct Page<'a> {
    v: &'a Visit,
    done: Option<String>,
    needs: Vec<Need>,
    /// `None`: still counted.
    today: Option<Today>,
    ledger: Ledger,
    lanes: Vec<LaneRow>,
}

/// What a person should look at.
struct Need {
    /// `bad` or `warn`.
    level: &'static str,
    what: String,
    path: &'static str,
}

struct Today {
    accepted: String,
    tiles: Vec<Tile>,
    chart: Chart,
    half_within: Option<String>,
    most_within: Option<String>,
    is_cut_short: bool,
}

struct Tile {
    state: State,
    number: String,
    is_zero: bool,
}

struct Ledger {
    accepted: String,
    residue: i64,
}

/// A lane as the pages show it.
pub(super) struct LaneRow {
    pub(super) id: String,
    pub(super) state: &'static str,
    pub(super) paused: bool,
    closed: Option<&'static str>,
    until: Option<String>,
    pace: String,
    used: Option<String>,
    queue: String,
    oldest: Option<String>,
    unknown: u64,
    comments: u64,
    clears: Option<String>,
}

pub(super) async fn show(visit: Visit, request: HttpRequest) -> HttpResponse {
    let done = done(&visit, &request);
    visit.answer(shown(&visit, done).await)
}

/// What was done just now, in words: `replayed`, `replayed-214`, or `forgotten-` and what is
/// carried of a receipt.
pub(super) fn done(visit: &Visit, request: &HttpRequest) -> Option<String> {
    let asked = asked(request, "done")?;
    let (what, number) = asked.split_once('-').unwrap_or((&asked, ""));
    let told = match what {
        "replayed" => visit.w.done_replayed,
        "paused" => visit.w.done_paused,
        "resumed" => visit.w.done_resumed,
        "forgotten" => visit.w.done_forgotten,
        "sampled" => visit.w.done_sampled,
        _ => return None,
    };
    if let Some(Told { id, submissions, says }) = Told::read(number) {
        let (submissions, says) = (count(submissions, visit.language), visit.reason(says));
        return Some(format!("{told}: {submissions} ({says}). {}: {id}", visit.w.receipt));
    }
    match number.parse().ok() {
        Some(number) => Some(format!("{told}: {}", count(number, visit.language))),
        None => Some(format!("{told}.")),
    }
}

async fn shown(visit: &Visit, done: Option<String>) -> Result<HttpResponse, Refusal> {
    let console = &visit.console;
    let ledger = console.store.ledger().await?;
    let day = day(visit).await;
    let trouble = Trouble::glance(visit).await;
    let accepted = console
        .sources
        .keys()
        .map(|id| (id.clone(), ledger.sources.get(id).map_or(0, |source| source.accepted)));
    let heard = console.heard.look(&*console.store, accepted).await?;
    let lanes = lanes(visit, day.as_deref()).await?;
    let needs = needs(visit, &lanes, trouble.as_deref(), &heard, ledger.residue());
    let ledger =
        Ledger { accepted: count(ledger.accepted(), visit.language), residue: ledger.residue() };
    let today = day.map(|day| today(visit, &day));
    Ok(visit.page(&Page { v: visit, done, needs, today, ledger, lanes }))
}

/// The figures of the last 24 hours.
pub(super) async fn day(visit: &Visit) -> Option<Arc<Day>> {
    let console = visit.console.clone();
    let count = move || async move {
        // Whoever asks the API for figures waits for the same turn.
        let _alone = console.counting.acquire().await;
        let now = console.clock.now();
        Day::count(&*console.store, format::midnight(now), now).await
    };
    visit.console.pages.day.glance((), count).await
}

fn today(visit: &Visit, day: &Day) -> Today {
    let tile = |state| {
        let number = day.today.get(&state).copied().unwrap_or_default();
        Tile { state, number: count(number, visit.language), is_zero: number == 0 }
    };
    let order = [
        State::Created,
        State::Merged,
        State::Pending,
        State::Unknown,
        State::Dead,
        State::Quarantined,
        State::Test,
        State::Erased,
    ];
    let within = |percent| day.percentile(percent).map(|took| span(took, visit.language));
    Today {
        accepted: count(day.accepted_today(), visit.language),
        tiles: order.map(tile).into(),
        chart: Chart::of(day, visit.now, visit.language, visit.w),
        half_within: within(50),
        most_within: within(95),
        is_cut_short: day.is_cut_short,
    }
}

/// Every lane, whether this process delivers to it or not.
pub(super) async fn lanes(visit: &Visit, day: Option<&Day>) -> Result<Vec<LaneRow>, StoreError> {
    let store = &visit.console.store;
    let row = async |(id, outlet): (&DestinationId, &Outlet)| {
        let created = day.map(|day| day.created_in_a_minute.get(id).copied().unwrap_or_default());
        let standing = lane_standing(&**store, id, visit.now).await?;
        let depth = store.depth(id).await?;
        Ok(LaneRow::of(visit, id, outlet.pace, standing, depth, created))
    };
    try_join_all(visit.console.destinations.iter().map(row)).await
}

impl LaneRow {
    fn of(
        visit: &Visit,
        id: &DestinationId,
        pace: Pace,
        standing: LaneStanding,
        depth: Depth,
        created_in_a_minute: Option<u64>,
    ) -> Self {
        let LaneStanding { state, paused, closed, until } = standing;
        let (now, language) = (visit.now, visit.language);
        let clears = (state == "open" && depth.pending > 0)
            .then(|| moment(now.plus(time_for(depth.pending, pace)), now));
        Self {
            id: id.to_string(),
            state,
            paused,
            closed: closed.filter(|_| paused),
            until: until.filter(|_| !paused).map(|until| moment(until, now)),
            pace: format!("{}/s", pace.per_second),
            used: created_in_a_minute.map(|number| count(number, language)),
            queue: count(depth.pending, language),
            oldest: depth.oldest.map(|oldest| span(now.since(oldest), language)),
            unknown: depth.unknown,
            comments: depth.comments,
            clears,
        }
    }

    fn is_open(&self) -> bool {
        self.state == "open"
    }
}

/// How long a lane takes for so many, by both of its paces.
pub(super) fn time_for(leads: u64, pace: Pace) -> Duration {
    let by_second = leads / u64::from(pace.per_second.get());
    let by_hour = leads / u64::from(pace.per_hour.get()) * 3600;
    Duration::from_secs(by_second.max(by_hour).max(1))
}

fn needs(
    visit: &Visit,
    lanes: &[LaneRow],
    trouble: Option<&Trouble>,
    heard: &BTreeMap<SourceId, Timestamp>,
    residue: i64,
) -> Vec<Need> {
    let (w, language) = (visit.w, visit.language);
    let mut needs = Vec::new();
    for lane in lanes.iter().filter(|lane| !lane.is_open()) {
        let level = match lane.state {
            "throttled" | "probing" | "paused" => "warn",
            _ => "bad",
        };
        let what = format!("{} {}: {}", w.lane, lane.id, w.lane(lane.state));
        needs.push(Need { level, what, path: "#lanes" });
    }
    for state in [State::Dead, State::Quarantined] {
        let number = trouble.map_or(0, |trouble| trouble.count(state));
        if number > 0 {
            let what = format!("{} {}", count(number, language), w.state(state));
            let level = if state == State::Dead { "bad" } else { "warn" };
            needs.push(Need { level, what, path: "/trouble" });
        }
    }
    for (source, last) in
        heard.iter().filter(|(_, last)| visit.now.since(**last) >= visit.console.silent_after)
    {
        let what = format!("{} {} {} {}", w.source, source, w.is_silent, moment(*last, visit.now));
        needs.push(Need { level: "warn", what, path: "/sources" });
    }
    if let Some(spool) = visit.console.store.spool().filter(|spool| spool.depth > 0) {
        let what = format!("{} {}", count(spool.depth, language), w.spool_waits);
        needs.push(Need { level: "bad", what, path: "#lanes" });
    }
    if residue != 0 {
        let what = format!("{}: {} {residue}", w.since_begun, w.it_does_not_sum);
        needs.push(Need { level: "bad", what, path: "#ledger" });
    }
    needs
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_queue_takes_as_long_as_the_slower_pace_allows() {
        let pace = |per_second, per_hour| Pace {
            per_second: NonZeroU32::new(per_second).unwrap(),
            per_hour: NonZeroU32::new(per_hour).unwrap(),
        };
        assert_eq!(time_for(1, pace(15, 54_000)), Duration::from_secs(1));
        assert_eq!(time_for(1500, pace(15, 54_000)), Duration::from_secs(100));
        assert_eq!(time_for(250, pace(15, 100)), Duration::from_secs(2 * 3600));
    }
}
