//! What a configuration refers to in CareSoft, and by which key.

use crate::caresoft::List;
use crate::config::{Config, CustomField, Destination, LeadSettings, dotted};
use crate::lead::DestinationId;

/// One id, or one name of an option, as the configuration writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// The dotted path: `sources.website.lead.custom_fields[0].values.mua`.
    pub key: String,
    /// What is meant.
    pub to: Referred,
}

/// What something refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Referred {
    /// A service's id.
    Service(u64),
    /// A department's id.
    Group(u64),
    /// An agent's id.
    Agent(u64),
    /// A status's id.
    Status(u64),
    /// A label's id.
    Label(u64),
    /// A custom field's id.
    Field {
        /// The id.
        id: u64,
        /// Whether the configuration says what is sent for which answer.
        has_values: bool,
    },
    /// What is sent as a custom field's value: the id or the name of an option where the field is
    /// a drop-down list, and any text where it is none.
    Value {
        /// The field's id.
        field: u64,
        /// As it is written.
        written: String,
    },
}

impl Reference {
    /// The list that knows it.
    pub fn list(&self) -> List {
        match self.to {
            Referred::Service(_) => List::Services,
            Referred::Group(_) => List::Groups,
            Referred::Agent(_) => List::Agents,
            Referred::Status(_) => List::Statuses,
            Referred::Label(_) => List::Labels,
            Referred::Field { .. } | Referred::Value { .. } => List::CustomFields,
        }
    }
}

/// Everything that a destination and its sources refer to.
pub(super) fn references(
    config: &Config,
    id: &DestinationId,
    destination: &Destination,
) -> Vec<Reference> {
    let at = dotted("destinations", id.as_str());
    let author = destination.comment_author_id.map(|author| Reference {
        key: dotted(&at, "comment_author_id"),
        to: Referred::Agent(author),
    });
    let own = of_settings(&dotted(&at, "lead"), &destination.lead);
    let sources = config.sources.iter().filter(|(_, source)| source.destination == *id);
    let of_sources = sources.flat_map(|(name, source)| {
        of_settings(&dotted(&dotted("sources", name.as_str()), "lead"), &source.lead)
    });
    author.into_iter().chain(own).chain(of_sources).collect()
}

fn of_settings(at: &str, settings: &LeadSettings) -> Vec<Reference> {
    let one = |key: &str, to: Option<Referred>| {
        to.map(|to| Reference { key: dotted(at, key), to }).into_iter()
    };
    let labels = settings.lead_label.iter().flatten().enumerate().map(|(place, label)| {
        let key = format!("{}[{place}]", dotted(at, "lead_label"));
        Reference { key, to: Referred::Label(*label) }
    });
    let fields = settings.custom_fields.iter().flatten().enumerate().flat_map(|(place, field)| {
        of_field(&format!("{}[{place}]", dotted(at, "custom_fields")), field)
    });
    one("service_id", settings.service_id.map(Referred::Service))
        .chain(one("group_id", settings.group_id.map(Referred::Group)))
        .chain(one("assignee_id", settings.assignee_id.map(Referred::Agent)))
        .chain(one("lead_status_id", settings.lead_status_id.map(Referred::Status)))
        .chain(labels)
        .chain(fields)
        .collect()
}

fn of_field(at: &str, field: &CustomField) -> Vec<Reference> {
    let value = |key: String, written: &str| Reference {
        key,
        to: Referred::Value { field: field.id, written: written.to_owned() },
    };
    let has_values = !field.values.is_empty() || field.default.is_some();
    let own = Reference { key: dotted(at, "id"), to: Referred::Field { id: field.id, has_values } };
    let values_at = dotted(at, "values");
    let named = field.values.iter().map(|(name, to)| value(dotted(&values_at, name), to));
    let default = field.default.iter().map(|to| value(dotted(at, "default"), to));
    std::iter::once(own).chain(named).chain(default).collect()
}
