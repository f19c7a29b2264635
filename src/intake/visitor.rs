//! What a post says of the visitor who sent it rather than of the lead: it is in nothing that is kept.

use serde_json::Value;

use super::answer::Refusal;
use super::challenge::Checked;
use super::door::Door;
use super::{Intake, amp};
use crate::problem::FieldError;
use crate::store::Admission;

/// What a post says of its visitor.
pub(super) struct Visitor {
    /// A form that is not sent yet only wants its values looked at.
    pub(super) only_asks: bool,
    /// The token of the source's challenge.
    token: Option<String>,
}

impl Visitor {
    /// Reads it out of a post's address and documents.
    pub(super) fn of(door: &Door, query: &str, documents: &[Value]) -> Self {
        Self {
            only_asks: amp::only_verifies(query, documents),
            token: door.challenge.as_ref().and_then(|challenge| challenge.token(documents)),
        }
    }

    /// Whether the source's challenge, if it has one, was passed. What is not to be stored needs none:
    /// a token that is asked about is used up.
    ///
    /// # Errors
    /// 422 where it was not, 503 where nobody can say and the source does not take the post then.
    pub(super) async fn check(
        &self,
        intake: &Intake,
        door: &Door,
        admissions: &[Admission],
    ) -> Result<(), Refusal> {
        let Some(challenge) = door.challenge.as_ref().filter(|_| !admissions.is_empty()) else {
            return Ok(());
        };
        // What the store will know again. Of several, one could be known and the others new.
        let submission = match admissions {
            [only] => only.idempotency.as_ref().map(|idempotency| &*idempotency.key),
            _ => None,
        };
        let token = self.token.as_deref();
        let failed = |code, message: &str| {
            let (field, message) = (challenge.field().into(), message.to_owned());
            Err(Refusal::Challenge(FieldError { field, code, message }))
        };
        match challenge.check(&door.source.id, token, submission, &intake.shared.clock).await {
            Checked::Passed => Ok(()),
            Checked::Missing => failed("missing", "the challenge's token is missing"),
            Checked::Failed => {
                failed("not_passed", "the challenge was not passed, or too long ago, or is used up")
            }
            Checked::Unchecked => {
                intake.shared.metrics.submission(&door.source.id, "unchecked");
                Ok(())
            }
            Checked::Unavailable => Err(Refusal::Unverified),
        }
    }
}
