//! Erasing a person from what waits in the file. An entry of theirs is not taken out, since its
//! sender was told that it is accepted: it becomes one that is kept as `erased` when Redis takes it.
//! What other processes' files have of the person becomes that when they bring it to Redis.

use super::{DRAINED_MAX, Shared, entry};
use crate::lead::Identity;
use crate::store::{Admission, StoreError};

impl Shared {
    /// Erases a person from what is in the file now; how many entries were the person's. What
    /// cannot be read stays, and so does a notice: whose it is nobody knows yet.
    pub(super) async fn forget_waiting(&self, identities: &[Identity]) -> Result<u64, StoreError> {
        let _alone = self.emptying.lock().await;
        let newest = self.file.newest_spooled().await?;
        let (mut after, mut erased) = (0, 0);
        while after < newest {
            let entries = self.file.spooled_after(after, DRAINED_MAX).await?;
            let Some((last, _)) = entries.last() else { break };
            after = *last;
            let mut anew = Vec::new();
            let mut bytes_less = 0;
            for (place, stored) in entries {
                let admission = entry::read(&self.vault, &stored);
                let Some(admission) = admission.filter(|one| is_of(one, identities)) else {
                    continue;
                };
                let without = entry::write(&self.vault, &admission.without_person());
                bytes_less += stored.len().saturating_sub(without.len());
                anew.push((place, without));
            }
            if !anew.is_empty() {
                erased += anew.len() as u64;
                self.file.respool(anew).await?;
                self.gone(0, bytes_less);
            }
        }
        Ok(erased)
    }
}

/// Whether the store would know it by one of the identities.
fn is_of(admission: &Admission, identities: &[Identity]) -> bool {
    admission.content.persons().iter().any(|identity| identities.contains(identity))
}
