//! Wires configuration → store → intake, delivery, console, and owns their start, their change and
//! their end.

mod arrangement;
mod configuration;
mod deliveries;
mod housekeeping;
mod listen;
mod orders;
mod reload;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use secrecy::SecretString;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use self::arrangement::{Arrangement, Lasting};
pub use self::configuration::ConfigurationFile;
use self::deliveries::Deliveries;
use self::housekeeping::housekeep;
use self::listen::Listening;
pub use self::orders::{Once, Orders};
use self::reload::Reloads;
use crate::config::{Config, OnDuplicate, StoreUrl};
use crate::console::Console;
use crate::delivery::enrich::EnrichError;
use crate::intake::Intake;
use crate::intake::challenge::ChallengeError;
use crate::lead::{Clock, DestinationId};
use crate::notify::{self, Signals};
use crate::source::SourceError;
use crate::store::changes::Changes;
use crate::store::redis::{self, Redis};
use crate::store::spool::Spooled;
use crate::store::sqlite::Sqlite;
use crate::store::watched::Watched;
use crate::store::{self, Store, StoreError};
use crate::telemetry::{Metrics, Traces};

/// Repeated deliveries are recognised for this long: the longest that a platform keeps trying.
const IDEMPOTENCY_WINDOW: Duration = Duration::from_secs(72 * 3600);

/// What outcome signals that still wait at a stop have of the grace, after everything else.
const LAST_SIGNALS: Duration = Duration::from_secs(3);

/// And what spans have that still wait, beside them.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// What the store has to close when nothing is waited for any more.
const LAST_WRITES: Duration = Duration::from_secs(1);

/// What an [`App`] is given besides its configuration.
pub struct Surroundings {
    /// Bound already, so that a test knows its port and a fault is told before anything starts.
    /// Without one this process takes no submissions.
    pub public: Option<TcpListener>,
    /// Bound already.
    pub admin: TcpListener,
    /// The admin API's bearer token where the configuration names none.
    pub admin_token: SecretString,
    /// Where the configuration was read from, to be read anew. Without one it stays as it is.
    pub file: Option<ConfigurationFile>,
    /// Whether this process delivers what was accepted, by itself or by another one.
    pub delivers: bool,
    /// Whether there is a form to try at `/`.
    pub sample_form: bool,
    /// Where the time comes from.
    pub clock: Clock,
    /// What this process is measured by, from its start.
    pub metrics: Arc<Metrics>,
    /// The traces of this process, which are flushed at its end.
    pub traces: Traces,
}

/// The gateway, put together and not yet running.
pub struct App {
    lasting: Arc<Lasting>,
    arrangement: Arc<Arrangement>,
    surroundings: Surroundings,
}

