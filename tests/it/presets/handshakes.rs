//! What a platform asks before it posts.

use std::fs;

use leadgate::sandbox::Options;
use serde_json::{Value, json};

use super::fixture::{NOWHERE, folder_of_all};
use super::gateway;
use crate::gateway::CareSoft;

/// Who sets a webhook up is answered by what only the right configuration knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_handshakes_of_platforms_are_answered() {
    let caresoft = CareSoft::start(Options::default());
    for (file, preset, own, other) in [
        ("meta/handshake.query", "meta-lead-ads", "verify_token", "page_token"),
        ("meta/handshake_wrong_token.query", "meta-lead-ads", "verify_token", "page_token"),
        ("linkedin/handshake.query", "linkedin-lead-sync", "client_secret", "access_token"),
    ] {
        let query = fs::read_to_string(folder_of_all().join(file)).unwrap();
        let meta = fs::read(folder_of_all().join(format!("{file}.meta.json"))).unwrap();
        let meta: Value = serde_json::from_slice(&meta).unwrap();
        let source = format!(
            "preset = \"{preset}\"\n{NOWHERE}\
             secrets = {{ {own} = {}, {other} = \"t\", token = \"t\" }}",
            meta["secret"]
        );
        let gateway = gateway(&caresoft, &source).await;
        let url = format!("http://{}/in/website?{}", gateway.public, query.trim());
        let response = gateway.http.get(url).send().await.unwrap();
        let expected = &meta["expected"];
        assert_eq!(json!(response.status().as_u16()), expected["response_status"], "{file}");
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let body = response.text().await.unwrap();
        match &expected["response_body"] {
            Value::String(text) => assert_eq!(&body, text, "{file}"),
            Value::Null => assert!(!body.contains("1158201444"), "{file}: {body}"),
            json => assert_eq!(&serde_json::from_str::<Value>(&body).unwrap(), json, "{file}"),
        }
        if let Some(expected) = expected["response_content_type"].as_str() {
            assert!(content_type.starts_with(expected), "{file}: {content_type}");
        }
        gateway.stop().await;
    }
}
