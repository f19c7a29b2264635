//! Who was forgotten, and when: see `store/forgotten.rs`.
//!
//! One sorted set has them for all destinations, by when; it is in another slot of a cluster than
//! what a script works on. So whoever brings in what was received earlier looks there first, and
//! says which forgetting of the lane was the last one before it looked; the script refuses when there
//! was another one meanwhile. `forget` writes into the set, asks for the lanes that there are, and
//! erases in each, which counts as a forgetting: whatever is not refused was either seen by it, or
//! has seen it.

use std::collections::BTreeMap;

use redis::{cmd, from_redis_value};

use super::Inner;
use super::admit::{self, prepare};
use super::queue::number;
use super::record::{Hash, unreadable};
use super::script::{SWEEP_FORGOTTEN, key};
use crate::lead::{DestinationId, Identity, Timestamp};
use crate::store::forgotten::FORGOTTEN_FOR;
use crate::store::payload::Vault;
use crate::store::{Admission, StoreError, Verdict};

/// The set: in the slot of what is of no destination.
pub(super) const FORGOTTEN: &str = "{leadgate}forgotten";

/// What was seen of a lane's persons.
pub(super) struct Seen {
    /// The lane's last forgetting before.
    pub(super) forgettings: u64,
    /// When each of those who were asked about was forgotten, in their order.
    moments: Vec<Option<Timestamp>>,
}

/// Notes that a person was forgotten.
pub(super) async fn note(
    inner: &Inner,
    vault: &Vault,
    identities: &[Identity],
    now: Timestamp,
) -> Result<(), StoreError> {
    let hashes = hashes(vault, identities);
    if hashes.is_empty() {
        return Ok(());
    }
    let mut call = cmd("ZADD");
    call.arg(FORGOTTEN).arg("GT");
    for hash in &hashes {
        call.arg(now.as_millis()).arg(hash.as_bytes());
    }
    inner.link.send(&call).await?;
    Ok(())
}

/// Looks whether some of `persons` were forgotten: for each group of them when the last of it was.
/// The lane must be [known](Inner::know) before.
pub(super) async fn look(
    inner: &Inner,
    vault: &Vault,
    lane: &DestinationId,
    persons: &[Vec<Identity>],
) -> Result<Seen, StoreError> {
    let last = cmd("HGET").arg(key(lane, "lane")).arg("forgettings").to_owned();
    let forgettings = inner.link.send(&last).await?;
    let forgettings: Option<u64> =
        from_redis_value(forgettings).map_err(|_| unreadable("a count"))?;
    let groups: Vec<Vec<Hash>> = persons.iter().map(|group| hashes(vault, group)).collect();
    let mut found = moments(inner, groups.iter().flatten()).await?.into_iter();
    let moments = groups.iter().map(|group| found.by_ref().take(group.len()).flatten().max());
    let moments = moments.map(|at| at.map(Timestamp::from_millis)).collect();
    Ok(Seen { forgettings: forgettings.unwrap_or(0), moments })
}

/// When each was forgotten.
async fn moments(
    inner: &Inner,
    hashes: impl Iterator<Item = &Hash>,
) -> Result<Vec<Option<i64>>, StoreError> {
    let mut call = cmd("ZMSCORE");
    call.arg(FORGOTTEN);
    let mut count = 0;
    for hash in hashes {
        call.arg(hash.as_bytes());
        count += 1;
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let answer = inner.link.send(&call).await?;
    let moments: Vec<_> = from_redis_value(answer).map_err(|_| unreadable("moments"))?;
    if moments.len() != count {
        return Err(unreadable("moments"));
    }
    Ok(moments)
}

impl Seen {
    /// Whether one of a group was forgotten when that was received, or later.
    pub(super) fn is_since(&self, group: usize, received_at: Timestamp) -> bool {
        self.moments.get(group).copied().flatten().is_some_and(|at| at >= received_at)
    }
}

/// As [`crate::store::Store::admit`], of what was received a while ago: what is of somebody who was
/// forgotten since is kept as `erased`. Refused where that cannot be told at the moment.
pub(super) async fn admit_late(
    inner: &Inner,
    batch: &[Admission],
) -> Result<Vec<Verdict>, StoreError> {
    let vault = inner.vault().await?;
    let mut lanes: BTreeMap<&DestinationId, Vec<usize>> = BTreeMap::new();
    for (place, admission) in batch.iter().enumerate() {
        lanes.entry(&admission.destination).or_default().push(place);
    }
    let mut verdicts = vec![Verdict::Accepted; batch.len()];
    for (lane, places) in lanes {
        inner.know(lane).await?;
        let of_lane: Vec<&Admission> = places.iter().map(|place| &batch[*place]).collect();
        let seen = look_at(inner, &vault, lane, &of_lane).await?;
        let decided = admit_seen(inner, &vault, lane, &of_lane, &seen).await?;
        for (place, verdict) in places.into_iter().zip(decided) {
            verdicts[place] = verdict;
        }
    }
    Ok(verdicts)
}

pub(super) async fn look_at(
    inner: &Inner,
    vault: &Vault,
    lane: &DestinationId,
    admissions: &[&Admission],
) -> Result<Seen, StoreError> {
    let persons: Vec<_> = admissions.iter().map(|one| one.content.persons()).collect();
    look(inner, vault, lane, &persons).await
}

pub(super) async fn admit_seen(
    inner: &Inner,
    vault: &Vault,
    lane: &DestinationId,
    admissions: &[&Admission],
    seen: &Seen,
) -> Result<Vec<Verdict>, StoreError> {
    let entries = admissions.iter().enumerate().map(|(place, one)| {
        match seen.is_since(place, one.received_at) {
            true => prepare(vault, &(*one).clone().without_person()),
            false => prepare(vault, one),
        }
    });
    admit::admit(inner, lane, entries.collect(), Some(seen.forgettings)).await
}

/// Removes what was known long enough, at most `limit`; how many.
pub(super) async fn sweep(inner: &Inner, now: Timestamp, limit: u64) -> Result<u64, StoreError> {
    let before = now.minus(FORGOTTEN_FOR).as_millis();
    let call = SWEEP_FORGOTTEN.call_shared().arg(before).arg(limit);
    number(call.send(&inner.link).await?)
}

fn hashes(vault: &Vault, identities: &[Identity]) -> Vec<Hash> {
    vault.key().forgotten(identities).into_iter().map(Hash::cut).collect()
}
