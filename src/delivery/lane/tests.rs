//! How an outcome is written down when the store is away.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::caresoft::Client;
use crate::config;
use crate::lead::{Event, Identity, Lead, RawBody, Record, State, SubmissionId, Upstream};
use crate::store::sqlite::Sqlite;
use crate::store::{
    Admission, Content, Depth, Health, Lease, Leased, Ledger, Notices, Options, Outcome, PaceRule,
    Paced, Page, Query, Replayed, Retention, Settled, SharedGate, Verdict, Work,
};

const LEASED_AT: Timestamp = Timestamp::from_millis(1_795_425_302_000);
const TERM: Duration = Duration::from_secs(25);
const WANTED: Wanted = Wanted { max: 1, chores: 1, create_term: TERM, chore_term: TERM };
const MINUTE: Duration = Duration::from_secs(60);

/// A store that nothing is written down in until a moment.
struct AwayUntil(Timestamp, Sqlite);

#[async_trait]
impl Store for AwayUntil {
    async fn settle(
        &self,
        lease: &Lease,
        now: Timestamp,
        outcome: Outcome,
        event: Event,
    ) -> Result<Settled, StoreError> {
        if now < self.0 {
            return Err(StoreError::Unavailable("away".into()));
        }
        self.1.expire_leases(now).await?; // as housekeeping does as soon as it can
        self.1.settle(lease, now, outcome, event).await
    }

    async fn admit(&self, batch: Vec<Admission>) -> Result<Vec<Verdict>, StoreError> {
        self.1.admit(batch).await
    }

    async fn lease(
        &self,
        lane: &DestinationId,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Leased, StoreError> {
        self.1.lease(lane, wanted, now).await
    }

    async fn body(&self, id: SubmissionId) -> Result<Option<RawBody>, StoreError> {
        self.1.body(id).await
    }

    async fn find(&self, id: SubmissionId) -> Result<Option<Record>, StoreError> {
        self.1.find(id).await
    }

    async fn lease_notices(
        &self,
        lane: &DestinationId,
        max: usize,
        term: Duration,
        now: Timestamp,
    ) -> Result<Notices, StoreError> {
        self.1.lease_notices(lane, max, term, now).await
    }

    async fn fill(
        &self,
        lease: &Lease,
        now: Timestamp,
        content: Content,
        event: Event,
    ) -> Result<Settled, StoreError> {
        self.1.fill(lease, now, content, event).await
    }

    async fn expire_leases(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.1.expire_leases(now).await
    }

    async fn pace(
        &self,
        lane: &DestinationId,
        rule: &PaceRule,
        gate: u64,
    ) -> Result<Paced, StoreError> {
        self.1.pace(lane, rule, gate).await
    }

    async fn gate(&self, lane: &DestinationId) -> Result<SharedGate, StoreError> {
        self.1.gate(lane).await
    }

    async fn move_gate(
        &self,
        lane: &DestinationId,
        from: u64,
        state: String,
    ) -> Result<SharedGate, StoreError> {
        self.1.move_gate(lane, from, state).await
    }

    async fn list(&self, query: Query) -> Result<Page, StoreError> {
        self.1.list(query).await
    }

    async fn ledger(&self) -> Result<Ledger, StoreError> {
        self.1.ledger().await
    }

    async fn depth(&self, lane: &DestinationId) -> Result<Depth, StoreError> {
        self.1.depth(lane).await
    }

    async fn replay(
        &self,
        id: SubmissionId,
        now: Timestamp,
        content: Option<Content>,
    ) -> Result<Replayed, StoreError> {
        self.1.replay(id, now, content).await
    }

    async fn forget(&self, identities: Vec<Identity>, now: Timestamp) -> Result<u64, StoreError> {
        self.1.forget(identities, now).await
    }

    async fn erase(&self, id: SubmissionId, now: Timestamp) -> Result<bool, StoreError> {
        self.1.erase(id, now).await
    }

    async fn sweep(
        &self,
        now: Timestamp,
        retention: &Retention,
        limit: usize,
    ) -> Result<u64, StoreError> {
        self.1.sweep(now, retention, limit).await
    }

    fn kind(&self) -> &'static str {
        self.1.kind()
    }

