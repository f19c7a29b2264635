//! The client against a real socket that misbehaves in one way at a time.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::config::{Breaker, Destination, LeadSettings, Marker, Pace, Retry};

/// What the server does with a request that it has read to its end.
#[derive(Clone)]
enum Then {
    /// Writes this and closes.
    Say(String),
    /// Resets the connection.
    Reset,
    /// Keeps the connection open and says nothing (more than this).
    Hang(&'static str),
}

/// A server that treats its n-th request by the n-th of `script` (the last one for the rest).
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(script: Vec<Then>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                let index = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request);
                    seen.len() - 1
                };
                match script[index.min(script.len() - 1)].clone() {
                    // The client may have seen enough before the end.
                    Then::Say(text) => drop(stream.write_all(text.as_bytes()).await),
                    Then::Reset => stream.set_zero_linger().unwrap(),
                    Then::Hang(text) => {
                        stream.write_all(text.as_bytes()).await.unwrap();
                        held.push(stream);
                    }
                }
            }
        });
        Self { address, requests, task }
    }

    fn client(&self) -> Client {
        client(&format!("http://{}", self.address), "VUON Thử/1")
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let read = stream.read_buf(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let expected = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        if read == 0 || (text.contains("\r\n\r\n") && body.len() >= expected) {
            return text;
        }
    }
}

fn client(base_url: &str, domain: &str) -> Client {
    Client::new(&destination(base_url, domain)).unwrap()
}

pub(crate) fn destination(base_url: &str, domain: &str) -> Destination {
    let rate = NonZeroU32::new(1_000).unwrap();
    Destination {
        base_url: base_url.parse().unwrap(),
        fallback_url: None,
        domain: domain.into(),
        token: "s3cret-token".into(),
        rate: Pace { per_second: rate, per_hour: rate },
        max_in_flight: 4,
        timeout: Duration::from_secs(1),
        retry: Retry {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(1),
            give_up_after: Duration::from_secs(1),
        },
        breaker: Breaker { failures: 5, probe_every: Duration::from_secs(1) },
        lockout: Duration::from_secs(900),
        marker: Marker::None,
        comment_author_id: None,
        lead_url: None,
        lead: LeadSettings::default(),
    }
}

fn http(status: &str, headers: &str, body: &str) -> Then {
    let length = body.len();
    Then::Say(format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    ))
}

fn lead() -> NewLead {
    NewLead {
        subject: "Thử".into(),
        phone: Some("0900000027".into()),
        service_id: Some(1_244),
        ..NewLead::default()
    }
}

