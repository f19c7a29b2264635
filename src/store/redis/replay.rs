//! A record that is there already comes to hold something else, or gets another chance: replays,
//! and what was fetched for a notice. And the lease of notices, which leads to that.

use std::time::Duration;

use redis::Value;

use super::queue::settle;
use super::record::{self, Hash, Parts, state, unreadable};
use super::script::{BODY, NOTICES, REPLAY, SHOW};
use super::{Inner, forgotten, millis};
use crate::lead::{DestinationId, Event, Identity, Lead, RawBody, SubmissionId, Timestamp};
use crate::store::identity::named;
use crate::store::payload::{Payload, Vault};
use crate::store::{Content, Lease, Notice, Notices, Outcome, Replayed, Settled, StoreError};

/// The most that one call leases.
const LEASED_MAX: usize = 256;

/// How often it is looked anew whether a person was forgotten, when somebody is at that moment.
const LOOKS_MAX: u32 = 5;

const UNREADABLE: &str = "what the platform said cannot be read";

/// See [`crate::store::Store::replay`].
pub(super) async fn replay(
    inner: &Inner,
    id: SubmissionId,
    now: Timestamp,
    content: Option<Content>,
) -> Result<Replayed, StoreError> {
    inner.vault().await?;
    let event = Event::plain(now, "replayed");
    for lane in inner.everywhere().await? {
        let change = Change { lane: &lane, id, fence: None, now, event: &event };
        match change.apply(inner, content.as_ref()).await? {
            Replayed::Missing => {}
            decided => return Ok(decided),
        }
    }
    Ok(Replayed::Missing)
}

/// See [`crate::store::Store::fill`].
pub(super) async fn fill(
    inner: &Inner,
    lease: &Lease,
    now: Timestamp,
    content: &Content,
    event: &Event,
) -> Result<Settled, StoreError> {
    let change = Change { lane: &lease.lane, id: lease.id, fence: Some(lease.fence), now, event };
    Ok(match change.apply(inner, Some(content)).await? {
        Replayed::Missing | Replayed::Refused(_) => Settled::Stale,
        Replayed::Queued
        | Replayed::Merged { .. }
        | Replayed::Test
        | Replayed::Quarantined
        | Replayed::Forgotten => Settled::Done,
    })
}

/// A record, and what is done with it.
struct Change<'a> {
    lane: &'a DestinationId,
    id: SubmissionId,
    /// Of a notice's lease; `None` of a replay.
    fence: Option<u32>,
    now: Timestamp,
    event: &'a Event,
}

impl Change<'_> {
    async fn apply(
        &self,
        inner: &Inner,
        content: Option<&Content>,
    ) -> Result<Replayed, StoreError> {
        let vault = inner.vault().await?;
        let found = SHOW.call(self.lane).arg(self.id.as_bytes()).send(&inner.link).await?;
        if found == Value::Nil {
            return Ok(Replayed::Missing);
        }
        // What cannot be read is replaced like any other, only that its external id is lost with it.
        let before = record::read(&vault, self.lane, found).ok().map(|found| found.record);
        let received_at = before.as_ref().map(|before| before.received_at);
        let external_id = before.and_then(|before| before.external_id);
        let held = Held::of(&vault, self.lane, external_id, content);
        let persons = content.map(Content::persons).unwrap_or_default();
        if persons.is_empty() {
            return replayed(inner, self.send(inner, &held, None).await?);
        }
        for _ in 0..LOOKS_MAX {
            let seen =
                forgotten::look(inner, &vault, self.lane, std::slice::from_ref(&persons)).await?;
            let is_forgotten = seen.is_since(0, received_at.unwrap_or(Timestamp::from_millis(0)));
            let erased = Held { kind: "F", ..Held::default() };
            let held = if is_forgotten { &erased } else { &held };
            let answer = self.send(inner, held, Some(seen.forgettings)).await?;
            if answer != Value::BulkString(b"O".to_vec()) {
                return replayed(inner, answer);
            }
        }
        Err(StoreError::Busy)
    }

    async fn send(
        &self,
        inner: &Inner,
        held: &Held,
        forgettings: Option<u64>,
    ) -> Result<Value, StoreError> {
        let call = REPLAY
            .call(self.lane)
            .arg(inner.me.as_str())
            .arg(millis(inner.dedup.window()))
            .arg(self.id.as_bytes())
            .arg(self.now.as_millis())
            .arg(inner.comments())
            .arg(self.fence.map(|fence| fence.to_string()).unwrap_or_default())
            .arg(held.kind)
            .arg(&held.payload)
            .arg(&held.digest)
            .arg(&held.identities)
            .arg(&held.body)
            .arg(&held.reason)
            .arg(self.event.at.as_millis())
            .arg(record::words(self.event))
            .arg(self.event.detail.as_deref().unwrap_or_default())
            .arg(forgettings.map(|number| number.to_string()).unwrap_or_default());
        Ok(call.send(&inner.link).await?)
    }
}

/// What a record is to hold, as the script takes it.
#[derive(Default)]
struct Held {
    kind: &'static str,
    payload: Vec<u8>,
    digest: Vec<u8>,
    identities: Vec<u8>,
    body: Vec<u8>,
    reason: String,
}

