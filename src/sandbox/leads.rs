//! Leads: what a create and an update accept, and what they make of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::options::{Aliases, Options, TooLong};
use super::people::{Described, People};
use crate::caresoft::{parse_wall_clock, plain_clock};
use crate::lead::Timestamp;

/// A lead as the simulator holds it.
#[derive(Clone, PartialEq, Serialize)]
pub struct StoredLead {
    /// Its id.
    pub id: u64,
    /// The number shown to people.
    pub lead_no: u64,
    /// The person it is attached to.
    pub requester_id: u64,
    /// The title.
    pub subject: String,
    /// The service.
    pub service_id: Option<u64>,
    /// The department.
    pub group_id: Option<u64>,
    /// The agent.
    pub assignee_id: Option<u64>,
    /// The status.
    pub lead_status_id: u64,
    /// The status before this one.
    pub last_lead_status_id: Option<u64>,
    /// Labels, known ones only.
    pub labels: Vec<u64>,
    /// Additional fields, by id.
    pub custom_fields: BTreeMap<u64, String>,
    /// Comments, oldest first; a create's comes first.
    pub comments: Vec<StoredComment>,
    /// `YYYY-MM-DD HH:mm:ss`
    pub estimated_closed_date: Option<String>,
    /// Why it did not qualify.
    pub unqualify_reason: Option<u64>,
    /// When it became a deal or did not qualify.
    pub convert_at: Option<Timestamp>,
    /// 1 converted, 2 not qualified.
    pub convert_type: Option<u8>,
    /// The page it came from; CareSoft shows it in no answer.
    pub ref_url: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// The create's `lead` object, as it was received.
    pub received: Value,
}

impl fmt::Debug for StoredLead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredLead({}, …)", self.id) // the rest is a person's
    }
}

impl StoredLead {
    /// A text of the create's `lead` object, as it was received.
    pub fn received_text(&self, key: &str) -> Option<&str> {
        self.received.get(key)?.as_str()
    }
}

/// A comment of a lead.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct StoredComment {
    /// Its id.
    pub id: u64,
    /// The text.
    pub body: String,
    /// Whether the customer gets it by mail.
    pub is_public: bool,
    /// Whose name it bears.
    pub author_id: Option<u64>,
    /// When.
    pub created_at: Timestamp,
}

impl fmt::Debug for StoredComment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredComment({}, …)", self.id)
    }
}

/// Why a request is refused: the words of a 400.
pub(super) type Refusal = String;

/// A create that is valid so far: everything but ids, person and times.
pub(super) struct Draft {
    pub lead: StoredLead,
    pub person: Result<u64, Described>,
}

/// Validates a create. `people` is only read.
pub(super) fn draft(
    given: &Map<String, Value>,
    people: &People,
    now: Timestamp,
    options: &Options,
) -> Result<Draft, Refusal> {
    let texts = Texts { given, options };
    let subject = texts.get("subject", 250)?.ok_or("subject is required")?;
    let described = Described {
        username: texts.get("username", 250)?,
        phones: [texts.get("phone", 50)?, None, None],
        emails: [texts.get("email", 50)?, None],
    };
    let person = requester(given, people, described, options)?;
    let catalog = &options.catalog;
    let known = |name, ids: Vec<u64>| routed(given, name, &ids);
    let service_id = known("service_id", catalog.services.iter().map(|s| s.0).collect())?;
    let group_id = known("group_id", catalog.groups.iter().map(|g| g.0).collect())?;
    let assignee_id = known("assignee_id", catalog.agents.iter().map(|a| a.0).collect())?;
    if service_id.or(group_id).or(assignee_id).is_none() {
        return Err("attributes can missing: service_id, group_id or assignee_id".into());
    }
    let mut lead = StoredLead {
        id: 0,
        lead_no: 0,
        requester_id: 0,
        subject,
        service_id,
        group_id,
        assignee_id,
        lead_status_id: catalog.first_status(),
        last_lead_status_id: None,
        labels: Vec::new(),
        custom_fields: BTreeMap::new(),
        comments: Vec::new(),
        estimated_closed_date: None,
        unqualify_reason: None,
        convert_at: None,
        convert_type: None,
        ref_url: given.get("ref_url").and_then(Value::as_str).map(str::to_owned),
        created_at: now,
        updated_at: now,
        received: Value::Object(given.clone()),
    };
    shared_fields(&mut lead, given, now, options)?;
    if let Some(body) = create_comment(&texts)? {
        lead.comments.push(comment(body, false, None, now));
    }
    Ok(Draft { lead, person })
}

