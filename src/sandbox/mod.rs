//! The CareSoft simulator: a room of the product, so that a newcomer needs no account and a test
//! no mock. It does what CareSoft's pages say, chooses the reading that is hardest on a client
//! where they are silent ([`Options`] holds every such choice as a knob), and fails on command
//! ([`Fault`]).
//!
//! Two hosts, as CareSoft has a standby, are two listeners on one [`Sandbox`]. Its own pages are
//! at `/`, `/sandbox/leads`, `/sandbox/log` and `/sandbox/faults`. CareSoft's outgoing webhooks
//! are not simulated. Beside CareSoft it answers as the platforms do that leads are fetched from
//! (`platforms.rs`), with people who do not exist.
//!
//! Order of checks: lock-out, limit, domain, token, route, body.

mod account;
mod faults;
mod http;
mod leads;
mod limiter;
mod log;
mod options;
mod page;
mod people;
mod platforms;
mod routes;
mod shown;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::account::{Account, Body, Reply, error};
use self::faults::FAULTS_MAX;
pub use self::faults::{Fault, FaultKind};
pub use self::leads::{StoredComment, StoredLead};
use self::limiter::{Gate, Limiter};
use self::log::Log;
pub use self::log::LogEntry;
pub use self::options::{Aliases, Catalog, Conflict, Field, Options, PhoneMatch, TooLong};
pub use self::routes::Route;
use self::routes::Target;
use crate::lead::Timestamp;

/// CareSoft docs, "Rate limit", as printed: no JSON.
const THROTTLED: &str = r#"{code:"errors",message:"Too Many Attempts."}"#;
const THROTTLED_JSON: &str = r#"{"code":"errors","message":"Too Many Attempts."}"#;

/// CareSoft docs, "Rate limit", as printed: with its blanks.
const LOCKED_OUT: &str =
    r#"{"code": "errors", "message": "Domain incorrect too many times , retry after 15 minutes "}"#;

/// Domains whose limits are remembered; a prober's further ones share one limiter.
const DOMAINS_MAX: usize = 100;

/// Which of the two hosts a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Host {
    /// `api.caresoft.vn`
    Primary,
    /// `api2.caresoft.vn`
    Standby,
}

/// A simulated CareSoft with one account. Clones are handles of the same one.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    options: Options,
    state: Mutex<State>,
    under_way: AtomicUsize,
}

struct State {
    token: String,
    limiters: BTreeMap<String, Limiter>,
    account: Account,
    faults: Vec<Fault>,
    log: Log,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sandbox({})", self.0.options.domain)
    }
}

/// A request that came and is not answered yet.
struct UnderWay(Sandbox);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A request as it came over HTTP.
struct Incoming<'a> {
    host: Host,
    method: &'static str,
    path: &'a str,
    query: BTreeMap<String, String>,
    token: Option<&'a str>,
    traceparent: Option<&'a str>,
    fault: Option<FaultKind>,
    body: &'a [u8],
}

/// What is done with the connection.
enum Doing {
    Answer(Reply),
    AnswerAfter(Duration, Reply),
    /// The beginning of the answer, then a reset.
    Tear(Reply),
    Hold,
    Reset,
}

impl Sandbox {
    /// An empty account, set up with `options`.
    pub fn new(options: Options) -> Self {
        let state = State {
            token: options.token.clone(),
            limiters: BTreeMap::new(),
            account: Account::default(),
            faults: Vec::new(),
            log: Log::default(),
        };
        Self(Arc::new(Inner { options, state: Mutex::new(state), under_way: AtomicUsize::new(0) }))
    }

    /// What it was set up with.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Adds a fault; `false` when there are too many already.
    pub fn inject(&self, fault: Fault) -> bool {
        let mut state = self.state();
        let room = state.faults.len() < FAULTS_MAX;
        if room {
            state.faults.retain(|fault| fault.times != Some(0));
            state.faults.push(fault);
        }
        room
    }

