//! A store whose changes are told: everything that goes through it here, whoever asked for it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use super::changes::{Change, Changes};
use super::{
    Admission, Content, Depth, Health, Lease, Leased, Ledger, Match, Notices, Outcome, Overheard,
    PaceRule, Paced, Page, Query, Replayed, Retention, Settled, SharedGate, SpoolState, Store,
    StoreError, Verdict, Wanted,
};
use crate::lead::{
    DestinationId, Event, Identity, RawBody, Record, SourceId, State, SubmissionId, Timestamp,
};

/// See the module's words. Where nobody reads, a call costs one look at a flag.
pub struct Watched {
    store: Arc<dyn Store>,
    changes: Changes,
}

/// What is told of an admission, once it is decided.
pub(super) struct Arrival {
    id: SubmissionId,
    source: SourceId,
    destination: DestinationId,
    at: Timestamp,
}

impl Arrival {
    pub(super) fn of(admission: &Admission) -> Self {
        Self {
            id: admission.id,
            source: admission.source.clone(),
            destination: admission.destination.clone(),
            at: admission.received_at,
        }
    }

    /// The change that a verdict means; a repeated delivery is none.
    pub(super) fn decided(self, verdict: &Verdict) -> Option<Change> {
        let (event, state) = match verdict {
            Verdict::Accepted => ("accepted", State::Pending),
            Verdict::Merged { .. } => ("merged", State::Merged),
            Verdict::Quarantined => ("quarantined", State::Quarantined),
            Verdict::Test => ("test", State::Test),
            Verdict::Deleted => ("erased", State::Erased),
            Verdict::Spooled => ("spooled", State::Pending),
            Verdict::Repeated { .. } => return None,
        };
        let Self { id, source, destination, at } = self;
        Some(Change { id, state, event: event.into(), outcome: None, source, destination, at })
    }
}

impl Watched {
    /// Tells `changes` of what `store` does.
    pub fn new(store: Arc<dyn Store>, changes: Changes) -> Self {
        Self { store, changes }
    }

    /// Who may be about to change: the records that any of these name.
    async fn named(&self, matching: Vec<Match>) -> Vec<Record> {
        let query = Query { matching, limit: Query::LIMIT_MAX, ..Query::default() };
        self.store.list(query).await.map(|page| page.records).unwrap_or_default()
    }

    /// Tells the last line of a record's history, if it was written at `since` or later.
    async fn tell_last(&self, id: SubmissionId, since: Timestamp) {
        let Ok(Some(record)) = self.store.find(id).await else { return };
        let Some(last) = record.history.last().filter(|last| last.at >= since) else { return };
        self.changes.tell(change(&record, last));
    }

    /// Tells that a lease has ended so.
    async fn tell_settled(&self, id: SubmissionId, event: &Event) {
        if let Ok(Some(record)) = self.store.find(id).await {
            self.changes.tell(change(&record, event));
        }
    }
}

fn change(record: &Record, event: &Event) -> Change {
    Change {
        id: record.id,
        state: record.state,
        event: event.event.clone(),
        outcome: event.outcome.clone(),
        source: record.source.clone(),
        destination: record.destination.clone(),
        at: event.at,
    }
}

#[async_trait]
impl Store for Watched {
    async fn admit(&self, batch: Vec<Admission>) -> Result<Vec<Verdict>, StoreError> {
        if !self.changes.is_awake() {
            return self.store.admit(batch).await;
        }
        let arrivals: Vec<_> = batch.iter().map(Arrival::of).collect();
        let mut deleted = Vec::new();
        for admission in &batch {
            let Content::Deletion = admission.content else { continue };
            let Some(external) = admission.external_id.clone() else { continue };
            let named = self.named(vec![Match::ExternalId(external)]).await;
            let theirs = named.into_iter().filter(|record| record.source == admission.source);
            deleted.extend(theirs.map(|record| (record.id, admission.received_at)));
        }
        let verdicts = self.store.admit(batch).await?;
        let decided = arrivals.into_iter().zip(&verdicts);
        decided.filter_map(|(one, verdict)| one.decided(verdict)).for_each(|change| {
            self.changes.tell(change);
        });
        for (id, at) in deleted {
            self.tell_last(id, at).await;
        }
        Ok(verdicts)
    }

    async fn settle(
        &self,
        lease: &Lease,
        now: Timestamp,
        outcome: Outcome,
        event: Event,
    ) -> Result<Settled, StoreError> {
        if !self.changes.is_awake() {
            return self.store.settle(lease, now, outcome, event).await;
        }
        // One that had joined a dead lead may become a lead itself.
        let joined = match &outcome {
            Outcome::Dead { .. } => self.named(vec![Match::Id(lease.id)]).await,
            _ => Vec::new(),
        };
        let settled = self.store.settle(lease, now, outcome, event.clone()).await?;
        if settled == Settled::Done {
            self.tell_settled(lease.id, &event).await;
            for record in joined.iter().filter(|record| record.id != lease.id) {
                self.tell_last(record.id, now).await;
            }
        }
        Ok(settled)
    }

