//! What was kept of a post, mapped anew: after a preset or the names of a source were mended.

use bytes::Bytes;
use serde_json::Value;

use super::Source;
use super::decode::{DecodeError, decode};
use super::reading::Kept;
use crate::lead::RawBody;
use crate::preset::LACKING;
use crate::store::Content;

/// The content type of one element by itself. A post has none like it: the parameter tells that
/// this was decoded and taken apart already.
const ELEMENT: &str = "application/json; leadgate=element";

/// Why what was kept cannot be mapped anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmappable {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
    /// A whole post, and one record.
    #[error("it holds {0} leads; replay cannot tell which")]
    Several(usize),
    /// There is no lead in it, or none that somebody could be reached by.
    #[error("{0}")]
    Unusable(String),
}

/// One element as a body of its own: of several in a post, or a notice, with what was fetched.
pub fn element_body(element: &Value) -> RawBody {
    RawBody { content_type: ELEMENT.to_owned(), bytes: element.to_string().into_bytes() }
}

/// A whole post as it came, with the content type that it said, if any.
pub fn post_body(content_type: Option<&str>, bytes: Vec<u8>) -> RawBody {
    // Whoever posts cannot say that it was taken apart.
    let content_type = content_type.filter(|said| *said != ELEMENT);
    RawBody { content_type: content_type.unwrap_or_default().to_owned(), bytes }
}

/// The element that a body is, made by [`element_body`]; `None` when it is something else.
pub fn element_of(raw: &RawBody) -> Option<Value> {
    (raw.content_type == ELEMENT).then(|| serde_json::from_slice(&raw.bytes).ok()).flatten()
}

impl Source {
    /// What was kept of a post, read as the source is now. Never [`Content::Quarantined`].
    ///
    /// # Errors
    /// No lead can be made of it, still.
    pub async fn read_stored(&self, raw: &RawBody) -> Result<Kept, Unmappable> {
        let kept = self.read_itself(self.stored_element(raw).await?);
        match kept.content {
            Content::Quarantined { reason, .. } => Err(Unmappable::Unusable(reason)),
            _ => Ok(kept),
        }
    }

    /// The one element of what was kept.
    async fn stored_element(&self, raw: &RawBody) -> Result<Value, Unmappable> {
        if let Some(element) = element_of(raw) {
            return match self.preset.lacks(&element) {
                true => Err(Unmappable::Unusable(LACKING.to_owned())),
                false => Ok(element),
            };
        }
        let content_type = Some(raw.content_type.as_str()).filter(|text| !text.is_empty());
        let documents = decode(content_type, &Bytes::copy_from_slice(&raw.bytes)).await?;
        let mut leads = Vec::new();
        let mut why = "it holds no event of a lead".to_owned();
        for document in documents {
            let items = self.preset.items(document);
            leads.extend(items.leads);
            why = items.unusable.into_iter().next().map_or(why, |unusable| unusable.why);
        }
        match leads.len() {
            0 => Err(Unmappable::Unusable(why)),
            1 => Ok(leads.remove(0)),
            several => Err(Unmappable::Several(several)),
        }
    }
}
