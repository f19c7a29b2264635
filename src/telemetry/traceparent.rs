//! The header `traceparent`: <https://www.w3.org/TR/trace-context/#traceparent-header>.

use std::fmt;

use crate::lead::TraceId;

/// The version that is written here, 00, has 55 characters. A later one may say more; nothing that
/// is longer is looked at.
const LENGTH_MAX: usize = 128;

/// A place in a trace: what comes of it hangs there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span in it; never 0.
    pub span: u64,
    /// Whether whoever sends it records the trace. What a stranger says of this decides nothing.
    pub is_sampled: bool,
}

impl TraceParent {
    /// Reads a header's value; `None` where it is none, as the standard says: then a trace begins.
    pub fn read(value: &str) -> Option<Self> {
        if value.len() > LENGTH_MAX {
            return None;
        }
        let (version, rest) = value.split_once('-')?;
        let (trace, rest) = rest.split_once('-')?;
        let (span, rest) = rest.split_once('-')?;
        let (flags, more) = rest.split_once('-').map_or((rest, false), |(flags, _)| (flags, true));
        let version = hexadecimal(version, 2)?;
        if version == 0xff || (version == 0 && more) {
            return None;
        }
        let trace = trace.parse().ok()?;
        let span = hexadecimal(span, 16).filter(|span| *span != 0)?;
        Some(Self { trace, span, is_sampled: hexadecimal(flags, 2)? & 1 == 1 })
    }
}

/// A number of so many lower-case digits.
fn hexadecimal(text: &str, digits: usize) -> Option<u64> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let plain = text.len() == digits && text.bytes().all(is_digit);
    plain.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// The header's value.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, is_sampled } = self;
        write!(f, "00-{trace}-{span:016x}-{:02x}", u8::from(*is_sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn what_the_standard_allows_is_read() {
        let of = |value: &str| TraceParent::read(value).map(|parent| parent.to_string());
        let plain = format!("00-{TRACE}-00f067aa0ba902b7-01");
        assert_eq!(plain.len(), 55);
        assert_eq!(of(&plain).as_ref(), Some(&plain));
        let unsampled = format!("00-{TRACE}-00f067aa0ba902b7-00");
        assert_eq!(of(&format!("00-{TRACE}-00f067aa0ba902b7-02")), Some(unsampled), "other flags");
        for later in ["cc-T-00f067aa0ba902b7-01", "01-T-00f067aa0ba902b7-01-what-comes"] {
            assert_eq!(of(&later.replace('T', TRACE)), Some(plain.clone()), "{later}");
        }
    }

    #[test]
    fn anything_else_begins_a_trace() {
        let long = format!("01-{TRACE}-00f067aa0ba902b7-01-{}", "x".repeat(LENGTH_MAX));
        for wrong in [
            "",
            "00",
            "00-T-00f067aa0ba902b7",
            "00-T-00f067aa0ba902b7-01-more",
            "00-T-00f067aa0ba902b7-01-",
            "00-T-00f067aa0ba902b7-1",
            "00-T-00f067aa0ba902b7-0g",
            "00-T-00F067AA0BA902B7-01",
            "00-T-0000000000000000-01",
            "00-T-00f067aa0ba902b-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-T-00f067aa0ba902b7-01",
            "0-T-00f067aa0ba902b7-01",
            " 00-T-00f067aa0ba902b7-01",
            "00-T-00f067aa0ba902b7-01\n",
            "00-é-00f067aa0ba902b7-01",
            &long,
        ] {
            assert_eq!(TraceParent::read(&wrong.replace('T', TRACE)), None, "{wrong:?}");
        }
    }
}
