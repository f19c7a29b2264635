//! What a 202 is worth when the process is killed, stopped under load, or its disk refuses.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use leadgate::sandbox::Options;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::gateway::{
    Backing, CareSoft, PATIENCE, eventually, http_client, id_of, over_every_store, toml_of,
};
use crate::load::{CLIENTS, Load, assert_kept, assert_nobody_twice, until_metric_within};
use crate::served::{Served, figure, isolated};

over_every_store!(
    invariants_1_and_5_nothing_that_got_a_202_is_lost_by_kill_9,
    sigterm_under_load_finishes_what_is_under_way_and_refuses_what_is_new,
);

/// How long delivering some thousand leads may take a slow machine.
const BACKLOG_PATIENCE: Duration = Duration::from_secs(180);

/// What `ulimit -f` lets a file grow to: the empty database fits, some hundred submissions do not.
const FILE_BLOCKS_MAX: u32 = 2_000;

/// Invariants 1, 4 and 5: eight clients post without a pause while the process is killed again
/// and again, in the middle of taking and of sending. Nothing that got a 202 is missing, nothing
/// is sent twice, and the ledger sums once all is sent.
async fn invariants_1_and_5_nothing_that_got_a_202_is_lost_by_kill_9(store: Backing) {
    const KILLS: u32 = 4;
    const ENOUGH: u32 = 200;
    let fast = Options { rate_per_second: 2_000, rate_per_hour: 7_200_000, ..Options::default() };
    let caresoft = CareSoft::start(fast);
    let folder = TempDir::new().unwrap();
    let configuration = toml_of(&store.toml(folder.path()), caresoft.address, "").replace(
        "rate = { per_second = 15, per_hour = 54000 }",
        "rate = { per_second = 500, per_hour = 1_000_000 }",
    );
    assert!(configuration.contains("1_000_000"));
    let mut accepted = Vec::new();
    for round in 0..KILLS {
        let served = Served::start(folder.path(), &configuration).await;
        let load = Load::start(&served.endpoint("website"), round);
        load.has_accepted(ENOUGH).await;
        served.signal("-KILL");
        accepted.extend(load.ids().await);
    }

    let served = Served::start(folder.path(), &configuration).await;
    let depth = r#"leadgate_queue_depth{destination="main"} 0"#;
    until_metric_within(BACKLOG_PATIENCE, &served, depth).await;
    assert_kept(&served, &accepted).await;

    let metrics = served.metrics().await;
    let count = |state: &str| figure(&metrics, &format!("leadgate_records{{state=\"{state}\"}}"));
    let [created, merged, unknown] = ["created", "merged", "unknown"].map(count);
    for state in ["pending", "dead", "quarantined", "test", "erased"] {
        assert_eq!(count(state), 0.0, "{state}");
    }
    let (answered, unanswered_max) = (accepted.len() as f64, f64::from(KILLS * CLIENTS));
    let stored = created + merged + unknown;
    assert!(
        (answered..=answered + unanswered_max).contains(&stored),
        "{stored} stored, {answered} answered: a client has one post under way when it is killed"
    );
    assert_nobody_twice(&caresoft);
    let leads = caresoft.sandbox.leads();
    assert!(
        (created..=created + unknown).contains(&(leads.len() as f64)),
        "{created} created and {unknown} unknown here, {} there",
        leads.len()
    );
}

/// SIGTERM under load: what is under way is finished, what is new is refused, the process ends by
/// itself, and everything that got a 202 is there when it comes back.
async fn sigterm_under_load_finishes_what_is_under_way_and_refuses_what_is_new(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    // Longer than a test waits: should nothing but the grace end the process, this fails.
    let configuration = toml_of(&store.toml(folder.path()), caresoft.address, "")
        .replace("shutdown_grace = \"10s\"", "shutdown_grace = \"5m\"");
    let mut served = Served::start(folder.path(), &configuration).await;
    let load = Load::start(&served.endpoint("website"), 0);
    load.has_accepted(200).await;
    let mut under_way = HalfPost::begin(served.public()).await;
    served.signal("-TERM");
    let public = served.public();
    eventually("new connections are refused", || async {
        let refused = TcpStream::connect(public).await.err()?;
        (refused.kind() == ErrorKind::ConnectionRefused).then_some(())
    })
    .await;
    served.assert_runs(); // a post is still under way
    let late = under_way.finish().await;
    let mut accepted = load.ids().await;
    accepted.push(late);
    let (code, log) = served.ended().await;
    assert_eq!(code, Some(0), "{log}");

    let served = Served::start(folder.path(), &configuration).await;
    assert_kept(&served, &accepted).await;
}

