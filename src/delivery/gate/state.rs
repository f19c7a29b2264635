//! How a lane's gate stands: a value that all replicas share, and what becomes of it. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Breaker;
use crate::lead::Timestamp;
use crate::notify::Standing;

/// After the first 429 without `Retry-After`; doubles with each that follows a probe.
const THROTTLED_FIRST: Duration = Duration::from_secs(1);
const THROTTLED_MAX: Duration = Duration::from_secs(60);

/// How often a lane that is refused for its configuration looks whether that was mended.
pub(super) const MISCONFIGURED_PROBE: Duration = Duration::from_secs(60);

/// What an answer of CareSoft's says about going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It works: a definite answer, whatever it said of the lead.
    Fine,
    /// 429.
    Throttled(Option<Duration>),
    /// The lock-out's 404, with the silence that it asks for.
    LockedOut(Option<Duration>),
    /// 401, 403, unknown domain: the configuration's fault.
    Misconfigured,
    /// Not reached, or no sense in its answer.
    Failing,
    /// No sense in its answer to a question: keeps a closed gate closed, and closes none.
    Doubtful,
    /// It was not asked.
    Unasked,
}

/// Why a lane is not sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cause {
    Throttled,
    LockedOut,
    Misconfigured,
    Failing,
}

/// The states that a lane can be in, as metrics and people name them.
pub const LANE_STATES: [&str; 6] =
    ["open", "throttled", "locked_out", "misconfigured", "failing", "probing"];

/// How a gate stands. Open by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<Closed>,
    throttled_in_a_row: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Closed {
    cause: Cause,
    until: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probe: Option<Probe>,
}

/// The one request that looks whether a closed gate can open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Probe {
    /// The lane of one replica.
    owner: String,
    /// A probe that has not come to its end by then never will: its replica is gone.
    deadline: Timestamp,
}

/// What a gate lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// Everything.
    Open,
    /// Nothing before this.
    Closed(Timestamp),
    /// Nothing: a probe is under way, at the latest until this.
    Probing(Timestamp),
    /// One request, to look whether it can open.
    ProbeDue,
}

/// What a lane's configuration says about its gate.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// When CareSoft keeps failing.
    pub breaker: Breaker,
    /// Silence after a lock-out.
    pub lockout: Duration,
    /// No probe takes longer.
    pub probe_term: Duration,
}

impl State {
    /// What another replica (or this one) has written. What cannot be read was written by another
    /// version: whatever it says, one probe after a while is safe.
    pub(super) fn read(text: &str, now: Timestamp) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        serde_json::from_str(text).unwrap_or_else(|error| {
            tracing::error!(%error, "the lane's shared gate is unreadable: it counts as closed");
            Self::default().close(now.plus(MISCONFIGURED_PROBE), Cause::Failing)
        })
    }

    /// For [`State::read`].
    pub(super) fn write(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers alone: there is always JSON for it")
    }

    pub(super) fn entry(&self, now: Timestamp) -> Entry {
        match &self.closed {
            None => Entry::Open,
            Some(Closed { probe: Some(probe), .. }) if now < probe.deadline => {
                Entry::Probing(probe.deadline)
            }
            Some(closed) if now < closed.until => Entry::Closed(closed.until),
            Some(_) => Entry::ProbeDue,
        }
    }

    /// Whose the probe is that is under way.
    pub(super) fn probe_owner(&self) -> Option<&str> {
        Some(self.closed.as_ref()?.probe.as_ref()?.owner.as_str())
    }

    /// With a probe of `owner` under way. An open gate stays as it is.
    pub(super) fn probed_by(&self, owner: &str, deadline: Timestamp) -> Self {
        let probe = Probe { owner: owner.to_owned(), deadline };
        self.with_probe(Some(probe))
    }

    /// With its probe given up, so that another one can follow.
    pub(super) fn unprobed(&self) -> Self {
        self.with_probe(None)
    }

    /// Until when there has to be silence that lasts at `now`.
    pub(super) fn silence(&self, now: Timestamp) -> Option<Timestamp> {
        let closed = self.closed.as_ref()?;
        (closed.cause == Cause::LockedOut && now < closed.until).then_some(closed.until)
    }

    /// Silent until then, and no shorter than it is anyhow.
    pub(super) fn silent(&self, until: Timestamp) -> Self {
        let longest = self.silence(until).unwrap_or(until);
        self.close(longest, Cause::LockedOut)
    }

    /// After an answer to a request that this gate let through, the `failures`-th in a row that
    /// failed if it did; `jitter` is added to a pause.
    pub(super) fn after(
        &self,
        signal: Signal,
        failures: u32,
        rules: &Rules,
        now: Timestamp,
        jitter: Duration,
    ) -> Self {
        match signal {
            Signal::Fine => Self::default(),
            Signal::Throttled(asked) => {
                let doubled = THROTTLED_FIRST * (1 << self.throttled_in_a_row.min(6));
                let pause = asked.unwrap_or(doubled.min(THROTTLED_MAX)) + jitter;
                let closed = self.close(now.plus(pause), Cause::Throttled);
                Self { throttled_in_a_row: self.throttled_in_a_row.saturating_add(1), ..closed }
            }
            Signal::LockedOut(asked) => {
                let silence = asked.unwrap_or_default().max(rules.lockout) + jitter;
                self.silent(now.plus(silence))
            }
            Signal::Misconfigured => {
                self.close(now.plus(MISCONFIGURED_PROBE), Cause::Misconfigured)
            }
            // A closed gate lets nothing through but its probe: one that fails closes it again.
            Signal::Failing if self.closed.is_some() || failures >= rules.breaker.failures => {
                self.close(now.plus(rules.breaker.probe_every), Cause::Failing)
            }
            Signal::Doubtful if self.closed.is_some() => {
                self.close(now.plus(rules.breaker.probe_every), Cause::Failing)
            }
            Signal::Failing | Signal::Doubtful => self.clone(),
            Signal::Unasked => self.unprobed(),
        }
    }

    /// The lane's state in a word of [`LANE_STATES`].
    pub(super) fn name(&self) -> &'static str {
        match &self.closed {
            None => "open",
            Some(Closed { probe: Some(_), .. }) => "probing",
            Some(closed) => match closed.cause {
                Cause::Throttled => "throttled",
                Cause::LockedOut => "locked_out",
                Cause::Misconfigured => "misconfigured",
                Cause::Failing => "failing",
            },
        }
    }

    /// How it stands for the operator, whether or not a probe looks at the moment.
    pub(super) fn standing(&self) -> Standing {
        let closed = self.closed.as_ref();
        Standing {
            state: self.unprobed().name(),
            is_stopped: closed.is_some_and(|closed| closed.cause != Cause::Throttled),
            until: closed.map(|closed| closed.until),
        }
    }

    fn close(&self, until: Timestamp, cause: Cause) -> Self {
        Self { closed: Some(Closed { cause, until, probe: None }), ..*self }
    }

    fn with_probe(&self, probe: Option<Probe>) -> Self {
        let closed = self.closed.as_ref().map(|closed| Closed { probe, ..*closed });
        Self { closed, ..*self }
    }
}
