//! A moment as people write one: a time, or how long ago.

use crate::lead::{Clock, Timestamp};

/// A moment that was asked for on the command line.
pub(super) type Moment = Timestamp;

/// `2026-11-23T09:15:02Z`, or `2h`: so long ago.
///
/// # Errors
/// What was expected.
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    let ago =
        |text| humantime::parse_duration(text).ok().map(|ago| Clock::system().now().minus(ago));
    text.parse().ok().or_else(|| ago(text)).ok_or_else(|| {
        "expected a time such as 2026-11-23T09:15:02Z, or how long ago, such as 2h".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_how_long_ago() {
        let time = "2026-11-23T09:15:02.000Z";
        assert_eq!(moment(time).map(|moment| moment.to_string()), Ok(time.to_owned()));
        let now = Clock::system().now();
        let hours = now.since(moment("2h").unwrap()).as_secs();
        assert!((7190..=7200).contains(&hours), "{hours}");
        assert!(moment("yesterday").is_err());
    }
}
