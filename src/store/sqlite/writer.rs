//! The one thread that writes: it gathers whatever waits into one transaction, so that one fsync
//! answers all of them.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::checkpoint::Wal;
use super::fault::Fault;
use super::settle;
use super::transaction::{Memory, Settings, Transaction};
use crate::fail_point::{self, FailPoint};
use crate::lead::Timestamp;
use crate::store::StoreError;

/// How many calls may wait for the writer. At 10,000 a second it takes 0.4 s to work them off:
/// longer than that and a caller is better told that the store is busy.
pub(super) const WAITING_MAX: usize = 4096;

/// How many calls share a transaction. Beyond some hundreds the fsync is no longer what they wait
/// for, and the first of them would wait for the last.
const GATHERED_MAX: usize = 512;

/// A call that waits for the writer. It can run more than once: when another one spoils the
/// transaction, it is run again in one of its own.
pub(super) trait Call: Send {
    fn run(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Fault>;

    /// Tells the caller how the last run went, now that it is durable or rolled back.
    fn answer(self: Box<Self>, outcome: Result<(), &Fault>);
}

/// A call made of a closure.
struct Work<T, F> {
    work: F,
    result: Option<T>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

/// A call that does `work`, and where its answer comes.
pub(super) fn call<T, F>(work: F) -> (Box<dyn Call>, oneshot::Receiver<Result<T, StoreError>>)
where
    T: Send + 'static,
    F: FnMut(&mut Transaction<'_>) -> Result<T, Fault> + Send + 'static,
{
    let (caller, answer) = oneshot::channel();
    (Box::new(Work { work, result: None, caller }), answer)
}

impl<T, F> Call for Work<T, F>
where
    T: Send,
    F: FnMut(&mut Transaction<'_>) -> Result<T, Fault> + Send,
{
    fn run(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Fault> {
        self.result = Some((self.work)(transaction)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), &Fault>) {
        let answer = match (outcome, self.result) {
            (Ok(()), Some(result)) => Ok(result),
            (Ok(()), None) => Err(StoreError::Unavailable("the call was never run".into())),
            (Err(fault), _) => Err(fault.to_store_error()),
        };
        let _ = self.caller.send(answer); // a caller that went away has no use for it
    }
}

/// The writing end of the database.
pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) settings: Arc<Settings>,
    pub(super) memory: Memory,
    pub(super) wal: Wal,
    pub(super) arrivals: watch::Sender<u64>,
}

impl Writer {
    /// Works until every sender is gone and nothing waits; then empties the log.
    pub(super) fn run(mut self, calls: &Receiver<Box<dyn Call>>) {
        let mut gathered = Vec::with_capacity(GATHERED_MAX);
        while let Ok(first) = calls.recv() {
            gathered.push(first);
            gathered.extend(calls.try_iter().take(GATHERED_MAX - 1));
            self.work_off(&mut gathered);
            self.wal.look_after(&self.db);
        }
        self.wal.close(&self.db);
    }

    /// What another process left in flight: `unknown`, all of it, before anything else happens.
    pub(super) fn expire_leases_of_the_past(&mut self, now: Timestamp) -> Result<(), Fault> {
        let always = Timestamp::from_millis(i64::MAX);
        loop {
            let some =
                self.in_transaction(|transaction| settle::expire_leases(transaction, always, now))?;
            if some.looked_at < settle::EXPIRED_MAX {
                return Ok(());
            }
        }
    }

    fn work_off(&mut self, gathered: &mut Vec<Box<dyn Call>>) {
        let together = self.transact(gathered);
        match together {
            Ok(()) => gathered.drain(..).for_each(|call| call.answer(Ok(()))),
            Err(fault) if gathered.len() == 1 || fault.is_the_disks() => {
                gathered.drain(..).for_each(|call| call.answer(Err(&fault)));
            }
            Err(_) => {
                for mut call in gathered.drain(..) {
                    let alone = self.transact(std::slice::from_mut(&mut call));
                    call.answer(alone.as_ref().copied());
                }
            }
        }
    }

    fn transact(&mut self, calls: &mut [Box<dyn Call>]) -> Result<(), Fault> {
        self.in_transaction(|transaction| {
            calls.iter_mut().try_for_each(|call| call.run(transaction))
        })
    }

    /// Runs `work` in one transaction. When it fails, nothing of it has happened.
    fn in_transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        match self.attempt(work) {
            Ok((result, arrived)) => {
                self.memory.committed();
                if arrived {
                    self.arrivals.send_modify(|count| *count += 1);
                }
                Ok(result)
            }
            Err(fault) => {
                self.memory.rolled_back();
                if !self.db.is_autocommit() {
                    // When even this fails the next BEGIN does, and its callers are told.
                    let _ = self.db.execute_batch("ROLLBACK");
                }
                Err(fault)
            }
        }
    }

    /// Answers whether a lane got something to do, besides.
    fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<(T, bool), Fault> {
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut transaction = Transaction {
            db: &self.db,
            settings: &self.settings,
            memory: &mut self.memory,
            arrived: false,
        };
        let result = work(&mut transaction)?;
        transaction.finish()?;
        let arrived = transaction.arrived;
        fail_point::pass(FailPoint::Unwritten);
        self.db.prepare_cached("COMMIT")?.execute([])?;
        fail_point::pass(FailPoint::Written);
        Ok((result, arrived))
    }
}
