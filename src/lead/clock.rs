//! Where moments come from, and how they are waited for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::Timestamp;

/// Where the time comes from, and how it is waited for. Everything that decides by time is handed
/// one, so that a test can hold the hands.
#[derive(Clone)]
pub struct Clock {
    read: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    skipped: watch::Receiver<Duration>,
    waits: Arc<Waits>,
}

/// A clock may be set, and a sleep is told no new end: whoever waits looks again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::from_fn(system_now)
    }

    /// A clock that says whatever `read` says.
    pub fn from_fn(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let (_, skipped) = watch::channel(Duration::ZERO);
        Self { read: Arc::new(read), skipped, waits: Arc::default() }
    }

    /// The machine's clock with a hand that puts it forward.
    pub fn with_hand() -> (Self, Hand) {
        let (ahead, skipped) = watch::channel(Duration::ZERO);
        let seen = skipped.clone();
        let read = move || system_now().plus(*seen.borrow());
        let waits = Arc::<Waits>::default();
        let clock = Self { read: Arc::new(read), skipped, waits: Arc::clone(&waits) };
        (clock, Hand { ahead, waits })
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.read)()
    }

    /// Waits until this clock says `moment`.
    pub async fn sleep_until(&self, moment: Timestamp) {
        let _waiting = self.waits.enter(moment);
        let mut skipped = self.skipped.clone();
        loop {
            skipped.mark_unchanged(); // before the clock is read: no skip goes unnoticed
            let wait = moment.since(self.now()).min(LOOK_AGAIN);
            if wait.is_zero() {
                return;
            }
            let skip = async {
                if skipped.changed().await.is_err() {
                    std::future::pending::<()>().await; // nobody puts this clock forward
                }
            };
            tokio::select! {
                () = skip => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Waits until this clock has gone on by `duration`.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now().plus(duration)).await;
    }
}

fn system_now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// What puts a clock forward: a quarter of an hour takes no time.
pub struct Hand {
    ahead: watch::Sender<Duration>,
    waits: Arc<Waits>,
}

impl Hand {
    /// Puts the clock forward; whoever waits for a moment that it passes wakes up.
    pub fn skip(&self, duration: Duration) {
        self.ahead.send_modify(|ahead| *ahead += duration);
    }

    /// What is waited for next, of everything that waits by this clock.
    pub fn next(&self) -> Option<Timestamp> {
        self.waits.lock().keys().next().copied()
    }
}

/// Who waits for what: how many for each moment.
#[derive(Default)]
struct Waits(Mutex<BTreeMap<Timestamp, usize>>);

struct Waiting<'a> {
    waits: &'a Waits,
    moment: Timestamp,
}

impl Waits {
    fn enter(&self, moment: Timestamp) -> Waiting<'_> {
        *self.lock().entry(moment).or_default() += 1;
        Waiting { waits: self, moment }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Timestamp, usize>> {
        // Nothing in here panics half-way, so a poisoned map is still a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waits = self.waits.lock();
        if let Some(count) = waits.get_mut(&self.moment) {
            *count -= 1;
            if *count == 0 {
                waits.remove(&self.moment);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_quarter_of_an_hour_takes_no_time_when_a_hand_turns_it() {
        let (clock, hand) = Clock::with_hand();
        let began = std::time::Instant::now();
        let until = clock.now().plus(Duration::from_secs(900));
        let sleeping = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(until).await }
        });
        while hand.next() != Some(until) {
            tokio::task::yield_now().await;
        }
        hand.skip(Duration::from_secs(899));
        assert_eq!(hand.next(), Some(until), "a second is left");
        hand.skip(Duration::from_secs(1));
        sleeping.await.unwrap();
        assert_eq!(hand.next(), None);
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}
