//! The declarative description of a platform. The built-in ones are data, in `config/presets`.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};

use serde::Deserialize;

use crate::config::Invalid;
use crate::lead::Malformed;
use crate::normalise::fold::fold;

/// The presets that are compiled in: name and text.
const BUILT_IN: [(&str, &str); 1] =
    [("web-form", include_str!("../../config/presets/web-form.toml"))];

/// A preset is a few hundred lines; a longer file is read so far and is no TOML then.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// The names that `preset = "…"` may say without being a path.
pub fn built_in_names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|(name, _)| *name).collect()
}

/// Which of our fields a payload's field feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// The whole name.
    Name,
    /// The given name.
    FirstName,
    /// The family name.
    LastName,
    /// A phone number.
    Phone,
    /// An e-mail address.
    Email,
    /// What the person wrote.
    Message,
    /// The page that held the form.
    PageUrl,
    /// The page before it.
    Referrer,
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 8] = [
        Self::Name,
        Self::FirstName,
        Self::LastName,
        Self::Phone,
        Self::Email,
        Self::Message,
        Self::PageUrl,
        Self::Referrer,
    ];

    /// The name that presets and `[sources.X.fields]` use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Message => "message",
            Self::PageUrl => "page_url",
            Self::Referrer => "referrer",
        }
    }

    fn parse(name: &str) -> Result<Self, PresetError> {
        Self::ALL
            .into_iter()
            .find(|target| target.as_str() == name)
            .ok_or_else(|| PresetError::Field(name.to_owned()))
    }
}

/// Why a preset cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// Neither a built-in preset nor a file that can be read.
    #[error("{0:?} is no built-in preset, and no file that can be read: {1}")]
    Unreadable(String, io::Error),
    /// Not a preset.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// `[map]` or `[sources.X.fields]` names a field that is none of ours.
    #[error(
        "{0:?} is no field of a lead; there are name, first_name, last_name, phone, email, message, page_url and referrer"
    )]
    Field(String),
    /// A template that this version cannot fill.
    #[error("{0}")]
    Template(#[from] Malformed),
}

/// How one platform speaks, checked and ready to use.
#[derive(Debug, Clone)]
pub struct Preset {
    /// Which header carries the platform's own id of a submission.
    pub external_id_header: Option<String>,
    /// What happens to a submission without a usable identity, unless the source says otherwise.
    pub invalid: Invalid,
    /// The names of the secrets that it verifies with.
    pub secrets: Vec<String>,
    /// What the folded names say that it knows whole.
    names: HashMap<String, Meaning>,
    dropped_suffixes: Vec<String>,
}

/// What a field's name says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It feeds one of our fields; the lower rank is preferred.
    Field(Target, usize),
    /// A `utm_*` value.
    Utm,
    /// A click id.
    ClickId,
    /// A token, a nonce, a captcha's answer: never stored.
    Dropped,
    /// A question of the form's own.
    Answer,
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
        if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Self::parse(text, added);
        }
        let unreadable = |error| PresetError::Unreadable(name.to_owned(), error);
        let mut text = String::new();
        let file = File::open(name).map_err(unreadable)?;
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&text, added)
    }

    /// A preset from its text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse<'a>(
        text: &str,
        added: impl IntoIterator<Item = (&'a String, &'a Vec<String>)>,
    ) -> Result<Self, PresetError> {
        let file: PresetFile = toml::from_str(text)?;
        let mut names = HashMap::new();
        let mut rank = 0; // an operator's names come first, then the preset's in their order
        let mut add = |target: &str, spellings: &[String]| {
            let target = Target::parse(target)?;
            for name in spellings {
                names.entry(fold(name).into_owned()).or_insert(Meaning::Field(target, rank));
                rank += 1;
            }
            Ok::<_, PresetError>(())
        };
        for (target, spellings) in added {
            add(target, spellings)?;
        }
        for (target, spellings) in &file.map {
            add(target, spellings)?;
        }
        let click_ids = file.attribution.click_ids.into_iter().map(|name| (name, Meaning::ClickId));
        let dropped = file.drop.exact.into_iter().map(|name| (name, Meaning::Dropped));
        for (name, meaning) in click_ids.chain(dropped).filter(|(name, _)| !is_utm(name)) {
            names.entry(name).or_insert(meaning);
        }
        Ok(Self {
            external_id_header: file
                .lead
                .external_id
                .as_deref()
                .map(header_template)
                .transpose()?,
            invalid: match file.respond.invalid {
                InvalidWord::Reject => Invalid::Reject,
                InvalidWord::Quarantine => Invalid::Quarantine,
            },
            secrets: file.secrets.into_keys().collect(),
            names,
            dropped_suffixes: file.drop.suffix,
        })
    }

    /// What the folded name of a field says of it.
    pub fn meaning(&self, folded: &str) -> Meaning {
        if let Some(meaning) = self.names.get(folded) {
            return *meaning;
        }
        let ends_badly = || self.dropped_suffixes.iter().any(|end| folded.ends_with(end.as_str()));
        if is_utm(folded) {
            Meaning::Utm
        } else if ends_badly() {
            Meaning::Dropped
        } else {
            Meaning::Answer
        }
    }
}

fn is_utm(folded: &str) -> bool {
    folded.starts_with("utm_")
}

/// The header's name in `{header:NAME}`.
fn header_template(template: &str) -> Result<String, Malformed> {
    template
        .strip_prefix("{header:")
        .and_then(|rest| rest.strip_suffix('}'))
        .map(str::to_owned)
        .ok_or(Malformed("lead.external_id: expected {header:NAME}"))
}

// The file's shape.

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PresetFile {
    #[serde(rename = "schema")]
    _schema: SchemaVersion,
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "title")]
    _title: String,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    #[serde(default)]
    lead: LeadSection,
    #[serde(default)]
    map: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    attribution: AttributionSection,
    #[serde(default)]
    drop: DropSection,
    respond: RespondSection,
}

#[derive(Deserialize)]
#[serde(try_from = "u32")]
struct SchemaVersion;

impl TryFrom<u32> for SchemaVersion {
    type Error = &'static str;

    fn try_from(version: u32) -> Result<Self, Self::Error> {
        if version == 1 { Ok(Self) } else { Err("expected schema = 1") }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeadSection {
    external_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributionSection {
    #[serde(default)]
    click_ids: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DropSection {
    #[serde(default)]
    exact: Vec<String>,
    #[serde(default)]
    suffix: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RespondSection {
    invalid: InvalidWord,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum InvalidWord {
    Reject,
    Quarantine,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web_form() -> Preset {
        Preset::load("web-form", []).unwrap()
    }

    #[test]
    fn every_built_in_preset_parses_and_folds_to_itself() {
        for (name, text) in BUILT_IN {
            let file: PresetFile = toml::from_str(text).unwrap();
            assert_eq!(file._id, name);
            let mut seen = HashMap::new();
            for (target, names) in &file.map {
                for written in names {
                    assert_eq!(&fold(written), written, "{name}: [map] {target}");
                    let before = seen.insert(written, target);
                    assert_eq!(before, None, "{name}: {written} is named twice");
                }
            }
            assert!(Preset::load(name, []).is_ok());
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
                    [respond]\ninvalid = \"quarantine\"\n";
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
}
