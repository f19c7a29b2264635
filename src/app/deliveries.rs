//! What is delivered to which destination: made of the configuration, and at work.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::StartError;
use super::arrangement::Lasting;
use crate::caresoft::Client;
use crate::config::{Config, Destination, LeadSettings, PhoneOutput};
use crate::delivery::enrich::Runner;
use crate::delivery::{Composer, Hosts, LANE_STATES, Lane};
use crate::lead::{DestinationId, SourceId};
use crate::store::Store;
use crate::telemetry::Metrics;

/// A store that does not say within this how many leads wait is not asked again.
const DEPTH_TIMEOUT: Duration = Duration::from_secs(5);

/// What makes the leads of one destination, and what fetches those that platforms give notice of.
pub(super) struct Delivery {
    settings: Settings,
    pub(super) lane: Arc<Lane>,
    runner: Arc<Runner>,
}

/// Everything of a configuration that a lane is made of.
#[derive(PartialEq)]
struct Settings {
    destination: Destination,
    sources: BTreeMap<SourceId, LeadSettings>,
    output: PhoneOutput,
}

impl Settings {
    fn of(config: &Config, id: &DestinationId, destination: &Destination) -> Self {
        let sources = config.sources.iter().filter(|(_, source)| source.destination == *id);
        Self {
            destination: destination.clone(),
            sources: sources.map(|(id, source)| (id.clone(), source.lead.clone())).collect(),
            output: config.phone.output,
        }
    }

    fn has_account_of(&self, other: &Self) -> bool {
        let account = |settings: &Self| {
            let Destination { base_url, domain, .. } = &settings.destination;
            (base_url.clone(), domain.clone())
        };
        account(self) == account(other)
    }
}

impl Delivery {
    /// The delivery to `id`. What is the same as `before` goes on as it is.
    pub(super) fn make(
        lasting: &Lasting,
        config: &Config,
        id: &DestinationId,
        destination: &Destination,
        before: Option<&Self>,
    ) -> Result<Self, StartError> {
        let settings = Settings::of(config, id, destination);
        let lane = match before.filter(|before| before.settings == settings) {
            Some(before) => Arc::clone(&before.lane),
            None => {
                let (hosts, composer) = sender(config, id, destination)
                    .map_err(|error| StartError::Destination(id.clone(), error))?;
                let store = Arc::clone(&lasting.store);
                let (metrics, clock) = (Arc::clone(&lasting.metrics), lasting.clock.clone());
                let lane =
                    Lane::new(id.clone(), destination, hosts, composer, store, metrics, clock)
                        .notifying(lasting.notifier.clone());
                Arc::new(match before {
                    Some(before) => {
                        let same_account = before.settings.has_account_of(&settings);
                        lane.in_place_of(&before.lane, same_account)
                    }
                    None => lane,
                })
            }
        };
        let same_retry =
            |before: &&Self| before.settings.destination.retry == settings.destination.retry;
        let runner = match before.filter(same_retry) {
            Some(before) => Arc::clone(&before.runner),
            None => Arc::new(Runner::new(
                id.clone(),
                destination.retry,
                Arc::clone(&lasting.enricher),
                Arc::clone(&lasting.store),
                Arc::clone(&lasting.metrics),
                lasting.notifier.clone(),
                lasting.clock.clone(),
            )),
        };
        Ok(Self { settings, lane, runner })
    }
}

/// What one destination's lane sends with, or why it cannot.
pub(super) fn sender(
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

/// The deliveries at work.
pub(super) struct Deliveries {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    lanes: BTreeMap<DestinationId, At<Lane>>,
    runners: BTreeMap<DestinationId, At<Runner>>,
    /// Each answers whether it was told to end.
    tasks: JoinSet<bool>,
}

/// One of them, and how it is told to end.
struct At<T> {
    work: Arc<T>,
    stop: watch::Sender<bool>,
    /// Nobody goes on with its work.
    is_removed: Arc<AtomicBool>,
}

impl Deliveries {
    /// None is at work yet.
    pub(super) fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        let (lanes, runners) = (BTreeMap::new(), BTreeMap::new());
        Self { store, metrics, lanes, runners, tasks: JoinSet::new() }
    }

    /// Lets these be at work and no others. Whatever is replaced or gone finishes what it has begun
    /// and hands the rest back, while its successor begins: they keep one pace, which the store
    /// gives out.
    pub(super) fn follow(&mut self, wanted: &BTreeMap<DestinationId, Delivery>) {
        let lanes = wanted.iter().map(|(id, delivery)| (id, &delivery.lane)).collect();
        retain(&mut self.lanes, &lanes);
        let runners = wanted.iter().map(|(id, delivery)| (id, &delivery.runner)).collect();
        retain(&mut self.runners, &runners);
        for (id, Delivery { lane, runner, .. }) in wanted {
            if !self.lanes.contains_key(id) {
                self.start_lane(id, lane);
            }
            if !self.runners.contains_key(id) {
                let (at, stop) = At::new(runner);
                self.runners.insert(id.clone(), at);
                let runner = Arc::clone(runner);
                self.tasks.spawn(async move {
                    runner.run(stop.clone()).await;
                    *stop.borrow()
                });
            }
        }
    }

    fn start_lane(&mut self, id: &DestinationId, lane: &Arc<Lane>) {
        let (at, stop) = At::new(lane);
        let is_removed = Arc::clone(&at.is_removed);
        self.lanes.insert(id.clone(), at);
        let (id, lane) = (id.clone(), Arc::clone(lane));
        let (store, metrics) = (Arc::clone(&self.store), Arc::clone(&self.metrics));
        self.tasks.spawn(async move {
            lane.run(stop.clone()).await;
            if is_removed.load(Ordering::Relaxed) {
                metrics.forget_lane(&id, &LANE_STATES);
                tell_what_waits(&*store, &id).await;
            }
            *stop.borrow()
        });
    }

    /// Resolves when one has ended that nobody had told to: its leads would lie.
    pub(super) async fn fault(&mut self) {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(true)) => {}
                Some(_) => return,
                None => pending().await,
            }
        }
    }

    /// Tells all of them to end, and waits until they have.
    pub(super) async fn end(&mut self) {
        self.lanes.values().for_each(At::end);
        self.runners.values().for_each(At::end);
        while self.tasks.join_next().await.is_some() {}
    }
}

impl<T> At<T> {
    fn new(work: &Arc<T>) -> (Self, watch::Receiver<bool>) {
        let (stop, stopping) = watch::channel(false);
        (Self { work: Arc::clone(work), stop, is_removed: Arc::default() }, stopping)
    }

    fn end(&self) {
        self.stop.send_replace(true);
    }
}

/// Ends those that are not wanted, or not as they are.
fn retain<T>(
    running: &mut BTreeMap<DestinationId, At<T>>,
    wanted: &BTreeMap<&DestinationId, &Arc<T>>,
) {
    running.retain(|id, at| {
        let next = wanted.get(id);
        let stays = next.is_some_and(|next| Arc::ptr_eq(next, &at.work));
        if !stays {
            at.is_removed.store(next.is_none(), Ordering::Relaxed);
            at.end();
        }
        stays
    });
}

/// Leads of a destination that is gone wait until it is back; nobody else would say so.
async fn tell_what_waits(store: &dyn Store, lane: &DestinationId) {
    let depth = tokio::time::timeout(DEPTH_TIMEOUT, store.depth(lane)).await;
    let Ok(Ok(depth)) = depth else { return };
    let leads = depth.pending + depth.unknown;
    if leads > 0 {
        tracing::warn!(destination = %lane, leads, "leads wait for a destination that is not configured any more");
    }
}