#[tokio::test]
async fn each_way_a_create_can_end_and_never_a_second_request() {
    let html = http("502 Bad Gateway", "Content-Type: text/html\r\n", "<h1>Bad Gateway</h1>");
    let ok = r#"{"code":"ok","lead":{"id":414856017,"requester_id":63215969}}"#;
    let long = ok.to_owned() + &" ".repeat(1_100_000);
    let elsewhere = "Location: http://127.0.0.1:1/\r\n";
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"code\":\"ok\",\"lead\":{\"id\":4";
    let stuck = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"code\":\"ok\"";
    let not_json = r#"{code:"errors",message:"Too Many Attempts."}"#;
    let refused = r#"{"code":"errors","message":"service_id not found"}"#;
    #[rustfmt::skip]
    let rows: Vec<(&str, Then, Option<u16>, &str)> = vec![
        ("created", http("200 OK", "", ok), Some(200), "created"),
        ("reset after the request", Then::Reset, None, "ambiguous"),
        ("closed after the request", Then::Say(String::new()), None, "ambiguous"),
        ("no answer in time", Then::Hang(""), None, "ambiguous"),
        ("half a status line", Then::Say("HTTP/1.1 2".into()), None, "ambiguous"),
        ("no HTTP", Then::Say("220 smtp.example.vn\r\n\r\n".into()), None, "ambiguous"),
        ("cut JSON", Then::Say(cut.into()), Some(200), "ambiguous"),
        ("JSON without an end", Then::Hang(stuck), Some(200), "ambiguous"),
        ("too long", http("200 OK", "", &long), Some(200), "ambiguous"),
        ("HTML 502", html, Some(502), "ambiguous"),
        ("no id", http("200 OK", "", r#"{"code":"ok","lead":{}}"#), Some(200), "ambiguous"),
        ("OK", http("200 OK", "", "OK"), Some(200), "ambiguous"),
        ("errors as 200", http("200 OK", "", refused), Some(200), "rejected"),
        ("refused", http("400 Bad Request", "", refused), Some(400), "rejected"),
        ("redirect", http("307 Temporary Redirect", elsewhere, ""), Some(307), "configuration"),
        ("token", http("401 Unauthorized", "", ""), Some(401), "configuration"),
        ("throttled", http("429 Too Many Requests", "", not_json), Some(429), "throttled"),
    ];
    for (name, then, status, expected) in rows {
        let server = Server::start(vec![then]).await;
        let exchange = server.client().create_lead(&lead()).await;
        let kind = exchange.result.as_ref().map_or_else(Failure::kind, |_| "created");
        assert_eq!((kind, exchange.status), (expected, status), "{name}: {:?}", exchange.result);
        assert_eq!(server.requests().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    // Nobody listens there, and nobody else is given the port as long as this lives.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = taken.local_addr().unwrap();
    let speaks_no_tls = Server::start(vec![Then::Say("no TLS here".into())]).await;
    for base_url in [
        format!("http://{closed}"),
        "http://no-such-host.invalid".into(),
        format!("https://{}", speaks_no_tls.address),
    ] {
        let exchange = client(&base_url, "vuon").create_lead(&lead()).await;
        let failure = exchange.result.unwrap_err();
        assert_eq!(failure.kind(), "not_sent", "{base_url}: {failure}");
        assert_eq!((failure.sent(), failure.retryable()), (Sent::No, true));
        assert_eq!(exchange.status, None);
    }
}

#[tokio::test]
async fn a_reset_on_a_kept_connection_is_ambiguous_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let first = read_request(&mut stream).await;
        let body = r#"{"code":"ok","lead":{"id":1}}"#;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
        let second = read_request(&mut stream).await;
        stream.set_zero_linger().unwrap();
        drop(stream);
        // A third request would come over a new connection.
        let third = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
        (first, second, third.is_err())
    });
    let client = client(&format!("http://{address}"), "vuon");
    assert_eq!(client.create_lead(&lead()).await.result.unwrap().id, 1);
    let failure = client.create_lead(&lead()).await.result.unwrap_err();
    assert_eq!(failure.kind(), "ambiguous", "{failure}");
    let (first, second, nothing_more) = server.await.unwrap();
    assert_eq!(first, second);
    assert!(nothing_more);
}

#[tokio::test]
async fn the_request_as_it_is_written() {
    let server = Server::start(vec![http("200 OK", "", r#"{"lead":{"id":1}}"#)]).await;
    server.client().create_lead(&lead()).await.result.unwrap();
    let request = server.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    // The domain is one path segment, whatever it holds.
    assert!(head.starts_with("POST /VUON%20Th%E1%BB%AD%2F1/api/v1/lead HTTP/1.1\r\n"), "{head}");
    for line in [
        "authorization: Bearer s3cret-token",
        "content-type: application/json",
        concat!("user-agent: leadgate/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(head.lines().any(|written| written == line), "{line} is missing in {head}");
    }
    let expected = r#"{"lead":{"subject":"Thử","phone":"0900000027","service_id":1244}}"#;
    assert_eq!(body, expected);
}

#[tokio::test]
async fn labels_are_also_sought_where_the_vendors_page_prints_them() {
    let list = r#"{"code":"ok","data":[{"id":11,"label":"Cold","created_at":"2023-10-02"}]}"#;
    let missing = http("404 Not Found", "", "<h1>404</h1>");
    let server = Server::start(vec![missing, http("200 OK", "", list)]).await;
    let labels = server.client().labels().await.result.unwrap();
    assert_eq!(labels, [Label { id: 11, label: "Cold".into() }]);
    let paths: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.split(' ').nth(1).unwrap().to_owned())
        .collect();
    let domain = "/VUON%20Th%E1%BB%AD%2F1";
    assert_eq!(paths, [format!("{domain}/api/v1/lead/labels"), format!("{domain}/lead/labels")]);

    let lock_out = r#"{"message":"Domain incorrect too many times , retry after 15 minutes "}"#;
    let server = Server::start(vec![http("404 Not Found", "", lock_out)]).await;
    assert_eq!(server.client().labels().await.result.unwrap_err().kind(), "locked_out");
    assert_eq!(server.requests().len(), 1, "a lock-out is silence");
}

#[tokio::test]
async fn a_phone_that_nobody_has_is_no_failure() {
    let body = r#"{"code":"errors","message":"Not found user"}"#;
    for status in ["400 Bad Request", "200 OK", "404 Not Found"] {
        let server = Server::start(vec![http(status, "", body)]).await;
        let exchange = server.client().contact_by_phone("0900000027").await;
        assert_eq!(exchange.result, Ok(None), "{status}");
        assert!(server.requests()[0].contains("/contactsByPhone?phoneNo=0900000027 "));
    }
    let server = Server::start(vec![http("400 Bad Request", "", "{}")]).await;
    let failure = server.client().contact_by_phone("0900000027").await.result.unwrap_err();
    assert_eq!(failure.kind(), "rejected");
}

#[tokio::test]
async fn a_failure_names_neither_the_person_nor_the_token() {
    let body = r#"{"message":"0900000027 thu@example.vn s3cret-token"}"#;
    let servers = [http("400 Bad Request", "", body), Then::Reset, Then::Hang("")];
    for then in servers {
        let server = Server::start(vec![then]).await;
        let failure = server.client().contact_by_phone("0900000027").await.result.unwrap_err();
        let printed = format!("{failure} {failure:?} {:?}", server.client());
        for secret in ["0900000027", "thu@example.vn", "s3cret-token"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}

#[test]
fn what_cannot_be_a_client_is_said() {
    let with = |base_url: &str, domain: &str, token: &str| {
        let destination = Destination { token: token.into(), ..destination(base_url, domain) };
        Client::new(&destination).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(with("https://api.caresoft.vn", "vuon", "t"), "");
    assert!(with("ftp://api.caresoft.vn", "vuon", "t").contains("base_url"));
    assert!(with("https://api.caresoft.vn", "..", "t").contains("domain"));
    for token in ["", "line\nbreak", "dấu"] {
        assert!(with("https://api.caresoft.vn", "vuon", token).contains("token"), "{token:?}");
    }
}
