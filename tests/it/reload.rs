//! The configuration read anew while posts come: in force whole or not at all, and nobody notices.

mod presets;
mod signals;

use std::os::unix::fs::symlink;
use std::path::Path;

use leadgate::sandbox::{Fault, FaultKind, Options, Route};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fleet::{BACKLOG_PATIENCE, NOTHING_WAITS, fast};
use crate::gateway::{
    Backing, CareSoft, PATIENCE, eventually, http_client, id_of, over_every_store, toml_of,
};
use crate::load::{Load, assert_kept, assert_nobody_twice, until_metric, until_metric_within};
use crate::served::{Served, figure, leadgate};

over_every_store!(
    a_new_configuration_takes_over_under_load_and_no_post_fails,
    a_lane_goes_on_at_its_new_pace,
    a_lane_that_was_told_to_be_silent_stays_silent,
    leads_of_a_destination_that_is_gone_wait_for_it,
);

const SUCCESSFUL: &str = "leadgate_config_last_reload_successful";

/// A test's configuration: `main` goes this fast.
fn paced(store: &Backing, folder: &Path, caresoft: &CareSoft, rate: &str) -> String {
    let before = "rate = { per_second = 15, per_hour = 54000 }";
    let text = toml_of(&store.toml(folder), caresoft.address, "");
    assert!(text.contains(before));
    text.replace(before, &format!("rate = {rate}"))
}

/// A web form with a static token.
fn form(name: &str, destination: &str, token: &str) -> String {
    format!(
        "[sources.{name}]\npreset = \"web-form\"\ndestination = \"{destination}\"\n\
         secrets = {{ token = \"{token}\" }}\n"
    )
}

/// Puts another configuration in place, as an editor that writes it whole, and asks for it to be read.
async fn reload(served: &Served, folder: &Path, text: &str) {
    let read = || served.log().matches("the configuration was").count();
    let before = read();
    let draft = folder.join("leadgate.toml.draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(&draft, folder.join("leadgate.toml")).unwrap();
    served.signal("-HUP");
    eventually("the configuration is read", || async { (read() > before).then_some(()) }).await;
}

/// Line and key of each fault that was told.
fn faults_told(log: &str) -> Vec<(u64, String)> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let faults = lines.filter(|line| line["message"] == "a fault in the configuration");
    let place =
        |fault: Value| (fault["line"].as_u64().unwrap(), fault["key"].as_str().unwrap().to_owned());
    faults.map(place).collect()
}

/// Until what was read last is in force, or is refused.
async fn until_in_force(served: &Served, is_in_force: bool) {
    until_metric(served, &format!("{SUCCESSFUL} {}", u8::from(is_in_force))).await;
}

/// The status that a source answers somebody with, by a token.
async fn post(served: &Served, source: &str, token: &str, phone: u32) -> StatusCode {
    let request = http_client().post(served.endpoint(source)).header("X-Leadgate-Token", token);
    let body = json!({"phone": format!("09{phone:08}")});
    request.json(&body).send().await.unwrap().status()
}

