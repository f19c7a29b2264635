//! Hearing that another gateway accepted something, so that whoever is free sends it at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::time::timeout;

use super::Inner;
use super::link::jittered;

/// What every move is published on.
pub(super) const CHANNEL: &str = "leadgate";

const RETRY: Duration = Duration::from_millis(500);

/// How often it is looked whether the connection is still the right one.
const LOOK: Duration = Duration::from_secs(5);

/// One subscription lasts no longer.
const LISTENED_MAX: Duration = Duration::from_secs(300);

/// Listens for as long as it lives. What is published while nobody listens is not heard again, so
/// each new beginning wakes the lanes once.
pub(super) async fn listen(inner: Arc<Inner>, mut ready: Option<tokio::sync::oneshot::Sender<()>>) {
    for turn in 0.. {
        if let Ok(mut published) = inner.link.address().listen(turn).await
            && published.subscribe(CHANNEL).await.is_ok()
        {
            match ready.take() {
                Some(ready) => drop(ready.send(())),
                None => {
                    inner.wake();
                    inner.hearsay.interrupted();
                }
            }
            // A connection that was cut off in silence is never heard of again: it is made anew
            // with the other one, and now and then.
            let connection = inner.link.generation();
            let until = Instant::now() + LISTENED_MAX;
            let mut messages = published.into_on_message();
            while inner.link.generation() == connection && Instant::now() < until {
                match timeout(LOOK, messages.next()).await {
                    Ok(Some(message)) => {
                        let published = message.get_payload_bytes();
                        if !inner.hearsay.hear(published) && published != inner.me.as_bytes() {
                            inner.wake();
                        }
                    }
                    Ok(None) => break,
                    Err(_) => {}
                }
            }
        }
        drop(ready.take());
        tokio::time::sleep(jittered(RETRY)).await;
    }
}
