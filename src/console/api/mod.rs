//! The admin API: JSON for programs and the command line, behind the bearer token; its OpenAPI
//! document; and the probes, which need no token.

mod body;
mod correction;
mod document;
mod events;
pub(super) mod forget;
mod lanes;
pub(super) mod leads;
pub(super) mod receipt;
pub(super) mod replay;
pub(super) mod shapes;
mod stats;

use actix_web::http::header::ALLOW;
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, ServiceConfig};
use actix_web::{Handler, Responder, Route, guard};

use super::{Console, health};
use crate::problem::Problem;
use crate::store::StoreError;

/// One thing that can be asked.
struct Endpoint {
    method: Method,
    path: &'static str,
    route: Route,
}

/// Everything that can be asked; each path by one method.
#[rustfmt::skip]
fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/livez", health::livez),
        get("/readyz", health::readyz),
        get("/metrics", health::metrics),
        get("/api/leads", leads::list),
        get("/api/leads/{id}", leads::show),
        post("/api/leads/{id}/replay", replay::one),
        post("/api/replay", replay::many),
        post("/api/forget", forget::forget),
        get("/api/stats", stats::show),
        get("/api/lanes", lanes::list),
        post("/api/lanes/{destination}/pause", lanes::pause),
        post("/api/lanes/{destination}/resume", lanes::resume),
        get("/api/events", events::stream),
        get("/openapi.json", document::openapi),
        get("/docs", document::docs),
        get("/docs.js", document::script),
        get("/docs.css", document::style),
    ]
}

fn get<A>(path: &'static str, handler: impl Handler<A, Output: Responder + 'static>) -> Endpoint
where
    A: actix_web::FromRequest + 'static,
{
    // Some probes ask for the head alone; the API behind the token is for programs.
    let route = match path.starts_with("/api/") {
        true => web::get(),
        false => web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
    };
    Endpoint { method: Method::GET, path, route: route.to(handler) }
}

fn post<A>(path: &'static str, handler: impl Handler<A, Output: Responder + 'static>) -> Endpoint
where
    A: actix_web::FromRequest + 'static,
{
    Endpoint { method: Method::POST, path, route: web::post().to(handler) }
}

/// Adds everything that can be asked.
pub(super) fn routes(routes: &mut ServiceConfig) {
    for Endpoint { method, path, route } in endpoints() {
        let other = web::to(move || {
            let allowed = method.clone();
            async move {
                let detail = format!("here is only {allowed}");
                let status = StatusCode::METHOD_NOT_ALLOWED;
                let mut answer = Problem::new(status, "method-not-allowed", detail).respond();
                if let Ok(allowed) = allowed.as_str().parse() {
                    answer.headers_mut().insert(ALLOW, allowed);
                }
                answer
            }
        });
        routes.service(web::resource(path).route(route).route(other));
    }
}

fn store_problem(error: &StoreError) -> Problem {
    tracing::error!(%error, "the store did not answer the admin API");
    let detail = "the store does not answer; try again in a moment";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
}
