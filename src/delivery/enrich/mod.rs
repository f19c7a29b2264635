//! Fetching what a platform has only given a notice of: never while the platform waits, at a pace of
//! its own, and with what each refusal means as the preset says.

mod call;
mod experience;
mod gate;
mod lookups;
mod refusals;
mod runner;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use self::call::{Called, Caller};
use self::experience::Experience;
use self::gate::{Entry, Verdict};
pub use self::runner::Runner;
use crate::lead::{Clock, SourceId, Timestamp};
use crate::notify::Notifier;
use crate::preset::{Enrich, Fetch, Remedy};
use crate::source::{Kept, Source, Sources, element_of};
use crate::store::Notice;
use crate::telemetry::Metrics;

/// What may be there a little later, or never, is asked for until its notice is as old as this.
const THERE_WITHIN: Duration = Duration::from_secs(15 * 60);

/// It is asked for again after as long as the notice is old: so the wait doubles, from the one to the
/// other.
const NOT_YET: Duration = Duration::from_secs(30);
const NOT_YET_MAX: Duration = Duration::from_secs(300);

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
        /// When; else by the destination's policy.
        after: Option<Duration>,
    },
    /// Not now, and not the notice's fault: the platform has asked for silence. Spends no attempt.
    Wait {
        /// How long.
        length: Duration,
        /// Why, in words.
        why: String,
    },
    /// Not until a person has mended something, a token or a permission.
    Stopped {
        /// Its own request was refused, which spends an attempt; else it has asked nothing.
        is_own: bool,
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

/// How fetching stands for a source, or for one of those whose tokens it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing can be fetched until a person has mended something.
    Stopped {
        /// For whom, where several have tokens of their own: `page_id 123`.
        whose: Option<String>,
        /// Why, in words.
        why: String,
        /// When it is looked whether it works again.
        until: Timestamp,
    },
    /// It works again.
    Resumed {
        /// For whom, where several have tokens of their own.
        whose: Option<String>,
    },
}

/// Who is told when fetching stops and when it goes on. Called at once, so it must not wait.
pub trait Watcher: Send + Sync {
    /// It stands so for `source` since `at`; told once for each change.
    fn changed(&self, source: &SourceId, standing: &Standing, at: Timestamp);
}

