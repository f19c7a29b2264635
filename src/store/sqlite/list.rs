//! Looking at records: one, a page of them, or how many wait.

use std::ops::Range;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, ToSql, params_from_iter};

use super::erase::hashes_everywhere;
use super::fault::Fault;
use super::record::{self, COLUMNS, Detail};
use super::runs::{CARRIERS, CARRIERS_VALUES};
use super::{ledger, zones};
use crate::lead::{DestinationId, RawBody, Record, SourceId, State, SubmissionId, Timestamp};
use crate::store::code::code;
use crate::store::identity::IdentityKey;
use crate::store::payload::Vault;
use crate::store::{Cursor, Depth, Match, Page, Query};

/// See [`crate::store::Store::find`].
pub(super) fn find(
    db: &Connection,
    vault: &Vault,
    id: SubmissionId,
) -> Result<Option<Record>, Fault> {
    let mut select = db.prepare_cached(&format!("SELECT {COLUMNS} FROM records WHERE id = ?1"))?;
    let mut rows = select.query([id])?;
    rows.next()?.map(|row| record::read(row, vault, Detail::Whole)).transpose()
}

/// See [`crate::store::Store::body`].
pub(super) fn body(
    db: &Connection,
    vault: &Vault,
    id: SubmissionId,
) -> Result<Option<RawBody>, Fault> {
    let mut select = db.prepare_cached("SELECT raw FROM records WHERE id = ?1")?;
    let raw = select.query_row([id], |row| row.get(0)).optional()?;
    record::body(vault, raw.flatten())
}

/// See [`crate::store::Store::list`].
pub(super) fn list(db: &Connection, vault: &Vault, query: &Query) -> Result<Page, Fault> {
    let limit = query.limit.clamp(1, Query::LIMIT_MAX);
    let before = query.cursor.as_ref().and_then(|Cursor(places)| places.get(&log()));
    let below = before.map_or(i64::MAX, |before| i64::try_from(*before).unwrap_or(i64::MAX));
    // One more than a page tells whether there is a next one.
    let mut seqs = if query.matching.is_empty() {
        listed(db, query, below, limit + 1)?
    } else {
        let mut wanted = Conditions::default();
        wanted.all_of(db, vault.key(), query, below)?;
        let mut select = db.prepare(&wanted.statement(limit + 1))?;
        let found = select.query_map(params_from_iter(wanted.values), |row| row.get(0))?;
        found.collect::<Result<Vec<i64>, _>>()?
    };
    let mut page = Page::default();
    if seqs.len() > limit {
        seqs.truncate(limit);
        let last = seqs.last().and_then(|last| u64::try_from(*last).ok()).unwrap_or(0);
        page.next = Some(Cursor([(log(), last)].into()));
    }
    let mut select = db.prepare_cached(&format!("SELECT {COLUMNS} FROM records WHERE seq = ?1"))?;
    for seq in seqs {
        let mut rows = select.query([seq])?;
        if let Some(row) = rows.next()? {
            page.records.push(record::read(row, vault, Detail::WithoutHistory)?);
        }
    }
    Ok(page)
}

/// The newest of the records of one destination, source and state, from the index alone.
pub(super) const LISTED: &str = "\
    SELECT seq FROM records INDEXED BY listed
    WHERE destination = ?1 AND source = ?2 AND state = ?3 AND seq >= ?4 AND seq < ?5
    ORDER BY seq DESC LIMIT ?6";

/// The same of those that came in a time; their zone is known already.
pub(super) const LISTED_IN_TIME: &str = "\
    SELECT seq FROM records INDEXED BY listed
    WHERE destination = ?1 AND source = ?2 AND state = ?3 AND seq >= ?4 AND seq < ?5
      AND received_at >= ?7 AND received_at < ?8
    ORDER BY seq DESC LIMIT ?6";

/// The newest of all.
pub(super) const NEWEST: &str = "\
    SELECT seq FROM records
    WHERE seq >= ?1 AND seq < ?2 AND received_at >= ?4 AND received_at < ?5
    ORDER BY seq DESC LIMIT ?3";

