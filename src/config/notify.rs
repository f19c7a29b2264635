//! What `[notify]` says, typed.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use secrecy::SecretSlice;
use url::Url;

/// `[notify]`
#[derive(Debug, Clone, PartialEq)]
pub struct Notify {
    /// Where outcome signals are posted.
    pub url: HookUrl,
    /// What they are signed with, the newest first; each key makes a signature. At least one.
    pub keys: Vec<SigningKey>,
    /// What is told.
    pub events: BTreeSet<NotifyEvent>,
    /// A source that has sent before is silent when it sends nothing for so long; without one
    /// nobody looks.
    pub silent_after: Option<Duration>,
    /// Of one post, connection and answer together.
    pub timeout: Duration,
}

/// `notify.url`, which cannot be printed: services write a password into its path.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUrl(pub Url);

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookUrl(…)")
    }
}

/// The bytes of one of `notify.secret`, which cannot be printed.
#[derive(Debug, Clone)]
pub struct SigningKey(pub SecretSlice<u8>);

/// One of `notify.events`
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotifyEvent {
    /// A lead has its id at CareSoft.
    LeadCreated,
    /// A lead was refused for good, or given up.
    LeadDead,
    /// Nothing goes to a destination any more.
    LaneStopped,
    /// Leads go to it again.
    LaneResumed,
    /// A source that has sent before sends nothing.
    SourceSilent,
    /// Nothing can be fetched for a source any more: its token does not work.
    SourceStopped,
    /// It is fetched for it again.
    SourceResumed,
}

impl NotifyEvent {
    /// Every event.
    pub const ALL: [Self; 7] = [
        Self::LeadCreated,
        Self::LeadDead,
        Self::LaneStopped,
        Self::LaneResumed,
        Self::SourceSilent,
        Self::SourceStopped,
        Self::SourceResumed,
    ];

    /// The event's name in the configuration, in a signal and in the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeadCreated => "lead.created",
            Self::LeadDead => "lead.dead",
            Self::LaneStopped => "lane.stopped",
            Self::LaneResumed => "lane.resumed",
            Self::SourceSilent => "source.silent",
            Self::SourceStopped => "source.stopped",
            Self::SourceResumed => "source.resumed",
        }
    }
}
