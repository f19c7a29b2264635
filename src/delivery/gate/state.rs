//! How a lane's gate stands: a value that all replicas share, and what becomes of it. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Breaker;
use crate::lead::Timestamp;
use crate::notify::Standing;

/// After the first 429 without `Retry-After`; doubles with each that follows a probe.
const THROTTLED_FIRST: Duration = Duration::from_secs(1);
const THROTTLED_MAX: Duration = Duration::from_secs(60);

/// How long CareSoft says that it locks out.
const LOCKOUT_USUAL: Duration = Duration::from_secs(15 * 60);

/// How often a lane that is refused for its configuration looks whether that was mended.
pub(super) const MISCONFIGURED_PROBE: Duration = Duration::from_secs(60);

/// Whoever waits at a paused gate is woken when it goes on; it looks by itself this often.
pub(super) const PAUSED_LOOK: Duration = Duration::from_secs(60);

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

impl Cause {
    /// In a word of [`LANE_STATES`].
    const fn word(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::LockedOut => "locked_out",
            Self::Misconfigured => "misconfigured",
            Self::Failing => "failing",
        }
    }
}

/// The states that a lane can be in, as metrics and people name them.
pub const LANE_STATES: [&str; 7] =
    ["open", "throttled", "locked_out", "misconfigured", "failing", "probing", "paused"];

/// How a gate stands. Open by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<Closed>,
    throttled_in_a_row: u32,
    /// A person has stopped it. What answers say goes on beneath: a lock-out's silence passes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
            _ if self.paused => Entry::Closed(now.plus(PAUSED_LOOK)),
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

    /// Whether a person has stopped it.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// The same, stopped by a person or not.
    pub(super) fn with_pause(&self, paused: bool) -> Self {
        Self { paused, ..self.clone() }
    }

    /// Whether this is `other`, stopped by a person or let go on, and nothing else.
    pub(super) fn is_but_for_a_pause(&self, other: &Self) -> bool {
        self.paused != other.paused && self.with_pause(other.paused) == *other
    }

    /// Let go on by a person, which is that person's word that what was wrong is mended: the next
    /// probe is due. Silence that CareSoft asked for stays.
    pub(super) fn resumed(&self, now: Timestamp) -> Self {
        let closed = self.closed.clone().map(|closed| match closed.cause {
            Cause::Throttled | Cause::LockedOut => closed,
            Cause::Misconfigured | Cause::Failing => {
                Closed { until: closed.until.min(now), ..closed }
            }
        });
        Self { closed, paused: false, ..*self }
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
            Signal::Fine => Self::default().with_pause(self.paused),
            Signal::Throttled(asked) => {
                let doubled = THROTTLED_FIRST * (1 << self.throttled_in_a_row.min(6));
                let pause = asked.unwrap_or(doubled.min(THROTTLED_MAX)) + jitter;
                let closed = self.close(now.plus(pause), Cause::Throttled);
                Self { throttled_in_a_row: self.throttled_in_a_row.saturating_add(1), ..closed }
            }
            Signal::LockedOut(asked) => {
                // The usual length is the configuration's to say; a longer one is obeyed.
                let longer = asked.filter(|asked| *asked > LOCKOUT_USUAL).unwrap_or_default();
                self.silent(now.plus(longer.max(rules.lockout) + jitter))
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
            _ if self.paused => "paused",
            None => "open",
            Some(Closed { probe: Some(_), .. }) => "probing",
            Some(closed) => closed.cause.word(),
        }
    }

    /// Why it would not let everything through, were it not paused, and when it is looked whether
    /// it can.
    pub(super) fn closed(&self) -> Option<(&'static str, Timestamp)> {
        self.closed.as_ref().map(|closed| (closed.cause.word(), closed.until))
    }

    /// How it stands for the operator, whether or not a probe looks at the moment.
    pub(super) fn standing(&self) -> Standing {
        let closed = self.closed.as_ref();
        Standing {
            state: self.unprobed().name(),
            is_stopped: self.paused
                || closed.is_some_and(|closed| closed.cause != Cause::Throttled),
            until: closed.map(|closed| closed.until).filter(|_| !self.paused),
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
