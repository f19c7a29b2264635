//! The store of a fleet: any number of gateways on one Redis.
//!
//! Every move is one script (`scripts/`), so it happens whole or not at all, and every key that it
//! touches is in one slot of a cluster, its destination's. Requests that come while a script is
//! under way share the next one (`admit`). Nobody waits for a connection: without one a call is
//! refused at once (`link`), and intake turns to its spool.

mod address;
mod admit;
mod forgotten;
mod greeting;
mod hearsay;
mod journal;
mod lanes;
mod link;
mod looking;
mod queue;
mod record;
mod replay;
mod script;
mod server;
#[cfg(test)]
pub(in crate::store) mod tests;
mod wakeups;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use redis::{cmd, from_redis_value};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::address::Address;
use self::admit::Waiting;
use self::hearsay::Hearsay;
use self::journal::Journal;
use self::link::Link;
use self::server::{Durability, Unfit};
use super::dedup::Dedup;
use super::keyring::{KeyBytes, Keyring};
use super::payload::Vault;
use super::{
    Admission, Content, Depth, Health, Lease, Leased, Ledger, Notices, Options, Outcome, Overheard,
    PaceRule, Paced, Page, Query, Replayed, Retention, Settled, SharedGate, Store, StoreError,
    Verdict, Wanted,
};
use crate::config::RedisUrl;
use crate::lead::{
    Clock, DestinationId, Event, Identity, RawBody, Record, SubmissionId, Timestamp,
};

/// What is of no destination: the identity key, and the names of all destinations.
const META: &str = "leadgate";
const DESTINATIONS: &str = "leadgate:destinations";

/// How long `open` waits until it hears what others publish; it goes on without.
const LISTENING: Duration = Duration::from_secs(2);

/// The store of a fleet.
pub struct Redis {
    inner: Arc<Inner>,
    /// `None` once it is closed.
    admissions: RwLock<Option<mpsc::Sender<Waiting>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What the tasks share.
struct Inner {
    link: Link,
    options: Options,
    /// Of the secrets, where there are any.
    keyring: Option<Keyring>,
    dedup: Dedup,
    /// Made of the secrets and of the key that Redis was begun with.
    vault: RwLock<Option<Arc<Vault>>>,
    /// The identity key that Redis was begun with: told there again, should it have come back empty.
    kept: Mutex<Option<KeyBytes>>,
    /// The connection over which the vault was last compared with Redis, and destinations named.
    greeted: AtomicU64,
    destinations: Mutex<BTreeSet<DestinationId>>,
    /// The destinations whose whole log is in the index of lists.
    indexed: Mutex<BTreeSet<DestinationId>>,
    /// This process, among all that use the same Redis.
    me: String,
    /// For what is noted of a server that took over, and nothing else.
    clock: Clock,
    journal: Journal,
    lanes: Mutex<HashMap<DestinationId, queue::Calls>>,
    arrivals: watch::Sender<u64>,
    hearsay: Hearsay,
    closed: AtomicBool,
}

/// Why a Redis store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The server must not be used as it is configured; says what to set.
    #[error("{0}")]
    Unfit(String),
    /// It does not answer, or was begun with another secret.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Redis {
    /// Opens the store. A Redis that does not answer yet is no error: the store says that it is
    /// unavailable until it does.
    ///
    /// # Errors
    /// [`OpenError::Unfit`] when Redis is too old or throws keys away when its memory is full;
    /// [`OpenError::Store`] when it was begun with another secret.
    pub async fn open(url: &RedisUrl, options: Options) -> Result<Self, OpenError> {
        let address = Address::parse(url).map_err(|error| OpenError::Unfit(error.to_string()))?;
        let link = Link::open(address).await.map_err(|unfit| match unfit {
            Unfit::Unreachable(error) => StoreError::Unavailable(error.to_string()).into(),
            unfit => OpenError::Unfit(unfit.to_string()),
        })?;
        let inner = Arc::new(Inner {
            link,
            dedup: Dedup::of(&options),
            keyring: Keyring::of(&options.secrets),
            options,
            vault: RwLock::new(None),
            kept: Mutex::new(None),
            greeted: AtomicU64::new(0),
            destinations: Mutex::default(),
            indexed: Mutex::default(),
            me: random_name()?,
            clock: Clock::system(),
            journal: Journal::default(),
            lanes: Mutex::default(),
            arrivals: watch::Sender::new(0),
            hearsay: Hearsay::default(),
            closed: AtomicBool::new(false),
        });
        if inner.link.is_up() {
            inner.vault().await?;
        }
        let (admissions, waiting) = mpsc::channel(admit::WAITING_MAX);
        let admitting = tokio::spawn(admit::run(Arc::clone(&inner), waiting));
        let (ready, listens) = oneshot::channel();
        let listening = tokio::spawn(wakeups::listen(Arc::clone(&inner), Some(ready)));
        if inner.link.is_up() {
            let _ = tokio::time::timeout(LISTENING, listens).await;
        }
        Ok(Self {
            inner,
            admissions: RwLock::new(Some(admissions)),
            tasks: Mutex::new(vec![admitting, listening]),
        })
    }

