//! The vocabulary that every room shares. No I/O, nothing of ours imported, no decisions beyond
//! "is this a well-formed X".

/// A text that does not have the shape its type asks for. Says what was expected, never the text
/// itself: it may be a person's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Serialise and deserialise through `Display` and `FromStr`.
macro_rules! serde_as_text {
    ($($name:ident),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

mod clock;
mod id;
mod person;
mod record;
mod submission;
mod time;
mod trace;

pub use clock::{Clock, Hand};
pub use id::{DestinationId, SourceId, SubmissionId};
pub use person::{Email, Identity, Phone};
pub use record::{Event, Phase, Record, State, Upstream};
pub use submission::{Answer, Attribution, Lead, RawBody};
pub use time::Timestamp;
pub use trace::TraceId;
