//! What `POST /in/{source}` answers, status by status.

use std::collections::HashSet;

use futures_util::future::join_all;
use leadgate::config::Rate;
use leadgate::sandbox::Options;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gateway::{CareSoft, Gateway, id_of, ids_of};

fn form(phone: &str) -> String {
    format!(
        "ho_ten=Nguy%E1%BB%85n+V%C4%83n+Th%E1%BB%AD&so_dien_thoai={phone}&thanh_pho=Hu%E1%BA%BF"
    )
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn every_content_type_becomes_the_same_lead() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"Họ và tên\"\r\n\r\nNguyễn Văn Thử\r\n\
                     --b\r\nContent-Disposition: form-data; name=\"SĐT\"\r\n\r\n0900 000 003\r\n\
                     --b\r\nContent-Disposition: form-data; name=\"thanh_pho\"\r\n\r\nHuế\r\n\
                     --b\r\nContent-Disposition: form-data; name=\"cv\"; filename=\"cv.pdf\"\r\n\
                     Content-Type: application/pdf\r\n\r\nFILE CONTENT\r\n--b--\r\n";
    let posts = [
        (
            "application/json",
            r#"{"name":"Nguyễn Văn Thử","phone":900000001,"thanh_pho":"Huế"}"#.to_owned(),
            "+84900000001",
        ),
        (FORM, form("0900000002"), "+84900000002"),
        ("multipart/form-data; boundary=b", multipart.to_owned(), "+84900000003"),
        (
            "text/plain;charset=UTF-8",
            r#"{"full_name":"Nguyễn Văn Thử","tel":"0900000004","thanh_pho":"Huế"}"#.to_owned(),
            "+84900000004",
        ),
        ("text/plain", form("0900000005"), "+84900000005"),
    ];
    for (content_type, body, phone) in posts {
        let request = gateway.post().header("Content-Type", content_type).body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 202, "{content_type}");
        let record = gateway.record(&id_of(response).await).await;
        assert_eq!(record["lead"]["name"], "Nguyễn Văn Thử", "{content_type}");
        assert_eq!(record["lead"]["phone"], phone, "{content_type}");
        let answers = record["lead"]["answers"].as_array().unwrap();
        assert_eq!(answers[0], json!({"label": "thanh_pho", "value": "Huế"}), "{content_type}");
        assert!(!record.to_string().contains("FILE CONTENT"), "a file's content is dropped");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn refusals_are_problem_documents_and_store_nothing() {
    let caresoft = CareSoft::start(Options::default());
    let secured = "[sources.website.secrets]\ntoken = [\"new\", \"old\"]\n";
    let gateway = Gateway::start_with(&caresoft, secured, |config| {
        config.server.max_body_bytes = 1000;
    })
    .await;
    let post = || gateway.post().header("X-Leadgate-Token", "new");
    let url = |path| gateway.url(path);
    let long = format!("{{\"phone\":\"{}\"}}", "0".repeat(2000));
    let cases = [
        (400, post().header("Content-Type", "application/json").body("{"), "malformed"),
        (400, post().header("Content-Type", FORM).body(""), "malformed"),
        (401, gateway.post().json(&json!({"phone": "0900000001"})), "unauthorized"),
        (401, gateway.post().header("X-Leadgate-Token", "nope").body("x"), "unauthorized"),
        (404, gateway.http.post(url("/in/nowhere")).body("x"), "unknown-source"),
        (404, gateway.http.get(url("/in/nowhere")), "unknown-source"),
        (404, gateway.http.get(url("/nowhere")), "not-found"),
        (405, gateway.http.get(url("/in/website")), "method-not-allowed"),
        (405, gateway.http.put(url("/in/website")), "method-not-allowed"),
        (413, post().header("Content-Type", "application/json").body(long.clone()), "too-long"),
        (415, post().header("Content-Type", "application/xml").body("<a/>"), "content-type"),
        (415, post().header("Content-Encoding", "gzip").json(&json!({"a": 1})), "content-type"),
    ];
    for (status, request, name) in cases {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{name}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["type"], format!("urn:leadgate:problem:{name}"));
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["detail"].is_string());
    }
    let listed: Value = gateway.admin_get("/api/leads").await.json().await.unwrap();
    assert_eq!(listed["leads"], json!([]));
    for (header, token) in [("X-Leadgate-Token", "old"), ("Authorization", "Bearer new")] {
        let request = gateway.post().header(header, token).json(&json!({"phone": "0900000001"}));
        assert_eq!(request.send().await.unwrap().status(), 202, "{header}");
    }
    let by_query =
        gateway.http.post(url("/in/website?token=old")).json(&json!({"phone": "0900000001"}));
    assert_eq!(by_query.send().await.unwrap().status(), 202);
    gateway.stop().await;
}

