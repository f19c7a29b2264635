//! Submissions of people who do not exist.

use std::time::Duration;

use crate::lead::{Attribution, Identity, Lead, RawBody, SubmissionId, Timestamp, TraceId};
use crate::store::{Admission, Content, Idempotency, Store, Verdict};

/// So many seconds into the suite's day.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_425_302_000 + seconds * 1000)
}

/// The phone `0900 000 0xx`.
pub(crate) fn phone(number: u32) -> Identity {
    Identity::Phone(format!("+849000000{number:02}").parse().unwrap())
}

/// The e-mail address of somebody at example.vn.
pub(crate) fn email(name: &str) -> Identity {
    Identity::Email(format!("{name}@example.vn"))
}

/// A body that is kept.
pub(crate) fn body(text: &str) -> RawBody {
    RawBody { content_type: "text/plain".into(), bytes: text.into() }
}

/// What a notice's platform said.
pub(crate) const NOTICE: &str = "there is a lead";

/// A form being filled in: `form().phone(12).says("hello").at(at(5)).send(store)`.
#[derive(Clone)]
pub(crate) struct Form {
    admission: Admission,
    lead: Lead,
    identities: Vec<Identity>,
    as_what: What,
}

#[derive(Clone, Copy)]
enum What {
    Lead,
    Test,
    Quarantined,
    Notice,
    Deletion,
}

/// A form without anybody in it yet.
pub(crate) fn form() -> Form {
    let lead = Lead { name: Some("Nguyễn Văn Thử".into()), ..Lead::default() };
    Form {
        admission: Admission {
            id: SubmissionId::generate(),
            source: "website".parse().unwrap(),
            destination: "main".parse().unwrap(),
            received_at: at(0),
            trace_id: TraceId::from_bytes([7; 16]),
            external_id: None,
            idempotency: None,
            content: Content::Test { lead: lead.clone() },
        },
        lead,
        identities: Vec::new(),
        as_what: What::Lead,
    }
}

impl Form {
    pub(crate) fn phone(mut self, number: u32) -> Self {
        let identity = phone(number);
        if let Identity::Phone(phone) = &identity {
            self.lead.phone = Some(phone.clone());
        }
        self.identities.push(identity);
        self
    }

    pub(crate) fn email(mut self, name: &str) -> Self {
        self.lead.email = Some(format!("{name}@example.vn"));
        self.identities.push(email(name));
        self
    }

    pub(crate) fn says(mut self, message: &str) -> Self {
        self.lead.message = Some(message.into());
        self
    }

    pub(crate) fn campaign(mut self, campaign: &str) -> Self {
        let utm = [("campaign".to_owned(), campaign.to_owned())].into();
        self.lead.attribution = Attribution { utm, ..Attribution::default() };
        self
    }

    pub(crate) fn at(mut self, moment: Timestamp) -> Self {
        self.admission.received_at = moment;
        self
    }

    pub(crate) fn source(mut self, source: &str) -> Self {
        self.admission.source = source.parse().unwrap();
        self
    }

    pub(crate) fn destination(mut self, destination: &str) -> Self {
        self.admission.destination = destination.parse().unwrap();
        self
    }

    pub(crate) fn delivery(mut self, key: &str) -> Self {
        self.admission.idempotency = Some(Idempotency::of_id(key));
        self
    }

    /// What it is known by when it comes again, and for how long.
    pub(crate) fn content_known_for(mut self, key: &str, window: Duration) -> Self {
        self.admission.idempotency = Some(Idempotency { key: key.into(), window: Some(window) });
        self
    }

    pub(crate) fn external_id(mut self, id: &str) -> Self {
        self.admission.external_id = Some(id.into());
        self
    }

    pub(crate) fn test(mut self) -> Self {
        self.as_what = What::Test;
        self
    }

    pub(crate) fn quarantined(mut self) -> Self {
        self.as_what = What::Quarantined;
        self
    }

    /// What a platform says of a lead that is to be fetched, instead.
    pub(crate) fn notice(mut self) -> Self {
        self.as_what = What::Notice;
        self
    }

    /// What a platform says of a lead that is to be erased, instead.
    pub(crate) fn deletion(mut self) -> Self {
        self.as_what = What::Deletion;
        self
    }

    /// The lead that the form makes.
    pub(crate) fn lead(&self) -> Lead {
        self.lead.clone()
    }

    /// What a replay is corrected with.
    pub(crate) fn correction(self) -> Content {
        Content::Lead { lead: self.lead, identities: self.identities }
    }

    /// The same form posted again: another submission.
    pub(crate) fn admission(&self) -> Admission {
        let content = match self.as_what {
            What::Lead => {
                Content::Lead { lead: self.lead.clone(), identities: self.identities.clone() }
            }
            What::Test => Content::Test { lead: self.lead.clone() },
            What::Quarantined => Content::Quarantined {
                reason: "no phone and no e-mail".into(),
                lead: Some(self.lead.clone()),
                raw: body("ho_ten=Th"),
            },
            What::Notice => Content::Notice { notice: body(NOTICE) },
            What::Deletion => Content::Deletion,
        };
        Admission { id: SubmissionId::generate(), content, ..self.admission.clone() }
    }

    /// Posts it, alone.
    pub(crate) async fn send(&self, store: &dyn Store) -> (SubmissionId, Verdict) {
        let admission = self.admission();
        let id = admission.id;
        let mut verdicts = store.admit(vec![admission]).await.unwrap();
        assert_eq!(verdicts.len(), 1);
        (id, verdicts.remove(0))
    }

    /// Posts it, alone; it must become a new lead.
    pub(crate) async fn accepted(&self, store: &dyn Store) -> SubmissionId {
        let (id, verdict) = self.send(store).await;
        assert_eq!(verdict, Verdict::Accepted);
        id
    }

    /// Posts it, alone; it must join the lead `into`.
    pub(crate) async fn merged(&self, store: &dyn Store, into: SubmissionId) -> SubmissionId {
        let (id, verdict) = self.send(store).await;
        assert_eq!(verdict, Verdict::Merged { into });
        id
    }
}
