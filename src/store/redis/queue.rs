//! The queue of a lane, and what comes after the end: leases and how they end, erasure, retention.

use std::sync::PoisonError;
use std::time::Duration;

use redis::Value;

use super::looking::hashes_at;
use super::record::{self, Parts, unreadable};
use super::script::{ERASE_ONE, EXPIRE, FORGET, LEASE, RECHECK, SETTLE, SWEEP};
use super::{Inner, forgotten, millis};
use crate::lead::{DestinationId, Event, Identity, Lead, State, SubmissionId, Timestamp, Upstream};
use crate::store::code::{code, of_code};
use crate::store::payload::Vault;
use crate::store::{
    Joined, LOOK_AFTER, Lease, Leased, Outcome, Retention, Settled, StoreError, Task, Unsure,
    Wanted, Work,
};

/// The most that one call leases, sweeps or expires: some milliseconds of Redis's time.
const LEASED_MAX: usize = 500;
const SWEPT_MAX: usize = 500;
const EXPIRED_MAX: u64 = 500;

/// After another server took over, nothing is leased for so long: every gateway looks at its lanes'
/// gates once a second, and first says what it had in flight. It may have to find the new server
/// and wait for an answer that does not come: some seconds each.
const HOLD: Duration = Duration::from_secs(8);

/// How many records one call erases.
const ERASED_MAX: u64 = 200;

const EXPIRED: &str = "the lease ended before the outcome was known: it may have been sent";
const FAILED_OVER: &str = "another Redis took over while it was in flight: it may have been sent";
const UNREADABLE: &str = "the stored lead cannot be read";

/// What is remembered of one lane's leases.
#[derive(Default)]
pub(super) struct Calls {
    /// Calls so far.
    number: u64,
    /// The call whose answer was lost: it is made again under its number, and gets the same.
    lost: Option<u64>,
    /// Which server it was; rises when another one takes over.
    epoch: Option<i64>,
}

#[cfg(test)]
impl Calls {
    /// The last call's answer was lost.
    pub(super) fn lose(&mut self) {
        self.lost = Some(self.number);
    }
}

/// See [`crate::store::Store::lease`].
pub(super) async fn lease(
    inner: &Inner,
    lane: &DestinationId,
    wanted: Wanted,
    now: Timestamp,
) -> Result<Leased, StoreError> {
    let vault = inner.vault().await?;
    let (number, is_again) = inner.with_calls(lane, |calls| {
        let lost = calls.lost.take();
        calls.number += u64::from(lost.is_none());
        (lost.unwrap_or(calls.number), lost.is_some())
    });
    // What was leased and is not worked on is given out again under the same number.
    let lose = || inner.with_calls(lane, |calls| calls.lost = Some(number));
    let call = LEASE
        .call(lane)
        .arg(inner.me.as_str())
        .arg(now.as_millis())
        .arg(millis(wanted.create_term))
        .arg(wanted.max.min(LEASED_MAX))
        .arg(&number.to_be_bytes())
        .arg(millis(HOLD))
        .arg(millis(wanted.chore_term))
        .arg(inner.comments())
        .arg(wanted.chores.min(LEASED_MAX));
    let answer = call.send(&inner.link).await.inspect_err(|refused| {
        if is_again || refused.is_ambiguous() {
            lose();
        }
    });
    let mut answer = Parts::of(answer?)?;
    let epoch = answer.number().ok_or_else(|| unreadable("a lease"))?;
    look_over(inner, lane, epoch, now).await.inspect_err(|_| lose())?;
    let next_due = answer.moment();
    let given = match answer.next() {
        Value::Array(given) => given,
        _ => {
            if is_again {
                lose(); // held: it was not looked at yet
            }
            Vec::new()
        }
    };
    let mut work = Vec::new();
    for one in given {
        let leased = leased(&vault, lane, one)?;
        inner.journal.leased(&leased.work.lease, now);
        match record::lead(&vault, &leased.payload) {
            Some(lead) => work.push(Work { lead, ..leased.work }),
            None => put_aside(inner, &leased.work, now).await,
        }
    }
    Ok(Leased { work, next_due })
}

/// Looks over what this gateway had in flight, if the lane's epoch is another than it was: another
/// server answers.
pub(super) async fn look_over(
    inner: &Inner,
    lane: &DestinationId,
    epoch: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let before = inner.with_calls(lane, |calls| calls.epoch.replace(epoch));
    if before.is_none_or(|before| before == epoch) {
        return Ok(());
    }
    inner.greet_again();
    recheck(inner, lane, now).await.inspect_err(|_| {
        inner.with_calls(lane, |calls| calls.epoch = before); // the next look tries again
    })
}

/// One leased record, but for its lead, which is in the payload.
struct LeasedRecord {
    work: Work,
    payload: Vec<u8>,
}

