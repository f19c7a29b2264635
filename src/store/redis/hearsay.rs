//! What other gateways say to each other over Redis, beside what wakes lanes: on the same channel,
//! and told from it by its first letter.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use redis::cmd;
use tokio::sync::mpsc;

use super::Inner;
use super::wakeups::CHANNEL;
use crate::store::{Overheard, StoreError};

/// Messages that wait for who listens.
const WAITING_MAX: usize = 256;

/// Who listens here, if anybody does.
#[derive(Default)]
pub(super) struct Hearsay {
    listener: Mutex<Option<mpsc::Sender<Overheard>>>,
    /// Something was said and not passed on.
    missed: AtomicBool,
}

impl Hearsay {
    /// What is said from now on. Who asked before hears no more.
    pub(super) fn listen(&self) -> mpsc::Receiver<Overheard> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// Something was published. Answers whether it was said between gateways, and wakes nobody.
    pub(super) fn hear(&self, published: &[u8]) -> bool {
        if !published.starts_with(b"{") {
            return false;
        }
        if let Ok(text) = std::str::from_utf8(published) {
            self.pass(Overheard::Said(text.to_owned()));
        }
        true
    }

    /// Something may have been said while nobody here could hear.
    pub(super) fn interrupted(&self) {
        self.missed.store(true, Ordering::Relaxed);
        self.pass(Overheard::Gap);
    }

    fn pass(&self, heard: Overheard) {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(listener) = &*listener else { return };
        let is_told =
            !self.missed.load(Ordering::Relaxed) || listener.try_send(Overheard::Gap).is_ok();
        let is_gap = heard == Overheard::Gap;
        let is_passed = is_told && (is_gap || listener.try_send(heard).is_ok());
        self.missed.store(!is_passed, Ordering::Relaxed);
    }
}

/// See [`crate::store::Store::say`].
pub(super) async fn say(inner: &Inner, message: String) -> Result<(), StoreError> {
    inner.link.send(cmd("PUBLISH").arg(CHANNEL).arg(message)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_passed_on_is_a_gap() {
        let hearsay = Hearsay::default();
        assert!(hearsay.hear(b"{}"), "nobody listens");
        let mut heard = hearsay.listen();
        assert!(!hearsay.hear(b"0123456789abcdef"), "a wake-up");
        for _ in 0..=WAITING_MAX {
            hearsay.hear(b"{}");
        }
        for _ in 0..WAITING_MAX {
            assert_eq!(heard.try_recv(), Ok(Overheard::Said("{}".into())));
        }
        hearsay.hear(b"{1}");
        assert_eq!(heard.try_recv(), Ok(Overheard::Gap));
        assert_eq!(heard.try_recv(), Ok(Overheard::Said("{1}".into())));
        hearsay.interrupted();
        assert_eq!(heard.try_recv(), Ok(Overheard::Gap));
        assert!(heard.try_recv().is_err());
    }
}
