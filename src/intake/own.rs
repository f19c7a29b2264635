//! A post of this gateway's own making: a sample, to try a source with.

use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Bytes;

use super::Intake;
use super::answer::Refusal;
use super::head::Head;
use super::receive::{Taken, take_whole};
use crate::lead::{SourceId, SubmissionId};
use crate::preset::Outgoing;

impl Intake {
    /// Takes a post that this gateway made itself, by the road of every other: token, limit,
    /// signature, challenge. Answers its submissions; none where the source takes it and keeps
    /// nothing. `None`: there is no such source.
    ///
    /// # Errors
    /// Why it is not taken.
    pub async fn take_own(
        &self,
        source: &SourceId,
        post: Outgoing,
    ) -> Option<Result<Vec<SubmissionId>, Refusal>> {
        let door = self.doors.get(source.as_str())?;
        let query = post.query_string();
        let mut headers = HeaderMap::new();
        let content_type = (CONTENT_TYPE.as_str(), post.content_type.as_str());
        let others = post.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in others.chain([content_type]) {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                headers.insert(name, value);
            }
        }
        let head = Head { method: "POST", query: &query, headers: &headers };
        let trace = self.shared.traces.begin(source, None);
        let taken = match head.enter(door) {
            Ok(()) => take_whole(self, door, &trace, &head, &Bytes::from(post.body)).await,
            Err(refusal) => Err(refusal),
        };
        Some(match taken {
            Ok(Taken::Ids(ids)) => Ok(ids),
            Ok(Taken::Probe(_)) => Ok(Vec::new()),
            Err(refusal) => {
                self.shared.metrics.submission(source, refusal.word());
                Err(refusal)
            }
        })
    }
}
