//! What is sent for a lead: the destination's settings, its source's on top, templates filled.

mod joined;

use std::collections::{BTreeMap, HashMap};

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};

use super::field_names::{FieldNames, Origin};
use crate::caresoft::{CustomFieldDefinition, CustomFieldValue, NewLead, cut};
use crate::config::{
    CustomField, Destination, FieldValue, LeadSettings, Marker, PhoneOutput, Source,
};
use crate::lead::{Lead, Phone, SourceId, SubmissionId, Timestamp};
use crate::normalise::phone;
use crate::store::{Joined, Task, Work};

use super::reconcile::Sought;

/// CareSoft docs, "Tạo mới Lead": the lengths of `subject` and `comment`, in characters.
const SUBJECT_MAX: usize = 250;
const COMMENT_MAX: usize = 5000;

/// Steps that one template may take: a comment of 1000 answers takes some 20,000.
const FUEL: u64 = 200_000;

const SUBJECT: &str = "Lead {{ source }}: {{ name or phone or email }}";

/// Message, every answer, the attribution: one per line. Behind a consent stands when and on which
/// page it was given or not, so that it can be shown to who asks for it.
const COMMENT: &str = "\
{% if message %}{{ message }}\n{% endif -%}
{% for answer in answers %}{{ answer.label }}: {{ answer.value }}\
{% if answer.label is startingwith 'consent ' %} ({{ received_at }}\
{% if page_url %}, {{ page_url | split('?') | first }}{% endif %}){% endif %}\n{% endfor -%}
{% for name, value in utm|items %}utm_{{ name }}: {{ value }}\n{% endfor -%}
{% for name, value in click_ids|items %}{{ name }}: {{ value }}\n{% endfor -%}
{% if page_url %}page: {{ page_url }}\n{% endif -%}
{% if referrer %}referrer: {{ referrer }}{% endif %}";

/// Writes the requests of one lane.
pub struct Composer {
    templates: Environment<'static>,
    /// The settings of each source, merged with the destination's.
    settings: HashMap<SourceId, LeadSettings>,
    /// For a record whose source is configured no more.
    fallback: LeadSettings,
    phone_output: PhoneOutput,
    marker: Marker,
    field_names: FieldNames,
}

