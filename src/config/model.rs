//! What a configuration says, typed. Defaults and bounds are where each key is read.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use super::challenge::Challenge;
use super::lead_url::LeadUrl;
use super::notify::Notify;
use crate::lead::{DestinationId, SourceId, State};

/// The whole configuration, checked: every source's destination exists, every number is in range.
#[derive(Debug, Clone)]
pub struct Config {
    /// The two listeners.
    pub server: Server,
    /// The admin API.
    pub admin: Admin,
    /// Where submissions live.
    pub store: Store,
    /// One person, one lead.
    pub dedup: Dedup,
    /// How phones are read and sent.
    pub phone: PhoneRules,
    /// Inbound limits.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: Log,
    /// Where outcome signals go, if anywhere.
    pub notify: Option<Notify>,
    /// CareSoft accounts by name.
    pub destinations: BTreeMap<DestinationId, Destination>,
    /// Forms and ad accounts by name.
    pub sources: BTreeMap<SourceId, Source>,
}

/// `[server]`
#[derive(Debug, Clone)]
pub struct Server {
    /// Where forms and platforms post.
    pub listen: SocketAddr,
    /// Where the operator looks.
    pub admin_listen: SocketAddr,
    /// How the public listener is reached from outside; the last resort of a `ref_url`'s base.
    pub public_url: Option<Url>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// A longer body is answered 413.
    pub max_body_bytes: usize,
    /// How long a stop waits for what is in flight.
    pub shutdown_grace: Duration,
    /// How long submissions are still taken after a stop was asked for, before the grace begins.
    pub drain_delay: Duration,
}

impl Server {
    /// Where a source's submissions are posted to: the last resort for the base of a `ref_url`.
    ///
    /// # Errors
    /// The gateway's own address cannot be written as a URL.
    pub fn endpoint(&self, source: &SourceId) -> Result<Url, url::ParseError> {
        let base = match &self.public_url {
            Some(url) => url.to_string(),
            None => format!("http://{}", self.listen),
        };
        Url::parse(&format!("{}/in/{source}", base.trim_end_matches('/')))
    }
}

/// `[admin]`
#[derive(Debug, Clone)]
pub struct Admin {
    /// The bearer token; made at start when there is none.
    pub token: Option<SecretString>,
}

/// `[store]`
#[derive(Debug, Clone)]
pub struct Store {
    /// Which store, and where.
    pub url: StoreUrl,
    /// With Redis: where submissions wait while Redis is away.
    pub spool: Option<PathBuf>,
    /// Seal what is stored of people and key the hashes that they are recognised by: the first seals,
    /// any of them opens (a rotation). Without one nothing is sealed.
    pub secret: Vec<SecretString>,
    /// How long a settled record is kept, by state.
    pub retention: BTreeMap<State, Duration>,
}

/// `store.url`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `sqlite:PATH`
    Sqlite(PathBuf),
    /// `redis://`, `rediss://`, `redis-cluster://`, `redis-sentinel://`, as written. It may hold a
    /// password: never print it.
    Redis(RedisUrl),
}

/// A Redis URL, which cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(pub String);

impl std::fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisUrl(…)")
    }
}

/// `[dedup]`
#[derive(Debug, Clone)]
pub struct Dedup {
    /// From a person's first submission.
    pub window: Duration,
    /// What happens to the later ones.
    pub on_duplicate: OnDuplicate,
}

/// `dedup.on_duplicate`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDuplicate {
    /// Their message and attribution are added to the existing lead.
    Comment,
    /// They are recorded only.
    Drop,
}

/// `[phone]`
#[derive(Debug, Clone)]
pub struct PhoneRules {
    /// The region of a number without a country code: two capitals, `VN`.
    pub default_region: String,
    /// How phones are sent upstream.
    pub output: PhoneOutput,
}

/// `phone.output`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhoneOutput {
    /// `0983980148` (a foreign number keeps its `+`).
    National,
    /// `+84983980148`
    E164,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// For each address.
    pub per_ip: Rate,
    /// For each source.
    pub per_source: Rate,
}

/// A rate with a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Refilled per second.
    pub per_second: NonZeroU32,
    /// How many may come at once.
    pub burst: NonZeroU32,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct Log {
    /// For machines or for people.
    pub format: LogFormat,
    /// A `tracing` filter: `info`, `leadgate=debug,warn`.
    pub level: String,
    /// Where OpenTelemetry traces go: the root of a collector that takes OTLP over HTTP.
    pub otlp_endpoint: Option<Url>,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Coloured lines.
    Pretty,
}

