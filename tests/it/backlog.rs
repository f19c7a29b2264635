//! What waits behind what: a fresh lead passes a long backlog, and one that cannot be made holds
//! nobody up.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::join_all;
use leadgate::lead::{Clock, DestinationId, Event};
use leadgate::sandbox::Options;
use leadgate::store::{Outcome, Settled, Store, Wanted};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::{
    Backing, CareSoft, Gateway, configuration, eventually, http_client, over_every_store,
};
use crate::store::{newcomer, open};
use crate::stub::{Stub, locked};

over_every_store!(
    invariant_7_a_fresh_lead_passes_a_backlog_of_60_000,
    a_lead_that_cannot_be_made_is_given_up_and_holds_nobody_up,
);

const BACKLOG: u32 = 60_000;

/// Admitted and leased by one call: the most that a store gives out at once, or more.
const BATCH: u32 = 1000;

/// The pace of the issue: CareSoft's own limit is 15.
const PER_SECOND: u32 = 12;

/// A fresh lead is at CareSoft after so long, whatever waits.
const FRESH_MAX: Duration = Duration::from_secs(2);

/// Requests that may reach CareSoft between a fresh lead's 202 and the lead: one that waits for its
/// place already, one that was leased meanwhile, and the one in four that is a later one's.
const BEFORE_FRESH_MAX: usize = 4;

/// Leaves that many leads in the lane that were tried once, and are due.
async fn leave_behind(store: &dyn Store, lane: &DestinationId, count: u32) {
    let now = Clock::system().now();
    for first in (0..count).step_by(BATCH as usize) {
        let batch = (first..count.min(first + BATCH)).map(|number| newcomer(number, lane, now));
        store.admit(batch.collect()).await.unwrap();
    }
    let minute = Duration::from_secs(60);
    let wanted = Wanted { max: BATCH as usize, chores: 0, create_term: minute, chore_term: minute };
    let due = now.plus(Duration::from_millis(1)); // not before all of them were tried
    let mut tried = 0;
    while tried < count as usize {
        let leased = store.lease(lane, wanted, now).await.unwrap().work;
        assert!(!leased.is_empty(), "{tried} were tried, and no more are there");
        let settled = leased.iter().map(|work| {
            let event = Event::plain(now, "attempt");
            store.settle(&work.lease, now, Outcome::Retry { due }, event)
        });
        let settled = join_all(settled).await;
        assert!(settled.into_iter().all(|settled| settled.unwrap() == Settled::Done));
        tried += leased.len();
    }
}

/// The order in CareSoft's log is the proof; the two seconds are what it is for.
async fn invariant_7_a_fresh_lead_passes_a_backlog_of_60_000(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let mut config = configuration(&store, &folder, caresoft.address, "");
    let (lane, main) = config.destinations.iter_mut().next().unwrap();
    main.rate.per_second = PER_SECOND.try_into().unwrap();
    let lane = lane.clone();
    let began = Instant::now();
    let filled = open(&config).await;
    leave_behind(&*filled, &lane, BACKLOG).await;
    assert_eq!(filled.depth(&lane).await.unwrap().pending, u64::from(BACKLOG));
    filled.close().await;
    drop(filled);
    println!("{BACKLOG} are left behind after {:?}", began.elapsed());

    let gateway = Gateway::run(&config, folder).await;
    let worked_off = async |count: usize| {
        eventually("the backlog is worked off", || async {
            (caresoft.sandbox.log().len() >= count).then_some(())
        })
        .await;
    };
    worked_off(PER_SECOND as usize).await;
    for round in 1..=3 {
        let phone = format!("091000000{round}");
        gateway.submit(json!({ "phone": phone })).await;
        let (accepted, before) = (Instant::now(), caresoft.sandbox.log().len());
        let lead =
            eventually("the fresh lead is created", || async { caresoft.leads_of(&phone).pop() })
                .await;
        let log = caresoft.sandbox.log();
        let place = log.iter().position(|entry| entry.lead_id == Some(lead.id)).unwrap();
        let took = log[place].arrived.saturating_duration_since(accepted);
        let passed = place.saturating_sub(before);
        println!("round {round}: {took:?} after its 202, behind {passed} of the backlog");
        assert!(passed <= BEFORE_FRESH_MAX, "{passed} of the backlog went first");
        assert!(took < FRESH_MAX, "{took:?} after its 202");
        worked_off(log.len() + 4).await; // the backlog goes on
    }
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
    assert!(caresoft.sandbox.max_in_any_second() <= 15);
}

