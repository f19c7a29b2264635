//! `/readyz` and `/metrics`: for machines, without a token, without anything about a person.

use std::time::Duration;

use actix_web::HttpResponse;
use serde_json::json;

use super::Console;
use super::api::shapes::Readiness;
use crate::current::Current;
use crate::delivery::LANE_STATES;
use crate::lead::State;
use crate::store::StoreError;

/// A probe that waits longer has its answer.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// The process lives.
#[utoipa::path(
    get, path = "/livez", tag = "machines",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")),
)]
pub(super) async fn livez() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok")
}

/// Whether submissions can be taken, and how each part stands.
#[utoipa::path(
    get, path = "/readyz", tag = "machines",
    responses(
        (status = 200, description = "They can: the store answers, or there is a spool beside it", body = Readiness),
        (status = 503, description = "They cannot, or not for long: the gateway is about to stop", body = Readiness),
    ),
)]
pub(super) async fn readyz(console: Current<Console>) -> HttpResponse {
    let asked = tokio::time::timeout(HEALTH_TIMEOUT, console.store.health()).await;
    let store = match &asked {
        Ok(Ok(health)) => {
            json!({ "state": "up", "kind": health.kind, "durability": health.durability })
        }
        Ok(Err(_)) | Err(_) => json!({ "state": "down", "kind": console.store.kind() }),
    };
    let spool = console.store.spool();
    let is_up = matches!(asked, Ok(Ok(_)));
    let (status, mut answer) = match spool {
        _ if console.is_draining() => ("draining", HttpResponse::ServiceUnavailable()),
        Some(spool) if spool.active || !is_up => ("spooling", HttpResponse::Ok()),
        _ if is_up => ("ready", HttpResponse::Ok()),
        _ => ("unavailable", HttpResponse::ServiceUnavailable()),
    };
    let mut shown = json!({ "status": status, "store": store, "lanes": console.lane_states() });
    if let Some(spool) = spool {
        shown["spool"] = json!({ "depth": spool.depth });
    }
    answer.json(shown)
}

/// Figures for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "machines",
    responses((
        status = 200, description = "OpenMetrics text", body = String,
        content_type = "application/openmetrics-text",
    )),
)]
pub(super) async fn metrics(console: Current<Console>) -> HttpResponse {
    if let Some(spool) = console.store.spool() {
        console.metrics.spool(spool.depth);
    }
    if let Err(error) = refresh(&console).await {
        // What the process counts by itself is still worth showing.
        console.metrics.store_error(console.store.kind());
        tracing::warn!(%error, "the store's figures are missing from the metrics");
    }
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(console.metrics.render())
}

/// Reads the figures that the store keeps, and shows them when all are read: figures of two moments
/// are none.
async fn refresh(console: &Console) -> Result<(), StoreError> {
    let now = console.clock.now();
    for lane in &console.lanes {
        console.metrics.lane(lane.id(), lane.state(), &LANE_STATES);
    }
    let figures = async {
        let mut depths = Vec::new();
        for lane in console.destinations.keys() {
            depths.push((lane, console.store.depth(lane).await?));
        }
        Ok::<_, StoreError>((depths, console.store.ledger().await?))
    };
    let (depths, ledger) = figures.await.inspect_err(|_| console.metrics.forget_store())?;
    for (lane, depth) in depths {
        let oldest = depth.oldest.map(|oldest| now.since(oldest)).unwrap_or_default();
        console.metrics.queue(lane, depth.pending, oldest);
    }
    for state in State::ALL {
        console.metrics.records(state, ledger.count(state));
    }
    console.metrics.residue(ledger.residue());
    // A source that is no longer configured cannot be silent.
    let known = ledger.sources.iter().filter(|(source, _)| console.sources.contains_key(*source));
    let accepted = known.map(|(source, ledger)| (source.clone(), ledger.accepted));
    for (source, last) in console.heard.look(&*console.store, accepted).await? {
        console.metrics.last_received(&source, last);
    }
    Ok(())
}
