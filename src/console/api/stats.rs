//! `GET /api/stats`: what became of what was accepted lately.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::shapes::Stats;
use super::store_problem;
use crate::console::Console;
use crate::console::counting::{COUNTED_MAX, count};
use crate::current::Current;
use crate::problem::Problem;

/// The window, where the request does not say.
const WINDOW_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// The longest window: a month, whichever.
const WINDOW_MAX: Duration = Duration::from_secs(31 * 24 * 3600);

/// One request counts at a time; with its turn and its work it has an answer after this.
const COUNTING_MAX: Duration = Duration::from_secs(30);

/// The query of `GET /api/stats`, as text.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatsQuery {
    /// How far back: 1s to 31d, such as `30m`, `24h` or `7d`. Without it 24h.
    #[param(
        pattern = r"^([1-9]|[12]\d|3[01])d$|^[1-9]\d{0,2}h$|^[1-9]\d{0,4}m$|^[1-9]\d{0,5}s$",
        example = "24h"
    )]
    window: Option<String>,
}

/// What became of what was accepted lately: by state, source, hour and campaign; how long it took.
#[utoipa::path(
    get, path = "/api/stats", tag = "ledger", params(StatsQuery),
    responses(
        (status = 200, description = "The newest 50,000 of the window, counted", body = Stats),
        (status = 400, description = "A parameter that cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(request: HttpRequest, console: Current<Console>) -> HttpResponse {
    shown(&request, &console).await.unwrap_or_else(|problem| problem.respond())
}

async fn shown(request: &HttpRequest, console: &Console) -> Result<HttpResponse, Problem> {
    console.authorise(request)?;
    let bad = |detail| Problem::new(StatusCode::BAD_REQUEST, "query", detail);
    let asked = web::Query::<StatsQuery>::from_query(request.query_string())
        .map_err(|_| bad("the query takes window, at most once"))?;
    let window = window(asked.into_inner().window.as_deref()).map_err(bad)?;
    let until = console.clock.now();
    let counting = count(console, until.minus(window), until, COUNTED_MAX);
    let tally = tokio::time::timeout(COUNTING_MAX, counting).await.map_err(|_| {
        let detail = "counting takes too long now; ask for a shorter window, or later";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    })?;
    let tally = tally.map_err(|error| store_problem(&error))?;
    Ok(HttpResponse::Ok().json(tally.view(until)))
}

fn window(text: Option<&str>) -> Result<Duration, &'static str> {
    let Some(text) = text else { return Ok(WINDOW_DEFAULT) };
    let malformed = "window: expected a number and a unit, such as 30m, 24h or 7d";
    let window = humantime::parse_duration(text.trim()).map_err(|_| malformed)?;
    let is_in_range = window >= Duration::from_secs(1) && window <= WINDOW_MAX;
    if is_in_range { Ok(window) } else { Err("window: expected 1s to 31d") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_duration_up_to_a_month() {
        assert_eq!(window(None), Ok(WINDOW_DEFAULT));
        assert_eq!(window(Some("7d")), Ok(WINDOW_DEFAULT * 7));
        assert_eq!(window(Some(" 90m ")), Ok(Duration::from_secs(5400)));
        for wrong in ["", "24", "0s", "32d", "-1h", "yesterday"] {
            assert!(window(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
