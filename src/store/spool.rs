//! Redis, and a place beside it for what is accepted while Redis is away.
//!
//! A submission that Redis does not take goes to a file of this process's own, durably, and gets
//! its 202. What is in there goes to Redis in the order in which it came, by the same `admit`, and
//! what comes meanwhile goes behind it, so that a person's first submission stays the first (but for
//! those that were on their way to Redis when it went away: they are spooled when that is clear). An
//! entry leaves the file after Redis has it; should the process die in between, Redis is told
//! again and answers as before. Who was forgotten meanwhile, by whichever process, comes out erased.

mod entry;
mod forget;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, Notify, RwLock, mpsc, watch};
use tokio::task::JoinHandle;

use super::changes::Changes;
use super::keyring::Keyring;
use super::payload::Vault;
use super::redis::Redis;
use super::sqlite::Sqlite;
use super::watched::Arrival;
use super::{
    Admission, Content, Depth, Health, Lease, Leased, Ledger, Notices, Options, Outcome, Overheard,
    PaceRule, Paced, Page, Query, Replayed, Retention, Settled, SharedGate, SpoolState, Store,
    StoreError, Verdict, Wanted,
};
use crate::fail_point::{self, FailPoint};
use crate::lead::{DestinationId, Event, Identity, RawBody, Record, SubmissionId, Timestamp};

/// The spool takes no more than this: some two million leads, a day of CareSoft's limit twice over.
const BYTES_MAX: u64 = 1 << 30;

/// How many entries go to Redis together, and how much: what it takes a slow line to answer in time.
const DRAINED_MAX: u32 = 256;
const DRAINED_BYTES_MAX: usize = 512 * 1024;

/// Between two tries while Redis is away; it is noticed to be back within this.
const RETRY: Duration = Duration::from_millis(250);

/// Redis with a spool. Dropping it ends the draining; what is spooled stays on the disk.
pub struct Spooled {
    shared: Arc<Shared>,
    draining: std::sync::Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    redis: Redis,
    file: Sqlite,
    /// Seals what is spooled; without a secret it only packs.
    vault: Vault,
    /// Whether submissions go to the file. Turned off only by who holds `turn` alone, when the
    /// file is empty, so that none is overtaken.
    active: AtomicBool,
    turn: RwLock<()>,
    /// Held by who takes entries out of the file or changes them.
    emptying: Mutex<()>,
    entries: AtomicU64,
    bytes: AtomicU64,
    filled: Notify,
    bytes_max: u64,
    /// Is told of what is admitted from the file; of all else whoever asked for it tells.
    changes: OnceLock<Changes>,
}

impl Spooled {
    /// Puts a spool at `path` beside `redis`, with what is left in it from before.
    ///
    /// # Errors
    /// As [`Sqlite::open`].
    pub async fn open(redis: Redis, path: &Path, options: Options) -> Result<Self, StoreError> {
        Self::open_bounded(redis, path, options, BYTES_MAX).await
    }

    async fn open_bounded(
        redis: Redis,
        path: &Path,
        options: Options,
        bytes_max: u64,
    ) -> Result<Self, StoreError> {
        let any = [0; 32]; // nothing in the file is hashed
        let keyring = Keyring::of(&options.secrets);
        let vault = keyring.map_or_else(|| Vault::from_random(&any), |keyring| keyring.vault(&any));
        let file = Sqlite::open(path, options)?;
        let waiting = file.waiting().await?;
        let shared = Arc::new(Shared {
            redis,
            file,
            vault,
            active: AtomicBool::new(waiting.entries > 0),
            turn: RwLock::new(()),
            emptying: Mutex::new(()),
            entries: AtomicU64::new(waiting.entries),
            bytes: AtomicU64::new(waiting.bytes),
            filled: Notify::new(),
            bytes_max,
            changes: OnceLock::new(),
        });
        let draining = tokio::spawn(drain(Arc::clone(&shared)));
        Ok(Self { shared, draining: std::sync::Mutex::new(Some(draining)) })
    }

    /// Tells `changes` what becomes of the spooled when Redis takes it.
    pub fn tell(&self, changes: Changes) {
        let _ = self.shared.changes.set(changes);
    }