fn leased(vault: &Vault, lane: &DestinationId, value: Value) -> Result<LeasedRecord, StoreError> {
    let mut parts = Parts::of(value)?;
    let mut read = || {
        let id = parts.id()?;
        let fence = u32::try_from(parts.number()?).ok()?;
        let lease = Lease { lane: lane.clone(), id, fence, deadline: parts.moment()? };
        let source = parts.text()?.parse().ok()?;
        let received_at = parts.moment()?;
        let attempts = u32::try_from(parts.number()?).ok()?;
        let trace_id = parts.trace();
        let payload = parts.bytes()?;
        let task = task(vault, of_code(parts.number()?)?, &mut parts)?;
        let lead = Lead::default();
        let work = Work { lease, task, source, received_at, trace_id, attempts, lead };
        Some(LeasedRecord { work, payload })
    };
    read().ok_or_else(|| unreadable("a leased record"))
}

/// What is to be done about a record in `state`.
fn task(vault: &Vault, state: State, parts: &mut Parts) -> Option<Task> {
    Some(match state {
        State::Pending => Task::Create { joined: joined(vault, parts.next())? },
        State::Unknown => Task::Look(Unsure {
            sent_at: parts.moment()?,
            looks: u32::try_from(parts.number()?).ok()?,
            resent: u32::try_from(parts.number()?).ok()?,
        }),
        _ => {
            let lead_id = parts.text()?.parse().ok()?;
            let requester_id = parts.text().and_then(|id| id.parse().ok());
            let to = Upstream { lead_id, requester_id };
            Task::Comment { to, said: joined(vault, parts.next())? }
        }
    })
}

/// Submissions of one person. What cannot be read is passed over: it says nothing to anybody.
fn joined(vault: &Vault, value: Value) -> Option<Vec<Joined>> {
    let mut all = Vec::new();
    for one in Parts::of(value).ok()?.rest() {
        let mut parts = Parts::of(one).ok()?;
        let (id, source) = (parts.id()?, parts.text()?.parse().ok()?);
        let received_at = parts.moment()?;
        if let Some(lead) = record::lead(vault, &parts.bytes()?) {
            all.push(Joined { id, source, received_at, lead });
        }
    }
    Some(all)
}

/// One whose lead cannot be read leaves the queue, or it would stop its lane for ever.
async fn put_aside(inner: &Inner, work: &Work, now: Timestamp) {
    let lease = &work.lease;
    let trace_id = work.trace_id.map(tracing::field::display);
    tracing::error!(lead_id = %lease.id, trace_id, "a stored lead cannot be read");
    let (outcome, word) = match work.task {
        Task::Comment { .. } => (Outcome::Told, "given_up"),
        _ => (Outcome::Dead { reason: UNREADABLE.into() }, "dead"),
    };
    let event = Event { outcome: Some(word.into()), ..Event::plain(now, work.task.word()) };
    if let Err(error) = settle(inner, lease, now, &outcome, &event).await {
        let trace_id = work.trace_id.map(tracing::field::display);
        tracing::error!(lead_id = %lease.id, trace_id, %error, "what cannot be read could not be put aside");
    }
}

/// Another server answers: tells it what this gateway had in flight or had settled of late.
async fn recheck(inner: &Inner, lane: &DestinationId, now: Timestamp) -> Result<(), StoreError> {
    let mut mended = 0;
    for some in inner.journal.of(lane).chunks(LEASED_MAX) {
        let mut call =
            RECHECK.call(lane).arg(inner.me.as_str()).arg(now.as_millis()).arg(FAILED_OVER);
        call.push(inner.comments());
        call.push(now.plus(LOOK_AFTER).as_millis());
        for entry in some {
            call.push(entry.lease.id.as_bytes());
            call.push(entry.lease.fence);
            let (lead, requester) = upstream(entry.created.as_ref());
            call.push(lead);
            call.push(requester);
        }
        mended += number(call.send(&inner.link).await?)?;
    }
    tracing::warn!(lane = %lane, rechecked = mended, "another Redis answers: what was in flight is looked over");
    Ok(())
}

/// CareSoft's ids as text; empty where there are none.
fn upstream(upstream: Option<&Upstream>) -> (String, String) {
    let lead = upstream.map(|upstream| upstream.lead_id.to_string());
    let requester = upstream.and_then(|upstream| upstream.requester_id);
    let requester = requester.map(|requester| requester.to_string());
    (lead.unwrap_or_default(), requester.unwrap_or_default())
}

