//! From a request to a durable submission: guard → verify → read, as its source does → admit
//! → answer. The only room that knows the requests of platforms.

pub mod amp;
pub mod answer;
pub mod challenge;
pub mod cors;
mod door;
pub mod embed;
pub mod guard;
mod own;
pub mod page;
mod receive;
pub mod verify;
mod visitor;

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, guard as route_guard};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;

use self::door::Door;
use crate::config::Config;
use crate::lead::Clock;
use crate::problem::Problem;
use crate::source::Sources;
use crate::store::Store;
use crate::telemetry::Metrics;
use challenge::ChallengeError;
use guard::AddressLimiter;

/// Everything that the public listener's handlers share.
pub struct Intake {
    doors: HashMap<String, Door>,
    per_address: AddressLimiter,
    trusted_proxies: Vec<IpNet>,
    max_body_bytes: usize,
    sample_form: bool,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// An unreachable store fails every post; one line a second tells it as well as a thousand.
    failure_log: DefaultDirectRateLimiter,
}

impl Intake {
    /// The way into each of `sources`, which are compiled of `config`. With `sample_form` there is
    /// a form to try at `/`.
    ///
    /// # Errors
    /// A challenge that cannot be made ready.
    pub fn new(
        config: &Config,
        sources: &Sources,
        sample_form: bool,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Result<Self, ChallengeError> {
        let settings = |id| config.sources.get(id);
        let doors = sources.iter().filter_map(|(id, source)| {
            let door = Door::new(Arc::clone(source), settings(id)?, config);
            Some(door.map(|door| (id.to_string(), door)))
        });
        Ok(Self {
            doors: doors.collect::<Result<_, _>>()?,
            per_address: AddressLimiter::new(config.limits.per_ip),
            trusted_proxies: config.server.trusted_proxies.clone(),
            max_body_bytes: config.server.max_body_bytes,
            sample_form,
            store,
            metrics,
            clock,
            failure_log: RateLimiter::direct(Quota::per_second(std::num::NonZeroU32::MIN)),
        })
    }

    /// Lets go of what idle senders left behind. To be called now and then.
    pub fn housekeep(&self) {
        self.per_address.forget_idle();
    }

    /// The routes of the public listener.
    pub fn routes(self: &Arc<Self>, routes: &mut ServiceConfig) {
        routes
            .app_data(web::Data::from(Arc::clone(self)))
            .service(
                web::resource("/in/{source}")
                    .route(web::post().to(receive::post))
                    .route(web::get().to(receive::handshake))
                    .route(web::method(actix_web::http::Method::OPTIONS).to(receive::preflight))
                    .default_service(web::to(receive::other_method)),
            )
            .service(
                web::resource(embed::PATH)
                    .guard(route_guard::Any(route_guard::Get()).or(route_guard::Head()))
                    .to(embed::script),
            )
            .service(
                web::resource("/livez")
                    .guard(route_guard::Any(route_guard::Get()).or(route_guard::Head()))
                    .to(async || HttpResponse::Ok().body("ok")),
            )
            .route(page::THANKS_PATH, web::get().to(async || html(page::THANKS)))
            .route("/", web::get().to(sample_form))
            .default_service(web::to(async || not_found()));
    }
}

async fn sample_form(intake: web::Data<Intake>, _request: HttpRequest) -> HttpResponse {
    if intake.sample_form { html(page::SAMPLE_FORM) } else { not_found() }
}

fn html(page: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(page::HTML)
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .insert_header(("X-Frame-Options", "DENY"))
        .body(page)
}

fn not_found() -> HttpResponse {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here").respond()
}
