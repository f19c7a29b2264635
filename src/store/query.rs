//! What somebody looks for, and the pages that it is answered in.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::lead::{
    DestinationId, Identity, Malformed, Record, SourceId, State, SubmissionId, Timestamp,
};

/// Which records a list holds. Everything is ANDed; an empty list or `None` asks for nothing.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Any of these states.
    pub states: Vec<State>,
    /// From this source.
    pub source: Option<SourceId>,
    /// To this destination.
    pub destination: Option<DestinationId>,
    /// Any of these.
    pub matching: Vec<Match>,
    /// Accepted at or after this.
    pub since: Option<Timestamp>,
    /// Accepted before this.
    pub until: Option<Timestamp>,
    /// Where the page before this one ended.
    pub cursor: Option<Cursor>,
    /// At most this many; an implementation caps it at [`Query::LIMIT_MAX`].
    pub limit: usize,
}

impl Query {
    /// The most records that one page holds.
    pub const LIMIT_MAX: usize = 500;
}

/// One reading of what a person typed into a search box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// A person, by phone or e-mail.
    Identity(Identity),
    /// A submission, and those merged into it.
    Id(SubmissionId),
    /// CareSoft's lead id.
    UpstreamLead(u64),
    /// The platform's own id.
    ExternalId(String),
}

/// A place in a list that stays where it is while records arrive: for each of the store's logs (a
/// name of the store's own choice) the number of the last record that was shown of it. Written as
/// `main.4711,other.12`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor(pub BTreeMap<DestinationId, u64>);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (log, number)) in self.0.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            write!(f, "{comma}{log}.{number}")?;
        }
        Ok(())
    }
}

impl FromStr for Cursor {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let place = |part: &str| {
            let (log, number) = part.split_once('.')?;
            Some((log.parse().ok()?, number.parse().ok()?))
        };
        let places = text.split(',').map(place).collect::<Option<_>>();
        places.map(Self).ok_or(Malformed("expected the `next` of the page before"))
    }
}

/// One page of a list, newest first, records without history.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Cursor>,
}
