//! The example is the reference: it is valid, whole, and shows the true defaults.

use super::*;
use crate::config::{document, read::Reading};

const EXAMPLE: &str = include_str!("../../../config/leadgate.example.toml");

const VARIABLES: [(&str, &str); 7] = [
    ("LEADGATE_ADMIN_TOKEN", "a"),
    ("LEADGATE_STORE_SECRET", "0123456789abcdef"),
    ("LEADGATE_NOTIFY_SECRET", "fedcba9876543210"),
    ("CARESOFT_TOKEN", "c"),
    ("FORM_TOKEN", "d"),
    ("FORM_TOKEN_OLD", "e"),
    ("RECAPTCHA_SECRET", "f"),
];

/// The example with every key that it shows, also those that may be left out.
fn every_key() -> String {
    let shown = |line: &&str| match line.strip_prefix('#') {
        Some(rest) => !rest.is_empty() && (!rest.starts_with(' ') || rest.starts_with("  {")),
        None => true,
    };
    let lines: Vec<&str> =
        EXAMPLE.lines().filter(shown).map(|line| line.strip_prefix('#').unwrap_or(line)).collect();
    lines.join("\n")
}

#[test]
fn the_example_is_valid() {
    assert_eq!(warnings(EXAMPLE, &VARIABLES), [""; 0]);
}

#[test]
fn the_example_shows_every_key() {
    let environment: MapEnvironment = VARIABLES.into_iter().collect();
    let reading = Reading::new("example", &environment, &PRESETS);
    reading.config(document::parse(&every_key(), "example").expect("TOML"));
    assert_eq!(reading.faults.take(), []);
    let absent = reading.absent.take();
    // An alternative to a key that is shown.
    let alternative = |key: &String| {
        [".env", ".file", ".from", ".template", ".values", ".default"]
            .iter()
            .any(|end| key.ends_with(end))
    };
    let forgotten: Vec<_> = absent.iter().filter(|key| !alternative(key)).collect();
    assert_eq!(forgotten, [""; 0]);
}

#[test]
fn the_example_shows_the_defaults() {
    let (shown, default) = (config(&every_key(), &VARIABLES), config(SMALL, &[]));
    let gateway = |config: &Config| {
        let server = &config.server;
        let store = &config.store;
        format!(
            "{} {} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            server.listen,
            server.admin_listen,
            server.max_body_bytes,
            server.drain_delay,
            server.shutdown_grace,
            store.url,
            store.spool,
            store.retention,
            config.dedup,
            config.phone,
            config.limits,
            config.log,
        )
    };
    assert_eq!(gateway(&shown), gateway(&default));
    let destination = |config: &Config| {
        let mut main = config.destinations.values().next().expect("one").clone();
        main.comment_author_id = None;
        main.lead_url = None;
        main.lead = LeadSettings::default();
        format!("{main:?}")
    };
    assert_eq!(destination(&shown), destination(&default));
    let order = |config: &Config| config.sources.values().next().expect("one").name_order;
    assert_eq!(order(&shown), order(&default));
    let smallest = r#"
[notify]
url = "https://ops.example.vn/hooks/leadgate"
secret = "fedcba9876543210"
"#;
    let challenge = r#"challenge = { kind = "recaptcha", secret = "f" }"#;
    let challenged = |config: &Config| {
        let source = config.sources.values().next().expect("one");
        let mut challenge = source.challenge.clone().expect("a challenge");
        (challenge.min_score, challenge.verify_url) = (None, None);
        format!("{challenge:?}")
    };
    let smallest_challenge = config(&format!("{SMALL}{challenge}"), &[]);
    assert_eq!(challenged(&shown), challenged(&smallest_challenge));
    let signals = |config: Config| format!("{:?}", config.notify.expect("signals"));
    assert_eq!(signals(shown), signals(config(&format!("{SMALL}{smallest}"), &[])));
}
