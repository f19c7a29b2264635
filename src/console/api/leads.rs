//! `GET /api/leads` and `GET /api/leads/{id}`.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::shapes::{LeadPage, Submission};
use super::{Console, store_problem};
use crate::current::Current;
use crate::lead::{DestinationId, Identity, Malformed, SourceId, State, SubmissionId, Timestamp};
use crate::normalise::{email, phone};
use crate::problem::Problem;
use crate::store::{Match, Query};

/// Records on a page, where the request does not say.
const LIMIT_DEFAULT: usize = 50;

/// The query of `GET /api/leads`, as text: each part says for itself what is wrong with it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Any of these states, separated by commas.
    #[param(
        pattern = "^(pending|unknown|created|merged|dead|quarantined|test|erased)(,(pending|unknown|created|merged|dead|quarantined|test|erased))*$",
        example = "dead,quarantined"
    )]
    state: Option<String>,
    /// From this source.
    #[param(value_type = Option<SourceId>)]
    source: Option<String>,
    /// To this destination.
    #[param(value_type = Option<DestinationId>)]
    destination: Option<String>,
    /// A phone in any spelling, an e-mail, an id, CareSoft's lead id or the platform's id.
    q: Option<String>,
    /// Accepted at or after this.
    #[param(value_type = Option<Timestamp>)]
    since: Option<String>,
    /// Accepted before this.
    #[param(value_type = Option<Timestamp>)]
    until: Option<String>,
    /// The `next` of the page before.
    #[param(pattern = r"^[A-Za-z0-9_-]{1,64}\.[0-9]{1,18}$")]
    cursor: Option<String>,
    /// At most so many: 50 where it is not said, 500 at the most.
    #[param(value_type = Option<u64>)]
    limit: Option<String>,
}

/// A query parameter that cannot be used.
struct BadParameter {
    name: &'static str,
    problem: Malformed,
}

/// The newest submissions, page by page. Pages stay as they are while others arrive.
#[utoipa::path(
    get, path = "/api/leads", tag = "ledger", params(ListQuery),
    responses(
        (status = 200, description = "A page", body = LeadPage),
        (status = 400, description = "A parameter that cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(request: HttpRequest, console: Current<Console>) -> HttpResponse {
    listed(&request, &console).await.unwrap_or_else(|problem| problem.respond())
}

async fn listed(request: &HttpRequest, console: &Console) -> Result<HttpResponse, Problem> {
    console.authorise(request)?;
    let asked = web::Query::<ListQuery>::from_query(request.query_string()).map_err(|_| {
        let known = "state, source, destination, q, since, until, cursor and limit";
        bad_request(format!("the query takes each of {known} at most once"))
    })?;
    let query = asked
        .into_inner()
        .parse(&console.region)
        .map_err(|bad| bad_request(format!("{}: {}", bad.name, bad.problem)))?;
    let page = console.store.list(query).await.map_err(|error| store_problem(&error))?;
    let leads = page.records.into_iter().map(Submission::from).collect();
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(HttpResponse::Ok().json(LeadPage { leads, next }))
}

/// One submission, whole, with its history.
#[utoipa::path(
    get, path = "/api/leads/{id}", tag = "ledger",
    params(("id" = SubmissionId, Path, description = "The submission's id")),
    responses(
        (status = 200, description = "The submission", body = Submission),
        (status = 404, description = "There is no such submission", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    request: HttpRequest,
    console: Current<Console>,
    id: web::Path<String>,
) -> HttpResponse {
    shown(&request, &console, &id).await.unwrap_or_else(|problem| problem.respond())
}

async fn shown(
    request: &HttpRequest,
    console: &Console,
    id: &str,
) -> Result<HttpResponse, Problem> {
    console.authorise(request)?;
    let id = id.parse().map_err(|_| missing())?;
    let found = console.store.find(id).await.map_err(|error| store_problem(&error))?;
    let record = found.ok_or_else(missing)?;
    Ok(HttpResponse::Ok().json(Submission::from(record)))
}

/// 404.
pub(super) fn missing() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "there is no such lead")
}

fn bad_request(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "query", detail)
}

impl ListQuery {
    fn parse(self, region: &str) -> Result<Query, BadParameter> {
        let states = self.state.iter().flat_map(|states| states.split(','));
        let states: Result<Vec<State>, _> = states.map(|state| state.trim().parse()).collect();
        Ok(Query {
            states: states.map_err(|problem| BadParameter { name: "state", problem })?,
            source: parameter("source", self.source)?,
            destination: parameter("destination", self.destination)?,
            matching: self.q.map(|q| readings(q.trim(), region)).unwrap_or_default(),
            since: parameter("since", self.since)?,
            until: parameter("until", self.until)?,
            cursor: parameter("cursor", self.cursor)?,
            limit: number("limit", self.limit)?
                .map_or(LIMIT_DEFAULT, |limit| usize::try_from(limit).unwrap_or(Query::LIMIT_MAX))
                .clamp(1, Query::LIMIT_MAX),
        })
    }
}

fn parameter<T: std::str::FromStr<Err = Malformed>>(
    name: &'static str,
    text: Option<String>,
) -> Result<Option<T>, BadParameter> {
    text.map(|text| text.parse().map_err(|problem| BadParameter { name, problem })).transpose()
}

fn number(name: &'static str, text: Option<String>) -> Result<Option<u64>, BadParameter> {
    let problem = Malformed("expected a number");
    let parsed = |text: String| text.parse::<i64>().ok().and_then(|n| u64::try_from(n).ok());
    text.map(|text| parsed(text).ok_or(BadParameter { name, problem })).transpose()
}

/// Everything that a search text can mean.
pub(in crate::console) fn readings(q: &str, region: &str) -> Vec<Match> {
    let mut readings = vec![Match::ExternalId(q.to_owned())];
    readings.extend(q.parse().ok().map(Match::Id));
    readings.extend(q.parse().ok().map(Match::UpstreamLead));
    readings
        .extend(phone::parse(q, region).ok().map(|phone| Match::Identity(Identity::Phone(phone))));
    readings.extend(email::parse(q).ok().map(|email| Match::Identity(Identity::Email(email.key))));
    readings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_text_is_read_every_way_it_can_be() {
        let kinds = |q| {
            let kind = |reading: &Match| match reading {
                Match::ExternalId(_) => "external",
                Match::Id(_) => "id",
                Match::UpstreamLead(_) => "upstream",
                Match::Identity(Identity::Phone(_)) => "phone",
                Match::Identity(Identity::Email(_)) => "email",
            };
            readings(q, "VN").iter().map(kind).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(kinds("0900 000 001"), "external phone");
        assert_eq!(kinds("0900000001"), "external upstream phone");
        assert_eq!(kinds("414856017"), "external upstream");
        assert_eq!(kinds("thu@example.vn"), "external email");
        assert_eq!(kinds("01938d5f-0000-7000-8000-000000000000"), "external id");
        assert_eq!(kinds("xyz"), "external");
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let wrong = |query: ListQuery| query.parse("VN").err().map(|bad| bad.name);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            wrong(ListQuery { state: text("dead,gone"), ..ListQuery::default() }),
            Some("state")
        );
        assert_eq!(
            wrong(ListQuery { since: text("today"), ..ListQuery::default() }),
            Some("since")
        );
        assert_eq!(wrong(ListQuery { limit: text("many"), ..ListQuery::default() }), Some("limit"));
        assert_eq!(wrong(ListQuery { state: text("dead, created"), ..ListQuery::default() }), None);
    }
}
