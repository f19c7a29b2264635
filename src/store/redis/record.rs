//! What scripts answer, as our types.

use redis::Value;

use crate::lead::{
    DestinationId, Event, Lead, Phase, Record, State, SubmissionId, Timestamp, TraceId, Upstream,
};
use crate::store::StoreError;
use crate::store::code::of_code;
use crate::store::identity::IdentityHash;
use crate::store::payload::{Payload, Vault};

/// A keyed hash as it is part of a key: 12 of its 16 bytes. A billion of them collide with a
/// probability of 10⁻¹¹, and each claim is 8 bytes smaller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash([u8; Self::LEN]);

impl Hash {
    const LEN: usize = 12;

    pub(super) fn cut(hash: IdentityHash) -> Self {
        let (cut, _) = hash.as_bytes().split_first_chunk().expect("16 bytes begin with 12");
        Self(*cut)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn or_empty(hash: &Option<Self>) -> &[u8] {
        hash.as_ref().map_or(&[], Self::as_bytes)
    }

    pub(super) fn end_to_end(hashes: Vec<IdentityHash>) -> Vec<u8> {
        hashes.into_iter().flat_map(|hash| Self::cut(hash).0).collect()
    }
}

/// The state of a code.
pub(super) fn state(code: i64) -> Result<State, StoreError> {
    of_code(code).ok_or_else(|| unreadable("a state"))
}

pub(super) fn unreadable(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}

/// The parts of an answer, one after another.
pub(super) struct Parts(std::vec::IntoIter<Value>);

impl Parts {
    pub(super) fn of(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Array(parts) => Ok(Self(parts.into_iter())),
            _ => Err(unreadable("an answer")),
        }
    }

    pub(super) fn next(&mut self) -> Value {
        self.0.next().unwrap_or(Value::Nil)
    }

    pub(super) fn bytes(&mut self) -> Option<Vec<u8>> {
        match self.next() {
            Value::BulkString(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?).ok()
    }

    pub(super) fn number(&mut self) -> Option<i64> {
        match self.next() {
            Value::Int(number) => Some(number),
            Value::BulkString(bytes) => std::str::from_utf8(&bytes).ok()?.parse().ok(),
            _ => None,
        }
    }

    pub(super) fn moment(&mut self) -> Option<Timestamp> {
        self.number().map(Timestamp::from_millis)
    }

    pub(super) fn id(&mut self) -> Option<SubmissionId> {
        id(&self.bytes()?)
    }

    pub(super) fn trace(&mut self) -> Option<TraceId> {
        TraceId::from_bytes(self.bytes()?.try_into().ok()?)
    }

    pub(super) fn rest(self) -> std::vec::IntoIter<Value> {
        self.0
    }
}

pub(super) fn id(bytes: &[u8]) -> Option<SubmissionId> {
    Some(SubmissionId::from_bytes(bytes.try_into().ok()?))
}

/// A record, and its number in its destination's log.
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) record: Record,
}