/// A post whose body is on its way when other things happen.
struct HalfPost(TcpStream);

impl HalfPost {
    const BODY: &str = r#"{"phone":"0900999999"}"#;

    /// The head, and the body but for its last byte. It is under way once the gateway asks for
    /// the body.
    async fn begin(public: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(public).await.expect("a connection");
        let head = format!(
            "POST /in/website HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            Self::BODY.len()
        );
        stream.write_all(head.as_bytes()).await.expect("a head is taken");
        let mut asked = [0; 25];
        let read = timeout(PATIENCE, stream.read_exact(&mut asked)).await.expect("an answer");
        read.expect("an answer");
        assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
        Self(stream)
    }

    /// The rest; the id of what was stored.
    async fn finish(&mut self) -> String {
        self.0.write_all(Self::BODY.as_bytes()).await.expect("a body is taken");
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut answer)).await;
        read.expect("the connection ends with the process").expect("an answer");
        let answer = String::from_utf8(answer).expect("text");
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let body: Value = serde_json::from_str(body).expect("JSON");
        body["ids"][0].as_str().expect("an id").to_owned()
    }
}

/// The disk refuses: files cannot grow beyond a limit that is reached after a while. What was
/// answered 202 before is durable, what comes after is answered 503, and the process goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_refuses_is_a_503_and_loses_nothing() {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let configuration = toml_of(&Backing::Sqlite.toml(folder.path()), caresoft.address, "")
        .replace("shutdown_grace = \"10s\"", "shutdown_grace = \"1s\"");
    std::fs::write(folder.path().join("leadgate.toml"), &configuration).unwrap();
    // 512 or 1024 bytes each, as the shell likes; the signal must not end the process.
    let limited = format!("trap '' XFSZ; ulimit -f {FILE_BLOCKS_MAX}; exec \"$0\" \"$@\"");
    let mut command = isolated("/bin/sh", folder.path());
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_leadgate")]);
    command.args(["serve", "--config", "leadgate.toml"]);
    let mut served = Served::spawn(command).await;

    let http = http_client();
    let mut accepted = Vec::new();
    let refusal = loop {
        assert!(accepted.len() < 20_000, "the disk never refuses");
        let body =
            json!({"phone": format!("090{:07}", accepted.len()), "message": "x".repeat(4000)});
        let answer = http.post(served.endpoint("website")).json(&body).send().await.unwrap();
        match answer.status() {
            StatusCode::ACCEPTED => accepted.push(id_of(answer).await),
            _ => break answer,
        }
    };
    assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!accepted.is_empty(), "there was room at first");
    let wait = refusal.headers()["retry-after"].to_str().unwrap().to_owned();
    assert!(wait.parse::<u64>().unwrap() >= 1, "{wait}");
    assert_eq!(refusal.headers()["content-type"], "application/problem+json");
    let problem: Value = refusal.json().await.unwrap();
    assert_eq!(problem["type"], "urn:leadgate:problem:unavailable");

    // It lives, still answers posts one way or the other, and ends when it is asked to.
    let alive = http.get(format!("http://{}/livez", served.public())).send().await.unwrap();
    assert_eq!(alive.status(), StatusCode::OK);
    for _ in 0..20 {
        let body = json!({"phone": "0900000001", "message": "x".repeat(4000)});
        let answer = http.post(served.endpoint("website")).json(&body).send().await.unwrap();
        match answer.status() {
            StatusCode::ACCEPTED => accepted.push(id_of(answer).await),
            other => assert_eq!(other, StatusCode::SERVICE_UNAVAILABLE),
        }
    }
    served.assert_runs();
    let (code, log) = served.terminate().await;
    assert_eq!(code, Some(0), "{log}");

    let served = Served::start(folder.path(), &configuration).await;
    assert_kept(&served, &accepted).await;
}
