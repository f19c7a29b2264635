//! The account: what each route answers, once a request has passed the gate.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::leads::{self, StoredLead};
use super::options::Options;
use super::people::People;
use super::routes::{Route, Target};
use super::shown;
use crate::caresoft::parse_wall_clock;
use crate::lead::Timestamp;

/// CareSoft docs, "Paging": 50 rows by default, at most 500.
const ROWS_DEFAULT: usize = 50;
const ROWS_MAX: usize = 500;

/// A request as far as the account reads it.
pub(super) struct Request<'a> {
    pub target: &'a Target,
    pub query: &'a BTreeMap<String, String>,
    pub body: &'a [u8],
}

/// An answer before it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub status: u16,
    pub body: Body,
    pub lead_id: Option<u64>,
    pub retry_after_s: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Json(Value),
    /// Written as it is, said to be JSON.
    Raw(String),
    Html(&'static str),
}

impl Reply {
    pub(super) fn new(status: u16, body: Body) -> Self {
        Self { status, body, lead_id: None, retry_after_s: None }
    }

    fn about(self, lead_id: u64) -> Self {
        Self { lead_id: Some(lead_id), ..self }
    }
}

/// Everything the account has taken in.
#[derive(Default)]
pub(super) struct Account {
    people: People,
    leads: BTreeMap<u64, StoredLead>,
    leads_made: u64,
    comments_made: u64,
}

impl Account {
    pub(super) fn leads(&self) -> impl DoubleEndedIterator<Item = &StoredLead> + ExactSizeIterator {
        self.leads.values()
    }

    pub(super) fn lead(&self, id: u64) -> Option<&StoredLead> {
        self.leads.get(&id)
    }

    /// The name and the phone that a salesperson sees.
    pub(super) fn person_of(&self, lead: &StoredLead) -> (Option<&str>, Option<&str>) {
        let person = self.people.get(lead.requester_id);
        let name = person.and_then(|person| person.username.as_deref());
        let phone = person.and_then(|person| person.phones[0].as_deref());
        (name, phone)
    }

    pub(super) fn handle(
        &mut self,
        request: &Request<'_>,
        now: Timestamp,
        options: &Options,
    ) -> Reply {
        let rows = |key: &str, rows: Vec<Value>| ok(options, [(key, Value::Array(rows))]);
        let catalog = &options.catalog;
        let id = request.target.id.unwrap_or(0);
        match request.target.route {
            Route::CreateLead => self.create_lead(request, now, options),
            Route::UpdateLead => self.update_lead(id, request, now, options),
            Route::Lead => self.detail(id, options),
            Route::Leads => self.list(request.query, now, options),
            Route::Statuses => rows("data", shown::statuses(options)),
            Route::UnqualifiedReasons => rows("data", shown::reasons(options)),
            Route::Labels => {
                let there = if request.target.under_api {
                    options.labels_under_api
                } else {
                    options.labels_at_root
                };
                if there { rows("data", shown::labels(options)) } else { nowhere() }
            }
            Route::Services => {
                let channel = request.query.get("type").map(String::as_str);
                rows("services", shown::services(options, channel))
            }
            Route::Groups => rows("groups", shown::groups(options)),
            Route::Agents => rows("agents", shown::agents(options)),
            Route::TicketCustomFields => {
                rows("custom_fields", shown::fields(&catalog.ticket_fields))
            }
            Route::ContactCustomFields => {
                rows("custom_fields", shown::fields(&catalog.contact_fields))
            }
            Route::ContactByPhone => self.contact_by_phone(request.query, options),
            Route::CreateContact => self.create_contact(request, now, options),
            Route::Contacts => self.contacts(request.query, options),
            Route::Contact => match self.people.get(id) {
                Some(person) => ok(options, [("contact", person.shown())]),
                None => refused(options, "Not found user"),
            },
            Route::UpdateContact => self.update_contact(id, request, now, options),
            Route::WrongMethod => error(405, "Method not allowed"),
            Route::Nowhere => nowhere(),
        }
    }

