//! How fast a lane may send: the words of it, and the arithmetic, which every store follows.

use std::time::Duration;

/// A place in the pace is given away at most so long before it is due (or two steps of the pace,
/// where those are longer): long enough that no place is lost on the way between a replica and
/// the store, short enough that what is given away is little when the gate closes.
pub const PLACE_AHEAD_MAX: Duration = Duration::from_secs(2);

/// How fast a lane may send: GCRA with a burst of one, and over the hour with a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceRule {
    /// At least so long between two sends.
    pub between: Duration,
    /// `None` where the hour has room for whatever `between` lets through.
    pub hour: Option<HourRule>,
}

/// What an hour has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourRule {
    /// The allowance has room for one more after each of these.
    pub between: Duration,
    /// What it has room for when it was not used for long.
    pub burst: u32,
}

/// What a lane may do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paced {
    /// A place was taken: send after this long (at most [`PLACE_AHEAD_MAX`], or two steps of the
    /// pace).
    Go(Duration),
    /// No place was taken: none is free for about so long.
    Later(Duration),
    /// The lane's gate is not the one that the caller knows: no place was taken.
    Moved(SharedGate),
}

/// A lane's gate as all replicas share it: what delivery wrote, and how often it changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedGate {
    /// 0: it was never written.
    pub version: u64,
    /// Delivery's own words, which a store does not read; empty when it was never written.
    pub state: String,
}

/// What is remembered of the places that a lane has taken. Times are since a moment of the
/// caller's choice, the same one for every call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gcra {
    /// Where the next place is.
    next: Duration,
    /// When the hour's allowance will be whole again.
    whole: Duration,
}

impl Gcra {
    /// Takes the next free place; answers how long until it is due.
    ///
    /// # Errors
    /// None is free, for so long: the next one is too far away to be given away, or the hour's
    /// allowance is used up at that place. Nothing was taken.
    pub fn take(&mut self, rule: &PaceRule, now: Duration) -> Result<Duration, Duration> {
        let place = self.next.max(now);
        let wait = place.saturating_sub(now);
        if wait > PLACE_AHEAD_MAX.max(rule.between * 2) {
            return Err(wait);
        }
        // The hour is counted where the request goes out, not where its place was asked for.
        if let Some(hour) = &rule.hour {
            let whole = self.whole.max(place) + hour.between;
            let room_from = whole.saturating_sub(hour.between * hour.burst);
            if room_from > place {
                return Err(room_from.saturating_sub(now));
            }
            self.whole = whole;
        }
        self.next = place + rule.between;
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    /// The most of `places`, which rise, that any window holds.
    fn fullest(places: &[Duration], window: Duration) -> usize {
        let from = |first: usize| {
            places[first..].iter().take_while(|place| **place - places[first] < window).count()
        };
        (0..places.len()).map(from).max().unwrap_or(0)
    }

    /// The places that are given when one asks after each of `steps`.
    fn places(rule: &PaceRule, steps: impl IntoIterator<Item = Duration>) -> Vec<Duration> {
        let (mut pace, mut now, mut given) = (Gcra::default(), Duration::ZERO, Vec::new());
        for step in steps {
            now += step;
            if let Ok(wait) = pace.take(rule, now) {
                assert!(wait <= PLACE_AHEAD_MAX.max(rule.between * 2), "{wait:?} ahead");
                given.push(now + wait);
            }
        }
        given
    }

    proptest! {
        /// Invariant 6, exactly: whenever places are asked for, no sliding second and no sliding
        /// hour ever holds more of them than the pace.
        #[test]
        fn invariant_6_no_sliding_window_holds_more_than_the_pace(
            rate in 1_u32..60,
            burst in 1_u32..40,
            refills in 1_u32..40,
            // Shares of a step of the pace: storms, pauses, and everything between.
            shares in prop::collection::vec(prop_oneof![Just(0.0), 0.0..2.0, 0.0..200.0], 1..600),
        ) {
            let between = SECOND / rate + Duration::from_nanos(1);
            let hour = HourRule { between: HOUR / refills + Duration::from_nanos(1), burst };
            let steps = |of: Duration| shares.iter().map(move |share| of.mul_f64(*share));

            let second = PaceRule { between, hour: None };
            prop_assert!(fullest(&places(&second, steps(between)), SECOND) <= rate as usize);

            let both = PaceRule { between, hour: Some(hour) };
            for of in [between, hour.between / 10] {
                let given = places(&both, steps(of));
                prop_assert!(fullest(&given, SECOND) <= rate as usize);
                prop_assert!(fullest(&given, HOUR) <= (burst + refills) as usize);
            }
        }

        /// Whoever asks in time, however unevenly, loses no place.
        #[test]
        fn no_place_is_lost_while_somebody_asks_in_time(
            rate in 1_u32..200,
            shares in prop::collection::vec(0.0..0.99, 1..400),
        ) {
            let rule = PaceRule { between: SECOND / rate, hour: None };
            let given = places(&rule, shares.iter().map(|share| rule.between.mul_f64(*share)));
            for (one, next) in given.iter().zip(&given[1..]) {
                prop_assert_eq!(*next - *one, rule.between);
            }
        }
    }

    #[test]
    fn a_place_is_given_away_only_when_it_is_near() {
        let rule = PaceRule { between: SECOND / 2, hour: None };
        let mut pace = Gcra::default();
        for half in 0..=4 {
            assert_eq!(pace.take(&rule, SECOND), Ok(SECOND / 2 * half));
        }
        assert_eq!(pace.take(&rule, SECOND), Err(SECOND * 5 / 2));
        assert_eq!(pace.take(&rule, SECOND * 2), Ok(SECOND * 3 / 2), "nothing was taken");

        let slow = PaceRule { between: HOUR, hour: None };
        let mut pace = Gcra::default();
        let answers = [0; 4].map(|_| pace.take(&slow, SECOND));
        assert_eq!(answers, [Ok(Duration::ZERO), Ok(HOUR), Ok(HOUR * 2), Err(HOUR * 3)]);
    }

    #[test]
    fn an_hour_that_is_used_up_says_for_how_long() {
        let hour = HourRule { between: SECOND * 60, burst: 2 };
        let rule = PaceRule { between: SECOND, hour: Some(hour) };
        let mut pace = Gcra::default();
        let start = SECOND * 1000;
        assert_eq!(pace.take(&rule, start), Ok(Duration::ZERO));
        assert_eq!(pace.take(&rule, start), Ok(SECOND));
        assert_eq!(pace.take(&rule, start), Err(SECOND * 60));
        assert_eq!(pace.take(&rule, start + SECOND * 59), Err(SECOND));
        assert_eq!(pace.take(&rule, start + SECOND * 60), Ok(Duration::ZERO));
        assert_eq!(pace.take(&rule, start + SECOND * 60), Err(SECOND * 60));
    }
}
