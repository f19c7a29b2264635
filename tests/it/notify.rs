//! Outcome signals end to end: what an operator's receiver gets, and when.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use leadgate::config::{Config, HookUrl, Notify, NotifyEvent, SigningKey};
use leadgate::lead::{Clock, Hand};
use leadgate::sandbox::{Options, Route};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::{Backing, CareSoft, Gateway, configuration, eventually};
use crate::receiver::{Post, Receiver, Reply};

const MISCONFIGURED: &str = r#"leadgate_lane_state{destination="main",state="misconfigured"}"#;

const KEYS: [&[u8]; 2] = [b"the new key of the test", b"the old key of the test"];

/// Tells `receiver` everything.
fn notifying(config: &mut Config, receiver: &Receiver) {
    config.notify = Some(Notify {
        url: HookUrl(receiver.url().parse().unwrap()),
        keys: KEYS.map(|key| SigningKey(key.to_vec().into())).into(),
        events: NotifyEvent::ALL.into(),
        silent_after: None,
        timeout: Duration::from_secs(10),
    });
}

/// A gateway that tells `receiver`, by a clock with a hand.
async fn gateway(
    store: &Backing,
    caresoft: &CareSoft,
    receiver: &Receiver,
    silent_after: Option<Duration>,
) -> (Gateway, Clock, Hand) {
    let folder = TempDir::new().unwrap();
    let mut config = configuration(store, &folder, caresoft.address, "");
    notifying(&mut config, receiver);
    config.notify.as_mut().unwrap().silent_after = silent_after;
    let (clock, hand) = Clock::with_hand();
    (Gateway::run_by(clock.clone(), &config, folder).await, clock, hand)
}

