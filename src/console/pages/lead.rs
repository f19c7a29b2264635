//! `GET /leads/{id}`: everything that is known of one submission. What a person said is shown when
//! it is asked for by a post, and that somebody looked is logged.

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::assets;
use super::format::{exactly, masked_email, masked_phone, moment};
use super::overview::done;
use super::trouble::MENDABLE;
use super::visit::{Refusal, Visit, see_other};
use crate::lead::{Event, Lead, Record, State, SubmissionId};
use crate::source::Unmappable;
use crate::store::{Content, Match, Query, StoreError};

/// Submissions of one lead that are listed.
const TOUCHES_MAX: usize = 50;

/// Of what was posted, so much is shown.
const RAW_SHOWN_MAX: usize = 64 * 1024;

/// What is shown beyond what everybody sees who has signed in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Person,
    Raw,
    Request,
}

/// What the source makes now of what was posted.
pub(super) enum Mapping {
    /// A lead.
    Lead,
    /// A test.
    Test,
    /// A notice, or a word that something is to be erased.
    Notice,
    /// Nothing; why.
    Fails(String),
}

impl Mapping {
    pub(super) fn is_usable(&self) -> bool {
        !matches!(self, Self::Fails(_))
    }
}

#[derive(Template)]
#[template(path = "lead.html")]
struct Page<'a> {
    v: &'a Visit,
    done: Option<String>,
    record: &'a Record,
    lead: Lead,
    /// Where CareSoft shows it.
    upstream_url: Option<String>,
    is_revealed: bool,
    phone: Option<String>,
    email: Option<String>,
    mapping: Option<Mapping>,
    /// What was posted, where that was asked for; an empty text: nothing is kept.
    raw: Option<String>,
    /// The request, where that was asked for.
    request: Option<String>,
    touches: Vec<Touch>,
    can_replay: bool,
    may_have_raw: bool,
    can_show_request: bool,
}

struct Touch {
    id: String,
    at: String,
    state: State,
    source: String,
    campaign: String,
    is_this: bool,
}

/// A field of the form that corrects a lead.
struct Field<'a> {
    /// As [`super::actions`] reads it.
    name: &'static str,
    label: &'a str,
    /// What is there; shown to who has asked to see the person.
    value: &'a str,
    /// Shown to everybody.
    hint: &'a str,
    /// The keyboard of a phone.
    mode: Option<&'static str>,
}

impl Field<'_> {
    fn is_long(&self) -> bool {
        self.name == "message"
    }
}

impl Page<'_> {
    fn fields(&self) -> Vec<Field<'_>> {
        let (w, lead) = (self.v.w, &self.lead);
        let utm = |name: &str| lead.attribution.utm.get(name).map_or("", String::as_str);
        let field = |name, label, value, hint, mode| Field { name, label, value, hint, mode };
        let of = Option::as_deref;
        let (phone, email) = (of(&self.phone), of(&self.email));
        let (phone, email) = (phone.unwrap_or_default(), email.unwrap_or_default());
        let page = of(&lead.attribution.page_url).unwrap_or_default();
        vec![
            field("name", w.name, of(&lead.name).unwrap_or_default(), "", None),
            field("phone", w.phone, phone, phone, Some("tel")),
            field("email", w.email, email, email, Some("email")),
            field("message", w.message, of(&lead.message).unwrap_or_default(), "", None),
            field("page_url", w.page, page, page, Some("url")),
            field("utm_source", "utm_source", utm("source"), "", None),
            field("utm_medium", "utm_medium", utm("medium"), "", None),
            field("utm_campaign", "utm_campaign", utm("campaign"), "", None),
        ]
    }

    fn can_forget(&self) -> bool {
        self.lead.phone.is_some() || self.lead.email.is_some() || self.record.unreadable
    }

    fn came(&self) -> Vec<(String, &str)> {
        let attribution = &self.lead.attribution;
        let utm =
            attribution.utm.iter().map(|(name, value)| (format!("utm_{name}"), value.as_str()));
        let clicks =
            attribution.click_ids.iter().map(|(name, value)| (name.clone(), value.as_str()));
        utm.chain(clicks).collect()
    }

    fn at(&self, event: &Event) -> String {
        exactly(event.at)
    }

    fn received(&self) -> String {
        exactly(self.record.received_at)
    }
}

pub(super) async fn show(
    visit: Visit,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let done = done(&visit, &request);
    visit.answer(shown(&visit, &id, Asked::Nothing, done).await)
}

/// Whoever reloads a page that was answered to a post.
pub(super) async fn gone_to(_: Visit, path: web::Path<(String, String)>) -> HttpResponse {
    let is_an_id = path.0.parse::<SubmissionId>().is_ok();
    see_other(&if is_an_id { format!("/leads/{}", path.0) } else { "/leads".to_owned() })
}

pub(super) async fn reveal(visit: Visit, id: web::Path<String>, payload: Payload) -> HttpResponse {
    visit.answer(looked(&visit, &id, Asked::Person, payload).await)
}

pub(super) async fn raw(visit: Visit, id: web::Path<String>, payload: Payload) -> HttpResponse {
    visit.answer(looked(&visit, &id, Asked::Raw, payload).await)
}

