//! What all replicas share of a lane: its pace and its gate.

use std::time::Duration;

use redis::{Value, cmd};

use super::queue::look_over;
use super::record::{Parts, unreadable};
use super::script::{self, MOVE_GATE, PACE};
use super::{Inner, StoreError};
use crate::lead::DestinationId;
use crate::store::{PLACE_AHEAD_MAX, PaceRule, Paced, SharedGate};

/// See [`crate::store::Store::pace`].
pub(super) async fn pace(
    inner: &Inner,
    lane: &DestinationId,
    rule: &PaceRule,
    gate: u64,
) -> Result<Paced, StoreError> {
    inner.vault().await?;
    let (hour_between, burst) = rule.hour.map_or((0, 0), |hour| (micros(hour.between), hour.burst));
    let call = PACE
        .call(lane)
        .arg(micros(rule.between))
        .arg(hour_between)
        .arg(burst)
        .arg(gate)
        .arg(micros(PLACE_AHEAD_MAX.max(rule.between * 2)));
    let mut answer = Parts::of(call.send(&inner.link).await?)?;
    let word = answer.text().unwrap_or_default();
    if word == "moved" {
        return shared(&mut answer).map(Paced::Moved);
    }
    let wait = answer.number().and_then(|wait| u64::try_from(wait).ok());
    let wait = Duration::from_micros(wait.ok_or_else(|| unreadable("a pace"))?);
    match word.as_str() {
        "go" => Ok(Paced::Go(wait)),
        "later" => Ok(Paced::Later(wait)),
        _ => Err(unreadable("a pace")),
    }
}

/// See [`crate::store::Store::gate`].
pub(super) async fn gate(inner: &Inner, lane: &DestinationId) -> Result<SharedGate, StoreError> {
    inner.vault().await?;
    let key = script::key(lane, "lane");
    let mut command = cmd("HMGET");
    command.arg(key).arg("version").arg("gate").arg("epoch");
    let mut parts = Parts::of(inner.link.send(&command).await?)?;
    let version = parts.number().and_then(|version| u64::try_from(version).ok());
    let gate =
        SharedGate { version: version.unwrap_or(0), state: parts.text().unwrap_or_default() };
    // A lane looks at its gate whatever else it waits for: here another server is noticed in time.
    if let Some(epoch) = parts.number() {
        look_over(inner, lane, epoch, inner.clock.now()).await?;
    }
    Ok(gate)
}

/// See [`crate::store::Store::move_gate`].
pub(super) async fn move_gate(
    inner: &Inner,
    lane: &DestinationId,
    from: u64,
    state: String,
) -> Result<SharedGate, StoreError> {
    inner.vault().await?;
    let call = MOVE_GATE.call(lane).arg(inner.me.as_str()).arg(from).arg(state);
    let gate = shared(&mut Parts::of(call.send(&inner.link).await?)?)?;
    inner.wake();
    Ok(gate)
}

fn shared(parts: &mut Parts) -> Result<SharedGate, StoreError> {
    let version = parts.number().and_then(|version| u64::try_from(version).ok());
    let version = version.ok_or_else(|| unreadable("a gate"))?;
    let state = match parts.next() {
        Value::BulkString(bytes) => String::from_utf8(bytes).map_err(|_| unreadable("a gate"))?,
        _ => String::new(),
    };
    Ok(SharedGate { version, state })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