impl Composer {
    /// Compiles every template of a destination and of its sources.
    ///
    /// # Errors
    /// A template that is not well formed; `check` finds it first, with its line.
    pub fn new<'a>(
        destination: &Destination,
        sources: impl IntoIterator<Item = (&'a SourceId, &'a Source)>,
        phone_output: PhoneOutput,
    ) -> Result<Self, minijinja::Error> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Chainable);
        templates.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        templates.set_fuel(Some(FUEL));
        let settings: HashMap<_, _> = sources
            .into_iter()
            .map(|(id, source)| (id.clone(), merge(&source.lead, &destination.lead)))
            .collect();
        let built_in = [SUBJECT, COMMENT].map(str::to_owned);
        let configured = settings.values().chain([&destination.lead]).flat_map(templates_of);
        for text in configured.chain(built_in) {
            // Each template is filed under its own text: the same text is compiled once.
            templates.add_template_owned(text.clone(), text)?;
        }
        let field_names = FieldNames::of(settings.values().chain([&destination.lead]));
        Ok(Self {
            templates,
            settings,
            field_names,
            fallback: destination.lead.clone(),
            phone_output,
            marker: destination.marker,
        })
    }

    /// Whether some configured value of a custom field is the name of an option (or any text):
    /// until [`Composer::learn`] was called, such a value is not sent.
    pub fn wants_names(&self) -> bool {
        self.field_names.has_names()
    }

    /// Takes in CareSoft's custom fields, in place of what was learned before: from now on names
    /// of options are sent as their ids, and fields that are no drop-down lists take any text.
    pub fn learn(&self, fields: &[CustomFieldDefinition]) {
        self.field_names.learn(fields);
    }

    /// Takes over what a composer for the same account has learned, if that is all that this one
    /// needs. Whether it is.
    pub fn learn_from(&self, before: &Self) -> bool {
        self.field_names.learn_from(&before.field_names)
    }

    /// The request for a lead.
    pub fn compose(&self, work: &Work) -> NewLead {
        let lead = &work.lead;
        let settings = self.settings.get(&work.source).unwrap_or(&self.fallback);
        let phone = lead.phone.as_ref().map(|phone| self.sent_phone(phone));
        let fields = FormFields::new(lead);
        let values = Self::values(&Voice::of_work(work), phone.as_deref(), &fields);
        let render = |template: &Option<String>, otherwise: &str| {
            template.as_deref().and_then(|text| self.render(text, &values)).or_else(|| {
                if otherwise.is_empty() { None } else { self.render(otherwise, &values) }
            })
        };
        let subject = render(&settings.subject, SUBJECT).unwrap_or_else(|| "Lead".to_owned());
        let comment = render(&settings.comment, COMMENT);
        let comment = comment.or_else(|| lead.message.clone()).unwrap_or_default();
        let comment = with_oversize(comment.trim(), lead, phone.as_deref());
        let comment = match &work.task {
            Task::Create { joined } => self.with_joined(comment, lead, joined),
            Task::Look(_) | Task::Comment { .. } => comment,
        };
        let (subject, comment) = self.mark(work.lease.id, &one_line(&subject), &comment);
        let custom = settings.custom_fields.iter().flatten();
        NewLead {
            subject,
            username: lead.name.as_deref().map(|name| cut(name, 250)),
            phone,
            email: lead.email.clone(),
            service_id: settings.service_id,
            group_id: settings.group_id,
            assignee_id: settings.assignee_id,
            lead_status_id: settings.lead_status_id,
            lead_label: settings.lead_label.clone().unwrap_or_default(),
            custom_fields: custom
                .filter_map(|field| self.custom_field(field, &fields, &values))
                .collect(),
            comment: (!comment.is_empty()).then_some(comment),
            estimated_closed_date: render(&settings.estimated_closed_date, ""),
            ref_url: lead.ref_url.clone(),
        }
    }

    /// What there would be upstream of a lead that may have been made.
    pub fn sought(&self, work: &Work, since: Timestamp) -> Sought {
        let sent = self.compose(work);
        Sought {
            id: work.lease.id,
            phone: sent.phone.clone().filter(|_| !sent.oversize().contains(&"phone")),
            has_email: sent.email.is_some(),
            subject: sent.subject,
            service_id: sent.service_id,
            assignee_id: sent.assignee_id,
            marker: self.marker,
            since,
        }
    }

    /// A phone as it is sent.
    fn sent_phone(&self, phone: &Phone) -> String {
        phone::output(phone, self.phone_output)
    }

    /// What a template may speak of.
    fn values(voice: &Voice<'_>, phone: Option<&str>, fields: &FormFields) -> Value {
        let lead = voice.lead;
        context! {
            id => voice.id.to_string(),
            source => voice.source.as_str(),
            received_at => voice.received_at.to_string(),
            name => lead.name.as_deref(),
            phone => phone,
            email => lead.email.as_deref(),
            message => lead.message.as_deref(),
            ref_url => lead.ref_url.as_deref(),
            page_url => lead.attribution.page_url.as_deref(),
            referrer => lead.attribution.referrer.as_deref(),
            utm => Serde(&lead.attribution.utm),
            click_ids => Serde(&lead.attribution.click_ids),
            answers => Serde(&lead.answers),
            fields => Serde(&fields.0),
        }
    }

    /// Adds the gateway's own reference, which is never cut.
    fn mark(&self, id: SubmissionId, subject: &str, comment: &str) -> (String, String) {
        match self.marker {
            Marker::None => (cut(subject, SUBJECT_MAX), cut(comment, COMMENT_MAX)),
            Marker::Subject => {
                let marker = format!(" {}", subject_marker(id));
                let room = SUBJECT_MAX - marker.chars().count();
                (cut(subject, room) + &marker, cut(comment, COMMENT_MAX))
            }
            Marker::Comment => (cut(subject, SUBJECT_MAX), with_marker(comment, id)),
        }
    }

    fn custom_field(
        &self,
        field: &CustomField,
        fields: &FormFields,
        values: &Value,
    ) -> Option<CustomFieldValue> {
        let given = match &field.value {
            FieldValue::From(name) => fields.0.get(name).cloned(),
            FieldValue::Template(template) => self.render(template, values),
        };
        let given = given.map(|given| given.trim().to_owned()).filter(|given| !given.is_empty());
        let named = given.as_ref().and_then(|given| field.values.get(given).cloned());
        let configured = |value: &String| (value.clone(), Origin::Configured);
        let as_given = given.map(|given| (given, Origin::Given));
        // Without a default, an unnamed value goes as it is.
        let (value, origin) = match (named, &field.default, field.values.is_empty()) {
            (Some(named), ..) => (named, Origin::Configured),
            (None, Some(default), false) => configured(default),
            (None, default, _) => as_given.or_else(|| default.as_ref().map(configured))?,
        };
        let value = self.field_names.value(field.id, value, origin)?;
        Some(CustomFieldValue { id: field.id, value })
    }

    /// A template's text, when there is any. A template that fails at run time must not hold a
    /// lead up: it counts as empty, and is told.
    fn render(&self, template: &str, values: &Value) -> Option<String> {
        let rendered = self.templates.get_template(template).and_then(|found| found.render(values));
        match rendered {
            Ok(text) => Some(text).filter(|text| !text.trim().is_empty()),
            Err(error) => {
                // The error's own text may quote values: its kind alone is told.
                tracing::warn!(kind = ?error.kind(), line = error.line(), "a template failed");
                None
            }
        }
    }
}