/// A body that does not announce its length is cut off where it becomes too long.
#[tokio::test]
async fn a_body_without_a_length_is_bounded_too() {
    let caresoft = CareSoft::start(Options::default());
    let gateway =
        Gateway::start_with(&caresoft, "", |config| config.server.max_body_bytes = 1000).await;
    let mut stream = TcpStream::connect(gateway.public).await.unwrap();
    let head = "POST /in/website HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("200\r\n{}\r\n", "x".repeat(0x200));
    for _ in 0..3 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    let mut answer = vec![0; 1000];
    let read = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_submission_without_a_person_is_rejected_with_the_fields_at_fault() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let body = json!({"name": "Thử", "phone": "113", "email": "not an address"});
    let response = gateway.post().json(&body).send().await.unwrap();
    assert_eq!(response.status(), 422);
    let problem: Value = response.json().await.unwrap();
    let errors = problem["errors"].as_array().unwrap();
    let fields: Vec<_> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["phone", "email"]);
    assert!(errors.iter().all(|error| error["code"].is_string() && error["message"].is_string()));
    assert!(!problem.to_string().contains("113"), "an error does not repeat what was sent");
    gateway.stop().await;
}

#[tokio::test]
async fn a_source_may_quarantine_instead() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "invalid = \"quarantine\"").await;
    let id = gateway.submit(json!({"name": "Thử", "favourite": "blue"})).await;
    let record = gateway.record(&id).await;
    assert_eq!(record["state"], "quarantined");
    assert_eq!(record["lead"]["answers"][0]["label"], "favourite");
    assert!(record["reason"].is_string());
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

#[tokio::test]
async fn browsers_are_redirected_and_scripts_are_not() {
    let caresoft = CareSoft::start(Options::default());
    let html = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let plain = Gateway::start(&caresoft, "").await;
    let browser =
        |gateway: &Gateway| gateway.post().header("Accept", html).header("Content-Type", FORM);
    let response = browser(&plain).body(form("0900000001")).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["location"]),
        (303, &"/thanks".parse().unwrap())
    );
    let page = plain.http.get(plain.url("/thanks")).send().await.unwrap();
    assert!(page.status().is_success() && page.text().await.unwrap().contains("Cảm ơn"));
    let refused = browser(&plain).body("ho_ten=x").send().await.unwrap();
    assert_eq!(refused.status(), 422);
    assert!(refused.text().await.unwrap().contains("<html"), "a person reads a page");
    // A script that could read a page too is no browser: it posts JSON.
    let script = plain.post().header("Accept", "application/json, text/html;q=0.1");
    let answer = script.json(&json!({"phone": "0900000003"})).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    assert!(id_of(answer).await.len() > 10);
    plain.stop().await;

    let secured = Gateway::start(&caresoft, "secrets = { token = \"right\" }").await;
    let stranger = browser(&secured).body(form("0900000004")).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
    assert!(stranger.headers().contains_key("www-authenticate"), "{:?}", stranger.headers());
    secured.stop().await;

    let configured =
        Gateway::start(&caresoft, "thank_you_url = \"https://shop.example.vn/cam-on\"").await;
    let response = browser(&configured).body(form("0900000002")).send().await.unwrap();
    assert_eq!(response.headers()["location"], "https://shop.example.vn/cam-on");
    configured.stop().await;
}