    /// Always makes a new lead: CareSoft knows persons again, never leads.
    fn create_lead(&mut self, request: &Request<'_>, now: Timestamp, options: &Options) -> Reply {
        let Some(given) = wrapped(request.body, "lead") else { return invalid() };
        let draft = match leads::draft(&given, &self.people, now, options) {
            Ok(draft) => draft,
            Err(words) => return refused(options, &words),
        };
        let person = match draft.person {
            Ok(id) => Ok(id),
            Err(described) => self.people.find_or_make(described, now, options),
        };
        let requester_id = match person {
            Ok(id) => id,
            Err(words) => return refused(options, words),
        };
        let id = options.first_lead_id + self.leads_made;
        self.leads_made += 1;
        let mut lead = StoredLead { id, lead_no: self.leads_made, requester_id, ..draft.lead };
        self.number_comments(&mut lead);
        let reply = ok(options, [("lead", shown::receipt(&lead))]).about(id);
        if self.leads.len() >= options.leads_max {
            self.leads.pop_first();
        }
        self.leads.insert(id, lead);
        reply
    }

    fn update_lead(
        &mut self,
        id: u64,
        request: &Request<'_>,
        now: Timestamp,
        options: &Options,
    ) -> Reply {
        let Some(old) = self.leads.get(&id) else { return missing(options) };
        let Some(given) = wrapped(request.body, "lead") else { return invalid() };
        match leads::updated(old, &given, now, options) {
            Ok(mut lead) => {
                self.number_comments(&mut lead);
                let reply = ok(options, [("lead", shown::receipt(&lead))]).about(id);
                self.leads.insert(id, lead);
                reply
            }
            Err(words) => refused(options, &words),
        }
    }

    fn number_comments(&mut self, lead: &mut StoredLead) {
        for comment in lead.comments.iter_mut().filter(|comment| comment.id == 0) {
            self.comments_made += 1;
            comment.id = 1_211_536_854 + self.comments_made;
        }
    }

    /// The only success without a `code`.
    fn detail(&self, id: u64, options: &Options) -> Reply {
        let Some(lead) = self.leads.get(&id) else { return missing(options) };
        let detail = shown::detail(lead, self.people.get(lead.requester_id), options);
        Reply::new(200, Body::Json(json!({ "lead": detail }))).about(id)
    }

    fn list(&self, query: &BTreeMap<String, String>, now: Timestamp, options: &Options) -> Reply {
        let indexed = |lead: &&StoredLead| lead.created_at.plus(options.list_lag) <= now;
        let matching: Vec<&StoredLead> = self
            .leads
            .values()
            .rev()
            .filter(indexed)
            .filter(|lead| matches(lead, query, options))
            .collect();
        let (skip, count) = page_of(query);
        let rows = matching.iter().skip(skip).take(count);
        let rows: Vec<Value> = rows.map(|lead| shown::row(lead, options)).collect();
        ok(options, [("numFound", matching.len().into()), ("leads", rows.into())])
    }

    fn contact_by_phone(&self, query: &BTreeMap<String, String>, options: &Options) -> Reply {
        let phone = query.get("phoneNo").map_or("", String::as_str);
        let id = self.people.by_phone(phone, options);
        match id.and_then(|id| self.people.get(id)) {
            Some(person) => ok(options, [("contact", person.shown())]),
            None => refused(options, "Not found user"),
        }
    }

    fn create_contact(
        &mut self,
        request: &Request<'_>,
        now: Timestamp,
        options: &Options,
    ) -> Reply {
        let Some(given) = wrapped(request.body, "contact") else { return invalid() };
        let described = match leads::described(&given, options) {
            Ok(described) => described,
            Err(words) => return refused(options, &words),
        };
        let phone = described.phones.iter().flatten();
        let email = described.emails.iter().flatten();
        let taken = phone
            .filter_map(|phone| Some(("phone_no", self.people.by_phone(phone, options)?)))
            .chain(email.filter_map(|email| Some(("email", self.people.by_email(email)?))))
            .next();
        if let Some((key, id)) = taken {
            let body = json!({
                "code": "errors", "message": format!("{key} already exist"),
                "extra_data": {"duplicate_id": id},
            });
            return Reply::new(refusal_status(options), Body::Json(body));
        }
        let id = self.people.make(described, now, options);
        let shown = self.people.get(id).map(super::people::Person::shown);
        ok(options, [("contact", shown.unwrap_or_default())])
    }

