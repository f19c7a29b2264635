//! `[notify]`

use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// `SMALL` with these lines under `[notify]`.
fn with(lines: &str) -> String {
    format!("{SMALL}[notify]\n{lines}\n")
}

fn keys(notify: &Notify) -> Vec<&[u8]> {
    notify.keys.iter().map(|SigningKey(key)| key.expose_secret()).collect()
}

#[test]
fn every_key_of_the_signals_is_read() {
    let text = with(
        r#"
url = "https://ops.example.vn/hooks/leadgate?for=us"
secret = [{ env = "NEW" }, "an old secret of plain text"]
events = ["lead.dead", "lane.stopped", "lead.dead"]
silent_after = "36h"
timeout = "5s"
"#,
    );
    let notify = config(&text, &[("NEW", SECRET)]).notify.expect("signals");
    assert_eq!(notify.url.0.as_str(), "https://ops.example.vn/hooks/leadgate?for=us");
    let [new, old] = keys(&notify)[..] else { panic!("two keys") };
    assert_eq!((new.len(), new[0], new[23]), (24, 0x31, 0xb0), "it was base64");
    assert_eq!(old, b"an old secret of plain text");
    assert_eq!(notify.events, [NotifyEvent::LeadDead, NotifyEvent::LaneStopped].into());
    assert_eq!(notify.silent_after, Some(Duration::from_secs(36 * 3600)));
    assert_eq!(notify.timeout, Duration::from_secs(5));
    let printed = format!("{notify:?}");
    for secret in ["hooks", "for=us", "plain", "0x31", "49"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn signals_can_be_left_out_and_turned_off() {
    assert!(config(SMALL, &[]).notify.is_none());
    let text = with(&format!(
        "url = \"https://ops.example.vn/\"\nsecret = {SECRET:?}\nsilent_after = \"0s\""
    ));
    assert_eq!(config(&text, &[]).notify.expect("signals").silent_after, None);
    assert!(config(&text, &[("LEADGATE__NOTIFY__URL", "")]).notify.is_none());
}

#[test]
fn signals_can_come_from_the_environment_alone() {
    let variables = [
        ("LEADGATE__NOTIFY__URL", "http://127.0.0.1:9000/hook"),
        ("LEADGATE__NOTIFY__SECRET", "0123456789abcdef"),
        ("LEADGATE__NOTIFY__EVENTS", r#"["source.silent"]"#),
        ("LEADGATE__NOTIFY__SILENT_AFTER", "2h"),
    ];
    let notify = config(SMALL, &variables).notify.expect("signals");
    assert_eq!(notify.url.0.as_str(), "http://127.0.0.1:9000/hook");
    assert_eq!(keys(&notify), [b"0123456789abcdef"]);
    assert_eq!(notify.events, [NotifyEvent::SourceSilent].into());
    assert_eq!(notify.silent_after, Some(Duration::from_secs(7200)));
}

#[test]
fn every_fault_of_the_signals_is_named() {
    let text = r#"[notify]
url = "https://ops:password@ops.example.vn/"
secret = ["whsec_no base64", "whsec_", ""]
events = ["lead.creatd", "comment"]
silent_after = "31d"
timeout = "0s"
retries = 5
"#;
    insta::assert_snapshot!(faults(text, &[]), @r#"
    leadgate.toml:2: notify.url: this address holds a user name or a password; expected http:// or https://, a host, and nothing secret
    leadgate.toml:3: notify.secret[2]: the secret is empty; give it a value, or leave the key out
    leadgate.toml:3: notify.secret: what follows whsec_ is no base64; look for what was copied along
    leadgate.toml:3: notify.secret: what follows whsec_ is no base64; look for what was copied along
    leadgate.toml:4: notify.events[0]: "lead.creatd" cannot be used; did you mean "lead.created"?
    leadgate.toml:4: notify.events[1]: "comment" cannot be used; expected lead.created or lead.dead or lane.stopped or lane.resumed or source.silent or source.stopped or source.resumed
    leadgate.toml:5: notify.silent_after: "31d" is out of range; expected 0s to 30days
    leadgate.toml:6: notify.timeout: "0s" is out of range; expected 1ms to 1m
    leadgate.toml:7: notify.retries: there is no such key; the keys here are url, secret, events, silent_after, timeout
    "#);
    insta::assert_snapshot!(faults("[notify]\nevents = []\n", &[]), @r#"
    leadgate.toml:1: notify.url: this key is missing; name where signals are posted; "" turns them off
    leadgate.toml:1: notify.secret: this key is missing; write secret = { env = "LEADGATE_NOTIFY_SECRET" }
    leadgate.toml:2: notify.events: this list is empty; name an event, or leave the key out for all of them
    "#);
}

#[test]
fn signals_that_others_can_read_or_forge_are_a_warning() {
    let at = |url: &str, secret: &str| {
        warnings(&with(&format!("url = {url:?}\nsecret = {secret:?}")), &[]).join("\n")
    };
    assert_eq!(at("http://127.0.0.1/", SECRET), "");
    insta::assert_snapshot!(at("http://ops.example.vn/", "whsec_c2hvcnQ="), @r#"
    leadgate.toml:11: notify.url: signals cross the network in clear text; write https://
    leadgate.toml:12: notify.secret: a secret this short can be found by trying; take whsec_ and 24 random bytes in base64
    "#);
}