pub(super) async fn request(visit: Visit, id: web::Path<String>, payload: Payload) -> HttpResponse {
    visit.answer(looked(&visit, &id, Asked::Request, payload).await)
}

async fn looked(
    visit: &Visit,
    id: &str,
    asked: Asked,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    visit.posted(payload).await?;
    shown(visit, id, asked, None).await
}

/// The record of an id in an address.
pub(super) async fn find(visit: &Visit, id: &str) -> Result<Record, Refusal> {
    let id: SubmissionId = id.parse().map_err(|_| Refusal::Missing)?;
    visit.console.store.find(id).await?.ok_or(Refusal::Missing)
}

async fn shown(
    visit: &Visit,
    id: &str,
    asked: Asked,
    done: Option<String>,
) -> Result<HttpResponse, Refusal> {
    let record = find(visit, id).await?;
    let store = &visit.console.store;
    let is_quarantined = record.state == State::Quarantined;
    let mapping = if is_quarantined { Some(mapping(visit, &record).await?) } else { None };
    let raw = match asked {
        Asked::Raw => {
            let body = store.body(record.id).await?;
            Some(body.map(|body| readable(&body.bytes)).unwrap_or_default())
        }
        _ => None,
    };
    let lane = visit.console.lanes.iter().find(|lane| *lane.id() == record.destination);
    let request = (asked == Asked::Request).then(|| lane?.would_send(&record)).flatten();
    let request = request.and_then(|request| serde_json::to_string_pretty(&request).ok());
    if asked != Asked::Nothing {
        let trace_id = record.trace_id.map(tracing::field::display);
        tracing::info!(lead_id = %record.id, trace_id, "a person has looked at what a lead says");
    }
    let touches = touches(visit, &record).await?;
    let is_revealed = asked != Asked::Nothing;
    let lead = record.lead.clone().unwrap_or_default();
    let phone = lead.phone.as_ref().map(|phone| phone.e164());
    let phone = phone.map(|e164| if is_revealed { e164.to_owned() } else { masked_phone(e164) });
    let email = lead.email.as_deref();
    let email = email.map(|email| if is_revealed { email.to_owned() } else { masked_email(email) });
    Ok(visit.page(&Page {
        v: visit,
        done,
        can_replay: MENDABLE.contains(&record.state),
        may_have_raw: MENDABLE.contains(&record.state) || record.state == State::Pending,
        can_show_request: lane.is_some() && record.lead.is_some(),
        upstream_url: upstream_url(visit, &record),
        record: &record,
        lead,
        is_revealed,
        phone,
        email,
        mapping,
        raw,
        request,
        touches,
    }))
}

/// Where CareSoft shows the record's lead, if the configuration says that.
pub(super) fn upstream_url(visit: &Visit, record: &Record) -> Option<String> {
    let outlet = visit.console.destinations.get(&record.destination)?;
    Some(outlet.lead_url.as_ref()?.of(record.upstream?.lead_id))
}

/// What the record's source makes now of what was posted.
pub(super) async fn mapping(visit: &Visit, record: &Record) -> Result<Mapping, StoreError> {
    let w = visit.w;
    let Some(body) = visit.console.store.body(record.id).await? else {
        return Ok(Mapping::Fails(w.no_raw.to_owned()));
    };
    let Some(source) = visit.console.sources.get(&record.source) else {
        return Ok(Mapping::Fails(w.not_found.to_owned()));
    };
    Ok(match source.read_stored(&body).await {
        Ok(kept) => match kept.content {
            Content::Lead { .. } => Mapping::Lead,
            Content::Test { .. } => Mapping::Test,
            Content::Notice { .. } | Content::Deletion => Mapping::Notice,
            Content::Quarantined { reason, .. } => Mapping::Fails(reason),
        },
        Err(why) => Mapping::Fails(told(&why)),
    })
}

fn told(why: &Unmappable) -> String {
    why.to_string()
}

/// JSON with its lines, anything else as it came.
fn readable(bytes: &[u8]) -> String {
    let json = serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let text = json.and_then(|json| serde_json::to_string_pretty(&json).ok());
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned());
    match text.char_indices().nth(RAW_SHOWN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Every submission that went into the same lead, the oldest first.
async fn touches(visit: &Visit, record: &Record) -> Result<Vec<Touch>, StoreError> {
    let carrier = record.duplicate_of.unwrap_or(record.id);
    let matching = vec![Match::Id(carrier)];
    let query = Query { matching, limit: TOUCHES_MAX, ..Query::default() };
    let page = visit.console.store.list(query).await?;
    let touch = |touch: &Record| Touch {
        id: touch.id.to_string(),
        at: moment(touch.received_at, visit.now),
        state: touch.state,
        source: touch.source.to_string(),
        campaign: campaign(touch),
        is_this: touch.id == record.id,
    };
    Ok(page.records.iter().rev().map(touch).collect())
}

/// `facebook / tet`, as much of it as there is.
pub(super) fn campaign(record: &Record) -> String {
    let utm = record.lead.as_ref().map(|lead| &lead.attribution.utm);
    let value = |name: &str| utm.and_then(|utm| utm.get(name)).map(String::as_str);
    let parts: Vec<&str> = ["source", "campaign"].into_iter().filter_map(value).collect();
    parts.join(" / ")
}
