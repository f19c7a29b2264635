//! What two readings have in common, and what of the second a running gateway cannot take over.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

const BASE: &str = r#"
[admin]
token = "admin"
[store]
secret = "a secret of sixteen or more"
[destinations.main]
domain = "khachhang01"
token = "token"
lead = { service_id = 1244 }
[sources.website]
preset = "web-form"
destination = "main"
challenge = { kind = "turnstile", secret = "s" }
[notify]
url = "https://ops.example.vn/hooks/leadgate"
secret = "fedcba9876543210"
"#;

#[test]
fn secrets_count_in_a_comparison() {
    let one = config(BASE, &[]);
    let parts = |config: &Config| {
        let destination = config.destinations.values().next().unwrap().clone();
        let challenge = config.sources.values().next().unwrap().challenge.clone();
        (destination, challenge, config.notify.clone())
    };
    assert!(parts(&one) == parts(&config(BASE, &[])));
    for (before, after, is_same) in [
        ("token = \"token\"", "token = \"another\"", [false, true, true]),
        ("service_id = 1244", "service_id = 1245", [false, true, true]),
        ("secret = \"s\"", "secret = \"t\"", [true, false, true]),
        ("fedcba", "abcdef", [true, true, false]),
        ("hooks/leadgate", "hooks/other", [true, true, false]),
    ] {
        assert!(BASE.contains(before));
        let (one, other) = (parts(&one), parts(&config(&BASE.replace(before, after), &[])));
        assert_eq!([one.0 == other.0, one.1 == other.1, one.2 == other.2], is_same, "{after}");
    }
}

#[test]
fn what_is_bound_or_opened_stays_as_it_is() {
    let running = config(BASE, &[]);
    let mut same = config(BASE, &[]);
    assert_eq!(keep_fixed(&running, &mut same), [""; 0]);
    let other = r#"
[server]
listen = "127.0.0.1:1"
admin_listen = "127.0.0.1:2"
max_body_bytes = 2048
[store]
url = "redis://127.0.0.1:1/0"
spool = "elsewhere.db"
[log]
format = "pretty"
level = "debug"
otlp_endpoint = "http://127.0.0.1:4318"
"#;
    let text = format!("{other}{}", &BASE[BASE.find("[destinations").unwrap()..]);
    let mut new = config(&text, &[]);
    let kept = keep_fixed(&running, &mut new);
    let all = [
        "server.listen",
        "server.admin_listen",
        "store.url",
        "store.spool",
        "store.secret",
        "admin.token",
        "log.format",
        "log.level",
        "log.otlp_endpoint",
    ];
    assert_eq!(kept, all);
    assert_eq!(new.server.max_body_bytes, 2048, "the rest is as the file says");
    assert_eq!(keep_fixed(&running, &mut new), [""; 0], "and these are as they were");
    let without = BASE.replace("token = \"admin\"", "");
    let (running, mut new) = (config(&without, &[]), config(BASE, &[]));
    assert_eq!(keep_fixed(&running, &mut new), [""; 0], "a token may be given where none was");
}

/// What is wrong may be mended in one of the files, so they are known of a faulty configuration too.
#[test]
fn the_files_that_a_configuration_names_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = format!(
        "{}secrets = {{ token = {{ file = {:?} }} }}\nhoneypott = 1\n[sources.own]\npreset = {:?}\n\
         destination = \"main\"\n",
        BASE[..BASE.find("challenge").unwrap()].to_owned(),
        path("missing"),
        path("own.toml"),
    );
    let file = path("leadgate.toml");
    std::fs::write(&file, text).unwrap();
    let mut files = BTreeSet::<PathBuf>::new();
    let environment = MapEnvironment::default();
    let faults = load_noting(Path::new(&file), &environment, &["web-form"], &mut files);
    assert!(faults.is_err());
    assert_eq!(files, [path("missing"), path("own.toml")].into());
}
