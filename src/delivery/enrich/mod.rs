//! Fetching what a platform has only given a notice of: never while the platform waits, at a pace of
//! its own, and with what each refusal means as the preset says.

mod call;
mod gate;
mod lookups;
mod runner;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use self::call::{Called, Caller};
use self::gate::{Entry, Gate, Verdict};
use self::lookups::Lookups;
pub use self::runner::Runner;
use self::tokens::Tokens;
use crate::lead::{Clock, RawBody, SourceId, Timestamp};
use crate::notify::Notifier;
use crate::preset::{Enrich, Fetch, Remedy};
use crate::source::{Kept, Source, Sources, element_of};
use crate::telemetry::Metrics;

/// How often what may be there a little later, or never, is asked for.
const FEW: u32 = 5;

/// A source that is not configured any more may be again.
const UNKNOWN_SOURCE: Duration = Duration::from_secs(600);

/// What came of fetching what one notice speaks of. No `why` holds a person's data, or a token.
#[derive(Debug)]
pub enum Fetched {
    /// Everything is there: what is to be stored in place of the notice.
    Whole(Box<Kept>),
    /// Not this time; to be tried again. Spends an attempt.
    Again {
        /// Why, in words.
        why: String,
    },
    /// Not now, and not the notice's fault: the platform has asked for silence. Spends no attempt.
    Wait {
        /// How long.
        length: Duration,
        /// Why, in words.
        why: String,
    },
    /// Not until a person has mended something, a token or a permission. Spends no attempt.
    Stopped {
        /// When it is worth asking again.
        length: Duration,
        /// Why, in words.
        why: String,
    },
    /// The platform does not give it out: to be kept for a person to look at.
    Hidden {
        /// Why, in words.
        why: String,
    },
}

/// How fetching stands for a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing can be fetched until a person has mended something.
    Stopped {
        /// Why, in words.
        why: String,
        /// When it is looked whether it works again.
        until: Timestamp,
    },
    /// It works again.
    Resumed,
}

/// Who is told when fetching stops and when it goes on. Called at once, so it must not wait.
pub trait Watcher: Send + Sync {
    /// It stands so for `source` since `at`; told once for each change.
    fn changed(&self, source: &SourceId, standing: &Standing, at: Timestamp);
}

impl Watcher for Notifier {
    fn changed(&self, source: &SourceId, standing: &Standing, at: Timestamp) {
        match standing {
            Standing::Stopped { why, until } => {
                tracing::error!(%source, why, "leads cannot be fetched until somebody mends it");
                self.source_stopped(source, why, *until, at);
            }
            Standing::Resumed => {
                tracing::info!(%source, "leads are fetched again");
                self.source_resumed(source, at);
            }
        }
    }
}

/// Why nothing can be fetched with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum EnrichError {
    /// TLS or the HTTP client could not be set up.
    #[error("could not set up the HTTP client: {0}")]
    Setup(String),
    /// A token cannot be a header's value.
    #[error("sources.{source_id}.secrets.{name}: a token must be printable ASCII and not empty")]
    Token {
        /// The source.
        source_id: SourceId,
        /// The secret's name.
        name: String,
    },
}

/// What fetches for every source whose preset has `[enrich]`.
pub struct Enricher {
    desks: HashMap<SourceId, Desk>,
    clock: Clock,
    watcher: Arc<dyn Watcher>,
}

/// One source, and how it stands with its platform.
struct Desk {
    source: Arc<Source>,
    caller: Caller,
    gate: Gate,
    tokens: Tokens,
    lookups: Lookups,
}

impl Enricher {
    /// A fetcher for `sources`. Opens no connection yet.
    ///
    /// # Errors
    /// A token that cannot be sent, or TLS that cannot be set up.
    pub fn new(
        sources: &Sources,
        metrics: &Arc<Metrics>,
        clock: Clock,
        watcher: Arc<dyn Watcher>,
    ) -> Result<Self, EnrichError> {
        let mut desks = HashMap::new();
        let http = call::http_client()?;
        for (id, source) in sources {
            let Some(enrich) = &source.preset.enrich else { continue };
            let desk = Desk {
                source: Arc::clone(source),
                caller: Caller::new(http.clone(), id.clone(), Arc::clone(metrics)),
                gate: Gate::new(enrich.per_second),
                tokens: Tokens::new(id, &enrich.secret, &source.secrets)?,
                lookups: Lookups::default(),
            };
            desks.insert(id.clone(), desk);
        }
        Ok(Self { desks, clock, watcher })
    }

    /// Whether there is any source to fetch for.
    pub fn is_idle(&self) -> bool {
        self.desks.is_empty()
    }

    /// Fetches what `notice` speaks of, an element as [`crate::source::element_body`] makes it, after
    /// `attempts` that were spent on it. Asks nothing while the source's gate is closed. Takes as
    /// long as its requests do: at most the preset's timeout for each, and a few seconds of pace.
    pub async fn fetch(&self, source: &SourceId, notice: &RawBody, attempts: u32) -> Fetched {
        let Some(desk) = self.desks.get(source) else {
            let why = "its source is not configured, or fetches nothing any more".to_owned();
            return Fetched::Wait { length: UNKNOWN_SOURCE, why };
        };
        let Some(enrich) = &desk.source.preset.enrich else {
            return hidden("its preset fetches nothing");
        };
        let Some(element) = element_of(notice) else {
            return hidden("the notice cannot be read");
        };
        let errand = Errand { desk, enrich, clock: &self.clock, watcher: &*self.watcher, attempts };
        match errand.run(element).await {
            Ok(whole) => Fetched::Whole(Box::new(desk.source.read_itself(whole))),
            Err(end) => end,
        }
    }
}

