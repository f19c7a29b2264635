//! How leads and lists look in CareSoft's answers: the keys of the vendor's samples, also those
//! that are always null here, since a client must live with them.

use serde_json::{Map, Value, json};

use super::leads::StoredLead;
use super::options::{Field, Options};
use super::people::Person;
use crate::caresoft::{plain_clock, wall_clock};
use crate::lead::Timestamp;

/// The answer to a create and an update.
pub(super) fn receipt(lead: &StoredLead) -> Value {
    json!({
        "updated_at": plain_clock(lead.updated_at),
        "subject": lead.subject,
        "created_at": plain_clock(lead.created_at),
        "id": lead.id,
        "requester_id": lead.requester_id,
    })
}

/// A lead in a list: no comments, no additional fields, no person; times with a decorative `Z`.
pub(super) fn row(lead: &StoredLead, options: &Options) -> Value {
    let updated_at = if options.list_rounds_up {
        Timestamp::from_millis(lead.updated_at.as_millis().saturating_add(999))
    } else {
        lead.updated_at
    };
    let own = json!({
        "id": lead.id, "lead_no": lead.lead_no, "requester_id": lead.requester_id,
        "assignee_id": lead.assignee_id, "subject": lead.subject, "service_id": lead.service_id,
        "created_at": wall_clock(lead.created_at), "updated_at": wall_clock(updated_at),
        "ticket_source": "Api", "ticket_priority": "Normal", "source_detail_id": 127,
        "lead_status_id": lead.lead_status_id, "last_lead_status_id": lead.last_lead_status_id,
        "estimated_closed_date": lead.estimated_closed_date,
        "convert_at": lead.convert_at.map(wall_clock), "convert_type": lead.convert_type,
        "unqualified_reasons": lead.unqualify_reason,
    });
    with_nulls(
        own,
        &[
            "ticket_source_end_status",
            "is_overdue",
            "duedate",
            "incident_id",
            "satisfaction",
            "satisfaction_at",
            "satisfaction_content",
            "campaign_id",
            "automessage_id",
            "convert_by",
        ],
    )
}

/// A lead's detail: times without a zone.
pub(super) fn detail(lead: &StoredLead, person: Option<&Person>, options: &Options) -> Value {
    let own = json!({
        "account_id": 8187, "id": lead.id, "lead_no": lead.lead_no,
        "requester_id": lead.requester_id, "group_id": lead.group_id,
        "assignee_id": lead.assignee_id, "service_id": lead.service_id,
        "subject": lead.subject, "ticket_source": "Api", "ticket_source_detail_id": 127,
        "created_at": plain_clock(lead.created_at), "updated_at": plain_clock(lead.updated_at),
        "campaign_action_id": -1, "campaign_status": 0, "incident_id": -1,
        "lead_status_id": lead.lead_status_id, "last_lead_status_id": lead.last_lead_status_id,
        "estimated_closed_date": lead.estimated_closed_date,
        "convert_at": lead.convert_at.map(plain_clock), "convert_type": lead.convert_type,
        "unqualified_reasons": lead.unqualify_reason,
        "comments": comments(lead, options), "custom_fields": custom_fields(lead, options),
        "tags": [], "ccs": [], "follows": [],
        "labels": lead.labels.iter().filter_map(|id| label(*id, options)).collect::<Vec<_>>(),
        "assignee": lead.assignee_id.and_then(|id| assignee(id, options)),
        "requester": person.map(|person| json!({
            "id": person.id, "username": person.username, "email": person.emails[0],
            "phone_no": person.phones[0], "organization_id": null,
        })),
    });
    with_nulls(
        own,
        &[
            "ticket_source_end_status",
            "merge_status",
            "merge_to",
            "clone_from",
            "duedate",
            "satisfaction",
            "satisfaction_content",
            "satisfaction_at",
            "satisfaction_send",
            "campaign_id",
            "automessage_id",
            "manualmessage_id",
            "qa_script_id",
            "qa_agent",
            "current_agent",
            "convert_by",
            "campaign",
            "campaign_action",
        ],
    )
}

fn with_nulls(mut own: Value, keys: &[&str]) -> Value {
    if let Some(object) = own.as_object_mut() {
        object.extend(keys.iter().map(|key| ((*key).to_owned(), Value::Null)));
    }
    own
}

fn comments(lead: &StoredLead, options: &Options) -> Vec<Value> {
    let shown = lead.comments.iter().map(|comment| {
        let author = comment.author_id.and_then(|id| assignee(id, options));
        json!({
            "ticket_comments_id": comment.id, "ticket_id": lead.id, "comment": comment.body,
            "commentator_id": comment.author_id,
            "username": author.map(|author| author["username"].clone()),
            "created_at": plain_clock(comment.created_at),
            "is_public": u8::from(comment.is_public), "facebook_comment_state": 0, "role_id": 1,
            "comment_source": null, "file_id": null, "call_id": null,
        })
    });
    shown.collect()
}