/// See [`crate::store::Store::settle`].
pub(super) async fn settle(
    inner: &Inner,
    lease: &Lease,
    now: Timestamp,
    outcome: &Outcome,
    event: &Event,
) -> Result<Settled, StoreError> {
    inner.vault().await?;
    let (first, second) = match outcome {
        Outcome::Created(ids) => upstream(Some(ids)),
        Outcome::Retry { due } | Outcome::Postponed { due } | Outcome::SendAgain { due } => {
            (due.as_millis().to_string(), String::new())
        }
        Outcome::Look { due, looks } => (due.as_millis().to_string(), looks.to_string()),
        Outcome::Unknown { reason } | Outcome::Dead { reason } => (String::new(), reason.clone()),
        Outcome::Told => (String::new(), String::new()),
    };
    let call = SETTLE
        .call(&lease.lane)
        .arg(inner.me.as_str())
        .arg(millis(inner.dedup.window()))
        .arg(lease.id.as_bytes())
        .arg(lease.fence)
        .arg(now.as_millis())
        .arg(outcome.word())
        .arg(first)
        .arg(second)
        .arg(inner.comments())
        .arg(now.plus(LOOK_AFTER).as_millis())
        .arg(event.at.as_millis())
        .arg(record::words(event))
        .arg(event.detail.as_deref().unwrap_or_default());
    // Noted before Redis is told: what this gateway knows does not wait for an answer.
    inner.journal.settled(lease, outcome);
    let done = number(call.send(&inner.link).await?)?;
    if done == 2 {
        inner.wake();
    }
    Ok(if done > 0 { Settled::Done } else { Settled::Stale })
}

/// See [`crate::store::Store::expire_leases`].
pub(super) async fn expire_leases(inner: &Inner, now: Timestamp) -> Result<u64, StoreError> {
    inner.vault().await?;
    let mut expired = 0;
    for lane in inner.everywhere().await? {
        loop {
            let call = EXPIRE
                .call(&lane)
                .arg(inner.me.as_str())
                .arg(now.as_millis())
                .arg(EXPIRED_MAX)
                .arg(EXPIRED)
                .arg(now.plus(LOOK_AFTER).as_millis());
            let some = number(call.send(&inner.link).await?)?;
            expired += some;
            if some < EXPIRED_MAX {
                break;
            }
        }
    }
    Ok(expired)
}

/// See [`crate::store::Store::forget`].
pub(super) async fn forget(
    inner: &Inner,
    identities: &[Identity],
    now: Timestamp,
) -> Result<u64, StoreError> {
    let vault = inner.vault().await?;
    forgotten::note(inner, &vault, identities, now).await?;
    let mut erased = 0;
    for lane in inner.everywhere().await? {
        loop {
            let mut call =
                FORGET.call(&lane).arg(inner.me.as_str()).arg(now.as_millis()).arg(ERASED_MAX);
            for hash in hashes_at(&vault, &lane, identities) {
                call.push(hash.as_bytes());
            }
            let some = number(call.send(&inner.link).await?)?;
            erased += some;
            if some < ERASED_MAX {
                break;
            }
        }
    }
    Ok(erased)
}

/// See [`crate::store::Store::erase`].
pub(super) async fn erase(
    inner: &Inner,
    id: SubmissionId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    inner.vault().await?;
    for lane in inner.everywhere().await? {
        let call = ERASE_ONE
            .call(&lane)
            .arg(inner.me.as_str())
            .arg(now.as_millis())
            .arg(id.as_bytes())
            .arg(millis(inner.dedup.window()))
            .arg(inner.comments())
            .arg(now.plus(LOOK_AFTER).as_millis());
        if number(call.send(&inner.link).await?)? > 0 {
            inner.wake(); // somebody may go on in its place
            return Ok(true);
        }
    }
    Ok(false)
}

/// See [`crate::store::Store::sweep`]. Claims go with the records that they name, or end by
/// themselves.
pub(super) async fn sweep(
    inner: &Inner,
    now: Timestamp,
    retention: &Retention,
    limit: usize,
) -> Result<u64, StoreError> {
    inner.greet_again(); // now and then, whatever became of the node that has what all share
    inner.vault().await?;
    let lanes = inner.everywhere().await?;
    let limit = limit.min(SWEPT_MAX) as u64;
    let mut swept = 0;
    let settled =
        retention.0.iter().filter(|(state, _)| !matches!(state, State::Pending | State::Unknown));
    for (state, kept_for) in settled {
        for lane in &lanes {
            if swept == limit {
                return Ok(swept);
            }
            let call = SWEEP
                .call(lane)
                .arg(code(*state))
                .arg(now.minus(*kept_for).as_millis())
                .arg(now.as_millis())
                .arg(limit - swept);
            swept += number(call.send(&inner.link).await?)?;
        }
    }
    Ok(swept + forgotten::sweep(inner, now, limit - swept).await?)
}

pub(super) fn number(answer: Value) -> Result<u64, StoreError> {
    match answer {
        Value::Int(number) => u64::try_from(number).map_err(|_| unreadable("a count")),
        _ => Err(unreadable("a count")),
    }
}

impl Inner {
    /// Whether merged ones are told to CareSoft, as scripts are told.
    pub(super) fn comments(&self) -> &'static str {
        if self.dedup.comments() { "1" } else { "0" }
    }

    pub(super) fn with_calls<T>(
        &self,
        lane: &DestinationId,
        change: impl FnOnce(&mut Calls) -> T,
    ) -> T {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        change(lanes.entry(lane.clone()).or_default())
    }
}