fn hidden(why: &str) -> Fetched {
    Fetched::Hidden { why: why.to_owned() }
}

/// Why there is no document.
struct Setback {
    remedy: Remedy,
    why: String,
    /// How long the platform asks to wait.
    wait: Option<Duration>,
}

impl Setback {
    /// Whether another token may bring the document.
    fn is_about_token(&self) -> bool {
        matches!(self.remedy, Remedy::Alert | Remedy::FewThenPark)
    }
}

/// One notice's way.
struct Errand<'a> {
    desk: &'a Desk,
    enrich: &'a Enrich,
    clock: &'a Clock,
    watcher: &'a dyn Watcher,
    attempts: u32,
}

impl Errand<'_> {
    /// The element with everything beside it that was missing.
    async fn run(&self, mut element: Value) -> Result<Value, Fetched> {
        let whose = self.enrich.select_by.as_ref().and_then(|path| path.text(&element));
        let whose = whose.map(|text| text.into_owned()).unwrap_or_default();
        for fetch in &self.enrich.fetch {
            if element.get(&fetch.name).is_some_and(Value::is_object) {
                continue;
            }
            let document = self.document(fetch, &element, &whose).await?;
            match &mut element {
                Value::Object(map) => map.insert(fetch.name.clone(), document),
                _ => return Err(hidden("the notice is no object")),
            };
        }
        Ok(element)
    }

    async fn document(
        &self,
        fetch: &Fetch,
        element: &Value,
        whose: &str,
    ) -> Result<Value, Fetched> {
        let Some(address) = fetch.address(element, self.desk.source.api_base.as_ref()) else {
            return Err(hidden(&format!("{}: nothing says where it is", fetch.name)));
        };
        if fetch.cache().is_some()
            && let Some(known) = self.desk.lookups.get(address.as_str(), self.clock.now())
        {
            return Ok(known);
        }
        let mut errand: Option<(Entry, Setback)> = None;
        for token in self.desk.tokens.for_whom(whose) {
            let entry = match &errand {
                None => self.enter(whose).await?,
                Some((entry, _)) => self.enter_again(*entry).await,
            };
            let header = self.desk.tokens.header(token);
            let setback = match self.desk.caller.call(&address, header, self.enrich).await {
                Called::Document(document) => {
                    self.settle(whose, entry, Verdict::Open, &fetch.name);
                    self.desk.tokens.works(whose, token);
                    if let Some(length) = fetch.cache() {
                        let until = self.clock.now().plus(length);
                        self.desk.lookups.put(address.into(), &document, until);
                    }
                    return Ok(document);
                }
                Called::Refused { refused, wait } => {
                    let why = format!("{}: {}", fetch.name, refused.told);
                    Setback { remedy: refused.remedy, why, wait }
                }
                Called::NoAnswer(why) => {
                    let why = format!("{}: {why}", fetch.name);
                    Setback { remedy: Remedy::Retry, why, wait: None }
                }
            };
            let is_about_token = setback.is_about_token();
            // A person is told of a token that does not work, whatever the others say.
            let worst = match errand {
                Some((_, before)) if is_about_token && before.remedy == Remedy::Alert => before,
                _ => setback,
            };
            errand = Some((entry, worst));
            // Another Page's token is told that there is no such lead, or that it may not see it.
            if !is_about_token || self.desk.tokens.is_known(whose, token) {
                break;
            }
        }
        Err(match errand {
            Some((entry, setback)) => self.end(whose, entry, setback),
            None => hidden("there is no token to fetch it with"),
        })
    }

    /// Waits for the next place in the source's pace, if its gate is open.
    async fn enter(&self, whose: &str) -> Result<Entry, Fetched> {
        let entry = self.desk.gate.enter(whose, self.clock.now()).map_err(|shut| {
            let (length, why) = (shut.length, shut.why);
            if shut.is_stop {
                Fetched::Stopped { length, why }
            } else {
                Fetched::Wait { length, why }
            }
        })?;
        self.clock.sleep_until(entry.place).await;
        Ok(entry)
    }

    /// The next place for the same question with another token.
    async fn enter_again(&self, entry: Entry) -> Entry {
        let entry = self.desk.gate.again(entry, self.clock.now());
        self.clock.sleep_until(entry.place).await;
        entry
    }

    /// What becomes of the notice, and of the gate.
    fn end(&self, whose: &str, entry: Entry, setback: Setback) -> Fetched {
        let Setback { remedy, why, wait } = setback;
        let verdict = match remedy {
            Remedy::Retry => Verdict::Unsure,
            Remedy::Backoff => Verdict::Wait(wait),
            Remedy::Alert => Verdict::Stop,
            Remedy::FewThenPark | Remedy::Park => Verdict::Open,
        };
        let length = self.settle(whose, entry, verdict, &why);
        match remedy {
            Remedy::Retry => Fetched::Again { why },
            Remedy::FewThenPark if self.attempts + 1 < FEW => Fetched::Again { why },
            Remedy::Backoff => Fetched::Wait { length, why },
            Remedy::Alert => Fetched::Stopped { length, why },
            Remedy::FewThenPark | Remedy::Park => Fetched::Hidden { why },
        }
    }

    /// Moves the gate and tells who watches; for how long it is closed.
    fn settle(&self, whose: &str, entry: Entry, verdict: Verdict, why: &str) -> Duration {
        let now = self.clock.now();
        let (length, standing) = self.desk.gate.settle(whose, entry, verdict, why, now);
        if let Some(standing) = standing {
            self.watcher.changed(&self.desk.source.id, &standing, now);
        }
        length
    }
}