impl Watcher for Notifier {
    fn changed(&self, source: &SourceId, standing: &Standing, at: Timestamp) {
        match standing {
            Standing::Stopped { whose, why, until } => {
                let whose = whose.as_deref();
                tracing::error!(%source, whose, why, "leads cannot be fetched until somebody mends it");
                self.source_stopped(source, whose, why, *until, at);
            }
            Standing::Resumed { whose } => {
                let whose = whose.as_deref();
                tracing::info!(%source, whose, "leads are fetched again");
                self.source_resumed(source, whose, at);
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
    experience: Arc<Experience>,
}

impl Deref for Desk {
    type Target = Experience;

    fn deref(&self) -> &Experience {
        &self.experience
    }
}

impl Enricher {
    /// A fetcher for `sources`. Opens no connection yet. What the one `before` it has learned of a
    /// platform is taken over, as far as it is asked in the same way and with the same tokens.
    ///
    /// # Errors
    /// A token that cannot be sent, or TLS that cannot be set up.
    pub fn new(
        sources: &Sources,
        metrics: &Arc<Metrics>,
        clock: Clock,
        watcher: Arc<dyn Watcher>,
        before: Option<&Self>,
    ) -> Result<Self, EnrichError> {
        let mut desks = HashMap::new();
        let http = call::http_client()?;
        for (id, source) in sources {
            let Some(enrich) = &source.preset.enrich else { continue };
            let before = before.and_then(|before| before.desks.get(id));
            let before = before.map(|before| (&*before.source, &before.experience));
            let experience = Experience::of(source, enrich, before)?;
            let desk = Desk {
                source: Arc::clone(source),
                caller: Caller::new(http.clone(), id.clone(), Arc::clone(metrics)),
                experience,
            };
            desks.insert(id.clone(), desk);
        }
        Ok(Self { desks, clock, watcher })
    }

    /// Whether there is any source to fetch for.
    pub fn is_idle(&self) -> bool {
        self.desks.is_empty()
    }

    /// Fetches what `notice` speaks of; its body is an element as [`crate::source::element_body`] makes
    /// it. Asks nothing while the source's gate is closed. Takes as long as its requests do: at most
    /// the preset's timeout for each, and a few seconds of pace.
    pub async fn fetch(&self, notice: &Notice) -> Fetched {
        let Some(desk) = self.desks.get(&notice.source) else {
            let why = "its source is not configured, or fetches nothing any more".to_owned();
            return Fetched::Wait { length: UNKNOWN_SOURCE, why };
        };
        let Some(enrich) = &desk.source.preset.enrich else {
            return hidden("its preset fetches nothing");
        };
        let Some(element) = element_of(&notice.body) else {
            return hidden("the notice cannot be read");
        };
        let whose = enrich.select_by.as_ref().and_then(|path| path.text(&element));
        let whose = whose.map(|text| text.into_owned()).unwrap_or_default();
        let (clock, watcher) = (&self.clock, &*self.watcher);
        let errand = Errand { desk, enrich, clock, watcher, notice, whose: &whose };
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
    notice: &'a Notice,
    /// Whose token it is to be fetched with; empty where nobody says.
    whose: &'a str,
}

impl Errand<'_> {
    /// The element with everything beside it that was missing.
    async fn run(&self, mut element: Value) -> Result<Value, Fetched> {
        for fetch in &self.enrich.fetch {
            if element.get(&fetch.name).is_some_and(Value::is_object) {
                continue;
            }
            let document = self.document(fetch, &element).await?;
            match &mut element {
                Value::Object(map) => map.insert(fetch.name.clone(), document),
                _ => return Err(hidden("the notice is no object")),
            };
        }
        self.desk.refusals.works(self.whose, self.notice.lease.id, self.clock.now());
        Ok(element)
    }

    async fn document(&self, fetch: &Fetch, element: &Value) -> Result<Value, Fetched> {
        let Some(address) = fetch.address(element, self.desk.source.api_base.as_ref()) else {
            return Err(hidden(&format!("{}: nothing says where it is", fetch.name)));
        };
        if fetch.cache().is_some()
            && let Some(known) = self.desk.lookups.get(address.as_str(), self.clock.now())
        {
            return Ok(known);
        }
        let tokens = &self.desk.tokens;
        let mut errand: Option<(Entry, Setback)> = None;
        for token in tokens.for_whom(self.whose) {
            let entry = match &errand {
                None => self.enter().await?,
                Some((entry, _)) => self.enter_again(*entry).await,
            };
            let called = self.desk.caller.call(&address, tokens.header(token), self.enrich).await;
            let setback = match setback(called, &fetch.name) {
                Ok(document) => {
                    self.settle(entry, Verdict::Open, &fetch.name);
                    tokens.works(self.whose, token);
                    if let Some(length) = fetch.cache() {
                        let until = self.clock.now().plus(length);
                        self.desk.lookups.put(address.into(), &document, until);
                    }
                    return Ok(document);
                }
                Err(setback) => setback,
            };
            // Another Page's token is told that there is no such lead, or that it may not see it; and
            // one that does not work any more may have been replaced by another of the list.
            let goes_on = match setback.remedy {
                Remedy::Alert => !tokens.is_only(),
                Remedy::FewThenPark => !tokens.is_only() && !tokens.is_known(self.whose, token),
                Remedy::Retry | Remedy::Backoff | Remedy::Park => false,
            };
            if setback.remedy == Remedy::Alert {
                tokens.fails(self.whose, token);
            }
            // A person is told of a token that does not work, whatever the others say.
            let worst = match errand {
                Some((_, before)) if setback.is_about_token() && before.remedy == Remedy::Alert => {
                    before
                }
                _ => setback,
            };
            errand = Some((entry, worst));
            if !goes_on {
                break;
            }
        }
        Err(match errand {
            Some((entry, setback)) => self.end(entry, setback),
            None => hidden("there is no token to fetch it with"),
        })
    }

    /// Waits for the next place in the source's pace, if its gate is open.
    async fn enter(&self) -> Result<Entry, Fetched> {
        let entry = self.desk.gate.enter(self.whose, self.clock.now()).map_err(|shut| {
            let (length, why) = (shut.length, shut.why);
            if shut.is_stop {
                Fetched::Stopped { is_own: false, length, why }
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
    fn end(&self, entry: Entry, setback: Setback) -> Fetched {
        let Setback { remedy, why, wait } = setback;
        let now = self.clock.now();
        match remedy {
            Remedy::Retry => {
                self.settle(entry, Verdict::Unsure, &why);
                Fetched::Again { why, after: None }
            }
            Remedy::Backoff => {
                let length = self.settle(entry, Verdict::Wait(wait), &why);
                Fetched::Wait { length, why }
            }
            Remedy::Alert
                if self.desk.refusals.is_its_own(self.whose, self.notice.lease.id, now) =>
            {
                self.settle(entry, Verdict::Open, &why);
                Fetched::Hidden { why }
            }
            Remedy::Alert => {
                let length = self.settle(entry, Verdict::Stop, &why);
                Fetched::Stopped { is_own: true, length, why }
            }
            Remedy::FewThenPark | Remedy::Park => {
                self.settle(entry, Verdict::Open, &why);
                match not_yet(self.notice.received_at, now) {
                    Some(after) if remedy == Remedy::FewThenPark => {
                        Fetched::Again { why, after: Some(after) }
                    }
                    _ => Fetched::Hidden { why },
                }
            }
        }
    }

    /// Moves the gate and tells who watches; for how long it is closed.
    fn settle(&self, entry: Entry, verdict: Verdict, why: &str) -> Duration {
        let now = self.clock.now();
        let (length, turns) = self.desk.gate.settle(self.whose, entry, verdict, why, now);
        for turn in turns {
            let whose = self.enrich.label(&turn.whose);
            let standing = match turn.is_stopped {
                true => Standing::Stopped { whose, why: why.to_owned(), until: now.plus(length) },
                false => Standing::Resumed { whose },
            };
            self.watcher.changed(&self.desk.source.id, &standing, now);
        }
        length
    }
}

/// The document, or why there is none.
fn setback(called: Called, name: &str) -> Result<Value, Setback> {
    match called {
        Called::Document(document) => Ok(document),
        Called::Refused { refused, wait } => {
            Err(Setback { remedy: refused.remedy, why: format!("{name}: {}", refused.told), wait })
        }
        Called::NoAnswer(why) => {
            Err(Setback { remedy: Remedy::Retry, why: format!("{name}: {why}"), wait: None })
        }
    }
}

/// How long to wait for what may come; `None` when the notice is too old for that.
fn not_yet(received_at: Timestamp, now: Timestamp) -> Option<Duration> {
    let age = now.since(received_at);
    let left = THERE_WITHIN.checked_sub(age).filter(|left| !left.is_zero())?;
    Some(age.clamp(NOT_YET, NOT_YET_MAX).min(left))
}
