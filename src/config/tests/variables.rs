//! Environment variables over the file.

use secrecy::ExposeSecret;

use super::*;

fn main_of(variables: &[(&str, &str)]) -> Destination {
    config(SMALL, variables).destinations.remove(&"main".parse().expect("a name")).expect("main")
}

#[test]
fn a_variable_goes_over_the_file() {
    let config = config(
        SMALL,
        &[
            ("LEADGATE__STORE__URL", "sqlite:/tmp/x.db"),
            ("LEADGATE__SERVER__MAX_BODY_BYTES", "2048"),
            ("LEADGATE__SERVER__TRUSTED_PROXIES", r#"["10.0.0.0/8"]"#),
            ("LEADGATE__DEDUP__WINDOW", "7d"),
            ("LEADGATE__LIMITS__PER_IP__BURST", "7"),
            ("LEADGATE__LIMITS__PER_SOURCE", "{ per_second = 8, burst = 9 }"),
            ("LEADGATE__LIMITS__PER_SOURCE__BURST", "10"),
            ("LEADGATE_CONFIG", "elsewhere.toml"),
            ("LEADGATE_ADMIN_TOKEN", "not an override"),
            ("PATH", "/bin"),
        ],
    );
    assert_eq!(config.store.url, StoreUrl::Sqlite("/tmp/x.db".into()));
    assert_eq!(config.server.max_body_bytes, 2048);
    assert_eq!(config.server.trusted_proxies.len(), 1);
    assert_eq!(config.dedup.window.as_secs(), 7 * 24 * 3600);
    let limits = config.limits;
    assert_eq!((limits.per_ip.per_second.get(), limits.per_ip.burst.get()), (20, 7));
    assert_eq!((limits.per_source.per_second.get(), limits.per_source.burst.get()), (8, 10));
    assert!(config.admin.token.is_none());
}

#[test]
fn a_text_stays_a_text_whatever_it_looks_like() {
    for domain in ["12345", "true", "1.5", "2026-01-01", "[a]", "0x10", "khachhang02"] {
        let main = main_of(&[("LEADGATE__DESTINATIONS__MAIN__DOMAIN", domain)]);
        assert_eq!(main.domain, domain);
    }
    for token in ["12345", "[1", "{x", "a=b", "-1", "\"half", "nan"] {
        let main = main_of(&[("LEADGATE__DESTINATIONS__MAIN__TOKEN", token)]);
        assert_eq!(main.token.expose_secret(), token);
    }
    let main = main_of(&[("LEADGATE__DESTINATIONS__MAIN__DOMAIN", r#""in-quotes""#)]);
    assert_eq!(main.domain, "in-quotes");
}

#[test]
fn a_variable_may_say_where_a_secret_is() {
    let main = main_of(&[
        ("LEADGATE__DESTINATIONS__MAIN__TOKEN", r#"{ env = "ELSEWHERE" }"#),
        ("ELSEWHERE", "found"),
    ]);
    assert_eq!(main.token.expose_secret(), "found");
    let main = main_of(&[
        ("LEADGATE__DESTINATIONS__MAIN__TOKEN__ENV", "ELSEWHERE"),
        ("ELSEWHERE", "found"),
    ]);
    assert_eq!(main.token.expose_secret(), "found");
    let config = config(
        SMALL,
        &[
            ("LEADGATE__SOURCES__WEBSITE__SECRETS__TOKEN", r#"["new", { env = "OLD" }]"#),
            ("OLD", "old"),
        ],
    );
    let secrets = &config.sources[&"website".parse().expect("a name")].secrets["token"];
    assert_eq!(secrets.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>(), ["new", "old"]);
}

#[test]
fn names_match_whatever_their_case_and_dashes() {
    let text =
        format!("{SMALL}[sources.Landing-Page]\npreset = \"web-form\"\ndestination = \"x\"\n");
    let config = config(
        &text,
        &[
            ("LEADGATE__SOURCES__LANDING_PAGE__DESTINATION", "main"),
            ("LEADGATE__SOURCES__NEW_ONE__PRESET", "web-form"),
            ("LEADGATE__SOURCES__NEW_ONE__DESTINATION", "main"),
        ],
    );
    let names: Vec<&str> = config.sources.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["Landing-Page", "new_one", "website"]);
}

#[test]
fn variables_alone_can_be_a_configuration() {
    let config = config(
        "",
        &[
            ("LEADGATE__DESTINATIONS__MAIN__DOMAIN", "d"),
            ("LEADGATE__DESTINATIONS__MAIN__TOKEN", "t"),
            ("LEADGATE__DESTINATIONS__MAIN__LEAD__GROUP_ID", "12153"),
            ("LEADGATE__SOURCES__FORM", r#"{ preset = "web-form", destination = "main" }"#),
        ],
    );
    assert_eq!((config.destinations.len(), config.sources.len()), (1, 1));
}

#[test]
fn a_fault_names_its_variable() {
    let keys = "preset = \"web-form\"\ndestination = \"main\"";
    let text = format!("{SMALL}[sources.a-b]\n{keys}\n[sources.a_b]\n{keys}");
    insta::assert_snapshot!(faults(&text, &[
        ("LEADGATE__STOR__URL", "x"),
        ("LEADGATE__STORE__URL", "postgres://user:password@h"),
        ("LEADGATE__SERVER__MAX_BODY_BYTES", "many"),
        ("LEADGATE__SERVER__TRUSTED_PROXIES", "10.0.0.0/8"),
        ("LEADGATE__DEDUP__WINDOW", "30"),
        ("LEADGATE__LIMITS__PER_IP", "20"),
        ("LEADGATE__SOURCES__A_B__INVALID", "reject"),
        ("LEADGATE__SOURCES__NEW__DESTINATION", "mian"),
        ("LEADGATE__", "x"),
        ("LEADGATE__SERVER____LISTEN", "x"),
        ("LEADGATE__A__B__C__D__E__F__G__H__I", "x"),
    ]), @r#"
    LEADGATE__SERVER__TRUSTED_PROXIES: server.trusted_proxies: expected a list, found a text; write [ … ] with commas between
    LEADGATE__SERVER__MAX_BODY_BYTES: server.max_body_bytes: expected a whole number, found a text; write it without quotes
    LEADGATE__STORE__URL: store.url: this is no store; expected sqlite:PATH, redis://HOST:PORT/DB, rediss://…, redis-cluster://HOST:PORT,HOST:PORT or redis-sentinel://HOST:PORT,HOST:PORT/SERVICE
    LEADGATE__DEDUP__WINDOW: dedup.window: "30" is no duration; expected a number and a unit: "500ms", "15s", "10m", "72h", "30d"
    LEADGATE__LIMITS__PER_IP: limits.per_ip: expected a table, found a whole number; write { key = value }, or a [section]
    LEADGATE__SOURCES__NEW__DESTINATION: sources.new.preset: this key is missing; write preset = "web-form", or the preset of the form's platform
    LEADGATE__SOURCES__NEW__DESTINATION: sources.new.destination: no destination is named "mian"; did you mean "main"?
    LEADGATE__STOR__URL: stor: there is no such key; did you mean "store"?
    LEADGATE__: this names no key; name the parts of a key as in LEADGATE__STORE__URL
    LEADGATE__A__B__C__D__E__F__G__H__I: this names no key; name the parts of a key as in LEADGATE__STORE__URL
    LEADGATE__SERVER____LISTEN: this names no key; name the parts of a key as in LEADGATE__STORE__URL
    LEADGATE__SOURCES__A_B__INVALID: sources: "A_B" means more than one key: a-b, a_b; rename one of them, or change the file
    "#);
}
