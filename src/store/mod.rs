//! Where submissions live between intake and CareSoft: one trait, at the level of behaviour.
//!
//! An implementation is durable before it answers, decides duplicates in the same atomic step
//! that writes them down, and hands work out under leases with a fence. `conformance` (a test
//! module) holds what every implementation must do, in one suite that runs over all of them.

pub mod changes;
mod code;
#[cfg(test)]
mod conformance;
mod dedup;
mod forgotten;
pub mod identity;
mod keyring;
mod ledger;
pub mod pace;
pub mod payload;
mod query;
pub mod redis;
pub mod spool;
pub mod sqlite;
pub mod watched;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::sync::{mpsc, watch};

pub use self::ledger::{Ledger, SourceLedger};
pub use self::pace::{HourRule, PLACE_AHEAD_MAX, PaceRule, Paced, SharedGate};
pub use self::query::{Cursor, Match, Page, Query};
pub use self::work::{
    JOINED_MAX, Joined, LOOK_AFTER, Lease, Leased, Notice, Notices, Outcome, Replayed, Settled,
    Task, Unsure, Wanted, Work,
};
use crate::lead::{
    DestinationId, Event, Identity, Lead, RawBody, Record, SourceId, State, SubmissionId,
    Timestamp, TraceId,
};

/// What an implementation is opened with, whatever it is.
#[derive(Clone)]
pub struct Options {
    /// How long a person's first submission claims the phone and the e-mail of that person.
    pub dedup_window: Duration,
    /// How long a delivery's idempotency key is remembered.
    pub idempotency_window: Duration,
    /// Whether what a later submission says is added to its person's lead. Otherwise it is only
    /// recorded.
    pub comments: bool,
    /// Seal what is stored of persons and key their hashes: the first seals, any of them opens, and
    /// the hashes keep the key of the one that the store began with. Without any nothing is sealed,
    /// and the hashes have a random key that is made once and kept in the store.
    pub secrets: Vec<SecretString>,
}

/// A submission on its way in.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Made by intake; answered to the sender unless this is a repeated delivery.
    pub id: SubmissionId,
    /// Where it came from.
    pub source: SourceId,
    /// Where it goes.
    pub destination: DestinationId,
    /// When it came.
    pub received_at: Timestamp,
    /// The trace of the post that it came with.
    pub trace_id: Option<TraceId>,
    /// The platform's own id of it, for people to search by.
    pub external_id: Option<String>,
    /// What makes a repeated delivery of the same event recognisable, within its source.
    pub idempotency: Option<Idempotency>,
    /// What it holds.
    pub content: Content,
}

/// What a delivery is known by when it comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The platform's id of the event, or a hash of its content.
    pub key: String,
    /// How long it is known; `None`: as long as the store remembers deliveries.
    pub window: Option<Duration>,
}

impl Idempotency {
    /// Known as long as the store remembers deliveries.
    pub fn of_id(key: impl Into<String>) -> Self {
        Self { key: key.into(), window: None }
    }

    /// Until when a delivery that came at `received_at` is known.
    fn until(&self, received_at: Timestamp, usual: Duration) -> Timestamp {
        received_at.plus(self.window.unwrap_or(usual))
    }
}

/// What an admission holds; decides the state it begins in.
#[derive(Debug, Clone)]
pub enum Content {
    /// A person: `pending`, or `merged` when one of the identities is claimed already.
    Lead {
        /// The lead.
        lead: Lead,
        /// At least one; phone before e-mail.
        identities: Vec<Identity>,
    },
    /// Authentic, but unusable: `quarantined`, kept whole.
    Quarantined {
        /// Why, in words.
        reason: String,
        /// As much of a lead as there is.
        lead: Option<Lead>,
        /// The body as it came.
        raw: RawBody,
    },
    /// Marked as a test by the platform: `test`, never sent.
    Test {
        /// The lead.
        lead: Lead,
    },
    /// A platform's word that there is a lead, which is to be fetched: `pending`, given out by
    /// [`Store::lease_notices`] and by no other lease until it is [filled](Store::fill).
    Notice {
        /// What the platform said.
        notice: RawBody,
    },
    /// A platform's word that the submission of the admission's external id is to be erased: that
    /// of the same source is, if it is there, and one that comes later counts as repeated. Kept as
    /// `erased`, without the id.
    Deletion,
}