    fn update_contact(
        &mut self,
        id: u64,
        request: &Request<'_>,
        now: Timestamp,
        options: &Options,
    ) -> Reply {
        let Some(given) = wrapped(request.body, "contact") else { return invalid() };
        let described = match leads::described(&given, options) {
            Ok(described) => described,
            Err(words) => return refused(options, &words),
        };
        match self.people.change(id, described, now, options) {
            Some(person) => ok(options, [("contact", person.shown())]),
            None => refused(options, "Not found user"),
        }
    }

    fn contacts(&self, query: &BTreeMap<String, String>, options: &Options) -> Reply {
        let (skip, count) = page_of(query);
        let page = self.people.newest_first().skip(skip).take(count);
        let rows: Vec<Value> = page.map(super::people::Person::shown_in_list).collect();
        ok(options, [("numFound", self.people.len().into()), ("contacts", rows.into())])
    }
}

/// Every filter that is given, ANDed. A filter that cannot be read is passed over.
fn matches(lead: &StoredLead, query: &BTreeMap<String, String>, options: &Options) -> bool {
    let number = |key: &str| query.get(key).and_then(|text| text.trim().parse::<u64>().ok());
    let time = |key: &str| query.get(key).and_then(|text| filter_time(text, options));
    let id_is = |key: &str, own: Option<u64>| number(key).is_none_or(|id| own == Some(id));
    let within = |since: &str, to: &str, own: Option<Timestamp>| {
        // Compared as written: without milliseconds.
        let own = own.map(|at| at.as_millis().div_euclid(1_000));
        let seconds = |at: Timestamp| at.as_millis().div_euclid(1_000);
        time(since).is_none_or(|since| own.is_some_and(|own| own >= seconds(since)))
            && time(to).is_none_or(|to| own.is_some_and(|own| own <= seconds(to)))
    };
    let status_is_one = query
        .get("status_ids")
        .is_none_or(|ids| ids.split(',').any(|id| id.trim().parse() == Ok(lead.lead_status_id)));
    id_is("requester_id", Some(lead.requester_id))
        && id_is("assignee_id", lead.assignee_id)
        && id_is("service_id", lead.service_id)
        && id_is("convert_type", lead.convert_type.map(u64::from))
        && within("created_since", "created_to", Some(lead.created_at))
        && within("updated_since", "updated_to", Some(lead.updated_at))
        && within("convert_since", "convert_to", lead.convert_at)
        && status_is_one
}

/// The digits are Vietnam's, whatever the `Z` says, unless the knob turns them into true UTC.
fn filter_time(text: &str, options: &Options) -> Option<Timestamp> {
    if options.filters_in_utc { text.parse().ok() } else { parse_wall_clock(text) }
}

fn page_of(query: &BTreeMap<String, String>) -> (usize, usize) {
    let number = |key: &str| query.get(key).and_then(|text| text.parse::<usize>().ok());
    let page = number("page").unwrap_or(1).max(1);
    let count = number("count").unwrap_or(ROWS_DEFAULT).clamp(1, ROWS_MAX);
    ((page - 1).saturating_mul(count), count)
}

fn wrapped(body: &[u8], key: &str) -> Option<Map<String, Value>> {
    match serde_json::from_slice::<Value>(body).ok()?.get_mut(key)?.take() {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

fn ok<const N: usize>(options: &Options, entries: [(&str, Value); N]) -> Reply {
    let mut body = Map::new();
    body.insert("code".into(), if options.upper_ok { "OK" } else { "ok" }.into());
    body.extend(entries.into_iter().map(|(key, value)| (key.to_owned(), value)));
    Reply::new(200, Body::Json(Value::Object(body)))
}

/// `{"code":"errors","message":…}`
pub(super) fn error(status: u16, words: &str) -> Reply {
    Reply::new(status, Body::Json(json!({"code": "errors", "message": words})))
}

fn refusal_status(options: &Options) -> u16 {
    if options.errors_as_200 { 200 } else { 400 }
}

fn refused(options: &Options, words: &str) -> Reply {
    error(refusal_status(options), words)
}

/// CareSoft docs, "Lead": the 400 of every lead endpoint.
fn invalid() -> Reply {
    Reply::new(400, Body::Json(json!({"error": "Invalid request"})))
}

fn nowhere() -> Reply {
    error(404, "Not found")
}

fn missing(options: &Options) -> Reply {
    if options.missing_as_500 { error(500, "Server Error") } else { nowhere() }
}
