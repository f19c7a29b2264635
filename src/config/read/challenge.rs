//! `[sources.X.challenge]`

use std::ops::RangeInclusive;
use std::time::Duration;

use super::field::Field;
use super::secret;
use crate::config::challenge::{Challenge, ChallengeKind, OnFailure};

/// A visitor waits for it.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(30);

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(3);

/// The built-in preset whose posts come from visitors' browsers.
const OF_BROWSERS: &str = "web-form";

const KINDS: [(&str, ChallengeKind); 2] =
    [("turnstile", ChallengeKind::Turnstile), ("recaptcha", ChallengeKind::Recaptcha)];

/// None beside a fault. `preset` is the source's, and `is_own` whether it is a file of the
/// operator's.
pub(super) fn challenge(field: Field<'_>, preset: &str, is_own: bool) -> Option<Challenge> {
    if preset != OF_BROWSERS && !is_own && !preset.is_empty() {
        let problem = format!("the posts of {preset} come from its servers, and bear no token");
        field.fault(problem, "use it with web-form, or with a preset file of your own");
    }
    let mut section = field.section();
    let kind = section
        .require("kind", r#"write "turnstile" or "recaptcha""#)
        .and_then(|field| field.choice(&KINDS));
    let secret = section
        .require("secret", r#"write secret = { env = "TURNSTILE_SECRET" }"#)
        .map(secret::secret);
    let on_failure = section.read_or("on_failure", OnFailure::Open, |field| {
        field.choice(&[("open", OnFailure::Open), ("closed", OnFailure::Closed)])
    });
    let min_score = section.take("min_score").and_then(|field| min_score(field, kind));
    let verify_url = section.take("verify_url").and_then(Field::root_url);
    let timeout = section.read_or("timeout", TIMEOUT_DEFAULT, |field| field.duration(TIMEOUT));
    section.finish();
    Some(Challenge { kind: kind?, secret: secret?, on_failure, min_score, verify_url, timeout })
}

fn min_score(field: Field<'_>, kind: Option<ChallengeKind>) -> Option<f64> {
    if kind == Some(ChallengeKind::Turnstile) {
        field.fault("Turnstile gives no scores", "leave this key out");
    }
    field.fraction(0.0..=1.0)
}
