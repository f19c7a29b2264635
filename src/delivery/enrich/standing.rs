//! How fetching stands for a source, and who is told of it.

use crate::lead::{SourceId, Timestamp};
use crate::notify::Notifier;

/// How fetching stands for a source, or for one of those whose tokens it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing can be fetched until a person has mended something.
    Stopped {
        /// For whom, where several have tokens of their own: `page_id 123`.
        whose: Option<String>,
        /// Why, in words.
        why: String,
        /// When it is looked whether it works again.
        until: Timestamp,
    },
    /// It works again.
    Resumed {
        /// For whom, where several have tokens of their own.
        whose: Option<String>,
    },
}

/// Who is told when fetching stops and when it goes on. Called at once, so it must not wait.
pub trait Watcher: Send + Sync {
    /// It stands so for `source` since `at`; told once for each change.
    fn changed(&self, source: &SourceId, standing: &Standing, at: Timestamp);
}

impl Watcher for Notifier {
    fn changed(&self, source: &SourceId, standing: &Standing, at: Timestamp) {
        match standing {
            Standing::Stopped { whose, why, until } => {
                let whose = whose.as_deref();
                tracing::error!(%source, whose, why, "leads cannot be fetched until somebody mends it");
                self.source_stopped(source, whose, why, *until, at);
            }
            Standing::Resumed { whose } => {
                let whose = whose.as_deref();
                tracing::info!(%source, whose, "leads are fetched again");
                self.source_resumed(source, whose, at);
            }
        }
    }
}
