//! `/readyz` and `/metrics`: for machines, without a token, without anything about a person.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::Console;
use crate::delivery::LANE_STATES;
use crate::lead::State;
use crate::store::StoreError;

/// A probe that waits longer has its answer.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn readyz(console: web::Data<Console>) -> HttpResponse {
    let asked = tokio::time::timeout(HEALTH_TIMEOUT, console.store.health()).await;
    let lanes = console.lane_states();
    match asked {
        Ok(Ok(health)) => HttpResponse::Ok().json(json!({
            "status": "ready",
            "store": { "state": "up", "kind": health.kind, "durability": health.durability },
            "lanes": lanes,
        })),
        Ok(Err(_)) | Err(_) => HttpResponse::ServiceUnavailable().json(json!({
            "status": "unavailable",
            "store": { "state": "down", "kind": console.store.kind() },
            "lanes": lanes,
        })),
    }
}

pub(super) async fn metrics(console: web::Data<Console>) -> HttpResponse {
    if let Err(error) = refresh(&console).await {
        // What the process counts by itself is still worth showing.
        console.metrics.store_error(console.store.kind());
        tracing::warn!(%error, "the store's figures are missing from the metrics");
    }
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(console.metrics.render())
}

/// Reads the figures that the store keeps.
async fn refresh(console: &Console) -> Result<(), StoreError> {
    let now = console.clock.now();
    for lane in &console.destinations {
        let depth = console.store.depth(lane).await?;
        let oldest = depth.oldest.map(|oldest| now.since(oldest)).unwrap_or_default();
        console.metrics.queue(lane, depth.pending, oldest);
    }
    for lane in &console.lanes {
        console.metrics.lane(lane.id(), lane.state(), &LANE_STATES);
    }
    let ledger = console.store.ledger().await?;
    for state in State::ALL {
        console.metrics.records(state, ledger.count(state));
    }
    console.metrics.residue(ledger.residue());
    Ok(())
}
