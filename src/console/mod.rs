//! What the operator sees and says: health, metrics, and through the admin API and the pages the
//! ledger, its figures, replays and lanes.

mod api;
mod counting;
mod health;
mod pages;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use secrecy::SecretString;
use tokio::sync::Semaphore;

pub use self::pages::Pages;
use crate::config::{Pace, Server};
use crate::credentials::{bearer, equal};
use crate::delivery::Lane;
use crate::lead::{Clock, DestinationId};
use crate::notify::Notifier;
use crate::problem::Problem;
use crate::source::Sources;
use crate::store::Store;
use crate::store::changes::Changes;
use crate::telemetry::Metrics;

/// Everything that the admin listener's handlers share.
pub struct Console {
    /// Compared in constant time with what a request presents.
    pub token: SecretString,
    /// The region of a phone number without a country code, in a search or a correction.
    pub region: String,
    /// Where the gateway is reached: the last resort for the base of a corrected lead's `ref_url`.
    pub server: Server,
    /// How each source reads what was kept of a post.
    pub sources: Sources,
    /// The ledger.
    pub store: Arc<dyn Store>,
    /// The lanes of this process.
    pub lanes: Vec<Arc<Lane>>,
    /// Every destination and its pace, whether this process delivers to it or not.
    pub destinations: BTreeMap<DestinationId, Pace>,
    /// Is told when a person stops a lane or lets it go on.
    pub notifier: Notifier,
    /// Held by who goes through the ledger: one at a time.
    pub counting: Semaphore,
    /// What becomes of submissions, for who reads it as it happens.
    pub changes: Changes,
    /// What the pages remember.
    pub pages: Pages,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// For ages.
    pub clock: Clock,
}

impl Console {
    /// The routes of the admin listener.
    pub fn routes(self: &Arc<Self>, routes: &mut ServiceConfig) {
        routes
            .app_data(web::Data::from(Arc::clone(self)))
            .configure(api::routes)
            .configure(pages::routes)
            .default_service(web::to(async || {
                Problem::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here").respond()
            }));
    }

    /// Refuses a request that does not bear the admin token.
    fn authorise(&self, request: &HttpRequest) -> Result<(), Problem> {
        if bearer(request).is_some_and(|token| equal(&token, &self.token)) {
            return Ok(());
        }
        let detail = "send the admin token as Authorization: Bearer";
        Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail))
    }

    fn lane_states(&self) -> BTreeMap<&str, &'static str> {
        self.lanes.iter().map(|lane| (lane.id().as_str(), lane.state())).collect()
    }
}
