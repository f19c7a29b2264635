//! What a page may hold of a person, and of what a stranger typed.

use leadgate::sandbox::Options;
use reqwest::header::{ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY};
use serde_json::{Value, json};

use super::PAGES;
use super::operator::{Operator, location};
use crate::gateway::{Backing, CareSoft, Gateway};

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

/// Redis takes nothing new, and is asked: what a person sent last waits in the spool. The page erases
/// it there as well, and says what the API's receipt would.
#[tokio::test]
async fn a_page_forgets_what_waits_in_the_spool_and_says_so() {
    let (caresoft, store) = (CareSoft::start(Options::default()), Backing::redis());
    let gateway = Gateway::over(&store, &caresoft, "").await;
    let Backing::Redis(redis) = &store else { panic!("a Redis") };
    let allow = |rule: &str| redis.query::<()>(&["ACL", "SETUSER", "default", rule]);
    let mut ids = Vec::new();
    for phone in ["0900000001", "0900000002"] {
        let id = gateway.submit(json!({"phone": phone, "message": "lần đầu"})).await;
        gateway.settled(&id, &["created"]).await;
        ids.push(id);
    }
    allow("-mset"); // which admits, and nothing else does
    let mut waiting = Vec::new();
    for phone in ["0900000001", "0900000002", "0900000003"] {
        waiting.push(gateway.submit(json!({"phone": phone, "message": "chờ"})).await);
    }
    assert_eq!(gateway.metric("leadgate_spool_depth").await, 3.0);
    let operator = Operator::sign_in(&gateway).await;
    let path = format!("/leads/{}", ids[0]);
    let done = operator.post(&format!("{path}/forget"), &[("sure", "yes")]).await;
    assert_eq!(done.status(), 303);
    let done = location(&done).to_owned();
    let asked = gateway.admin_post("/api/forget", json!({"phone": "0900000002"})).await;
    let receipt: Value = asked.json().await.unwrap();
    let receipt = &receipt["receipt"];
    assert_eq!((&receipt["submissions"], &receipt["spool"]), (&json!(2), &json!("waiting")));
    let says = receipt["says"].as_str().unwrap();
    assert!(says.contains("spool"), "{says}");

    let page = operator.page(&done).await;
    let (_, told) = page.split_once("id=\"done\">").unwrap();
    let told = told.split("</p>").next().unwrap().replace("&#39;", "'");
    let (told, id) = told.split_once(" Receipt: ").unwrap();
    assert_eq!(told, format!("Erased: 2 ({says})."));
    assert!(id.starts_with("erasure-") && id != receipt["id"].as_str().unwrap(), "{id}");
    let vietnamese = operator.get(&done).header(ACCEPT_LANGUAGE, "vi").send().await.unwrap();
    let vietnamese = vietnamese.text().await.unwrap();
    assert!(vietnamese.contains(id) && !vietnamese.contains("claims are erased"), "{vietnamese}");

    allow("+mset");
    for id in ids.iter().chain(&waiting[..2]) {
        assert!(gateway.settled(id, &["erased"]).await["lead"].is_null());
    }
    gateway.settled(&waiting[2], &["created"]).await;
    assert_eq!(caresoft.sandbox.leads().len(), 3, "nobody who was forgotten came again");
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}
