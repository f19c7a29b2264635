//! How a platform speaks, as data: the handshake, the signature, the envelope, the names of its
//! fields, the answers that it understands. The built-in presets are files in `config/presets`;
//! an operator's own is a file of the same shape.
//!
//! Pure: no I/O but the reading of a preset's file, no clock, no web framework.

mod bag;
mod built_in;
mod consent;
mod digest;
mod enrich;
mod extract;
mod field;
mod file;
mod filter;
mod handshake;
mod heard;
mod items;
mod names;
mod path;
mod reply;
mod sample;
mod template;
mod verify;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use serde_json::Value;

use self::bag::Bags;
pub use self::built_in::{
    DEVELOPMENT_SECRET, Guide, built_in_guide, built_in_names, built_in_text, development_sources,
};
pub use self::digest::Algorithm;
pub use self::enrich::{Enrich, Fetch, Refused, Remedy};
pub use self::extract::Extracted;
pub use self::field::{FIELDS_MAX, TooMany, flatten};
use self::file::{
    AttributionSection, IdTemplate, LeadSection, PresetFile, Span, TestSection, UnusableWord,
};
use self::filter::Filter;
pub use self::handshake::{Answer, Handshake};
pub use self::heard::Heard;
use self::items::{Decode, FanOut};
pub use self::items::{Items, LACKING, Unusable};
use self::names::Names;
pub use self::names::{Meaning, Target};
pub use self::path::Path;
pub use self::reply::{Reply, Respond};
pub use self::sample::{FakePerson, Outgoing, Sample};
pub use self::template::Piece;
use self::template::Template;
pub use self::verify::{Secrets, Unsignable, Verify};
use crate::config::Invalid;

/// A preset is a few hundred lines; a longer file is read so far and is no TOML then.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// The secret that every source may have, whatever its preset.
pub const TOKEN: &str = "token";

/// Why a preset cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// Neither a built-in preset nor a file that can be read.
    #[error("{0:?} is no built-in preset, and no file that can be read: {1}")]
    Unreadable(String, io::Error),
    /// Not a preset: which line of it, and why.
    #[error("{0}: {1}")]
    Syntax(String, toml::de::Error),
    /// Its parts do not fit each other.
    #[error("{name}: line {line}: {problem}")]
    Fault {
        /// The preset.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and with which key.
        problem: String,
    },
    /// `[sources.X.fields]` names a field that is none of ours.
    #[error(
        "{0:?} is no field of a lead; there are name, first_name, last_name, phone, email, message, page_url and referrer"
    )]
    Field(String),
}

/// How one platform speaks, checked and ready to use.
#[derive(Debug, Clone)]
pub struct Preset {
    /// Its name.
    pub id: String,
    /// The platform's name.
    pub title: String,
    /// What happens to a submission without a usable identity, unless the source says otherwise.
    pub invalid: Invalid,
    /// The names of the secrets that a source may have, and what they are.
    pub secrets: BTreeMap<String, String>,
    /// Where a submission has no id, or one of its site's own counting: the same content within this
    /// is the same submission.
    pub same_within: Option<Duration>,
    /// What the platform asks before it posts.
    pub handshake: Handshake,
    /// How its posts are verified.
    pub verify: Verify,
    /// What it is answered.
    pub respond: Respond,
    /// How what it only gives a notice of is fetched.
    pub enrich: Option<Enrich>,
    /// Where the country of a phone without a country code is, when the lead is a test.
    pub test_region: Option<String>,
    /// A post as the platform makes it, to try a source with.
    pub sample: Option<Sample>,
    decode: Decode,
    fan_out: Option<FanOut>,
    need: Vec<Filter>,
    deletion: Option<Filter>,
    external_id: Option<Template>,
    meta: BTreeMap<String, Path>,
    bags: Bags,
    attribution: AttributionSection,
    test: TestSection,
    names: Names,
}

