//! Who may look, and whose forms do something.

use leadgate::sandbox::Options;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::json;
use tempfile::TempDir;

use super::PAGES;
use super::operator::{Operator, get, location, post, try_token};
use crate::gateway::{ADMIN_TOKEN, CareSoft, Gateway, eventually, http_client};
use crate::served::{Served, leadgate};

#[tokio::test]
async fn nobody_sees_anything_before_signing_in() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let id = gateway.submit(json!({"phone": "0900000001", "name": "Thử"})).await;
    let lead = format!("/leads/{id}");
    for path in PAGES.into_iter().chain([lead.as_str(), "/attribution.csv", "/trouble/0123"]) {
        for cookie in ["", "leadgate_session=1795425302123.00.00"] {
            let response = get(&gateway, path).header(COOKIE, cookie).send().await.unwrap();
            assert_eq!(response.status(), 303, "{path}");
            assert!(location(&response).starts_with("/sign-in"), "{path}");
            assert_eq!(response.text().await.unwrap(), "");
        }
    }
    for path in ["/lanes/main/pause", &format!("{lead}/forget"), &format!("{lead}/raw"), "/leads"] {
        let response = post(&gateway, path, &[("sure", "yes")]).send().await.unwrap();
        assert_eq!((response.status().as_u16(), location(&response)), (303, "/sign-in"), "{path}");
    }
    gateway.settled(&id, &["created"]).await;
    gateway.stop().await;
}

/// A program needs no session to read a page, and cannot change anything through one.
#[tokio::test]
async fn the_admin_token_reads_every_page() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    for path in PAGES {
        let page = get(&gateway, path).bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        assert_eq!((page.status().as_u16(), page.headers().get(SET_COOKIE)), (200, None), "{path}");
        let wrong = get(&gateway, path).bearer_auth("admin").send().await.unwrap();
        assert_eq!(wrong.status(), 303, "{path}");
    }
    let change = post(&gateway, "/lanes/main/pause", &[]).bearer_auth(ADMIN_TOKEN);
    assert_eq!(location(&change.send().await.unwrap()), "/sign-in");
    gateway.stop().await;
}

#[tokio::test]
async fn wrong_tokens_are_limited_and_a_session_is_not_touched_by_that() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let operator = Operator::sign_in(&gateway).await;
    for token in ["", "admin", "admin-token-of-a-tesT", "x", "y"] {
        let response = try_token(&gateway, token).await;
        assert_eq!(response.status(), 401);
        assert!(response.headers().get(SET_COOKIE).is_none());
    }
    for token in ["z", ADMIN_TOKEN] {
        assert_eq!(try_token(&gateway, token).await.status(), 429, "the right one as well");
    }
    operator.page("/").await;
    let out = operator.post("/sign-out", &[]).await;
    assert_eq!(location(&out), "/sign-in");
    let after = operator.get("/").send().await.unwrap();
    assert_eq!(after.status(), 303, "the cookie is worth nothing, whoever has kept it");
    gateway.stop().await;
}

#[tokio::test]
async fn a_form_from_elsewhere_does_nothing() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let operator = Operator::sign_in(&gateway).await;
    let token = operator.form_token.clone();
    let own = format!("http://{}", gateway.admin);
    let path = "/lanes/main/pause";
    let right = [("form_token", token.as_str())];
    for request in [
        operator.bare_post(path, &[]),
        operator.bare_post(path, &[("form_token", "0000")]),
        operator.bare_post(path, &right).header("origin", "https://evil.example"),
        operator.bare_post(path, &right).header("origin", "null"),
        operator.bare_post(path, &right).header("sec-fetch-site", "cross-site"),
        operator.bare_post(path, &right).header("sec-fetch-site", "same-site"),
    ] {
        assert_eq!(request.send().await.unwrap().status(), 403);
    }
    let from_elsewhere = post(&gateway, "/sign-in", &[("token", ADMIN_TOKEN)]);
    let from_elsewhere = from_elsewhere.header("origin", "https://evil.example");
    assert_eq!(from_elsewhere.send().await.unwrap().status(), 403);
    let lanes = gateway.admin_get("/api/lanes").await.text().await.unwrap();
    assert!(lanes.contains("\"paused\":false"), "{lanes}");
    let ours = operator.bare_post(path, &right).header("origin", own);
    assert_eq!(ours.header("sec-fetch-site", "same-origin").send().await.unwrap().status(), 303);
    let lanes = gateway.admin_get("/api/lanes").await.text().await.unwrap();
    assert!(lanes.contains("\"paused\":true"), "{lanes}");
    gateway.stop().await;
}

/// The link that a fresh machine's start line tells signs in, once.
#[tokio::test]
async fn the_start_line_signs_in_once() {
    let folder = TempDir::new().unwrap();
    let mut command = leadgate(folder.path());
    command.arg("serve");
    let served = Served::spawn(command).await;
    let link = eventually("the link", async || {
        let output = served.output();
        let line = output.lines().find(|line| line.trim_start().starts_with("console"))?;
        line.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned)
    })
    .await;
    assert!(link.starts_with(&format!("http://{}/sign-in?code=", served.admin)), "{link}");
    let http = http_client();
    let first = http.get(&link).send().await.unwrap();
    assert_eq!((first.status().as_u16(), location(&first)), (303, "/"));
    let cookie = first.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    let overview = http.get(format!("http://{}/", served.admin)).header(COOKIE, cookie);
    assert_eq!(overview.send().await.unwrap().status(), 200);
    let second = http.get(&link).send().await.unwrap();
    assert_eq!(second.status(), 401);
    assert!(second.headers().get(SET_COOKIE).is_none());
    served.terminate().await;
}

/// The stream of changes is for programs with the token and for pages of ours; a cookie is good for
/// nothing else of the API, and a session that has ended is told nothing more.
#[tokio::test]
async fn a_session_hears_what_happens_and_nothing_else_of_the_api() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let operator = Operator::sign_in(&gateway).await;
    let own = format!("http://{}", gateway.admin);
    for (header, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
        ("origin", "https://evil.example"),
    ] {
        let refused = operator.get("/api/events").header(header, value).send().await.unwrap();
        assert_eq!(refused.status(), 401, "{header}: {value}");
    }
    for path in ["/api/leads", "/api/lanes", "/api/stats"] {
        assert_eq!(operator.get(path).send().await.unwrap().status(), 401, "{path}");
    }
    let request = operator.get("/api/events").header("origin", own);
    let mut stream = request.header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let ready = stream.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&ready).contains("event: ready"));
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    let told = stream.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&told).contains(&id));
    gateway.settled(&id, &["created"]).await;
    operator.post("/sign-out", &[]).await;
    let late = gateway.submit(json!({"phone": "0900000002"})).await;
    gateway.settled(&late, &["created"]).await;
    while let Some(told) = stream.chunk().await.unwrap() {
        assert!(!String::from_utf8_lossy(&told).contains(&late));
    }
    assert_eq!(operator.get("/api/events").send().await.unwrap().status(), 401);
    gateway.stop().await;
}