/// One submission, as templates speak of it.
struct Voice<'a> {
    id: SubmissionId,
    source: &'a SourceId,
    received_at: Timestamp,
    lead: &'a Lead,
}

impl<'a> Voice<'a> {
    fn of_work(work: &'a Work) -> Self {
        let Work { lease, source, received_at, lead, .. } = work;
        Self { id: lease.id, source, received_at: *received_at, lead }
    }

    fn of_joined(joined: &'a Joined) -> Self {
        let Joined { id, source, received_at, lead } = joined;
        Self { id: *id, source, received_at: *received_at, lead }
    }
}

/// The reference in a subject: short, since people read it. 40 of the id's random bits.
pub fn subject_marker(id: SubmissionId) -> String {
    let bytes = id.as_bytes();
    let tail: String = bytes[11..].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("#lg{tail}")
}

/// A comment that ends with the reference, which is never cut.
fn with_marker(comment: &str, id: SubmissionId) -> String {
    let marker = format!("\n{}", comment_marker(id));
    let comment = cut(comment, COMMENT_MAX - marker.chars().count()) + &marker;
    comment.trim_start().to_owned()
}

/// The reference in a comment: the whole id, by which the ledger is searched.
pub fn comment_marker(id: SubmissionId) -> String {
    format!("leadgate:{id}")
}

/// A phone or an e-mail that CareSoft has no room for is never cut: it is told in the comment.
fn with_oversize(comment: &str, lead: &Lead, phone: Option<&str>) -> String {
    let candidate = NewLead {
        phone: phone.map(str::to_owned),
        email: lead.email.clone(),
        ..NewLead::default()
    };
    let mut lines: Vec<_> = candidate
        .oversize()
        .into_iter()
        .filter_map(|field| {
            let value = if field == "phone" { phone } else { lead.email.as_deref() };
            value.map(|value| format!("{field}: {value}"))
        })
        .collect();
    lines.push(comment.to_owned());
    lines.join("\n").trim().to_owned()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn merge(source: &LeadSettings, destination: &LeadSettings) -> LeadSettings {
    let (source, destination) = (source.clone(), destination.clone());
    LeadSettings {
        service_id: source.service_id.or(destination.service_id),
        group_id: source.group_id.or(destination.group_id),
        assignee_id: source.assignee_id.or(destination.assignee_id),
        lead_status_id: source.lead_status_id.or(destination.lead_status_id),
        lead_label: source.lead_label.or(destination.lead_label),
        subject: source.subject.or(destination.subject),
        comment: source.comment.or(destination.comment),
        estimated_closed_date: source.estimated_closed_date.or(destination.estimated_closed_date),
        custom_fields: source.custom_fields.or(destination.custom_fields),
    }
}

fn templates_of(settings: &LeadSettings) -> Vec<String> {
    let fields = settings.custom_fields.iter().flatten();
    let from_fields = fields.filter_map(|field| match &field.value {
        FieldValue::Template(template) => Some(template.clone()),
        FieldValue::From(_) => None,
    });
    [&settings.subject, &settings.comment, &settings.estimated_closed_date]
        .into_iter()
        .filter_map(Clone::clone)
        .chain(from_fields)
        .collect()
}

/// A lead's values by the names that the form gave them.
struct FormFields(BTreeMap<String, String>);

impl FormFields {
    fn new(lead: &Lead) -> Self {
        let mut fields = lead.fields.clone();
        for (name, value) in &lead.attribution.utm {
            fields.insert(format!("utm_{name}"), value.clone());
        }
        for (name, value) in &lead.attribution.click_ids {
            fields.insert(name.clone(), value.clone());
        }
        for answer in &lead.answers {
            let name = answer.key.as_ref().unwrap_or(&answer.label);
            fields.insert(name.clone(), answer.value.clone());
        }
        Self(fields)
    }
}

#[cfg(test)]
mod tests;
