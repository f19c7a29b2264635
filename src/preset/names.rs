//! What a field's name says of it, in whatever language and spelling a form has it.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;

use super::PresetError;
use crate::normalise::fold::fold;

/// What every preset goes by after its own names.
const TABLE: &str = include_str!("../../config/field-names.toml");

/// Which of our fields a payload's field feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// A consent, given or not.
    Consent,
    /// A question of the form's own.
    Answer,
}

/// The names that a source's forms go by.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// What the folded names say that are known whole.
    whole: HashMap<String, Meaning>,
    /// What the platform's types of fields say: `@phone_number`.
    types: HashMap<String, Meaning>,
    dropped_suffixes: &'static [String],
}

impl Names {
    /// An operator's names before the preset's before everybody's.
    pub(super) fn new<'a>(
        added: impl IntoIterator<Item = (&'a String, &'a Vec<String>)>,
        of_preset: &BTreeMap<Target, Vec<String>>,
    ) -> Result<Self, PresetError> {
        let mut names = Self {
            whole: HashMap::new(),
            types: HashMap::new(),
            dropped_suffixes: &EVERYBODYS.drop.suffix,
        };
        let mut rank = 0;
        for (target, spellings) in added {
            names.add(Target::parse(target)?, spellings, &mut rank);
        }
        for (target, spellings) in of_preset.iter().chain(&EVERYBODYS.map) {
            names.add(*target, spellings, &mut rank);
        }
        let click_ids = EVERYBODYS.click_ids.exact.iter().map(|name| (name, Meaning::ClickId));
        let dropped = EVERYBODYS.drop.exact.iter().map(|name| (name, Meaning::Dropped));
        let consents = EVERYBODYS.consent.exact.iter().map(|name| (name, Meaning::Consent));
        for (name, meaning) in
            click_ids.chain(dropped).chain(consents).filter(|(name, _)| !is_utm(name))
        {
            names.whole.entry(name.clone()).or_insert(meaning);
        }
        Ok(names)
    }

    fn add(&mut self, target: Target, spellings: &[String], rank: &mut usize) {
        for name in spellings {
            let meaning = Meaning::Field(target, *rank);
            match name.strip_prefix('@') {
                Some(kind) => self.types.entry(kind.to_owned()).or_insert(meaning),
                None => self.whole.entry(fold(name).into_owned()).or_insert(meaning),
            };
            *rank += 1;
        }
    }

    /// What the platform's type of a field says of it.
    pub(super) fn of_type(&self, kind: &str) -> Option<Meaning> {
        self.types.get(kind).copied()
    }

    /// What a form's tag says without the number at its end.
    fn numbered(&self, folded: &str) -> Option<Meaning> {
        let (stem, number) = folded.rsplit_once('_')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_tag = NUMBERED.contains(&stem) && is_number;
        self.whole.get(stem).copied().filter(|_| is_tag)
    }

    /// What the folded name of a field says of it.
    pub(super) fn meaning(&self, folded: &str) -> Meaning {
        if let Some(meaning) = self.whole.get(folded) {
            return *meaning;
        }
        if let Some(Meaning::Field(target, rank)) = self.numbered(folded) {
            return Meaning::Field(target, rank + NUMBERED_AFTER);
        }
        let ends_badly = || self.dropped_suffixes.iter().any(|end| folded.ends_with(end.as_str()));
        if is_utm(folded) {
            Meaning::Utm
        } else if ends_badly() {
            Meaning::Dropped
        } else if EVERYBODYS.consent.is_part_of(folded) {
            Meaning::Consent
        } else {
            Meaning::Answer
        }
    }
}

/// What Contact Form 7 makes names of by putting a number behind.
const NUMBERED: [&str; 2] = ["tel", "email"];

/// `tel_900` is a `tel`, if nothing is known by its whole name.
const NUMBERED_AFTER: usize = 5_000;

fn is_utm(folded: &str) -> bool {
    folded.starts_with("utm_")
}

/// The table, read once. It is compiled in, and a test reads it: it is never faulty.
static EVERYBODYS: LazyLock<Table> = LazyLock::new(|| toml::from_str(TABLE).unwrap_or_default());

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    map: BTreeMap<Target, Vec<String>>,
    click_ids: Exact,
    consent: Consents,
    drop: Dropped,
}

/// Names of consents, whole, and how others begin and end.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Consents {
    exact: Vec<String>,
    prefix: Vec<String>,
    suffix: Vec<String>,
}

impl Consents {
    fn is_part_of(&self, folded: &str) -> bool {
        self.prefix.iter().any(|begin| folded.starts_with(begin.as_str()))
            || self.suffix.iter().any(|end| folded.ends_with(end.as_str()))
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exact {
    exact: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dropped {
    exact: Vec<String>,
    suffix: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_and_folds_to_itself() {
        let table: Table = toml::from_str(TABLE).unwrap();
        assert_eq!(table.map.len(), Target::ALL.len());
        let mut seen = HashMap::new();
        for (target, names) in &table.map {
            for written in names {
                assert_eq!(&fold(written), written, "{target:?}");
                assert_eq!(seen.insert(written, target), None, "{written} is named twice");
            }
        }
    }
}
