//! `GET /leads`, and `POST /leads`, which searches: whom somebody looks for is in no address.

use std::str::FromStr;
use std::time::Duration;

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::assets;
use super::format::{masked_email, masked_phone, moment};
use super::lead::{campaign, upstream_url};
use super::overview::done;
use super::sign_in::asked;
use super::visit::{Refusal, Visit};
use crate::console::api::leads::readings;
use crate::lead::{Record, State, Timestamp};
use crate::store::{Page as Found, Query};

const ROWS: usize = 50;

/// What a search finds at most: one person has no more.
const FOUND_MAX: usize = 200;

/// A longer text is nothing that can be found.
const SEARCH_MAX: usize = 200;

#[derive(Template)]
#[template(path = "leads.html")]
struct Page<'a> {
    v: &'a Visit,
    done: Option<String>,
    filters: Filters,
    sources: Vec<String>,
    destinations: Vec<String>,
    rows: Vec<Row>,
    /// The query of the next page.
    older: Option<String>,
    /// Whether this is what a search has found.
    is_found: bool,
}

impl Page<'_> {
    fn states(&self) -> [State; 8] {
        State::ALL
    }

    /// Whether what arrives belongs on this page.
    fn is_live(&self) -> bool {
        !self.is_found && self.filters.cursor.is_empty()
    }
}

/// What a list was filtered by, as it was typed.
#[derive(Default)]
struct Filters {
    state: String,
    source: String,
    destination: String,
    since: String,
    until: String,
    cursor: String,
}

struct Row {
    id: String,
    at: String,
    state: State,
    source: String,
    name: String,
    phone: String,
    email: String,
    campaign: String,
    reason: String,
    upstream: String,
    upstream_url: Option<String>,
}

impl Row {
    fn of(visit: &Visit, record: &Record) -> Self {
        let lead = record.lead.as_ref();
        let phone = lead.and_then(|lead| lead.phone.as_ref());
        let email = lead.and_then(|lead| lead.email.as_deref());
        Self {
            id: record.id.to_string(),
            at: moment(record.received_at, visit.now),
            state: record.state,
            source: record.source.to_string(),
            name: lead.and_then(|lead| lead.name.clone()).unwrap_or_default(),
            phone: phone.map(|phone| masked_phone(phone.e164())).unwrap_or_default(),
            email: email.map(masked_email).unwrap_or_default(),
            campaign: campaign(record),
            reason: record.reason.clone().unwrap_or_default(),
            upstream: record.upstream.map(|at| at.lead_id.to_string()).unwrap_or_default(),
            upstream_url: upstream_url(visit, record),
        }
    }
}

impl Filters {
    fn of(request: &HttpRequest) -> Self {
        let text = |name| asked(request, name).unwrap_or_default();
        Self {
            state: text("state"),
            source: text("source"),
            destination: text("destination"),
            since: text("since"),
            until: text("until"),
            cursor: text("cursor"),
        }
    }

    fn query(&self) -> Result<Query, Refusal> {
        let day = Duration::from_secs(24 * 3600);
        Ok(Query {
            states: parsed(&self.state)?.into_iter().collect(),
            source: parsed(&self.source)?,
            destination: parsed(&self.destination)?,
            since: date(&self.since)?,
            until: date(&self.until)?.map(|until| until.plus(day)),
            cursor: parsed(&self.cursor)?,
            limit: ROWS,
            ..Query::default()
        })
    }

    /// The query of the page that begins at `cursor`.
    fn with_cursor(&self, cursor: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("state", self.state.as_str()),
            ("source", &self.source),
            ("destination", &self.destination),
            ("since", &self.since),
            ("until", &self.until),
            ("cursor", cursor),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

fn parsed<T: FromStr>(text: &str) -> Result<Option<T>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Refusal::Malformed)
}

/// The midnight that a day begins with in Vietnam.
fn date(text: &str) -> Result<Option<Timestamp>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    format!("{text}T00:00:00+07:00").parse().map(Some).map_err(|_| Refusal::Malformed)
}

pub(super) async fn list(visit: Visit, request: HttpRequest) -> HttpResponse {
    let done = done(&visit, &request);
    visit.answer(listed(&visit, Filters::of(&request), done).await)
}

async fn listed(
    visit: &Visit,
    filters: Filters,
    done: Option<String>,
) -> Result<HttpResponse, Refusal> {
    let found = visit.console.store.list(filters.query()?).await?;
    let older = found.next.as_ref().map(|cursor| filters.with_cursor(&cursor.to_string()));
    Ok(page(visit, filters, &found, older, false, done))
}

pub(super) async fn search(visit: Visit, payload: Payload) -> HttpResponse {
    visit.answer(searched(&visit, payload).await)
}

async fn searched(visit: &Visit, payload: Payload) -> Result<HttpResponse, Refusal> {
    let posted = visit.posted(payload).await?;
    let text: String = posted.get("q").unwrap_or_default().chars().take(SEARCH_MAX).collect();
    if text.is_empty() {
        return listed(visit, Filters::default(), None).await;
    }
    let matching = readings(&text, &visit.console.region);
    let query = Query { matching, limit: FOUND_MAX, ..Query::default() };
    let found = visit.console.store.list(query).await?;
    Ok(page(visit, Filters::default(), &found, None, true, None))
}

fn page(
    visit: &Visit,
    filters: Filters,
    found: &Found,
    older: Option<String>,
    is_found: bool,
    done: Option<String>,
) -> HttpResponse {
    visit.page(&Page {
        v: visit,
        done,
        filters,
        sources: visit.console.sources.keys().map(ToString::to_string).collect(),
        destinations: visit.console.destinations.keys().map(ToString::to_string).collect(),
        rows: found.records.iter().map(|record| Row::of(visit, record)).collect(),
        older,
        is_found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_vietnams_and_both_count() {
        let filters = Filters {
            since: "2026-11-23".into(),
            until: "2026-11-23".into(),
            state: "dead".into(),
            ..Filters::default()
        };
        let query = filters.query().unwrap();
        assert_eq!(query.since.unwrap().to_string(), "2026-11-22T17:00:00.000Z");
        assert_eq!(query.until.unwrap().to_string(), "2026-11-23T17:00:00.000Z");
        assert_eq!(
            filters.with_cursor("main.47"),
            "state=dead&since=2026-11-23&until=2026-11-23&cursor=main.47"
        );
        let wrong = Filters { since: "today".into(), ..Filters::default() };
        assert!(matches!(wrong.query(), Err(Refusal::Malformed)));
    }
}
