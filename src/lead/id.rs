//! The names of things.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

use super::Malformed;

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 1 to 64 of `a-z A-Z 0-9 - _`. Cheap to clone.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                if text.is_empty() || text.len() > 64 || !text.chars().all(plain) {
                    return Err(Malformed("expected 1 to 64 letters, digits, - or _"));
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type! {
    /// One configured place that leads come from: the last path segment of `/in/{source}`.
    SourceId
}
name_type! {
    /// One CareSoft account; also the name of its lane.
    DestinationId
}

/// A submission's id: a UUID version 7, so ids sort by the time they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmissionId(Uuid);

impl SubmissionId {
    /// A new id; ids made by one process rise strictly.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// From the 16 bytes that [`SubmissionId::as_bytes`] gave.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The id's 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for SubmissionId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Uuid::parse_str(text).map(Self).map_err(|_| Malformed("expected a submission id (a UUID)"))
    }
}

serde_as_text!(SourceId, DestinationId, SubmissionId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise() {
        let ids: Vec<_> = (0..1000).map(|_| SubmissionId::generate()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn names_are_short_and_plain() {
        assert!("website".parse::<SourceId>().is_ok());
        for wrong in ["", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(wrong.parse::<SourceId>().is_err(), "{wrong:?}");
        }
    }
}