/// What stands before CareSoft and answers 500 to every create of one phone; all else passes.
struct Refuser(Stub<Passage>);

/// What [`Refuser`]'s handler knows.
struct Passage {
    http: reqwest::Client,
    behind: SocketAddr,
    phone: &'static str,
    refused: usize,
}

impl Refuser {
    fn start(behind: SocketAddr, phone: &'static str) -> Self {
        let passage = Passage { http: http_client(), behind, phone, refused: 0 };
        Self(Stub::start(passage, |app| {
            app.default_service(web::to(pass));
        }))
    }

    /// How many creates it has refused.
    fn refused(&self) -> usize {
        self.0.noted().refused
    }
}

async fn pass(
    request: HttpRequest,
    body: Bytes,
    passage: web::Data<Mutex<Passage>>,
) -> HttpResponse {
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (http, behind) = {
        let mut passage = locked(&passage);
        if request.method() == "POST" && said["lead"]["phone"] == passage.phone {
            passage.refused += 1;
            return HttpResponse::InternalServerError().body("<html>500</html>");
        }
        (passage.http.clone(), passage.behind)
    };
    let url = format!("http://{behind}{}", request.uri());
    let method = request.method().as_str().parse().unwrap();
    let mut passed = http.request(method, url).body(body.to_vec());
    for name in ["authorization", "content-type"] {
        if let Some(value) = request.headers().get(name) {
            passed = passed.header(name, value.as_bytes());
        }
    }
    let answer = passed.send().await.unwrap();
    let status = actix_web::http::StatusCode::from_u16(answer.status().as_u16()).unwrap();
    let body = answer.bytes().await.unwrap();
    HttpResponse::build(status).content_type("application/json").body(body)
}

/// CareSoft answers 500 to one person's creates for ever: it is looked for, sent again, and dead
/// once it is old enough and was tried often enough; everybody else's is made at the first attempt
/// meanwhile.
async fn a_lead_that_cannot_be_made_is_given_up_and_holds_nobody_up(store: Backing) {
    const GIVE_UP_AFTER: Duration = Duration::from_secs(120);
    let (clock, hand) = Clock::with_hand();
    let caresoft = CareSoft::start(Options { clock: clock.clone(), ..Options::default() });
    let refuser = Refuser::start(caresoft.address, "0900000001");
    let folder = TempDir::new().unwrap();
    let mut config = configuration(&store, &folder, refuser.0.address, "");
    config.destinations.values_mut().next().unwrap().retry.give_up_after = GIVE_UP_AFTER;
    let gateway = Gateway::run_by(clock.clone(), &config, folder).await;

    let began = clock.now();
    let poison = gateway.submit(json!({"phone": "0900000001"})).await;
    let mut others = 0;
    let dead = loop {
        let record = gateway.record(&poison).await;
        if record["state"] == "dead" {
            break record;
        }
        assert!(others < 500, "it is not given up: {record}");
        assert_made_at_once(&gateway, others).await;
        others += 1;
        hand.skip(Duration::from_secs(5)); // far less than a look's lease
    };
    let age = clock.now().since(began);
    println!("given up after {age:?}, {} creates; {others} others were made", refuser.refused());
    assert!(age >= GIVE_UP_AFTER, "{age:?}");
    assert!(dead["reason"].as_str().unwrap().starts_with("outcome unknown"), "{dead}");
    let sent = refuser.refused();
    assert!((2..=6).contains(&sent), "sent {sent} times");

    hand.skip(Duration::from_secs(7 * 3600)); // longer than any wait between two tries
    assert_made_at_once(&gateway, others).await;
    assert_eq!(refuser.refused(), sent, "it is over");
    assert_eq!(gateway.record(&poison).await["state"], "dead");
    assert!(caresoft.leads_of("0900000001").is_empty());
    assert_eq!(caresoft.sandbox.leads().len(), others + 1);
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

/// Another person's lead is accepted and made, at the first attempt.
async fn assert_made_at_once(gateway: &Gateway, number: usize) {
    let id = gateway.submit(json!({"phone": format!("0910000{number:03}")})).await;
    let record = gateway.settled(&id, &["created"]).await;
    let history = record["history"].as_array().unwrap();
    assert_eq!(history.len(), 2, "accepted, created: {record}");
}
