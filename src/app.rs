//! Wires configuration → store → intake, delivery, console, and owns their start and their end.

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::{Server, ServerHandle};
use actix_web::web::ServiceConfig;
use actix_web::{App as ActixApp, HttpServer};
use secrecy::SecretString;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::caresoft::Client;
use crate::config::{self, Config, Destination, OnDuplicate, StoreUrl};
use crate::console::{self, Console, Outlet, Pages};
use crate::delivery::enrich::{EnrichError, Enricher, Runner};
use crate::delivery::{Composer, Hosts, Lane};
use crate::intake::Intake;
use crate::intake::challenge::{Challenge, ChallengeError};
use crate::lead::{Clock, DestinationId, SourceId};
use crate::notify::{self, Notifier, Signals};
use crate::preset::Preset;
use crate::source::{Source, SourceError, Sources};
use crate::store::changes::Changes;
use crate::store::redis::{self, Redis};
use crate::store::spool::Spooled;
use crate::store::sqlite::Sqlite;
use crate::store::watched::Watched;
use crate::store::{self, Retention, Store, StoreError};
use crate::telemetry::Metrics;

/// A request's head must be here after this.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// An idle connection is kept this long: longer than a browser's next click, shorter than what
/// load balancers keep, so that they never send into a connection that just closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Connections that one listener holds at once, on each of its threads.
const CONNECTIONS_MAX: usize = 10_000;

/// How often leases are looked over; a lease that ran out waits no longer than this.
const LEASE_LOOK: Duration = Duration::from_secs(2);

/// How often idle senders and old records are let go.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// Records that one sweep removes before others get their turn with the store.
const SWEEP_BATCH: usize = 500;

/// Sweeps in a row; the next housekeeping goes on. Together they remove more in a minute than
/// CareSoft takes in an hour.
const SWEEPS_MAX: usize = 200;

/// Repeated deliveries are recognised for this long: the longest that a platform keeps trying.
const IDEMPOTENCY_WINDOW: Duration = Duration::from_secs(72 * 3600);

/// What outcome signals that still wait at a stop have of the grace, after everything else.
const LAST_SIGNALS: Duration = Duration::from_secs(3);

/// What an [`App`] is given besides its configuration.
pub struct Surroundings {
    /// Bound already, so that a test knows its port and a fault is told before anything starts.
    /// Without one this process takes no submissions.
    pub public: Option<TcpListener>,
    /// Bound already.
    pub admin: TcpListener,
    /// The admin API's bearer token.
    pub admin_token: SecretString,
    /// Whether this process delivers what was accepted, by itself or by another one.
    pub delivers: bool,
    /// Whether there is a form to try at `/`.
    pub sample_form: bool,
    /// Where the time comes from.
    pub clock: Clock,
}

/// The gateway, put together and not yet running.
pub struct App {
    store: Arc<dyn Store>,
    intake: Arc<Intake>,
    console: Arc<Console>,
    runners: Vec<Arc<Runner>>,
    signals: Option<Signals>,
    retention: Retention,
    surroundings: Surroundings,
    grace: Duration,
}