/// What `admit` decided about one admission. All of these are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A new lead, ready to be sent.
    Accepted,
    /// The same person as an earlier lead, which this submission joins.
    Merged {
        /// The submission that carries the lead.
        into: SubmissionId,
    },
    /// The same delivery as an earlier one: nothing was written.
    Repeated {
        /// The earlier submission.
        id: SubmissionId,
    },
    /// Kept as `quarantined`.
    Quarantined,
    /// Kept as `test`.
    Test,
    /// Erased, or never to be taken.
    Deleted,
    /// Durable in this process's spool; what it is is decided when the store is back.
    Spooled,
}

/// What waits in a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Pending records: ready, waiting and in flight.
    pub pending: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<Timestamp>,
    /// Unknown records: sent, and to be looked for.
    pub unknown: u64,
    /// Merged records that are still to be added to their leads.
    pub comments: u64,
}

/// How long a settled record is kept, by state; claims go with their own window.
#[derive(Debug, Clone)]
pub struct Retention(pub BTreeMap<State, Duration>);

/// What a store says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `sqlite`, `redis`.
    pub kind: &'static str,
    /// What a 2xx is worth: `fsync always`, ….
    pub durability: &'static str,
}

/// What waits beside a store that is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolState {
    /// Whether submissions go to the spool now.
    pub active: bool,
    /// How many wait in it.
    pub depth: u64,
}

/// What other processes that use the same store say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overheard {
    /// A message, as it was [said](Store::say). One's own are among them.
    Said(String),
    /// Some may have been missed.
    Gap,
}

/// Why a store did not do what it was asked. Nothing of what was asked has happened, unless a
/// variant says otherwise.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Too much is waiting; try again in a moment.
    #[error("the store is busy")]
    Busy,
    /// It cannot be reached, or its disk refuses.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It holds something that cannot be read.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
}