impl Preset {
    /// The preset that `preset = "…"` names, a built-in one or a file, with the names that an
    /// operator adds tried before its own.
    ///
    /// # Errors
    /// No such preset, a file that is none, or an added name for something that is no field of ours.
    pub fn load<'a>(
        name: &str,
        added: impl IntoIterator<Item = (&'a String, &'a Vec<String>)>,
    ) -> Result<Self, PresetError> {
        if let Some(text) = built_in_text(name) {
            return Self::parse(name, text, added);
        }
        let unreadable = |error| PresetError::Unreadable(name.to_owned(), error);
        let mut text = String::new();
        let file = File::open(name).map_err(unreadable)?;
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(name, &text, added)
    }

    /// A preset from its text; `name` is what faults are told of.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse<'a>(
        name: &str,
        text: &str,
        added: impl IntoIterator<Item = (&'a String, &'a Vec<String>)>,
    ) -> Result<Self, PresetError> {
        let file: PresetFile =
            toml::from_str(text).map_err(|error| PresetError::Syntax(name.to_owned(), error))?;
        if let Some((stands_there, problem)) = file.fault() {
            let is_it = |line: &str| stands_there.iter().any(|text| line.contains(text));
            let line = text.lines().position(is_it).map_or(1, |at| at + 1);
            return Err(PresetError::Fault { name: name.to_owned(), line, problem });
        }
        let names = Names::new(added, &file.map)?;
        let mut secrets = file.secrets;
        let any_secret = || "a secret of the source's own, sent with each post".to_owned();
        secrets.entry(TOKEN.to_owned()).or_insert_with(any_secret);
        let LeadSection { external_id, same_within, need, deletion, meta, unusable } = file.lead;
        Ok(Self {
            id: file.id,
            title: file.title,
            invalid: match unusable {
                UnusableWord::Reject => Invalid::Reject,
                UnusableWord::Quarantine => Invalid::Quarantine,
            },
            secrets,
            same_within: same_within.map(|Span(span)| span),
            handshake: file.handshake,
            verify: file.verify,
            respond: file.respond,
            enrich: file.enrich,
            test_region: file.test.phone_region.clone(),
            sample: file.sample,
            decode: file.decode,
            fan_out: file.fan_out,
            need,
            deletion,
            external_id: external_id.map(|IdTemplate(template)| template),
            meta,
            bags: file.bag,
            attribution: file.attribution,
            test: file.test,
            names,
        })
    }

    /// The elements of a decoded document. Where something is to be fetched, each is
    /// `{"notice": …}`, and what is fetched will stand beside.
    pub fn items(&self, document: Value) -> Items {
        let element = |element| match self.enrich {
            Some(_) => Enrich::wrapped(element),
            None => element,
        };
        self.decode.items(document, self.fan_out.as_ref(), element, &self.need)
    }

    /// Whether a post is passed over, and answered as taken, though nobody has signed it.
    pub fn passes_over_unsigned(&self, heard: &Heard<'_>) -> bool {
        heard.json().is_some_and(|document| self.decode.passes_over_unsigned(document))
    }

    /// Whether an element is the platform's word that a submission is to be erased.
    pub fn is_deletion(&self, element: &Value) -> bool {
        self.deletion.as_ref().is_some_and(|filter| filter.holds(element))
    }

    /// Whether its platform can ask for the erasure of a lead.
    pub fn erases(&self) -> bool {
        self.deletion.is_some()
    }

    /// Whether an element lacks what a lead of this platform has.
    pub fn lacks(&self, element: &Value) -> bool {
        !self.need.iter().all(|filter| filter.holds(element))
    }

    /// Whether an element only says that there is a lead, which is to be fetched.
    pub fn is_notice(&self, element: &Value) -> bool {
        self.enrich.as_ref().is_some_and(|enrich| enrich.lacks(element))
    }

    /// Whether a submission's id is one of the whole post, which may hold several.
    pub fn id_is_of_the_post(&self) -> bool {
        let pieces = self.external_id.iter().flat_map(Template::pieces);
        !pieces.into_iter().any(|piece| matches!(piece, Piece::Body(_)))
    }

    /// What the folded name of a field says of it.
    pub fn meaning(&self, folded: &str) -> Meaning {
        self.names.meaning(folded)
    }
}

#[cfg(test)]
mod tests {
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
        for name in built_in_names().into_iter().filter(|name| *name != "web-form") {
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
}
