//! What a page may hold of a person, and of what a stranger typed.

use leadgate::sandbox::Options;
use reqwest::header::CONTENT_SECURITY_POLICY;
use serde_json::json;

use super::PAGES;
use super::operator::Operator;
use crate::gateway::{CareSoft, Gateway};

#[tokio::test]
async fn what_a_stranger_typed_stays_text_on_every_page() {
    const SCRIPT: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "invalid = \"quarantine\"").await;
    let id = gateway.submit(json!({
        "name": SCRIPT, "phone": "0900000001", "message": SCRIPT, "utm_source": SCRIPT,
        "utm_campaign": "=1+1", SCRIPT: SCRIPT, "page_url": "https://shop.example.vn/\"><script>",
    }))
    .await;
    let unusable = gateway.submit(json!({"name": SCRIPT, "phone": SCRIPT})).await;
    gateway.settled(&id, &["created"]).await;
    let operator = Operator::sign_in(&gateway).await;
    let mut texts = Vec::new();
    for path in PAGES.into_iter().map(str::to_owned).chain([
        format!("/leads/{id}"),
        format!("/leads/{unusable}"),
        "/attribution?touch=first".to_owned(),
    ]) {
        texts.push(operator.page(&path).await);
    }
    for (id, what) in [(&id, "reveal"), (&id, "request"), (&unusable, "raw")] {
        let revealed = operator.post(&format!("/leads/{id}/{what}"), &[]).await;
        assert_eq!(revealed.status(), 200);
        let policy = revealed.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        for said in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(said), "{policy}");
        }
        assert!(!policy.contains("unsafe"));
        texts.push(revealed.text().await.unwrap());
    }
    for text in &texts {
        for forbidden in ["<script>", "<img", " style=", "<style", "onclick"] {
            assert!(!text.contains(forbidden), "{forbidden} in {text}");
        }
    }
    let told = texts.iter().filter(|text| text.contains("alert(1)")).count();
    assert!(told >= 6, "the pages hold what was typed: {told}");
    let csv = operator.page("/attribution.csv").await;
    assert!(csv.contains("\"'=1+1\""), "{csv}");
    gateway.stop().await;
}

/// The list masks a person; who looks is logged by the lead's id. A search is in no address.
#[tokio::test]
async fn a_person_is_masked_until_somebody_asks() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let person =
        json!({"phone": "0900000001", "email": "thu.nguyen@example.vn", "ghi_chu": "Gọi sau 5h"});
    let id = gateway.submit(person).await;
    gateway.settled(&id, &["created"]).await;
    let operator = Operator::sign_in(&gateway).await;
    let lead = format!("/leads/{id}");
    for path in ["/leads", &lead] {
        let page = operator.page(path).await;
        assert!(page.contains("+84 ••••• 001") && page.contains("t•••@example.vn"), "{page}");
        for hidden in ["+84900000001", "thu.nguyen", "Gọi sau"] {
            assert!(!page.contains(hidden), "{hidden} in {path}");
        }
    }
    let revealed = operator.post(&format!("{lead}/reveal"), &[]).await.text().await.unwrap();
    for shown in ["+84900000001", "thu.nguyen@example.vn", "Gọi sau 5h"] {
        assert!(revealed.contains(shown), "{shown}");
    }
    let request = operator.post(&format!("{lead}/request"), &[]).await.text().await.unwrap();
    assert!(request.contains("&#34;phone&#34;: &#34;0900000001&#34;"), "{request}");
    for (q, count) in [("0900 000 001", 1), ("thu.nguyen@example.vn", 1), ("0900000002", 0)] {
        let found = operator.post("/leads", &[("q", q)]).await.text().await.unwrap();
        assert!(found.contains(&format!("id=\"found\">{count}<")), "{q}: {found}");
        assert!(!found.contains("0900 000 001"), "a search is not repeated");
    }
    gateway.stop().await;
}