/// Applies an update to a copy of the lead.
pub(super) fn updated(
    old: &StoredLead,
    given: &Map<String, Value>,
    now: Timestamp,
    options: &Options,
) -> Result<StoredLead, Refusal> {
    let texts = Texts { given, options };
    let mut lead = StoredLead { updated_at: now, ..old.clone() };
    if let Some(subject) = texts.get("subject", 250)? {
        lead.subject = subject;
    }
    let agents: Vec<u64> = options.catalog.agents.iter().map(|agent| agent.0).collect();
    lead.assignee_id = routed(given, "assignee_id", &agents)?.or(lead.assignee_id);
    if options.update_resets_status {
        lead.lead_status_id = options.catalog.first_status();
    }
    shared_fields(&mut lead, given, now, options)?;
    match given.get("comment") {
        None | Some(Value::Null) if options.update_needs_comment => {
            return Err("comment is required".into());
        }
        None | Some(Value::Null) => {}
        Some(Value::Object(object)) => {
            let texts = Texts { given: object, options };
            let body = texts.get("body", 5_000)?.ok_or("comment.body is required")?;
            let is_public = number(object.get("is_public")) == Some(1);
            lead.comments.push(comment(body, is_public, number(object.get("author_id")), now));
        }
        Some(_) => return Err("comment must be an object".into()),
    }
    Ok(lead)
}

/// Who the lead is of: a known person's id, or what is known of a new one.
fn requester(
    given: &Map<String, Value>,
    people: &People,
    described: Described,
    options: &Options,
) -> Result<Result<u64, Described>, Refusal> {
    if let Some(id) = number(given.get("requester_id")) {
        return match people.get(id) {
            Some(person) => Ok(Ok(person.id)),
            None => Err("requester_id not found".into()),
        };
    }
    let named = described.username.is_some() && !options.username_is_no_identity;
    if described.phones[0].is_none() && described.emails[0].is_none() && !named {
        return Err("attributes can missing: requester_id, email, phone or username".into());
    }
    Ok(Err(described))
}

/// The fields that a create and an update read alike.
fn shared_fields(
    lead: &mut StoredLead,
    given: &Map<String, Value>,
    now: Timestamp,
    options: &Options,
) -> Result<(), Refusal> {
    let catalog = &options.catalog;
    let aliased = |table: &str, sample: &str| {
        let table = (options.aliases != Aliases::Sample).then(|| given.get(table)).flatten();
        let sample = (options.aliases != Aliases::Table).then(|| given.get(sample)).flatten();
        table.or(sample)
    };
    if let Some(id) = number(aliased("lead_status_id", "lead_status")) {
        match catalog.status_type(id) {
            Some(kind) => {
                lead.last_lead_status_id = Some(lead.lead_status_id);
                lead.lead_status_id = id;
                lead.convert_type = (kind >= 2).then(|| kind - 1);
                lead.convert_at = (kind >= 2).then_some(now);
                lead.unqualify_reason = number(given.get("unqualify_reason"))
                    .filter(|id| kind == 3 && catalog.reasons.iter().any(|r| r.0 == *id));
            }
            None if options.refuse_unknown_status => return Err("lead_status_id not found".into()),
            None => lead.lead_status_id = catalog.first_status(),
        }
    }
    if let Some(Value::Array(ids)) = aliased("lead_label", "lead_label_id") {
        let known = |id: &u64| catalog.labels.iter().any(|label| label.0 == *id);
        lead.labels = ids.iter().filter_map(|id| number(Some(id))).filter(known).collect();
    }
    if let Some(date) = given.get("estimated_closed_date") {
        lead.estimated_closed_date = date.as_str().and_then(parse_wall_clock).map(plain_clock);
        if lead.estimated_closed_date.is_none() && options.refuse_bad_dates && is_given(date) {
            return Err("estimated_closed_date is invalid".into());
        }
    }
    if let Some(Value::Array(fields)) = given.get("custom_fields") {
        fields.iter().for_each(|field| set_custom_field(lead, field, options));
    }
    Ok(())
}