async fn a_new_configuration_takes_over_under_load_and_no_post_fails(store: Backing) {
    let (caresoft, folder) = (fast(), TempDir::new().unwrap());
    let base = paced(&store, folder.path(), &caresoft, "{ per_second = 500, per_hour = 1000000 }");
    let first = format!(
        "{base}{}{}",
        form("partner", "main", "token-of-before"),
        form("old", "main", "old")
    );
    let served = Served::start(folder.path(), &first).await;
    let load = Load::keep_on(&[served.endpoint("website")], 0);
    load.has_accepted(100).await;
    assert_eq!(post(&served, "old", "old", 1).await, 202);
    assert_eq!(post(&served, "new", "new", 2).await, 404);
    assert_eq!(post(&served, "partner", "token-of-before", 3).await, 202);

    let second = format!(
        "{}[sources.website.fields]\nname = [\"ten_goi_o_nha\"]\n{}{}",
        base.replace("service_id = 1244", "service_id = 1244\nsubject = \"Reloaded {{ name }}\""),
        form("partner", "main", "token-of-after"),
        form("new", "main", "new"),
    );
    reload(&served, folder.path(), &second).await;
    assert_eq!(post(&served, "old", "old", 4).await, 404, "a source that is gone");
    assert_eq!(post(&served, "new", "new", 5).await, 202, "one that is new");
    assert_eq!(post(&served, "partner", "token-of-before", 6).await, 401, "the old token");
    assert_eq!(post(&served, "partner", "token-of-after", 7).await, 202, "the new one");
    let named = json!({"phone": "0980000008", "ten_goi_o_nha": "Bé Thử"});
    let named = http_client().post(served.endpoint("website")).json(&named);
    let id = id_of(named.send().await.unwrap()).await;
    let record = served.settled(&id, "created").await;
    assert_eq!(record["lead"]["name"], "Bé Thử", "the form's new name for a field");
    let lead = caresoft.leads_of("0980000008").remove(0);
    assert_eq!(lead.received["subject"], "Reloaded Bé Thử", "the destination's new template");

    // The second line of the last table is at fault, and one further up.
    let faulty = second.replace("per_hour = 1000000", "per_hour = \"many\"") + "destinaton = 1\n";
    reload(&served, folder.path(), &faulty).await;
    let line_of = |text: &str| {
        faulty.lines().position(|line| line.contains(text)).expect("a line") as u64 + 1
    };
    let expected = [
        (line_of("\"many\""), "destinations.main.rate.per_hour".to_owned()),
        (line_of("destinaton"), "sources.new.destinaton".to_owned()),
    ];
    assert_eq!(faults_told(&served.log()), expected);
    assert_eq!(figure(&served.metrics().await, SUCCESSFUL), 0.0);
    assert_eq!(post(&served, "partner", "token-of-after", 9).await, 202, "the one before stays");
    reload(&served, folder.path(), &second).await;
    assert_eq!(figure(&served.metrics().await, SUCCESSFUL), 1.0);
    ends_with_nothing_lost(load, served, &caresoft).await;
}

/// The load goes on for a while and ends: no post has failed, each is kept, nobody is made twice, and
/// the process ends in peace.
async fn ends_with_nothing_lost(load: Load, served: Served, caresoft: &CareSoft) {
    let began = load.accepted();
    load.has_accepted(began + 100).await;

    assert_eq!(load.refused(), 0, "posts that failed, of {}", load.accepted());
    let ids = load.stop().await;
    until_metric_within(BACKLOG_PATIENCE, &served, NOTHING_WAITS).await;
    assert_kept(&served, &ids).await;
    assert_nobody_twice(caresoft);
    assert_eq!(served.terminate().await.0, Some(0));
}

/// At the first pace this backlog takes longer than a test waits.
async fn a_lane_goes_on_at_its_new_pace(store: Backing) {
    const LEADS: u32 = 60;
    let (caresoft, folder) = (fast(), TempDir::new().unwrap());
    let with = |rate| paced(&store, folder.path(), &caresoft, rate);
    let slow = with("{ per_second = 1, per_hour = 3600 }");
    let served = Served::start(folder.path(), &slow).await;
    for number in 0..LEADS {
        assert_eq!(post(&served, "website", "", number).await, 202);
    }
    eventually("the first are sent", || async {
        (!caresoft.sandbox.leads().is_empty()).then_some(())
    })
    .await;
    reload(&served, folder.path(), &with("{ per_second = 200, per_hour = 720000 }")).await;
    until_metric(&served, NOTHING_WAITS).await;
    assert_eq!(caresoft.sandbox.leads().len(), LEADS as usize, "each of them once");
    let metrics = served.metrics().await;
    assert_eq!(figure(&metrics, "leadgate_records{state=\"created\"}"), f64::from(LEADS));
    assert_eq!(served.terminate().await.0, Some(0));
}

async fn a_lane_that_was_told_to_be_silent_stays_silent(store: Backing) {
    let (caresoft, folder) = (fast(), TempDir::new().unwrap());
    let with = |rate| paced(&store, folder.path(), &caresoft, rate);
    let served = Served::start(folder.path(), &with("{ per_second = 50, per_hour = 9000 }")).await;
    caresoft.sandbox.inject(Fault::once(Route::CreateLead, FaultKind::LockOut));
    assert_eq!(post(&served, "website", "", 1).await, 202);
    let silent = r#"leadgate_lane_state{destination="main",state="locked_out"} 1"#;
    until_metric(&served, silent).await;
    let requests = caresoft.sandbox.log().len();
    for rate in ["{ per_second = 60, per_hour = 9000 }", "{ per_second = 70, per_hour = 9000 }"] {
        reload(&served, folder.path(), &with(rate)).await;
        assert_eq!(post(&served, "website", "", 2).await, 202);
        assert!(served.metrics().await.lines().any(|line| line == silent), "after {rate}");
    }
    assert_eq!(served.terminate().await.0, Some(0));
    assert_eq!(caresoft.sandbox.log().len(), requests, "nothing was asked in the silence");
}