/// `[destinations.X]`
#[derive(Debug, Clone)]
pub struct Destination {
    /// CareSoft's root: `https://api.caresoft.vn`.
    pub base_url: Url,
    /// The standby.
    pub fallback_url: Option<Url>,
    /// The account's name, sent exactly as given.
    pub domain: String,
    /// The account's API token.
    pub token: SecretString,
    /// The pace, over all replicas together.
    pub rate: Pace,
    /// Requests that may be under way at once.
    pub max_in_flight: usize,
    /// Of one request, connection and answer together.
    pub timeout: Duration,
    /// When a request was surely not sent.
    pub retry: Retry,
    /// When CareSoft keeps failing.
    pub breaker: Breaker,
    /// Silence after CareSoft's lock-out answer.
    pub lockout: Duration,
    /// Where the gateway's own reference goes.
    pub marker: Marker,
    /// Whose name a comment bears.
    pub comment_author_id: Option<u64>,
    /// Where a lead is shown to a person, for links to it.
    pub lead_url: Option<LeadUrl>,
    /// What every lead gets unless its source says otherwise.
    pub lead: LeadSettings,
}

/// `destinations.X.rate`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// In any sliding second.
    pub per_second: NonZeroU32,
    /// In any sliding hour.
    pub per_hour: NonZeroU32,
}

/// `destinations.X.retry`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The first delay's upper end.
    pub initial: Duration,
    /// The longest delay's upper end.
    pub max: Duration,
    /// After this a lead is dead.
    pub give_up_after: Duration,
}

/// `destinations.X.breaker`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How often one request looks whether it can close.
    pub probe_every: Duration,
}

/// `destinations.X.marker`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// At the end of the comment.
    Comment,
    /// At the end of the subject.
    Subject,
    /// Nowhere.
    None,
}

/// `[destinations.X.lead]` and `[sources.X.lead]`: the latter's values win, key by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeadSettings {
    /// CareSoft's id of the service that takes the lead.
    pub service_id: Option<u64>,
    /// CareSoft's id of the department.
    pub group_id: Option<u64>,
    /// CareSoft's id of the agent (`id`, not `agent_id`).
    pub assignee_id: Option<u64>,
    /// CareSoft's id of the first status.
    pub lead_status_id: Option<u64>,
    /// CareSoft's ids of labels.
    pub lead_label: Option<Vec<u64>>,
    /// A template, at most 250 characters when rendered.
    pub subject: Option<String>,
    /// A template, at most 5000 characters when rendered.
    pub comment: Option<String>,
    /// A template that gives `YYYY-MM-DD HH:mm:ss`.
    pub estimated_closed_date: Option<String>,
    /// CareSoft's additional fields.
    pub custom_fields: Option<Vec<CustomField>>,
}

/// One of `custom_fields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomField {
    /// CareSoft's id of the field.
    pub id: u64,
    /// Where its value is taken from.
    pub value: FieldValue,
    /// What is sent for which value; values that are not named are sent as they are, or as
    /// `default`. Of a drop-down list it is an option's id or its name.
    pub values: BTreeMap<String, String>,
    /// What is sent for a value that `values` does not name, or that is empty.
    pub default: Option<String>,
}

/// Where a custom field's value is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// A form field, by its name in the payload.
    From(String),
    /// A template.
    Template(String),
}

/// `[sources.X]`
#[derive(Debug, Clone)]
pub struct Source {
    /// A built-in name, or a path to a preset file.
    pub preset: String,
    /// Where its leads go.
    pub destination: DestinationId,
    /// What happens to a submission without a usable phone or e-mail; the preset has the default.
    pub invalid: Option<Invalid>,
    /// Where a browser goes after it posted a form.
    pub thank_you_url: Option<Url>,
    /// The base of `ref_url` when a submission names no page.
    pub page_url: Option<Url>,
    /// Origins that a page's script may post from: `https://shop.example.vn`.
    pub cors_origins: Vec<String>,
    /// A field that a person leaves empty.
    pub honeypot: Option<String>,
    /// What tells a visitor's browser from a robot.
    pub challenge: Option<Challenge>,
    /// Overrides the preset's tolerance of a signature's age; zero is unchecked.
    pub max_age: Option<Duration>,
    /// Overrides the host of the preset's enrichment calls.
    pub api_base: Option<Url>,
    /// How a name given in parts is put together.
    pub name_order: NameOrder,
    /// By the names that the preset asks for; any of a list verifies.
    pub secrets: BTreeMap<String, Vec<SecretString>>,
    /// More names for a field (`name`, `phone`, `email`, `message`, …), tried before the preset's.
    pub fields: BTreeMap<String, Vec<String>>,
    /// Overrides of the destination's lead settings.
    pub lead: LeadSettings,
}

/// `sources.X.invalid`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// 422, with the fields at fault; nothing is stored.
    Reject,
    /// Kept as `quarantined`.
    Quarantine,
}

/// `sources.X.name_order`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NameOrder {
    /// Vietnamese: `last_name first_name`.
    #[default]
    FamilyFirst,
    /// Western: `first_name last_name`.
    GivenFirst,
}
