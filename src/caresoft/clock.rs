//! CareSoft's times are Vietnam's wall clock, whatever they look like.
//!
//! Lists and filters write `2026-11-23T16:15:02Z`, details write `2026-11-23 16:15:02`, and public
//! client code agrees that both hold the same digits: those of a clock in Hà Nội. The `Z` is
//! decoration. A window that ends at "now" in true UTC would end seven hours ago.

use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::lead::Timestamp;

/// Vietnam is seven hours ahead of UTC all year and has been since 1975.
pub const VIETNAM_OFFSET_HOURS: i8 = 7;

const VIETNAM: Offset = Offset::constant(VIETNAM_OFFSET_HOURS);

/// `2026-11-23T16:15:02Z` for 09:15:02 UTC: how list filters want a time.
pub fn wall_clock(moment: Timestamp) -> String {
    in_vietnam(moment).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-11-23 16:15:02` for 09:15:02 UTC: how details, answers and `estimated_closed_date` write
/// a time.
pub fn plain_clock(moment: Timestamp) -> String {
    in_vietnam(moment).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Reads either form, also with slashes and fractions of a second; `None` for anything else.
pub fn parse_wall_clock(text: &str) -> Option<Timestamp> {
    let plain = text.trim().trim_end_matches(['Z', 'z']).replace('/', "-");
    let read: DateTime = plain.parse().ok()?;
    let moment = VIETNAM.to_timestamp(read).ok()?;
    Some(Timestamp::from_millis(moment.as_millisecond()))
}

fn in_vietnam(moment: Timestamp) -> DateTime {
    let bounds = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
    let clamped =
        moment.as_millis().clamp(bounds.0.as_millisecond() + 1, bounds.1.as_millisecond());
    // Inside the bounds by the line above; the epoch stands in for what cannot happen.
    VIETNAM.to_datetime(jiff::Timestamp::from_millisecond(clamped).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vietnams_digits_with_a_decorative_z() {
        let moment: Timestamp = "2026-11-23T18:15:02.900Z".parse().unwrap();
        assert_eq!(wall_clock(moment), "2026-11-24T01:15:02Z");
        assert_eq!(plain_clock(moment), "2026-11-24 01:15:02");
    }

    #[test]
    fn both_forms_read_back() {
        let moment: Timestamp = "2026-11-23T18:15:02Z".parse().unwrap();
        for text in [
            "2026-11-24T01:15:02Z",
            "2026-11-24 01:15:02",
            " 2026/11/24 01:15:02 ",
            "2026-11-24T01:15:02.000Z",
        ] {
            assert_eq!(parse_wall_clock(text), Some(moment), "{text:?}");
        }
        for text in ["", "soon", "2026-13-01 00:00:00", "24/11/2026 01:15:02", "1795425302"] {
            assert_eq!(parse_wall_clock(text), None, "{text:?}");
        }
    }

    #[test]
    fn no_moment_panics() {
        for millis in [i64::MIN, -1, 0, i64::MAX] {
            assert!(wall_clock(Timestamp::from_millis(millis)).ends_with('Z'), "{millis}");
        }
    }
}
