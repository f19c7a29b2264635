//! `GET /trouble`: what was given up, by reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::assets;
use super::figures::walk;
use super::format::{count, moment};
use super::overview::done;
use super::visit::{Refusal, Visit};
use crate::lead::{DestinationId, Record, SourceId, State, SubmissionId, Timestamp};
use crate::preset::Algorithm;
use crate::store::{Query, Store, StoreError};

/// What can be replayed, the worst first.
pub(super) const MENDABLE: [State; 3] = [State::Dead, State::Quarantined, State::Unknown];

/// Records that are looked at, the newest first.
pub(super) const LOOKED_AT_MAX: usize = 10_000;

/// Groups that are shown, the biggest first.
const GROUPS_MAX: usize = 200;

/// Records of a group that a mapping is tried on.
const NEWEST_MAX: usize = 10;

/// What was given up.
pub(super) struct Trouble {
    pub(super) groups: Vec<Group>,
    pub(super) is_cut_short: bool,
}

/// What was given up for the same reason.
pub(super) struct Group {
    /// Its name in addresses: says nothing by itself.
    pub(super) key: String,
    pub(super) state: State,
    pub(super) source: SourceId,
    pub(super) destination: DestinationId,
    pub(super) reason: String,
    pub(super) number: u64,
    pub(super) latest: Timestamp,
    /// Its newest.
    pub(super) newest: Vec<SubmissionId>,
}

/// What makes two the same trouble: CareSoft's words differ in their numbers.
pub(super) fn key_of(record: &Record) -> String {
    let reason: String = record.reason.iter().flat_map(|text| text.chars()).collect();
    let reason: String = reason.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let text = format!("{} {} {} {reason}", record.state, record.source, record.destination);
    let mut key = Algorithm::Sha256.hex(text.as_bytes());
    key.truncate(16);
    key
}

/// Which records those are.
pub(super) fn mendable() -> Query {
    Query { states: MENDABLE.into(), ..Query::default() }
}

impl Trouble {
    /// Looked at a moment ago.
    pub(super) async fn of(visit: &Visit) -> Option<Arc<Self>> {
        let console = visit.console.clone();
        let count = move || async move { Self::count_all(&*console.store).await };
        visit.console.pages.trouble.get((), count).await
    }

    /// The same for a page of which it is a part.
    pub(super) async fn glance(visit: &Visit) -> Option<Arc<Self>> {
        let console = visit.console.clone();
        let count = move || async move { Self::count_all(&*console.store).await };
        visit.console.pages.trouble.glance((), count).await
    }

    async fn count_all(store: &dyn Store) -> Result<Self, StoreError> {
        let mut groups = BTreeMap::<String, Group>::new();
        let beginning = Timestamp::from_millis(0);
        let is_whole = walk(store, mendable(), beginning, LOOKED_AT_MAX, |record| {
            let group = groups.entry(key_of(record)).or_insert_with_key(|key| Group {
                key: key.clone(),
                state: record.state,
                source: record.source.clone(),
                destination: record.destination.clone(),
                reason: record.reason.clone().unwrap_or_default(),
                number: 0,
                latest: record.received_at,
                newest: Vec::new(),
            });
            group.number += 1;
            if group.newest.len() < NEWEST_MAX {
                group.newest.push(record.id);
            }
        });
        let is_whole = is_whole.await?;
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by_key(|group| {
            let place = MENDABLE.iter().position(|state| *state == group.state);
            (place, std::cmp::Reverse(group.number))
        });
        groups.truncate(GROUPS_MAX);
        Ok(Self { groups, is_cut_short: !is_whole })
    }

    /// How many are in a state.
    pub(super) fn count(&self, state: State) -> u64 {
        self.groups.iter().filter(|group| group.state == state).map(|group| group.number).sum()
    }
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct Page<'a> {
    v: &'a Visit,
    done: Option<String>,
    trouble: Option<Arc<Trouble>>,
}

impl Page<'_> {
    fn told(&self, number: u64) -> String {
        count(number, self.v.language)
    }

    fn at(&self, at: Timestamp) -> String {
        moment(at, self.v.now)
    }
}

pub(super) async fn show(visit: Visit, request: HttpRequest) -> HttpResponse {
    let trouble = Trouble::of(&visit).await;
    let done = done(&visit, &request);
    let result: Result<_, Refusal> = Ok(visit.page(&Page { v: &visit, done, trouble }));
    visit.answer(result)
}
