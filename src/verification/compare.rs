//! One reference against the account's lists: nothing to say, something doubtful, or wrong.

use super::references::{Reference, Referred};
use crate::caresoft::{
    Catalog, Chosen, CustomFieldDefinition, List, OptionNames, is_id, nearest, one_line,
};
use crate::config::quoted;
use crate::lead::DestinationId;

/// The type of services that take what comes by the API (seen in client code, not documented).
const API_SERVICE: i64 = 9;

/// So many names fit in an advice; `leadgate catalog` shows the others.
const LISTED_MAX: usize = 6;

/// What is to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Remark {
    /// CareSoft does not know what is meant.
    Wrong {
        /// What is wrong.
        problem: String,
        /// What to do about it.
        advice: String,
    },
    /// CareSoft knows it, and it is perhaps not what is meant.
    Doubtful {
        /// What is doubtful.
        problem: String,
        /// What to do about it.
        advice: String,
    },
}

fn wrong(problem: String, advice: String) -> Option<Remark> {
    Some(Remark::Wrong { problem, advice })
}

fn doubtful(problem: String, advice: &str) -> Option<Remark> {
    Some(Remark::Doubtful { problem, advice: advice.to_owned() })
}

/// What there is to say of a reference, `None` if nothing. The list that knows it was asked for.
pub(super) fn remark(
    reference: &Reference,
    catalog: &Catalog,
    destination: &DestinationId,
) -> Option<Remark> {
    let unknown = |what: &str, id: u64| {
        let known = catalog.named(reference.list());
        let problem = format!("CareSoft has no {what} {id}");
        wrong(problem, advice(&id.to_string(), &known, reference.list(), destination))
    };
    match &reference.to {
        Referred::Service(id) => {
            let Some(service) = catalog.services.iter().find(|one| one.id == *id) else {
                return unknown("service", *id);
            };
            let channel = service.channel.filter(|channel| *channel != API_SERVICE)?;
            let problem = format!(
                "{} is a service of type {channel}: leads that come by the API may not be routed",
                entry(service.id, &service.name)
            );
            doubtful(problem, "name a service of type 9 (Api)")
        }
        Referred::Group(id) => {
            let is_known = catalog.groups.iter().any(|group| group.id == *id);
            if is_known { None } else { unknown("group", *id) }
        }
        Referred::Agent(id) => agent(*id, catalog).unwrap_or_else(|| unknown("agent", *id)),
        Referred::Status(id) => {
            let Some(status) = catalog.statuses.iter().find(|one| one.id == *id) else {
                return unknown("status", *id);
            };
            let closed = match status.status_type {
                Some(2) => "converted",
                Some(3) => "not qualified",
                _ => return None,
            };
            let named = entry(status.id, &status.label);
            doubtful(format!("{named} means {closed}: new leads begin closed"), "name an open one")
        }
        Referred::Label(id) => {
            let is_known = catalog.labels.iter().any(|label| label.id == *id);
            if is_known { None } else { unknown("label", *id) }
        }
        Referred::Field { id, has_values } => match field(*id, catalog) {
            None => unknown("custom field", *id),
            Some(field) if field.is_drop_down() && !has_values => doubtful(
                format!("{} is a drop-down list, and answers go as they are", field_entry(field)),
                "say in values which answer is which option, and in default what any other is",
            ),
            Some(_) => None,
        },
        Referred::Value { field: id, written } => {
            let field = field(*id, catalog).filter(|field| field.is_drop_down())?;
            option(field, written, destination)
        }
    }
}

/// `Some(None)`: the agent is known.
fn agent(id: u64, catalog: &Catalog) -> Option<Option<Remark>> {
    if catalog.agents.iter().any(|agent| agent.id == id) {
        return Some(None);
    }
    let extension = id.to_string();
    let meant =
        catalog.agents.iter().find(|agent| agent.extension.as_deref() == Some(&extension))?;
    let meant = entry(meant.id, &meant.username);
    let problem = format!("{extension} is an agent's extension (agent_id), and no agent's id");
    Some(doubtful(problem, &format!("did you mean {meant}?")))
}

fn option(
    field: &CustomFieldDefinition,
    written: &str,
    destination: &DestinationId,
) -> Option<Remark> {
    let named = field_entry(field);
    match OptionNames::of(field).choose(written) {
        Chosen::Option(_) => None,
        Chosen::Several => wrong(
            format!("{} is the name of more than one option of {named}", quoted(written)),
            "write the id of the one that is meant".to_owned(),
        ),
        Chosen::Nothing => {
            let options: Vec<(u64, &str)> =
                field.options.iter().map(|option| (option.id, option.label.as_str())).collect();
            let by_label = |(_, label): &&(u64, &str)| label.trim() == written.trim();
            let advice = match options.iter().find(by_label) {
                // Digits are an id, also where a label is made of them.
                Some((id, label)) => format!("did you mean {}?", entry(*id, label)),
                None => advice(written.trim(), &options, List::CustomFields, destination),
            };
            let kind = if is_id(written.trim()) { "id" } else { "name" };
            wrong(format!("{} is the {kind} of no option of {named}", quoted(written)), advice)
        }
    }
}

fn field(id: u64, catalog: &Catalog) -> Option<&CustomFieldDefinition> {
    catalog.custom_fields.iter().find(|field| field.id == id)
}

fn field_entry(field: &CustomFieldDefinition) -> String {
    entry(field.id, &field.label)
}

/// The nearest one, else all where they are few, else where they are listed.
fn advice(written: &str, known: &[(u64, &str)], list: List, destination: &DestinationId) -> String {
    if let Some((id, name)) = nearest(written, known.iter().copied()) {
        return format!("did you mean {}?", entry(id, name));
    }
    // Agents are persons: a fault names the one that was perhaps meant, and no others.
    match known {
        [] => "CareSoft's list is empty".to_owned(),
        few if few.len() <= LISTED_MAX && list != List::Agents => {
            let few: Vec<String> = few.iter().map(|(id, name)| entry(*id, name)).collect();
            format!("there are {}", few.join(", "))
        }
        _ => format!("`leadgate catalog {destination}` lists what there is"),
    }
}

/// `1244 (Lead từ website)`
fn entry(id: u64, name: &str) -> String {
    let name = one_line(name);
    if name.is_empty() { id.to_string() } else { format!("{id} ({name})") }
}
