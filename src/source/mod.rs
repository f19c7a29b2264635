//! One configured source, compiled: what it takes, and the one road from what a platform sends to
//! what is stored of it. Posts go it, what is fetched, what is mapped anew, and what is only tried.
//!
//! Knows no web framework and does no I/O.

pub mod decode;
mod reading;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

pub use self::reading::{Beside, Kept, Place, Unkept};
pub use self::stored::{Unmappable, element_body, element_of, post_body};
use crate::config::{self, Config, Invalid, NameOrder};
use crate::lead::{DestinationId, SourceId};
use crate::preset::{Preset, PresetError, Secrets, TOKEN};

/// Every source of a configuration, shared by the rooms that need them.
pub type Sources = BTreeMap<SourceId, Arc<Source>>;

/// A source, ready to be read from.
#[derive(Debug)]
pub struct Source {
    /// Its name.
    pub id: SourceId,
    /// Where its leads go.
    pub destination: DestinationId,
    /// How its platform speaks.
    pub preset: Preset,
    /// What becomes of a submission that nobody can be reached by.
    pub invalid: Invalid,
    /// What its posts may be accompanied by; an open source has none.
    pub tokens: Vec<SecretString>,
    /// Its secrets by name, the newest first.
    pub secrets: Secrets,
    /// How old a signature may be, in place of the preset's own.
    pub max_age: Option<Duration>,
    /// The field that a person leaves empty.
    pub honeypot: Option<String>,
    /// The base of `ref_url` when a submission names no page.
    pub page_url: Option<Url>,
    /// Its own public address.
    pub endpoint: Url,
    /// The host that is asked instead of the platform's own.
    pub api_base: Option<Url>,
    region: String,
    name_order: NameOrder,
}

/// Why a source cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Its preset cannot be used.
    #[error("{0}")]
    Preset(#[from] PresetError),
    /// It has a secret that nothing would ever check: it is less closed than it looks.
    #[error("its preset asks for no such secret; it asks for {asked}")]
    UnaskedSecret {
        /// The secret's name.
        name: String,
        /// What the preset asks for.
        asked: String,
    },
    /// A secret that no signature can be verified with.
    #[error("it is not written as the preset says: {written}")]
    UnreadableKey {
        /// The secret's name.
        name: String,
        /// How it is to be written.
        written: &'static str,
    },
    /// Its platform gives only notices, and nothing to fetch leads with is configured.
    #[error("leads are fetched with it, and it is not configured")]
    NoFetchSecret {
        /// The secret's name.
        name: String,
    },
    /// Anybody could make the gateway ask a platform, or erase a lead.
    #[error("a stranger's post would be taken, and could {deed}: configure {asked}")]
    Unguarded {
        /// What it could.
        deed: &'static str,
        /// The secrets that would close it, one of which is enough.
        asked: String,
    },
    /// The gateway's own address cannot be written as a URL.
    #[error("{0}")]
    Endpoint(#[from] url::ParseError),
}

impl SourceError {
    /// The key at fault, of the source that is `sources.{id}`.
    pub fn key(&self, id: &SourceId) -> String {
        match self {
            Self::Preset(_) => format!("sources.{id}.preset"),
            Self::UnaskedSecret { name, .. }
            | Self::UnreadableKey { name, .. }
            | Self::NoFetchSecret { name } => format!("sources.{id}.secrets.{name}"),
            Self::Unguarded { .. } => format!("sources.{id}.secrets"),
            Self::Endpoint(_) => "server.public_url".to_owned(),
        }
    }
}

impl Source {
    /// Compiles `sources.{id}`.
    ///
    /// # Errors
    /// A preset that cannot be used, a secret that it does not ask for, or none where a stranger's
    /// post would do more than add a lead.
    pub fn compile(
        id: &SourceId,
        source: &config::Source,
        config: &Config,
    ) -> Result<Self, SourceError> {
        let preset = Preset::load(&source.preset, &source.fields)?;
        if let Some(name) = source.secrets.keys().find(|name| !preset.secrets.contains_key(*name)) {
            let asked = preset.secrets.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(SourceError::UnaskedSecret { name: name.clone(), asked });
        }
        let is_there = |name: &str| source.secrets.get(name).is_some_and(|all| !all.is_empty());
        if let Some(enrich) = preset.enrich.as_ref().filter(|enrich| !is_there(&enrich.secret)) {
            return Err(SourceError::NoFetchSecret { name: enrich.secret.clone() });
        }
        let deed = match (&preset.enrich, preset.erases()) {
            (Some(_), _) => Some("make it fetch from the platform"),
            (None, true) => Some("erase a lead"),
            (None, false) => None,
        };
        let guards = || preset.verify.secrets().chain([TOKEN]);
        if let Some(deed) = deed.filter(|_| !guards().any(is_there)) {
            let asked = guards().collect::<Vec<_>>().join(" or ");
            return Err(SourceError::Unguarded { deed, asked });
        }
        if let Some((name, written)) = preset.verify.unreadable_key(&source.secrets) {
            return Err(SourceError::UnreadableKey { name: name.to_owned(), written });
        }
        Ok(Self::with_preset(preset, id, source, config)?)
    }

    /// `sources.{id}` as it were with this preset, whatever its own is.
    ///
    /// # Errors
    /// The gateway's own address cannot be written as a URL.
    pub fn with_preset(
        preset: Preset,
        id: &SourceId,
        source: &config::Source,
        config: &Config,
    ) -> Result<Self, url::ParseError> {
        Ok(Self {
            id: id.clone(),
            destination: source.destination.clone(),
            invalid: source.invalid.unwrap_or(preset.invalid),
            preset,
            tokens: source.secrets.get(TOKEN).cloned().unwrap_or_default(),
            secrets: source.secrets.clone(),
            max_age: source.max_age,
            honeypot: source.honeypot.clone(),
            page_url: source.page_url.clone(),
            endpoint: config.server.endpoint(id)?,
            api_base: source.api_base.clone(),
            region: config.phone.default_region.clone(),
            name_order: source.name_order,
        })
    }

    /// Every source of a configuration.
    ///
    /// # Errors
    /// The first that cannot be compiled.
    pub fn compile_all(config: &Config) -> Result<Sources, SourceError> {
        let compile = |(id, source): (&SourceId, &config::Source)| {
            Ok((id.clone(), Arc::new(Self::compile(id, source, config)?)))
        };
        config.sources.iter().map(compile).collect()
    }
}
