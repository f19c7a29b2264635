//! The shape of a preset's file. What a part can say for itself is checked as it is read, so that a
//! mistake is told with its line; [`PresetFile::fault`] says what no part shows alone.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::Target;
use super::bag::Bags;
use super::enrich::{Enrich, NOTICE};
use super::filter::Filter;
use super::handshake::Handshake;
use super::items::{Decode, FanOut};
use super::path::Path;
use super::reply::Respond;
use super::sample::Sample;
use super::template::Template;
use super::verify::Verify;
use crate::lead::Malformed;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PresetFile {
    #[serde(rename = "schema")]
    _schema: SchemaVersion,
    pub(super) id: String,
    pub(super) title: String,
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) handshake: Handshake,
    #[serde(default)]
    pub(super) verify: Verify,
    #[serde(default)]
    pub(super) decode: Decode,
    #[serde(default)]
    pub(super) fan_out: Option<FanOut>,
    #[serde(default)]
    pub(super) lead: LeadSection,
    #[serde(default)]
    pub(super) enrich: Option<Enrich>,
    #[serde(default)]
    pub(super) bag: Bags,
    #[serde(default)]
    pub(super) map: BTreeMap<Target, Vec<String>>,
    #[serde(default)]
    pub(super) attribution: AttributionSection,
    #[serde(default)]
    pub(super) test: TestSection,
    #[serde(default)]
    pub(super) respond: Respond,
    #[serde(default)]
    pub(super) sample: Option<Sample>,
}

impl PresetFile {
    /// A fault that no part shows by itself: a text on its line, which may be any of these, and what
    /// it is.
    pub(super) fn fault(&self) -> Option<(Vec<String>, String)> {
        let named = self.verify.secrets().chain(self.verify.mentioned());
        let named = named.chain(self.handshake.secrets());
        let mut named = named.chain(self.enrich.iter().map(|enrich| enrich.secret.as_str()));
        if let Some(name) = named.find(|name| !self.secrets.contains_key(*name)) {
            let texts = vec![format!("\"{name}\""), format!("'{name}'"), format!(":{name}}}")];
            return Some((texts, format!("[secrets] declares no {name:?}")));
        }
        if let Some(fault) = self.enrich.as_ref().and_then(Enrich::fault) {
            return Some(fault);
        }
        // What is fetched is a lead: only what the platform has signed may say otherwise.
        let of_notice = |filter: &Filter| filter.root() == Some(NOTICE);
        if self.enrich.is_some() && !self.lead.deletion.as_ref().is_none_or(of_notice) {
            let problem = "lead.deletion: where leads are fetched, its path begins with notice.";
            return Some((vec!["deletion".to_owned()], problem.to_owned()));
        }
        if let Some((header, why)) = self.verify.worthless() {
            let texts = vec![format!("\"{header}\""), format!("'{header}'")];
            return Some((texts, format!("the signature in {header} proves nothing: {why}")));
        }
        let replies = self.respond.replies().chain(self.handshake.replies());
        let mut statuses = replies.map(|reply| reply.status);
        if let Some(status) = statuses.find(|status| self.respond.avoid.contains(status)) {
            let problem = format!("respond.avoid names {status}, and an answer has it");
            return Some((vec![status.to_string()], problem));
        }
        if let Some((status, outcome)) = self.respond.unanswered() {
            let problem = format!("respond.avoid names {status}: say what respond.{outcome} is");
            return Some((vec![status.to_string()], problem));
        }
        None
    }
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

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LeadSection {
    /// The platform's own id of a submission: a path, or a template.
    #[serde(default)]
    pub(super) external_id: Option<IdTemplate>,
    /// Where there is none, or one of the site's own counting: the same content within this is the
    /// same submission.
    #[serde(default)]
    pub(super) same_within: Option<Span>,
    /// What must hold of an event, or no lead can be made of it.
    #[serde(default)]
    pub(super) need: Vec<Filter>,
    /// What holds of an event that asks to erase the submission of its external id.
    #[serde(default)]
    pub(super) deletion: Option<Filter>,
    /// What is kept beside the form's fields, as an answer of that label.
    #[serde(default)]
    pub(super) meta: BTreeMap<String, Path>,
    /// What becomes of an authentic post that no lead can be made of.
    #[serde(default)]
    pub(super) unusable: UnusableWord,
}

/// A length of time: `10m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Span(pub(super) Duration);

impl TryFrom<String> for Span {
    type Error = humantime::DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        humantime::parse_duration(&text).map(Self)
    }
}

/// A template; a text without braces is a path in the element.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct IdTemplate(pub(super) Template);

impl TryFrom<String> for IdTemplate {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        let template = if text.contains('{') { text } else { format!("{{body:{text}}}") };
        Template::parse(&template).map(Self)
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttributionSection {
    /// `utm_*` values, by their names without `utm_`.
    #[serde(default)]
    pub(super) utm: BTreeMap<String, Path>,
    #[serde(default)]
    pub(super) click_ids: BTreeMap<String, Path>,
    #[serde(default)]
    pub(super) page_url: Option<Path>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestSection {
    /// A lead is a test when one of these holds.
    #[serde(default)]
    pub(super) any: Vec<Filter>,
    /// A value that begins so says nothing.
    #[serde(default)]
    pub(super) void: Vec<String>,
    /// The region of a test's phone number.
    #[serde(default)]
    pub(super) phone_region: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum UnusableWord {
    Reject,
    #[default]
    Quarantine,
}
