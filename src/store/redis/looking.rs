//! Looking at records: one, a page of them, how many wait, the ledger.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use redis::{Value, cmd, from_redis_value};

use super::Inner;
use super::record::{self, Hash, Numbered, Parts, state, unreadable};
use super::script::{self, Call, DEPTH, INDEX, PAGE, SEARCH, SHOW};
use crate::lead::{DestinationId, Identity, Record, SubmissionId, Timestamp};
use crate::store::code::code;
use crate::store::payload::Vault;
use crate::store::{Cursor, Depth, Ledger, Match, Page, Query, StoreError};

/// Entries of the log and of its index that one call looks at: some milliseconds of Redis's time.
const LOOKED_MAX: usize = 1000;

/// Calls in a row that look for the oldest pending record: two million records.
const OLDEST_CALLS_MAX: usize = 1000;

/// See [`crate::store::Store::find`].
pub(super) async fn find(inner: &Inner, id: SubmissionId) -> Result<Option<Record>, StoreError> {
    let vault = inner.vault().await?;
    for lane in inner.everywhere().await? {
        let found = SHOW.call(&lane).arg(id.as_bytes()).send(&inner.link).await?;
        if found != Value::Nil {
            return record::read(&vault, &lane, found).map(|found| Some(found.record));
        }
    }
    Ok(None)
}

/// See [`crate::store::Store::list`]. Each destination has a log of its own; a page is what is
/// newest of all of them.
pub(super) async fn list(inner: &Inner, query: &Query) -> Result<Page, StoreError> {
    let vault = inner.vault().await?;
    let limit = query.limit.clamp(1, Query::LIMIT_MAX);
    let mut lanes = inner.everywhere().await?;
    lanes.retain(|lane| query.destination.as_ref().is_none_or(|wanted| wanted == lane));
    let mut places = query.cursor.clone().unwrap_or_default().0;
    let mut found = Vec::new();
    for lane in &lanes {
        let below = places.get(lane).copied();
        let some = newest(inner, &vault, lane, query, below, limit + 1).await?;
        // What arrives while somebody turns the pages is on none of them.
        if let Some(first) = some.first() {
            places.entry(lane.clone()).or_insert(first.number + 1);
        }
        // A log stays in its own order, which a place in it is of: what came at the same time may
        // stand in another one than it was received in, and would be on no page.
        let mut at = Timestamp::from_millis(i64::MAX);
        found.extend(some.into_iter().map(|numbered| {
            at = at.min(numbered.record.received_at);
            (at, numbered)
        }));
    }
    found.sort_by_key(|(at, _)| std::cmp::Reverse(*at)); // stable
    let mut found: Vec<_> = found.into_iter().map(|(_, numbered)| numbered).collect();
    let is_last = found.len() <= limit;
    found.truncate(limit);
    for Numbered { number, record } in &found {
        places.insert(record.destination.clone(), *number);
    }
    let next = (!is_last).then_some(Cursor(places));
    Ok(Page { records: found.into_iter().map(|numbered| numbered.record).collect(), next })
}

/// The newest records of one destination that a query asks for, below a place in its log.
async fn newest(
    inner: &Inner,
    vault: &Vault,
    lane: &DestinationId,
    query: &Query,
    below: Option<u64>,
    max: usize,
) -> Result<Vec<Numbered>, StoreError> {
    if !query.matching.is_empty() {
        return search(inner, vault, lane, query, below, max).await;
    }
    index(inner, lane).await?;
    let states: String = query.states.iter().map(|state| code(*state).to_string()).collect();
    let (mut found, mut below) = (Vec::new(), below.map_or_else(String::new, |it| it.to_string()));
    loop {
        let call = PAGE.call(lane).arg(&below).arg(max - found.len()).arg(LOOKED_MAX).arg(&states);
        let mut answer = Parts::of(filtered(call, query).send(&inner.link).await?)?;
        below = answer.text().unwrap_or_default();
        found.extend(read_all(vault, lane, answer.next())?);
        if below.is_empty() || found.len() >= max {
            return Ok(found);
        }
    }
}

/// What was admitted by a version that kept no index is in it now.
async fn index(inner: &Inner, lane: &DestinationId) -> Result<(), StoreError> {
    if inner.indexed.lock().unwrap_or_else(PoisonError::into_inner).contains(lane) {
        return Ok(());
    }
    loop {
        let left = INDEX.call(lane).arg(LOOKED_MAX).send(&inner.link).await?;
        if left == Value::Int(0) {
            break;
        }
    }
    inner.indexed.lock().unwrap_or_else(PoisonError::into_inner).insert(lane.clone());
    Ok(())
}

