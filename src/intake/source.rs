//! One configured source, compiled: everything a post needs, looked up once.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::guard::SourceLimiter;
use crate::config::{self, Config, Invalid, NameOrder};
use crate::lead::{DestinationId, SourceId};
use crate::preset::{Preset, PresetError, Secrets, TOKEN};

/// A source, ready to receive.
pub struct Source {
    pub(super) id: SourceId,
    pub(super) destination: DestinationId,
    pub(super) preset: Preset,
    pub(super) invalid: Invalid,
    pub(super) tokens: Vec<SecretString>,
    pub(super) secrets: Secrets,
    /// How old a signature may be, in place of the preset's own.
    pub(super) max_age: Option<Duration>,
    pub(super) limiter: SourceLimiter,
    pub(super) honeypot: Option<String>,
    pub(super) cors_origins: Vec<String>,
    pub(super) thank_you_url: Option<Url>,
    pub(super) page_url: Option<Url>,
    pub(super) endpoint: Url,
    pub(super) region: String,
    pub(super) name_order: NameOrder,
}

/// Why a source cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Its preset cannot be used.
    #[error("preset: {0}")]
    Preset(#[from] PresetError),
    /// It has a secret that nothing would ever check: it is less closed than it looks.
    #[error("secrets.{name}: its preset asks for no such secret; it asks for {asked}")]
    UnaskedSecret {
        /// The secret's name.
        name: String,
        /// What the preset asks for.
        asked: String,
    },
    /// The gateway's own address cannot be written as a URL.
    #[error("server.public_url: {0}")]
    Endpoint(#[from] url::ParseError),
}

impl Source {
    /// Compiles `sources.{id}`.
    ///
    /// # Errors
    /// A preset that cannot be used.
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
        Ok(Self {
            id: id.clone(),
            destination: source.destination.clone(),
            invalid: source.invalid.unwrap_or(preset.invalid),
            preset,
            tokens: source.secrets.get(TOKEN).cloned().unwrap_or_default(),
            secrets: source.secrets.clone(),
            max_age: source.max_age,
            limiter: SourceLimiter::new(config.limits.per_source),
            honeypot: source.honeypot.clone(),
            cors_origins: source.cors_origins.clone(),
            thank_you_url: source.thank_you_url.clone(),
            page_url: source.page_url.clone(),
            endpoint: config.server.endpoint(id)?,
            region: config.phone.default_region.clone(),
            name_order: source.name_order,
        })
    }
}
