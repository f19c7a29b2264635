//! A stop: who asks is told, what is under way is finished, nothing is held up for longer than was said.

use std::time::{Duration, Instant};

use leadgate::sandbox::{Fault, FaultKind, Options, Route};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fleet::fast;
use crate::gateway::{
    Backing, CareSoft, eventually, http_client, id_of, over_every_store, toml_of,
};
use crate::load::{Load, assert_kept, assert_nobody_twice};
use crate::served::{Served, leadgate};

over_every_store!(
    what_was_leased_and_not_sent_is_handed_back,
    a_silent_upstream_holds_a_stop_up_no_longer_than_the_grace,
    what_hung_at_a_stop_is_made_once_when_its_lease_has_ended,
);

/// What ends a graceful stop of the HTTP server looks once a second; the rest is the machine.
const SLACK: Duration = Duration::from_secs(8);

/// A lease outlives a timeout of 50 s by ten.
const LEASE: Duration = Duration::from_secs(61);

/// Longer than it takes until something is looked for again.
const BETWEEN_LOOKS: Duration = Duration::from_secs(100);

async fn post(served: &Served, phone: u32) -> reqwest::Response {
    let body = json!({"phone": format!("09{phone:08}")});
    http_client().post(served.endpoint("website")).json(&body).send().await.unwrap()
}

/// A test's configuration with one text in place of another.
fn configuration(
    store: &Backing,
    folder: &TempDir,
    caresoft: &CareSoft,
    changes: &[(&str, &str)],
) -> String {
    let text = toml_of(&store.toml(folder.path()), caresoft.address, "");
    changes.iter().fold(text, |text, (before, after)| {
        assert!(text.contains(before), "{before}");
        text.replace(before, after)
    })
}

