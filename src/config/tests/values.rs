//! Texts without fault, and what they become.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::lead::State;

const EVERY_KEY: &str = r#"
[server]
listen = "0.0.0.0:8080"
admin_listen = "127.0.0.1:8081"
public_url = "https://leads.example.vn"
trusted_proxies = ["10.0.0.0/8", "::1"]
max_body_bytes = 262_144
shutdown_grace = "20s"
drain_delay = "5s"

[admin]
token = { env = "LEADGATE_ADMIN_TOKEN" }

[store]
url = "redis://:pass@127.0.0.1:6379/0"
spool = "data/spool.db"
secret = { env = "LEADGATE_STORE_SECRET" }
retention = { created = "31d", merged = "32d", dead = "91d", quarantined = "92d", test = "2d" }

[dedup]
window = "29d"
on_duplicate = "drop"

[phone]
default_region = "TH"
output = "e164"

[limits]
per_ip = { per_second = 21, burst = 41 }
per_source = { per_second = 2001, burst = 4001 }

[log]
format = "pretty"
level = "leadgate=debug,warn"
otlp_endpoint = "http://127.0.0.1:4317"

[destinations.main]
base_url = "https://api.caresoft.vn"
fallback_url = "https://api2.caresoft.vn"
domain = "khachhang01"
token = { env = "CARESOFT_TOKEN" }
rate = { per_second = 11, per_hour = 40000 }
max_in_flight = 33
timeout = "16s"
retry = { initial = "2s", max = "11m", give_up_after = "71h" }
breaker = { failures = 6, probe_every = "16s" }
lockout = "16m"
marker = "subject"
comment_author_id = 124734559
lead_url = "https://crm.example.vn/leads/{id}"

[destinations.main.lead]
service_id = 1244
subject = "Lead {{ source }}: {{ name or phone or email }}"
comment = """
{% for answer in answers %}{{ answer.label }}
{% endfor %}"""

[sources.website]
preset = "web-form"
destination = "main"
invalid = "reject"
thank_you_url = "https://shop.example.vn/cam-on"
page_url = "https://shop.example.vn/"
cors = { origins = ["https://Shop.example.vn/", "*"] }
honeypot = "website_url"
max_age = "0s"
api_base = "https://graph.facebook.com"
name_order = "given-first"

[sources.website.secrets]
token = [{ env = "FORM_TOKEN" }, { env = "FORM_TOKEN_OLD" }]

[sources.website.fields]
name = ["ho_ten"]
phone = ["so_dien_thoai"]

[sources.website.lead]
group_id = 12153
lead_label = [10, 11]
lead_status_id = 558
assignee_id = 9_007_199_254_740_993
estimated_closed_date = "{{ '2027-01-31 17:00:00' }}"
custom_fields = [
  { id = 5159, from = "thanh_pho" },
  { id = 6068, from = "loai", values = { "mua" = "106902" }, default = "106903" },
  { id = 7001, template = "{{ utm.source }}/{{ utm.campaign }}" },
]
"#;

const VARIABLES: [(&str, &str); 5] = [
    ("LEADGATE_ADMIN_TOKEN", "admin-token"),
    ("LEADGATE_STORE_SECRET", "store-secret-that-is-long"),
    ("CARESOFT_TOKEN", "caresoft-token"),
    ("FORM_TOKEN", "form-token"),
    ("FORM_TOKEN_OLD", "form-token-old"),
];

const DAY: Duration = Duration::from_secs(24 * 3600);

fn main_of(config: &Config) -> &Destination {
    &config.destinations[&"main".parse().expect("a name")]
}

fn website_of(config: &Config) -> &Source {
    &config.sources[&"website".parse().expect("a name")]
}

fn exposed(secrets: &[SecretString]) -> Vec<&str> {
    secrets.iter().map(ExposeSecret::expose_secret).collect()
}

