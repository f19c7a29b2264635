//! `GET /api/events`.

use std::collections::BTreeSet;

use leadgate::sandbox::Options;
use reqwest::Response;
use serde_json::{Value, json};

use crate::fleet::{Replica, appending, fast};
use crate::gateway::{ADMIN_TOKEN, Backing, CareSoft, Gateway, http_client, over_every_store};

over_every_store!(
    every_change_is_told_as_it_happens_and_names_nobody,
    who_comes_back_is_told_what_was_missed,
);

/// One event.
#[derive(Debug)]
struct Frame {
    id: String,
    event: String,
    data: Value,
}

impl Frame {
    fn of(text: &str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        Some(Self {
            id: field("id: ")?.to_owned(),
            event: field("event: ")?.to_owned(),
            data: serde_json::from_str(field("data: ")?).expect("JSON"),
        })
    }
}

/// Events as they come.
struct Events {
    response: Response,
    text: String,
}

impl Events {
    /// Asks `admin`; the first event is there already.
    async fn of(admin: impl std::fmt::Display, after: Option<&str>) -> (Self, Frame) {
        let request = http_client().get(format!("http://{admin}/api/events"));
        let request = request.bearer_auth(ADMIN_TOKEN);
        let request = after.iter().fold(request, |all, id| all.header("Last-Event-ID", *id));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut events = Self { response, text: String::new() };
        let first = events.next().await.expect("a first event");
        (events, first)
    }

    /// The next event; `None` at the stream's end.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (frame, rest) = (Frame::of(frame), rest.to_owned());
                self.text = rest;
                match frame {
                    Some(frame) => return Some(frame),
                    None => continue, // a heartbeat
                }
            }
            let more = self.response.chunk().await.ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&more).expect("text"));
        }
    }

    /// The next change of a submission to a state.
    async fn until(&mut self, id: &str, state: &str) -> Frame {
        loop {
            let frame = self.next().await.expect("the stream goes on");
            if frame.data["id"] == id && frame.data["state"] == state {
                return frame;
            }
        }
    }
}

async fn every_change_is_told_as_it_happens_and_names_nobody(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let more = r#"
[sources.unlucky]
preset = "web-form"
destination = "main"
invalid = "quarantine"
lead = { service_id = 999999 } # CareSoft knows no such service
"#;
    let gateway = Gateway::over(&store, &caresoft, more).await;
    let (mut events, ready) = Events::of(gateway.admin, None).await;
    assert_eq!((ready.event.as_str(), &ready.data), ("ready", &json!({})));
    let person = json!({"name": "Nguyễn Thị Bí Mật", "phone": "0900000001"});
    let id = gateway.submit(person.clone()).await;
    let accepted = events.until(&id, "pending").await;
    let told = &accepted.data;
    assert_eq!(
        (accepted.event.as_str(), &told["event"], &told["source"], &told["destination"]),
        ("change", &json!("accepted"), &json!("website"), &json!("main"))
    );
    let created = events.until(&id, "created").await;
    assert_eq!(
        (&created.data["event"], &created.data["outcome"]),
        (&json!("attempt"), &json!("created"))
    );
    let keys: BTreeSet<&str> =
        created.data.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["at", "destination", "event", "id", "outcome", "source", "state"];
    assert_eq!(keys, expected.into(), "and nothing of a person");

    let again = gateway.submit(person).await;
    assert_eq!(events.until(&again, "merged").await.data["event"], "merged");
    let unlucky = async |body: Value| {
        let post = gateway.http.post(gateway.url("/in/unlucky")).json(&body).send().await;
        crate::gateway::id_of(post.unwrap()).await
    };
    let quarantined = unlucky(json!({"name": "Thử"})).await;
    events.until(&quarantined, "quarantined").await;
    let dead = unlucky(json!({"phone": "0900000002"})).await;
    assert_eq!(events.until(&dead, "dead").await.data["outcome"], "dead");
    gateway.admin_post(&format!("/api/leads/{dead}/replay"), json!({})).await;
    assert_eq!(events.until(&dead, "pending").await.data["event"], "replayed");
    events.until(&dead, "dead").await;
    let forgotten = gateway.admin_post("/api/forget", json!({"phone": "0900 000 001"})).await;
    let answer: Value = forgotten.json().await.unwrap();
    assert_eq!((&answer["erased"], &answer["receipt"]["submissions"]), (&json!(2), &json!(2)));
    let mut erased = BTreeSet::new();
    while erased.len() < 2 {
        let frame = events.next().await.unwrap();
        assert_eq!(
            (&frame.data["state"], &frame.data["event"]),
            (&json!("erased"), &json!("erased"))
        );
        erased.insert(frame.data["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(erased, [id, again].into());
    gateway.stop().await;
    while events.next().await.is_some() {} // it ends with the gateway
}

async fn who_comes_back_is_told_what_was_missed(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::over(&store, &caresoft, "").await;
    let (mut events, _) = Events::of(gateway.admin, None).await;
    let first = gateway.submit(json!({"phone": "0900000001"})).await;
    let seen = events.until(&first, "created").await;
    drop(events);
    let missed = gateway.submit(json!({"phone": "0900000002"})).await;
    gateway.settled(&missed, &["created"]).await;
    let (mut back, ready) = Events::of(gateway.admin, Some(&seen.id)).await;
    assert_eq!((ready.event.as_str(), &ready.id), ("ready", &seen.id));
    assert_eq!(back.next().await.unwrap().data["id"], json!(missed));
    back.until(&missed, "created").await;
    for unknown in ["0.0", "x", ""] {
        let (_, gap) = Events::of(gateway.admin, Some(unknown)).await;
        assert_eq!(gap.event, "gap", "{unknown}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn no_more_than_so_many_read_at_once() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let mut reading = Vec::new();
    for _ in 0..leadgate::store::changes::READERS_MAX {
        reading.push(Events::of(gateway.admin, None).await);
    }
    assert_eq!(gateway.admin_get("/api/events").await.status(), 503);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_replica_does_is_told_as_well() {
    let (redis, caresoft) = (appending(), fast());
    let [here, there] = Replica::two(&redis.url(), &caresoft, 100).await;
    let (mut events, _) = Events::of(here.served.admin, None).await;
    // The other one hears that somebody reads here within a moment: posts until it has.
    let http = http_client();
    let mut posted = BTreeSet::new();
    let mut number = 0;
    let heard = loop {
        let body = json!({"phone": format!("09000{number:05}")});
        number += 1;
        let post = http.post(there.endpoint()).json(&body).send().await.unwrap();
        posted.insert(crate::gateway::id_of(post).await);
        let next = tokio::time::timeout(std::time::Duration::from_millis(200), events.next());
        let Ok(Some(frame)) = next.await else { continue };
        if frame.data["event"] == "accepted" {
            break frame;
        }
    };
    let id = heard.data["id"].as_str().unwrap().to_owned();
    assert!(posted.contains(&id), "{heard:?}");
    assert_eq!(events.until(&id, "created").await.data["destination"], "main");
}
