//! Whether a visitor's browser has passed a challenge: Turnstile and reCAPTCHA give a form a token,
//! which is asked about once. It is in nothing that is kept.
//!
//! Sources: developers.cloudflare.com/turnstile/get-started/server-side-validation (a token has up to
//! 2048 characters, lives 300 s and is good once) and developers.google.com/recaptcha/docs/verify (two
//! minutes, once). Both answer 200 with `success` and `error-codes`.

mod known;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use url::Url;
use uuid::Uuid;

use self::known::Known;
use crate::config::{self, ChallengeKind, OnFailure};
use crate::http_client;
use crate::lead::{Clock, SourceId};

/// Verifications that are under way at once for one source; the next one waits for its turn, as long
/// as the timeout lets it.
const IN_FLIGHT_MAX: usize = 64;

/// A longer token is none: Turnstile's have up to 2048 characters, reCAPTCHA's somewhat more.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// An answer has a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What `error-codes` says of a question that nobody's token can be blamed for.
const NOT_THE_TOKEN: [&str; 4] =
    ["missing-input-secret", "invalid-input-secret", "bad-request", "internal-error"];

/// A source's challenge, ready to verify tokens.
pub struct Challenge {
    settings: config::Challenge,
    url: Url,
    turns: Semaphore,
    http: reqwest::Client,
    known: Known,
    /// What fails for one post fails for all; one line a second tells it as well as a thousand.
    failure_log: DefaultDirectRateLimiter,
}

/// Why a challenge cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// No client can be made.
    #[error(transparent)]
    Client(#[from] reqwest::Error),
    /// The kind's own address is none.
    #[error(transparent)]
    Address(#[from] url::ParseError),
}

/// What is known of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// It is good.
    Passed,
    /// There is none.
    Missing,
    /// It is not good, or not any more.
    Failed,
    /// Nobody could say, and the source takes the post then.
    Unchecked,
    /// Nobody could say, and the source does not take the post then.
    Unavailable,
}

/// The part of an answer that anything depends on.
#[derive(Deserialize)]
struct Answer {
    success: bool,
    #[serde(default)]
    score: Option<f64>,
    #[serde(default, rename = "error-codes")]
    error_codes: Vec<String>,
}

/// Why nobody can say whether a token is good. Never holds the token.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("it took too long")]
    TooSlow,
    #[error("it could not be asked: {0}")]
    Unreachable(reqwest::Error),
    #[error("it answered {0}")]
    Status(u16),
    #[error("its answer is none")]
    NoAnswer,
    #[error("it blames the question: {0}")]
    Refused(&'static str),
}

impl Challenge {
    /// A challenge as a source is configured with it.
    ///
    /// # Errors
    /// A client that cannot be made.
    pub fn new(settings: &config::Challenge) -> Result<Self, ChallengeError> {
        let url = settings.verify_url.clone().map_or_else(|| own_url(settings.kind), Ok)?;
        Ok(Self {
            settings: settings.clone(),
            url,
            turns: Semaphore::new(IN_FLIGHT_MAX),
            http: http_client::builder()?.build()?,
            known: Known::default(),
            failure_log: RateLimiter::direct(Quota::per_second(std::num::NonZeroU32::MIN)),
        })
    }

    /// Whether it is configured so.
    pub fn is_of(&self, settings: &config::Challenge) -> bool {
        self.settings == *settings
    }

    /// The form's field that holds the token.
    pub const fn field(&self) -> &'static str {
        match self.settings.kind {
            ChallengeKind::Turnstile => "cf-turnstile-response",
            ChallengeKind::Recaptcha => "g-recaptcha-response",
        }
    }

    /// The token in a post's documents.
    pub fn token(&self, documents: &[Value]) -> Option<String> {
        let found = documents.iter().filter_map(|document| document.get(self.field()));
        // A page with two widgets in one form sends two, of which one may be empty.
        let texts = found.flat_map(|value| match value {
            Value::Array(several) => several.iter().collect(),
            one => vec![one],
        });
        let mut tokens = texts.filter_map(Value::as_str).map(str::trim);
        tokens.find(|token| !token.is_empty()).map(str::to_owned)
    }

    /// Verifies the token of a post. A submission that has an id of its own may be sent again with the
    /// same token, which is good once: it passes again.
    pub async fn check(
        &self,
        source: &SourceId,
        token: Option<&str>,
        submission: Option<&str>,
        clock: &Clock,
    ) -> Checked {
        let Some(token) = token else { return Checked::Missing };
        if token.len() > TOKEN_BYTES_MAX {
            return Checked::Failed;
        }
        let same = submission.map(|id| same(source, token, id));
        if same.is_some_and(|same| self.known.holds(&same, clock.now())) {
            return Checked::Passed;
        }
        let asked = tokio::time::timeout(self.settings.timeout, self.ask(token, same)).await;
        match asked.unwrap_or(Err(Trouble::TooSlow)) {
            Ok(answer) if self.is_good(&answer) => {
                if let Some(same) = same {
                    self.known.remember(same, clock.now());
                }
                Checked::Passed
            }
            Ok(_) => Checked::Failed,
            Err(trouble) => self.without_an_answer(source, &trouble),
        }
    }

    fn without_an_answer(&self, source: &SourceId, trouble: &Trouble) -> Checked {
        let (checked, becomes) = match self.settings.on_failure {
            OnFailure::Open => (Checked::Unchecked, "taken"),
            OnFailure::Closed => (Checked::Unavailable, "refused"),
        };
        if self.failure_log.check().is_ok() {
            tracing::error!(%source, error = %trouble, posts = becomes, "a challenge could not be verified");
        }
        checked
    }

    fn is_good(&self, answer: &Answer) -> bool {
        let is_enough = |least| answer.score.is_some_and(|score| score >= least);
        answer.success && self.settings.min_score.is_none_or(is_enough)
    }

    async fn ask(&self, token: &str, same: Option<[u8; 32]>) -> Result<Answer, Trouble> {
        let _turn = self.turns.acquire().await.map_err(|_closed| Trouble::NoAnswer)?;
        let key = same.map(|hash| idempotency_key(&hash));
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("secret", self.settings.secret.expose_secret())
            .append_pair("response", token);
        if let (ChallengeKind::Turnstile, Some(key)) = (self.settings.kind, key) {
            form.append_pair("idempotency_key", &key.to_string());
        }
        let request = self.http.post(self.url.clone());
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let response = request.body(form.finish()).send().await;
        let response = response.map_err(|error| Trouble::Unreachable(error.without_url()))?;
        let status = response.status();
        let body = read(response).await?;
        let answer = serde_json::from_slice::<Answer>(&body);
        // Turnstile tells what is wrong with a question under 400 as well.
        let answer = match answer {
            Ok(answer) if status.is_success() || status.as_u16() == 400 => answer,
            _ if !status.is_success() => return Err(Trouble::Status(status.as_u16())),
            _ => return Err(Trouble::NoAnswer),
        };
        let blamed = NOT_THE_TOKEN
            .into_iter()
            .find(|code| answer.error_codes.iter().any(|told| told == code));
        match blamed {
            Some(code) if !answer.success => Err(Trouble::Refused(code)),
            _ => Ok(answer),
        }
    }
}

