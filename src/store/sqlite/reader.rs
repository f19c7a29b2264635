//! The thread that reads, on a connection of its own: a long list never keeps the writer waiting.

use std::sync::mpsc::Receiver;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::fault::Fault;
use crate::store::StoreError;

/// How many reads may wait.
pub(super) const WAITING_MAX: usize = 256;

/// A read that waits for its turn.
pub(super) type Read = Box<dyn FnOnce(&Connection) + Send>;

/// A read that does `work` on one state of the database, and where its answer comes.
pub(super) fn read<T, F>(work: F) -> (Read, oneshot::Receiver<Result<T, StoreError>>)
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
{
    let (caller, answer) = oneshot::channel();
    let read = move |db: &Connection| {
        let result = in_one_state(db, work).map_err(StoreError::from);
        let _ = caller.send(result); // a caller that went away has no use for it
    };
    (Box::new(read), answer)
}

/// Reads until every sender is gone and nothing waits.
pub(super) fn run(db: &Connection, reads: &Receiver<Read>) {
    while let Ok(read) = reads.recv() {
        read(db);
    }
}

fn in_one_state<T>(
    db: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let snapshot = db.unchecked_transaction()?;
    let result = work(db);
    snapshot.finish()?;
    result
}
