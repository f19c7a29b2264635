//! What `[sources.X.challenge]` says, typed.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// `[sources.X.challenge]`: what tells a visitor's browser from a robot.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// Whose challenge it is.
    pub kind: ChallengeKind,
    /// The site's secret, which the verification is asked with.
    pub secret: SecretString,
    /// What becomes of a post while nobody can say whether its token is good.
    pub on_failure: OnFailure,
    /// From 0 to 1: a token of a lower score is refused, and one without a score. Without one
    /// scores say nothing.
    pub min_score: Option<f64>,
    /// Where tokens are verified, in place of the kind's own address.
    pub verify_url: Option<Url>,
    /// Of one verification: waiting for its turn, connection and answer together.
    pub timeout: Duration,
}

/// `sources.X.challenge.kind`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeKind {
    /// Cloudflare Turnstile.
    Turnstile,
    /// Google reCAPTCHA, version 2 or 3.
    Recaptcha,
}

/// `sources.X.challenge.on_failure`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It is taken.
    Open,
    /// 503; nothing is stored.
    Closed,
}
