//! Whether two readings of a part say the same, secrets and all: what says the same is not built
//! anew. Each takes its part to pieces, so that a new key does not compile without a thought here.

use secrecy::{ExposeSecret, SecretString};

use super::challenge::Challenge;
use super::model::Destination;
use super::notify::SigningKey;

/// Between two texts of the operator's own: nobody else chooses one of them.
pub(super) fn same_secret(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

/// Whether two lists hold the same secrets in the same order.
pub fn same_secrets(one: &[SecretString], other: &[SecretString]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_secret(one, other))
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            base_url,
            fallback_url,
            domain,
            token,
            rate,
            max_in_flight,
            timeout,
            retry,
            breaker,
            lockout,
            marker,
            comment_author_id,
            lead_url: _, // the console's own
            lead,
        } = self;
        *base_url == other.base_url
            && *fallback_url == other.fallback_url
            && *domain == other.domain
            && same_secret(token, &other.token)
            && *rate == other.rate
            && *max_in_flight == other.max_in_flight
            && *timeout == other.timeout
            && *retry == other.retry
            && *breaker == other.breaker
            && *lockout == other.lockout
            && *marker == other.marker
            && *comment_author_id == other.comment_author_id
            && *lead == other.lead
    }
}

impl PartialEq for Challenge {
    fn eq(&self, other: &Self) -> bool {
        let Self { kind, secret, on_failure, min_score, verify_url, timeout } = self;
        *kind == other.kind
            && same_secret(secret, &other.secret)
            && *on_failure == other.on_failure
            && *min_score == other.min_score
            && *verify_url == other.verify_url
            && *timeout == other.timeout
    }
}

impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}
