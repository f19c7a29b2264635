//! `GET /api/lanes`, and what an operator tells them: `POST /api/lanes/{destination}/pause` and
//! `…/resume`. Every destination, whether this process delivers to it or not.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::try_join_all;

use super::shapes::{LaneList, LaneView, Rate};
use super::{Console, store_problem};
use crate::config::Pace;
use crate::console::Outlet;
use crate::current::Current;
use crate::delivery::{LaneStanding, Order, give_order, lane_standing};
use crate::lead::{DestinationId, Timestamp};
use crate::problem::Problem;
use crate::store::{Depth, StoreError};

/// Every lane: how it stands, and what waits in it.
#[utoipa::path(
    get, path = "/api/lanes", tag = "lanes",
    responses((status = 200, description = "All lanes", body = LaneList)),
)]
pub(super) async fn list(request: HttpRequest, console: Current<Console>) -> HttpResponse {
    listed(&request, &console).await.unwrap_or_else(|problem| problem.respond())
}

async fn listed(request: &HttpRequest, console: &Console) -> Result<HttpResponse, Problem> {
    console.authorise(request)?;
    let now = console.clock.now();
    let lane = async |(id, outlet): (&DestinationId, &Outlet)| {
        let standing = lane_standing(&*console.store, id, now).await?;
        let depth = console.store.depth(id).await?;
        Ok::<_, StoreError>(view(id, outlet.pace, standing, depth, now))
    };
    let lanes = try_join_all(console.destinations.iter().map(lane)).await;
    let lanes = lanes.map_err(|error| store_problem(&error))?;
    Ok(HttpResponse::Ok().json(LaneList { lanes }))
}

/// Stops a lane, in all replicas, until it is told to go on.
#[utoipa::path(
    post, path = "/api/lanes/{destination}/pause", tag = "lanes",
    params(("destination" = DestinationId, Path, description = "The destination's name")),
    responses(
        (status = 200, description = "The lane as it stands now", body = LaneView),
        (status = 404, description = "There is no such destination", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn pause(
    request: HttpRequest,
    console: Current<Console>,
    lane: web::Path<String>,
) -> HttpResponse {
    ordered(&request, &console, &lane, Order::Pause).await.unwrap_or_else(|p| p.respond())
}

/// Lets a lane go on. One that CareSoft refuses is tried at once; a silence that CareSoft asked for
/// stays.
#[utoipa::path(
    post, path = "/api/lanes/{destination}/resume", tag = "lanes",
    params(("destination" = DestinationId, Path, description = "The destination's name")),
    responses(
        (status = 200, description = "The lane as it stands now", body = LaneView),
        (status = 404, description = "There is no such destination", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn resume(
    request: HttpRequest,
    console: Current<Console>,
    lane: web::Path<String>,
) -> HttpResponse {
    ordered(&request, &console, &lane, Order::Resume).await.unwrap_or_else(|p| p.respond())
}

/// Gives the order, and answers the lane as `GET /api/lanes` shows it.
async fn ordered(
    request: &HttpRequest,
    console: &Console,
    lane: &str,
    order: Order,
) -> Result<HttpResponse, Problem> {
    console.authorise(request)?;
    let known = lane.parse().ok().and_then(|lane| console.destinations.get_key_value(&lane));
    let Some((lane, outlet)) = known else {
        let detail = "there is no such destination";
        return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", detail));
    };
    let now = console.clock.now();
    let standing = give_order(&*console.store, lane, order, &console.notifier, now).await;
    let standing = standing.map_err(|error| store_problem(&error))?;
    let state = standing.state;
    match order {
        Order::Pause => tracing::warn!(%lane, state, "a person has paused the lane"),
        Order::Resume => tracing::warn!(%lane, state, "a person lets the lane go on"),
    }
    let depth = console.store.depth(lane).await.map_err(|error| store_problem(&error))?;
    Ok(HttpResponse::Ok().json(view(lane, outlet.pace, standing, depth, now)))
}

fn view(
    lane: &DestinationId,
    rate: Pace,
    standing: LaneStanding,
    depth: Depth,
    now: Timestamp,
) -> LaneView {
    let LaneStanding { state, paused, closed, until } = standing;
    LaneView {
        destination: lane.clone(),
        state,
        paused,
        closed,
        until,
        pending: depth.pending,
        oldest_seconds: depth.oldest.map(|oldest| now.since(oldest).as_secs()),
        unknown: depth.unknown,
        comments: depth.comments,
        rate: Rate { per_second: rate.per_second.get(), per_hour: rate.per_hour.get() },
    }
}
