//! What becomes of submissions, told as it happens: one memory, any number of readers, bounded.
//!
//! Nothing is noted, looked up or sent while nobody reads: who changes something looks at one flag.
//! Over a store that other processes use as well, each tells the others what it does while one of
//! them has a reader ([`Changes::carry`]).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, watch};

use super::{Overheard, Store};
use crate::lead::{DestinationId, SourceId, State, SubmissionId, Timestamp};

/// Readers at once: consoles on some walls, and some programs.
pub const READERS_MAX: usize = 32;

/// Changes that are remembered for who comes back: twenty seconds of 200 a second; some 1 MB.
const REMEMBERED_MAX: usize = 4096;

/// Changes that one reader may be behind. A slower one is dropped, and may come back.
const BEHIND_MAX: usize = 512;

/// Changes that wait to be told to other processes.
const OUTGOING_MAX: usize = 4096;

/// Changes in one message to other processes.
const BATCH_MAX: usize = 100;

/// How long changes are noted after the last reader has left: a browser comes back in seconds.
const LINGER: Duration = Duration::from_secs(60);

/// How often other processes are reminded that somebody reads here, and how long they believe it.
const REMIND: Duration = Duration::from_secs(5);
const REMINDED_FOR: Duration = Duration::from_secs(20);

/// Something happened to a submission. Holds nobody's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The submission.
    pub id: SubmissionId,
    /// Its state since.
    pub state: State,
    /// What happened, by the name that it has in the record's history; `spooled` while its store
    /// is away.
    pub event: String,
    /// How an attempt, a look or a comment ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Where it came from.
    pub source: SourceId,
    /// Where it goes.
    pub destination: DestinationId,
    /// When.
    pub at: Timestamp,
}

/// What a reader is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Something happened.
    Change(Change),
    /// Some changes may be missing here: look at the ledger.
    Gap,
}

/// What a reader is told, and where in the memory it stands.
#[derive(Debug)]
pub struct Told {
    /// Rises by one.
    pub number: u64,
    /// What.
    pub news: News,
}

/// The memory. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Changes(Arc<Shared>);

struct Shared {
    /// Tells this memory from that of another process, or of another start of this one.
    name: String,
    /// Whether anything is to be noted.
    awake: AtomicBool,
    desk: Mutex<Desk>,
    /// A first reader has come.
    begun: Notify,
    outgoing: mpsc::Sender<Change>,
    /// For [`Changes::carry`], once.
    carried: Mutex<Option<mpsc::Receiver<Change>>>,
    /// Something that others should have been told was not sent.
    lost: AtomicBool,
}

#[derive(Default)]
struct Desk {
    /// The number of the newest; 0 before there is any.
    newest: u64,
    remembered: VecDeque<Arc<Told>>,
    readers: Vec<(u64, mpsc::Sender<Arc<Told>>)>,
    /// Readers that there ever were: the name of the next.
    ever: u64,
    /// When the last reader left.
    left_at: Option<Instant>,
    /// When another process has last said that somebody reads there.
    reminded_at: Option<Instant>,
    is_closed: bool,
}

/// A message between processes.
#[derive(Serialize, Deserialize)]
struct Message {
    from: String,
    /// Somebody reads there.
    #[serde(default)]
    reads: bool,
    /// Some changes could not be told.
    #[serde(default)]
    lost: bool,
    #[serde(default)]
    changes: Vec<Change>,
}

/// Why nobody more can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many read already")]
pub struct TooMany;

/// What one reader is told.
pub struct Reading {
    changes: Changes,
    name: u64,
    /// The place that the reading begins at.
    begins: u64,
    /// Whether what was asked for is not remembered.
    is_cut: bool,
    earlier: VecDeque<Arc<Told>>,
    news: mpsc::Receiver<Arc<Told>>,
}

impl Default for Changes {
    fn default() -> Self {
        let (outgoing, carried) = mpsc::channel(OUTGOING_MAX);
        Self(Arc::new(Shared {
            name: SubmissionId::generate().to_string(),
            awake: AtomicBool::new(false),
            desk: Mutex::default(),
            begun: Notify::new(),
            outgoing,
            carried: Mutex::new(Some(carried)),
            lost: AtomicBool::new(false),
        }))
    }
}

impl Changes {
    /// Whether anybody, here or elsewhere, wants to be told.
    pub fn is_awake(&self) -> bool {
        self.0.awake.load(Ordering::Relaxed)
    }

    /// Notes what happened here, and tells everybody who reads.
    pub fn tell(&self, change: Change) {
        if !self.is_awake() {
            return;
        }
        let mut desk = self.desk();
        if desk.is_reminded() && self.0.outgoing.try_send(change.clone()).is_err() {
            self.0.lost.store(true, Ordering::Relaxed);
        }
        desk.tell(News::Change(change));
    }

