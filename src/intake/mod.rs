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
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, guard as route_guard};
use arc_swap::ArcSwap;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;

use self::door::Door;
use crate::config::{Config, Limits};
use crate::current::Current;
use crate::lead::Clock;
use crate::problem::Problem;
use crate::source::Sources;
use crate::store::Store;
use crate::telemetry::Metrics;
use challenge::ChallengeError;
use guard::{AddressLimiter, SourceLimiter};

/// Everything that the public listener's handlers share. Another one takes its place when the
/// configuration changes.
pub struct Intake {
    doors: HashMap<String, Door>,
    limits: Limits,
    per_address: Arc<AddressLimiter>,
    trusted_proxies: Vec<IpNet>,
    max_body_bytes: usize,
    shared: Arc<Shared>,
}

/// What the public listener goes by whatever the configuration says.
pub struct Shared {
    /// Whether there is a form to try at `/`.
    pub sample_form: bool,
    /// Where submissions are made durable.
    pub store: Arc<dyn Store>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// When a submission came.
    pub clock: Clock,
    /// Whether the gateway is about to stop: senders are to come back over a new connection, which
    /// leads to another replica.
    pub draining: Arc<AtomicBool>,
    /// An unreachable store fails every post; one line a second tells it as well as a thousand.
    failure_log: DefaultDirectRateLimiter,
}

impl Shared {
    /// For all the time of a process.
    pub fn new(
        sample_form: bool,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        clock: Clock,
        draining: Arc<AtomicBool>,
    ) -> Self {
        let failure_log = RateLimiter::direct(Quota::per_second(std::num::NonZeroU32::MIN));
        Self { sample_form, store, metrics, clock, draining, failure_log }
    }
}

impl Intake {
    /// The way into each of `sources`, which are compiled of `config`. What was spent of a limit, and
    /// what a challenge remembers, is taken over from the intake `before` it where their settings
    /// are the same.
    ///
    /// # Errors
    /// A challenge that cannot be made ready.
    pub fn new(
        config: &Config,
        sources: &Sources,
        shared: Arc<Shared>,
        before: Option<&Self>,
    ) -> Result<Self, ChallengeError> {
        let limits = config.limits.clone();
        let before_by = |same: fn(&Limits, &Limits) -> bool| {
            before.filter(|before| same(&before.limits, &limits))
        };
        let per_address = before_by(|one, other| one.per_ip == other.per_ip)
            .map(|before| Arc::clone(&before.per_address));
        let same_rate = before_by(|one, other| one.per_source == other.per_source).is_some();
        let doors = sources.iter().filter_map(|(id, source)| {
            let settings = config.sources.get(id)?;
            let before = before.and_then(|before| before.doors.get(id.as_str()));
            let limiter = before.filter(|_| same_rate).map(|before| Arc::clone(&before.limiter));
            let limiter =
                limiter.unwrap_or_else(|| Arc::new(SourceLimiter::new(limits.per_source)));
            let door = Door::new(Arc::clone(source), settings, limiter, before);
            Some(door.map(|door| (id.to_string(), door)))
        });
        Ok(Self {
            doors: doors.collect::<Result<_, _>>()?,
            per_address: per_address
                .unwrap_or_else(|| Arc::new(AddressLimiter::new(limits.per_ip))),
            limits,
            trusted_proxies: config.server.trusted_proxies.clone(),
            max_body_bytes: config.server.max_body_bytes,
            shared,
        })
    }

    /// Whether the gateway is about to stop.
    fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// Lets go of what idle senders left behind. To be called now and then.
    pub fn housekeep(&self) {
        self.per_address.forget_idle();
    }

    /// The routes of the public listener; each request is answered by what is in force then.
    pub fn routes(in_force: &Arc<ArcSwap<Self>>, routes: &mut ServiceConfig) {
        routes
            .app_data(web::Data::from(Arc::clone(in_force)))
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

async fn sample_form(intake: Current<Intake>, _request: HttpRequest) -> HttpResponse {
    if intake.shared.sample_form { html(page::SAMPLE_FORM) } else { not_found() }
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
