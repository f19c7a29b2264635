//! `[sources.X.challenge]`

use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;

/// `SMALL` with these lines under `[sources.website.challenge]`.
fn with(lines: &str) -> String {
    format!("{SMALL}[sources.website.challenge]\n{lines}\n")
}

fn challenge(lines: &str, variables: &[(&str, &str)]) -> Challenge {
    let mut sources = config(&with(lines), variables).sources.into_values();
    sources.next().and_then(|source| source.challenge).expect("a challenge")
}

#[test]
fn every_key_of_a_challenge_is_read() {
    let lines = r#"
kind = "recaptcha"
secret = { env = "RECAPTCHA_SECRET" }
on_failure = "closed"
min_score = 0.7
verify_url = "https://www.recaptcha.net/recaptcha/api/siteverify"
timeout = "1s"
"#;
    let read = challenge(lines, &[("RECAPTCHA_SECRET", "s-1")]);
    assert_eq!((read.kind, read.on_failure), (ChallengeKind::Recaptcha, OnFailure::Closed));
    assert_eq!((read.min_score, read.timeout), (Some(0.7), Duration::from_secs(1)));
    assert_eq!(read.secret.expose_secret(), "s-1");
    let url = read.verify_url.as_ref().map(Url::as_str);
    assert_eq!(url, Some("https://www.recaptcha.net/recaptcha/api/siteverify"));
    assert!(!format!("{read:?}").contains("s-1"));
    let small = challenge("kind = \"turnstile\"\nsecret = \"s\"", &[]);
    assert_eq!((small.on_failure, small.min_score), (OnFailure::Open, None));
    assert_eq!((small.verify_url, small.timeout), (None, Duration::from_secs(3)));
}

#[test]
fn a_score_may_be_whole_and_come_from_the_environment() {
    let lines = "kind = \"recaptcha\"\nsecret = \"s\"";
    let score = |text| {
        challenge(lines, &[("LEADGATE__SOURCES__WEBSITE__CHALLENGE__MIN_SCORE", text)]).min_score
    };
    assert_eq!((score("1"), score("0.25"), score("0")), (Some(1.0), Some(0.25), Some(0.0)));
}

#[test]
fn every_fault_of_a_challenge_is_named() {
    let lines = r#"kind = "hcaptcha"
secret = ""
on_failure = "shut"
min_score = 1.5
verify_url = "https://user:pw@proxy.example.vn/"
timeout = "1h"
site_key = "6L"
"#;
    insta::assert_snapshot!(faults(&with(lines), &[]), @r#"
    leadgate.toml:11: sources.website.challenge.kind: "hcaptcha" cannot be used; did you mean "recaptcha"?
    leadgate.toml:12: sources.website.challenge.secret: the secret is empty; give it a value, or leave the key out
    leadgate.toml:13: sources.website.challenge.on_failure: "shut" cannot be used; expected open or closed
    leadgate.toml:14: sources.website.challenge.min_score: this number is out of range; expected 0 to 1
    leadgate.toml:15: sources.website.challenge.verify_url: this address holds a user name or a password; expected http:// or https://, a host, and nothing secret
    leadgate.toml:16: sources.website.challenge.timeout: "1h" is out of range; expected 1ms to 30s
    leadgate.toml:17: sources.website.challenge.site_key: there is no such key; the keys here are kind, secret, on_failure, min_score, verify_url, timeout
    "#);
    let lines = "kind = \"turnstile\"\nsecret = \"s\"\nmin_score = \"half\"";
    insta::assert_snapshot!(faults(&with(lines), &[]), @r#"
    leadgate.toml:13: sources.website.challenge.min_score: Turnstile gives no scores; leave this key out
    leadgate.toml:13: sources.website.challenge.min_score: expected a number, found a text; write it without quotes, such as 0.5
    "#);
    insta::assert_snapshot!(faults(&with(""), &[]), @r#"
    leadgate.toml:10: sources.website.challenge.kind: this key is missing; write "turnstile" or "recaptcha"
    leadgate.toml:10: sources.website.challenge.secret: this key is missing; write secret = { env = "TURNSTILE_SECRET" }
    "#);
    let lines = "kind = \"turnstile\"\nsecret = \"s\"";
    let elementor = with(lines).replace("web-form", "elementor");
    insta::assert_snapshot!(faults(&elementor, &[]), @r#"
    leadgate.toml:10: sources.website.challenge: the posts of elementor come from its servers, and bear no token; use it with web-form, or with a preset file of your own
    "#);
}

/// Who has to pass a challenge is not just anyone.
#[test]
fn a_source_with_a_challenge_is_not_called_open() {
    let small = SMALL.replace("secrets = { token = \"s\" }", "");
    assert!(warnings(&small, &[]).join("").contains("open"));
    let lines = "[sources.website.challenge]\nkind = \"turnstile\"\nsecret = \"s\"\n";
    assert_eq!(warnings(&format!("{small}{lines}"), &[]), [""; 0]);
}
