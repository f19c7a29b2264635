//! What was learned of a platform by asking it: it outlives changes of the configuration.

use std::sync::Arc;

use super::EnrichError;
use super::gate::Gate;
use super::lookups::Lookups;
use super::refusals::Refusals;
use super::tokens::Tokens;
use crate::config::same_secrets;
use crate::preset::Enrich;
use crate::source::Source;

/// Of one source's platform.
pub(super) struct Experience {
    pub(super) gate: Gate,
    pub(super) tokens: Tokens,
    pub(super) lookups: Lookups,
    pub(super) refusals: Refusals,
}

impl Experience {
    /// What is known of `source`'s platform at the beginning: all that was known `before` where it
    /// is asked in the same way and with the same tokens, else what its gate knows of the platform.
    pub(super) fn of(
        source: &Source,
        enrich: &Enrich,
        before: Option<(&Source, &Arc<Self>)>,
    ) -> Result<Arc<Self>, EnrichError> {
        let before = before.filter(|(before, _)| {
            before.preset.enrich.as_ref() == Some(enrich) && before.api_base == source.api_base
        });
        let gate = match before {
            Some((before, experience)) if has_same_tokens(before, source, enrich) => {
                return Ok(Arc::clone(experience));
            }
            Some((_, experience)) => experience.gate.with_other_tokens(),
            None => Gate::new(enrich.per_second),
        };
        Ok(Arc::new(Self {
            gate,
            tokens: Tokens::new(&source.id, &enrich.secret, &source.secrets)?,
            lookups: Lookups::default(),
            refusals: Refusals::default(),
        }))
    }
}

fn has_same_tokens(one: &Source, other: &Source, enrich: &Enrich) -> bool {
    let of = |source: &Source| source.secrets.get(&enrich.secret).cloned().unwrap_or_default();
    same_secrets(&of(one), &of(other))
}