    fn end(&self) -> Option<JoinHandle<()>> {
        let mut draining = self.draining.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let draining = draining.take()?;
        draining.abort();
        Some(draining)
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    async fn admit(&self, batch: &[Admission]) -> Result<Vec<Verdict>, StoreError> {
        let _turn = self.turn.read().await;
        if !self.active.load(Ordering::Acquire) {
            match self.redis.admit_these(batch).await {
                Err(StoreError::Unavailable(reason)) => {
                    if !self.active.swap(true, Ordering::AcqRel) {
                        self.filled.notify_one(); // it finds what is put in, whoever puts it in
                        tracing::warn!(%reason, "submissions are spooled until Redis is back");
                    }
                }
                decided => return decided,
            }
        }
        self.spool(batch).await?;
        Ok(vec![Verdict::Spooled; batch.len()])
    }

    async fn spool(&self, batch: &[Admission]) -> Result<(), StoreError> {
        let entries: Vec<_> =
            batch.iter().map(|admission| entry::write(&self.vault, admission)).collect();
        let bytes: u64 = entries.iter().map(|entry| entry.len() as u64).sum();
        if self.bytes.load(Ordering::Relaxed) + bytes > self.bytes_max {
            return Err(StoreError::Busy);
        }
        self.file.spool(entries).await?;
        fail_point::pass(FailPoint::Spooled);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.entries.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Takes some of the file to Redis. Answers whether there may be more.
    async fn drain(&self) -> Result<bool, StoreError> {
        let _alone = self.emptying.lock().await;
        let waiting = self.file.spooled(DRAINED_MAX).await?;
        if waiting.is_empty() {
            return self.switch_over().await;
        }
        let (mut batch, mut places, mut bytes) = (vec![], vec![], 0);
        let mut unreadable = (vec![], 0);
        for (place, entry) in waiting {
            if !batch.is_empty() && bytes + entry.len() > DRAINED_BYTES_MAX {
                break;
            }
            match entry::read(&self.vault, &entry) {
                Some(admission) => {
                    batch.push(admission);
                    places.push(place);
                    bytes += entry.len();
                }
                None => {
                    unreadable.0.push(place);
                    unreadable.1 += entry.len();
                }
            }
        }
        let (aside, aside_bytes) = unreadable;
        if !aside.is_empty() {
            let entries = aside.len();
            tracing::error!(entries, "spooled submissions cannot be read; they stay in the spool");
            self.file.set_aside(aside).await?;
            self.gone(entries, aside_bytes);
        }
        if !batch.is_empty() {
            let verdicts = self.redis.admit_late(&batch).await?;
            self.tell(&batch, &verdicts);
            fail_point::pass(FailPoint::Unspooling);
            self.file.unspool(places).await?;
            self.gone(batch.len(), bytes);
        }
        Ok(true)
    }

    fn tell(&self, batch: &[Admission], verdicts: &[Verdict]) {
        if let Some(changes) = self.changes.get().filter(|changes| changes.is_awake()) {
            let decided = batch.iter().map(Arrival::of).zip(verdicts);
            decided.filter_map(|(one, verdict)| one.decided(verdict)).for_each(|change| {
                changes.tell(change);
            });
        }
    }

    /// Counts what has left the file. One that was put in by a request that went away was never
    /// counted.
    fn gone(&self, entries: usize, bytes: usize) {
        let less = |counter: &AtomicU64, by: usize| {
            let by = u64::try_from(by).unwrap_or(u64::MAX);
            let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                Some(count.saturating_sub(by))
            });
        };
        less(&self.entries, entries);
        less(&self.bytes, bytes);
    }

    /// Sends submissions to Redis again, if nothing came while nobody else could put anything in.
    async fn switch_over(&self) -> Result<bool, StoreError> {
        let _alone = self.turn.write().await;
        let is_empty = self.file.spooled(1).await?.is_empty();
        if is_empty {
            self.entries.store(0, Ordering::Relaxed);
            self.bytes.store(0, Ordering::Relaxed);
            self.active.store(false, Ordering::Release);
            tracing::info!("the spool is empty: submissions go to Redis again");
        }
        Ok(!is_empty)
    }
}

/// Empties the file whenever there is something in it and Redis takes it.
async fn drain(shared: Arc<Shared>) {
    loop {
        if !shared.active.load(Ordering::Acquire) {
            shared.filled.notified().await;
        }
        match shared.drain().await {
            Ok(_) => {}
            // Redis tells of its troubles itself, the file of its own.
            Err(StoreError::Corrupt(what)) => {
                tracing::error!(what, "the spool is not emptied");
                tokio::time::sleep(RETRY * 4).await;
            }
            Err(StoreError::Busy | StoreError::Unavailable(_)) => tokio::time::sleep(RETRY).await,
        }
    }
}

#[async_trait]
impl Store for Spooled {
    async fn admit(&self, batch: Vec<Admission>) -> Result<Vec<Verdict>, StoreError> {
        self.shared.admit(&batch).await
    }

