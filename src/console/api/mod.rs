//! The admin API: JSON for programs and the command line, behind the bearer token.

mod body;
mod correction;
mod events;
mod forget;
mod lanes;
mod leads;
mod replay;
mod stats;

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};

use super::Console;
use crate::problem::Problem;
use crate::store::StoreError;

/// Adds the routes under `/api`.
pub(super) fn routes(routes: &mut ServiceConfig) {
    routes
        .route("/api/leads", web::get().to(leads::list))
        .route("/api/leads/{id}", web::get().to(leads::show))
        .route("/api/leads/{id}/replay", web::post().to(replay::one))
        .route("/api/replay", web::post().to(replay::many))
        .route("/api/forget", web::post().to(forget::forget))
        .route("/api/events", web::get().to(events::stream))
        .route("/api/stats", web::get().to(stats::show))
        .route("/api/lanes", web::get().to(lanes::list))
        .route("/api/lanes/{destination}/pause", web::post().to(lanes::pause))
        .route("/api/lanes/{destination}/resume", web::post().to(lanes::resume));
}

fn store_problem(error: &StoreError) -> Problem {
    tracing::error!(%error, "the store did not answer the admin API");
    let detail = "the store does not answer; try again in a moment";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
}
