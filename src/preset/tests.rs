//! Presets as wholes: the built-in ones, an operator's own, and what no document can do to them.

use proptest::prelude::*;
use serde_json::json;

use super::built_in::BUILT_IN;
use super::*;
use crate::normalise::fold::fold;

fn web_form() -> Preset {
    Preset::load("web-form", []).unwrap()
}

#[test]
fn every_built_in_preset_is_one_and_has_its_names_folded() {
    for (name, text, _) in BUILT_IN {
        let preset = Preset::load(name, []).unwrap();
        assert_eq!(preset.id, *name);
        let file: PresetFile = toml::from_str(text).unwrap();
        for written in file.map.values().flatten().filter(|name| !name.starts_with('@')) {
            assert_eq!(&fold(written), written, "{name}");
        }
    }
}

#[test]
fn names_are_matched_after_folding() {
    let preset = web_form();
    for (label, expected) in [
        ("name", Target::Name),
        ("Họ và tên", Target::Name),
        ("HO_TEN", Target::Name),
        ("hoTen", Target::Name),
        ("Full Name", Target::Name),
        ("your-name", Target::Name),
        ("Số điện thoại", Target::Phone),
        ("Điện thoại", Target::Phone),
        ("SĐT", Target::Phone),
        ("ĐTDĐ", Target::Phone),
        ("mobile", Target::Phone),
        ("Gmail", Target::Email),
        ("E-mail", Target::Email),
        ("Lời nhắn", Target::Message),
        ("pageUrl", Target::PageUrl),
    ] {
        let meaning = preset.meaning(&fold(label));
        assert!(
            matches!(meaning, Meaning::Field(target, _) if target == expected),
            "{label}: {meaning:?}"
        );
    }
    assert_eq!(preset.meaning("utm_source"), Meaning::Utm);
    assert_eq!(preset.meaning("gclid"), Meaning::ClickId);
    assert_eq!(preset.meaning("dich_vu"), Meaning::Answer);
    for dropped in
        ["g-recaptcha-response", "_wpnonce", "csrf", "OTP", "_fluentform_15_fluentformnonce"]
    {
        assert_eq!(preset.meaning(&fold(dropped)), Meaning::Dropped, "{dropped}");
    }
}

#[test]
fn a_preset_may_be_a_file_of_the_operators_own() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("mine.toml");
    let text = "schema = 1\nid = \"mine\"\ntitle = \"Mine\"\n[map]\nphone = [\"gọi\"]\n\
                [lead]\nunusable = \"quarantine\"\n";
    std::fs::write(&file, text).unwrap();
    let preset = Preset::load(file.to_str().unwrap(), []).unwrap();
    assert_eq!(preset.meaning("goi"), Meaning::Field(Target::Phone, 0));
    assert_eq!(preset.invalid, Invalid::Quarantine);
    std::fs::write(&file, text.replace("schema = 1", "schema = 2")).unwrap();
    let error = Preset::load(file.to_str().unwrap(), []).unwrap_err().to_string();
    assert!(error.contains("expected schema = 1") && error.contains("line 1"), "{error}");
    assert!(matches!(Preset::load("no-such", []), Err(PresetError::Unreadable(..))));
}

#[test]
fn an_operators_names_come_first() {
    let (key, names) = ("phone".to_owned(), vec!["Liên hệ".to_owned(), "phone".to_owned()]);
    let preset = Preset::load("web-form", [(&key, &names)]).unwrap();
    assert_eq!(preset.meaning("lien_he"), Meaning::Field(Target::Phone, 0));
    assert_eq!(preset.meaning("phone"), Meaning::Field(Target::Phone, 1));
    let (wrong, names) = ("phonee".to_owned(), vec![]);
    assert!(matches!(Preset::load("web-form", [(&wrong, &names)]), Err(PresetError::Field(_))));
}