    /// Begins to read: from now on, or after the place that a reader of this memory was told
    /// ([`Reading::place`]).
    ///
    /// # Errors
    /// [`READERS_MAX`] read already, or the memory is closed.
    pub fn read(&self, after: Option<&str>) -> Result<Reading, TooMany> {
        let mut desk = self.desk();
        if desk.is_closed || desk.readers.len() >= READERS_MAX {
            return Err(TooMany);
        }
        let after = after.map(|place| self.number(place).filter(|number| desk.reaches(*number)));
        let is_cut = after == Some(None);
        let begins = after.flatten().unwrap_or(desk.newest);
        let earlier = desk.remembered.iter().filter(|told| told.number > begins).cloned().collect();
        let (sender, news) = mpsc::channel(BEHIND_MAX);
        desk.ever += 1;
        let name = desk.ever;
        desk.readers.push((name, sender));
        self.0.awake.store(true, Ordering::Relaxed);
        self.0.begun.notify_one();
        Ok(Reading { changes: self.clone(), name, begins, is_cut, earlier, news })
    }

    /// Ends all readings; nobody reads from now on.
    pub fn close(&self) {
        let mut desk = self.desk();
        desk.is_closed = true;
        desk.readers.clear();
        self.0.awake.store(false, Ordering::Relaxed);
    }

    /// Carries changes between the processes that share `store`, where there are others, and stops
    /// noting when nobody has read for a while. Ends when it is told to.
    pub async fn carry(self, store: Arc<dyn Store>, mut stopping: watch::Receiver<bool>) {
        let Some(mut outgoing) = self.take_outgoing() else { return };
        let mut overheard = store.overheard();
        let mut reminders = tokio::time::interval(REMIND);
        loop {
            let message = tokio::select! {
                () = async { let _ = stopping.wait_for(|stop| *stop).await; } => return,
                heard = hear(&mut overheard) => {
                    self.overhear(heard);
                    continue;
                }
                Some(change) = outgoing.recv() => {
                    let mut changes = vec![change];
                    while changes.len() < BATCH_MAX && let Ok(change) = outgoing.try_recv() {
                        changes.push(change);
                    }
                    Message { changes, ..self.message() }
                }
                () = self.0.begun.notified() => self.message(),
                _ = reminders.tick() => {
                    if !self.look_whether_read() {
                        continue;
                    }
                    self.message()
                }
            };
            if overheard.is_none() {
                continue; // nobody else is there
            }
            let is_empty = message.changes.is_empty() && !message.lost;
            if is_empty && !message.reads {
                continue;
            }
            let text = serde_json::to_string(&message).unwrap_or_default();
            if store.say(text).await.is_err() && !is_empty {
                self.0.lost.store(true, Ordering::Relaxed);
            }
        }
    }

