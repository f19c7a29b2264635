//! What the operator sees and says: health, metrics, and through the admin API and the pages the
//! ledger, its figures, replays and lanes.

mod api;
mod counting;
mod health;
mod heard;
mod pages;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use arc_swap::ArcSwap;
use secrecy::SecretString;
use tokio::sync::Semaphore;

pub use self::heard::Heard;
pub use self::pages::Pages;
use crate::config::{self, Config, LeadUrl, Pace, Server};
use crate::credentials::{bearer, equal};
use crate::delivery::Lane;
use crate::intake::Intake;
use crate::lead::{Clock, DestinationId};
use crate::notify::Notifier;
use crate::problem::Problem;
use crate::source::Sources;
use crate::store::Store;
use crate::store::changes::Changes;
use crate::telemetry::Metrics;

/// Everything that the admin listener's handlers share. Another one takes its place when the
/// configuration changes.
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
    /// Every destination, whether this process delivers to it or not.
    pub destinations: BTreeMap<DestinationId, Outlet>,
    /// The way in, for a sample; without one this process takes no submissions.
    pub intake: Option<Arc<Intake>>,
    /// A source that has sent before is silent when it sends nothing for so long.
    pub silent_after: Duration,
    /// Is told when a person stops a lane or lets it go on.
    pub notifier: Notifier,
    /// Held by who goes through the ledger: one at a time.
    pub counting: Arc<Semaphore>,
    /// When each source was last heard of.
    pub heard: Arc<Heard>,
    /// What becomes of submissions, for who reads it as it happens.
    pub changes: Changes,
    /// What the pages remember.
    pub pages: Arc<Pages>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// For ages.
    pub clock: Clock,
    /// Whether the gateway is about to stop.
    pub draining: Arc<AtomicBool>,
}

/// A destination, as far as the pages show it.
pub struct Outlet {
    /// How fast it may be sent to.
    pub pace: Pace,
    /// The host that leads are made at.
    pub host: String,
    /// Where a lead is shown to a person.
    pub lead_url: Option<LeadUrl>,
}

impl From<&config::Destination> for Outlet {
    fn from(destination: &config::Destination) -> Self {
        Self {
            pace: destination.rate,
            host: destination.base_url.authority().to_owned(),
            lead_url: destination.lead_url.clone(),
        }
    }
}

/// A source is silent after this where the configuration does not say.
const SILENT_AFTER: Duration = Duration::from_secs(24 * 3600);

/// When a source is silent: what its notice goes by, if there is one.
pub fn silent_after(config: &Config) -> Duration {
    config.notify.as_ref().and_then(|notify| notify.silent_after).unwrap_or(SILENT_AFTER)
}

impl Console {
    /// The routes of the admin listener; each request is answered by what is in force then.
    pub fn routes(in_force: &Arc<ArcSwap<Self>>, routes: &mut ServiceConfig) {
        routes
            .app_data(web::Data::from(Arc::clone(in_force)))
            .configure(api::routes)
            .configure(pages::routes)
            .default_service(web::to(async || {
                Problem::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here").respond()
            }));
    }

    /// Refuses a request that does not bear the admin token.
    fn authorise(&self, request: &HttpRequest) -> Result<(), Problem> {
        if bearer(request.headers()).is_some_and(|token| equal(&token, &self.token)) {
            return Ok(());
        }
        let detail = "send the admin token as Authorization: Bearer";
        Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail))
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    fn lane_states(&self) -> BTreeMap<&str, &'static str> {
        self.lanes.iter().map(|lane| (lane.id().as_str(), lane.state())).collect()
    }
}
