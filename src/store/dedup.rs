//! What counts as one person, as an open store goes by it: a reload may change it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Options;

/// Each of the two stands for itself, so nobody minds that they change one after the other.
pub(super) struct Dedup {
    window_ms: AtomicU64,
    comments: AtomicBool,
}

impl Dedup {
    /// As the store was opened.
    pub(super) fn of(options: &Options) -> Self {
        let dedup = Self { window_ms: AtomicU64::default(), comments: AtomicBool::default() };
        dedup.change(options.dedup_window, options.comments);
        dedup
    }

    /// From now on.
    pub(super) fn change(&self, window: Duration, comments: bool) {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        self.window_ms.store(window, Ordering::Relaxed);
        self.comments.store(comments, Ordering::Relaxed);
    }

    /// See [`Options::dedup_window`].
    pub(super) fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms.load(Ordering::Relaxed))
    }

    /// See [`Options::comments`].
    pub(super) fn comments(&self) -> bool {
        self.comments.load(Ordering::Relaxed)
    }
}
