//! A row of `records` as a [`Record`].

use rusqlite::Row;

use super::fault::Fault;
use super::history;
use crate::lead::{Phase, RawBody, Record, State, Timestamp, Upstream};
use crate::store::payload::{Payload, Vault};

/// What [`read`] reads, in its order.
pub(super) const COLUMNS: &str = "id, state, began, source, destination, received_at, due, \
     deadline, settled_at, duplicate_of, upstream_lead, upstream_requester, reason, events, \
     payload, seq, trace";

/// Whether a record is read with its history.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Whole,
    WithoutHistory,
}

/// The record in a row of [`COLUMNS`].
pub(super) fn read(row: &Row<'_>, vault: &Vault, detail: Detail) -> Result<Record, Fault> {
    let state = row.get("state")?;
    let received_at = row.get("received_at")?;
    let history = match detail {
        Detail::WithoutHistory => Vec::new(),
        Detail::Whole => {
            let began: State = row.get("began")?;
            let later: Option<String> = row.get("events")?;
            history::whole(received_at, began, later.as_deref())?
        }
    };
    // One that cannot be opened does not take the others of its page with it.
    let stored: Option<Vec<u8>> = row.get("payload")?;
    let opened = stored.map(|stored| vault.open(&stored));
    let unreadable = matches!(opened, Some(Err(_)));
    let Payload { external_id, lead } = opened.and_then(Result::ok).unwrap_or_default();
    Ok(Record {
        id: row.get("id")?,
        state,
        phase: phase(state, row)?,
        source: row.get("source")?,
        destination: row.get("destination")?,
        external_id,
        trace_id: row.get("trace")?,
        received_at,
        settled_at: row.get("settled_at")?,
        lead,
        unreadable,
        upstream: upstream(row)?,
        duplicate_of: row.get("duplicate_of")?,
        reason: row.get("reason")?,
        history,
    })
}

/// What is in the column `payload`.
pub(super) fn payload(vault: &Vault, column: Option<Vec<u8>>) -> Result<Payload, Fault> {
    let Some(stored) = column else { return Ok(Payload::default()) };
    vault.open(&stored).map_err(|_| Fault::Unreadable("a record's lead"))
}

/// What is in the column `raw`.
pub(super) fn body(vault: &Vault, column: Option<Vec<u8>>) -> Result<Option<RawBody>, Fault> {
    let opened = column.map(|stored| vault.open_body(&stored)).transpose();
    opened.map_err(|_| Fault::Unreadable("a record's body"))
}

/// `due` is taken away when a lane finds it past, so that no clock is needed to tell.
fn phase(state: State, row: &Row<'_>) -> Result<Option<Phase>, Fault> {
    if state != State::Pending {
        return Ok(None);
    }
    let in_flight = row.get::<_, Option<Timestamp>>("deadline")?.is_some();
    let waiting = row.get::<_, Option<Timestamp>>("due")?.is_some();
    Ok(Some(match (in_flight, waiting) {
        (true, _) => Phase::InFlight,
        (false, true) => Phase::Waiting,
        (false, false) => Phase::Ready,
    }))
}

fn upstream(row: &Row<'_>) -> Result<Option<Upstream>, Fault> {
    let unsigned = |id: i64| u64::try_from(id).map_err(|_| Fault::Unreadable("an upstream id"));
    let Some(lead_id) = row.get::<_, Option<i64>>("upstream_lead")? else { return Ok(None) };
    let requester_id: Option<i64> = row.get("upstream_requester")?;
    Ok(Some(Upstream {
        lead_id: unsigned(lead_id)?,
        requester_id: requester_id.map(unsigned).transpose()?,
    }))
}