    async fn fill(
        &self,
        lease: &Lease,
        now: Timestamp,
        content: Content,
        event: Event,
    ) -> Result<Settled, StoreError> {
        let at = event.at.min(now);
        let filled = self.store.fill(lease, now, content, event).await?;
        if filled == Settled::Done && self.changes.is_awake() {
            self.tell_last(lease.id, at).await;
        }
        Ok(filled)
    }

    async fn expire_leases(&self, now: Timestamp) -> Result<u64, StoreError> {
        let expired = self.store.expire_leases(now).await?;
        if expired > 0 && self.changes.is_awake() {
            let states = vec![State::Unknown];
            let query = Query { states, limit: Query::LIMIT_MAX, ..Query::default() };
            let unknown = self.store.list(query).await.map(|page| page.records);
            for record in unknown.unwrap_or_default() {
                self.tell_last(record.id, now).await;
            }
        }
        Ok(expired)
    }

    async fn replay(
        &self,
        id: SubmissionId,
        now: Timestamp,
        content: Option<Content>,
    ) -> Result<Replayed, StoreError> {
        let replayed = self.store.replay(id, now, content).await?;
        let is_done = !matches!(replayed, Replayed::Refused(_) | Replayed::Missing);
        if is_done && self.changes.is_awake() {
            self.tell_last(id, now).await;
        }
        Ok(replayed)
    }

    async fn forget(&self, identities: Vec<Identity>, now: Timestamp) -> Result<u64, StoreError> {
        let known = match self.changes.is_awake() {
            true => self.named(identities.iter().cloned().map(Match::Identity).collect()).await,
            false => Vec::new(),
        };
        let erased = self.store.forget(identities, now).await?;
        for record in known {
            self.tell_last(record.id, now).await;
        }
        Ok(erased)
    }

    async fn erase(&self, id: SubmissionId, now: Timestamp) -> Result<bool, StoreError> {
        let known = match self.changes.is_awake() {
            true => self.named(vec![Match::Id(id)]).await, // with whoever may go on in its place
            false => Vec::new(),
        };
        let erased = self.store.erase(id, now).await?;
        for record in known {
            self.tell_last(record.id, now).await;
        }
        Ok(erased)
    }

    async fn lease(
        &self,
        lane: &DestinationId,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Leased, StoreError> {
        self.store.lease(lane, wanted, now).await
    }

    async fn lease_notices(
        &self,
        lane: &DestinationId,
        max: usize,
        term: Duration,
        now: Timestamp,
    ) -> Result<Notices, StoreError> {
        self.store.lease_notices(lane, max, term, now).await
    }

    async fn pace(
        &self,
        lane: &DestinationId,
        rule: &PaceRule,
        gate: u64,
    ) -> Result<Paced, StoreError> {
        self.store.pace(lane, rule, gate).await
    }

    async fn gate(&self, lane: &DestinationId) -> Result<SharedGate, StoreError> {
        self.store.gate(lane).await
    }

    async fn move_gate(
        &self,
        lane: &DestinationId,
        from: u64,
        state: String,
    ) -> Result<SharedGate, StoreError> {
        self.store.move_gate(lane, from, state).await
    }

    async fn body(&self, id: SubmissionId) -> Result<Option<RawBody>, StoreError> {
        self.store.body(id).await
    }

    async fn find(&self, id: SubmissionId) -> Result<Option<Record>, StoreError> {
        self.store.find(id).await
    }

    async fn list(&self, query: Query) -> Result<Page, StoreError> {
        self.store.list(query).await
    }

    async fn ledger(&self) -> Result<Ledger, StoreError> {
        self.store.ledger().await
    }

    async fn depth(&self, lane: &DestinationId) -> Result<Depth, StoreError> {
        self.store.depth(lane).await
    }

    async fn sweep(
        &self,
        now: Timestamp,
        retention: &Retention,
        limit: usize,
    ) -> Result<u64, StoreError> {
        self.store.sweep(now, retention, limit).await
    }

    fn kind(&self) -> &'static str {
        self.store.kind()
    }

    async fn health(&self) -> Result<Health, StoreError> {
        self.store.health().await
    }

    fn spool(&self) -> Option<SpoolState> {
        self.store.spool()
    }

    fn arrivals(&self) -> watch::Receiver<u64> {
        self.store.arrivals()
    }

    async fn say(&self, message: String) -> Result<(), StoreError> {
        self.store.say(message).await
    }

    fn overheard(&self) -> Option<mpsc::Receiver<Overheard>> {
        self.store.overheard()
    }

    fn change_dedup(&self, window: Duration, comments: bool) {
        self.store.change_dedup(window, comments);
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