    /// As [`Store::admit`], for who still needs the batch when it fails.
    pub(super) async fn admit_these(
        &self,
        batch: &[Admission],
    ) -> Result<Vec<Verdict>, StoreError> {
        let vault = self.inner.vault().await?;
        let entries = batch.iter().map(|admission| admit::prepare(&vault, admission)).collect();
        let (waiting, answer) = Waiting::new(entries);
        {
            let admissions = self.admissions.read().unwrap_or_else(PoisonError::into_inner);
            let Some(admissions) = admissions.as_ref() else { return Err(closed()) };
            admissions.try_send(waiting).map_err(|_| StoreError::Busy)?;
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// As [`Store::admit`], for what was received a while ago: whoever was forgotten since is kept
    /// as `erased`.
    pub(super) async fn admit_late(&self, batch: &[Admission]) -> Result<Vec<Verdict>, StoreError> {
        forgotten::admit_late(&self.inner, batch).await
    }

    /// What a 2xx is worth, as far as Redis has said it.
    fn durability(&self) -> Durability {
        self.inner.link.server().map_or(Durability::Memory, |server| server.durability)
    }
}

impl Inner {
    /// Notes that there is such a destination.
    async fn know(&self, destination: &DestinationId) -> Result<(), StoreError> {
        if self.known().contains(destination) {
            return Ok(());
        }
        self.name(destination).await?;
        self.known().insert(destination.clone());
        Ok(())
    }

    async fn name(&self, destination: &DestinationId) -> Result<(), StoreError> {
        self.link.send(cmd("SADD").arg(DESTINATIONS).arg(destination.as_str())).await?;
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<DestinationId>> {
        self.destinations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every destination a submission was ever for.
    async fn everywhere(&self) -> Result<Vec<DestinationId>, StoreError> {
        let names = self.link.send(cmd("SMEMBERS").arg(DESTINATIONS)).await?;
        let names: Vec<String> =
            from_redis_value(names).map_err(|_| record::unreadable("the destinations"))?;
        // Those that this process knows are there even when the list was lost.
        let mut everywhere = self.known().clone();
        for name in names {
            everywhere.insert(name.parse().map_err(|_| record::unreadable("a destination"))?);
        }
        Ok(everywhere.into_iter().collect())
    }

    fn pending_bytes_max(&self) -> u64 {
        self.link.server().map_or(0, |server| server.pending_bytes_max)
    }

    /// Wakes this process's lanes.
    fn wake(&self) {
        self.arrivals.send_modify(|count| *count += 1);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

#[async_trait]
impl Store for Redis {
    async fn admit(&self, batch: Vec<Admission>) -> Result<Vec<Verdict>, StoreError> {
        self.admit_these(&batch).await
    }

    async fn lease(
        &self,
        lane: &DestinationId,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Leased, StoreError> {
        queue::lease(&self.inner, lane, wanted, now).await
    }

    async fn settle(
        &self,
        lease: &Lease,
        now: Timestamp,
        outcome: Outcome,
        event: Event,
    ) -> Result<Settled, StoreError> {
        queue::settle(&self.inner, lease, now, &outcome, &event).await
    }

    async fn lease_notices(
        &self,
        lane: &DestinationId,
        max: usize,
        term: Duration,
        now: Timestamp,
    ) -> Result<Notices, StoreError> {
        replay::lease_notices(&self.inner, lane, max, term, now).await
    }

    async fn fill(
        &self,
        lease: &Lease,
        now: Timestamp,
        content: Content,
        event: Event,
    ) -> Result<Settled, StoreError> {
        replay::fill(&self.inner, lease, now, &content, &event).await
    }

    async fn expire_leases(&self, now: Timestamp) -> Result<u64, StoreError> {
        queue::expire_leases(&self.inner, now).await
    }

    async fn pace(
        &self,
        lane: &DestinationId,
        rule: &PaceRule,
        gate: u64,
    ) -> Result<Paced, StoreError> {
        lanes::pace(&self.inner, lane, rule, gate).await
    }

    async fn gate(&self, lane: &DestinationId) -> Result<SharedGate, StoreError> {
        lanes::gate(&self.inner, lane).await
    }

    async fn move_gate(
        &self,
        lane: &DestinationId,
        from: u64,
        state: String,
    ) -> Result<SharedGate, StoreError> {
        lanes::move_gate(&self.inner, lane, from, state).await
    }

    async fn body(&self, id: SubmissionId) -> Result<Option<RawBody>, StoreError> {
        replay::body(&self.inner, id).await
    }

    async fn find(&self, id: SubmissionId) -> Result<Option<Record>, StoreError> {
        looking::find(&self.inner, id).await
    }

    async fn list(&self, query: Query) -> Result<Page, StoreError> {
        looking::list(&self.inner, &query).await
    }

    async fn ledger(&self) -> Result<Ledger, StoreError> {
        looking::ledger(&self.inner).await
    }

    async fn depth(&self, lane: &DestinationId) -> Result<Depth, StoreError> {
        looking::depth(&self.inner, lane).await
    }

    async fn replay(
        &self,
        id: SubmissionId,
        now: Timestamp,
        content: Option<Content>,
    ) -> Result<Replayed, StoreError> {
        replay::replay(&self.inner, id, now, content).await
    }

    async fn forget(&self, identities: Vec<Identity>, now: Timestamp) -> Result<u64, StoreError> {
        queue::forget(&self.inner, &identities, now).await
    }

    async fn erase(&self, id: SubmissionId, now: Timestamp) -> Result<bool, StoreError> {
        queue::erase(&self.inner, id, now).await
    }

    async fn sweep(
        &self,
        now: Timestamp,
        retention: &Retention,
        limit: usize,
    ) -> Result<u64, StoreError> {
        queue::sweep(&self.inner, now, retention, limit).await
    }

    fn kind(&self) -> &'static str {
        "redis"
    }

    async fn health(&self) -> Result<Health, StoreError> {
        self.inner.vault().await?;
        self.inner.link.send(&cmd("PING")).await?;
        Ok(Health { kind: self.kind(), durability: self.durability().as_str() })
    }

    fn arrivals(&self) -> watch::Receiver<u64> {
        self.inner.arrivals.subscribe()
    }

    async fn say(&self, message: String) -> Result<(), StoreError> {
        hearsay::say(&self.inner, message).await
    }

    fn overheard(&self) -> Option<mpsc::Receiver<Overheard>> {
        Some(self.inner.hearsay.listen())
    }

    fn change_dedup(&self, window: Duration, comments: bool) {
        self.inner.dedup.change(window, comments);
    }

    async fn close(&self) {
        drop(self.admissions.write().unwrap_or_else(PoisonError::into_inner).take());
        let mut tasks =
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(listening) = tasks.pop() {
            listening.abort();
        }
        for admitting in tasks {
            let _ = admitting.await; // what waits is admitted first
        }
        self.inner.closed.store(true, Ordering::Release);
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".into())
}

/// 16 random hexadecimal digits.
fn random_name() -> Result<String, StoreError> {
    let number = getrandom::u64()
        .map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))?;
    Ok(format!("{number:016x}"))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
