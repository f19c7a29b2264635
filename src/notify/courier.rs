//! Posts signals: some at once, each with a timeout, again after a while where it may help.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinError, JoinSet};

use super::signature::signatures;
use super::{DELIVERED, FAILED, KEPT_MAX, Parcel};
use crate::config::{HookUrl, Notify, Retry, SigningKey};
use crate::http_client;
use crate::lead::{Clock, Timestamp};
use crate::retry;

/// Posts under way at once: a receiver that never answers holds up so many.
const IN_FLIGHT_MAX: usize = 8;

/// A signal is posted so often at most: over an hour at the longest, half of it on average.
const TRIES_MAX: u32 = 8;

/// What comes later than `give_up_after` is news no more, whatever `Retry-After` asks for.
const AGAIN: Retry = Retry {
    initial: Duration::from_secs(30),
    max: Duration::from_secs(30 * 60),
    give_up_after: Duration::from_secs(2 * 3600),
};

/// Servers keep idle connections for longer, so that no post meets one that just closes.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// So much of an answer's body is read, so that its connection can be used again. Nothing in it
/// is looked at.
const ANSWER_BYTES_MAX: usize = 4096;

/// Why no signal can be sent.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct OpenError(String);

/// Posts what the notifier of the same [`open`](super::open) is told.
pub struct Courier {
    /// How posts are made from now on: what waits is posted as the newest configuration says.
    post: Arc<ArcSwap<Post>>,
    queue: mpsc::Receiver<Parcel>,
    /// Of the notifier.
    room: Arc<Semaphore>,
    /// What is tried again, by when; the number tells those of one moment apart.
    waiting: BTreeMap<(Timestamp, u64), Parcel>,
    number: u64,
    clock: Clock,
    in_trouble: bool,
}

/// How one post is made.
pub struct Post {
    http: reqwest::Client,
    url: HookUrl,
    keys: Vec<SigningKey>,
}

/// How one post ended.
enum Answer {
    /// 2xx.
    Taken,
    /// It would be refused again.
    Refused(StatusCode),
    /// Perhaps not the next time.
    Again { why: String, not_before: Option<Duration> },
}

type Ended = Result<(Parcel, Answer), JoinError>;

impl Post {
    /// As `[notify]` says.
    ///
    /// # Errors
    /// TLS that cannot be set up.
    pub(super) fn new(settings: &Notify) -> Result<Self, OpenError> {
        let http = http_client::builder()
            .map_err(|error| OpenError(error.to_string()))?
            .timeout(settings.timeout)
            .pool_max_idle_per_host(IN_FLIGHT_MAX)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .build()
            .map_err(|error| OpenError(error.without_url().to_string()))?;
        Ok(Self { http, url: settings.url.clone(), keys: settings.keys.clone() })
    }
}

impl Courier {
    pub(super) fn new(
        post: Arc<ArcSwap<Post>>,
        queue: mpsc::Receiver<Parcel>,
        room: Arc<Semaphore>,
        clock: Clock,
    ) -> Self {
        Self { post, queue, room, waiting: BTreeMap::new(), number: 0, clock, in_trouble: false }
    }

    /// Posts until `closing` says how long what is left has; then everything that waits gets one
    /// more try within that time. What is left after it is dropped.
    pub async fn run(mut self, mut closing: watch::Receiver<Option<Duration>>) {
        let mut posts = JoinSet::new();
        loop {
            let has_slot = posts.len() < IN_FLIGHT_MAX;
            let next = self.waiting.first_key_value().map(|((due, _), _)| *due);
            tokio::select! {
                _ = closing.wait_for(Option::is_some) => break,
                Some(ended) = posts.join_next() => self.ended(ended),
                Some(parcel) = self.queue.recv(), if has_slot => self.begin(parcel, &mut posts),
                () = due(&self.clock, next), if has_slot => {
                    if let Some((_, parcel)) = self.waiting.pop_first() {
                        self.begin(parcel, &mut posts);
                    }
                }
            }
        }
        let chance = closing.borrow().unwrap_or_default();
        let _ = tokio::time::timeout(chance, self.clear(&mut posts)).await;
        posts.shutdown().await;
        let signals = KEPT_MAX.saturating_sub(self.room.available_permits());
        if signals > 0 {
            tracing::warn!(signals, "outcome signals were not delivered before the stop");
        }
    }