/// The numbers of the newest records that a query asks for by anything but a person or an id.
fn listed(db: &Connection, query: &Query, below: i64, max: usize) -> Result<Vec<i64>, Fault> {
    let is_narrowed =
        query.source.is_some() || query.destination.is_some() || !query.states.is_empty();
    let parts = if is_narrowed { parts(db, query)? } else { Vec::new() };
    let since = query.since.map_or(i64::MIN, |since| since.as_millis());
    let until = query.until.map_or(i64::MAX, |until| until.as_millis());
    let in_time = query.since.is_some() || query.until.is_some();
    let mut found = Vec::new();
    for Range { start: from, end: to } in zones::spans(db, query.since, query.until, below)? {
        let room = max - found.len();
        let left = i64::try_from(room).unwrap_or(i64::MAX);
        let mut here: Vec<i64> = Vec::new();
        if is_narrowed {
            let mut select = db.prepare_cached(if in_time { LISTED_IN_TIME } else { LISTED })?;
            for (destination, source, state) in &parts {
                let place: [&dyn ToSql; 6] = [destination, source, state, &from, &to, &left];
                let time: [&dyn ToSql; 2] = [&since, &until];
                let values = place.iter().chain(time.iter().filter(|_| in_time));
                let rows = select.query_map(params_from_iter(values), |row| row.get(0))?;
                here.extend(rows.collect::<Result<Vec<i64>, _>>()?);
            }
            here.sort_unstable_by_key(|seq| std::cmp::Reverse(*seq));
            here.truncate(room);
        } else {
            let mut select = db.prepare_cached(NEWEST)?;
            let rows = select.query_map((from, to, left, since, until), |row| row.get(0))?;
            here.extend(rows.collect::<Result<Vec<i64>, _>>()?);
        }
        found.extend(here);
        if found.len() >= max {
            break;
        }
    }
    Ok(found)
}

/// Every destination, source and state that a query means, of those that the ledger knows.
fn parts(db: &Connection, query: &Query) -> Result<Vec<(DestinationId, SourceId, State)>, Fault> {
    let mut select = db.prepare_cached("SELECT name FROM destinations")?;
    let destinations = select.query_map([], |row| row.get(0))?;
    let mut destinations: Vec<DestinationId> = destinations.collect::<Result<_, _>>()?;
    destinations.retain(|name| query.destination.as_ref().is_none_or(|wanted| wanted == name));
    let mut parts = Vec::new();
    for (source, counts) in ledger::read(db)?.sources {
        if query.source.as_ref().is_some_and(|wanted| *wanted != source) {
            continue;
        }
        let states = counts.states.into_keys();
        for state in states.filter(|it| query.states.is_empty() || query.states.contains(it)) {
            parts.extend(destinations.iter().map(|to| (to.clone(), source.clone(), state)));
        }
    }
    Ok(parts)
}

/// The conditions of a search, ANDed, and the values of their question marks.
#[derive(Default)]
pub(super) struct Conditions {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    pub(super) fn statement(&self, limit: usize) -> String {
        let conditions = self.conditions.join(" AND ");
        format!("SELECT seq FROM records WHERE {conditions} ORDER BY seq DESC LIMIT {limit}")
    }

    fn add(&mut self, condition: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.conditions.push(condition.into());
        self.values.extend(values);
    }

    fn all_of(
        &mut self,
        db: &Connection,
        key: &IdentityKey,
        query: &Query,
        below: i64,
    ) -> Result<(), Fault> {
        self.matching(db, key, &query.matching)?;
        self.add("seq < ?", [below.into()]);
        if !query.states.is_empty() {
            let codes: Vec<_> = query.states.iter().map(|state| code(*state).to_string()).collect();
            self.add(format!("state IN ({})", codes.join(", ")), []);
        }
        if let Some(source) = &query.source {
            self.add("source = ?", [text(source.as_str())]);
        }
        if let Some(destination) = &query.destination {
            self.add("destination = ?", [text(destination.as_str())]);
        }
        if let Some(since) = query.since {
            self.add("received_at >= ?", [since.as_millis().into()]);
        }
        if let Some(until) = query.until {
            self.add("received_at < ?", [until.as_millis().into()]);
        }
        Ok(())
    }

