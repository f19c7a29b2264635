//! What of a gateway tells the operator how things went: wired, started and stopped as one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Courier, Notifier, OpenError, Silence, open};
use crate::config::{Config, NotifyEvent};
use crate::lead::Clock;
use crate::store::Store;
use crate::telemetry::Metrics;

/// The courier, and what looks for silent sources, where that is wanted.
pub struct Signals {
    courier: Courier,
    silence: Option<Silence>,
}

impl Signals {
    /// What `[notify]` asks for. Without it the notifier tells nothing, and there is nothing to
    /// start.
    ///
    /// # Errors
    /// TLS that cannot be set up.
    pub fn open(
        config: &Config,
        store: &Arc<dyn Store>,
        metrics: &Arc<Metrics>,
        clock: &Clock,
    ) -> Result<(Notifier, Option<Self>), OpenError> {
        let Some(settings) = &config.notify else { return Ok((Notifier::default(), None)) };
        let (notifier, courier) = open(settings, Arc::clone(metrics), clock.clone())?;
        let is_wanted = settings.events.contains(&NotifyEvent::SourceSilent);
        let silence = settings.silent_after.filter(|_| is_wanted).map(|after| {
            let sources = config.sources.keys().cloned();
            Silence::new(Arc::clone(store), notifier.clone(), sources, after, clock.clone())
        });
        Ok((notifier, Some(Self { courier, silence })))
    }

    /// Begins to post, and to look until `stopping` turns true.
    pub fn start(self, stopping: watch::Receiver<bool>) -> RunningSignals {
        let (close, closing) = watch::channel(None);
        let silence = self.silence.map(|silence| tokio::spawn(silence.run(stopping)));
        RunningSignals { close, courier: tokio::spawn(self.courier.run(closing)), silence }
    }
}

/// [`Signals`] at work.
pub struct RunningSignals {
    close: watch::Sender<Option<Duration>>,
    courier: JoinHandle<()>,
    silence: Option<JoinHandle<()>>,
}

impl RunningSignals {
    /// Ends them, after whoever has something to tell has ended; what waits has `chance` to be
    /// delivered.
    pub async fn stop(self, chance: Duration) {
        if let Some(silence) = self.silence {
            silence.abort(); // it writes nothing, and may wait for a store that is away
            let _ = silence.await;
        }
        let _ = self.close.send(Some(chance));
        if self.courier.await.is_err() {
            tracing::error!("what posts outcome signals ended badly");
        }
    }
}