/// The first post of that type, once it has come.
async fn told(receiver: &Receiver, event: &str) -> Post {
    let post = eventually(event, || async { receiver.posts_of(event).into_iter().next() }).await;
    for key in KEYS {
        assert!(post.is_signed_with(key), "each key signs: {post:?}");
    }
    assert!(!post.is_signed_with(b"another key"));
    post
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_created_lead_is_told_of_without_the_person() {
    let (caresoft, receiver) = (CareSoft::start(Options::default()), Receiver::start([]));
    let (gateway, _, _) = gateway(&Backing::Sqlite, &caresoft, &receiver, None).await;
    let form = json!({
        "ho_ten": "Nguyễn Văn Thử", "phone": "0900000001", "email": "thu@example.vn",
        "message": "gọi lại giúp", "id": "form-entry-77",
    });
    let id = gateway.submit(form).await;
    let record = gateway.settled(&id, &["created"]).await;
    let post = told(&receiver, "lead.created").await;
    assert_eq!(keys(&post.body), ["type", "timestamp", "data"]);
    let data = &post.body["data"];
    assert_eq!(
        keys(data),
        ["id", "source", "destination", "state", "received_at", "settled_at", "upstream"]
    );
    for key in ["id", "source", "destination", "state", "received_at", "settled_at", "upstream"] {
        assert_eq!(data[key], record[key], "{key}");
    }
    assert_eq!(post.body["timestamp"], data["settled_at"]);
    let sent = post.body.to_string();
    for personal in ["Thử", "900000001", "thu@", "giúp", "form-entry"] {
        assert!(!sent.contains(personal), "{personal} in {sent}");
    }
    let delivered = r#"leadgate_notifications_total{type="lead.created",outcome="delivered"}"#;
    eventually("it is counted", || async {
        (gateway.metric(delivered).await == 1.0).then_some(())
    })
    .await;
    gateway.stop().await;
    assert_eq!(receiver.posts().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_lead_is_told_of_with_the_reason() {
    let (caresoft, receiver) = (CareSoft::start(Options::default()), Receiver::start([]));
    let folder = TempDir::new().unwrap();
    let mut config = configuration(&Backing::Sqlite, &folder, caresoft.address, "");
    notifying(&mut config, &receiver);
    // CareSoft knows no such service.
    config.destinations.values_mut().next().unwrap().lead.service_id = Some(999_999);
    let gateway = Gateway::run(&config, folder).await;
    let id = gateway.submit(json!({ "phone": "0900000002" })).await;
    let record = gateway.settled(&id, &["dead"]).await;
    let data = told(&receiver, "lead.dead").await.body["data"].clone();
    assert_eq!((&data["id"], &data["state"]), (&json!(id), &json!("dead")));
    assert_eq!(data["reason"], record["reason"]);
    assert!(data["reason"].as_str().unwrap().contains("service_id"), "{data}");
    gateway.stop().await;
    assert_eq!(receiver.posts().len(), 1);
}

/// The token is revoked, and restored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_stops_and_goes_on_is_told_of_once() {
    let (caresoft, receiver) = (CareSoft::start(Options::default()), Receiver::start([]));
    let (gateway, _, hand) = gateway(&Backing::Sqlite, &caresoft, &receiver, None).await;
    caresoft.sandbox.swap_token("another");
    let id = gateway.submit(json!({ "phone": "0900000003" })).await;
    let stopped = told(&receiver, "lane.stopped").await;
    let data = &stopped.body["data"];
    assert_eq!((&data["destination"], &data["state"]), (&json!("main"), &json!("misconfigured")));
    assert!(data["until"].is_string(), "when it is looked again: {data}");

    let creates = || caresoft.sandbox.log().iter().filter(|e| e.route == Route::CreateLead).count();
    for probes in 1..=2 {
        hand.skip(Duration::from_secs(61));
        eventually("a probe is refused as well", || async {
            let is_closed = gateway.metric(MISCONFIGURED).await == 1.0;
            (creates() == 1 + probes && is_closed).then_some(())
        })
        .await;
    }
    caresoft.sandbox.swap_token(Options::default().token);
    hand.skip(Duration::from_secs(61));
    gateway.settled(&id, &["created"]).await;
    let resumed = told(&receiver, "lane.resumed").await;
    let expected = json!({ "destination": "main", "state": "open", "until": null });
    assert_eq!(resumed.body["data"], expected);
    told(&receiver, "lead.created").await;
    gateway.stop().await;
    let events: Vec<_> = receiver.posts().iter().map(|post| post.event().to_owned()).collect();
    let count = |event: &str| events.iter().filter(|found| *found == event).count();
    assert_eq!((count("lane.stopped"), count("lane.resumed")), (1, 1), "{events:?}");
}

/// Both see it; the one that was refused tells it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_replicas_one_tells_what_happened() {
    let (caresoft, receiver) = (CareSoft::start(Options::default()), Receiver::start([]));
    let redis = Backing::redis();
    let gateways = [(); 2].map(|()| gateway(&redis, &caresoft, &receiver, None));
    let gateways = join_all(gateways).await;
    let id = gateways[0].0.submit(json!({ "phone": "0900000004" })).await;
    gateways[1].0.settled(&id, &["created"]).await;
    caresoft.sandbox.swap_token("another");
    gateways[0].0.submit(json!({ "phone": "0900000005" })).await;
    for (gateway, ..) in &gateways {
        eventually("every replica has heard of it", || async {
            (gateway.metric(MISCONFIGURED).await == 1.0).then_some(())
        })
        .await;
    }
    told(&receiver, "lane.stopped").await;
    for (gateway, ..) in gateways {
        gateway.stop().await; // whatever was to be told is told
    }
    let mut events: Vec<_> = receiver.posts().iter().map(|post| post.event().to_owned()).collect();
    events.sort();
    assert_eq!(events, ["lane.stopped", "lead.created"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_falls_silent_is_told_of() {
    let (caresoft, receiver) = (CareSoft::start(Options::default()), Receiver::start([]));
    let hour = Duration::from_secs(3600);
    let (gateway, _, hand) = gateway(&Backing::Sqlite, &caresoft, &receiver, Some(hour)).await;
    let id = gateway.submit(json!({ "phone": "0900000006" })).await;
    let record = gateway.settled(&id, &["created"]).await;
    eventually("an hour and a look later", || async {
        hand.skip(Duration::from_secs(300));
        (!receiver.posts_of("source.silent").is_empty()).then_some(())
    })
    .await;
    let post = told(&receiver, "source.silent").await;
    let expected = json!({ "source": "website", "last_received_at": record["received_at"] });
    assert_eq!(post.body["data"], expected);
    gateway.stop().await;
    assert_eq!(receiver.posts_of("source.silent").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_at_first_is_told_again_under_the_same_id() {
    let caresoft = CareSoft::start(Options::default());
    let receiver = Receiver::start([Reply::Status(500), Reply::Status(503)]);
    let (gateway, clock, hand) = gateway(&Backing::Sqlite, &caresoft, &receiver, None).await;
    let id = gateway.submit(json!({ "phone": "0900000007" })).await;
    gateway.settled(&id, &["created"]).await;
    eventually("the third try", || async {
        if let Some(next) = hand.next() {
            hand.skip(next.since(clock.now()));
        }
        (receiver.posts_of("lead.created").len() == 3).then_some(())
    })
    .await;
    let posts = receiver.posts_of("lead.created");
    for post in &posts {
        assert!(post.is_signed_with(KEYS[0]), "each try is signed anew");
        assert_eq!((&post.id, &post.body), (&posts[0].id, &posts[0].body));
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_never_answers_slows_no_lead_down() {
    const LEADS: u32 = 30;
    let fast = Options { rate_per_second: 1000, rate_per_hour: 3_600_000, ..Options::default() };
    let caresoft = CareSoft::start(fast);
    let receiver = Receiver::start(vec![Reply::Never; LEADS as usize]);
    let folder = TempDir::new().unwrap();
    let mut config = configuration(&Backing::Sqlite, &folder, caresoft.address, "");
    notifying(&mut config, &receiver);
    config.destinations.values_mut().next().unwrap().rate.per_second = 200.try_into().unwrap();
    let gateway = Gateway::run(&config, folder).await;
    let began = Instant::now();
    for number in 0..LEADS {
        gateway.submit(json!({ "phone": format!("09000001{number:02}") })).await;
    }
    eventually("every lead is created", || async {
        (caresoft.sandbox.leads().len() == LEADS as usize).then_some(())
    })
    .await;
    // One post alone may take ten seconds, and all of them are still under way or wait.
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    let delivered = r#"leadgate_notifications_total{type="lead.created",outcome="delivered"}"#;
    assert_eq!(gateway.metric(delivered).await, 0.0);
    gateway.assert_ledger_sums().await;
    let began = Instant::now();
    gateway.stop().await;
    assert!(began.elapsed() < Duration::from_secs(9), "a stop waits {:?}", began.elapsed());
}
