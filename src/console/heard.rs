//! When each source was last heard of: for the pages, and for the alarm about one that is silent.

use std::collections::BTreeMap;

use tokio::sync::Mutex;

use crate::lead::{SourceId, Timestamp};
use crate::store::{Query, Store, StoreError};

/// When each source was last heard of. A source is asked for where its count has moved.
#[derive(Default)]
pub struct Heard(Mutex<BTreeMap<SourceId, (u64, Option<Timestamp>)>>);

impl Heard {
    /// When the newest submission of each source that ever sent one was accepted.
    ///
    /// # Errors
    /// The store does not answer.
    pub(super) async fn look(
        &self,
        store: &dyn Store,
        accepted: impl Iterator<Item = (SourceId, u64)>,
    ) -> Result<BTreeMap<SourceId, Timestamp>, StoreError> {
        let mut known = self.0.lock().await;
        let mut heard = BTreeMap::new();
        for (source, accepted) in accepted.filter(|(_, accepted)| *accepted > 0) {
            let last = match known.get(&source) {
                Some((then, last)) if *then == accepted => *last,
                _ => {
                    let query =
                        Query { source: Some(source.clone()), limit: 1, ..Query::default() };
                    let page = store.list(query).await?;
                    let last = page.records.first().map(|record| record.received_at);
                    known.insert(source.clone(), (accepted, last));
                    last
                }
            };
            if let Some(last) = last {
                heard.insert(source, last);
            }
        }
        Ok(heard)
    }
}
