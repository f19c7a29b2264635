//! `GET /attribution`: which campaign brings whom, beside the time before; and the same as CSV.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use url::Url;

use super::assets;
use super::figures::{WALK_MAX, walk};
use super::format::count;
use super::sign_in::asked;
use super::visit::{Refusal, Visit, guarded};
use crate::lead::{Lead, Record, State, Timestamp};
use crate::store::{Query, Store, StoreError};

/// Rows that are shown, the biggest first; the rest is one sum.
const ROWS_MAX: usize = 200;

/// Characters of a value that are shown: a stranger may have typed anything.
const LENGTH_MAX: usize = 100;

/// A time that campaigns are looked at over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Span {
    Day,
    Week,
    Month,
}

impl Span {
    const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    const fn code(self) -> &'static str {
        match self {
            Self::Day => "1d",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    const fn length(self) -> Duration {
        let days = match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 30,
        };
        Duration::from_secs(days * 24 * 3600)
    }

    fn parse(text: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|span| Some(span.code()) == text).unwrap_or(Self::Week)
    }
}

/// Campaigns, by the last page view that came with one and by the first.
pub(super) struct Table {
    last: Vec<Row>,
    first: Vec<Row>,
    is_cut_short: bool,
}

/// Where people came from.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Origin {
    source: String,
    medium: String,
    campaign: String,
    page: String,
}

#[derive(Clone, Default)]
struct Row {
    origin: Origin,
    /// What has no row of its own.
    is_rest: bool,
    all: u64,
    new: u64,
    duplicates: u64,
    /// New ones in the time before.
    before: u64,
}

impl Table {
    async fn count(store: &dyn Store, span: Span, now: Timestamp) -> Result<Self, StoreError> {
        let middle = now.minus(span.length());
        let (mut last, mut first) = (HashMap::new(), HashMap::new());
        let query = Query { until: Some(now), ..Query::default() };
        let since = middle.minus(span.length());
        let is_whole = walk(store, query, since, WALK_MAX, |record| {
            let Some(lead) = record.lead.as_ref().filter(|_| record.state != State::Test) else {
                return;
            };
            let is_before = record.received_at < middle;
            add(&mut last, Origin::last(lead), record, is_before);
            add(&mut first, Origin::first(lead), record, is_before);
        });
        let is_whole = is_whole.await?;
        Ok(Self { last: rows(last), first: rows(first), is_cut_short: !is_whole })
    }
}

fn add(rows: &mut HashMap<Origin, Row>, origin: Origin, record: &Record, is_before: bool) {
    let row = rows.entry(origin).or_default();
    let is_new = !matches!(record.state, State::Merged | State::Quarantined);
    if is_before {
        row.before += u64::from(is_new);
        return;
    }
    row.all += 1;
    row.new += u64::from(is_new);
    row.duplicates += u64::from(record.state == State::Merged);
}

fn rows(rows: HashMap<Origin, Row>) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.into_iter().map(|(origin, row)| Row { origin, ..row }).collect();
    rows.sort_by(|a, b| {
        let size = |row: &Row| Reverse((row.all, row.before));
        size(a).cmp(&size(b)).then_with(|| a.origin.cmp(&b.origin))
    });
    let rest = rows.split_off(rows.len().min(ROWS_MAX));
    if !rest.is_empty() {
        let mut sum = Row { is_rest: true, ..Row::default() };
        for row in rest {
            sum.all += row.all;
            sum.new += row.new;
            sum.duplicates += row.duplicates;
            sum.before += row.before;
        }
        rows.push(sum);
    }
    rows
}

impl Origin {
    fn last(lead: &Lead) -> Self {
        let utm = |name: &str| lead.attribution.utm.get(name).map(|value| shortened(value));
        Self {
            source: utm("source").unwrap_or_default(),
            medium: utm("medium").unwrap_or_default(),
            campaign: utm("campaign").unwrap_or_default(),
            page: lead.attribution.page_url.as_deref().map(page).unwrap_or_default(),
        }
    }

    /// What `embed.js` remembered of the first; where it is not in the page, the last is the first.
    fn first(lead: &Lead) -> Self {
        let answer = |name: &str| {
            let is_it = |answer: &&crate::lead::Answer| {
                answer.label == name || answer.key.as_deref() == Some(name)
            };
            lead.answers.iter().find(is_it).map(|answer| answer.value.as_str())
        };
        let utm = |name: &str| answer(&format!("first_utm_{name}")).map(shortened);
        let landing = answer("first_landing_page").map(page);
        if [utm("source"), utm("medium"), utm("campaign")].iter().all(Option::is_none) {
            return Self::last(lead);
        }
        Self {
            source: utm("source").unwrap_or_default(),
            medium: utm("medium").unwrap_or_default(),
            campaign: utm("campaign").unwrap_or_default(),
            page: landing.unwrap_or_default(),
        }
    }
}

