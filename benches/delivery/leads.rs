//! A backlog: leads that wait, and the store that they are in.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leadgate::config::RedisUrl;
use leadgate::delivery::Composer;
use leadgate::lead::{Clock, DestinationId, SubmissionId};
use leadgate::store::redis::Redis;
use leadgate::store::sqlite::Sqlite;
use leadgate::store::{self, Lease, Store, Task, Work};

use crate::form;

/// Admitted by one call.
const BATCH: u32 = 500;

/// The store of one round: sealed, and without anything in it.
pub async fn open(folder: &Path, redis: Option<String>) -> Arc<dyn Store> {
    let options = store::Options {
        dedup_window: Duration::from_secs(30 * 24 * 3600),
        idempotency_window: Duration::from_secs(72 * 3600),
        comments: true,
        secrets: vec!["the secret of a benchmark, long enough".to_owned().into()],
    };
    match redis {
        Some(url) => Arc::new(Redis::open(&RedisUrl(url), options).await.unwrap()),
        None => Arc::new(Sqlite::open(&folder.join("leadgate.db"), options).unwrap()),
    }
}

/// Admits that many leads.
pub async fn admit(store: &dyn Store, lane: &DestinationId, count: u32) {
    let now = Clock::system().now();
    for first in (0..count).step_by(BATCH as usize) {
        let numbers = first..count.min(first + BATCH);
        store
            .admit(numbers.map(|number| form::admission(lane, number, now)).collect())
            .await
            .unwrap();
    }
}

/// The bodies that a lane sends for that many leads.
pub fn bodies(composer: &Composer, lane: &DestinationId, count: u32) -> Vec<Vec<u8>> {
    let body = |number| {
        let (lead, _) = form::lead(number);
        let now = Clock::system().now();
        let lease = Lease {
            lane: lane.clone(),
            id: SubmissionId::generate(),
            fence: 1,
            deadline: now.plus(Duration::from_secs(60)),
        };
        let work = Work {
            lease,
            task: Task::Create { joined: Vec::new() },
            source: "website".parse().unwrap(),
            received_at: now,
            trace_id: None,
            attempts: 0,
            lead,
        };
        serde_json::to_vec(&composer.compose(&work)).unwrap()
    };
    (0..count).map(body).collect()
}
