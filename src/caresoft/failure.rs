//! What a call was, and every way it can end without what was asked for.

use std::time::Duration;

/// One endpoint. Names the call in metrics and decides what a 404 of it can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// `POST lead`
    CreateLead,
    /// `PUT lead/{id}`
    UpdateLead,
    /// `GET lead/{id}`
    Lead,
    /// `GET leads`
    Leads,
    /// `GET lead/status`
    Statuses,
    /// `GET lead/unqualified-reason`
    UnqualifiedReasons,
    /// `GET lead/labels`
    Labels,
    /// `GET services`
    Services,
    /// `GET groups`
    Groups,
    /// `GET agents`
    Agents,
    /// `GET tickets/custom_fields`
    TicketCustomFields,
    /// `GET contacts/custom_fields`
    ContactCustomFields,
    /// `GET contactsByPhone`
    ContactByPhone,
}

impl Call {
    /// The call's name in metrics: `create_lead`, ….
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreateLead => "create_lead",
            Self::UpdateLead => "update_lead",
            Self::Lead => "lead",
            Self::Leads => "leads",
            Self::Statuses => "statuses",
            Self::UnqualifiedReasons => "unqualified_reasons",
            Self::Labels => "labels",
            Self::Services => "services",
            Self::Groups => "groups",
            Self::Agents => "agents",
            Self::TicketCustomFields => "ticket_custom_fields",
            Self::ContactCustomFields => "contact_custom_fields",
            Self::ContactByPhone => "contact_by_phone",
        }
    }

    /// Whether it changes something upstream. A call that only reads may be made again whatever
    /// became of it.
    pub const fn writes(self) -> bool {
        matches!(self, Self::CreateLead | Self::UpdateLead)
    }

    /// Whether a 404 can be about the record or the path (labels have two documented paths)
    /// rather than about the account.
    pub(super) const fn may_be_missing(self) -> bool {
        matches!(self, Self::UpdateLead | Self::Lead | Self::Labels | Self::ContactByPhone)
    }
}

/// Whose fault a failure is, which is also who has to do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// CareSoft, or the way there: it passes.
    Upstream,
    /// The pace: too much was sent, by us or by a neighbour on the same account.
    Pace,
    /// The destination's configuration: the operator.
    Configuration,
    /// What was sent: this lead and no other.
    Lead,
    /// A fault of this program.
    Us,
}

/// Whether CareSoft has got the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Surely not.
    No,
    /// Perhaps, and perhaps it was carried out.
    Maybe,
    /// Yes, and it was surely not carried out.
    Yes,
}

/// Why a call has no result. Every message is fit for a log: bounded, without control characters,
/// phones and e-mail addresses masked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection came about: DNS, TCP or TLS.
    #[error("could not connect: {message}")]
    NotSent {
        /// What the connection said.
        message: String,
    },
    /// The request could not be written at all: a fault of this program.
    #[error("could not make the request: {message}")]
    Unbuildable {
        /// Why.
        message: String,
    },
    /// 429: too many requests. Every further request counts towards the lock-out.
    #[error("too many requests: {message}")]
    Throttled {
        /// `Retry-After`, where CareSoft gave one.
        retry_after: Option<Duration>,
        /// CareSoft's words.
        message: String,
    },
    /// The account is locked out for a while: nothing at all may be sent.
    #[error("locked out: {message}")]
    LockedOut {
        /// How long, where CareSoft's words say so.
        retry_after: Option<Duration>,
        /// CareSoft's words.
        message: String,
    },
    /// Token, domain or address are wrong: the same answer awaits every lead.
    #[error("configuration refused (HTTP {status}): {message}")]
    Configuration {
        /// The HTTP status.
        status: u16,
        /// CareSoft's words.
        message: String,
    },
    /// The request went out and its fate is not known: never to be sent again unlooked.
    #[error("outcome not known: {message}")]
    Ambiguous {
        /// What was seen.
        message: String,
    },
    /// Refused for good.
    #[error("refused (HTTP {status}): {message}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// CareSoft's words.
        message: String,
    },
}

impl Failure {
    /// Who has to do something about it.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::NotSent { .. } | Self::Ambiguous { .. } => Blame::Upstream,
            Self::Throttled { .. } | Self::LockedOut { .. } => Blame::Pace,
            Self::Configuration { .. } => Blame::Configuration,
            Self::Rejected { .. } => Blame::Lead,
            Self::Unbuildable { .. } => Blame::Us,
        }
    }

    /// Whether CareSoft has got the request.
    pub const fn sent(&self) -> Sent {
        match self {
            Self::NotSent { .. } | Self::Unbuildable { .. } => Sent::No,
            Self::Ambiguous { .. } => Sent::Maybe,
            Self::Throttled { .. }
            | Self::LockedOut { .. }
            | Self::Configuration { .. }
            | Self::Rejected { .. } => Sent::Yes,
        }
    }

    /// Whether the very same request may be sent again later, and could succeed, without looking
    /// first what became of this one. When is another question: see [`Failure::retry_after`].
    pub const fn retryable(&self) -> bool {
        match self {
            Self::NotSent { .. }
            | Self::Throttled { .. }
            | Self::LockedOut { .. }
            | Self::Configuration { .. } => true,
            Self::Ambiguous { .. } | Self::Rejected { .. } | Self::Unbuildable { .. } => false,
        }
    }

    /// How long CareSoft asked for silence, where it said so.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::LockedOut { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }

    /// The kind's name in metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NotSent { .. } => "not_sent",
            Self::Unbuildable { .. } => "unbuildable",
            Self::Throttled { .. } => "throttled",
            Self::LockedOut { .. } => "locked_out",
            Self::Configuration { .. } => "configuration",
            Self::Ambiguous { .. } => "ambiguous",
            Self::Rejected { .. } => "rejected",
        }
    }
}
