//! Every list holds what a look at all records would find, whatever it is narrowed by.

use std::collections::{BTreeMap, BTreeSet};

use super::chance::{Chance, Run};
use super::*;
use crate::lead::SourceId;

/// More than the parts hold that a store keeps the times or the sources of.
const OLD: u32 = 2200;
/// Steps of the life after that.
const STEPS: u32 = 300;
/// Filters that are tried each time.
const TRIES: u32 = 60;

/// The seeds of the life and of the filters.
const LIFE: u64 = 0x11_57ED;
const FILTERS: u64 = 0xF117_E125;

pub(crate) async fn every_filter_is_exact(store: &dyn Store) {
    let posts: Vec<_> = (0..OLD).map(|number| old(number).admission()).collect();
    for some in posts.chunks(300) {
        store.admit(some.to_vec()).await.unwrap();
    }
    let mut run = Run::new(LIFE);
    for _ in 0..STEPS {
        run.step(store).await;
    }
    let mut chance = Chance(FILTERS);
    let all = everything(store, &Query::default()).await;
    let states: BTreeSet<_> = all.iter().map(|record| record.state).collect();
    assert_eq!(states, State::ALL.into(), "the life came by every state");
    lists_are_exact(store, &mut chance).await;

    let kept = Duration::from_secs(1200);
    let retention = Retention([(State::Test, kept), (State::Merged, kept)].into());
    while store.sweep(run.now(), &retention, 500).await.unwrap() > 0 {}
    let left = everything(store, &Query::default()).await;
    assert!(left.len() < all.len() - 300, "{} are left", left.len());
    lists_are_exact(store, &mut chance).await;
}

/// One that came long before, not quite in the order of its time. Some sources have few.
fn old(number: u32) -> Form {
    let source = match number {
        5..8 | 1500 => "rare",
        _ if number.is_multiple_of(7) => "landing",
        _ => "website",
    };
    let seconds = i64::from(number + number * 7 % 13) - i64::from(OLD) - 20;
    let form = form().source(source).at(at(seconds));
    match number % 4 {
        0 | 1 => form.phone(10_000 + number).test(),
        2 => form.phone(20_000 + number / 8).destination("other"),
        _ => form.phone(30_000).destination("other"),
    }
}

async fn lists_are_exact(store: &dyn Store, chance: &mut Chance) {
    let mut found = 0;
    for _ in 0..TRIES {
        let query = narrowed(chance);
        let all = everything(store, &Query::default()).await;
        let wanted = by_destination(all.iter().filter(|record| is_wanted(&query, record)));
        let mut listed = Vec::new();
        let mut page = store.list(query.clone()).await.unwrap();
        loop {
            listed.append(&mut page.records);
            let Some(next) = page.next.take() else { break };
            form().phone(40_000).source("landing").at(at(0)).send(store).await;
            let cursor = Some(next);
            page = store.list(Query { cursor, ..query.clone() }).await.unwrap();
        }
        // What arrived meanwhile may be on a page of a destination that had nothing before.
        let newest: Vec<_> = all.iter().map(|record| record.id).collect();
        listed.retain(|record| newest.contains(&record.id));
        assert!(by_destination(&listed) == wanted, "{query:?}: {} of {wanted:?}", listed.len());
        found += usize::from(!listed.is_empty());
    }
    assert!(found > TRIES as usize / 5, "only {found} lists had anything");
}

fn narrowed(chance: &mut Chance) -> Query {
    let mut one_in = |bound| chance.below(bound) == 0;
    let states = State::ALL.into_iter().filter(|_| one_in(3)).collect();
    let sources =
        ["website", "landing", "rare", "nowhere"].map(|name| name.parse::<SourceId>().unwrap());
    let destinations =
        ["main", "other", "nowhere"].map(|name| name.parse::<DestinationId>().unwrap());
    let mut query = Query { states, limit: 97, ..Query::default() };
    if chance.below(3) == 0 {
        query.states.clear();
    }
    query.source = chance.one_of(&sources).filter(|_| chance.below(2) == 0);
    query.destination = chance.one_of(&destinations).filter(|_| chance.below(3) == 0);
    let mut moment = |one_in| {
        let seconds = i64::try_from(chance.below(u64::from(OLD + STEPS))).unwrap();
        (chance.below(one_in) == 0).then(|| at(seconds - i64::from(OLD)))
    };
    query.since = moment(3);
    query.until = moment(3);
    query
}

fn is_wanted(query: &Query, record: &Record) -> bool {
    (query.states.is_empty() || query.states.contains(&record.state))
        && query.source.as_ref().is_none_or(|source| *source == record.source)
        && query.destination.as_ref().is_none_or(|name| *name == record.destination)
        && query.since.is_none_or(|since| record.received_at >= since)
        && query.until.is_none_or(|until| record.received_at < until)
}

/// The ids of each destination, in their order: each may have a log of its own.
fn by_destination<'a>(
    records: impl IntoIterator<Item = &'a Record>,
) -> BTreeMap<&'a DestinationId, Vec<SubmissionId>> {
    let mut ids = BTreeMap::<_, Vec<_>>::new();
    for record in records {
        ids.entry(&record.destination).or_default().push(record.id);
    }
    ids
}

async fn everything(store: &dyn Store, query: &Query) -> Vec<Record> {
    let mut all = Vec::new();
    let mut query = Query { limit: Query::LIMIT_MAX, ..query.clone() };
    loop {
        let page = store.list(query.clone()).await.unwrap();
        all.extend(page.records);
        query.cursor = page.next;
        if query.cursor.is_none() {
            return all;
        }
    }
}