/// Durable storage of submissions. See the module's words for what is asked of each call.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Claims, writes and queues each admission in one atomic, durable step; one verdict each, in
    /// order. Admissions of one batch see each other: the second of one person is merged.
    ///
    /// A phone's claim wins over an e-mail's; an unclaimed identity of a person who is known by
    /// the other one is linked to the same lead, with that lead's window.
    async fn admit(&self, batch: Vec<Admission>) -> Result<Vec<Verdict>, StoreError>;

    /// Leases due records of a lane until `now` and the term of the task: fresh ones before all
    /// others, except that those get one place in four while both wait. The others are
    /// three classes that take turns: later ones (retries and replays), unknown ones to be looked
    /// for, merged ones to be added to the lead that they joined.
    async fn lease(
        &self,
        lane: &DestinationId,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Leased, StoreError>;

    /// Writes down how work ended, with `event` added to the history; refused when the fence is
    /// old or [the outcome does not fit](Outcome::ends). Of an old lease only
    /// [`Outcome::Created`] is believed, as long as the record is unknown or waits to be sent
    /// again: a lead that is there is not made another time.
    async fn settle(
        &self,
        lease: &Lease,
        now: Timestamp,
        outcome: Outcome,
        event: Event,
    ) -> Result<Settled, StoreError>;

    /// Leases due notices of a lane, the longest due first, at most `max` of them for `term`.
    /// [`Store::settle`] takes [`Outcome::Retry`], [`Outcome::Postponed`] and [`Outcome::Dead`] of
    /// them: a retry or a postponed one is due again then, and stays a notice.
    async fn lease_notices(
        &self,
        lane: &DestinationId,
        max: usize,
        term: Duration,
        now: Timestamp,
    ) -> Result<Notices, StoreError>;

    /// A leased notice holds this: from now on it is what an admission of that content would have
    /// been, its person claimed from when the notice came. A fresh lead keeps its place by that as
    /// well. Where the person was [forgotten](Store::forget) since the notice came, it is erased
    /// instead, and holds nothing. Refused when the fence is old.
    async fn fill(
        &self,
        lease: &Lease,
        now: Timestamp,
        content: Content,
        event: Event,
    ) -> Result<Settled, StoreError>;

    /// Makes every pending record whose lease ended before `now` `unknown`: it may have been
    /// sent. Answers how many. What else was leased so long goes back where it stood.
    async fn expire_leases(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Takes the lane's next free place in the pace, over all replicas, if the gate's version is
    /// still `gate`. See [`pace::Gcra`] for the arithmetic.
    async fn pace(
        &self,
        lane: &DestinationId,
        rule: &PaceRule,
        gate: u64,
    ) -> Result<Paced, StoreError>;

    /// The lane's gate.
    async fn gate(&self, lane: &DestinationId) -> Result<SharedGate, StoreError>;

    /// Writes the gate's next state (version + 1) if its version is still `from`; answers the
    /// gate that is now in force, the caller's own (version == from + 1 and the same state) or
    /// another replica's. Wakes every lane ([`Store::arrivals`]).
    async fn move_gate(
        &self,
        lane: &DestinationId,
        from: u64,
        state: String,
    ) -> Result<SharedGate, StoreError>;

    /// The body that is kept of a record: of a quarantined one, or of a notice.
    async fn body(&self, id: SubmissionId) -> Result<Option<RawBody>, StoreError>;

    /// One record, whole.
    async fn find(&self, id: SubmissionId) -> Result<Option<Record>, StoreError>;

    /// A page of records.
    async fn list(&self, query: Query) -> Result<Page, StoreError>;

    /// The ledger, consistent in itself.
    async fn ledger(&self) -> Result<Ledger, StoreError>;

    /// What waits in a lane.
    async fn depth(&self, lane: &DestinationId) -> Result<Depth, StoreError>;

    /// Puts a dead, unknown or quarantined record back into its lane, as `later`, and claims its
    /// identities anew (or adds it to the lead that its person has meanwhile). `content` replaces
    /// what the record holds; a quarantined record needs it, and [`Content::Quarantined`] and
    /// [`Content::Deletion`] are refused. A dead notice is fetched again. A `content` of somebody who
    /// was [forgotten](Store::forget) since the record was received erases it instead.
    async fn replay(
        &self,
        id: SubmissionId,
        now: Timestamp,
        content: Option<Content>,
    ) -> Result<Replayed, StoreError>;

    /// Erases a person: every record that carries one of the identities becomes `erased` (its
    /// lead, raw body, external id and history details gone), and the claims are released.
    /// Answers how many records were erased.
    ///
    /// That they were forgotten is known for 90 days: what was received until `now`, and comes in
    /// later (from a spool, or fetched for a notice), is kept as `erased` as well.
    async fn forget(&self, identities: Vec<Identity>, now: Timestamp) -> Result<u64, StoreError>;

    /// Erases one record alone, of whose person nothing can be read any more; whoever else has joined a
    /// lead that is not made yet goes on without it. Answers whether there was anything to erase.
    async fn erase(&self, id: SubmissionId, now: Timestamp) -> Result<bool, StoreError>;

    /// Removes what retention no longer wants, claims that ended and what is known of the forgotten
    /// long enough, at most `limit` of all; answers how many, so that a caller can go on until it
    /// is 0.
    async fn sweep(
        &self,
        now: Timestamp,
        retention: &Retention,
        limit: usize,
    ) -> Result<u64, StoreError>;

    /// The store's name in metrics: `sqlite`, `redis`.
    fn kind(&self) -> &'static str;

    /// Answers when the store answers.
    async fn health(&self) -> Result<Health, StoreError>;

    /// What is spooled, where there is a spool.
    fn spool(&self) -> Option<SpoolState> {
        None
    }

    /// Changes whenever a lane may have got something to do or its gate has moved, so that a
    /// worker need not poll.
    fn arrivals(&self) -> watch::Receiver<u64>;

    /// Says something to all processes that use this store, at once or never.
    async fn say(&self, _message: String) -> Result<(), StoreError> {
        Ok(())
    }

    /// What is said by processes that use this store, from now on; `None` where there can be no
    /// others. One listener hears it.
    fn overheard(&self) -> Option<mpsc::Receiver<Overheard>> {
        None
    }

    /// From now on a person's first submission claims that person for `window`, and what a later one
    /// says is added to the lead or not, as in [`Options`]. A claim that holds ends as it was to end.
    fn change_dedup(&self, window: Duration, comments: bool);

    /// Finishes what was begun and closes. Later calls answer [`StoreError::Unavailable`].
    async fn close(&self);
}
