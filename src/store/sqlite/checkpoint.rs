//! Keeping the write-ahead log short without making writers wait for it.
//!
//! SQLite's own habit is to copy the log into the database inside the commit that made it long:
//! every thousand pages, one unlucky batch waits tens of milliseconds. Here a thread of its own
//! copies while the writer goes on. Since the writer keeps appending, that thread never quite
//! catches up, and a log that is not wholly copied cannot begin anew; so when little is left the
//! writer copies the rest itself, and its next transaction begins the log anew.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;

use super::fault::Fault;
use super::open;
use crate::store::StoreError;

/// Pages in the log (4 KiB each) that call for a checkpoint: 16 MiB. A longer log is copied more
/// cheaply, since a page that was written ten times is copied once; it also costs more memory
/// (8 bytes of index a page) and a longer start after a crash.
pub(super) const CHECKPOINT_PAGES: u32 = 4096;

/// How many times over the log may grow before the writer stops to copy it all, because the disk
/// does not keep up or a reader holds on to an old state.
const OVERDUE: u32 = 4;

/// How long the log's file may be for good: longer, and it is cut when the log begins anew.
pub(super) const fn log_bytes_max(pages: u32) -> u64 {
    pages as u64 * OVERDUE as u64 * 4096
}

/// A rest that the writer may copy itself: some milliseconds.
const REST_PAGES: i32 = 256;

/// Each round copies what was appended during the one before, so they shrink quickly or never.
const ROUNDS_MAX: usize = 4;

/// The log, seen from the writer.
pub(super) struct Wal {
    /// Pages in it, after the last commit.
    pages: Arc<AtomicU32>,
    /// The thread has copied nearly all, and leaves the rest to the writer.
    rest: Arc<AtomicBool>,
    call: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    limit: u32,
}

impl Wal {
    /// Starts the thread that copies the log whenever it is longer than `limit` pages.
    pub(super) fn watch(db: &mut Connection, path: &Path, limit: u32) -> Result<Self, StoreError> {
        let pages = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&pages);
        db.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, length| {
            counted.store(u32::try_from(length).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))
        .map_err(Fault::from)?;

        let rest = Arc::new(AtomicBool::new(false));
        let (call, calls) = sync_channel(0); // heard only when the thread has nothing to do
        let copier = open::connect(path)?;
        let left = Arc::clone(&rest);
        let thread = thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || {
                while calls.recv().is_ok() {
                    match copy(&copier) {
                        Ok(()) => left.store(true, Ordering::Release),
                        Err(error) => tracing::warn!(%error, "the store's log was not copied"),
                    }
                }
            })
            .map_err(|error| StoreError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self { pages, rest, call: Some(call), thread: Some(thread), limit })
    }

    /// Between two transactions.
    pub(super) fn look_after(&self, db: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        let overdue = pages > self.limit.saturating_mul(OVERDUE);
        if self.rest.swap(false, Ordering::Acquire) || overdue {
            if let Err(error) = db.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE) {
                tracing::warn!(%error, "the store's log was not copied");
            }
        } else if pages > self.limit
            && let Some(call) = &self.call
            && let Err(TrySendError::Disconnected(())) = call.try_send(())
        {
            tracing::error!("the store's checkpoint thread is gone");
        }
    }

    /// Copies everything, empties the log and ends the thread.
    pub(super) fn close(mut self, db: &Connection) {
        drop(self.call.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the store's checkpoint thread had panicked");
        }
        if let Err(error) = db.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE) {
            tracing::warn!(%error, "the store's log was not copied");
        }
    }
}

/// Copies until little is left, or it is clear that the writer is as fast.
fn copy(db: &Connection) -> Result<(), rusqlite::Error> {
    let mut copied = 0;
    for _ in 0..ROUNDS_MAX {
        let (length, now_copied) = db.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE)?;
        let appended = length - copied;
        copied = now_copied;
        if appended < REST_PAGES {
            break;
        }
    }
    Ok(())
}