    /// Any of the readings; each by an index, so that a search does not walk the whole table.
    fn matching(
        &mut self,
        db: &Connection,
        key: &IdentityKey,
        matching: &[Match],
    ) -> Result<(), Fault> {
        let mut any: Vec<&str> = Vec::new();
        let mut values = Vec::new();
        for reading in matching {
            match reading {
                Match::Id(id) => {
                    let bytes = Value::Blob(id.as_bytes().to_vec());
                    any.push("SELECT seq FROM records WHERE id = ?");
                    any.push("SELECT seq FROM records WHERE duplicate_of = ?");
                    values.extend([bytes.clone(), bytes]);
                }
                Match::UpstreamLead(id) => {
                    any.push("SELECT seq FROM records WHERE upstream_lead = ?");
                    values.push(i64::try_from(*id).unwrap_or(-1).into());
                }
                Match::ExternalId(id) => {
                    any.push("SELECT seq FROM records WHERE external = ?");
                    values.push(Value::Blob(key.external_id(id).as_bytes().to_vec()));
                }
                Match::Identity(identity) => {
                    for hash in hashes_everywhere(db, key, std::slice::from_ref(identity))? {
                        let bytes = Value::Blob(hash.as_bytes().to_vec());
                        any.push(CARRIERS);
                        values.extend(std::iter::repeat_n(bytes, CARRIERS_VALUES));
                    }
                }
            }
        }
        if any.is_empty() {
            any.push("SELECT NULL"); // a person, before there is any destination
        }
        self.add(format!("seq IN ({})", any.join(" UNION ")), values);
        Ok(())
    }
}

/// What waits in the three parts of a lane's queue, from their indexes alone.
pub(super) const DEPTH: [&str; 3] = [
    "SELECT count(*), min(received_at) FROM records INDEXED BY ready
     WHERE state = 0 AND deadline IS NULL AND due IS NULL AND destination = ?1",
    "SELECT count(*), min(received_at) FROM records INDEXED BY waiting
     WHERE state = 0 AND deadline IS NULL AND due IS NOT NULL AND destination = ?1",
    "SELECT count(*), min(received_at) FROM records INDEXED BY leased
     WHERE deadline IS NOT NULL AND destination = ?1 AND state = 0",
];

/// What a lane has to do besides, waiting and leased, from the indexes alone.
pub(super) const CHORES: [&str; 2] = [
    "SELECT count(*) FROM records INDEXED BY chores
     WHERE state > 1 AND deadline IS NULL AND due IS NOT NULL AND destination = ?1 AND state = ?2",
    "SELECT count(*) FROM records INDEXED BY leased
     WHERE deadline IS NOT NULL AND destination = ?1 AND state = ?2",
];

/// See [`crate::store::Store::depth`].
pub(super) fn depth(db: &Connection, lane: &DestinationId) -> Result<Depth, Fault> {
    let mut depth = Depth::default();
    for sql in DEPTH {
        let (count, oldest): (i64, Option<Timestamp>) =
            db.prepare_cached(sql)?.query_row([lane], |row| Ok((row.get(0)?, row.get(1)?)))?;
        depth.pending += u64::try_from(count).unwrap_or(0);
        depth.oldest = depth.oldest.into_iter().chain(oldest).min();
    }
    let chores = |state: State| -> Result<u64, Fault> {
        let mut sum = 0;
        for sql in CHORES {
            let count: i64 = db.prepare_cached(sql)?.query_row((lane, state), |row| row.get(0))?;
            sum += u64::try_from(count).unwrap_or(0);
        }
        Ok(sum)
    };
    depth.unknown = chores(State::Unknown)?;
    depth.comments = chores(State::Merged)?;
    Ok(depth)
}

/// All records are in one table, so a cursor has one place.
fn log() -> DestinationId {
    "all".parse().expect("it is a name")
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}
