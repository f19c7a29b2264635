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
#[cfg(test)]
mod tests;
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
