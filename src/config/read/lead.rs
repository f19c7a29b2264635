//! `[destinations.X.lead]` and `[sources.X.lead]`

use std::collections::{BTreeMap, BTreeSet};

use super::field::Field;
use super::section::Section;
use crate::config::model::{CustomField, FieldValue, LeadSettings};

const LABELS_MAX: usize = 100;
const CUSTOM_FIELDS_MAX: usize = 200;

/// The longest text that goes upstream is 5000 characters; a template that makes it is not longer
/// by more than its own words.
const TEMPLATE_MAX: usize = 20_000;

/// Names and values of form fields.
const TEXT_MAX: usize = 1000;

pub(super) fn settings(mut section: Section<'_>) -> LeadSettings {
    let settings = LeadSettings {
        service_id: section.take("service_id").map(id),
        group_id: section.take("group_id").map(id),
        assignee_id: section.take("assignee_id").map(id),
        lead_status_id: section.take("lead_status_id").map(id),
        lead_label: section
            .take("lead_label")
            .map(|field| field.list(LABELS_MAX).into_iter().map(id).collect()),
        subject: section.take("subject").map(template),
        comment: section.take("comment").map(template),
        estimated_closed_date: section.take("estimated_closed_date").map(template),
        custom_fields: section.take("custom_fields").map(custom_fields),
    };
    section.finish();
    settings
}

/// An id. A faulty one is there nevertheless: that nobody takes the leads is not the fault.
fn id(field: Field<'_>) -> u64 {
    field.id().unwrap_or_default()
}

/// A template, compiled to see whether it can be, and kept as its text.
fn template(field: Field<'_>) -> String {
    let mark = field.mark();
    let text = field.short_text(TEMPLATE_MAX);
    if let Err(error) = minijinja::Environment::new().template_from_str(&text) {
        let reason = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        let problem = match error.line() {
            Some(line) if text.lines().nth(1).is_some() => {
                format!("line {line} of this template: {reason}")
            }
            _ => format!("this is no template: {reason}"),
        };
        mark.fault(problem, r#"expected such as "Lead {{ source }}: {{ name or phone }}""#);
    }
    text
}

fn custom_fields(field: Field<'_>) -> Vec<CustomField> {
    let mut seen = BTreeSet::new();
    let mut read = |field: Field<'_>| {
        let mark = field.mark();
        let custom = custom_field(field.section())?;
        if !seen.insert(custom.id) {
            mark.fault(format!("the field {} is set twice", custom.id), "keep one of them");
        }
        Some(custom)
    };
    field.list(CUSTOM_FIELDS_MAX).into_iter().filter_map(&mut read).collect()
}

fn custom_field(mut section: Section<'_>) -> Option<CustomField> {
    let id = section.require("id", "it is CareSoft's id of the field").and_then(Field::id);
    let from = section.take("from").map(|field| field.short_text(TEXT_MAX));
    let template = section.take("template").map(template);
    let value = match (from, template) {
        (Some(from), None) => Some(FieldValue::From(from)),
        (None, Some(template)) => Some(FieldValue::Template(template)),
        _ => {
            let problem = "it takes either a form field or a template";
            section.fault("from", problem, r#"write from = "…" or template = "…", one of them"#);
            None
        }
    };
    let values: BTreeMap<String, String> =
        section.section("values").into_entries().map(|(name, to)| (name, to.text())).collect();
    let default = section.take("default").map(Field::text);
    section.finish();
    Some(CustomField { id: id?, value: value?, values, default })
}
