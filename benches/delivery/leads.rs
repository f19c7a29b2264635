//! A backlog: the leads of landing pages, each of another person, and the store that they are in.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leadgate::config::RedisUrl;
use leadgate::delivery::Composer;
use leadgate::lead::{
    Attribution, Clock, DestinationId, Identity, Lead, Phone, SubmissionId, Timestamp,
};
use leadgate::store::redis::Redis;
use leadgate::store::sqlite::Sqlite;
use leadgate::store::{self, Admission, Content, Lease, Store, Task, Work};

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
        store.admit(numbers.map(|number| admission(lane, number, now)).collect()).await.unwrap();
    }
}

/// The bodies that a lane sends for that many leads.
pub fn bodies(composer: &Composer, lane: &DestinationId, count: u32) -> Vec<Vec<u8>> {
    let body = |number| {
        let (lead, _) = lead(number);
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

fn admission(lane: &DestinationId, number: u32, received_at: Timestamp) -> Admission {
    let (lead, identities) = lead(number);
    Admission {
        id: SubmissionId::generate(),
        source: "website".parse().unwrap(),
        destination: lane.clone(),
        received_at,
        trace_id: None,
        external_id: None,
        idempotency: None,
        content: Content::Lead { lead, identities },
    }
}

/// A form as a landing page sends it.
fn lead(number: u32) -> (Lead, Vec<Identity>) {
    let phone: Phone = format!("+849{number:08}").parse().unwrap();
    let email = format!("nguyen.van.thu.{number}@example.vn");
    let page = "https://shop.example.vn/du-an/can-ho?utm_source=facebook&utm_medium=cpc&utm_campaign=tet-2027";
    let utm = [("source", "facebook"), ("medium", "cpc"), ("campaign", "tet-2027")];
    let lead = Lead {
        name: Some(format!("Nguyễn Văn Thử {number}")),
        phone: Some(phone.clone()),
        email: Some(email.clone()),
        message: Some("Tôi muốn được tư vấn về căn hộ hai phòng ngủ.".into()),
        ref_url: Some(page.into()),
        attribution: Attribution {
            page_url: Some(page.into()),
            utm: utm.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..Attribution::default()
        },
        fields: [("so_dien_thoai".to_owned(), format!("09{number:08}"))].into(),
        ..Lead::default()
    };
    (lead, vec![Identity::Phone(phone), Identity::Email(email)])
}