fn set_custom_field(lead: &mut StoredLead, given: &Value, options: &Options) {
    let Some(id) = number(given.get("id")) else { return };
    let Some(field) = options.catalog.ticket_fields.iter().find(|field| field.id == id) else {
        return;
    };
    let value = match given.get("value") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let fits = match field.kind.to_lowercase().as_str() {
        "single drop-down list" => field.values.iter().any(|(id, _)| id.to_string() == value),
        "date" => is_slash_date(&value),
        _ => !value.trim().is_empty(),
    };
    if fits {
        lead.custom_fields.insert(id, value);
    } else {
        lead.custom_fields.remove(&id);
    }
}

/// CareSoft docs, "Custom fields": a date is `YYYY/MM/DD`.
fn is_slash_date(text: &str) -> bool {
    text.len() == 10
        && text.matches('/').count() == 2
        && parse_wall_clock(&format!("{text} 00:00:00")).is_some()
}

fn create_comment(texts: &Texts<'_>) -> Result<Option<String>, Refusal> {
    match texts.given.get("comment") {
        Some(Value::Object(_) | Value::Array(_)) if texts.options.comment_as_array => {
            Ok(Some("Array".into()))
        }
        Some(Value::Object(_) | Value::Array(_)) => Err("comment must be a string".into()),
        _ => texts.get("comment", 5_000),
    }
}

fn comment(
    body: String,
    is_public: bool,
    author_id: Option<u64>,
    created_at: Timestamp,
) -> StoredComment {
    StoredComment { id: 0, body, is_public, author_id, created_at }
}

/// Reads texts of an object by CareSoft's lengths.
struct Texts<'a> {
    given: &'a Map<String, Value>,
    options: &'a Options,
}

impl Texts<'_> {
    /// Blank, null and missing are none. A number is read as its digits, as PHP would.
    fn get(&self, key: &str, max_chars: usize) -> Result<Option<String>, Refusal> {
        let text = match self.given.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Null) | None => return Ok(None),
            Some(_) => return Err(format!("{key} must be a string")),
        };
        if text.trim().is_empty() {
            return Ok(None);
        }
        if text.chars().nth(max_chars).is_none() {
            return Ok(Some(text));
        }
        match self.options.too_long {
            // A database column cuts without a mark.
            TooLong::Truncate => Ok(Some(text.chars().take(max_chars).collect())),
            TooLong::Refuse => Err(format!("{key} is too long")),
        }
    }
}

fn is_given(value: &Value) -> bool {
    !(value.is_null() || value == "" || number_text(value).as_deref() == Some("0"))
}

fn number_text(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.trim().to_owned()),
        _ => None,
    }
}

/// A positive id, from a number or a numeric text.
fn number(value: Option<&Value>) -> Option<u64> {
    number_text(value?)?.parse().ok().filter(|id| *id > 0)
}

/// One of the three ids that route a lead: none, known, or refused.
fn routed(given: &Map<String, Value>, name: &str, known: &[u64]) -> Result<Option<u64>, Refusal> {
    match given.get(name).filter(|value| is_given(value)) {
        None => Ok(None),
        Some(value) => match number(Some(value)).filter(|id| known.contains(id)) {
            Some(id) => Ok(Some(id)),
            None => Err(format!("{name} not found")),
        },
    }
}

/// What a request says of a contact.
pub(super) fn described(
    given: &Map<String, Value>,
    options: &Options,
) -> Result<Described, Refusal> {
    let texts = Texts { given, options };
    Ok(Described {
        username: texts.get("username", 250)?,
        phones: [
            texts.get("phone_no", 50)?,
            texts.get("phone_no2", 50)?,
            texts.get("phone_no3", 50)?,
        ],
        emails: [texts.get("email", 50)?, texts.get("email2", 50)?],
    })
}
