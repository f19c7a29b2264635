//! CareSoft's limit and its lock-out.
//!
//! CareSoft docs, "Rate limit": 15 requests a second, 54,000 an hour; beyond it 429; after more
//! than 20 consecutive 429s a 404 that says "Domain incorrect too many times , retry after 15
//! minutes ", and silence is asked for.

use std::collections::VecDeque;
use std::time::Duration;

use super::options::Options;
use crate::lead::Timestamp;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// Whether a request may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    Throttled,
    /// `already`: the lock-out was on when the request came, which should have been silence.
    LockedOut {
        already: bool,
    },
}

/// What is remembered of one domain's requests.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    admitted: VecDeque<Timestamp>,
    strikes: u32,
    locked_until: Option<Timestamp>,
    lockouts: u32,
}

impl Limiter {
    /// Lock-out first, then the two limits.
    pub(super) fn arrive(&mut self, now: Timestamp, options: &Options) -> Gate {
        if self.locked_until.is_some_and(|until| now < until) {
            if options.lockout_restarts {
                self.locked_until = Some(now.plus(self.lockout_length(options)));
            }
            return Gate::LockedOut { already: true };
        }
        let oldest_kept = now.minus(HOUR);
        while self.admitted.front().is_some_and(|at| *at <= oldest_kept) {
            self.admitted.pop_front();
        }
        let second_ago = now.minus(SECOND);
        let in_second = self.admitted.iter().rev().take_while(|at| **at > second_ago).count();
        if in_second >= options.rate_per_second || self.admitted.len() >= options.rate_per_hour {
            return self.strike(now, options);
        }
        self.admitted.push_back(now);
        Gate::Open
    }

    /// A request that is refused and counted: the one after the last tolerated locks out.
    pub(super) fn strike(&mut self, now: Timestamp, options: &Options) -> Gate {
        if self.strikes >= options.throttled_max {
            self.lock_out(now, options);
            return Gate::LockedOut { already: false };
        }
        self.strikes += 1;
        Gate::Throttled
    }

    /// A request that was admitted and answered by the account itself.
    pub(super) fn forgive(&mut self) {
        self.strikes = 0;
    }

    /// Locks out from now on.
    pub(super) fn lock_out(&mut self, now: Timestamp, options: &Options) {
        self.lockouts += 1;
        self.strikes = 0;
        self.locked_until = Some(now.plus(self.lockout_length(options)));
    }

    fn lockout_length(&self, options: &Options) -> Duration {
        if !options.lockout_doubles {
            return options.lockout;
        }
        options.lockout.saturating_mul(1 << self.lockouts.saturating_sub(1).min(16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_795_425_302_000 + millis)
    }

    fn arrivals(limiter: &mut Limiter, options: &Options, times: &[i64]) -> Vec<Gate> {
        times.iter().map(|millis| limiter.arrive(at(*millis), options)).collect()
    }

    #[test]
    fn fifteen_in_any_second_and_no_more() {
        let (mut limiter, options) = (Limiter::default(), Options::default());
        let times: Vec<i64> = (0..16).map(|n| n * 60).collect();
        let gates = arrivals(&mut limiter, &options, &times);
        assert_eq!(gates[..15], [Gate::Open; 15]);
        assert_eq!(gates[15], Gate::Throttled);
        // The window slides: the first leaves it after one second, the second 60 ms later.
        let gates = arrivals(&mut limiter, &options, &[999, 1_000, 1_001, 1_060]);
        assert_eq!(gates, [Gate::Throttled, Gate::Open, Gate::Throttled, Gate::Open]);
    }

    #[test]
    fn the_hour_is_a_sliding_one_too() {
        let mut limiter = Limiter::default();
        let options = Options { rate_per_hour: 2, ..Options::default() };
        let gates = arrivals(&mut limiter, &options, &[0, 1_000, 3_599_999, 3_600_000]);
        assert_eq!(gates, [Gate::Open, Gate::Open, Gate::Throttled, Gate::Open]);
    }

    #[test]
    fn the_21st_refusal_in_a_row_locks_out_for_a_quarter_of_an_hour() {
        let mut limiter = Limiter::default();
        let options = Options { rate_per_second: 1, ..Options::default() };
        let gates = arrivals(&mut limiter, &options, &[0; 22]);
        assert_eq!(gates[0], Gate::Open);
        assert_eq!(gates[1..21], [Gate::Throttled; 20]);
        assert_eq!(gates[21], Gate::LockedOut { already: false });
        let gates = arrivals(&mut limiter, &options, &[1, 899_999, 900_000]);
        let locked = Gate::LockedOut { already: true };
        assert_eq!(gates, [locked, locked, Gate::Open]);
    }

    #[test]
    fn an_answered_request_ends_the_run() {
        let mut limiter = Limiter::default();
        let options = Options { rate_per_second: 1, ..Options::default() };
        for round in 0..3 {
            let gates = arrivals(&mut limiter, &options, &[round * 1_000; 21]);
            assert_eq!(gates[20], Gate::Throttled, "round {round}");
            limiter.forgive();
        }
    }

    #[test]
    fn a_lock_out_may_restart_and_double() {
        let options =
            Options { lockout_restarts: true, lockout_doubles: true, ..Options::default() };
        let mut limiter = Limiter::default();
        limiter.lock_out(at(0), &options);
        arrivals(&mut limiter, &options, &[800_000]);
        let locked = Gate::LockedOut { already: true };
        assert_eq!(arrivals(&mut limiter, &options, &[1_600_000]), [locked]);
        assert_eq!(arrivals(&mut limiter, &options, &[2_500_000]), [Gate::Open]);
        limiter.lock_out(at(2_500_000), &options);
        let gates = arrivals(&mut limiter, &options, &[2_500_000 + 1_799_999]);
        assert_eq!(gates, [locked]);
    }
}