#[test]
fn every_key_of_the_gateway_is_read() {
    let config = config(EVERY_KEY, &VARIABLES);
    let Config { server, admin, store, dedup, phone, limits, log, .. } = &config;
    assert_eq!(server.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(server.admin_listen.to_string(), "127.0.0.1:8081");
    assert_eq!(server.public_url.as_ref().map(Url::as_str), Some("https://leads.example.vn/"));
    let proxies: Vec<String> = server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(server.max_body_bytes, 262_144);
    assert_eq!(server.shutdown_grace, Duration::from_secs(20));
    assert_eq!(server.drain_delay, Duration::from_secs(5));
    assert_eq!(exposed(admin.token.as_slice()), ["admin-token"]);
    assert_eq!(store.url, StoreUrl::Redis(RedisUrl("redis://:pass@127.0.0.1:6379/0".into())));
    assert_eq!(store.spool.as_deref(), Some(Path::new("data/spool.db")));
    assert_eq!(exposed(&store.secret), ["store-secret-that-is-long"]);
    let kept = [
        (State::Created, DAY * 31),
        (State::Merged, DAY * 32),
        (State::Dead, DAY * 91),
        (State::Quarantined, DAY * 92),
        (State::Test, DAY * 2),
    ];
    assert_eq!(store.retention, kept.into());
    assert_eq!((dedup.window, dedup.on_duplicate), (DAY * 29, OnDuplicate::Drop));
    assert_eq!((phone.default_region.as_str(), phone.output), ("TH", PhoneOutput::E164));
    let numbers = |rate: Rate| (rate.per_second.get(), rate.burst.get());
    assert_eq!(numbers(limits.per_ip), (21, 41));
    assert_eq!(numbers(limits.per_source), (2001, 4001));
    assert_eq!((log.format, log.level.as_str()), (LogFormat::Pretty, "leadgate=debug,warn"));
    assert_eq!(log.otlp_endpoint.as_ref().map(Url::as_str), Some("http://127.0.0.1:4317/"));
}

#[test]
fn every_key_of_a_destination_is_read() {
    let config = config(EVERY_KEY, &VARIABLES);
    let main = main_of(&config);
    assert_eq!(main.base_url.as_str(), "https://api.caresoft.vn/");
    assert_eq!(main.fallback_url.as_ref().map(Url::as_str), Some("https://api2.caresoft.vn/"));
    assert_eq!(
        (main.domain.as_str(), main.token.expose_secret()),
        ("khachhang01", "caresoft-token")
    );
    assert_eq!((main.rate.per_second.get(), main.rate.per_hour.get()), (11, 40_000));
    assert_eq!((main.max_in_flight, main.timeout), (33, Duration::from_secs(16)));
    let retry = Retry {
        initial: Duration::from_secs(2),
        max: Duration::from_secs(11 * 60),
        give_up_after: Duration::from_secs(71 * 3600),
    };
    assert_eq!(main.retry, retry);
    assert_eq!(main.breaker, Breaker { failures: 6, probe_every: Duration::from_secs(16) });
    assert_eq!((main.lockout, main.marker), (Duration::from_secs(16 * 60), Marker::Subject));
    assert_eq!(main.comment_author_id, Some(124_734_559));
    let shown = main.lead_url.as_ref().map(|url| url.of(17));
    assert_eq!(shown.as_deref(), Some("https://crm.example.vn/leads/17"));
    let lead = LeadSettings {
        service_id: Some(1244),
        subject: Some("Lead {{ source }}: {{ name or phone or email }}".into()),
        comment: Some("{% for answer in answers %}{{ answer.label }}\n{% endfor %}".into()),
        ..LeadSettings::default()
    };
    assert_eq!(main.lead, lead);
}

#[test]
fn every_key_of_a_source_is_read() {
    let config = config(EVERY_KEY, &VARIABLES);
    let website = website_of(&config);
    assert_eq!((website.preset.as_str(), website.destination.as_str()), ("web-form", "main"));
    assert_eq!(website.invalid, Some(Invalid::Reject));
    let urls = [&website.thank_you_url, &website.page_url, &website.api_base];
    let expected = [
        "https://shop.example.vn/cam-on",
        "https://shop.example.vn/",
        "https://graph.facebook.com/",
    ];
    assert_eq!(urls.map(|url| url.as_ref().map_or("", Url::as_str)), expected);
    assert_eq!(website.cors_origins, ["https://shop.example.vn", "*"]);
    assert_eq!(website.honeypot.as_deref(), Some("website_url"));
    assert_eq!(website.max_age, Some(Duration::ZERO));
    assert_eq!(website.name_order, NameOrder::GivenFirst);
    assert_eq!(exposed(&website.secrets["token"]), ["form-token", "form-token-old"]);
    let fields = [("name", vec!["ho_ten"]), ("phone", vec!["so_dien_thoai"])];
    let read = website.fields.iter().map(|(name, names)| (name.as_str(), names.clone()));
    assert!(
        read.eq(fields.map(|(name, names)| (name, names.into_iter().map(str::to_owned).collect())))
    );
    let custom = |id, value| CustomField { id, value, values: [].into(), default: None };
    let lead = LeadSettings {
        group_id: Some(12153),
        assignee_id: Some(9_007_199_254_740_993),
        lead_status_id: Some(558),
        lead_label: Some(vec![10, 11]),
        estimated_closed_date: Some("{{ '2027-01-31 17:00:00' }}".into()),
        custom_fields: Some(vec![
            custom(5159, FieldValue::From("thanh_pho".into())),
            CustomField {
                values: [("mua".into(), "106902".into())].into(),
                default: Some("106903".into()),
                ..custom(6068, FieldValue::From("loai".into()))
            },
            custom(7001, FieldValue::Template("{{ utm.source }}/{{ utm.campaign }}".into())),
        ]),
        ..LeadSettings::default()
    };
    assert_eq!(website.lead, lead);
}

#[test]
fn no_secret_is_printed() {
    let printed = format!("{:?}", read(EVERY_KEY, &VARIABLES).expect("a valid configuration"));
    for (_, secret) in VARIABLES {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(!printed.contains(":pass@"), "{printed}");
}

#[test]
fn a_secret_is_a_text_a_variable_or_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    for (content, expected) in
        [("from-file\n", "from-file"), ("from-file\r\n", "from-file"), ("from-file", "from-file")]
    {
        std::fs::write(&file, content).expect("a file");
        let text = SMALL.replace(r#""t-1""#, &format!("{{ file = {:?} }}", file.display()));
        assert_eq!(main_of(&config(&text, &[])).token.expose_secret(), expected);
    }
    let text = SMALL.replace(r#""t-1""#, r#"{ env = "TOKEN" }"#);
    assert_eq!(main_of(&config(&text, &[("TOKEN", "x")])).token.expose_secret(), "x");
    assert_eq!(main_of(&config(SMALL, &[])).token.expose_secret(), "t-1");
}

#[test]
fn only_the_last_line_break_of_a_secret_file_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, " two lines\nof it \n\n").expect("a file");
    let text =
        SMALL.replace(r#"token = "s""#, &format!("token = {{ file = {:?} }}", file.display()));
    assert_eq!(
        exposed(&website_of(&config(&text, &[])).secrets["token"]),
        [" two lines\nof it \n"]
    );
}

#[test]
fn another_host_than_caresofts_has_no_standby_by_default() {
    let at = |keys: &str| {
        let text = SMALL.replace("[destinations.main]", &format!("[destinations.main]\n{keys}"));
        main_of(&config(&text, &[])).fallback_url.as_ref().map(ToString::to_string)
    };
    assert_eq!(at("").as_deref(), Some("https://api2.caresoft.vn/"));
    assert_eq!(
        at(r#"base_url = "https://api.caresoft.vn/""#).as_deref(),
        Some("https://api2.caresoft.vn/")
    );
    assert_eq!(at(r#"fallback_url = """#), None);
    assert_eq!(at(r#"base_url = "http://127.0.0.1:9""#), None);
}

#[test]
fn stores_are_known_by_their_scheme() {
    let url = |text: &str| config(&format!("[store]\nurl = {text:?}\n{SMALL}"), &[]).store.url;
    assert_eq!(url("sqlite:/var/lib/x.db"), StoreUrl::Sqlite("/var/lib/x.db".into()));
    for redis in [
        "redis://127.0.0.1:6379/0",
        "rediss://user:p%40ss@redis.example.com",
        "redis-cluster://a:1,b:2,[::1]:3",
        "redis-sentinel://user:pass@a:1,b:2/leads",
    ] {
        assert_eq!(url(redis), StoreUrl::Redis(RedisUrl(redis.into())));
    }
}

#[test]
fn a_spool_is_redis_own() {
    let spool = |keys: &str| config(&format!("[store]\n{keys}\n{SMALL}"), &[]).store.spool;
    assert_eq!(spool(""), None);
    assert_eq!(spool(r#"url = "redis://h""#), Some("data/spool.db".into()));
    assert_eq!(spool("url = \"redis://h\"\nspool = \"\""), None);
}

#[test]
fn what_is_doubtful_is_a_warning() {
    let text = r#"
[server]
admin_listen = "0.0.0.0:8081"
[store]
secret = "short"
[destinations.main]
base_url = "http://caresoft.example.vn"
domain = "d"
token = "t"
rate = { per_second = 16, per_hour = 54001 }
lead = { group_id = 1 }
[sources.form]
preset = "web-form"
destination = "main"
"#;
    insta::assert_snapshot!(warnings(text, &[]).join("\n"), @r#"
    leadgate.toml:5: store.secret: a secret this short can be found by trying; take at least 16 random characters
    leadgate.toml:7: destinations.main.base_url: tokens cross the network in clear text; write https://
    leadgate.toml:10: destinations.main.rate.per_second: CareSoft refuses more than 15 and locks out who insists; stay below it, and leave room for other integrations
    leadgate.toml:10: destinations.main.rate.per_hour: CareSoft refuses more than 54000 and locks out who insists; stay below it, and leave room for other integrations
    leadgate.toml:12: sources.form.secrets: this source is open: anyone may post to it; set secrets.token = { env = "…" }, unless that is meant
    leadgate.toml: admin.token: the admin listener is reachable from other machines and has no token of yours; a new one is made at each start; set admin.token to keep one
    "#);
    insta::assert_snapshot!(warnings("", &[]).join("\n"), @r#"leadgate.toml: sources: there is no source: nothing can be posted; add [sources.NAME]"#);
}

#[test]
fn zero_setup_is_a_sandbox() {
    let sandbox = Url::parse("http://127.0.0.1:8082").expect("a URL");
    let token = SecretString::from("sandbox-token");
    let environment = MapEnvironment::from_iter([("LEADGATE__SERVER__LISTEN", "127.0.0.1:9999")]);
    let config = zero_setup(&sandbox, &token, "", &["web-form"], &environment)
        .expect("a valid configuration");
    assert_eq!(config.server.listen.port(), 9999);
    assert_eq!(config.store.url, StoreUrl::Sqlite("data/leadgate.db".into()));
    assert_eq!(config.log.format, LogFormat::Pretty);
    let [(name, destination)] = config.destinations.iter().collect::<Vec<_>>()[..] else {
        panic!("{:?}", config.destinations)
    };
    assert_eq!((name.as_str(), destination.domain.as_str()), ("sandbox", "sandbox"));
    assert_eq!((&destination.base_url, &destination.fallback_url), (&sandbox, &None));
    assert_eq!(destination.token.expose_secret(), "sandbox-token");
    assert_eq!(destination.lead.service_id, Some(1244));
    let website = website_of(&config);
    assert_eq!((website.preset.as_str(), website.destination.as_str()), ("web-form", "sandbox"));
    assert!(website.secrets.is_empty());
}