/// Why a gateway cannot start, or has not ended well.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A Redis that would lose leads as it is configured; says what to set there.
    #[error("store.url: {0}")]
    UnfitStore(String),
    /// A source that cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A source's challenge that cannot be made ready.
    #[error("challenge: {0}")]
    Challenge(#[from] ChallengeError),
    /// A source that nothing can be fetched for.
    #[error(transparent)]
    Enrich(#[from] EnrichError),
    /// A destination that cannot be used.
    #[error("destinations.{0}: {1}")]
    Destination(DestinationId, String),
    /// Outcome signals that cannot be sent.
    #[error("notify: {0}")]
    Notify(#[from] notify::OpenError),
    /// A fault of this program.
    #[error("a lane ended by itself")]
    LaneEnded,
    /// Asked for by a second signal.
    #[error("ended at once, as it was told: what was under way is looked over at the next start")]
    AtOnce,
    /// A listener that does not work.
    #[error("a listener failed: {0}")]
    Listen(#[from] std::io::Error),
}

impl App {
    /// Opens the store and puts everything together.
    ///
    /// # Errors
    /// What does not fit or does not open.
    pub async fn build(config: &Config, surroundings: Surroundings) -> Result<Self, StartError> {
        let changes = Changes::default();
        let store = open_store(config, surroundings.public.is_some(), &changes).await?;
        let kind = store.kind();
        let lasting = Arc::new(Lasting::new(store, changes, &surroundings)?);
        lasting.metrics.store(kind);
        let arrangement = Arc::new(Arrangement::make(&lasting, config.clone(), None)?);
        Ok(Self { lasting, arrangement, surroundings })
    }

    /// The path and query on the admin listener of a link that signs in to the console, once and
    /// within a quarter of an hour.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn sign_in_link(&self) -> Result<String, getrandom::Error> {
        self.arrangement.console.pages.sign_in_link(self.lasting.clock.now())
    }

    /// What a 2xx is worth now: what the store says, or what is beside it while it is away.
    pub async fn durability(&self) -> &'static str {
        match (self.lasting.store.health().await, self.lasting.store.spool()) {
            (Ok(health), _) => health.durability,
            (Err(_), Some(_)) => "spooled (fsync always) until the store is back",
            (Err(_), None) => "nothing yet: the store is away",
        }
    }

    /// Runs until it is told to stop; goes on taking submissions for the configured delay, then
    /// stops accepting, finishes what is under way, all of it within the grace, and closes the store.
    ///
    /// # Errors
    /// A listener that does not work, a lane that ended by a fault of this program, or that it was
    /// told to wait for nothing.
    pub async fn run(self, mut orders: Orders) -> Result<(), StartError> {
        let mut running = Running::start(self, Arc::clone(&orders.reload))?;
        let is_whole = running.until(&mut orders.stop).await;
        let ended = tokio::select! {
            biased;
            () = &mut orders.at_once => None,
            () = running.drain() => Some(is_whole),
        };
        match ended {
            Some(true) => Ok(()),
            Some(false) => Err(StartError::LaneEnded),
            None => {
                let _ = tokio::time::timeout(LAST_WRITES, running.lasting.store.close()).await;
                Err(StartError::AtOnce)
            }
        }
    }
}

/// A gateway at work.
struct Running {
    lasting: Arc<Lasting>,
    in_force: InForce,
    public: Option<Listening>,
    admin: Option<Listening>,
    deliveries: Deliveries,
    signals: Option<Signals>,
    traces: Option<Traces>,
    /// What housekeeping and the carrying of changes end by.
    stop: watch::Sender<bool>,
    others: JoinSet<()>,
    reloads: JoinSet<()>,
    changes: mpsc::Receiver<reload::Change>,
}

/// What requests, runners and housekeeping find when they look.
struct InForce {
    arrangement: Arc<ArcSwap<Arrangement>>,
    intake: Arc<ArcSwap<Intake>>,
    console: Arc<ArcSwap<Console>>,
}

impl Running {
    fn start(app: App, reload: Arc<Notify>) -> Result<Self, StartError> {
        let App { lasting, arrangement, surroundings } = app;
        let Surroundings { public, admin, file, traces, .. } = surroundings;
        let in_force = InForce {
            arrangement: Arc::new(ArcSwap::from(Arc::clone(&arrangement))),
            intake: Arc::new(ArcSwap::from(Arc::clone(&arrangement.intake))),
            console: Arc::new(ArcSwap::from(Arc::clone(&arrangement.console))),
        };
        let console = Arc::clone(&in_force.console);
        let admin = Listening::start(admin, 1, move |routes| Console::routes(&console, routes))?;
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let intake = Arc::clone(&in_force.intake);
        let public = public.map(|public| {
            Listening::start(public, threads, move |routes| Intake::routes(&intake, routes))
        });
        let public = public.transpose()?;

        let (stop, stopping) = watch::channel(false);
        let (store, clock) = (Arc::clone(&lasting.store), lasting.clock.clone());
        let mut others = JoinSet::new();
        let arrangements = Arc::clone(&in_force.arrangement);
        others.spawn(housekeep(Arc::clone(&store), arrangements, clock.clone(), stopping.clone()));
        others.spawn(lasting.changes.clone().carry(Arc::clone(&store), stopping.clone()));
        let metrics = Arc::clone(&lasting.metrics);
        let signals = Signals::new(
            lasting.notifier.clone(),
            Arc::clone(&store),
            Arc::clone(&metrics),
            clock,
            stopping,
        );
        let deliveries = Deliveries::new(store, metrics);
        let (reading, changes) = Reloads::new(file, Arc::clone(&lasting), Arc::clone(&arrangement));
        let mut reloads = JoinSet::new();
        reloads.spawn(reading.run(reload));
        let mut running = Self {
            lasting,
            in_force,
            public,
            admin: Some(admin),
            deliveries,
            signals: Some(signals),
            traces: Some(traces),
            stop,
            others,
            reloads,
            changes,
        };
        running.put_in_force(&arrangement);
        Ok(running)
    }

    /// From now on this is what there is: first what delivers, so that whatever is taken in by a new
    /// source finds who knows it.
    fn put_in_force(&mut self, arrangement: &Arc<Arrangement>) {
        let dedup = &arrangement.config.dedup;
        let comments = dedup.on_duplicate == OnDuplicate::Comment;
        self.lasting.store.change_dedup(dedup.window, comments);
        if let Some(signals) = &mut self.signals {
            signals.follow(arrangement.signals.as_ref());
        }
        self.lasting.enricher.store(Arc::clone(&arrangement.enricher));
        self.deliveries.follow(&arrangement.deliveries);
        self.in_force.intake.store(Arc::clone(&arrangement.intake));
        self.in_force.console.store(Arc::clone(&arrangement.console));
        self.in_force.arrangement.store(Arc::clone(arrangement));
    }

    /// Until `stop` resolves: true. Or until a lane or a runner has ended by itself, which leaves its
    /// leads lying.
    async fn until(&mut self, stop: &mut Once) -> bool {
        loop {
            tokio::select! {
                biased;
                () = &mut *stop => return true,
                () = self.deliveries.fault() => return false,
                Some((arrangement, done)) = self.changes.recv() => {
                    self.put_in_force(&arrangement);
                    let _ = done.send(()); // nobody waits for it where the gateway stops
                }
            }
        }
    }

    /// Stops, within what the configuration gives it.
    async fn drain(&mut self) {
        self.reloads.abort_all();
        self.lasting.draining.store(true, Ordering::Relaxed);
        let server = self.in_force.arrangement.load().config.server.clone();
        if !server.drain_delay.is_zero() {
            let drain_delay_ms = server.drain_delay.as_millis();
            tracing::info!(drain_delay_ms, "stopping soon: submissions are still taken");
            tokio::time::sleep(server.drain_delay).await;
        }
        tracing::info!("stopping: no more submissions are taken");
        self.stop.send_replace(true);
        let stopped_at = Instant::now();
        let public = self.public.take();
        let public = async {
            if let Some(public) = public {
                public.stop(true).await;
            }
        };
        let others = async { while self.others.join_next().await.is_some() {} };
        let finish = async { tokio::join!(public, self.deliveries.end(), others) };
        if tokio::time::timeout(server.shutdown_grace, finish).await.is_err() {
            tracing::warn!(
                "the grace is over: what was under way is looked over at the next start"
            );
        }
        let left = || server.shutdown_grace.saturating_sub(stopped_at.elapsed());
        let signals = async {
            if let Some(signals) = self.signals.take() {
                signals.stop(left().min(LAST_SIGNALS)).await;
            }
        };
        let traces = async {
            if let Some(traces) = self.traces.take() {
                traces.close(left().min(LAST_SPANS)).await;
            }
        };
        tokio::join!(signals, traces);
        self.lasting.changes.close();
        if let Some(admin) = self.admin.take() {
            admin.stop(false).await;
        }
        self.lasting.store.close().await;
        tracing::info!("stopped");
    }
}

/// Only a process that takes submissions has a spool: others may use the same folder.
async fn open_store(
    config: &Config,
    takes_submissions: bool,
    changes: &Changes,
) -> Result<Arc<dyn Store>, StartError> {
    let options = store::Options {
        dedup_window: config.dedup.window,
        idempotency_window: IDEMPOTENCY_WINDOW,
        comments: config.dedup.on_duplicate == OnDuplicate::Comment,
        secrets: config.store.secret.clone(),
    };
    let store: Arc<dyn Store> = match &config.store.url {
        StoreUrl::Sqlite(path) => Arc::new(Sqlite::open(path, options)?),
        StoreUrl::Redis(url) => {
            let redis = Redis::open(url, options.clone()).await.map_err(|error| match error {
                redis::OpenError::Unfit(problem) => StartError::UnfitStore(problem),
                redis::OpenError::Store(error) => StartError::Store(error),
            })?;
            match config.store.spool.as_ref().filter(|_| takes_submissions) {
                Some(path) => {
                    let spooled = Spooled::open(redis, path, options).await?;
                    spooled.tell(changes.clone());
                    Arc::new(spooled)
                }
                None => Arc::new(redis),
            }
        }
    };
    Ok(Arc::new(Watched::new(store, changes.clone())))
}
