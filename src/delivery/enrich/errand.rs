//! One notice's way to the platform and back.

use std::time::Duration;

use serde_json::Value;

use super::call::Called;
use super::gate::{Entry, Verdict};
use super::{Desk, Fetched, Standing, Watcher, hidden};
use crate::lead::{Clock, Timestamp};
use crate::preset::{Enrich, Fetch, Remedy};
use crate::store::Notice;

/// What may be there a little later, or never, is asked for until its notice is as old as this.
const THERE_WITHIN: Duration = Duration::from_secs(15 * 60);

/// It is asked for again after as long as the notice is old: so the wait doubles, from the one to the
/// other.
const NOT_YET: Duration = Duration::from_secs(30);
const NOT_YET_MAX: Duration = Duration::from_secs(300);

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
pub(super) struct Errand<'a> {
    pub(super) desk: &'a Desk,
    pub(super) enrich: &'a Enrich,
    pub(super) clock: &'a Clock,
    pub(super) watcher: &'a dyn Watcher,
    pub(super) notice: &'a Notice,
    /// Whose token it is to be fetched with; empty where nobody says.
    pub(super) whose: &'a str,
}

impl Errand<'_> {
    /// The element with everything beside it that was missing.
    pub(super) async fn run(&self, mut element: Value) -> Result<Value, Fetched> {
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