#[test]
fn a_mistake_is_named_with_its_line() {
    let head = "schema = 1\nid = \"mine\"\ntitle = \"Mine\"\n";
    for (text, line, word) in [
        (
            "[[verify.hmac]]\nsecret = \"s\"\nmessage = \"{raw}\"\nheader = \"h\"",
            "line 6",
            "{raw_body}",
        ),
        (
            "[[verify.hmac]]\nsecret = \"s\"\nmessage = \"{raw_body}\"\nheader = \"h\"",
            "line 5",
            "declares no \"s\"",
        ),
        (
            "[secrets]\ns = \"\"\n[[verify.hmac]]\nsecret = \"s\"\nmessage = \"{method}\"\nheader = \"h\"",
            "line 9",
            "nothing of the body",
        ),
        (
            "[secrets]\ns = \"\"\n[[verify.hash]]\nsecret = \"s\"\nmessage = \"{raw_body}\"\nheader = \"h\"",
            "line 9",
            "anybody's",
        ),
        ("[[bag.flat]]\nobjct = \"x\"", "line 5", "objct"),
        ("[lead]\nexternal_id = \"a..b\"", "line 5", "a step is empty"),
        ("[map]\nfone = [\"x\"]", "line 5", "fone"),
        ("[respond]\nok = { status = 404 }\navoid = [404]", "line 5", "404"),
        ("[respond]\navoid = [401]", "line 5", "respond.denied"),
        ("[sample]\nbody = \"${nobody}\"", "line 5", "${subscriber}"),
        (
            "[secrets]\ns = \"s\"\n[enrich]\nsecret = \"s\"\n[[enrich.fetch]]\nname = \"lead\"\n\
             url = \"https://api.example/{body:form.id}\"",
            "line 10",
            "not there yet",
        ),
        (
            "[secrets]\ns = \"s\"\n[lead]\ndeletion = { path = \"lead.gone\", eq = true }\n\
             [enrich]\nsecret = \"s\"\n[[enrich.fetch]]\nname = \"lead\"\n\
             url = \"https://api.example/{body:notice.id}\"",
            "line 7",
            "begins with notice.",
        ),
        (
            "[enrich]\nsecret = \"s\"\n[[enrich.fetch]]\nname = \"lead\"\n\
             url = \"https://api.example/{body:notice.id}\"",
            "line 5",
            "declares no \"s\"",
        ),
        (
            "[handshake.unsigned_probe]\nbody = \"{\"\nrespond = { status = 200 }",
            "line 5",
            "no JSON",
        ),
    ] {
        let error = Preset::parse("mine.toml", &format!("{head}{text}"), []).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("mine.toml: "), "{error}");
        assert!(error.contains(line) && error.contains(word), "{text}\n{error}");
    }
}

#[test]
fn every_preset_has_a_source_that_runs_without_a_configuration() {
    let sandbox = url::Url::parse("http://127.0.0.1:8082/").unwrap();
    let text = development_sources("sandbox", &sandbox);
    for name in built_in_names() {
        assert!(text.contains(&format!("preset = \"{name}\"")), "{name}");
    }
    let parsed: toml::Table = toml::from_str(&text).unwrap();
    let sources = parsed["sources"].as_table().unwrap();
    for (name, source) in sources {
        let secrets = source["secrets"].as_table().unwrap();
        let is_published = |secret: &toml::Value| secret.as_str() == Some(DEVELOPMENT_SECRET);
        assert!(!secrets.is_empty() && secrets.values().all(is_published), "{name}");
        // With a published secret nobody's platform is asked.
        let fetches = Preset::load(name, []).unwrap().enrich.is_some();
        let base = source.get("api_base").and_then(toml::Value::as_str);
        assert_eq!(base, fetches.then_some("http://127.0.0.1:8082/"), "{name}");
    }
}

proptest! {
    #![proptest_config(crate::normalise::laws())]

    /// Whatever an authentic post holds, no preset panics, and each of its documents is a lead,
    /// unusable, or passed over.
    #[test]
    fn no_document_panics_or_vanishes(
        document in any_json(),
        names in prop::collection::vec(prop::sample::select(vec![
            "entry", "changes", "user_column_data", "data", "fields", "form_response", "answers",
            "payload", "info", "object", "value", "type", "event", "json", "entries", "[x]", "a[b]",
            "leadgen_id", "field_data", "custom_disclaimer_responses", "formResponse", "content",
            "questions", "hiddenFields", "leadGenFormResponse", "values",
        ]), 0..4),
        fetched in any_json(),
    ) {
        let document = names.iter().fold(document, |inner, name| json!({ *name: inner }));
        for (name, ..) in BUILT_IN {
            let preset = &PRESETS[name];
            let items = preset.items(document.clone());
            let count = items.leads.len() + items.unusable.len() + items.ignored;
            prop_assert!(count > 0, "{name}: {document}");
            for item in items.leads {
                prop_assert!(preset.extract(item, Some("website")).is_ok());
            }
            let Some(enrich) = &preset.enrich else { continue };
            // Whatever stands beside a notice, it is one still, or a lead is made of it.
            let mut element = Enrich::wrapped(document.clone());
            for (place, fetch) in enrich.fetch.iter().enumerate() {
                let _ = fetch.address(&element, None);
                let found = if place == 0 { &document } else { &fetched };
                element[&fetch.name] = found.clone();
            }
            let _ = enrich.refused(400, &fetched);
            let _ = preset.external_id(&element, &|_| None);
            prop_assert_eq!(
                preset.is_notice(&element),
                !enrich.fetch.iter().all(|fetch| element[&fetch.name].is_object())
            );
            prop_assert!(preset.is_deletion(&element) || preset.extract(element, None).is_ok());
        }
    }
}

static PRESETS: std::sync::LazyLock<BTreeMap<&str, Preset>> = std::sync::LazyLock::new(|| {
    BUILT_IN.iter().map(|(name, ..)| (*name, Preset::load(name, []).unwrap())).collect()
});

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        ".{0,12}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-z_.\\[\\]]{0,8}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}
