//! Adds to a lead what a later submission of its person says.
//!
//! CareSoft's page can be read so that an update without a status goes back to the first one, so
//! the present status is read first and sent along; nothing else of the lead is touched. What is
//! read also tells whether an earlier attempt, whose answer was lost, has come through.

use super::super::verdict::Told;
use super::Lane;
use super::asking::{Asking, Ended};
use crate::caresoft::{Blame, LeadDetail, LeadUpdate, UpdateComment};
use crate::fail_point::{self, FailPoint};
use crate::lead::SubmissionId;

impl From<Ended> for Told {
    fn from(ended: Ended) -> Self {
        let Ended::Failed(failure) = ended else { return Self::Stopped };
        match failure.blame() {
            Blame::Pace | Blame::Configuration => Self::Stopped,
            Blame::Lead | Blame::Us => Self::Never(failure.to_string()),
            Blame::Upstream => Self::Perhaps(failure.to_string()),
        }
    }
}

impl Lane {
    /// One attempt to add `text` to the lead.
    pub(super) async fn comment(
        &self,
        asking: &mut Asking<'_>,
        id: SubmissionId,
        lead_id: u64,
        text: &str,
    ) -> Told {
        let lead = match self.present(asking, lead_id).await {
            Ok(lead) => lead,
            Err(ended) => return ended.into(),
        };
        fail_point::pass(FailPoint::DetailRead);
        let marker = super::super::compose::comment_marker(id);
        let is_it = |body: &str| body.contains(&marker) || body.trim() == text.trim();
        if lead.comments.iter().any(|comment| is_it(&comment.body)) {
            return Told::Yes("added_before");
        }
        let update = LeadUpdate {
            comment: Some(UpdateComment {
                body: text.to_owned(),
                is_public: false,
                author_id: self.comment_author_id,
            }),
            lead_status_id: lead.lead_status_id,
            ..LeadUpdate::default()
        };
        let (update, lead_id) = (&update, lead.id);
        match asking.ask(|client| async move { client.update_lead(lead_id, update).await }).await {
            Ok(_) => Told::Yes("added"),
            Err(ended) => ended.into(),
        }
    }

    /// The lead as it is now, or the one that it was merged into.
    async fn present(&self, asking: &mut Asking<'_>, lead_id: u64) -> Result<LeadDetail, Ended> {
        let lead = asking.ask(|client| async move { client.lead(lead_id).await }).await?;
        match lead.merge_to.filter(|other| *other != lead.id) {
            Some(other) => asking.ask(|client| async move { client.lead(other).await }).await,
            None => Ok(lead),
        }
    }
}
