//! Whether a lane may send, and when: the pace, and what CareSoft's answers say about going on.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::config::{Breaker, Pace};
use crate::lead::Timestamp;

/// Sends leave this much further apart than the rate asks, since they do not all take equally
/// long to arrive: 2.5 % of a second absorbs 25 ms of jitter, and costs 2.5 % of the rate.
const SPACING: f64 = 1.025;

/// After the first 429 without `Retry-After`; doubles with each that follows a probe.
const THROTTLED_FIRST: Duration = Duration::from_secs(1);
const THROTTLED_MAX: Duration = Duration::from_secs(60);

/// How often a lane that is refused for its configuration looks whether that was mended.
const MISCONFIGURED_PROBE: Duration = Duration::from_secs(60);

/// The pace of one lane within this process: GCRA with a burst of one, so that no sliding second
/// ever holds more than the rate.
pub struct Pacer {
    second: DefaultDirectRateLimiter,
    hour: Option<DefaultDirectRateLimiter>,
}

impl Pacer {
    /// A pace.
    pub fn new(pace: Pace) -> Self {
        // An hour that the second's rate cannot fill needs no limiter of its own.
        let binds = u64::from(pace.per_second.get()) * 3600 > u64::from(pace.per_hour.get());
        Self {
            second: RateLimiter::direct(second_quota(pace.per_second)),
            hour: binds.then(|| RateLimiter::direct(hour_quota(pace.per_hour))),
        }
    }

    /// Spends one of the hour's allowance.
    ///
    /// # Errors
    /// How long until there is one again, when it is used up.
    pub fn spend_hour(&self) -> Result<(), Duration> {
        let Some(hour) = &self.hour else { return Ok(()) };
        hour.check().map_err(|not_yet| not_yet.wait_time_from(DefaultClock::default().now()))
    }

    /// Waits until the second has room for one request, and counts it. Never long: at most as
    /// long as the rate puts between two.
    pub async fn wait_second(&self) {
        self.second.until_ready().await;
    }
}

fn second_quota(per_second: NonZeroU32) -> Quota {
    let between = Duration::from_secs_f64(SPACING / f64::from(per_second.get()));
    Quota::with_period(between).unwrap_or(Quota::per_second(per_second))
}

/// Half of the hour's allowance may come at once, the other half is spread over the hour:
/// together no sliding hour holds more than the allowance.
fn hour_quota(per_hour: NonZeroU32) -> Quota {
    let burst = NonZeroU32::new(per_hour.get() / 2).unwrap_or(NonZeroU32::MIN);
    let spread = (per_hour.get() - burst.get()).max(1);
    let between = Duration::from_secs(3600) / spread;
    Quota::with_period(between).unwrap_or(Quota::per_hour(per_hour)).allow_burst(burst)
}

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
    /// It was not asked.
    Unasked,
}

/// Why a lane is not sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Throttled,
    LockedOut,
    Misconfigured,
    Failing,
}

/// The states that a lane can be in, as metrics and people name them.
pub const LANE_STATES: [&str; 6] =
    ["open", "throttled", "locked_out", "misconfigured", "failing", "probing"];

/// A turn to send. Handed back with what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Which one of all: a probe that was handed back is not mistaken for the next.
    serial: u64,
    generation: u64,
}

/// See [`Gate::keep`].
pub struct KeptTurn<'a> {
    gate: &'a Gate,
    turn: Turn,
}

impl Drop for KeptTurn<'_> {
    fn drop(&mut self) {
        self.gate.cancel(self.turn);
    }
}

/// What the gate says to a worker that wants to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Send. With `alone`, one request only: a probe.
    Go { turn: Turn, alone: bool },
    /// Not before this.
    Closed(Timestamp),
    /// A probe is under way; wait for its end.
    Probing,
}

/// The gate of one lane. Closes at the first sign of trouble, opens after one probe.
pub struct Gate {
    breaker: Breaker,
    lockout: Duration,
    state: Mutex<GateState>,
}

#[derive(Default)]
struct GateState {
    closed: Option<Closed>,
    /// Rises when the gate closes: what was sent before then opens nothing.
    generation: u64,
    /// Turns given so far.
    turns: u64,
    throttled_in_a_row: u32,
    failures_in_a_row: u32,
}

struct Closed {
    until: Timestamp,
    cause: Cause,
    probe: Option<Turn>,
}

impl Gate {
    /// An open gate.
    pub fn new(breaker: Breaker, lockout: Duration) -> Self {
        Self { breaker, lockout, state: Mutex::default() }
    }

    /// Asks for a turn.
    pub fn enter(&self, now: Timestamp) -> Permission {
        let mut state = self.lock();
        state.turns += 1;
        let turn = Turn { serial: state.turns, generation: state.generation };
        match &mut state.closed {
            None => Permission::Go { turn, alone: false },
            Some(Closed { probe: Some(_), .. }) => Permission::Probing,
            Some(closed) if now < closed.until => Permission::Closed(closed.until),
            Some(closed) => {
                closed.probe = Some(turn);
                Permission::Go { turn, alone: true }
            }
        }
    }