    /// Gives everything that is there one try.
    async fn clear(&mut self, posts: &mut JoinSet<(Parcel, Answer)>) {
        // What fails now is kept as of the future, and so not taken again.
        let end = self.clock.now().plus(AGAIN.give_up_after);
        loop {
            while posts.len() < IN_FLIGHT_MAX {
                let waits = self.waiting.first_key_value().is_some_and(|((due, _), _)| *due < end);
                let waits = if waits { self.waiting.pop_first() } else { None };
                let parcel = waits.map(|(_, parcel)| parcel).or_else(|| self.queue.try_recv().ok());
                let Some(parcel) = parcel else { break };
                self.begin(parcel, posts);
            }
            match posts.join_next().await {
                Some(Ok((parcel, Answer::Again { .. }))) => self.keep(end, parcel),
                Some(ended) => self.ended(ended),
                None => return,
            }
        }
    }

    fn begin(&self, mut parcel: Parcel, posts: &mut JoinSet<(Parcel, Answer)>) {
        let now = self.clock.now();
        parcel.tries += 1;
        parcel.first_try.get_or_insert(now);
        let post = self.post.load_full();
        posts.spawn(async move {
            let answer = post.send(&parcel, now).await;
            (parcel, answer)
        });
    }

    fn ended(&mut self, ended: Ended) {
        let Ok((parcel, answer)) = ended else {
            tracing::error!("a task that posts a signal panicked");
            return;
        };
        match answer {
            Answer::Taken => {
                parcel.end(DELIVERED);
                if std::mem::take(&mut self.in_trouble) {
                    tracing::info!("outcome signals are taken again");
                }
            }
            Answer::Refused(status) => {
                self.trouble(&parcel, &format!("HTTP {}, not tried again", status.as_u16()));
                parcel.end(FAILED);
            }
            Answer::Again { why, not_before } => {
                self.trouble(&parcel, &why);
                self.again(parcel, not_before);
            }
        }
    }

    fn again(&mut self, parcel: Parcel, not_before: Option<Duration>) {
        let now = self.clock.now();
        let wait = retry::delay(&AGAIN, parcel.tries).max(not_before.unwrap_or_default());
        let due = now.plus(wait);
        let waited = due.since(parcel.first_try.unwrap_or(now));
        if parcel.tries >= TRIES_MAX || waited > AGAIN.give_up_after {
            parcel.end(FAILED);
        } else {
            self.keep(due, parcel);
        }
    }

    fn keep(&mut self, due: Timestamp, parcel: Parcel) {
        self.number += 1;
        self.waiting.insert((due, self.number), parcel);
    }

    /// The receiver does not take signals: told once, until it does. What fails is counted.
    fn trouble(&mut self, parcel: &Parcel, why: &str) {
        if !std::mem::replace(&mut self.in_trouble, true) {
            let (event, id) = (parcel.notice.event.as_str(), &parcel.notice.id);
            tracing::warn!(event, webhook_id = %id, why, "an outcome signal was not taken");
        }
    }
}

/// Resolves when the clock says `next`, and never without one.
async fn due(clock: &Clock, next: Option<Timestamp>) {
    match next {
        Some(next) => clock.sleep_until(next).await,
        None => std::future::pending().await,
    }
}

impl Post {
    async fn send(&self, parcel: &Parcel, now: Timestamp) -> Answer {
        let (id, body) = (&parcel.notice.id, &parcel.notice.body);
        let timestamp = now.as_millis() / 1000;
        let request = self
            .http
            .post(self.url.0.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", signatures(&self.keys, id, timestamp, body))
            .body(body.clone());
        match request.send().await {
            Ok(mut response) => {
                let answer = answer(response.status(), response.headers());
                drain(&mut response).await;
                answer
            }
            Err(error) => {
                let why = if error.is_timeout() {
                    "it did not answer in time"
                } else if error.is_connect() {
                    "it could not be reached"
                } else {
                    "it did not answer"
                };
                Answer::Again { why: why.to_owned(), not_before: None }
            }
        }
    }
}

fn answer(status: StatusCode, headers: &HeaderMap) -> Answer {
    let may_pass = matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
    );
    if status.is_success() {
        return Answer::Taken;
    }
    if status.is_client_error() && !may_pass {
        return Answer::Refused(status);
    }
    let not_before = http_client::retry_after(headers);
    Answer::Again { why: format!("HTTP {}", status.as_u16()), not_before }
}

/// Reads what little there may be, so that the connection can be used again.
async fn drain(response: &mut Response) {
    let mut read = 0;
    while read < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            Ok(None) | Err(_) => return,
        }
    }
}
