//! An admission in the spool: closed as a whole, with its persons by name, since what they are
//! hashed with may not be known while Redis is away.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::lead::{
    DestinationId, Identity, Lead, RawBody, SourceId, SubmissionId, Timestamp, TraceId,
};
use crate::store::payload::Vault;
use crate::store::{Admission, Content, Idempotency};

/// An admission as it is stored: the length of its head, the head, its raw body.
pub(super) fn write(vault: &Vault, admission: &Admission) -> Vec<u8> {
    let raw = match &admission.content {
        Content::Quarantined { raw, .. } | Content::Notice { notice: raw } => raw.bytes.as_slice(),
        Content::Lead { .. } | Content::Test { .. } | Content::Deletion => &[],
    };
    let head = serde_json::to_vec(&Head::of(admission)).expect("texts in lists and maps");
    let length = u32::try_from(head.len()).unwrap_or(u32::MAX).to_be_bytes();
    vault.close_bytes(&[&length, head.as_slice(), raw].concat())
}

/// The admission that [`write`] was given; `None` when it cannot be told.
pub(super) fn read(vault: &Vault, entry: &[u8]) -> Option<Admission> {
    let entry = vault.open_bytes(entry).ok()?;
    let (length, rest) = entry.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (head, raw) = rest.split_at_checked(length)?;
    Some(serde_json::from_slice::<Head>(head).ok()?.admission(raw))
}

/// An admission as it is spooled, but for its raw body, which follows.
#[derive(Serialize, Deserialize)]
struct Head {
    id: SubmissionId,
    source: SourceId,
    destination: DestinationId,
    received_at: Timestamp,
    #[serde(default)]
    trace_id: Option<TraceId>,
    external_id: Option<String>,
    idempotency_key: Option<String>,
    #[serde(default)]
    idempotency_window: Option<Duration>,
    content: HeadContent,
}

#[derive(Serialize, Deserialize)]
enum HeadContent {
    Lead { lead: Lead, phones: Vec<String>, emails: Vec<String> },
    Quarantined { reason: String, lead: Option<Lead>, content_type: String },
    Test { lead: Lead },
    Notice { content_type: String },
    Deletion,
}

impl Head {
    fn of(admission: &Admission) -> Self {
        let content = match &admission.content {
            Content::Lead { lead, identities } => {
                let (mut phones, mut emails) = (vec![], vec![]);
                for identity in identities {
                    match identity {
                        Identity::Phone(phone) => phones.push(phone.e164().to_owned()),
                        Identity::Email(key) => emails.push(key.clone()),
                    }
                }
                HeadContent::Lead { lead: lead.clone(), phones, emails }
            }
            Content::Quarantined { reason, lead, raw } => HeadContent::Quarantined {
                reason: reason.clone(),
                lead: lead.clone(),
                content_type: raw.content_type.clone(),
            },
            Content::Test { lead } => HeadContent::Test { lead: lead.clone() },
            Content::Notice { notice } => {
                HeadContent::Notice { content_type: notice.content_type.clone() }
            }
            Content::Deletion => HeadContent::Deletion,
        };
        Self {
            id: admission.id,
            source: admission.source.clone(),
            destination: admission.destination.clone(),
            received_at: admission.received_at,
            trace_id: admission.trace_id,
            external_id: admission.external_id.clone(),
            idempotency_key: admission.idempotency.as_ref().map(|known| known.key.clone()),
            idempotency_window: admission.idempotency.as_ref().and_then(|known| known.window),
            content,
        }
    }

    fn admission(self, raw: &[u8]) -> Admission {
        let body = |content_type| RawBody { content_type, bytes: raw.to_vec() };
        let content = match self.content {
            // Phones come before e-mails, as they did.
            HeadContent::Lead { lead, phones, emails } => {
                let phones = phones.iter().filter_map(|phone| phone.parse().ok());
                let emails = emails.into_iter().map(Identity::Email);
                Content::Lead {
                    lead,
                    identities: phones.map(Identity::Phone).chain(emails).collect(),
                }
            }
            HeadContent::Quarantined { reason, lead, content_type } => {
                Content::Quarantined { reason, lead, raw: body(content_type) }
            }
            HeadContent::Test { lead } => Content::Test { lead },
            HeadContent::Notice { content_type } => Content::Notice { notice: body(content_type) },
            HeadContent::Deletion => Content::Deletion,
        };
        Admission {
            id: self.id,
            source: self.source,
            destination: self.destination,
            received_at: self.received_at,
            trace_id: self.trace_id,
            external_id: self.external_id,
            idempotency: self
                .idempotency_key
                .map(|key| Idempotency { key, window: self.idempotency_window }),
            content,
        }
    }
}
