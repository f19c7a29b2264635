//! A source as the public meets it: who may come in, how often, and where a browser is sent on to.

use std::sync::Arc;

use url::Url;

use super::challenge::{Challenge, ChallengeError};
use super::guard::SourceLimiter;
use crate::config;
use crate::source::Source;

/// The way into one source.
pub(super) struct Door {
    pub(super) source: Arc<Source>,
    pub(super) limiter: Arc<SourceLimiter>,
    pub(super) cors_origins: Vec<String>,
    pub(super) thank_you_url: Option<Url>,
    /// What a visitor's browser has to pass.
    pub(super) challenge: Option<Arc<Challenge>>,
}

impl Door {
    /// The way into `source`, which is compiled of `settings`, with the challenge of the door
    /// `before` it where that is the same.
    ///
    /// # Errors
    /// A challenge that cannot be made ready.
    pub(super) fn new(
        source: Arc<Source>,
        settings: &config::Source,
        limiter: Arc<SourceLimiter>,
        before: Option<&Self>,
    ) -> Result<Self, ChallengeError> {
        let kept = before.and_then(|before| before.challenge.as_ref());
        let challenge = settings.challenge.as_ref().map(|wanted| match kept {
            Some(kept) if kept.is_of(wanted) => Ok(Arc::clone(kept)),
            _ => Challenge::new(wanted).map(Arc::new),
        });
        Ok(Self {
            source,
            limiter,
            cors_origins: settings.cors_origins.clone(),
            thank_you_url: settings.thank_you_url.clone(),
            challenge: challenge.transpose()?,
        })
    }
}