#[tokio::test]
async fn a_filled_honeypot_is_answered_as_usual_and_stored_nowhere() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "honeypot = \"website_url\"").await;
    let id =
        gateway.submit(json!({"phone": "0900000001", "website_url": "http://spam.example"})).await;
    assert_eq!(gateway.admin_get(&format!("/api/leads/{id}")).await.status(), 404);
    let id = gateway.submit(json!({"phone": "0900000001", "website_url": ""})).await;
    assert_eq!(gateway.record(&id).await["lead"]["answers"], json!([]));
    gateway.stop().await;
}

#[tokio::test]
async fn only_configured_origins_pass_a_preflight() {
    let caresoft = CareSoft::start(Options::default());
    let gateway =
        Gateway::start(&caresoft, "cors = { origins = [\"https://shop.example.vn\"] }").await;
    let ask = |method: Method, origin: &str| {
        gateway.http.request(method, gateway.url("/in/website")).header("Origin", origin)
    };
    let preflight = |origin| {
        ask(Method::OPTIONS, origin)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "content-type")
    };
    let ours = preflight("https://shop.example.vn").send().await.unwrap();
    assert_eq!(ours.status(), 204);
    assert_eq!(ours.headers()["access-control-allow-origin"], "https://shop.example.vn");
    assert!(ours.headers()["access-control-allow-methods"].to_str().unwrap().contains("POST"));
    assert!(
        ours.headers()["access-control-allow-headers"].to_str().unwrap().contains("content-type")
    );
    assert!(ours.headers().contains_key("access-control-max-age"));
    assert_eq!(ours.headers()["vary"], "Origin");
    let theirs = preflight("https://evil.example").send().await.unwrap();
    assert!(!theirs.headers().contains_key("access-control-allow-origin"));
    let post = ask(Method::POST, "https://shop.example.vn").json(&json!({"phone": "0900000001"}));
    let post = post.send().await.unwrap();
    assert_eq!(post.headers()["access-control-allow-origin"], "https://shop.example.vn");
    gateway.stop().await;
}