    fn take_outgoing(&self) -> Option<mpsc::Receiver<Change>> {
        self.0.carried.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn message(&self) -> Message {
        Message {
            from: self.0.name.clone(),
            reads: !self.desk().readers.is_empty(),
            lost: self.0.lost.swap(false, Ordering::Relaxed),
            changes: Vec::new(),
        }
    }

    /// Falls asleep where nobody reads any more; answers whether somebody reads here.
    fn look_whether_read(&self) -> bool {
        let mut desk = self.desk();
        desk.readers.retain(|(_, reader)| !reader.is_closed());
        let lingers = desk.left_at.is_some_and(|at| at.elapsed() < LINGER);
        let is_read = !desk.readers.is_empty();
        if !is_read && !lingers && !desk.is_reminded() && self.is_awake() {
            // What happens from now on is not noted: who comes back later has missed it.
            desk.remembered.clear();
            desk.newest += 1;
            self.0.awake.store(false, Ordering::Relaxed);
        }
        is_read
    }

    fn overhear(&self, heard: Overheard) {
        let message = match heard {
            Overheard::Said(text) => serde_json::from_str::<Message>(&text).ok(),
            Overheard::Gap => {
                if self.is_awake() {
                    self.desk().tell(News::Gap);
                }
                return;
            }
        };
        let Some(message) = message.filter(|message| message.from != self.0.name) else { return };
        let mut desk = self.desk();
        if desk.is_closed {
            return;
        }
        if message.reads {
            desk.reminded_at = Some(Instant::now());
            self.0.awake.store(true, Ordering::Relaxed);
        }
        if !self.is_awake() {
            return;
        }
        if message.lost {
            desk.tell(News::Gap);
        }
        for change in message.changes {
            desk.tell(News::Change(change));
        }
    }

    /// The number in a place of this memory's.
    fn number(&self, place: &str) -> Option<u64> {
        let (name, number) = place.rsplit_once('.')?;
        (name == self.0.name).then(|| number.parse().ok()).flatten()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for ever where there are no other processes.
async fn hear(overheard: &mut Option<mpsc::Receiver<Overheard>>) -> Overheard {
    if let Some(receiver) = overheard
        && let Some(heard) = receiver.recv().await
    {
        return heard;
    }
    std::future::pending().await
}

impl Desk {
    fn is_reminded(&self) -> bool {
        self.reminded_at.is_some_and(|at| at.elapsed() < REMINDED_FOR)
    }

    /// Whether everything after this number is remembered.
    fn reaches(&self, number: u64) -> bool {
        let first = self.remembered.front().map_or(self.newest + 1, |told| told.number);
        number <= self.newest && number + 1 >= first
    }

    fn tell(&mut self, news: News) {
        self.newest += 1;
        let told = Arc::new(Told { number: self.newest, news });
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back(Arc::clone(&told));
        let before = self.readers.len();
        self.readers.retain(|(_, reader)| reader.try_send(Arc::clone(&told)).is_ok());
        if self.readers.is_empty() && before > 0 {
            self.left_at = Some(Instant::now());
        }
    }
}

impl Reading {
    /// Whether something between the place that was asked for and the beginning is missing.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Where this reading begins, as [`Changes::read`] takes it.
    pub fn beginning(&self) -> String {
        format!("{}.{}", self.changes.0.name, self.begins)
    }

    /// Where something stands, as [`Changes::read`] takes it.
    pub fn place(&self, told: &Told) -> String {
        format!("{}.{}", self.changes.0.name, told.number)
    }

    /// The next; `None` at the end: the memory was closed, or this reader was too slow.
    pub async fn next(&mut self) -> Option<Arc<Told>> {
        match self.earlier.pop_front() {
            Some(told) => Some(told),
            None => self.news.recv().await,
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut desk = self.changes.desk();
        desk.readers.retain(|(name, _)| *name != self.name);
        if desk.readers.is_empty() {
            desk.left_at = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(number: i64) -> Change {
        Change {
            id: SubmissionId::generate(),
            state: State::Pending,
            event: "accepted".into(),
            outcome: None,
            source: "website".parse().unwrap(),
            destination: "main".parse().unwrap(),
            at: Timestamp::from_millis(number),
        }
    }

    fn at(told: &Told) -> i64 {
        match &told.news {
            News::Change(change) => change.at.as_millis(),
            News::Gap => -1,
        }
    }

    #[tokio::test]
    async fn who_comes_back_is_told_what_was_missed_as_far_as_it_is_remembered() {
        let changes = Changes::default();
        changes.tell(change(0));
        assert!(!changes.is_awake(), "nobody reads: nothing is noted");
        let mut reading = changes.read(None).unwrap();
        let beginning = reading.beginning();
        for number in 1..=3 {
            changes.tell(change(number));
        }
        let first = reading.next().await.unwrap();
        assert_eq!(at(&first), 1);
        let place = reading.place(&first);
        drop(reading);
        let mut again = changes.read(Some(&place)).unwrap();
        assert!(!again.is_cut());
        assert_eq!(at(&again.next().await.unwrap()), 2);
        assert_eq!(at(&again.next().await.unwrap()), 3);
        for number in 4..(REMEMBERED_MAX as i64 + 10) {
            changes.tell(change(number));
        }
        for unknown in [beginning.as_str(), "another.7", "x", ""] {
            assert!(changes.read(Some(unknown)).unwrap().is_cut(), "{unknown}");
        }
    }

    #[tokio::test]
    async fn a_slow_reader_is_dropped_and_no_more_than_so_many_read() {
        let changes = Changes::default();
        let mut slow = changes.read(None).unwrap();
        let readers: Vec<_> = (1..READERS_MAX).map(|_| changes.read(None).unwrap()).collect();
        assert_eq!(changes.read(None).err(), Some(TooMany));
        drop(readers);
        for number in 0..=BEHIND_MAX as i64 {
            changes.tell(change(number));
        }
        for number in 0..BEHIND_MAX as i64 {
            assert_eq!(at(&slow.next().await.unwrap()), number);
        }
        assert!(slow.next().await.is_none());
        let mut last = changes.read(None).unwrap();
        changes.close();
        assert!(last.next().await.is_none());
        assert!(changes.read(None).is_err());
    }

    #[tokio::test]
    async fn what_others_say_is_told_and_what_they_lost_is_a_gap() {
        let (here, there) = (Changes::default(), Changes::default());
        let mut reading = here.read(None).unwrap();
        let said = |message: &Message| Overheard::Said(serde_json::to_string(message).unwrap());
        there.overhear(said(&here.message()));
        assert!(there.is_awake(), "somebody reads elsewhere");
        there.tell(change(7));
        let mut outgoing = there.take_outgoing().unwrap();
        let changes = vec![outgoing.recv().await.unwrap()];
        there.0.lost.store(true, Ordering::Relaxed);
        here.overhear(said(&Message { changes, ..there.message() }));
        here.overhear(said(&here.message()));
        here.overhear(Overheard::Said("{".into()));
        here.overhear(Overheard::Gap);
        for expected in [-1, 7, -1] {
            assert_eq!(at(&reading.next().await.unwrap()), expected);
        }
        assert!(here.take_outgoing().unwrap().try_recv().is_err(), "it is told once");
    }
}