async fn leads_of_a_destination_that_is_gone_wait_for_it(store: Backing) {
    let (caresoft, folder) = (fast(), TempDir::new().unwrap());
    let base = paced(&store, folder.path(), &caresoft, "{ per_second = 500, per_hour = 1000000 }");
    let with_other = |rate: &str| {
        let token = Options::default().token;
        format!(
            "{base}[destinations.other]\nbase_url = \"http://{}\"\ndomain = \"sandbox\"\n\
             token = \"{token}\"\nrate = {rate}\nlead = {{ service_id = 1244 }}\n{}",
            caresoft.address,
            form("form", "other", "t"),
        )
    };
    let served =
        Served::start(folder.path(), &with_other("{ per_second = 1, per_hour = 1 }")).await;
    for number in 1..=3 {
        assert_eq!(post(&served, "form", "t", number).await, 202);
    }
    eventually("the hour's only one", || async {
        (caresoft.sandbox.leads().len() == 1).then_some(())
    })
    .await;
    reload(&served, folder.path(), &base).await;
    let waits = eventually("that leads wait is told", || async {
        let told = served.log();
        told.lines().find(|line| line.contains("not configured any more")).map(str::to_owned)
    })
    .await;
    let waits: Value = serde_json::from_str(&waits).unwrap();
    assert_eq!((&waits["destination"], &waits["leads"]), (&json!("other"), &json!(2)));
    let metrics = served.metrics().await;
    assert!(!metrics.contains("destination=\"other\",state="), "{metrics}");
    assert_eq!(post(&served, "form", "t", 4).await, 404);
    assert_eq!(post(&served, "website", "", 5).await, 202, "the others go on");
    reload(&served, folder.path(), &with_other("{ per_second = 50, per_hour = 180000 }")).await;
    eventually("they are sent when it is back", || async {
        (caresoft.sandbox.leads().len() == 4).then_some(())
    })
    .await;
    assert_nobody_twice(&caresoft);
    assert_eq!(served.terminate().await.0, Some(0));
}