/// The arguments that a page ends with.
fn filtered(call: Call, query: &Query) -> Call {
    let moment = |at: Option<crate::lead::Timestamp>| {
        at.map(|at| at.as_millis().to_string()).unwrap_or_default()
    };
    let source = query.source.as_ref().map_or("", |source| source.as_str());
    call.arg(source).arg(moment(query.since)).arg(moment(query.until))
}

/// The records that any reading of a search names; all else that the query asks for is looked at
/// here, since they are few.
async fn search(
    inner: &Inner,
    vault: &Vault,
    lane: &DestinationId,
    query: &Query,
    below: Option<u64>,
    max: usize,
) -> Result<Vec<Numbered>, StoreError> {
    let mut call = SEARCH.call(lane);
    for reading in &query.matching {
        match reading {
            Match::Identity(identity) => {
                for hash in hashes_at(vault, lane, std::slice::from_ref(identity)) {
                    call.push("h");
                    call.push(hash.as_bytes());
                }
            }
            Match::Id(id) => {
                call.push("i");
                call.push(id.as_bytes());
            }
            Match::UpstreamLead(id) => {
                call.push("u");
                call.push(id.to_string());
            }
            Match::ExternalId(id) => {
                call.push("x");
                call.push(Hash::cut(vault.key().external_id(id)).as_bytes());
            }
        }
    }
    let mut found = read_all(vault, lane, call.send(&inner.link).await?)?;
    found.retain(|Numbered { number, record }| {
        below.is_none_or(|below| *number < below)
            && (query.states.is_empty() || query.states.contains(&record.state))
            && query.source.as_ref().is_none_or(|source| *source == record.source)
            && query.since.is_none_or(|since| record.received_at >= since)
            && query.until.is_none_or(|until| record.received_at < until)
    });
    found.sort_by_key(|numbered| std::cmp::Reverse(numbered.number));
    found.truncate(max);
    Ok(found)
}

fn read_all(
    vault: &Vault,
    lane: &DestinationId,
    answer: Value,
) -> Result<Vec<Numbered>, StoreError> {
    let shown = Parts::of(answer)?.rest();
    shown.map(|one| record::read(vault, lane, one)).collect()
}

/// The hashes that persons have at one destination.
pub(super) fn hashes_at(vault: &Vault, lane: &DestinationId, identities: &[Identity]) -> Vec<Hash> {
    identities.iter().map(|identity| Hash::cut(vault.key().identity(lane, identity))).collect()
}

/// See [`crate::store::Store::ledger`]. A destination's counts are of one moment.
pub(super) async fn ledger(inner: &Inner) -> Result<Ledger, StoreError> {
    inner.vault().await?;
    let mut ledger = Ledger::default();
    for lane in inner.everywhere().await? {
        let fields = inner.link.send(cmd("HGETALL").arg(script::key(&lane, "ledger"))).await?;
        let counts: BTreeMap<String, i64> =
            from_redis_value(fields).map_err(|_| unreadable("the ledger"))?;
        for (field, counted) in counts {
            let (source, what) = field.rsplit_once(' ').ok_or_else(|| unreadable("the ledger"))?;
            let source = source.parse().map_err(|_| unreadable("the ledger"))?;
            let counted = u64::try_from(counted).map_err(|_| unreadable("a count below zero"))?;
            let source = ledger.sources.entry(source).or_default();
            match what {
                "accepted" => source.accepted += counted,
                _ if counted == 0 => {}
                digit => {
                    let state = state(digit.parse().map_err(|_| unreadable("the ledger"))?)?;
                    *source.states.entry(state).or_default() += counted;
                }
            }
        }
    }
    Ok(ledger)
}

/// See [`crate::store::Store::depth`].
pub(super) async fn depth(inner: &Inner, lane: &DestinationId) -> Result<Depth, StoreError> {
    inner.vault().await?;
    let mut depth = Depth::default();
    for _ in 0..OLDEST_CALLS_MAX {
        let mut answer = Parts::of(DEPTH.call(lane).send(&inner.link).await?)?;
        let pending = answer.number().and_then(|pending| u64::try_from(pending).ok());
        let pending = pending.ok_or_else(|| unreadable("a depth"))?;
        let oldest = answer.moment();
        let mut count = || answer.number().and_then(|count| u64::try_from(count).ok());
        let unknown = count().ok_or_else(|| unreadable("a depth"))?;
        let comments = count().ok_or_else(|| unreadable("a depth"))?;
        depth = Depth { pending, oldest, unknown, comments };
        if pending == 0 || depth.oldest.is_some() {
            break;
        }
    }
    Ok(depth)
}