fn shortened(value: &str) -> String {
    value.chars().filter(|c| !c.is_control()).take(LENGTH_MAX).collect()
}

/// Host and path: a query may hold anything.
fn page(address: &str) -> String {
    let Ok(url) = Url::parse(address) else { return String::new() };
    shortened(&format!(
        "{}{}",
        url.host_str().unwrap_or_default(),
        url.path().trim_end_matches('/')
    ))
}

#[derive(Template)]
#[template(path = "attribution.html")]
struct Page<'a> {
    v: &'a Visit,
    span: Span,
    is_first: bool,
    table: Option<Arc<Table>>,
}

impl Page<'_> {
    fn rows(&self) -> &[Row] {
        match &self.table {
            Some(table) if self.is_first => &table.first,
            Some(table) => &table.last,
            None => &[],
        }
    }

    fn told(&self, number: u64) -> String {
        count(number, self.v.language)
    }

    /// How new ones have changed against the time before, as a word for the style and a text.
    fn change(&self, row: &Row) -> (&'static str, String) {
        match (row.new, row.before) {
            (0, 0) => ("same", String::new()),
            (_, 0) => ("up", self.v.w.new_leads.to_lowercase()),
            (new, before) if new >= before => {
                ("up", format!("+{} %", (new - before) * 100 / before))
            }
            (new, before) => ("down", format!("−{} %", (before - new) * 100 / before)),
        }
    }

    fn spans(&self) -> [(Span, &'static str); 3] {
        let w = self.v.w;
        [(Span::Day, w.days_1), (Span::Week, w.days_7), (Span::Month, w.days_30)]
    }

    fn touch(&self) -> &'static str {
        if self.is_first { "first" } else { "last" }
    }
}

async fn table(visit: &Visit, span: Span) -> Option<Arc<Table>> {
    let console = visit.console.clone();
    let count = move || async move {
        let _alone = console.counting.acquire().await;
        Table::count(&*console.store, span, console.clock.now()).await
    };
    visit.console.pages.campaigns.get(span, count).await
}

fn asked_for(request: &HttpRequest) -> (Span, bool) {
    let span = Span::parse(asked(request, "span").as_deref());
    (span, asked(request, "touch").as_deref() == Some("first"))
}

pub(super) async fn show(visit: Visit, request: HttpRequest) -> HttpResponse {
    let (span, is_first) = asked_for(&request);
    let table = table(&visit, span).await;
    visit.page(&Page { v: &visit, span, is_first, table })
}

/// The same table for a spreadsheet.
pub(super) async fn csv(visit: Visit, request: HttpRequest) -> HttpResponse {
    let (span, is_first) = asked_for(&request);
    let table = table(&visit, span).await;
    if table.is_none() {
        return visit.refuse(&Refusal::Store);
    }
    let page = Page { v: &visit, span, is_first, table };
    // The mark tells Excel that this is UTF-8.
    let mut text =
        "\u{feff}source,medium,campaign,page,submissions,new,duplicates,new_before\r\n".to_owned();
    for row in page.rows() {
        let Origin { source, medium, campaign, page } = &row.origin;
        let source = if row.is_rest { visit.w.other } else { source };
        let texts = [source, medium, campaign, page].map(cell);
        let numbers =
            [row.all, row.new, row.duplicates, row.before].map(|number| number.to_string());
        text.push_str(&[texts.join(","), numbers.join(",")].join(","));
        text.push_str("\r\n");
    }
    let name = format!("attachment; filename=\"attribution-{}-{}.csv\"", span.code(), page.touch());
    let mut response = HttpResponse::Ok();
    guarded(&mut response).insert_header((CONTENT_DISPOSITION, name));
    response.content_type("text/csv; charset=utf-8").body(text)
}

/// A cell: quoted, and never a formula, whatever a stranger put into an address.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if is_formula { "'" } else { "" }, text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula() {
        assert_eq!(cell("tet \"2027\""), "\"tet \"\"2027\"\"\"");
        assert_eq!(cell("=HYPERLINK(1)"), "\"'=HYPERLINK(1)\"");
    }

    #[test]
    fn a_page_is_told_without_its_query() {
        assert_eq!(page("https://shop.example.vn/tet/?phone=1#x"), "shop.example.vn/tet");
        assert_eq!(page("nonsense"), "");
    }

    #[test]
    fn a_flood_of_campaigns_is_bounded() {
        let many = (0..300).map(|number| {
            let origin = Origin { campaign: format!("{number:03}"), ..Origin::default() };
            (origin, Row { all: 1, new: 1, ..Row::default() })
        });
        let rows = rows(many.collect());
        assert_eq!(rows.len(), ROWS_MAX + 1);
        assert!(rows[ROWS_MAX].is_rest && rows[ROWS_MAX].all == 100);
        assert_eq!(rows[0].origin.campaign, "000");
    }
}
