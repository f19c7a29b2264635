//! How long to wait before trying again. The only file that touches the `backoff` crate.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

use crate::config::Retry;

/// A delay before attempt number `attempts + 1`: "full jitter", that is anything between nothing
/// and a ceiling that doubles from `initial` to `max`, so that leads that failed together do not
/// come back together.
pub fn delay(policy: &Retry, attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(31);
    let ceiling = policy.initial.saturating_mul(1 << doublings).min(policy.max);
    jitter(ceiling)
}

/// Anything between nothing and `ceiling`.
pub fn jitter(ceiling: Duration) -> Duration {
    let mut backoff = ExponentialBackoff {
        // The crate spreads around a middle by a share of it: half the ceiling, all of it each way.
        current_interval: ceiling / 2,
        initial_interval: ceiling / 2,
        max_interval: ceiling,
        randomization_factor: 1.0,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    };
    backoff.next_backoff().unwrap_or(ceiling).min(ceiling)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Retry = Retry {
        initial: Duration::from_secs(1),
        max: Duration::from_secs(600),
        give_up_after: Duration::from_secs(72 * 3600),
    };

    #[test]
    fn delays_spread_over_the_whole_range_below_a_doubling_ceiling() {
        for (attempts, ceiling) in [(1, 1), (2, 2), (5, 16), (10, 512), (11, 600), (1000, 600)] {
            let delays: Vec<_> = (0..400).map(|_| delay(&POLICY, attempts).as_secs_f64()).collect();
            let ceiling = f64::from(ceiling);
            assert!(delays.iter().all(|delay| (0.0..=ceiling).contains(delay)), "{attempts}");
            // 400 uniform draws miss the lowest or the highest fifth with a chance of 10^-38.
            assert!(delays.iter().any(|delay| *delay < ceiling * 0.2), "{attempts}");
            assert!(delays.iter().any(|delay| *delay > ceiling * 0.8), "{attempts}");
        }
    }
}