    /// Whether a turn is still good: the gate has not closed since.
    pub fn holds(&self, turn: Turn) -> bool {
        self.lock().generation == turn.generation
    }

    /// Hands a turn back when it is dropped, whatever happened in between: a probe that was lost
    /// would keep the lane closed for good.
    pub fn keep(&self, turn: Turn) -> KeptTurn<'_> {
        KeptTurn { gate: self, turn }
    }

    /// Hands a turn back unused. Does nothing for one that was handed back already.
    pub fn cancel(&self, turn: Turn) {
        self.lock().unprobe(turn);
    }

    /// Hands a turn back with what CareSoft's answer says; `jitter` is added to a pause. Answers
    /// the lane's new state when that changed.
    pub fn leave(
        &self,
        turn: Turn,
        signal: Signal,
        now: Timestamp,
        jitter: Duration,
    ) -> Option<&'static str> {
        let mut state = self.lock();
        let is_stale = turn.generation != state.generation;
        if is_stale && !matches!(signal, Signal::LockedOut(_)) {
            return None; // sent before the gate closed: it knows nothing newer
        }
        let before = state.name();
        match signal {
            Signal::Fine => {
                state.closed = None;
                state.throttled_in_a_row = 0;
                state.failures_in_a_row = 0;
            }
            Signal::Throttled(asked) => {
                let doubled = THROTTLED_FIRST * (1 << state.throttled_in_a_row.min(6));
                let pause = asked.unwrap_or(doubled.min(THROTTLED_MAX)) + jitter;
                state.throttled_in_a_row += 1;
                state.close(now.plus(pause), Cause::Throttled);
            }
            Signal::LockedOut(asked) => {
                let silence = asked.unwrap_or_default().max(self.lockout) + jitter;
                state.close(now.plus(silence), Cause::LockedOut);
            }
            Signal::Unasked => state.unprobe(turn),
            Signal::Misconfigured => {
                state.close(now.plus(MISCONFIGURED_PROBE), Cause::Misconfigured);
            }
            Signal::Failing => {
                state.failures_in_a_row += 1;
                let was_probe = state.closed.is_some();
                if was_probe || state.failures_in_a_row >= self.breaker.failures {
                    state.close(now.plus(self.breaker.probe_every), Cause::Failing);
                }
            }
        }
        let after = state.name();
        (before != after).then_some(after)
    }

    /// The lane's state in a word of [`LANE_STATES`].
    pub fn name(&self) -> &'static str {
        self.lock().name()
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        // Nothing in here panics half-way, so a poisoned state is still a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GateState {
    fn close(&mut self, until: Timestamp, cause: Cause) {
        self.generation += 1;
        self.closed = Some(Closed { until, cause, probe: None });
    }

    fn unprobe(&mut self, turn: Turn) {
        if let Some(closed) = &mut self.closed
            && closed.probe == Some(turn)
        {
            closed.probe = None;
        }
    }

    fn name(&self) -> &'static str {
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
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const LOCKOUT: Duration = Duration::from_secs(900);

    fn gate() -> Gate {
        Gate::new(Breaker { failures: 3, probe_every: Duration::from_secs(15) }, LOCKOUT)
    }

    fn turn(gate: &Gate, now: Timestamp) -> Turn {
        match gate.enter(now) {
            Permission::Go { turn, .. } => turn,
            other => panic!("no turn: {other:?}"),
        }
    }

    #[test]
    fn the_first_429_closes_and_one_probe_opens() {
        let gate = gate();
        let (first, second) = (turn(&gate, NOW), turn(&gate, NOW));
        let state = gate.leave(first, Signal::Throttled(None), NOW, Duration::ZERO);
        assert_eq!(state, Some("throttled"));
        let until = NOW.plus(Duration::from_secs(1));
        assert_eq!(gate.enter(NOW), Permission::Closed(until));
        assert_eq!(gate.leave(second, Signal::Fine, NOW, Duration::ZERO), None, "sent before");
        assert_eq!(gate.enter(NOW), Permission::Closed(until));

        let Permission::Go { turn: probe, alone: true } = gate.enter(until) else { panic!() };
        assert_eq!((gate.enter(until), gate.name()), (Permission::Probing, "probing"));
        gate.leave(probe, Signal::Throttled(None), until, Duration::ZERO);
        let doubled = until.plus(Duration::from_secs(2));
        assert_eq!(gate.enter(until), Permission::Closed(doubled));

        let probe = turn(&gate, doubled);
        assert_eq!(gate.leave(probe, Signal::Fine, doubled, Duration::ZERO), Some("open"));
        assert!(matches!(gate.enter(doubled), Permission::Go { alone: false, .. }));
    }

    #[test]
    fn retry_after_is_obeyed() {
        let gate = gate();
        let asked = Signal::Throttled(Some(Duration::from_secs(30)));
        gate.leave(turn(&gate, NOW), asked, NOW, Duration::ZERO);
        assert_eq!(gate.enter(NOW), Permission::Closed(NOW.plus(Duration::from_secs(30))));
    }

    #[test]
    fn a_lockout_is_silence_for_its_whole_length() {
        let gate = gate();
        gate.leave(turn(&gate, NOW), Signal::LockedOut(None), NOW, Duration::ZERO);
        let end = NOW.plus(LOCKOUT);
        assert_eq!(gate.enter(end.minus(Duration::from_millis(1))), Permission::Closed(end));
        assert!(matches!(gate.enter(end), Permission::Go { alone: true, .. }));
    }

    #[test]
    fn a_lockout_counts_even_from_a_request_that_was_sent_before_the_gate_closed() {
        let gate = gate();
        let (first, second) = (turn(&gate, NOW), turn(&gate, NOW));
        gate.leave(first, Signal::Throttled(None), NOW, Duration::ZERO);
        gate.leave(second, Signal::LockedOut(None), NOW, Duration::ZERO);
        assert_eq!(gate.enter(NOW), Permission::Closed(NOW.plus(LOCKOUT)));
    }

    #[test]
    fn the_breaker_opens_after_failures_in_a_row_only() {
        let gate = gate();
        for signal in [Signal::Failing, Signal::Failing, Signal::Fine, Signal::Failing] {
            gate.leave(turn(&gate, NOW), signal, NOW, Duration::ZERO);
        }
        assert_eq!(gate.name(), "open");
        gate.leave(turn(&gate, NOW), Signal::Failing, NOW, Duration::ZERO);
        gate.leave(turn(&gate, NOW), Signal::Failing, NOW, Duration::ZERO);
        assert_eq!(gate.name(), "failing");
        let later = NOW.plus(Duration::from_secs(15));
        let probe = turn(&gate, later);
        gate.leave(probe, Signal::Failing, later, Duration::ZERO);
        assert_eq!(gate.name(), "failing", "one failed probe closes it again");
    }

    #[test]
    fn an_unused_probe_is_handed_back() {
        let gate = gate();
        gate.leave(turn(&gate, NOW), Signal::Misconfigured, NOW, Duration::ZERO);
        let later = NOW.plus(MISCONFIGURED_PROBE);
        let probe = turn(&gate, later);
        assert_eq!(gate.enter(later), Permission::Probing);
        drop(gate.keep(probe));
        assert!(matches!(gate.enter(later), Permission::Go { alone: true, .. }));
    }

    /// Invariant 6, exactly: whenever requests are asked for, what the second's limiter lets
    /// through never exceeds the rate in any sliding second, nor the hour's in any hour.
    #[test]
    fn invariant_6_no_sliding_window_holds_more_than_the_pace() {
        let law = |quota: Quota, window: Duration, most: usize, steps: Duration, asks: usize| {
            let clock = FakeRelativeClock::default();
            let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
            let (mut now, mut sent) = (Duration::ZERO, Vec::new());
            for ask in 0..asks {
                // Uneven steps: storms, pauses, and everything between.
                let step = steps * u32::try_from(ask * 7919 % 13).unwrap() / 6;
                clock.advance(step);
                now += step;
                if limiter.check().is_ok() {
                    sent.push(now);
                }
            }
            let fullest = sent.iter().enumerate().map(|(place, from)| {
                sent[place..].iter().take_while(|at| **at - *from < window).count()
            });
            let fullest = fullest.max().unwrap();
            assert!(fullest <= most, "{fullest} in a window, not {most}");
            fullest
        };
        for rate in [1, 2, 12, 15, 200] {
            let second = second_quota(rate.try_into().unwrap());
            let steps = Duration::from_secs(1) / rate / 10;
            let used = law(second, Duration::from_secs(1), rate as usize, steps, 20_000);
            assert!(used * 10 >= rate as usize * 9, "{used} of {rate}: the allowance is used");
        }
        for rate in [2, 40, 520, 3600] {
            let hour = hour_quota(rate.try_into().unwrap());
            let steps = Duration::from_secs(3600) / rate / 10;
            law(hour, Duration::from_secs(3600), rate as usize, steps, 20_000);
        }
    }

    #[tokio::test]
    async fn the_pace_has_no_burst() {
        let rate =
            Pace { per_second: 50.try_into().unwrap(), per_hour: 180_000.try_into().unwrap() };
        let pacer = Pacer::new(rate);
        let started = std::time::Instant::now();
        for _ in 0..11 {
            pacer.wait_second().await;
        }
        // Ten gaps of 20.5 ms; an upper bound would time the machine.
        assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
    }
}