/// Reads what `records.lua` shows.
pub(super) fn read(
    vault: &Vault,
    destination: &DestinationId,
    value: Value,
) -> Result<Numbered, StoreError> {
    let mut parts = Parts::of(value)?;
    let missing = || unreadable("a record");
    let id = parts.id().ok_or_else(missing)?;
    let number = parts.number().ok_or_else(missing)?;
    let now = state(parts.number().ok_or_else(missing)?)?;
    let began = state(parts.number().ok_or_else(missing)?)?;
    let source = parts.text().and_then(|name| name.parse().ok()).ok_or_else(missing)?;
    let received_at = parts.moment().ok_or_else(missing)?;
    let settled_at = parts.moment();
    let (due, deadline) = (parts.moment(), parts.moment());
    let duplicate_of = parts.id();
    let lead_id = parts.text().and_then(|id| id.parse().ok());
    let requester_id = parts.text().and_then(|id| id.parse().ok());
    let reason = parts.text();
    // One that cannot be opened does not take the others of its page with it.
    let opened = parts.bytes().map(|payload| vault.open(&payload));
    let unreadable_payload = matches!(opened, Some(Err(_)));
    let Payload { external_id, lead } = opened.and_then(Result::ok).unwrap_or_default();
    let trace_id = parts.trace();
    let history = match parts.next() {
        Value::Array(events) => history(received_at, began, events)?,
        _ => Vec::new(), // a list has none
    };
    let phase = (now == State::Pending).then_some(match (deadline, due) {
        (Some(_), _) => Phase::InFlight,
        (None, Some(_)) => Phase::Waiting,
        (None, None) => Phase::Ready,
    });
    let record = Record {
        id,
        state: now,
        phase,
        source,
        destination: destination.clone(),
        external_id,
        trace_id,
        received_at,
        settled_at,
        lead,
        unreadable: unreadable_payload,
        upstream: lead_id.map(|lead_id| Upstream { lead_id, requester_id }),
        duplicate_of,
        reason,
        history,
    };
    Ok(Numbered { number: u64::try_from(number).unwrap_or(0), record })
}

/// The lead in a payload.
pub(super) fn lead(vault: &Vault, payload: &[u8]) -> Option<Lead> {
    vault.open(payload).ok()?.lead
}

/// An event as scripts keep it, but for when it was: its words, and what may speak of the person.
pub(super) fn words(event: &Event) -> String {
    let or_dash = |part: Option<String>| part.unwrap_or_else(|| "-".to_owned());
    match (&event.outcome, event.status, event.ms) {
        (None, None, None) => event.event.clone(),
        (outcome, status, ms) => format!(
            "{} {} {} {}",
            event.event,
            outcome.as_deref().unwrap_or("-"),
            or_dash(status.map(|status| status.to_string())),
            or_dash(ms.map(|ms| ms.to_string())),
        ),
    }
}

fn first_event(received_at: Timestamp, began: State) -> Event {
    let word = if began == State::Pending { "accepted" } else { began.as_str() };
    Event::plain(received_at, word)
}

fn history(
    received_at: Timestamp,
    began: State,
    stored: Vec<Value>,
) -> Result<Vec<Event>, StoreError> {
    let mut history = vec![first_event(received_at, began)];
    let mut parts = Parts(stored.into_iter());
    while let Some(line) = parts.text() {
        let detail = parts.text().filter(|detail| !detail.is_empty());
        let event = event(received_at, &line, detail).ok_or_else(|| unreadable("an event"))?;
        history.push(event);
    }
    Ok(history)
}

/// Reads `17 attempt created 200 212`: milliseconds after it was received, event, outcome,
/// status, how long it took.
fn event(received_at: Timestamp, line: &str, detail: Option<String>) -> Option<Event> {
    let mut words = line.split(' ');
    let after: i64 = words.next()?.parse().ok()?;
    let at = Timestamp::from_millis(received_at.as_millis().saturating_add(after));
    let name = words.next()?.to_owned();
    let mut word = || words.next().filter(|word| *word != "-");
    let outcome = word().map(str::to_owned);
    let status = word().and_then(|status| status.parse().ok());
    let ms = word().and_then(|ms| ms.parse().ok());
    Some(Event { at, event: name, outcome, status, ms, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_back() {
        let received_at = Timestamp::from_millis(1_795_425_302_000);
        let plain = Event::plain(Timestamp::from_millis(1_795_425_302_017), "handed_back");
        let attempt = Event {
            outcome: Some("retry".into()),
            status: None,
            ms: Some(12),
            detail: Some("busy".into()),
            ..Event::plain(Timestamp::from_millis(1_795_425_301_999), "attempt")
        };
        for (after, expected) in [(17, plain), (-1, attempt)] {
            let line = format!("{after} {}", words(&expected));
            assert_eq!(event(received_at, &line, expected.detail.clone()), Some(expected));
        }
    }
}
