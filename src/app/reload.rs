//! The configuration read anew: when that is asked for, and when its file has changed. It is in force
//! whole or not at all.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::arrangement::{Arrangement, Lasting};
use super::configuration::ConfigurationFile;
use crate::config::{Fault, Faults, Loaded, keep_fixed};

/// How often the files are looked at. A change is read at the second look that finds it, and kubelet
/// itself takes a minute to bring one.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Faults of one reading that have a line in the log; `leadgate check` names them all.
const TOLD_MAX: usize = 20;

/// An arrangement that is to be in force, and who waits until it is.
pub(super) type Change = (Arc<Arrangement>, oneshot::Sender<()>);

/// What reads the configuration anew.
pub(super) struct Reloads {
    /// Where it is read from; a gateway without a configuration has none.
    file: Option<ConfigurationFile>,
    lasting: Arc<Lasting>,
    /// In force.
    arrangement: Arc<Arrangement>,
    changes: mpsc::Sender<Change>,
}

/// What a reading has come to.
struct Read {
    arrangement: Arrangement,
    warnings: Vec<Fault>,
    /// What only a restart applies.
    kept: Vec<Fault>,
}

impl Reloads {
    /// Nothing is read before [`Reloads::run`]; what is made of it comes out of the receiver.
    pub(super) fn new(
        file: Option<ConfigurationFile>,
        lasting: Arc<Lasting>,
        arrangement: Arc<Arrangement>,
    ) -> (Self, mpsc::Receiver<Change>) {
        let (changes, receiver) = mpsc::channel(1);
        (Self { file, lasting, arrangement, changes }, receiver)
    }

    /// Reads whenever `asked` says so or a file has changed, one reading after the other, until
    /// nobody takes what is made of it.
    pub(super) async fn run(mut self, asked: Arc<Notify>) {
        let now = self.lasting.clock.now();
        self.lasting.metrics.configured(now, 0);
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.changes.is_closed() {
            let reason = tokio::select! {
                biased;
                () = asked.notified() => "it was asked for",
                _ = looks.tick() => match self.has_changed().await {
                    true => "its file has changed",
                    false => continue,
                },
            };
            if self.file.is_none() {
                tracing::warn!("this gateway has no configuration file to read anew");
                continue;
            }
            match self.read().await {
                Ok(read) => self.put_in_force(read, reason).await,
                Err(faults) => {
                    self.lasting.metrics.configuration_refused();
                    refuse(&faults, reason);
                }
            }
        }
    }

    async fn has_changed(&mut self) -> bool {
        self.with_file(ConfigurationFile::has_changed).await.unwrap_or(false)
    }

    /// Files block, and a thousand sources take a moment.
    async fn read(&mut self) -> Result<Read, Faults> {
        let (lasting, before) = (Arc::clone(&self.lasting), Arc::clone(&self.arrangement));
        let read = self.with_file(move |file| arranged(&lasting, file.read()?, &before)).await;
        read.unwrap_or_else(|| Err(broken()))
    }

    /// Does something with the file on a thread that may block. `None` where there is no file, or a
    /// fault of this program has ended it.
    async fn with_file<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut ConfigurationFile) -> T + Send + 'static,
    ) -> Option<T> {
        let mut file = self.file.take()?;
        let path = file.path();
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&mut file);
            (file, done)
        });
        match done.await {
            Ok((file, done)) => {
                self.file = Some(file);
                Some(done)
            }
            Err(_) => {
                self.file = Some(ConfigurationFile::at(path));
                None
            }
        }
    }

    async fn put_in_force(&mut self, read: Read, reason: &'static str) {
        let Read { arrangement, warnings, kept } = read;
        let arrangement = Arc::new(arrangement);
        let (done, is_done) = oneshot::channel();
        if self.changes.send((Arc::clone(&arrangement), done)).await.is_err()
            || is_done.await.is_err()
        {
            return; // the gateway stops
        }
        self.lasting.metrics.configured(self.lasting.clock.now(), kept.len());
        for warning in &warnings {
            tracing::warn!(%warning, "the configuration may not do what it says");
        }
        for key in &kept {
            tracing::warn!(
                file = key.file,
                line = key.line,
                key = key.key,
                "this needs a restart: until then it stays as it was"
            );
        }
        let (sources, destinations) =
            (arrangement.config.sources.len(), arrangement.config.destinations.len());
        tracing::info!(reason, sources, destinations, "the configuration was read anew");
        self.arrangement = arrangement;
    }
}

/// Makes what `loaded` asks for, but for what only a restart applies.
fn arranged(lasting: &Lasting, loaded: Loaded, before: &Arrangement) -> Result<Read, Faults> {
    let Loaded { mut config, warnings, places } = loaded;
    let kept = keep_fixed(&before.config, &mut config);
    let kept = kept.into_iter().map(|key| places.fault(key, "it needs a restart", "")).collect();
    match Arrangement::make(lasting, config, Some(before)) {
        Ok(arrangement) => Ok(Read { arrangement, warnings, kept }),
        Err(error) => Err(Faults(vec![places.fault("", error.to_string(), "")])),
    }
}

/// Says why what was read is not in force, each fault by itself.
fn refuse(faults: &Faults, reason: &'static str) {
    for fault in faults.0.iter().take(TOLD_MAX) {
        let Fault { file, line, column, key, problem, advice } = fault;
        tracing::error!(file, line, column, key, problem, advice, "a fault in the configuration");
    }
    tracing::error!(
        reason,
        faults = faults.0.len(),
        "the configuration was not taken: the one before stays in force"
    );
}

fn broken() -> Faults {
    let problem = "reading it broke off by a fault of this program".to_owned();
    let nowhere = String::new;
    Faults(vec![Fault {
        file: nowhere(),
        line: None,
        column: None,
        key: nowhere(),
        problem,
        advice: nowhere(),
    }])
}
