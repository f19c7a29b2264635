//! A moment as people write one: a time, or how long ago.

use crate::lead::{Clock, Timestamp};

/// A moment that was asked for on the command line.
pub(super) type Moment = Timestamp;

/// `2026-11-23T09:15:02Z`, `2026-11-23` and `2026-11-23T09:15` (UTC), or `2h`: so long ago.
///
/// # Errors
/// What was expected.
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    let ago =
        |text| humantime::parse_duration(text).ok().map(|ago| Clock::system().now().minus(ago));
    let whole = |ends: &[&str]| ends.iter().find_map(|end| format!("{text}{end}").parse().ok());
    whole(&["", "Z", "T00:00:00Z"]).or_else(|| ago(text)).ok_or_else(|| {
        "expected a time such as 2026-11-23, 2026-11-23T09:15+07:00 (else UTC), or how long ago, such as 2h"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_how_long_ago() {
        let time = "2026-11-23T09:15:02.000Z";
        assert_eq!(moment(time).map(|moment| moment.to_string()), Ok(time.to_owned()));
        for (text, told) in [
            ("2026-11-23", "2026-11-23T00:00:00.000Z"),
            ("2026-11-23T09:15", "2026-11-23T09:15:00.000Z"),
            ("2026-11-23T09:15:02", time),
            ("2026-11-23T09:15+07:00", "2026-11-23T02:15:00.000Z"),
        ] {
            assert_eq!(
                moment(text).map(|moment| moment.to_string()),
                Ok(told.to_owned()),
                "{text}"
            );
        }
        let now = Clock::system().now();
        let hours = now.since(moment("2h").unwrap()).as_secs();
        assert!((7190..=7200).contains(&hours), "{hours}");
        assert!(moment("yesterday").is_err());
    }
}
