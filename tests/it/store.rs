//! A store without a gateway before it.

use std::sync::Arc;
use std::time::Duration;

use leadgate::config::{Config, StoreUrl};
use leadgate::lead::{DestinationId, Identity, Lead, Phone, SubmissionId, Timestamp};
use leadgate::store::redis::Redis;
use leadgate::store::sqlite::Sqlite;
use leadgate::store::{Admission, Content, Options, Store};

/// The store that a gateway with this configuration opens.
pub async fn open(config: &Config) -> Arc<dyn Store> {
    let hour = Duration::from_secs(3600);
    let options =
        Options { dedup_window: hour, idempotency_window: hour, comments: true, secrets: vec![] };
    match &config.store.url {
        StoreUrl::Sqlite(path) => Arc::new(Sqlite::open(path, options).unwrap()),
        StoreUrl::Redis(url) => Arc::new(Redis::open(url, options).await.unwrap()),
    }
}

/// The lead of somebody who has not come before: each number is another person.
pub fn newcomer(number: u32, lane: &DestinationId, received_at: Timestamp) -> Admission {
    let phone: Phone = format!("+8490{number:07}").parse().unwrap();
    Admission {
        id: SubmissionId::generate(),
        source: "website".parse().unwrap(),
        destination: lane.clone(),
        received_at,
        trace_id: None,
        external_id: None,
        idempotency: None,
        content: Content::Lead {
            identities: vec![Identity::Phone(phone.clone())],
            lead: Lead { phone: Some(phone), ..Lead::default() },
        },
    }
}
