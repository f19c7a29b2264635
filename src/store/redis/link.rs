//! The way to Redis: one shared connection, made anew in the background when it breaks. A call never
//! waits for a connection; without one it is refused at once, so that a form can be spooled.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::{Cmd, RedisError, ServerErrorKind, Value};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::address::{Address, Connection};
use super::server::{self, Server, Unfit};
use crate::store::StoreError;

/// Between two tries to connect: from here it doubles, with jitter.
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// A Redis that is back is noticed within this.
const RETRY_MAX: Duration = Duration::from_secs(1);

/// So long after the last trouble all is well.
const QUIET: Duration = Duration::from_secs(5);

/// See the module's words. Ends its task when dropped.
pub(super) struct Link {
    shared: Arc<Shared>,
    keeper: JoinHandle<()>,
}

struct Shared {
    address: Address,
    current: RwLock<Option<Current>>,
    /// What was said when it was last connected.
    server: RwLock<Option<Server>>,
    lost: Notify,
    /// The trouble that was last told of, so that each is told once, and when it was last met.
    told: Mutex<Option<(&'static str, Instant)>>,
    /// Whether there was any: looked at with every answer.
    has_told: AtomicBool,
}

#[derive(Clone)]
struct Current {
    /// Which connection of all: what an old one says does not end the next.
    generation: u64,
    connection: Connection,
}

impl Link {
    /// Connects if it can be done now, and keeps connected from then on.
    ///
    /// # Errors
    /// A server that must not be used. One that is only out of reach is no error.
    pub(super) async fn open(address: Address) -> Result<Self, Unfit> {
        let shared = Arc::new(Shared {
            address,
            current: RwLock::new(None),
            server: RwLock::new(None),
            lost: Notify::new(),
            told: Mutex::new(None),
            has_told: AtomicBool::new(false),
        });
        match shared.connect(1).await {
            Ok(()) => {}
            Err(Unfit::Unreachable(error)) => shared.tell_broken(&error),
            Err(unfit) => return Err(unfit),
        }
        let keeper = tokio::spawn(keep(Arc::clone(&shared)));
        Ok(Self { shared, keeper })
    }

    /// Sends one command over the shared connection.
    pub(super) async fn send(&self, command: &Cmd) -> Result<Value, Refused> {
        let mut current = self.shared.current().ok_or(Refused::Away)?;
        match current.connection.send(command).await {
            Ok(answer) => {
                self.shared.tell_well();
                Ok(answer)
            }
            Err(error) => Err(self.shared.refused(current.generation, error)),
        }
    }

    /// Whether there is a connection.
    pub(super) fn is_up(&self) -> bool {
        self.shared.current().is_some()
    }

    /// Which connection it is; 0 when there is none.
    pub(super) fn generation(&self) -> u64 {
        let current = self.shared.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map_or(0, |current| current.generation)
    }

    /// What the server said of itself, unless it was never reached.
    pub(super) fn server(&self) -> Option<Server> {
        self.shared.server.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where it leads.
    pub(super) fn address(&self) -> &Address {
        &self.shared.address
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Why Redis did not do what it was asked.
#[derive(Debug)]
pub(super) enum Refused {
    /// There is no connection. Nothing was sent.
    Away,
    /// The script is not known there. Nothing was done.
    NoScript,
    /// The answer was lost: it may have been done.
    Lost(String),
    /// It was refused. Nothing was done.
    Told(String),
}

impl Refused {
    /// Whether it may have been done.
    pub(super) fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Lost(_))
    }
}

impl From<Refused> for StoreError {
    fn from(refused: Refused) -> Self {
        Self::Unavailable(match refused {
            Refused::Away => "Redis is out of reach".to_owned(),
            Refused::NoScript => "Redis forgets its scripts".to_owned(),
            Refused::Lost(error) | Refused::Told(error) => format!("Redis: {error}"),
        })
    }
}

impl Shared {
    fn current(&self) -> Option<Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn connect(&self, generation: u64) -> Result<(), Unfit> {
        let mut connection = self.address.connect().await?;
        let server = server::inspect(&mut connection).await?;
        *self.server.write().unwrap_or_else(PoisonError::into_inner) = Some(server);
        let current = Current { generation, connection };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(current);
        Ok(())
    }

