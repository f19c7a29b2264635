//! From a request to a durable submission: guard → verify → read, as its source does → admit
//! → answer. The only room that knows the requests of platforms.

pub mod amp;
pub mod answer;
mod batch;
pub mod challenge;
pub mod cors;
mod door;
pub mod embed;
pub mod guard;
mod head;
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
use crate::telemetry::{Metrics, trace};
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
    /// The spans of posts.
    pub traces: trace::Posts,
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
        let traces = trace::Posts::default();
        Self { sample_form, store, metrics, traces, clock, draining, failure_log }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{self, MapEnvironment};
    use crate::source::Source;
    use crate::store::Options;
    use crate::store::sqlite::Sqlite;

    const TEXT: &str = r#"
        limits = { per_ip = { per_second = 1, burst = 1000 }, per_source = { per_second = 1, burst = 1000 } }
        [admin]
        token = "token-of-a-test"
        [destinations.main]
        domain = "sandbox"
        token = "token"
        lead = { service_id = 1244 }
        [sources.website]
        preset = "web-form"
        destination = "main"
        challenge = { kind = "turnstile", secret = "s" }
    "#;

    /// How much of both limits can be spent, within the moment that this takes.
    fn left(intake: &Intake) -> [usize; 2] {
        let address = "192.0.2.1".parse().unwrap();
        let of_address = (0..1000).take_while(|_| intake.per_address.spend(address).is_ok());
        let of_source = (0..1000).take_while(|_| intake.doors["website"].limiter.spend().is_ok());
        [of_address.count(), of_source.count()]
    }

    #[test]
    fn what_was_spent_and_learned_outlives_a_change_of_something_else() {
        let folder = tempfile::tempdir().unwrap();
        let hour = Duration::from_secs(3600);
        let options = Options {
            dedup_window: hour,
            idempotency_window: hour,
            comments: true,
            secrets: vec![],
        };
        let store = Arc::new(Sqlite::open(&folder.path().join("leads.db"), options).unwrap());
        let shared = Shared::new(false, store, Arc::default(), Clock::system(), Arc::default());
        let shared = Arc::new(shared);
        let intake = |text: &str, before: Option<&Intake>| {
            let parsed = config::parse(text, "test", &MapEnvironment::default(), &["web-form"]);
            let config = parsed.unwrap().config;
            let sources = Source::compile_all(&config).unwrap();
            Intake::new(&config, &sources, Arc::clone(&shared), before).unwrap()
        };
        let challenge = |intake: &Intake| intake.doors["website"].challenge.clone().unwrap();

        let first = intake(TEXT, None);
        assert_eq!(left(&first), [1000, 1000]);
        let other_key = format!("{TEXT}page_url = \"https://shop.example.vn/\"\n");
        let second = intake(&other_key, Some(&first));
        assert!(left(&second).into_iter().all(|left| left < 500), "it is spent still");
        assert!(Arc::ptr_eq(&challenge(&first), &challenge(&second)));
        let other_limits = TEXT.replace("burst = 1000", "burst = 900");
        let third = intake(&other_limits.replace("\"s\"", "\"t\""), Some(&second));
        let is_new = |left| (900..1000).contains(&left);
        assert!(left(&third).into_iter().all(is_new), "another limit begins anew");
        assert!(!Arc::ptr_eq(&challenge(&second), &challenge(&third)));
    }
}
