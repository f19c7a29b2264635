//! Whether a post is its platform's.

use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit, Mac};
use leadgate::sandbox::Options;
use serde_json::json;
use sha2::Sha256;

use super::fixture::{Change, fixtures};
use super::{gateway, records};
use crate::gateway::CareSoft;

/// One flipped byte, no signature, another key, an old time: each is refused, by every preset that
/// can tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_authentic_is_refused() {
    let caresoft = CareSoft::start(Options::default());
    let mut tried = BTreeSet::new();
    for fixture in fixtures() {
        let signed = fixture.meta["headers"].as_object().is_some_and(|headers| {
            headers.keys().any(|name| {
                let name = name.to_lowercase();
                name.contains("signature") || name.contains("hmac")
            })
        });
        let Some(case) = fixture.case().filter(|case| signed && case.secret.is_some()) else {
            continue;
        };
        if fixture.name.contains("bad_signature") {
            continue;
        }
        let name = &fixture.name;
        let any_age = "max_age = \"0s\"";
        let open = gateway(&caresoft, &fixture.source(case, any_age)).await;
        let right = fixture.post(&open, fixture.body.clone(), None).await.status().as_u16();
        assert!(right != 401 && right != 403, "{name}: {right}");

        let mut flipped = fixture.body.clone();
        let place = flipped.len() / 2;
        flipped[place] ^= 1;
        let denied = [401, 403];
        let status = fixture.post(&open, flipped, None).await.status().as_u16();
        assert!(denied.contains(&status), "{name}: a flipped byte: {status}");
        let without = Some(Change::WithoutHeaders);
        let status = fixture.post(&open, fixture.body.clone(), without).await.status().as_u16();
        assert!(denied.contains(&status), "{name}: no signature: {status}");
        open.stop().await;

        let other = fixture
            .source(case, any_age)
            .replace(&json!(fixture.meta["secret"]).to_string(), "\"d2hzZWNfYW5vdGhlciBrZXk=\"");
        let other = gateway(&caresoft, &other).await;
        let status = fixture.post(&other, fixture.body.clone(), None).await.status().as_u16();
        assert!(denied.contains(&status), "{name}: another key: {status}");
        assert!(records(&other).await.is_empty(), "{name}");
        other.stop().await;

        if !timeless(case.preset) {
            let strict = gateway(&caresoft, &fixture.source(case, "")).await;
            let status = fixture.post(&strict, fixture.body.clone(), None).await.status().as_u16();
            assert!(denied.contains(&status), "{name}: an old time: {status}");
            strict.stop().await;
        }
        tried.insert(case.preset);
    }
    assert_eq!(tried.len(), 13, "{tried:?}");
}

/// Presets whose signatures do not say when they were made.
fn timeless(preset: &str) -> bool {
    let timeless = [
        "framer",
        "linkedin-lead-sync",
        "meta-lead-ads",
        "netlify-forms",
        "shopify-customer",
        "signed-json",
        "tally",
        "typeform",
        "zalo-oa",
    ];
    timeless.contains(&preset)
}

/// An authentic post that is no JSON is kept, and answered as the platform wants; the same from
/// nobody is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_authentic_and_cannot_be_read_is_kept_whole() {
    let caresoft = CareSoft::start(Options::default());
    let source = "preset = \"framer\"\n[sources.website.secrets]\nsecret = \"s\"";
    let gateway = gateway(&caresoft, source).await;
    let body = "{\"Phone\":";
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s").unwrap();
    mac.update(format!("{body}s-1").as_bytes());
    let signature: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let post = || {
        let post = gateway.post().body(body).header("Content-Type", "application/json");
        post.header("Framer-Webhook-Submission-Id", "s-1")
    };
    let unsigned = post().send().await.unwrap();
    assert_eq!(unsigned.status(), 401);
    for _ in 0..2 {
        let signed = post().header("Framer-Signature", format!("sha256={signature}"));
        assert_eq!(signed.send().await.unwrap().status(), 200);
    }
    let found = records(&gateway).await;
    assert_eq!(found.len(), 1, "what comes again is kept once");
    assert_eq!(found[0]["state"], "quarantined");
    assert!(found[0]["reason"].as_str().unwrap().contains("JSON"), "{found:#?}");
    gateway.stop().await;
}