/// The next process finds no lease that it has to wait for the end of, and nothing that may have
/// been sent.
async fn what_was_leased_and_not_sent_is_handed_back(store: Backing) {
    let (caresoft, folder) = (fast(), TempDir::new().unwrap());
    let quick = ("per_second = 15, per_hour = 54000", "per_second = 100, per_hour = 360000");
    let text = configuration(&store, &folder, &caresoft, &[quick]);
    let served = Served::start(folder.path(), &text).await;
    let load = Load::start(&served.endpoint("website"), 0);
    load.has_accepted(400).await;
    served.signal("-TERM");
    let accepted = load.ids().await;
    assert_eq!(served.ended().await.0, Some(0));

    let mut command = leadgate(folder.path());
    command.args(["serve", "--config", "leadgate.toml", "--role", "intake"]); // delivers nothing
    let next = Served::spawn(command).await;
    assert_kept(&next, &accepted).await;
    let (mut cursor, mut waiting) = (String::new(), 0);
    loop {
        let path = format!("/api/leads?state=pending,unknown&limit=200{cursor}");
        let page: Value = next.admin_get(&path).await.unwrap().json().await.unwrap();
        for record in page["leads"].as_array().unwrap() {
            assert_eq!(record["state"], "pending", "{record}");
            assert_ne!(record["phase"], "in_flight", "{record}");
            waiting += 1;
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert!(waiting > 0, "some were to be sent yet");
    assert_eq!(next.terminate().await.0, Some(0));
    assert_nobody_twice(&caresoft);
}

async fn a_silent_upstream_holds_a_stop_up_no_longer_than_the_grace(store: Backing) {
    const GRACE: Duration = Duration::from_secs(2);
    let (caresoft, folder) = (fast(), TempDir::new().unwrap());
    let patient = [
        ("shutdown_grace = \"10s\"", "shutdown_grace = \"2s\""),
        ("timeout = \"2s\"", "timeout = \"60s\""),
    ];
    let text = configuration(&store, &folder, &caresoft, &patient);
    let served = Served::start(folder.path(), &text).await;
    caresoft.sandbox.inject(Fault::always(Some(Route::CreateLead), FaultKind::NoAnswer));
    assert_eq!(post(&served, 1).await.status(), 202);
    under_way(&caresoft).await;
    let began = Instant::now();
    let (code, log) = served.terminate().await;
    let took = began.elapsed();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("the grace is over"), "{log}");
    assert!((GRACE..GRACE + SLACK).contains(&took), "{took:?}");
}

/// Nobody knows of a request that hung whether its lead was made. It is leased to the process that has
/// gone for as long as the request could have taken; then whoever comes looks for it.
async fn what_hung_at_a_stop_is_made_once_when_its_lease_has_ended(store: Backing) {
    for (number, fault) in [(1, FaultKind::CommitNoAnswer), (2, FaultKind::NoAnswer)] {
        // What is made is listed at once: the clocks of later starts do not move CareSoft's.
        let options = Options { list_lag: Duration::ZERO, ..Options::default() };
        let (caresoft, folder) = (CareSoft::start(options), TempDir::new().unwrap());
        let hanging = [
            ("shutdown_grace = \"10s\"", "shutdown_grace = \"1s\""),
            ("timeout = \"2s\"", "timeout = \"50s\""),
        ];
        let text = configuration(&store, &folder, &caresoft, &hanging);
        let served = Served::start(folder.path(), &text).await;
        caresoft.sandbox.inject(Fault::once(Route::CreateLead, fault));
        let id = id_of(post(&served, number).await).await;
        under_way(&caresoft).await;
        assert_eq!(served.terminate().await.0, Some(0));
        let phone = format!("09{number:08}");
        let made = usize::from(fault == FaultKind::CommitNoAnswer);
        assert_eq!(caresoft.leads_of(&phone).len(), made);

        // The next process goes on with others. Whoever opens a SQLite database has it alone, and knows
        // that nobody is at work on that one any more; with Redis somebody may be.
        let next = Served::start(folder.path(), &text).await;
        let other = id_of(post(&next, 10 + number).await).await;
        next.settled(&other, "created").await;
        let record = next.record(&id).await.unwrap();
        let expected = match store {
            Backing::Sqlite => (json!("unknown"), Value::Null),
            Backing::Redis(_) => (json!("pending"), json!("in_flight")),
        };
        assert_eq!((record["state"].clone(), record["phase"].clone()), expected);
        assert_eq!(next.terminate().await.0, Some(0));

        // The lease is over: it is looked for, and looked for again where it was not found.
        let (mut known, mut ahead) = (record, LEASE);
        while known["state"] != "created" {
            assert!(ahead < LEASE + 5 * BETWEEN_LOOKS, "{known:#}");
            let next = ahead_by(&folder, ahead).await;
            known = eventually("more is known of it", || async {
                let record = next.record(&id).await?;
                let events = |record: &Value| record["history"].as_array().map(Vec::len);
                (events(&record) > events(&known)).then_some(record)
            })
            .await;
            assert_eq!(next.terminate().await.0, Some(0));
            ahead += BETWEEN_LOOKS;
        }
        let [lead] = &caresoft.leads_of(&phone)[..] else { panic!("once: {known:#}") };
        assert_eq!(known["upstream"]["lead_id"], lead.id);
        let asked = caresoft.sandbox.log();
        let creates = asked.iter().filter(|entry| entry.route == Route::CreateLead).count();
        assert_eq!(creates, 3 - made, "it, the other one, and once more what was not made");
        assert_nobody_twice(&caresoft);
    }
}

/// The next process, by a clock that is ahead by so much.
async fn ahead_by(folder: &TempDir, ahead: Duration) -> Served {
    let mut command = leadgate(folder.path());
    command.args(["serve", "--config", "leadgate.toml"]);
    command.env("LEADGATE_CLOCK_AHEAD", format!("{}s", ahead.as_secs()));
    Served::spawn(command).await
}

async fn under_way(caresoft: &CareSoft) {
    eventually("a request is under way", || async {
        (caresoft.sandbox.under_way() > 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_waits_for_nothing() {
    let (caresoft, folder) = (fast(), TempDir::new().unwrap());
    let patient = [
        ("shutdown_grace = \"10s\"", "shutdown_grace = \"1h\""),
        ("timeout = \"2s\"", "timeout = \"5m\""),
    ];
    let text = configuration(&Backing::Sqlite, &folder, &caresoft, &patient);
    for (number, second) in [(1, "-TERM"), (2, "-INT")] {
        let served = Served::start(folder.path(), &text).await;
        caresoft.sandbox.inject(Fault::always(Some(Route::CreateLead), FaultKind::NoAnswer));
        assert_eq!(post(&served, number).await.status(), 202);
        under_way(&caresoft).await;
        served.signal("-TERM");
        eventually("it drains", || async {
            served.log().contains("no more submissions are taken").then_some(())
        })
        .await;
        served.signal(second);
        let (code, told) = served.ended().await;
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("ended at once"), "{told}");
        caresoft.sandbox.clear_faults();
    }
}

/// A balancer hears late of a replica that goes: until then it is sent posts, and takes them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_the_delay_submissions_are_taken_and_nobody_is_told_to_come() {
    const DELAY: Duration = Duration::from_secs(3);
    let (caresoft, folder) = (fast(), TempDir::new().unwrap());
    let delayed = [("shutdown_grace = \"10s\"", "shutdown_grace = \"10s\"\ndrain_delay = \"3s\"")];
    let text = configuration(&Backing::Sqlite, &folder, &caresoft, &delayed);
    let served = Served::start(folder.path(), &text).await;
    let ready = served.admin_get("/readyz").await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
    let kept = post(&served, 1).await;
    assert_eq!(kept.headers().get("connection"), None);
    let began = Instant::now();
    served.signal("-TERM");
    let draining = eventually("it says that it drains", || async {
        let answer = served.admin_get("/readyz").await?;
        (answer.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(answer)
    })
    .await;
    let draining: Value = draining.json().await.unwrap();
    assert_eq!(draining["status"], "draining");
    let taken = post(&served, 2).await;
    assert_eq!(taken.status(), 202);
    let connection = taken.headers().get("connection").map(|value| value.to_str().unwrap());
    assert_eq!(connection, Some("close"), "the next post goes to somebody else");
    let id = id_of(taken).await;
    served.settled(&id, "created").await;
    assert!(began.elapsed() < DELAY, "all of it within the delay, or nothing is shown");
    let (code, log) = served.ended().await;
    assert_eq!(code, Some(0), "{log}");
    assert!((DELAY..DELAY + SLACK).contains(&began.elapsed()), "{:?}", began.elapsed());
}
