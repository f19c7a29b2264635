//! What has to be looked after now and then.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::arrangement::Arrangement;
use crate::lead::Clock;
use crate::store::{Retention, Store, StoreError};

/// How often leases are looked over; a lease that ran out waits no longer than this.
const LEASE_LOOK: Duration = Duration::from_secs(2);

/// How often idle senders and old records are let go.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// Records that one sweep removes before others get their turn with the store.
const SWEEP_BATCH: usize = 500;

/// Sweeps in a row; the next housekeeping goes on. Together they remove more in a minute than
/// CareSoft takes in an hour.
const SWEEPS_MAX: usize = 200;

/// Looks over leases, records and senders until `stopping` turns true.
pub(super) async fn housekeep(
    store: Arc<dyn Store>,
    in_force: Arc<ArcSwap<Arrangement>>,
    clock: Clock,
    mut stopping: watch::Receiver<bool>,
) {
    let mut leases = tokio::time::interval(LEASE_LOOK);
    let mut sweeps = tokio::time::interval(HOUSEKEEPING);
    // A store that is away is told of once.
    let mut in_trouble = false;
    loop {
        let done = tokio::select! {
            biased;
            () = async { let _ = stopping.wait_for(|stop| *stop).await; } => return,
            _ = leases.tick() => store.expire_leases(clock.now()).await.map(|expired| {
                if expired > 0 {
                    tracing::warn!(expired, "leases ran out: their leads may have been sent");
                }
            }),
            _ = sweeps.tick() => {
                let arrangement = in_force.load_full();
                arrangement.intake.housekeep();
                sweep(&*store, &arrangement.retention(), &clock).await
            }
        };
        match done {
            Ok(()) => in_trouble = false,
            Err(error) if !in_trouble => {
                in_trouble = true;
                tracing::error!(%error, "housekeeping failed; it is tried again");
            }
            Err(_) => {}
        }
    }
}

async fn sweep(store: &dyn Store, retention: &Retention, clock: &Clock) -> Result<(), StoreError> {
    for _ in 0..SWEEPS_MAX {
        if store.sweep(clock.now(), retention, SWEEP_BATCH).await? == 0 {
            break;
        }
    }
    Ok(())
}
