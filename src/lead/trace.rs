//! What happened for one post, over all processes, under one id.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::{Malformed, SubmissionId};

/// A trace's id as W3C's Trace Context has it: 16 bytes, not all of them 0; as text 32 lower-case
/// hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// A new one, by chance.
    pub fn generate() -> Self {
        Self(*Uuid::new_v4().as_bytes()) // says its version, so it is never 0
    }

    /// The trace of a submission that was accepted before traces were: its own id.
    pub const fn of(id: SubmissionId) -> Self {
        Self(*id.as_bytes())
    }

    /// From the 16 bytes that [`TraceId::as_bytes`] gave; `None` where all of them are 0.
    pub const fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        if u128::from_be_bytes(bytes) == 0 { None } else { Some(Self(bytes)) }
    }

    /// The id's 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl FromStr for TraceId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let plain = text.len() == 32 && text.bytes().all(is_digit);
        let number = plain.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number
            .and_then(|number| Self::from_bytes(number.to_be_bytes()))
            .ok_or(Malformed("expected 32 lower-case hexadecimal digits, not all of them 0"))
    }
}

serde_as_text!(TraceId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_back() {
        let id = TraceId::generate();
        assert_eq!(id.to_string().parse::<TraceId>().unwrap(), id);
        assert_eq!(TraceId::from_bytes(*id.as_bytes()), Some(id));
        assert_eq!(TraceId::from_bytes([0; 16]), None);
        assert_ne!(id, TraceId::generate());
    }

    #[test]
    fn nothing_else_is_one() {
        let right = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert!(right.parse::<TraceId>().is_ok());
        let (short, long) = (&right[1..], format!("{right}0"));
        let upper = right.to_uppercase();
        let signed = format!("+{}", &right[1..]);
        for wrong in [&"0".repeat(32), short, &long, &upper, &signed, "", "é"] {
            assert!(wrong.parse::<TraceId>().is_err(), "{wrong:?}");
        }
    }
}
