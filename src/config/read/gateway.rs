//! `[server]`, `[admin]`, `[dedup]`, `[phone]`, `[limits]` and `[log]`.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use url::Url;

use super::field::Field;
use super::secret;
use super::section::Section;
use super::store::DAY;
use crate::config::fault::did_you_mean;
use crate::config::model::{
    Admin, Dedup, Limits, Log, LogFormat, OnDuplicate, PhoneOutput, PhoneRules, Rate, Server,
};

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8081);

/// A form is smaller than the least; the most is what one request may hold in memory.
const BODY_BYTES: RangeInclusive<u64> = 1024..=16 * 1024 * 1024;

const PROXIES_MAX: usize = 1000;

/// Under the 30 s after which Kubernetes kills.
const SHUTDOWN: Duration = Duration::from_secs(20);

/// A process manager kills long before the most.
const SHUTDOWN_GRACE: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3600);

/// Endpoints are taken out of a balancer within seconds; nobody waits longer for a roll-out.
const DRAIN_DELAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(300);

const DEDUP_WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=DAY.saturating_mul(3650);

/// More than one process answers; beyond it a limit limits nothing.
const INBOUND_MAX: u32 = 1_000_000;

/// `[server]`
pub(super) fn server(mut section: Section<'_>) -> Server {
    let listen = section.take("listen").map_or(Some(LISTEN), address);
    let admin_listen = section.take("admin_listen").map_or(Some(ADMIN_LISTEN), address);
    if listen == admin_listen && listen.is_some_and(|address| address.port() != 0) {
        let problem = "this is the public listener's address too";
        section.fault("admin_listen", problem, "give each listener a port of its own");
    }
    let server = Server {
        listen: listen.unwrap_or(LISTEN),
        admin_listen: admin_listen.unwrap_or(ADMIN_LISTEN),
        public_url: section.take("public_url").and_then(Field::unless_empty).and_then(Field::url),
        trusted_proxies: section.take("trusted_proxies").map(networks).unwrap_or_default(),
        max_body_bytes: section
            .read_or("max_body_bytes", 256 * 1024, |field| field.size(BODY_BYTES)),
        shutdown_grace: section
            .read_or("shutdown_grace", SHUTDOWN, |field| field.duration(SHUTDOWN_GRACE)),
        drain_delay: section
            .read_or("drain_delay", Duration::ZERO, |field| field.duration(DRAIN_DELAY)),
    };
    section.finish();
    server
}

fn address(field: Field<'_>) -> Option<SocketAddr> {
    const EXPECTED: &str = r#"expected an address and a port, such as "127.0.0.1:8080""#;
    field.parsed(|text| text.parse().map_err(|_| EXPECTED))
}

fn networks(field: Field<'_>) -> Vec<IpNet> {
    let network = |text: &str| {
        let single = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse().or_else(|_| single()).map_err(|_| r#"expected a network such as "10.0.0.0/8""#)
    };
    field.list(PROXIES_MAX).into_iter().filter_map(|item| item.parsed(network)).collect()
}

/// `[admin]`
pub(super) fn admin(mut section: Section<'_>, server: &Server) -> Admin {
    let token = section.take("token").map(secret::header_secret);
    if token.is_none() && !server.admin_listen.ip().is_loopback() {
        section.warn(
            "token",
            "the admin listener is reachable from other machines and has no token of yours",
            "a new one is made at each start; set admin.token to keep one",
        );
    }
    section.finish();
    Admin { token }
}

/// `[dedup]`
pub(super) fn dedup(mut section: Section<'_>) -> Dedup {
    let words = [("comment", OnDuplicate::Comment), ("drop", OnDuplicate::Drop)];
    let dedup = Dedup {
        window: section.read_or("window", DAY * 30, |field| field.duration(DEDUP_WINDOW)),
        on_duplicate: section
            .read_or("on_duplicate", OnDuplicate::Comment, |field| field.choice(&words)),
    };
    section.finish();
    dedup
}

/// `[phone]`
pub(super) fn phone(mut section: Section<'_>) -> PhoneRules {
    let region = |text: &str| match text.as_bytes() {
        [first, second] if first.is_ascii_uppercase() && second.is_ascii_uppercase() => {
            Ok(text.to_owned())
        }
        _ => Err(r#"expected two capitals, such as "VN""#),
    };
    let words = [("national", PhoneOutput::National), ("e164", PhoneOutput::E164)];
    let rules = PhoneRules {
        default_region: section
            .read_or("default_region", "VN".to_owned(), |field| field.parsed(region)),
        output: section.read_or("output", PhoneOutput::National, |field| field.choice(&words)),
    };
    section.finish();
    rules
}

/// `[limits]`
pub(super) fn limits(mut section: Section<'_>) -> Limits {
    let limits = Limits {
        per_ip: rate(section.section("per_ip"), 20, 40),
        per_source: rate(section.section("per_source"), 2000, 4000),
    };
    section.finish();
    limits
}

fn rate(mut section: Section<'_>, per_second: u32, burst: u32) -> Rate {
    let mut number = |key, default| {
        let default = NonZeroU32::new(default).unwrap_or(NonZeroU32::MIN);
        section.read_or(key, default, |field| field.count(INBOUND_MAX))
    };
    let rate = Rate { per_second: number("per_second", per_second), burst: number("burst", burst) };
    section.finish();
    rate
}

/// `[log]`
pub(super) fn log(mut section: Section<'_>) -> Log {
    let words = [("json", LogFormat::Json), ("pretty", LogFormat::Pretty)];
    let log = Log {
        format: section.read_or("format", LogFormat::Json, |field| field.choice(&words)),
        level: section.read_or("level", "info".to_owned(), |field| field.parsed(level)),
        otlp_endpoint: section
            .take("otlp_endpoint")
            .and_then(Field::unless_empty)
            .and_then(collector),
    };
    section.finish();
    log
}

/// The root of a collector's address, or the whole of it.
fn collector(field: Field<'_>) -> Option<Url> {
    let mark = field.mark();
    let url = field.url()?;
    if url.query().is_some() || url.fragment().is_some() {
        mark.fault("this address has a query or a fragment", "write it without ? and #");
        return None;
    }
    mark.warn_of_clear_text(&url, "traces cross the network in clear text");
    Some(url)
}

/// A filter. To `tracing` a lone `inof` is the name of a module; here it is a slip.
fn level(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let expected = || {
        let listed = || format!("expected {}, or leadgate=debug,warn", LEVELS.join(", "));
        did_you_mean(text, LEVELS).unwrap_or_else(listed)
    };
    let lone = !text.contains(['=', ',', '[', ':']);
    if text.trim().is_empty() || (lone && text.parse::<LevelFilter>().is_err()) {
        return Err(expected());
    }
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|_| expected())
}