fn own_url(kind: ChallengeKind) -> Result<Url, url::ParseError> {
    Url::parse(match kind {
        ChallengeKind::Turnstile => "https://challenges.cloudflare.com/turnstile/v0/siteverify",
        ChallengeKind::Recaptcha => "https://www.google.com/recaptcha/api/siteverify",
    })
}

/// What one submission with one token is known by.
fn same(source: &SourceId, token: &str, submission: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [source.as_str(), submission, token] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// A UUID for Turnstile, which answers the same question under the same key as before.
fn idempotency_key(hash: &[u8; 32]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_broken| Trouble::NoAnswer)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Trouble::NoAnswer);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::SecretString;
    use serde_json::json;

    use super::*;

    fn challenge(kind: ChallengeKind, min_score: Option<f64>) -> Challenge {
        Challenge::new(&config::Challenge {
            kind,
            secret: SecretString::from("s"),
            on_failure: OnFailure::Open,
            min_score,
            verify_url: None,
            timeout: Duration::from_secs(3),
        })
        .unwrap()
    }

    #[test]
    fn the_token_is_found_in_whatever_a_form_sends() {
        let turnstile = challenge(ChallengeKind::Turnstile, None);
        let token = |document: Value| turnstile.token(&[document]);
        assert_eq!(token(json!({"cf-turnstile-response": " t "})).as_deref(), Some("t"));
        assert_eq!(token(json!({"cf-turnstile-response": ["", "t"]})).as_deref(), Some("t"));
        for none in [
            json!({}),
            json!([]),
            json!({"cf-turnstile-response": 7}),
            json!({"g-recaptcha-response": "t"}),
        ] {
            assert_eq!(token(none.clone()), None, "{none}");
        }
        let recaptcha = challenge(ChallengeKind::Recaptcha, None);
        assert_eq!(recaptcha.token(&[json!({"g-recaptcha-response": "t"})]).as_deref(), Some("t"));
    }

    #[test]
    fn a_score_counts_where_one_is_asked_for() {
        let answer = |text: &str| serde_json::from_str::<Answer>(text).unwrap();
        let any = challenge(ChallengeKind::Recaptcha, None);
        let strict = challenge(ChallengeKind::Recaptcha, Some(0.5));
        for (text, by_any, by_strict) in [
            (r#"{"success":true,"score":0.5,"action":"lead"}"#, true, true),
            (r#"{"success":true,"score":0.4}"#, true, false),
            (r#"{"success":true}"#, true, false),
            (r#"{"success":false,"score":0.9}"#, false, false),
        ] {
            let answer = answer(text);
            assert_eq!(
                (any.is_good(&answer), strict.is_good(&answer)),
                (by_any, by_strict),
                "{text}"
            );
        }
    }

    #[test]
    fn a_key_is_of_one_source_submission_and_token() {
        let id = |text: &str| text.parse::<SourceId>().unwrap();
        let key = |source: &str, token: &str, submission: &str| {
            idempotency_key(&same(&id(source), token, submission))
        };
        let one = key("website", "t", "s");
        assert_eq!(one, key("website", "t", "s"));
        assert_eq!(one.get_version_num(), 4);
        for other in [
            key("other", "t", "s"),
            key("website", "u", "s"),
            key("website", "t", "r"),
            key("website", "s", "t"),
        ] {
            assert_ne!(one, other);
        }
    }
}