fn custom_fields(lead: &StoredLead, options: &Options) -> Vec<Value> {
    let shown = options.catalog.ticket_fields.iter().map(|field| {
        json!({
            "id": field.id, "label": field.label, "type": field.kind,
            "value": lead.custom_fields.get(&field.id),
        })
    });
    shown.collect()
}

fn label(id: u64, options: &Options) -> Option<Value> {
    let (id, label) = options.catalog.labels.iter().find(|label| label.0 == id)?;
    Some(json!({"id": id, "label": label}))
}

/// An agent, masked as CareSoft does.
fn assignee(id: u64, options: &Options) -> Option<Value> {
    let (id, name, extension, group_id) =
        options.catalog.agents.iter().find(|agent| agent.0 == id)?;
    Some(json!({
        "id": id, "username": name, "email": "**@example.vn", "phone_no": "***",
        "agent_id": extension, "role_id": 1, "group_id": group_id,
        "group_name": group_name(*group_id, options),
    }))
}

fn group_name(id: u64, options: &Options) -> Option<&str> {
    let group = options.catalog.groups.iter().find(|group| group.0 == id)?;
    Some(&group.1)
}

/// When everything in the catalog is said to have been made.
const LONG_AGO: &str = "2023-10-02 11:13:17";

/// The rows of `services`, those of one channel where one is asked for.
pub(super) fn services(options: &Options, channel: Option<&str>) -> Vec<Value> {
    let wanted = |kind: u32| channel.is_none_or(|channel| channel == kind.to_string());
    let services = options.catalog.services.iter().filter(|service| wanted(service.2));
    services
        .map(|(id, name, kind)| {
            json!({"service_id": id, "service_name": name, "service_type": kind, "type": kind,
                   "detail": null})
        })
        .collect()
}

/// The rows of `groups`.
pub(super) fn groups(options: &Options) -> Vec<Value> {
    let groups = options.catalog.groups.iter();
    groups
        .map(|(id, name)| json!({"group_id": id, "group_name": name, "created_at": LONG_AGO}))
        .collect()
}

/// The rows of `agents`. `id` is what assigns; `agent_id` is a telephone extension.
pub(super) fn agents(options: &Options) -> Vec<Value> {
    let agents = options.catalog.agents.iter();
    agents
        .map(|(id, name, extension, group_id)| {
            json!({"id": id, "username": name, "email": format!("nv{extension}@example.vn"),
                   "phone_no": null, "agent_id": extension, "created_at": LONG_AGO,
                   "updated_at": LONG_AGO, "group_id": group_id,
                   "group_name": group_name(*group_id, options), "role_id": 1,
                   "login_status": "AVAILABLE", "call_status": "AVAILABLE"})
        })
        .collect()
}

/// The rows of `lead/status`.
pub(super) fn statuses(options: &Options) -> Vec<Value> {
    let statuses = options.catalog.statuses.iter();
    statuses
        .map(|(id, label, kind)| json!({"id": id, "label": label, "status_type": kind}))
        .collect()
}

/// The rows of `lead/unqualified-reason`.
pub(super) fn reasons(options: &Options) -> Vec<Value> {
    options.catalog.reasons.iter().map(|(id, label)| json!({"id": id, "label": label})).collect()
}

/// The rows of `lead/labels`.
pub(super) fn labels(options: &Options) -> Vec<Value> {
    let labels = options.catalog.labels.iter();
    labels
        .map(|(id, label)| {
            json!({"id": id, "label": label, "created_at": LONG_AGO, "updated_at": LONG_AGO})
        })
        .collect()
}

/// The rows of a list of additional fields, in CareSoft's spelling.
pub(super) fn fields(fields: &[Field]) -> Vec<Value> {
    let shown = fields.iter().map(|field| {
        let values: Vec<Value> = field
            .values
            .iter()
            .map(|(id, label)| json!({"id": id, "lable": label, "parent_value_id": -1}))
            .collect();
        let mut shown = Map::new();
        shown.insert("custom_field_id".into(), field.id.into());
        shown.insert("custom_field_lable".into(), field.label.clone().into());
        shown.insert("type".into(), field.kind.clone().into());
        // Client code has seen fields that are no lists come without the key.
        if field.kind.to_lowercase().contains("drop-down") {
            shown.insert("values".into(), values.into());
        }
        Value::Object(shown)
    });
    shown.collect()
}
