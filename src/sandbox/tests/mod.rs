//! The simulator over real sockets, mostly through the product's own client.

mod faults;
mod leads;
mod limits;
mod people;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::caresoft::socket_tests::destination;
use crate::caresoft::{Client, NewLead};
use crate::lead::Clock;

const API: &str = "/sandbox/api/v1";

/// A simulator with both hosts served and a clock whose hands the test holds.
struct Bench {
    sandbox: Sandbox,
    client: Client,
    standby: Client,
    primary_address: String,
    time: Arc<AtomicI64>,
    stop: Vec<oneshot::Sender<()>>,
    servers: Vec<JoinHandle<std::io::Result<()>>>,
}

impl Bench {
    fn start(options: Options) -> Self {
        let time = Arc::new(AtomicI64::new(1_795_425_302_000)); // 2026-11-23T09:15:02Z
        let hands = Arc::clone(&time);
        let clock = Clock::from_fn(move || Timestamp::from_millis(hands.load(Ordering::Relaxed)));
        let sandbox = Sandbox::new(Options { clock, ..options });
        let (mut stop, mut servers, mut clients) = (Vec::new(), Vec::new(), Vec::new());
        let mut addresses = Vec::new();
        for host in [Host::Primary, Host::Standby] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let (sender, receiver) = oneshot::channel::<()>();
            let stopped = async { drop(receiver.await) };
            servers.push(match host {
                Host::Primary => tokio::spawn(sandbox.serve(listener, stopped)),
                Host::Standby => tokio::spawn(sandbox.serve_standby(listener, stopped)),
            });
            clients.push(client(&address, "sandbox", "sandbox-token"));
            stop.push(sender);
            addresses.push(address);
        }
        let (standby, client) = (clients.remove(1), clients.remove(0));
        let primary_address = addresses.remove(0);
        Self { sandbox, client, standby, primary_address, time, stop, servers }
    }

    /// With a limit that no test reaches by accident.
    fn roomy(options: Options) -> Self {
        Self::start(Options { rate_per_second: 10_000, ..options })
    }

    fn pass(&self, time: Duration) {
        self.time.fetch_add(time.as_millis() as i64, Ordering::Relaxed);
    }

    /// A request as bytes: status and body.
    async fn raw(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.primary_address).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n\
             Authorization: Bearer sandbox-token\r\nContent-Length: {length}\r\n\
             {headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn json(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (status, text) =
            self.raw(method, &format!("{API}/{path}"), "", &body.to_string()).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        self.json("GET", path, &Value::Null).await.1
    }

    /// Creates a lead from fields that are laid over a valid one.
    async fn create(&self, fields: Value) -> (u16, Value) {
        let mut lead = json!({"subject": "Thử", "phone": "0900000027", "service_id": 1244});
        for (key, value) in fields.as_object().unwrap() {
            lead[key] = value.clone();
        }
        self.json("POST", "lead", &json!({ "lead": lead })).await
    }

    async fn stop(self) {
        drop(self.stop);
        for server in self.servers {
            server.await.unwrap().unwrap();
        }
    }
}

fn client(address: &str, domain: &str, token: &str) -> Client {
    let mut destination = destination(&format!("http://{address}"), domain);
    destination.token = token.into();
    Client::new(&destination).unwrap()
}

fn new_lead() -> NewLead {
    NewLead {
        subject: "Lead website: Nguyễn Văn Thử".into(),
        username: Some("Nguyễn Văn Thử".into()),
        phone: Some("0900000027".into()),
        service_id: Some(1_244),
        comment: Some("Xin chào".into()),
        ref_url: Some("https://shop.example.vn/?utm_source=fb&utm_campaign=t%E1%BA%BFt".into()),
        ..NewLead::default()
    }
}

#[tokio::test]
async fn every_list_through_the_client() {
    let bench = Bench::roomy(Options::default());
    let client = &bench.client;
    let statuses = client.statuses().await.result.unwrap();
    assert_eq!(statuses.iter().filter(|status| status.is_first()).count(), 1);
    assert_eq!(statuses[0].id, 525);
    assert_eq!(client.unqualified_reasons().await.result.unwrap().len(), 4);
    let labels = client.labels().await.result.unwrap();
    assert_eq!(labels.iter().map(|label| label.id).collect::<Vec<_>>(), [10, 11, 17, 22]);
    let services = client.services().await.result.unwrap();
    assert_eq!((services[0].id, services[0].channel), (1_244, Some(9)));
    assert_eq!(client.groups().await.result.unwrap()[0].id, 12_153);
    let agents = client.agents().await.result.unwrap();
    assert_eq!(agents[1].id, 142_928_097);
    assert_eq!(agents[1].extension.as_deref(), Some("50007"));
    let fields = client.ticket_custom_fields().await.result.unwrap();
    assert_eq!(fields[1].options[0].id, 106_902);
    assert!(fields[1].is_drop_down() && !fields[0].is_drop_down());
    assert_eq!(client.contact_custom_fields().await.result.unwrap()[0].id, 8_001);
    let api = bench.get("services?type=11").await;
    assert_eq!(api["services"].as_array().unwrap().len(), 1);
    assert_eq!(bench.sandbox.log().len(), 9);
    bench.stop().await;
}

#[tokio::test]
async fn labels_may_be_on_either_path() {
    for (under_api, at_root, found) in
        [(true, false, true), (false, true, true), (false, false, false)]
    {
        let bench = Bench::roomy(Options {
            labels_under_api: under_api,
            labels_at_root: at_root,
            ..Options::default()
        });
        assert_eq!(bench.client.labels().await.result.is_ok(), found, "{under_api} {at_root}");
    }
}

#[tokio::test]
async fn the_page_shows_leads_and_escapes_them() {
    let bench = Bench::roomy(Options::default());
    let (_, empty) = bench.raw("GET", "/", "", "").await;
    assert!(empty.contains("simulator") && empty.contains("No lead yet."), "{empty}");
    bench.client.create_lead(&new_lead()).await.result.unwrap();
    let hostile = json!({
        "subject": "<script>alert(1)</script>", "username": "\"><img src=x>",
        "phone": "0900000028", "ref_url": "javascript:alert(1)//?utm_source=<b>",
    });
    bench.create(hostile).await;
    let (status, page) = bench.raw("GET", "/", "", "").await;
    assert_eq!(status, 200);
    for shown in ["414856017", "Nguyễn Văn Thử", "0900000027", "utm_campaign: tết", "Xin chào"]
    {
        assert!(page.contains(shown), "{shown} is missing");
    }
    for raw in ["<script", "<img", "<b>", "href", "http://", "//cdn"] {
        assert!(!page.contains(raw), "{raw} came through");
    }
    let (_, leads) = bench.raw("GET", "/sandbox/leads", "", "").await;
    let leads: Value = serde_json::from_str(&leads).unwrap();
    assert_eq!(leads[1]["received"]["username"], "Nguyễn Văn Thử");
    let (_, figures) = bench.raw("GET", "/sandbox/log", "", "").await;
    let figures: Value = serde_json::from_str(&figures).unwrap();
    assert_eq!((&figures["leads"], &figures["requests"]), (&json!(2), &json!(2)));
}