    /// Ends every fault.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// What an administrator's "reset" does: from now on only this token is known.
    pub fn swap_token(&self, token: impl Into<String>) {
        self.state().token = token.into();
    }

    /// Every lead, oldest first.
    pub fn leads(&self) -> Vec<StoredLead> {
        self.state().account.leads().cloned().collect()
    }

    /// One lead.
    pub fn lead(&self, id: u64) -> Option<StoredLead> {
        self.state().account.lead(id).cloned()
    }

    /// Every request to the API, oldest first.
    pub fn log(&self) -> Vec<LogEntry> {
        self.state().log.entries()
    }

    /// The most requests, admitted or refused, that came within any one second.
    pub fn max_in_any_second(&self) -> usize {
        self.state().log.max_in_any_second()
    }

    /// The most 429s without another answer between them.
    pub fn longest_run_of_429(&self) -> usize {
        self.state().log.longest_run_of_429()
    }

    /// How many requests came while silence was asked for.
    pub fn requests_during_lockout(&self) -> usize {
        self.state().log.requests_during_lockout()
    }

    /// How many requests came and are not answered yet. Whoever turns the clock waits for 0.
    pub fn under_way(&self) -> usize {
        self.0.under_way.load(Ordering::SeqCst)
    }

    /// Counts a request until what is returned is dropped.
    fn begin(&self) -> UnderWay {
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        UnderWay(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here leaves the state half changed by panicking.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request in, decides everything about it in one step, and writes it down.
    fn take(&self, incoming: &Incoming<'_>) -> Doing {
        let options = &self.0.options;
        let target = routes::target(incoming.method, incoming.path);
        let mut state = self.state();
        let now = options.clock.now();
        let (doing, during_lockout) = state.decide(incoming, &target, now, options);
        let reply = match &doing {
            Doing::Answer(reply) | Doing::AnswerAfter(_, reply) | Doing::Tear(reply) => Some(reply),
            Doing::Hold | Doing::Reset => None,
        };
        let entry = LogEntry {
            at: now,
            arrived: Instant::now(),
            host: incoming.host,
            domain: target.domain.as_str().into(),
            method: incoming.method,
            route: target.route,
            status: reply.map(|reply| reply.status),
            lead_id: reply.and_then(|reply| reply.lead_id),
            during_lockout,
            traceparent: incoming.traceparent.map(Box::from),
        };
        state.log.add(entry);
        doing
    }
}

impl State {
    /// The decision, and whether the request came during a lock-out.
    fn decide(
        &mut self,
        incoming: &Incoming<'_>,
        target: &Target,
        now: Timestamp,
        options: &Options,
    ) -> (Doing, bool) {
        let gate = self.limiter(&target.domain).arrive(now, options);
        if gate != Gate::Open {
            let already = gate == Gate::LockedOut { already: true };
            return (Doing::Answer(refusal(gate, options)), already);
        }
        if target.domain != options.domain {
            let mut gate = Gate::Open;
            if options.unknown_domain_counts {
                gate = self.limiter(&target.domain).strike(now, options);
            }
            let reply = match gate {
                Gate::LockedOut { .. } => refusal(gate, options),
                Gate::Open | Gate::Throttled => error(404, "Domain incorrect"),
            };
            return (Doing::Answer(reply), false);
        }
        let fault = self.fault(incoming, target.route);
        match fault {
            Some(FaultKind::TooManyRequests) => {
                let gate = self.limiter(&target.domain).strike(now, options);
                return (Doing::Answer(refusal(gate, options)), false);
            }
            Some(FaultKind::LockOut) => {
                self.limiter(&target.domain).lock_out(now, options);
                let gate = Gate::LockedOut { already: false };
                return (Doing::Answer(refusal(gate, options)), false);
            }
            _ => self.limiter(&target.domain).forgive(),
        }
        let known = incoming.token == Some(self.token.as_str());
        if !known || fault == Some(FaultKind::Unauthorized) {
            return (Doing::Answer(error(401, "Unauthorized")), false);
        }
        (self.carry_out(incoming, target, fault, now, options), false)
    }

    fn carry_out(
        &mut self,
        incoming: &Incoming<'_>,
        target: &Target,
        fault: Option<FaultKind>,
        now: Timestamp,
        options: &Options,
    ) -> Doing {
        let request = account::Request { target, query: &incoming.query, body: incoming.body };
        let mut commit = || self.account.handle(&request, now, options);
        let html = |status, text| Reply::new(status, Body::Html(text));
        let Some(fault) = fault else { return Doing::Answer(commit()) };
        match fault {
            FaultKind::NoAnswer => Doing::Hold,
            FaultKind::Reset => Doing::Reset,
            FaultKind::Error500 => Doing::Answer(error(500, "Server Error")),
            FaultKind::Unavailable => Doing::Answer(html(503, "<h1>Service Unavailable</h1>")),
            FaultKind::CommitNoAnswer => {
                commit();
                Doing::Hold
            }
            FaultKind::CommitReset => {
                commit();
                Doing::Reset
            }
            FaultKind::Commit500 => {
                commit();
                Doing::Answer(html(500, "<h1>Internal Server Error</h1>"))
            }
            FaultKind::Commit502 => {
                commit();
                Doing::Answer(html(502, "<html><h1>502 Bad Gateway</h1><hr>nginx</html>"))
            }
            FaultKind::CommitEmpty => {
                Doing::Answer(Reply { body: Body::Raw(String::new()), ..commit() })
            }
            FaultKind::CommitCutJson => Doing::Answer(cut_in_half(commit())),
            FaultKind::CommitTorn => Doing::Tear(cut_in_half(commit())),
            FaultKind::CommitWithoutId => Doing::Answer(without_id(commit())),
            FaultKind::Slow(length) => Doing::AnswerAfter(length, commit()),
            FaultKind::Duplicate => {
                let first = commit();
                commit();
                Doing::Answer(first)
            }
            // Decided before the request was let in.
            FaultKind::Unauthorized | FaultKind::TooManyRequests | FaultKind::LockOut => {
                Doing::Answer(commit())
            }
        }
    }

    fn fault(&mut self, incoming: &Incoming<'_>, route: Route) -> Option<FaultKind> {
        let page = incoming.query.get("page").map_or(Some(1), |page| page.parse().ok());
        let strikes =
            |fault: &mut Fault| fault.strikes(route, incoming.host, page).then_some(fault.kind);
        let struck = self.faults.iter_mut().find_map(strikes);
        incoming.fault.or(struck)
    }

    fn limiter(&mut self, domain: &str) -> &mut Limiter {
        let known = self.limiters.contains_key(domain) || self.limiters.len() < DOMAINS_MAX;
        self.limiters.entry(if known { domain.to_owned() } else { String::new() }).or_default()
    }
}

fn refusal(gate: Gate, options: &Options) -> Reply {
    let text = match gate {
        Gate::LockedOut { .. } => return Reply::new(404, Body::Raw(LOCKED_OUT.to_owned())),
        Gate::Open | Gate::Throttled if options.throttled_as_json => THROTTLED_JSON,
        Gate::Open | Gate::Throttled => THROTTLED,
    };
    let retry_after_s = options.send_retry_after.then_some(1);
    Reply { retry_after_s, ..Reply::new(429, Body::Raw(text.to_owned())) }
}

fn cut_in_half(reply: Reply) -> Reply {
    let Body::Json(json) = &reply.body else { return reply };
    let text = json.to_string();
    let half: String = text.chars().take(text.chars().count() / 2).collect();
    Reply { body: Body::Raw(half), ..reply }
}

fn without_id(mut reply: Reply) -> Reply {
    if let Body::Json(json) = &mut reply.body
        && let Some(lead) = json.get_mut("lead").and_then(serde_json::Value::as_object_mut)
    {
        lead.remove("id");
    }
    reply
}
