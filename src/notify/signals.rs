//! What of a gateway tells the operator how things went: started, changed and stopped as one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::silence::Wanted;
use super::{Desk, Notifier, OpenError, Post, Silence};
use crate::config::{Config, Notify, NotifyEvent};
use crate::lead::{Clock, SourceId};
use crate::store::Store;
use crate::telemetry::Metrics;

/// What the signals of a `[notify]` that is there no more have left.
const LAST_CHANCE: Duration = Duration::from_secs(3);

/// What a configuration asks of the signals, ready to be begun.
pub struct Plan {
    settings: Notify,
    post: Arc<Post>,
    wanted: Wanted,
}

impl Plan {
    /// What `config` asks for; `None` where it has no `[notify]`.
    ///
    /// # Errors
    /// TLS that cannot be set up.
    pub fn of(config: &Config) -> Result<Option<Self>, OpenError> {
        let Some(settings) = &config.notify else { return Ok(None) };
        let is_wanted = settings.events.contains(&NotifyEvent::SourceSilent);
        let sources: BTreeSet<SourceId> = config.sources.keys().cloned().collect();
        let wanted = Wanted { sources, after: settings.silent_after.filter(|_| is_wanted) };
        let post = Arc::new(Post::new(settings)?);
        Ok(Some(Self { settings: settings.clone(), post, wanted }))
    }
}

/// The signals of a process, whether its configuration asks for any or not.
pub struct Signals {
    notifier: Notifier,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    clock: Clock,
    stopping: watch::Receiver<bool>,
    running: Option<Running>,
    /// Couriers of configurations that asked for signals once.
    ending: JoinSet<()>,
}

/// The courier at work, and what looks for silent sources.
struct Running {
    post: Arc<ArcSwap<Post>>,
    wanted: watch::Sender<Wanted>,
    close: watch::Sender<Option<Duration>>,
    courier: JoinHandle<()>,
    silence: JoinHandle<()>,
}

impl Signals {
    /// None yet. What `notifier` and its clones are told goes nowhere until a plan is followed.
    pub fn new(
        notifier: Notifier,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        clock: Clock,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let (running, ending) = (None, JoinSet::new());
        Self { notifier, store, metrics, clock, stopping, running, ending }
    }

    /// Does what a configuration asks for from now on. What waits to be posted goes on waiting, and
    /// is posted as the new one says; where that wants no signals, it has a few seconds.
    pub fn follow(&mut self, plan: Option<&Plan>) {
        while self.ending.try_join_next().is_some() {}
        match (plan, self.running.take()) {
            (None, None) => {}
            (None, Some(running)) => {
                self.notifier.0.store(None);
                self.ending.spawn(running.stop(LAST_CHANCE));
            }
            (Some(plan), Some(running)) => {
                running.post.store(Arc::clone(&plan.post));
                running.wanted.send_replace(plan.wanted.clone());
                let before = self.notifier.0.load_full();
                let desk = before.map(|desk| desk.wanting(&plan.settings));
                self.notifier.0.store(desk.map(Arc::new));
                self.running = Some(running);
            }
            (Some(plan), None) => self.running = Some(self.start(plan)),
        }
    }

    fn start(&self, plan: &Plan) -> Running {
        let post = Arc::new(ArcSwap::from(Arc::clone(&plan.post)));
        let (metrics, clock) = (Arc::clone(&self.metrics), self.clock.clone());
        let (desk, courier) = Desk::open(&plan.settings, Arc::clone(&post), metrics, clock);
        self.notifier.0.store(Some(Arc::new(desk)));
        let silence = Silence::new(
            Arc::clone(&self.store),
            self.notifier.clone(),
            [],
            plan.wanted.after.unwrap_or_default(),
            self.clock.clone(),
        );
        let (wanted, watched) = watch::channel(plan.wanted.clone());
        let (close, closing) = watch::channel(None);
        Running {
            post,
            wanted,
            close,
            courier: tokio::spawn(courier.run(closing)),
            silence: tokio::spawn(silence.run(watched, self.stopping.clone())),
        }
    }

    /// Ends them, after whoever has something to tell has ended; what waits has `chance` to be
    /// delivered.
    pub async fn stop(mut self, chance: Duration) {
        if let Some(running) = self.running.take() {
            running.stop(chance).await;
        }
        let ended = async { while self.ending.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(chance, ended).await;
    }
}

impl Running {
    async fn stop(self, chance: Duration) {
        self.silence.abort(); // it writes nothing, and may wait for a store that is away
        let _ = self.silence.await;
        let _ = self.close.send(Some(chance));
        if self.courier.await.is_err() {
            tracing::error!("what posts outcome signals ended badly");
        }
    }
}
