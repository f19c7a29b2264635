//! Fetching what a platform has only given a notice of: never while the platform waits, at a pace of
//! its own, and with what each refusal means as the preset says.

mod call;
mod errand;
mod experience;
mod gate;
mod lookups;
mod refusals;
mod runner;
mod standing;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use self::call::Caller;
use self::errand::Errand;
use self::experience::Experience;
pub use self::runner::Runner;
pub use self::standing::{Standing, Watcher};
use crate::lead::{Clock, SourceId};
use crate::source::{Kept, Source, Sources, element_of};
use crate::store::Notice;
use crate::telemetry::Metrics;

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
