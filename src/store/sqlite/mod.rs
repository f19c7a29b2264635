//! The embedded store: one SQLite file, one thread that writes it.
//!
//! A call that changes something becomes a closure on the writer's channel (`writer`), which
//! runs whatever waits in one transaction and answers when that is on the disk. A call that only
//! looks goes to a second thread (`reader`) and never waits for the writer; it sees everything
//! that was answered before. A third thread keeps the write-ahead log short (`checkpoint`).

mod admit;
mod checkpoint;
mod chores;
mod claims;
mod columns;
mod erase;
mod fault;
mod filter;
mod forgotten;
mod history;
mod lanes;
mod ledger;
mod list;
mod notices;
mod open;
mod person;
mod queue;
mod reader;
mod record;
mod replay;
mod runs;
mod settle;
mod spool;
#[cfg(test)]
mod tests;
mod transaction;
mod writer;
mod zones;

use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use self::checkpoint::Wal;
use self::fault::Fault;
use self::lanes::Lanes;
use self::reader::Read;
use self::transaction::{Memory, Settings, Transaction};
use self::writer::{Call, Writer};
use super::{
    Admission, Content, Depth, Health, Leased, Ledger, Notices, Options, Outcome, PaceRule, Paced,
    Page, Query, Replayed, Retention, Settled, SharedGate, Store, StoreError, Verdict, Wanted,
};
use crate::fail_point;
use crate::lead::{DestinationId, Event, Identity, RawBody, Record, SubmissionId, Timestamp};
use crate::store::Lease;

/// What is tuned by measurement, and smaller in tests.
#[derive(Clone, Copy)]
struct Tuning {
    /// See [`checkpoint::CHECKPOINT_PAGES`].
    checkpoint_pages: u32,
    /// Claims in a run. At 32768 (about 11,000 submissions) a million submissions are 90 runs to
    /// ask, and a start after a crash reads at most 22,000 rows again: some 50 ms.
    run_length: usize,
    /// Claims of a run that every transaction takes along, at least: some 50 µs.
    moved_min: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { checkpoint_pages: checkpoint::CHECKPOINT_PAGES, run_length: 32768, moved_min: 64 }
    }
}

/// The embedded store. Dropping it waits for what was begun; [`Store::close`] does so without
/// holding up the runtime.
pub struct Sqlite {
    settings: Arc<Settings>,
    arrivals: watch::Receiver<u64>,
    lanes: Arc<Lanes>,
    /// `None` once it is closed.
    channels: RwLock<Option<Channels>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The ways to the threads, which end when these are gone.
struct Channels {
    calls: SyncSender<Box<dyn Call>>,
    reads: SyncSender<Read>,
}

impl Sqlite {
    /// Opens the database at `path`, which is made (with the folders above it, readable by its
    /// owner alone) where it is missing.
    ///
    /// Nobody else can hold a lease of it, so whatever was in flight when it was last open is
    /// `unknown` from here on.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when another process has it open, when it was begun with
    /// another secret, or when the disk refuses; [`StoreError::Corrupt`] when the file is no
    /// database of this version.
    pub fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        Self::open_tuned(path, &options, Tuning::default())
    }

    fn open_tuned(path: &Path, options: &Options, tuning: Tuning) -> Result<Self, StoreError> {
        open::create_folders(path)?;
        let lock = open::Lock::take(path)?;
        open::create(path)?;
        let mut db = open::connect(path)?;
        open::prepare(&db, path, checkpoint::log_bytes_max(tuning.checkpoint_pages))?;
        let vault = open::vault(&db, path, options)?;
        let settings = Arc::new(Settings::new(options, vault));
        let memory = Memory::load(&db, tuning)?;
        let lanes = Arc::clone(&memory.gates.lanes);
        let wal = Wal::watch(&mut db, path, tuning.checkpoint_pages)?;
        let reading = open::connect_reading(path)?;
        let (arrivals, arrived) = watch::channel(0);

        let mut writer = Writer { db, settings: Arc::clone(&settings), memory, wal, arrivals };
        writer.expire_leases_of_the_past(fail_point::clock().now())?;

        let (calls, waiting_calls) = sync_channel(writer::WAITING_MAX);
        let (reads, waiting_reads) = sync_channel(reader::WAITING_MAX);
        let writing = spawn("store-writer", move || {
            writer.run(&waiting_calls);
            drop(lock);
        })?;
        let reading = spawn("store-reader", move || reader::run(&reading, &waiting_reads))?;
        Ok(Self {
            settings,
            arrivals: arrived,
            lanes,
            channels: RwLock::new(Some(Channels { calls, reads })),
            threads: Mutex::new(vec![reading, writing]),
        })
    }

    /// Runs `work` in a transaction, alone or with others, and answers when it is durable.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let (call, answer) = writer::call(work);
        self.send(|channels| &channels.calls, call)?;
        wait_for(answer).await
    }

    /// Runs `work` on one state of the database.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (read, answer) = reader::read(work);
        self.send(|channels| &channels.reads, read)?;
        wait_for(answer).await
    }

    fn send<M>(
        &self,
        channel: impl FnOnce(&Channels) -> &SyncSender<M>,
        message: M,
    ) -> Result<(), StoreError> {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        let Some(channels) = channels.as_ref() else { return Err(closed()) };
        channel(channels).try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => closed(),
        })
    }

    /// The lanes, as long as the store is open.
    fn lanes(&self) -> Result<&Lanes, StoreError> {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        if channels.is_some() { Ok(&self.lanes) } else { Err(closed()) }
    }

    /// Lets the threads end, once they have done what waits, and gives them to be waited for.
    fn end(&self) -> Vec<JoinHandle<()>> {
        drop(self.channels.write().unwrap_or_else(PoisonError::into_inner).take());
        std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        join(self.end());
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let spawned = thread::Builder::new().name(name.into()).spawn(run);
    spawned.map_err(|error| StoreError::Unavailable(format!("starting {name}: {error}")))
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread of the store had panicked");
        }
    }
}