/// Why a gateway cannot start.
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
        let metrics = Arc::new(Metrics::default());
        let clock = surroundings.clock.clone();
        let changes = Changes::default();
        let store = open_store(config, surroundings.public.is_some(), &changes).await?;
        let sources = Source::compile_all(config)?;
        let intake = Arc::new(Intake::new(
            config,
            &sources,
            surroundings.sample_form,
            Arc::clone(&store),
            Arc::clone(&metrics),
            clock.clone(),
        )?);
        let (mut lanes, mut runners) = (Vec::new(), Vec::new());
        let (mut notifier, mut signals) = (Notifier::default(), None);
        if surroundings.delivers {
            (notifier, signals) = Signals::open(config, &store, &metrics, &clock)?;
            let delivery = Delivery {
                config,
                store: &store,
                metrics: &metrics,
                notifier: &notifier,
                clock: &clock,
            };
            lanes = delivery.lanes()?;
            runners = delivery.runners(&sources)?;
        }
        let outlets = config.destinations.iter();
        let outlets = outlets.map(|(id, destination)| (id.clone(), Outlet::from(destination)));
        let takes_submissions = surroundings.public.is_some();
        let console = Arc::new(Console {
            token: surroundings.admin_token.clone(),
            region: config.phone.default_region.clone(),
            server: config.server.clone(),
            sources,
            store: Arc::clone(&store),
            lanes,
            destinations: outlets.collect(),
            intake: takes_submissions.then(|| Arc::clone(&intake)),
            silent_after: console::silent_after(config),
            notifier,
            counting: Semaphore::new(1),
            changes,
            pages: Pages::default(),
            metrics,
            clock,
        });
        Ok(Self {
            store,
            intake,
            console,
            runners,
            signals,
            retention: Retention(config.store.retention.clone()),
            surroundings,
            grace: config.server.shutdown_grace,
        })
    }

    /// What this version cannot run of a configuration, without opening anything: key and
    /// problem, all of them. The rest of what `check` says.
    pub fn preflight(config: &Config) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (id, source) in &config.sources {
            match Source::compile(id, source, config) {
                Ok(compiled) => problems.extend(unstartable(id, source, compiled)),
                Err(error) => problems.push((format!("sources.{id}"), error.to_string())),
            }
        }
        for (id, destination) in &config.destinations {
            if let Err(error) = sender(config, id, destination) {
                problems.push((format!("destinations.{id}"), error));
            }
        }
        problems
    }

    /// Keys that are set and that this version does nothing with: key and what it means.
    pub fn inert(config: &Config) -> Vec<(&'static str, &'static str)> {
        let traces = config.log.otlp_endpoint.is_some();
        let fetches_nothing = |source: &config::Source| {
            let preset = Preset::load(&source.preset, []);
            source.api_base.is_some() && preset.is_ok_and(|preset| preset.enrich.is_none())
        };
        let bases = config.sources.values().any(fetches_nothing);
        [
            (traces, "log.otlp_endpoint", "no traces are sent"),
            (bases, "sources.*.api_base", "the source's preset fetches nothing"),
        ]
        .into_iter()
        .filter_map(|(is_set, key, meaning)| is_set.then_some((key, meaning)))
        .collect()
    }

    /// The path and query on the admin listener of a link that signs in to the console, once and
    /// within a quarter of an hour.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn sign_in_link(&self) -> Result<String, getrandom::Error> {
        self.console.pages.sign_in_link(self.console.clock.now())
    }

    /// What a 2xx is worth now: what the store says, or what is beside it while it is away.
    pub async fn durability(&self) -> &'static str {
        match (self.store.health().await, self.store.spool()) {
            (Ok(health), _) => health.durability,
            (Err(_), Some(_)) => "spooled (fsync always) until the store is back",
            (Err(_), None) => "nothing yet: the store is away",
        }
    }

    /// Runs until `shutdown` resolves; then stops accepting, finishes what is under way, all of it
    /// within the grace, and closes the store.
    ///
    /// # Errors
    /// A listener that does not work, or a lane that ended by a fault of this program.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
        let Self { store, intake, console, runners, signals, retention, surroundings, grace } =
            self;
        let Surroundings { public, admin, clock, .. } = surroundings;
        let (stop, stopping) = watch::channel(false);

        let console_routes = Arc::clone(&console);
        let admin = serve(admin, 1, grace, move |routes| console_routes.routes(routes))?;
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let intake_routes = Arc::clone(&intake);
        let public = public
            .map(|public| serve(public, threads, grace, move |routes| intake_routes.routes(routes)))
            .transpose()?;
        let mut lanes = JoinSet::new();
        for lane in &console.lanes {
            lanes.spawn(Arc::clone(lane).run(stopping.clone()));
        }
        for runner in runners {
            lanes.spawn(runner.run(stopping.clone()));
        }
        let housekeeping =
            tokio::spawn(housekeep(Arc::clone(&store), intake, retention, clock, stopping.clone()));
        let carrying = console.changes.clone().carry(Arc::clone(&store), stopping.clone());
        let carrying = tokio::spawn(carrying);
        let signals = signals.map(|signals| signals.start(stopping));

        let is_whole = tokio::select! {
            () = shutdown => true,
            // Lanes and runners end when they are told to. One that ended before leaves its leads lying.
            Some(_) = lanes.join_next() => false,
        };
        tracing::info!("stopping: no more submissions are taken");
        let _ = stop.send(true);
        let stopped_at = Instant::now();
        let finish = async {
            let public = async {
                if let Some(public) = public {
                    public.stop(true).await;
                }
            };
            let lanes = async { while lanes.join_next().await.is_some() {} };
            tokio::join!(public, lanes);
            let _ = housekeeping.await;
            let _ = carrying.await;
        };
        if tokio::time::timeout(grace, finish).await.is_err() {
            tracing::warn!(
                "the grace is over: what was under way is looked over at the next start"
            );
        }
        if let Some(signals) = signals {
            let left = grace.saturating_sub(stopped_at.elapsed());
            signals.stop(left.min(LAST_SIGNALS)).await;
        }
        console.changes.close();
        admin.stop(false).await;
        store.close().await;
        tracing::info!("stopped");
        if is_whole { Ok(()) } else { Err(StartError::LaneEnded) }
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
        secret: config.store.secret.clone(),
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

/// What deliveries are made of.
struct Delivery<'a> {
    config: &'a Config,
    store: &'a Arc<dyn Store>,
    metrics: &'a Arc<Metrics>,
    notifier: &'a Notifier,
    clock: &'a Clock,
}