impl Held {
    fn of(
        vault: &Vault,
        lane: &DestinationId,
        external_id: Option<String>,
        content: Option<&Content>,
    ) -> Self {
        let with_lead = |kind, lead: &Lead, identities: &[Identity]| {
            let key = vault.key();
            let payload = Payload { external_id: external_id.clone(), lead: Some(lead.clone()) };
            Self {
                kind,
                payload: vault.close(&payload),
                digest: Hash::cut(key.content(lead)).as_bytes().to_vec(),
                identities: Hash::end_to_end(key.identities(lane, identities)),
                ..Self::default()
            }
        };
        match content {
            None => Self::default(),
            Some(Content::Lead { lead, identities }) => with_lead("L", lead, identities),
            Some(Content::Test { lead }) => with_lead("T", lead, &named(lead)),
            Some(Content::Notice { notice }) => {
                Self { kind: "N", body: vault.close_body(notice), ..Self::default() }
            }
            Some(Content::Quarantined { reason, lead, raw }) => Self {
                body: vault.close_body(raw),
                reason: reason.clone(),
                ..match lead {
                    Some(lead) => with_lead("Q", lead, &named(lead)),
                    None => Self { kind: "Q", ..Self::default() },
                }
            },
            Some(Content::Deletion) => Self { kind: "D", ..Self::default() },
        }
    }
}

fn replayed(inner: &Inner, answer: Value) -> Result<Replayed, StoreError> {
    let bytes = match answer {
        Value::Nil => return Ok(Replayed::Missing),
        Value::BulkString(bytes) => bytes,
        _ => return Err(unreadable("a replay")),
    };
    Ok(match bytes.split_first() {
        Some((b'Q', _)) => {
            inner.wake();
            Replayed::Queued
        }
        Some((b'M', into)) => {
            Replayed::Merged { into: record::id(into).ok_or_else(|| unreadable("a replay"))? }
        }
        Some((b'T', _)) => Replayed::Test,
        Some((b'E', _)) => Replayed::Quarantined,
        Some((b'F', _)) => Replayed::Forgotten,
        Some((digit, _)) => Replayed::Refused(state(i64::from(*digit) - i64::from(b'0'))?),
        None => return Err(unreadable("a replay")),
    })
}

/// See [`crate::store::Store::lease_notices`].
pub(super) async fn lease_notices(
    inner: &Inner,
    lane: &DestinationId,
    max: usize,
    term: Duration,
    now: Timestamp,
) -> Result<Notices, StoreError> {
    let vault = inner.vault().await?;
    let deadline = now.plus(term);
    let call = NOTICES
        .call(lane)
        .arg(inner.me.as_str())
        .arg(now.as_millis())
        .arg(deadline.as_millis())
        .arg(max.min(LEASED_MAX));
    let mut answer = Parts::of(call.send(&inner.link).await?)?;
    let mut leased = Notices { next_due: answer.moment(), notices: Vec::new() };
    for one in Parts::of(answer.next())?.rest() {
        let (notice, closed) =
            notice(lane, deadline, one).ok_or_else(|| unreadable("a leased notice"))?;
        match vault.open_body(&closed) {
            Ok(body) => leased.notices.push(Notice { body, ..notice }),
            Err(_) => put_aside(inner, &notice, now).await,
        }
    }
    Ok(leased)
}

/// A leased notice, but for its body, and that as it is stored.
fn notice(lane: &DestinationId, deadline: Timestamp, value: Value) -> Option<(Notice, Vec<u8>)> {
    let mut parts = Parts::of(value).ok()?;
    let id = parts.id()?;
    let fence = u32::try_from(parts.number()?).ok()?;
    let lease = Lease { lane: lane.clone(), id, fence, deadline };
    let source = parts.text()?.parse().ok()?;
    let received_at = parts.moment()?;
    let attempts = u32::try_from(parts.number()?).ok()?;
    let trace_id = parts.trace();
    let body = RawBody { content_type: String::new(), bytes: Vec::new() };
    Some((Notice { lease, source, received_at, trace_id, attempts, body }, parts.bytes()?))
}

/// One that cannot be read is dead, or it would come back for ever.
async fn put_aside(inner: &Inner, notice: &Notice, now: Timestamp) {
    let lease = &notice.lease;
    let trace_id = notice.trace_id.map(tracing::field::display);
    tracing::error!(lead_id = %lease.id, trace_id, "a stored notice cannot be read");
    let dead = Outcome::Dead { reason: UNREADABLE.into() };
    let event = Event { outcome: Some("dead".into()), ..Event::plain(now, "fetch") };
    if let Err(error) = settle(inner, lease, now, &dead, &event).await {
        let trace_id = notice.trace_id.map(tracing::field::display);
        tracing::error!(lead_id = %lease.id, trace_id, %error, "what cannot be read could not be put aside");
    }
}

/// See [`crate::store::Store::body`].
pub(super) async fn body(inner: &Inner, id: SubmissionId) -> Result<Option<RawBody>, StoreError> {
    let vault = inner.vault().await?;
    for lane in inner.everywhere().await? {
        match BODY.call(&lane).arg(id.as_bytes()).send(&inner.link).await? {
            Value::Nil => {}
            Value::BulkString(closed) if closed.is_empty() => return Ok(None),
            Value::BulkString(closed) => {
                let opened = vault.open_body(&closed);
                return opened.map(Some).map_err(|_| unreadable("a record's body"));
            }
            _ => return Err(unreadable("a record's body")),
        }
    }
    Ok(None)
}
