//! `[store]`

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::field::Field;
use super::secret;
use super::section::Section;
use crate::config::model::{RedisUrl, Store, StoreUrl};
use crate::lead::State;

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

const DATABASE: &str = "data/leadgate.db";
const SPOOL: &str = "data/spool.db";

/// Paths beyond this no system opens.
const PATH_MAX: usize = 4096;

const RETENTION: RangeInclusive<Duration> = Duration::from_secs(60)..=DAY.saturating_mul(3650);

/// How long a settled record is kept where nothing else is said: the ones that somebody may still
/// want to replay longer than those that are done.
const RETENTION_DEFAULTS: [(State, Duration); 5] = [
    (State::Created, DAY.saturating_mul(30)),
    (State::Merged, DAY.saturating_mul(30)),
    (State::Dead, DAY.saturating_mul(90)),
    (State::Quarantined, DAY.saturating_mul(90)),
    (State::Test, DAY),
];

/// A shorter key is found by trying.
const SECRET_BYTES_WANTED: usize = 16;

pub(super) fn store(mut section: Section<'_>) -> Store {
    let url = section.read_or("url", StoreUrl::Sqlite(PathBuf::from(DATABASE)), store_url);
    let spool = match section.take("spool") {
        Some(field) => field.unless_empty().map(|field| field.short_text(PATH_MAX)),
        None => Some(SPOOL.to_owned()),
    };
    let secret = section.take("secret").map(|field| {
        let mark = field.mark();
        let secrets = secret::secrets(field);
        let is_short = |secret: &SecretString| {
            (1..SECRET_BYTES_WANTED).contains(&secret.expose_secret().len())
        };
        if secrets.iter().any(is_short) {
            let problem = "a secret this short can be found by trying";
            mark.warn(problem, format!("take at least {SECRET_BYTES_WANTED} random characters"));
        }
        secrets
    });
    let retention = retention(section.section("retention"));
    section.finish();
    // SQLite is on this machine already: there is nothing to be away.
    let spool = spool.filter(|_| matches!(url, StoreUrl::Redis(_))).map(PathBuf::from);
    Store { url, spool, secret: secret.unwrap_or_default(), retention }
}

fn retention(mut section: Section<'_>) -> BTreeMap<State, Duration> {
    let mut kept = |(state, default): (State, Duration)| {
        let kept = section.read_or(state.as_str(), default, |field| field.duration(RETENTION));
        (state, kept)
    };
    let retention = RETENTION_DEFAULTS.map(&mut kept).into();
    section.finish();
    retention
}

const FORMS: &str = "expected sqlite:PATH, redis://HOST:PORT/DB, rediss://…, \
                     redis-cluster://HOST:PORT,HOST:PORT or redis-sentinel://HOST:PORT,HOST:PORT/SERVICE";

/// Never repeats the text: it may hold a password.
fn store_url(field: Field<'_>) -> Option<StoreUrl> {
    let mark = field.mark();
    let text = field.short_text(PATH_MAX);
    if text.is_empty() {
        return None; // said already
    }
    let (scheme, rest) = text.split_once(':').unwrap_or(("", &text));
    let checked = match scheme {
        "sqlite" => sqlite(rest),
        "redis" | "rediss" => redis(&text),
        "redis-cluster" => redis_hosts(rest).map(|_| ()),
        "redis-sentinel" => redis_hosts(rest).and_then(|service| match service {
            "" => Err("the service that the sentinels watch is missing"),
            _ => Ok(()),
        }),
        _ => Err("this is no store"),
    };
    if let Err(problem) = checked {
        mark.fault(problem, FORMS);
        return None;
    }
    Some(match scheme {
        "sqlite" => StoreUrl::Sqlite(PathBuf::from(rest)),
        _ => StoreUrl::Redis(RedisUrl(text)),
    })
}

fn sqlite(path: &str) -> Result<(), &'static str> {
    match path {
        "" => Err("the database's path is missing"),
        // What was answered with a 2xx must survive the process.
        ":memory:" => Err("a database in memory loses its leads"),
        _ if path.starts_with("//") => Err("the path follows the colon, without two slashes"),
        _ => Ok(()),
    }
}

fn redis(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text).map_err(|_| "this is no Redis address")?;
    if url.host_str().unwrap_or_default().is_empty() {
        return Err("the host is missing");
    }
    let database = url.path().trim_start_matches('/');
    if !database.is_empty() && database.parse::<u16>().is_err() {
        return Err("the database is no number");
    }
    Ok(())
}

/// Checks `//user:password@host:port,host:port/service`; gives the service.
fn redis_hosts(rest: &str) -> Result<&str, &'static str> {
    let rest = rest.strip_prefix("//").ok_or("two slashes are missing")?;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let (hosts, service) = rest.split_once('/').unwrap_or((rest, ""));
    for host in hosts.split(',') {
        let url = Url::parse(&format!("redis://{host}"));
        let plain = url.is_ok_and(|url| !url.host_str().unwrap_or_default().is_empty());
        if !plain {
            return Err("one of the hosts is no HOST:PORT");
        }
    }
    Ok(service)
}
