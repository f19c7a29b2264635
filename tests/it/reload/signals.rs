//! Outcome signals after the configuration has changed: where they go, and what they are signed with.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{faults_told, paced, reload, until_in_force};
use crate::fleet::{NOTHING_WAITS, fast};
use crate::gateway::{Backing, eventually, eventually_within, http_client, id_of};
use crate::load::{Load, until_metric};
use crate::receiver::{Receiver, Reply};
use crate::served::{Served, figure};

/// A courier tries again within half a minute; the rest is the machine.
const SECOND_TRY: Duration = Duration::from_secs(60);

const KEYS: [&str; 2] = ["the first key of this test", "the second key of this test"];

/// `[notify]` of leads that are created.
fn notify(receiver: &Receiver, key: &str) -> String {
    let url = receiver.url();
    format!("[notify]\nurl = \"{url}\"\nsecret = \"{key}\"\nevents = [\"lead.created\"]\n")
}

/// The leads that a receiver was told of, each of them once or more.
fn leads_of(receiver: &Receiver) -> BTreeSet<String> {
    let posts = receiver.posts();
    posts.iter().map(|post| post.body["data"]["id"].as_str().unwrap().to_owned()).collect()
}

/// What waits to be told again is told as the configuration says by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_go_to_the_new_address_with_the_new_secret_and_none_is_lost() {
    let (caresoft, folder) = (fast(), TempDir::new().unwrap());
    let rate = "{ per_second = 500, per_hour = 1000000 }";
    let base = paced(&Backing::Sqlite, folder.path(), &caresoft, rate);
    let before = Receiver::start([Reply::Status(204), Reply::Later(10)]);
    let after = Receiver::start([]);
    let first = format!("{base}{}", notify(&before, KEYS[0]));
    let served = Served::start(folder.path(), &first).await;
    let load = Load::paced(&served.endpoint("website"), Duration::from_millis(50));
    eventually("signals are told, one of them in vain", || async {
        (before.posts().len() > 10).then_some(())
    })
    .await;

    let second = format!("{base}{}", notify(&after, KEYS[1]));
    reload(&served, folder.path(), &second).await;
    let reloaded_at = load.accepted();
    load.has_accepted(reloaded_at + 50).await;
    assert_eq!(load.refused(), 0, "posts that failed, of {}", load.accepted());
    load.stop().await;
    until_metric(&served, NOTHING_WAITS).await;
    let created = created(&served).await;
    let refused = text(&before.posts()[1].body["data"]["id"]);
    eventually_within(SECOND_TRY, "each lead was told to one that took it", || async {
        let mut taken = leads_of(&before);
        taken.remove(&refused);
        taken.extend(leads_of(&after));
        assert!(taken.is_subset(&created));
        (taken == created).then_some(())
    })
    .await;
    assert!(leads_of(&after).contains(&refused));
    for post in before.posts() {
        assert!(
            post.is_signed_with(KEYS[0].as_bytes()) && !post.is_signed_with(KEYS[1].as_bytes())
        );
    }
    for post in after.posts() {
        assert!(
            post.is_signed_with(KEYS[1].as_bytes()) && !post.is_signed_with(KEYS[0].as_bytes())
        );
    }

    a_faulty_one_changes_nothing(&served, &folder, &second, &after).await;
    // Without the section nobody is told anything any more.
    reload(&served, folder.path(), &base).await;
    let told = [before.posts().len(), after.posts().len()];
    post_one(&served, "0910000002").await;
    let (code, log) = served.terminate().await; // which gives a signal its time
    assert_eq!(code, Some(0), "{log}");
    assert_eq!([before.posts().len(), after.posts().len()], told);
    assert!(KEYS.iter().all(|key| !log.contains(key)), "no secret is in the log");
}

async fn a_faulty_one_changes_nothing(
    served: &Served,
    folder: &TempDir,
    second: &str,
    after: &Receiver,
) {
    let faulty = second
        .replace("http://", "ftp://")
        .replace("events = [\"lead.created\"]", "events = [\"lead.creatd\"]");
    // Only `[notify]` is at fault.
    let (rest, _) = second.split_once("[notify]").unwrap();
    let (_, section) = faulty.split_once("[notify]").unwrap();
    let faulty = format!("{rest}[notify]{section}");
    reload(served, folder.path(), &faulty).await;
    let line_of =
        |text: &str| faulty.lines().position(|line| line.contains(text)).unwrap() as u64 + 1;
    let expected = [
        (line_of("ftp://"), "notify.url".to_owned()),
        (line_of("creatd"), "notify.events[0]".to_owned()),
    ];
    assert_eq!(faults_told(&served.log()), expected);
    until_in_force(served, false).await;
    let id = post_one(served, "0910000001").await;
    eventually("the one before is told", || async { leads_of(after).contains(&id).then_some(()) })
        .await;
}

/// Posts a person, and waits until there is a lead.
async fn post_one(served: &Served, phone: &str) -> String {
    let post = http_client().post(served.endpoint("website"));
    let id = id_of(post.json(&json!({"phone": phone})).send().await.unwrap()).await;
    served.settled(&id, "created").await;
    id
}

/// The ids of all leads that are created.
async fn created(served: &Served) -> BTreeSet<String> {
    let count = figure(&served.metrics().await, "leadgate_records{state=\"created\"}");
    let (mut ids, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("/api/leads?state=created&limit=200{cursor}");
        let page: Value = served.admin_get(&path).await.unwrap().json().await.unwrap();
        ids.extend(page["leads"].as_array().unwrap().iter().map(|lead| text(&lead["id"])));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(ids.len() as f64, count);
    ids
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