#[tokio::test]
async fn inbound_limits_answer_429_with_retry_after() {
    let caresoft = CareSoft::start(Options::default());
    let slow = Rate { per_second: 1.try_into().unwrap(), burst: 2.try_into().unwrap() };
    for per_source in [false, true] {
        let gateway = Gateway::start_with(&caresoft, "", |config| {
            let limit =
                if per_source { &mut config.limits.per_source } else { &mut config.limits.per_ip };
            *limit = slow;
        })
        .await;
        // All at once: one after another they may take a slow machine longer than the refill.
        let post = || gateway.post().json(&json!({"phone": "0900000001"})).send();
        let mut accepted = 0;
        let mut limited = 0;
        for response in join_all((0..12).map(|_| post())).await {
            let response = response.unwrap();
            match response.status().as_u16() {
                202 => accepted += 1,
                429 => {
                    let wait = response.headers()["retry-after"].to_str().unwrap().to_owned();
                    assert!(wait.parse::<u64>().unwrap() >= 1, "{wait}");
                    limited += 1;
                }
                other => panic!("{other}"),
            }
        }
        assert!(accepted >= 2 && limited >= 1, "{accepted} accepted, {limited} limited");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn an_idempotency_key_makes_a_repeated_delivery_one_submission() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let deliver = async || {
        let body = json!({"phone": "0900000001"});
        let request = gateway.post().header("Idempotency-Key", "delivery-1").json(&body);
        id_of(request.send().await.unwrap()).await
    };
    let (first, second) = (deliver().await, deliver().await);
    assert_eq!(first, second);
    assert_eq!(gateway.record(&first).await["external_id"], "delivery-1");
    let found: Value = gateway.admin_get("/api/leads?q=delivery-1").await.json().await.unwrap();
    assert_eq!(found["leads"].as_array().unwrap().len(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn an_array_of_objects_is_several_submissions() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let body = json!([{"phone": "0900000001"}, {"phone": "0900000002"}, {"phone": "0900000001"}]);
    let response = gateway.post().json(&body).send().await.unwrap();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["ids"].as_array().unwrap().len(), 3);
    let third = gateway.record(answer["ids"][2].as_str().unwrap()).await;
    assert_eq!((&third["state"], &third["duplicate_of"]), (&json!("merged"), &answer["ids"][0]));
    gateway.stop().await;
}

#[tokio::test]
async fn a_repeated_array_is_the_same_submissions() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let deliver = async || {
        let body =
            json!([{"phone": "0900000001"}, {"phone": "0900000002"}, {"phone": "0900000003"}]);
        let request = gateway.post().header("Idempotency-Key", "delivery-1").json(&body);
        ids_of(request.send().await.unwrap()).await
    };
    let ids = deliver().await;
    let different: HashSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), different.len()), (3, 3), "{ids:?}");
    for (id, phone) in ids.iter().zip(["+84900000001", "+84900000002", "+84900000003"]) {
        assert_eq!(gateway.record(id).await["lead"]["phone"], phone);
    }
    assert_eq!(deliver().await, ids, "the same delivery again");
    let listed: Value = gateway.admin_get("/api/leads").await.json().await.unwrap();
    assert_eq!(listed["leads"].as_array().unwrap().len(), 3);
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_filled_honeypot_takes_only_its_own_item_out_of_an_array() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "honeypot = \"website_url\"").await;
    let body = json!([
        {"phone": "0900000001", "website_url": ""},
        {"phone": "0900000002", "website_url": "http://spam.example"},
        {"phone": "0900000003"},
    ]);
    let response = gateway.post().json(&body).send().await.unwrap();
    assert_eq!(response.status(), 202);
    let ids = ids_of(response).await;
    let different: HashSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), different.len()), (3, 3), "a robot learns nothing: {ids:?}");
    for (place, phone) in [(0, "+84900000001"), (2, "+84900000003")] {
        assert_eq!(gateway.record(&ids[place]).await["lead"]["phone"], phone);
    }
    assert_eq!(gateway.admin_get(&format!("/api/leads/{}", ids[1])).await.status(), 404);
    let listed: Value = gateway.admin_get("/api/leads").await.json().await.unwrap();
    assert_eq!(listed["leads"].as_array().unwrap().len(), 2);
    gateway.stop().await;
}

/// Several values of one field are several answers, and those have a bound.
#[tokio::test]
async fn a_field_of_too_many_values_is_malformed() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let response = gateway.post().json(&json!({"phone": vec!["0900000001"; 1500]}));
    let response = response.send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    gateway.stop().await;
}

#[tokio::test]
async fn the_pages_of_a_sandbox_are_there() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let get = async |path| gateway.http.get(gateway.url(path)).send().await.unwrap();
    assert!(get("/").await.text().await.unwrap().contains("action=\"/in/website\""));
    assert_eq!(get("/livez").await.status(), 200);
    let head = gateway.http.head(gateway.url("/livez")).send().await.unwrap();
    assert_eq!(head.status(), 200, "probes may ask with HEAD");
    let script = get("/embed.js").await;
    assert_eq!(script.headers()["content-type"], "application/javascript; charset=utf-8");
    let head = gateway.http.head(gateway.url("/embed.js")).send().await.unwrap();
    assert_eq!(
        (head.status(), &head.headers()["etag"]),
        (script.status(), &script.headers()["etag"])
    );
    assert!(script.text().await.unwrap().len() < 4000);
    gateway.stop().await;
}
