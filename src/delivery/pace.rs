//! The pace that a lane asks of the store, and when to ask: not long before a send is due.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::config::Pace;
use crate::store::{HourRule, PaceRule};

/// Places are this much further apart than the rate asks, since requests do not all take equally
/// long to arrive: 2 % of a second absorbs 20 ms of jitter, and costs 2 % of the rate.
const SPACING: f64 = 1.02;

/// A lane asks this much faster than the pace, so that it is never late for a place: whoever asks
/// early is given one that is due in a moment, whoever asks late has lost one.
const ASKING: f64 = 0.95;

/// While leads wait to be made, the further requests of chores have every so many-th place.
const CHORES: u32 = 4;

/// One lane's pace. The store gives the places away, over all replicas; what stands in front of
/// it here keeps this replica from asking for what it could not use yet.
pub struct Pacer {
    rule: PaceRule,
    asking: DefaultDirectRateLimiter,
    chores: DefaultDirectRateLimiter,
}

impl Pacer {
    /// A pace.
    pub fn new(pace: Pace) -> Self {
        let rule = rule(pace);
        let often = Quota::with_period(rule.between.mul_f64(ASKING));
        let asking = RateLimiter::direct(often.unwrap_or(Quota::per_second(pace.per_second)));
        let seldom = Quota::with_period(rule.between * CHORES);
        let chores = RateLimiter::direct(seldom.unwrap_or(Quota::per_second(pace.per_second)));
        Self { rule, asking, chores }
    }

    /// What the store goes by.
    pub fn rule(&self) -> &PaceRule {
        &self.rule
    }

    /// Waits until a chore may ask for a place for one more request, while leads wait to be made.
    pub async fn time_for_a_chore(&self) {
        self.chores.until_ready().await;
    }

    /// Waits until it is time to ask for a place. Never long: at most as long as the rate puts
    /// between two.
    pub async fn time_to_ask(&self) {
        self.asking.until_ready().await;
    }
}

/// Half of the hour's allowance may come at once, the other half is spread over the hour:
/// together no sliding hour holds more than the allowance.
fn rule(pace: Pace) -> PaceRule {
    let (per_second, per_hour) = (pace.per_second.get(), pace.per_hour);
    let burst = NonZeroU32::new(per_hour.get() / 2).unwrap_or(NonZeroU32::MIN).get();
    let spread = (per_hour.get() - burst).max(1);
    // An hour that the second's rate cannot fill needs no rule of its own.
    let binds = u64::from(per_second) * 3600 > u64::from(per_hour.get());
    PaceRule {
        between: Duration::from_secs_f64(SPACING / f64::from(per_second)),
        hour: binds.then(|| HourRule { between: Duration::from_secs(3600) / spread, burst }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::pace::Gcra;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(per_second: u32, per_hour: u32) -> Pace {
        Pace { per_second: per_second.try_into().unwrap(), per_hour: per_hour.try_into().unwrap() }
    }

    /// Invariant 6: the store keeps to the rule (`store/pace.rs`), and this rule is the rate.
    #[test]
    fn invariant_6_the_rule_is_the_rate_and_leaves_room_for_jitter() {
        for per_second in [1, 2, 12, 15, 200, 1000, 100_000] {
            let PaceRule { between, hour } = rule(pace(per_second, per_second * 3600));
            assert_eq!(hour, None, "the second's rule says it all");
            let window = between * per_second;
            assert!(window >= SECOND + SECOND / 51, "{per_second}: {window:?} for one too many");
            let used = SECOND.as_secs_f64() / (between * per_second).as_secs_f64();
            assert!(used > 0.98, "{per_second}: {used} of the rate can be used");
        }
        for per_hour in [1, 2, 3, 40, 520, 3599] {
            let rule = rule(pace(1000, per_hour));
            let (mut taken, mut places) = (Gcra::default(), Vec::new());
            for step in 0..10_000 {
                let now = SECOND * step;
                if let Ok(wait) = taken.take(&rule, now) {
                    places.push(now + wait);
                }
            }
            for (at, from) in places.iter().enumerate() {
                let hour = places[at..].iter().take_while(|at| **at - *from < SECOND * 3600);
                assert!(hour.count() <= per_hour as usize, "{per_hour} in any hour");
            }
            assert!(places.len() >= per_hour as usize, "{per_hour}: the allowance is used");
        }
    }

    #[tokio::test]
    async fn a_lane_asks_no_faster_than_it_may_send() {
        let pacer = Pacer::new(pace(50, 180_000));
        let started = std::time::Instant::now();
        for _ in 0..11 {
            pacer.time_to_ask().await;
        }
        // Ten gaps of 19.38 ms; an upper bound would time the machine.
        assert!(started.elapsed() >= Duration::from_millis(190), "{:?}", started.elapsed());
    }
}
