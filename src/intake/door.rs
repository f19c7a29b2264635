//! A source as the public meets it: who may come in, how often, and where a browser is sent on to.

use std::sync::Arc;

use url::Url;

use super::challenge::{Challenge, ChallengeError};
use super::guard::SourceLimiter;
use crate::config::{self, Config};
use crate::source::Source;

/// The way into one source.
pub(super) struct Door {
    pub(super) source: Arc<Source>,
    pub(super) limiter: SourceLimiter,
    pub(super) cors_origins: Vec<String>,
    pub(super) thank_you_url: Option<Url>,
    /// What a visitor's browser has to pass.
    pub(super) challenge: Option<Challenge>,
}

impl Door {
    /// The way into `source`, which is compiled of `settings`.
    ///
    /// # Errors
    /// A challenge that cannot be made ready.
    pub(super) fn new(
        source: Arc<Source>,
        settings: &config::Source,
        config: &Config,
    ) -> Result<Self, ChallengeError> {
        Ok(Self {
            source,
            limiter: SourceLimiter::new(config.limits.per_source),
            cors_origins: settings.cors_origins.clone(),
            thank_you_url: settings.thank_you_url.clone(),
            challenge: settings.challenge.as_ref().map(Challenge::new).transpose()?,
        })
    }
}