    async fn health(&self) -> Result<Health, StoreError> {
        self.1.health().await
    }

    fn arrivals(&self) -> watch::Receiver<u64> {
        self.1.arrivals()
    }

    fn change_dedup(&self, window: Duration, comments: bool) {
        self.1.change_dedup(window, comments);
    }

    async fn close(&self) {
        self.1.close().await;
    }
}

/// A lane that has leased one record from a store that is away until then, by a clock that passes
/// when a test says so.
async fn leased(away_until: Timestamp) -> (Lane, Work, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        dedup_window: MINUTE,
        idempotency_window: MINUTE,
        comments: true,
        secrets: vec![],
    };
    let sqlite = Sqlite::open(&folder.path().join("leads.db"), options).unwrap();
    let store: Arc<dyn Store> = Arc::new(AwayUntil(away_until, sqlite));
    let text = "[admin]\ntoken = \"token-of-a-test\"\n[destinations.main]\ndomain = \"sandbox\"\n\
                token = \"token\"\nlead = { service_id = 1244 }\n";
    let parsed = config::parse(text, "test.toml", &config::MapEnvironment::default(), &[]);
    let destination = parsed.unwrap().config.destinations.pop_first().unwrap().1;
    let client = Client::new(&destination).unwrap();
    let hosts = Hosts::new(client, None, MINUTE);
    let sources = BTreeMap::new();
    let composer = Composer::new(&destination, &sources, config::PhoneOutput::E164).unwrap();
    let began = Instant::now();
    let clock = Clock::from_fn(move || LEASED_AT.plus(began.elapsed()));
    let id: DestinationId = "main".parse().unwrap();
    let metrics = Arc::default();
    let lane =
        Lane::new(id.clone(), &destination, hosts, composer, Arc::clone(&store), metrics, clock);

    let phone: crate::lead::Phone = "+84900000001".parse().unwrap();
    let admission = Admission {
        id: SubmissionId::generate(),
        source: "website".parse().unwrap(),
        destination: id.clone(),
        received_at: LEASED_AT,
        trace_id: None,
        external_id: None,
        idempotency: None,
        content: Content::Lead {
            identities: vec![Identity::Phone(phone.clone())],
            lead: Lead { phone: Some(phone), ..Lead::default() },
        },
    };
    store.admit(vec![admission]).await.unwrap();
    let work = store.lease(&id, WANTED, LEASED_AT).await.unwrap().work.remove(0);
    (lane, work, folder)
}

fn created() -> Outcome {
    Outcome::Created(Upstream { lead_id: 7, requester_id: None })
}

async fn settle(lane: &Lane, work: &Work, outcome: Outcome) -> (Option<Settled>, State) {
    let settled = lane.settle(work, outcome, Event::plain(LEASED_AT, "attempt")).await;
    lane.store.expire_leases(lane.clock.now().plus(MINUTE)).await.unwrap();
    (settled, lane.store.find(work.lease.id).await.unwrap().unwrap().state)
}

/// A lead that was made is one, however long it takes to write that down.
#[tokio::test(start_paused = true)]
async fn created_is_written_down_even_after_the_lease() {
    let back = LEASED_AT.plus(TERM + MINUTE * 9);
    let (lane, work, _folder) = leased(back).await;
    let settled = settle(&lane, &work, created()).await;
    assert_eq!(settled, (Some(Settled::Done), State::Created));
    assert!(lane.clock.now().since(back) <= Duration::from_secs(5), "soon after it is back");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_away_is_given_up() {
    for (outcome, kept) in [
        (created(), MINUTE * 10),
        (Outcome::Postponed { due: LEASED_AT }, Duration::ZERO),
        (Outcome::Dead { reason: "refused".into() }, Duration::ZERO),
    ] {
        let (lane, work, _folder) = leased(LEASED_AT.plus(MINUTE * 60)).await;
        let word = outcome.word();
        assert_eq!(settle(&lane, &work, outcome).await, (None, State::Unknown), "{word}");
        let tried = lane.clock.now().since(work.lease.deadline);
        assert!((kept..=kept + Duration::from_secs(5)).contains(&tried), "{word}: {tried:?}");
    }
}