    /// Lets a connection go, unless it is gone already.
    fn lose(&self, generation: u64) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|current| current.generation == generation) {
            *current = None;
            self.lost.notify_one();
        }
    }

    /// What an error means, and what is done about it.
    fn refused(&self, generation: u64, error: RedisError) -> Refused {
        if matches!(error.kind(), redis::ErrorKind::Server(ServerErrorKind::NoScript)) {
            return Refused::NoScript;
        }
        let of_cluster = matches!(self.address, Address::Cluster { .. });
        // Written to what became a replica: whoever is the master now is found by asking again.
        let was_demoted = matches!(
            error.kind(),
            redis::ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        );
        let is_lost = error.is_io_error() || error.is_timeout() || error.is_connection_dropped();
        // A cluster's connection looks after its nodes by itself, and the others go on.
        let is_over = match of_cluster {
            true => error.kind() == redis::ErrorKind::ClusterConnectionNotFound,
            false => is_lost || was_demoted || error.is_unrecoverable_error(),
        };
        if is_over {
            self.lose(generation);
        }
        self.tell_broken(&error);
        match is_lost {
            true => Refused::Lost(error.category().to_owned()),
            false => Refused::Told(words(&error)),
        }
    }

    fn told(&self) -> MutexGuard<'_, Option<(&'static str, Instant)>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each kind of trouble is worth one line, until all is well again.
    fn tell_broken(&self, error: &RedisError) {
        let kind = kind(error);
        if self.is_news(kind) {
            tracing::warn!(trouble = kind, error = %words(error), "Redis does not do its work");
        }
    }

    /// Notes a trouble; whether it is another than before.
    fn is_news(&self, kind: &'static str) -> bool {
        let before = self.told().replace((kind, Instant::now()));
        self.has_told.store(true, Ordering::Relaxed);
        before.is_none_or(|(before, _)| before != kind)
    }

    /// Redis may refuse one command and do another, as when its memory is full: all is well only
    /// when nothing was refused for a while.
    fn tell_well(&self) {
        if !self.has_told.load(Ordering::Relaxed) {
            return;
        }
        let is_over = self.told().take_if(|(_, met)| met.elapsed() >= QUIET).is_some();
        if is_over {
            self.has_told.store(false, Ordering::Relaxed);
            tracing::info!("Redis does its work again");
        }
    }
}

/// Makes a connection whenever there is none.
async fn keep(shared: Arc<Shared>) {
    let mut generation = 1;
    loop {
        if shared.current().is_some() {
            shared.lost.notified().await;
        }
        let mut wait = RETRY_FIRST;
        while shared.current().is_none() {
            generation += 1;
            match shared.connect(generation).await {
                Ok(()) => {}
                Err(Unfit::Unreachable(error)) => shared.tell_broken(&error),
                Err(unfit) => {
                    if shared.is_news("unfit") {
                        tracing::error!(error = %unfit, "Redis is back, and must not be used");
                    }
                }
            }
            if shared.current().is_none() {
                tokio::time::sleep(jittered(wait)).await;
                wait = (wait * 2).min(RETRY_MAX);
            }
        }
    }
}

/// Between half of it and all of it: gateways that lost Redis together do not come back together.
pub(super) fn jittered(wait: Duration) -> Duration {
    let share = getrandom::u32().unwrap_or(u32::MAX);
    wait / 2 + (wait / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
}

/// A word for each kind of trouble.
fn kind(error: &RedisError) -> &'static str {
    use redis::ErrorKind::Server;
    match error.kind() {
        Server(ServerErrorKind::BusyLoading) => "loading",
        Server(ServerErrorKind::ReadOnly) => "read only",
        Server(ServerErrorKind::MasterDown) => "master down",
        Server(ServerErrorKind::ClusterDown) => "cluster down",
        Server(ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::TryAgain) => {
            "moved"
        }
        Server(ServerErrorKind::NoPerm) => "not permitted",
        _ if error.code() == Some("OOM") => "out of memory",
        _ if error.code() == Some("MISCONF") => "cannot persist",
        _ if error.is_io_error() || error.is_timeout() => "out of reach",
        redis::ErrorKind::AuthenticationFailed => "not authenticated",
        _ => "other",
    }
}

/// An error's own words, cut: a script's may name a key.
fn words(error: &RedisError) -> String {
    error.to_string().chars().filter(|c| !c.is_control()).take(200).collect()
}
