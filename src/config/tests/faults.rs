//! Wrong texts, and exactly what is said of them.

use proptest::prelude::*;

use super::*;

#[test]
fn every_fault_of_a_file_is_named() {
    let text = r#"
[server]
listen = ":8080"
admin_listen = 5
max_body_bytes = 10
shutdown_grace = "soon"
trusted_proxies = [
  "10.0.0.0/8",
  "10.0.0.0/99",
]
listn = "x"
[adminn]
[dedup]
on_duplicate = "coment"
window = 30
[phone]
default_region = "vn"
[log]
level = "inof"
format = true
[limits]
per_ip = { per_second = 0, brst = 1 }
"#;
    insta::assert_snapshot!(faults(text, &[]), @r#"
    leadgate.toml:3: server.listen: ":8080" cannot be used; expected an address and a port, such as "127.0.0.1:8080"
    leadgate.toml:4: server.admin_listen: expected a text, found a whole number; put it in quotes
    leadgate.toml:5: server.max_body_bytes: this number is out of range; expected 1024 to 16777216
    leadgate.toml:6: server.shutdown_grace: "soon" is no duration; expected a number and a unit: "500ms", "15s", "10m", "72h", "30d"
    leadgate.toml:9: server.trusted_proxies[1]: "10.0.0.0/99" cannot be used; expected a network such as "10.0.0.0/8"
    leadgate.toml:11: server.listn: there is no such key; did you mean "listen"?
    leadgate.toml:12: adminn: there is no such key; did you mean "admin"?
    leadgate.toml:14: dedup.on_duplicate: "coment" cannot be used; did you mean "comment"?
    leadgate.toml:15: dedup.window: expected a duration, found a whole number; write a text with a unit, such as "15s"
    leadgate.toml:17: phone.default_region: "vn" cannot be used; expected two capitals, such as "VN"
    leadgate.toml:19: log.level: "inof" cannot be used; did you mean "info"?
    leadgate.toml:20: log.format: expected a text, found true or false; put it in quotes
    leadgate.toml:22: limits.per_ip.per_second: this number is out of range; expected 1 to 1000000
    leadgate.toml:22: limits.per_ip.brst: there is no such key; did you mean "burst"?
    "#);
}

/// OTLP's specification asks for a scheme, a host, a port and a path; whatever else stands in an
/// address would be dropped in silence.
#[test]
fn the_address_of_a_collector_is_no_more_than_that() {
    const NO_ADDRESS: &str = "expected http:// or https://, a host, and nothing secret";
    for (address, expected) in [
        (
            "https://otlp.example.vn/?key=k",
            "this address has a query or a fragment; write it without ? and #".to_owned(),
        ),
        (
            "https://otlp.example.vn/v1/traces?",
            "this address has a query or a fragment; write it without ? and #".to_owned(),
        ),
        (
            "http://127.0.0.1:4318/#traces",
            "this address has a query or a fragment; write it without ? and #".to_owned(),
        ),
        (
            "grpc://127.0.0.1:4317",
            format!("this is no web address: its scheme is \"grpc\"; {NO_ADDRESS}"),
        ),
        (
            "localhost:4318",
            format!("this is no web address: its scheme is \"localhost\"; {NO_ADDRESS}"),
        ),
        (
            "127.0.0.1:4318",
            format!("this is no web address: relative URL without a base; {NO_ADDRESS}"),
        ),
        (
            "https://us:secret-word@otlp.example.vn",
            format!("this address holds a user name or a password; {NO_ADDRESS}"),
        ),
    ] {
        let text = format!("[log]\nlevel = \"info\"\notlp_endpoint = \"{address}\"\n");
        let said = faults(&text, &[]);
        let of_it: Vec<_> = said.lines().filter(|line| line.contains("otlp_endpoint")).collect();
        assert_eq!(of_it, [format!("leadgate.toml:3: log.otlp_endpoint: {expected}")]);
    }
}

#[test]
fn every_fault_of_a_destination_is_named() {
    let text = r#"
[destinations.main]
base_url = "ftp://api.caresoft.vn"
fallback_url = "https://user:secret-word@api2.caresoft.vn"
rate = { per_second = 99999999999999999999, per_hour = -1 }
timeout = "6m"
retry = { initial = "20m", give_up_after = "ten days" }
breaker = 5
marker = "nowhere"
comment_author_id = 0
colour = "red"
[destinations.main.lead]
service_id = "1244"
lead_label = [10, "x"]
subject = "Lead {{ name"
comment = """
one
{% for %}
"""
custom_fields = [
  { id = 1 },
  { id = 2, from = "a", template = "b" },
  { from = "a" },
  { id = 3, from = "a", values = { a = 1 } },
  { id = 3, form = "a" },
  { id = 4, from = "a" },
  { id = 4, from = "b" },
]
[destinations."my account"]
domain = "a/b"
token = "two words"
"#;
    insta::assert_snapshot!(faults(text, &[]), @r#"
    leadgate.toml:2: destinations.main.domain: this key is missing; it is the account's name: the path in its login URL
    leadgate.toml:2: destinations.main.token: this key is missing; write token = { env = "CARESOFT_TOKEN" }
    leadgate.toml:3: destinations.main.base_url: this is no web address: its scheme is "ftp"; expected http:// or https://, a host, and nothing secret
    leadgate.toml:4: destinations.main.fallback_url: this address holds a user name or a password; expected http:// or https://, a host, and nothing secret
    leadgate.toml:5: destinations.main.rate.per_second: this number is out of range; expected 1 to 1000
    leadgate.toml:5: destinations.main.rate.per_hour: this number is out of range; expected 1 to 3600000
    leadgate.toml:6: destinations.main.timeout: "6m" is out of range; expected 1ms to 5m
    leadgate.toml:7: destinations.main.retry.give_up_after: "ten days" is no duration; expected a number and a unit: "500ms", "15s", "10m", "72h", "30d"
    leadgate.toml:7: destinations.main.retry.initial: the first delay is longer than max, the longest; lower it
    leadgate.toml:8: destinations.main.breaker: expected a table, found a whole number; write { key = value }, or a [section]
    leadgate.toml:9: destinations.main.marker: "nowhere" cannot be used; expected comment or subject or none
    leadgate.toml:10: destinations.main.comment_author_id: this number is out of range; expected 1 to 9223372036854775807
    leadgate.toml:11: destinations.main.colour: there is no such key; the keys here are base_url, fallback_url, domain, token, rate, max_in_flight, timeout, retry, breaker, lockout, marker, comment_author_id, lead_url, lead
    leadgate.toml:13: destinations.main.lead.service_id: expected a whole number, found a text; write it without quotes
    leadgate.toml:14: destinations.main.lead.lead_label[1]: expected a whole number, found a text; write it without quotes
    leadgate.toml:15: destinations.main.lead.subject: this is no template: unexpected end of input, expected end of variable block; expected such as "Lead {{ source }}: {{ name or phone }}"
    leadgate.toml:16: destinations.main.lead.comment: line 2 of this template: unexpected end of block, expected in; expected such as "Lead {{ source }}: {{ name or phone }}"
    leadgate.toml:21: destinations.main.lead.custom_fields[0].from: it takes either a form field or a template; write from = "…" or template = "…", one of them
    leadgate.toml:22: destinations.main.lead.custom_fields[1].from: it takes either a form field or a template; write from = "…" or template = "…", one of them
    leadgate.toml:23: destinations.main.lead.custom_fields[2].id: this key is missing; it is CareSoft's id of the field
    leadgate.toml:24: destinations.main.lead.custom_fields[3].values.a: expected a text, found a whole number; put it in quotes
    leadgate.toml:25: destinations.main.lead.custom_fields[4].from: it takes either a form field or a template; write from = "…" or template = "…", one of them
    leadgate.toml:25: destinations.main.lead.custom_fields[4].form: there is no such key; did you mean "from"?
    leadgate.toml:27: destinations.main.lead.custom_fields[6]: the field 4 is set twice; keep one of them
    leadgate.toml:29: destinations."my account": this name cannot be used; expected 1 to 64 letters, digits, - or _
    leadgate.toml:30: destinations."my account".domain: this is no account's name; expected the path in the account's login URL, without host and slash
    leadgate.toml:31: destinations."my account".token: the secret holds a space, a line break or a letter outside of ASCII; no HTTP header can carry it: look for what was copied along
    "#);
}

#[test]
fn every_fault_of_a_source_is_named() {
    let text = r#"
[destinations.main]
domain = "d"
token = "t"
[sources.a]
destination = "mian"
preset = "web-from"
invalid = "rejcet"
name_order = "western"
page_url = "shop.example.vn"
cors = { origins = ["https://shop.example.vn/form", "null"] }
honeypot = ""
[sources.a.secrets]
tokn = "x"
token = []
[sources.a.fields]
phnoe = ["sdt"]
name = "ho_ten"
[sources.b]
preset = "meta-lead-ads"
destination = "main"
[sources.c]
preset = "presets/none.toml"
destination = "other"
lead = { service_id = 1 }
[sources.d]
"#;
    insta::assert_snapshot!(faults(text, &[]), @r#"
    leadgate.toml:6: sources.a.destination: no destination is named "mian"; did you mean "main"?
    leadgate.toml:7: sources.a.preset: there is no preset "web-from"; did you mean "web-form"?
    leadgate.toml:8: sources.a.invalid: "rejcet" cannot be used; did you mean "reject"?
    leadgate.toml:9: sources.a.name_order: "western" cannot be used; expected family-first or given-first
    leadgate.toml:10: sources.a.page_url: this is no web address: relative URL without a base; expected http:// or https://, a host, and nothing secret
    leadgate.toml:11: sources.a.cors.origins[0]: "https://shop.example.vn/form" cannot be used; expected a scheme and a host without a path, such as "https://shop.example.vn"
    leadgate.toml:11: sources.a.cors.origins[1]: "null" cannot be used; expected a scheme and a host without a path, such as "https://shop.example.vn"
    leadgate.toml:12: sources.a.honeypot: this is empty; write a value, or leave the key out
    leadgate.toml:14: sources.a.secrets.tokn: no preset asks for this secret; did you mean "token"?
    leadgate.toml:15: sources.a.secrets.token: this list is empty; expected { env = "NAME" }, { file = "PATH" } or a text, or leave the key out
    leadgate.toml:17: sources.a.fields.phnoe: a lead has no such field; did you mean "phone"?
    leadgate.toml:18: sources.a.fields.name: expected a list, found a text; write [ … ] with commas between
    leadgate.toml:19: sources.b.lead: nobody at CareSoft takes its leads; set service_id, group_id or assignee_id here or in the destination's lead
    leadgate.toml:20: sources.b.preset: this version has no preset "meta-lead-ads" yet; there are web-form, elementor so far
    leadgate.toml:23: sources.c.preset: there is no preset file "presets/none.toml"; the path is read from where the gateway is started
    leadgate.toml:24: sources.c.destination: no destination is named "other"; choose from main
    leadgate.toml:26: sources.d.preset: this key is missing; write preset = "web-form", or the preset of the form's platform
    leadgate.toml:26: sources.d.destination: this key is missing; name the destination that its leads go to
    "#);
}

#[test]
fn a_secret_that_cannot_be_had_is_a_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, content: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, content).expect("a file");
        file.display().to_string()
    };
    let text = format!(
        r#"
[admin]
token = {{ env = "NOT_SET" }}
[store]
secret = 5
[destinations.main]
domain = "d"
token = {{ env = "EMPTY" }}
lead = {{ service_id = 1 }}
[sources.a]
preset = "web-form"
destination = "main"
[sources.a.secrets]
secret = {{ file = "/nowhere/at/all" }}
token = [
  {{ file = {:?} }},
  {{ file = {:?} }},
  {{ file = {:?} }},
  {{ env = "A", file = "b" }},
  {{ path = "x" }},
  "",
]
"#,
        write("empty", b"\n"),
        write("latin", b"caf\xe9"),
        write("long", &vec![b'x'; 64 * 1024 + 1]),
    );
    let said =
        faults(&text, &[("EMPTY", "")]).replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(said, @r#"
    leadgate.toml:3: admin.token: the environment variable "NOT_SET" is not set; set it where the gateway is started
    leadgate.toml:5: store.secret: expected a secret, found a whole number; expected { env = "NAME" }, { file = "PATH" } or a text
    leadgate.toml:8: destinations.main.token: the secret is empty; give it a value, or leave the key out
    leadgate.toml:14: sources.a.secrets.secret: the secret's file "/nowhere/at/all" cannot be read: No such file or directory (os error 2); put it there, and let the gateway's user read it
    leadgate.toml:16: sources.a.secrets.token[0]: the secret is empty; give it a value, or leave the key out
    leadgate.toml:17: sources.a.secrets.token[1]: the secret's file "FOLDER/latin" cannot be read: stream did not contain valid UTF-8; put it there, and let the gateway's user read it
    leadgate.toml:18: sources.a.secrets.token[2]: the secret's file "FOLDER/long" cannot be read: it is longer than 65536 bytes; put it there, and let the gateway's user read it
    leadgate.toml:19: sources.a.secrets.token[3]: both a variable and a file are named; expected { env = "NAME" }, { file = "PATH" } or a text
    leadgate.toml:20: sources.a.secrets.token[4].path: there is no such key; the keys here are env, file
    leadgate.toml:20: sources.a.secrets.token[4]: it is not said where this secret is; expected { env = "NAME" }, { file = "PATH" } or a text
    leadgate.toml:21: sources.a.secrets.token[5]: the secret is empty; give it a value, or leave the key out
    "#);
}

#[test]
fn a_store_that_cannot_be_is_a_fault() {
    for (url, problem) in [
        ("postgres://user:password@h", "this is no store"),
        ("data/leadgate.db", "this is no store"),
        ("sqlite:", "the database's path is missing"),
        ("sqlite::memory:", "a database in memory loses its leads"),
        ("sqlite://data/leadgate.db", "the path follows the colon, without two slashes"),
        ("redis://", "the host is missing"),
        ("redis://h:password", "this is no Redis address"),
        ("redis://h/zero", "the database is no number"),
        ("redis-cluster://a:1,,b:2", "one of the hosts is no HOST:PORT"),
        ("redis-cluster:a:1", "two slashes are missing"),
        ("redis-sentinel://a:1,b:2", "the service that the sentinels watch is missing"),
    ] {
        let said = faults(&format!("[store]\nurl = {url:?}\n{SMALL}"), &[]);
        assert!(said.starts_with(&format!("leadgate.toml:2: store.url: {problem};")), "{said}");
        assert!(!said.contains("password"), "{said}");
    }
}

#[test]
fn listeners_share_no_port() {
    let text = format!("[server]\nadmin_listen = \"127.0.0.1:8080\"\n{SMALL}");
    insta::assert_snapshot!(faults(&text, &[]), @r#"leadgate.toml:1: server.admin_listen: this is the public listener's address too; give each listener a port of its own"#);
}

#[test]
fn a_text_that_is_no_toml_is_a_fault_with_line_and_column() {
    let text =
        "[server]\nlisten = 127.0.0.1:8080\n[log]\nlevel = \"info\nlevel = \"x\"\n[log]\n[admin\n";
    insta::assert_snapshot!(faults(text, &[]), @r#"
    leadgate.toml:2:15: this is no TOML: invalid float, expected nothing; is it a text? Then put it in quotes
    leadgate.toml:4:14: this is no TOML: invalid basic string, expected `"`
    leadgate.toml:5:1: this is no TOML: duplicate key
    leadgate.toml:6:2: this is no TOML: duplicate key
    leadgate.toml:7:7: this is no TOML: unclosed table, expected `]`
    "#);
}

#[test]
fn a_file_that_is_not_there_or_too_long_is_a_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leadgate.toml");
    let environment = MapEnvironment::default();
    let said = |file: &Path| {
        let faults = load(file, &environment, &PRESETS).expect_err("a fault").to_string();
        faults.replace(&folder.path().display().to_string(), "FOLDER")
    };
    insta::assert_snapshot!(said(&file), @r#"FOLDER/leadgate.toml: this file cannot be read: No such file or directory (os error 2); name another with --config or LEADGATE_CONFIG"#);
    std::fs::write(&file, "#".repeat(1024 * 1024 + 1)).expect("a file");
    insta::assert_snapshot!(said(&file), @r#"FOLDER/leadgate.toml: this file cannot be read: it is longer than 1048576 bytes; name another with --config or LEADGATE_CONFIG"#);
    std::fs::write(&file, SMALL).expect("a file");
    assert!(load(&file, &environment, &PRESETS).is_ok());
}

#[test]
fn depth_is_bounded() {
    for deep in [
        format!("{}a = 1", "a.".repeat(200_000)),
        format!("[{}a]", "a.".repeat(200_000)),
        format!("a = {}", "[".repeat(200_000)),
        format!("a = {}", "{ a = ".repeat(100_000)),
        format!("[destinations.x.lead]\nsubject = '{}'", "{{ (((".repeat(3000)),
    ] {
        assert!(read(&deep, &[]).is_err());
    }
    assert!(read(&"=\n".repeat(500_000), &[]).is_err());
    let variable = format!("LEADGATE__{}", ["A"; 20_000].join("__"));
    assert!(read(SMALL, &[(&variable, "x")]).is_err());
    assert!(read(SMALL, &[("LEADGATE__ADMIN__TOKEN__ENV", &"[".repeat(100_000))]).is_err());
}

proptest! {
    #![proptest_config(crate::normalise::laws())]

    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,200}", value in "(?s).{0,50}") {
        let _ = read(&text, &[("LEADGATE__DESTINATIONS__MAIN__TOKEN", &value), (&text, &value)]);
    }

    /// Nearer to a configuration than arbitrary text: pieces of one, in any order.
    #[test]
    fn no_shuffled_configuration_makes_it_panic(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("[sources.a]\n"), Just("[[sources]]\n"), Just("[sources.a.lead]\n"),
                Just("[destinations.main]\n"), Just("sources.a."), Just("preset = "),
                Just("\"web-form\"\n"), Just("custom_fields = [{ id = 1"), Just("}]\n"),
                Just("token = { env = "), Just("\"x\" }\n"), Just("lead"), Just(".b = "),
                Just("5\n"), Just("{{ x"), Just("'''"), Just("\"\"\""), Just("\u{feff}"),
                Just("\r\n"), Just("1979-05-27\n"), Just("-0x1\n"), Just("ừ"),
            ],
            0..30,
        )
    ) {
        let _ = read(&pieces.concat(), &[("LEADGATE__SOURCES__A__LEAD__SERVICE_ID", "1")]);
    }
}

#[test]
fn a_leads_address_has_its_id_in_its_path_and_is_not_repeated() {
    for (wrong, problem) in [
        (
            "https://crm.example.vn/leads",
            "this address has no {id}: every lead would have the same",
        ),
        ("javascript:alert({id})", "its scheme is neither http nor https"),
        (
            "https://a:secret-word@crm.example.vn/{id}",
            "this address holds a user name or a password",
        ),
        ("https://{id}.example.vn/", "the {id} stands in the host of this address"),
    ] {
        let text =
            SMALL.replace("token = \"t-1\"", &format!("token = \"t-1\"\nlead_url = \"{wrong}\""));
        let said = faults(&text, &[]);
        assert!(said.contains("leadgate.toml:5: destinations.main.lead_url: "), "{said}");
        assert!(said.contains(problem) && !said.contains("secret-word"), "{said}");
    }
}