/// As kubelet mounts a ConfigMap and changes it: what is read is a link to a link, and the inner one
/// is turned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_turned_is_noticed_without_a_signal() {
    let (caresoft, folder) = (fast(), TempDir::new().unwrap());
    let base = toml_of(&Backing::Sqlite.toml(folder.path()), caresoft.address, "");
    let mounted = folder.path().join("mounted");
    std::fs::create_dir(&mounted).unwrap();
    let secret = mounted.join("token");
    let text = |more: &str| {
        let token = format!("token = {{ file = \"{}\" }}", secret.display());
        format!(
            "{base}[sources.partner]\npreset = \"web-form\"\ndestination = \"main\"\n{more}\
             secrets = {{ {token} }}\n"
        )
    };
    let turn = |version: &str, text: &str, token: &str| {
        let of_version = mounted.join(version);
        std::fs::create_dir(&of_version).unwrap();
        std::fs::write(of_version.join("leadgate.toml"), text).unwrap();
        std::fs::write(of_version.join("token"), token).unwrap();
        symlink(version, mounted.join("..data_tmp")).unwrap();
        std::fs::rename(mounted.join("..data_tmp"), mounted.join("..data")).unwrap();
    };
    turn("..1", &text(""), "first");
    for file in ["leadgate.toml", "token"] {
        symlink(Path::new("..data").join(file), mounted.join(file)).unwrap();
    }
    let mut command = leadgate(folder.path());
    command.args(["serve", "--config"]).arg(mounted.join("leadgate.toml"));
    let served = Served::spawn(command).await;
    let load = Load::keep_on(&[served.endpoint("website")], 0);
    assert_eq!(post(&served, "partner", "first", 1).await, 202);

    turn("..2", &text(""), "second"); // only what the file names has changed
    eventually("the new token verifies", || async {
        (post(&served, "partner", "second", 2).await == 202).then_some(())
    })
    .await;
    assert_eq!(post(&served, "partner", "first", 3).await, 401);
    turn("..3", &text("honeypot = 5\n"), "third");
    until_in_force(&served, false).await;
    assert_eq!(post(&served, "partner", "second", 4).await, 202, "a faulty one changes nothing");
    turn("..4", &(text("") + &form("new", "main", "new")), "fourth");
    eventually("the new source takes posts", || async {
        (post(&served, "new", "new", 5).await == 202).then_some(())
    })
    .await;
    assert_eq!(post(&served, "partner", "fourth", 6).await, 202);
    assert_eq!(load.refused(), 0, "posts that failed, of {}", load.accepted());
    load.stop().await;
    assert_eq!(served.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_a_restart_applies_is_told_by_its_key_and_the_rest_is_in_force() {
    let (caresoft, folder) = (fast(), TempDir::new().unwrap());
    let base = toml_of(&Backing::Sqlite.toml(folder.path()), caresoft.address, "");
    let served = Served::start(folder.path(), &base).await;
    let changed = base.replace("[store]", "[store]\nsecret = \"a secret of sixteen\"");
    let changed = format!("{changed}{}[log]\nlevel = \"warn\"\n", form("new", "main", "new"));
    reload(&served, folder.path(), &changed).await;
    let log = served.log();
    let told = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told = told.filter(|line| {
        line["message"].as_str().is_some_and(|message| message.contains("needs a restart"))
    });
    let keys: Vec<_> = told
        .map(|line| (line["key"].as_str().unwrap().to_owned(), line["line"].as_u64().unwrap()))
        .collect();
    let line_of = |text: &str| {
        changed.lines().position(|line| line.contains(text)).expect("a line") as u64 + 1
    };
    let expected = [("store.secret", line_of("a secret of")), ("log.level", line_of("level ="))];
    assert_eq!(keys, expected.map(|(key, line)| (key.to_owned(), line)));
    assert!(!log.contains("a secret of"), "and the secret itself is not");
    assert_eq!(figure(&served.metrics().await, "leadgate_config_restart_needed"), 2.0);
    assert_eq!(post(&served, "new", "new", 1).await, 202);
    reload(&served, folder.path(), &base).await;
    assert_eq!(figure(&served.metrics().await, "leadgate_config_restart_needed"), 0.0);
    assert_eq!(served.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_token_and_the_window_of_one_person_change() {
    let (caresoft, folder) = (fast(), TempDir::new().unwrap());
    let base = toml_of(&Backing::Sqlite.toml(folder.path()), caresoft.address, "");
    let served = Served::start(folder.path(), &base).await;
    let looked = async |token: &str| {
        let url = format!("http://{}/api/lanes", served.admin);
        http_client().get(url).bearer_auth(token).send().await.unwrap().status()
    };
    let token = crate::gateway::ADMIN_TOKEN;
    assert_eq!(
        (looked(token).await, looked("another").await),
        (StatusCode::OK, StatusCode::UNAUTHORIZED)
    );
    let changed = base.replace(token, "another") + "[dedup]\nwindow = \"1s\"\n";
    reload(&served, folder.path(), &changed).await;
    assert_eq!(
        (looked(token).await, looked("another").await),
        (StatusCode::UNAUTHORIZED, StatusCode::OK)
    );
    // One person is a new lead again a second after the last one; before, in a month.
    eventually("one person is two leads", || async {
        assert_eq!(post(&served, "website", "", 1).await, 202);
        (caresoft.leads_of("0900000001").len() == 2).then_some(())
    })
    .await;
    assert_eq!(served.terminate().await.0, Some(0));
}

/// A request that was under way goes by the configuration it began with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_has_begun_ends_as_it_began() {
    let (caresoft, folder) = (fast(), TempDir::new().unwrap());
    let base = toml_of(&Backing::Sqlite.toml(folder.path()), caresoft.address, "");
    let first = base.clone() + &form("old", "main", "old");
    let served = Served::start(folder.path(), &first).await;
    let (head, rest) = ("{\"phone\": \"09000", "00001\"}");
    let mut slow = TcpStream::connect(served.public()).await.unwrap();
    let request = format!(
        "POST /in/old HTTP/1.1\r\nHost: x\r\nX-Leadgate-Token: old\r\nConnection: close\r\n\
         Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{head}",
        head.len() + rest.len()
    );
    slow.write_all(request.as_bytes()).await.unwrap();
    let mut told = [0; 25]; // it reads the body: the handler is at work
    timeout(PATIENCE, slow.read_exact(&mut told)).await.unwrap().unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    reload(&served, folder.path(), &base).await;
    assert_eq!(post(&served, "old", "old", 2).await, 404);
    slow.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, slow.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    eventually("its lead is made", || async {
        (caresoft.leads_of("0900000001").len() == 1).then_some(())
    })
    .await;
    assert_eq!(served.terminate().await.0, Some(0));
}
