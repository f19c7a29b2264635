//! The admin API as its OpenAPI document describes it.

use leadgate::sandbox::Options;
use serde_json::{Value, json};

use crate::checkout::script;
use crate::chromium::Chromium;
use crate::gateway::{ADMIN_TOKEN, CareSoft, Gateway, eventually};
use crate::served::told;

/// The document of a running gateway.
async fn document(gateway: &Gateway) -> Value {
    let url = format!("http://{}/openapi.json", gateway.admin);
    gateway.http.get(url).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn nothing_behind_the_token_answers_without_it() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    let document = document(&gateway).await;
    let mut probed = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", &id).replace("{destination}", "main");
        let url = format!("http://{}{path}", gateway.admin);
        for (method, operation) in item.as_object().unwrap() {
            let method: reqwest::Method = method.to_uppercase().parse().unwrap();
            let ask = || gateway.http.request(method.clone(), &url).body("{}");
            let mut answers = Vec::new();
            let tokens = ["", "admin-token-of-a-tes", "admin-token-of-a-test2", "\u{e9}"];
            let headers = tokens.map(|token| format!("Bearer {token}"));
            let headers = headers.iter().map(String::as_str);
            for header in headers.chain([ADMIN_TOKEN, "Basic YWRtaW46YWRtaW4="]) {
                answers.push(ask().header("Authorization", header).send().await.unwrap());
            }
            answers.push(ask().send().await.unwrap());
            answers.push(ask().query(&[("token", ADMIN_TOKEN)]).send().await.unwrap());
            for answer in answers {
                if operation["security"].is_null() {
                    assert_eq!(answer.status(), 200, "{method} {path}");
                    continue;
                }
                probed += 1;
                assert_eq!(answer.status(), 401, "{method} {path}");
                assert_eq!(answer.headers()["www-authenticate"], "Bearer");
                let problem: Value = answer.json().await.unwrap();
                assert_eq!(problem["type"], "urn:leadgate:problem:unauthorized");
            }
        }
    }
    assert!(probed >= 10 * 8, "{probed}");
    // None of them has done anything.
    assert_eq!(gateway.settled(&id, &["created"]).await["lead"]["phone"], "+84900000001");
    let lanes: Value = gateway.admin_get("/api/lanes").await.json().await.unwrap();
    assert_eq!(lanes["lanes"][0]["state"], "open");
    gateway.stop().await;
}

#[tokio::test]
async fn another_method_is_told_which_one_is_right() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let url = |path: &str| format!("http://{}{path}", gateway.admin);
    let deleted = gateway.http.delete(url("/api/leads")).send().await.unwrap();
    assert_eq!(
        (deleted.status().as_u16(), &deleted.headers()["allow"]),
        (405, &"GET".parse().unwrap())
    );
    let problem: Value = deleted.json().await.unwrap();
    assert_eq!(problem["type"], "urn:leadgate:problem:method-not-allowed");
    let got = gateway.admin_get("/api/forget").await;
    assert_eq!((got.status().as_u16(), &got.headers()["allow"]), (405, &"POST".parse().unwrap()));
    for path in ["/livez", "/readyz", "/metrics", "/docs", "/openapi.json"] {
        assert_eq!(gateway.http.head(url(path)).send().await.unwrap().status(), 200, "{path}");
    }
    gateway.stop().await;
}

/// Seeded, and bounded in time: first the edges of each parameter and body, then anything, with an
/// id that is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_asked_the_answer_is_one_of_those_described() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "invalid = \"quarantine\"").await;
    let id = gateway.submit(json!({"name": "Thử"})).await;
    for number in 0..3 {
        gateway.submit(json!({"phone": format!("090000000{number}"), "utm_source": "fb"})).await;
    }
    let known = gateway.folder.path().join("schemathesis.toml");
    let ids = format!("[parameters]\n\"path.id\" = \"{id}\"\n\"path.destination\" = \"main\"\n");
    std::fs::write(&known, ids).unwrap();
    asked(&gateway, &[], &["--phases", "examples,coverage", "--max-time", "50"]).await;
    let known = ["--config-file", known.to_str().unwrap()];
    let anything = ["--phases", "fuzzing", "--max-examples", "40", "--max-time", "50"];
    asked(&gateway, &known, &anything).await;
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

/// Runs schemathesis against a gateway; fails when it has found something.
async fn asked(gateway: &Gateway, before: &[&str], more: &[&str]) {
    let mut command = script("schemathesis");
    command.args(before);
    command.args(["run", &format!("http://{}/openapi.json", gateway.admin)]);
    command.args(["--header", &format!("Authorization: Bearer {ADMIN_TOKEN}")]);
    command.args(["--exclude-path", "/api/events"]); // it ends with the gateway
    command.args(["--checks", CHECKS, "--mode", "all", "--seed", "1"]).args(more);
    command.args(["--request-timeout", "20", "--generation-database", "none", "--no-color"]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = told(&output);
    println!("{said}");
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Test cases:"), "{said}");
}

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance,\
                      negative_data_rejection,unsupported_method,ignored_auth";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_the_document_and_tries_it_under_a_strict_policy() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let id = gateway.submit(json!({"name": "<img src=x onerror=alert(1)>", "phone": "0900000001"}));
    let id = id.await;
    gateway.settled(&id, &["created"]).await;
    let url = format!("http://{}/docs", gateway.admin);
    let page = gateway.http.get(&url).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe")
    );

    let chromium = Chromium::start();
    let tab = chromium.tab().await;
    tab.open(&url).await;
    let operations = document(&gateway).await["paths"].as_object().unwrap().len();
    let shown = "document.querySelectorAll('details.operation').length";
    eventually("all operations are shown", || async {
        (tab.run(shown).await == json!(operations)).then_some(())
    })
    .await;
    let ask = format!(
        "(() => {{
            document.querySelector('#token').value = '{ADMIN_TOKEN}';
            const form = [...document.querySelectorAll('details.operation')]
                .find(one => one.querySelector('.path').textContent === '/api/leads/{{id}}');
            form.open = true;
            form.querySelector('form input').value = '{id}';
            form.querySelector('button').click();
            return true;
        }})()"
    );
    assert_eq!(tab.run(&ask).await, json!(true));
    let answer =
        "[...document.querySelectorAll('[role=status] pre')].map(pre => pre.textContent).join('')";
    let answer = eventually("the answer is shown", || async {
        let text = tab.run(answer).await;
        text.as_str().filter(|text| text.contains("created")).map(str::to_owned)
    })
    .await;
    assert!(answer.contains("<img src=x"), "as text: {answer}");
    assert_eq!(tab.run("document.querySelectorAll('main img').length").await, json!(0));
    gateway.stop().await;
}
