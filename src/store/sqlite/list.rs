//! Looking at records: one, a page of them, or how many wait.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::erase::hashes_everywhere;
use super::fault::Fault;
use super::record::{self, COLUMNS, Detail};
use super::runs::{CARRIERS, CARRIERS_VALUES};
use crate::lead::{DestinationId, RawBody, Record, State, SubmissionId, Timestamp};
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
    let mut wanted = Conditions::default();
    wanted.all_of(db, vault.key(), query)?;
    // One more than a page tells whether there is a next one.
    let mut select = db.prepare(&wanted.statement(limit + 1))?;
    let mut rows = select.query(params_from_iter(wanted.values))?;
    let mut page = Page::default();
    let mut last = 0;
    let log = log();
    while let Some(row) = rows.next()? {
        if page.records.len() == limit {
            page.next = Some(Cursor([(log, last)].into()));
            break;
        }
        page.records.push(record::read(row, vault, Detail::WithoutHistory)?);
        last = u64::try_from(row.get::<_, i64>("seq")?).unwrap_or(0);
    }
    Ok(page)
}

/// The conditions of a list, ANDed, and the values of their question marks.
#[derive(Default)]
pub(super) struct Conditions {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    pub(super) fn statement(&self, limit: usize) -> String {
        let conditions = match self.conditions.as_slice() {
            [] => String::new(),
            some => format!("WHERE {}", some.join(" AND ")),
        };
        format!("SELECT {COLUMNS} FROM records {conditions} ORDER BY seq DESC LIMIT {limit}")
    }

    fn add(&mut self, condition: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.conditions.push(condition.into());
        self.values.extend(values);
    }

    fn all_of(&mut self, db: &Connection, key: &IdentityKey, query: &Query) -> Result<(), Fault> {
        self.states(query);
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
        let before = query.cursor.as_ref().and_then(|Cursor(places)| places.get(&log()));
        if let Some(before) = before {
            self.add("seq < ?", [i64::try_from(*before).unwrap_or(i64::MAX).into()]);
        }
        if !query.matching.is_empty() {
            self.matching(db, key, &query.matching)?;
        }
        Ok(())
    }

    pub(super) fn states(&mut self, query: &Query) {
        if query.states.is_empty() {
            return;
        }
        let codes: Vec<u8> = query.states.iter().map(|state| code(*state)).collect();
        let list = codes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        self.add(format!("state IN ({list})"), []);
        if codes.iter().all(|code| *code > 1) {
            self.add("state > 1", []); // word for word the condition of the index `uncommon`
        }
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
