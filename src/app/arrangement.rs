//! Everything that is made of one configuration, put together before any of it is in force.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::StartError;
use super::deliveries::Delivery;
use crate::config::Config;
use crate::console::{self, Console, Heard, Outlet, Pages};
use crate::delivery::enrich::Enricher;
use crate::intake::{self, Intake};
use crate::lead::{Clock, DestinationId};
use crate::notify::{Notifier, Plan};
use crate::source::{Source, Sources};
use crate::store::changes::Changes;
use crate::store::{Retention, Store};
use crate::telemetry::Metrics;

/// What lasts as long as the process, whatever its configuration says.
pub(super) struct Lasting {
    pub(super) store: Arc<dyn Store>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
    /// Its clones tell whoever the configuration in force names.
    pub(super) notifier: Notifier,
    pub(super) changes: Changes,
    pub(super) draining: Arc<AtomicBool>,
    /// The enricher in force, which runners ask with.
    pub(super) enricher: Arc<ArcSwap<Enricher>>,
    intake: Arc<intake::Shared>,
    pages: Arc<Pages>,
    heard: Arc<Heard>,
    counting: Arc<Semaphore>,
    /// Where the configuration names none.
    admin_token: SecretString,
    takes_submissions: bool,
    delivers: bool,
}

impl Lasting {
    pub(super) fn new(
        store: Arc<dyn Store>,
        changes: Changes,
        surroundings: &super::Surroundings,
    ) -> Result<Self, StartError> {
        let (metrics, clock) = (Arc::clone(&surroundings.metrics), surroundings.clock.clone());
        if surroundings.public.is_some() {
            metrics.runs("intake");
        }
        if surroundings.delivers {
            metrics.runs("delivery");
        }
        let draining = Arc::<AtomicBool>::default();
        let notifier = Notifier::default();
        let watcher = Arc::new(notifier.clone());
        let nothing = Enricher::new(&Sources::new(), &metrics, clock.clone(), watcher, None)?;
        Ok(Self {
            intake: Arc::new(intake::Shared::new(
                surroundings.sample_form,
                Arc::clone(&store),
                Arc::clone(&metrics),
                clock.clone(),
                Arc::clone(&draining),
            )),
            store,
            metrics,
            clock,
            notifier,
            changes,
            draining,
            enricher: Arc::new(ArcSwap::from_pointee(nothing)),
            pages: Arc::default(),
            heard: Arc::default(),
            counting: Arc::new(Semaphore::new(1)),
            admin_token: surroundings.admin_token.clone(),
            takes_submissions: surroundings.public.is_some(),
            delivers: surroundings.delivers,
        })
    }
}

/// What a configuration comes to. Never changed: another one takes its place.
pub(super) struct Arrangement {
    /// What it is made of.
    pub(super) config: Config,
    pub(super) intake: Arc<Intake>,
    pub(super) console: Arc<Console>,
    pub(super) enricher: Arc<Enricher>,
    pub(super) deliveries: BTreeMap<DestinationId, Delivery>,
    pub(super) signals: Option<Plan>,
}

impl Arrangement {
    /// Makes everything that `config` asks for, and touches nothing that is at work: should some of it
    /// fail, nothing has happened. What is the same as `before` is taken over.
    ///
    /// # Errors
    /// What cannot be made.
    pub(super) fn make(
        lasting: &Lasting,
        config: Config,
        before: Option<&Self>,
    ) -> Result<Self, StartError> {
        let sources = Source::compile_all(&config)?;
        let intake = Intake::new(
            &config,
            &sources,
            Arc::clone(&lasting.intake),
            before.map(|before| &*before.intake),
        )?;
        let (fetched, destinations, signals) = if lasting.delivers {
            (sources.clone(), config.destinations.clone(), Plan::of(&config)?)
        } else {
            (Sources::new(), BTreeMap::new(), None)
        };
        let watcher = Arc::new(lasting.notifier.clone());
        let enricher = Enricher::new(
            &fetched,
            &lasting.metrics,
            lasting.clock.clone(),
            watcher,
            before.map(|before| &*before.enricher),
        )?;
        let delivery = |(id, destination)| {
            let before = before.and_then(|before| before.deliveries.get(id));
            let made = Delivery::make(lasting, &config, id, destination, before)?;
            Ok((id.clone(), made))
        };
        let deliveries =
            destinations.iter().map(delivery).collect::<Result<BTreeMap<_, _>, StartError>>()?;
        let intake = Arc::new(intake);
        let outlets = config.destinations.iter();
        let outlets = outlets.map(|(id, destination)| (id.clone(), Outlet::from(destination)));
        let console = Console {
            token: config.admin.token.clone().unwrap_or_else(|| lasting.admin_token.clone()),
            region: config.phone.default_region.clone(),
            server: config.server.clone(),
            sources,
            store: Arc::clone(&lasting.store),
            lanes: deliveries.values().map(|delivery| Arc::clone(&delivery.lane)).collect(),
            destinations: outlets.collect(),
            intake: lasting.takes_submissions.then(|| Arc::clone(&intake)),
            silent_after: console::silent_after(&config),
            notifier: lasting.notifier.clone(),
            counting: Arc::clone(&lasting.counting),
            changes: lasting.changes.clone(),
            heard: Arc::clone(&lasting.heard),
            pages: Arc::clone(&lasting.pages),
            metrics: Arc::clone(&lasting.metrics),
            clock: lasting.clock.clone(),
            draining: Arc::clone(&lasting.draining),
        };
        Ok(Self {
            intake,
            console: Arc::new(console),
            enricher: Arc::new(enricher),
            deliveries,
            signals,
            config,
        })
    }

    /// How long records are kept.
    pub(super) fn retention(&self) -> Retention {
        Retention(self.config.store.retention.clone())
    }
}