    async fn lease(
        &self,
        lane: &DestinationId,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Leased, StoreError> {
        self.shared.redis.lease(lane, wanted, now).await
    }

    async fn settle(
        &self,
        lease: &Lease,
        now: Timestamp,
        outcome: Outcome,
        event: Event,
    ) -> Result<Settled, StoreError> {
        self.shared.redis.settle(lease, now, outcome, event).await
    }

    async fn lease_notices(
        &self,
        lane: &DestinationId,
        max: usize,
        term: Duration,
        now: Timestamp,
    ) -> Result<Notices, StoreError> {
        self.shared.redis.lease_notices(lane, max, term, now).await
    }

    async fn fill(
        &self,
        lease: &Lease,
        now: Timestamp,
        content: Content,
        event: Event,
    ) -> Result<Settled, StoreError> {
        self.shared.redis.fill(lease, now, content, event).await
    }

    async fn expire_leases(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.shared.redis.expire_leases(now).await
    }

    async fn pace(
        &self,
        lane: &DestinationId,
        rule: &PaceRule,
        gate: u64,
    ) -> Result<Paced, StoreError> {
        self.shared.redis.pace(lane, rule, gate).await
    }

    async fn gate(&self, lane: &DestinationId) -> Result<SharedGate, StoreError> {
        self.shared.redis.gate(lane).await
    }

    async fn move_gate(
        &self,
        lane: &DestinationId,
        from: u64,
        state: String,
    ) -> Result<SharedGate, StoreError> {
        self.shared.redis.move_gate(lane, from, state).await
    }

    async fn body(&self, id: SubmissionId) -> Result<Option<RawBody>, StoreError> {
        self.shared.redis.body(id).await
    }

    async fn find(&self, id: SubmissionId) -> Result<Option<Record>, StoreError> {
        self.shared.redis.find(id).await
    }

    async fn list(&self, query: Query) -> Result<Page, StoreError> {
        self.shared.redis.list(query).await
    }

    async fn ledger(&self) -> Result<Ledger, StoreError> {
        self.shared.redis.ledger().await
    }

    async fn depth(&self, lane: &DestinationId) -> Result<Depth, StoreError> {
        self.shared.redis.depth(lane).await
    }

    async fn replay(
        &self,
        id: SubmissionId,
        now: Timestamp,
        content: Option<Content>,
    ) -> Result<Replayed, StoreError> {
        self.shared.redis.replay(id, now, content).await
    }

    /// First in the file, where it is done even while Redis is away; an entry that was on its way
    /// to Redis is there by then. What other processes' files have is erased when it leaves them.
    async fn forget(&self, identities: Vec<Identity>, now: Timestamp) -> Result<u64, StoreError> {
        let waiting = match self.shared.active.load(Ordering::Acquire) {
            true => self.shared.forget_waiting(&identities).await?,
            false => 0,
        };
        let erased = self.shared.redis.forget(identities, now).await?;
        Ok(waiting + erased)
    }

    async fn erase(&self, id: SubmissionId, now: Timestamp) -> Result<bool, StoreError> {
        self.shared.redis.erase(id, now).await
    }

    async fn sweep(
        &self,
        now: Timestamp,
        retention: &Retention,
        limit: usize,
    ) -> Result<u64, StoreError> {
        self.shared.redis.sweep(now, retention, limit).await
    }

    fn kind(&self) -> &'static str {
        self.shared.redis.kind()
    }

    async fn health(&self) -> Result<Health, StoreError> {
        self.shared.redis.health().await
    }

    fn spool(&self) -> Option<SpoolState> {
        Some(SpoolState {
            active: self.shared.active.load(Ordering::Acquire),
            depth: self.shared.entries.load(Ordering::Relaxed),
        })
    }

    fn arrivals(&self) -> watch::Receiver<u64> {
        self.shared.redis.arrivals()
    }

    async fn say(&self, message: String) -> Result<(), StoreError> {
        self.shared.redis.say(message).await
    }

    fn overheard(&self) -> Option<mpsc::Receiver<Overheard>> {
        self.shared.redis.overheard()
    }

    fn change_dedup(&self, window: Duration, comments: bool) {
        self.shared.redis.change_dedup(window, comments);
    }

    async fn close(&self) {
        if let Some(draining) = self.end() {
            let _ = draining.await; // cancelled: what it had not taken to Redis is in the file
        }
        self.shared.redis.close().await;
        self.shared.file.close().await;
    }
}