async fn wait_for<T>(answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    answer.await.unwrap_or_else(|_| Err(closed()))
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".into())
}

#[async_trait]
impl Store for Sqlite {
    async fn admit(&self, batch: Vec<Admission>) -> Result<Vec<Verdict>, StoreError> {
        let vault = &self.settings.vault;
        let entries: Vec<_> =
            batch.into_iter().map(|admission| admit::prepare(vault, admission)).collect();
        self.write(move |transaction| admit::admit(transaction, &entries)).await
    }

    async fn lease(
        &self,
        lane: &DestinationId,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Leased, StoreError> {
        let lane = lane.clone();
        self.write(move |transaction| queue::lease(transaction, &lane, wanted, now)).await
    }

    async fn settle(
        &self,
        lease: &Lease,
        now: Timestamp,
        outcome: Outcome,
        event: Event,
    ) -> Result<Settled, StoreError> {
        let lease = lease.clone();
        self.write(move |transaction| settle::settle(transaction, &lease, now, &outcome, &event))
            .await
    }

    async fn lease_notices(
        &self,
        lane: &DestinationId,
        max: usize,
        term: Duration,
        now: Timestamp,
    ) -> Result<Notices, StoreError> {
        let (lane, deadline) = (lane.clone(), now.plus(term));
        self.write(move |transaction| notices::lease(transaction, &lane, max, deadline, now)).await
    }

    async fn fill(
        &self,
        lease: &Lease,
        now: Timestamp,
        content: Content,
        event: Event,
    ) -> Result<Settled, StoreError> {
        let lease = lease.clone();
        self.write(move |transaction| replay::fill(transaction, &lease, now, &content, &event))
            .await
    }

    async fn expire_leases(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut expired = 0;
        loop {
            let some =
                self.write(move |transaction| settle::expire_leases(transaction, now, now)).await?;
            expired += u64::from(some.unknown);
            if some.looked_at < settle::EXPIRED_MAX {
                return Ok(expired);
            }
        }
    }

    async fn pace(
        &self,
        lane: &DestinationId,
        rule: &PaceRule,
        gate: u64,
    ) -> Result<Paced, StoreError> {
        Ok(self.lanes()?.pace(lane, rule, gate))
    }

    async fn gate(&self, lane: &DestinationId) -> Result<SharedGate, StoreError> {
        Ok(self.lanes()?.gate(lane))
    }

    async fn move_gate(
        &self,
        lane: &DestinationId,
        from: u64,
        state: String,
    ) -> Result<SharedGate, StoreError> {
        let lane = lane.clone();
        self.write(move |transaction| lanes::move_gate(transaction, &lane, from, &state)).await
    }

    async fn body(&self, id: SubmissionId) -> Result<Option<RawBody>, StoreError> {
        let settings = Arc::clone(&self.settings);
        self.read(move |db| list::body(db, &settings.vault, id)).await
    }

    async fn find(&self, id: SubmissionId) -> Result<Option<Record>, StoreError> {
        let settings = Arc::clone(&self.settings);
        self.read(move |db| list::find(db, &settings.vault, id)).await
    }

    async fn list(&self, query: Query) -> Result<Page, StoreError> {
        let settings = Arc::clone(&self.settings);
        self.read(move |db| list::list(db, &settings.vault, &query)).await
    }

    async fn ledger(&self) -> Result<Ledger, StoreError> {
        self.read(ledger::read).await
    }

    async fn depth(&self, lane: &DestinationId) -> Result<Depth, StoreError> {
        let lane = lane.clone();
        self.read(move |db| list::depth(db, &lane)).await
    }

    async fn replay(
        &self,
        id: SubmissionId,
        now: Timestamp,
        content: Option<Content>,
    ) -> Result<Replayed, StoreError> {
        self.write(move |transaction| replay::replay(transaction, id, now, content.as_ref())).await
    }

    async fn forget(&self, identities: Vec<Identity>, now: Timestamp) -> Result<u64, StoreError> {
        self.write(move |transaction| erase::forget(transaction, &identities, now)).await
    }

    async fn erase(&self, id: SubmissionId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |transaction| erase::by_id(transaction, id, now)).await
    }

    async fn sweep(
        &self,
        now: Timestamp,
        retention: &Retention,
        limit: usize,
    ) -> Result<u64, StoreError> {
        let retention = retention.clone();
        self.write(move |transaction| erase::sweep(transaction, now, &retention, limit)).await
    }

    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn health(&self) -> Result<Health, StoreError> {
        self.write(|transaction| Ok(transaction.db.query_row("SELECT 1", [], |_| Ok(()))?)).await?;
        Ok(Health { kind: self.kind(), durability: "fsync always" })
    }

    fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.clone()
    }

    fn change_dedup(&self, window: Duration, comments: bool) {
        self.settings.dedup.change(window, comments);
    }

    async fn close(&self) {
        let threads = self.end();
        // When the runtime is going down as well nobody is left to tell.
        let _ = tokio::task::spawn_blocking(move || join(threads)).await;
    }
}