impl Delivery<'_> {
    /// What makes the leads of each destination.
    fn lanes(&self) -> Result<Vec<Arc<Lane>>, StartError> {
        let lane = |(id, destination): (&DestinationId, &Destination)| {
            let (hosts, composer) = sender(self.config, id, destination)
                .map_err(|error| StartError::Destination(id.clone(), error))?;
            let lane = Lane::new(
                id.clone(),
                destination,
                hosts,
                composer,
                Arc::clone(self.store),
                Arc::clone(self.metrics),
                self.clock.clone(),
            );
            Ok(Arc::new(lane.notifying(self.notifier.clone())))
        };
        self.config.destinations.iter().map(lane).collect()
    }

    /// What fetches the leads of each destination that platforms give notice of.
    fn runners(&self, sources: &Sources) -> Result<Vec<Arc<Runner>>, StartError> {
        let watcher = Arc::new(self.notifier.clone());
        let enricher = Enricher::new(sources, self.metrics, self.clock.clone(), watcher)?;
        let enricher = Arc::new(enricher);
        let runner = |(id, destination): (&DestinationId, &Destination)| {
            Arc::new(Runner::new(
                id.clone(),
                destination.retry,
                Arc::clone(&enricher),
                Arc::clone(self.store),
                Arc::clone(self.metrics),
                self.notifier.clone(),
                self.clock.clone(),
            ))
        };
        Ok(self.config.destinations.iter().map(runner).collect())
    }
}

/// What a source that compiles would still fail at the start with: key and problem.
fn unstartable(id: &SourceId, settings: &config::Source, source: Source) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let alone = Sources::from([(id.clone(), Arc::new(source))]);
    let watcher = Arc::new(Notifier::default());
    if let Err(error) =
        Enricher::new(&alone, &Arc::new(Metrics::default()), Clock::system(), watcher)
    {
        problems.push((format!("sources.{id}"), error.to_string()));
    }
    if let Some(Err(error)) = settings.challenge.as_ref().map(Challenge::new) {
        problems.push((format!("sources.{id}.challenge"), error.to_string()));
    }
    problems
}

/// What one destination's lane sends with, or why it cannot.
fn sender(
    config: &Config,
    id: &DestinationId,
    destination: &Destination,
) -> Result<(Hosts, Composer), String> {
    let client = Client::new(destination).map_err(|error| error.to_string())?;
    let standby = client.standby(destination).map_err(|error| error.to_string())?;
    let hosts = Hosts::new(client, standby, destination.breaker.probe_every);
    let sources = config.sources.iter().filter(|(_, source)| source.destination == *id);
    let composer = Composer::new(destination, sources, config.phone.output)
        .map_err(|error| error.to_string())?;
    Ok((hosts, composer))
}

/// A listener at work, and the task that drives it.
struct Running {
    handle: ServerHandle,
    task: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Stops accepting; waits for what is under way when asked to.
    async fn stop(self, graceful: bool) {
        self.handle.stop(graceful).await;
        if let Ok(Err(error)) = self.task.await {
            tracing::error!(%error, "a listener ended badly");
        }
    }
}

fn serve(
    listener: TcpListener,
    threads: usize,
    grace: Duration,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Running> {
    let server: Server = HttpServer::new(move || ActixApp::new().configure(routes.clone()))
        .workers(threads)
        .max_connections(CONNECTIONS_MAX)
        .client_request_timeout(HEADER_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(grace.as_secs().max(1))
        .disable_signals()
        .listen(listener)?
        .run();
    Ok(Running { handle: server.handle(), task: tokio::spawn(server) })
}

/// What has to be looked after now and then.
async fn housekeep(
    store: Arc<dyn Store>,
    intake: Arc<Intake>,
    retention: Retention,
    clock: Clock,
    mut stopping: watch::Receiver<bool>,
) {
    let mut leases = tokio::time::interval(LEASE_LOOK);
    let mut sweeps = tokio::time::interval(HOUSEKEEPING);
    // A store that is away is told of once.
    let mut in_trouble = false;
    loop {
        let done = tokio::select! {
            biased;
            () = async { let _ = stopping.wait_for(|stop| *stop).await; } => return,
            _ = leases.tick() => store.expire_leases(clock.now()).await.map(|expired| {
                if expired > 0 {
                    tracing::warn!(expired, "leases ran out: their leads may have been sent");
                }
            }),
            _ = sweeps.tick() => {
                intake.housekeep();
                sweep(&*store, &retention, &clock).await
            }
        };
        match done {
            Ok(()) => in_trouble = false,
            Err(error) if !in_trouble => {
                in_trouble = true;
                tracing::error!(%error, "housekeeping failed; it is tried again");
            }
            Err(_) => {}
        }
    }
}

async fn sweep(store: &dyn Store, retention: &Retention, clock: &Clock) -> Result<(), StoreError> {
    for _ in 0..SWEEPS_MAX {
        if store.sweep(clock.now(), retention, SWEEP_BATCH).await? == 0 {
            break;
        }
    }
    Ok(())
}
