//! The admin listener.

use leadgate::sandbox::Options;
use serde_json::{Value, json};

use crate::gateway::{CareSoft, Gateway};

#[tokio::test]
async fn health_and_metrics_need_no_token_and_the_api_does() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let get = |path: &str| gateway.http.get(format!("http://{}{path}", gateway.admin));
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(get(path).send().await.unwrap().status(), 200, "{path}");
    }
    let ready: Value = get("/readyz").send().await.unwrap().json().await.unwrap();
    assert_eq!(
        ready["store"],
        json!({"state": "up", "kind": "sqlite", "durability": "fsync always"})
    );
    assert_eq!(ready["lanes"], json!({"main": "open"}));
    for path in ["/api/leads", "/api/leads/01938d5f-0000-7000-8000-000000000000"] {
        assert_eq!(get(path).send().await.unwrap().status(), 401, "{path}");
        let wrong = get(path).bearer_auth("admin-token-of-a-tes");
        assert_eq!(wrong.send().await.unwrap().status(), 401, "{path}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_record_tells_the_whole_story() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let id = gateway
        .submit(json!({
            "name": "Nguyễn Văn Thử", "phone": "0900000001", "email": "Thu@Example.vn",
            "message": "xin gọi lại", "thanh_pho": "Huế", "page_url": "https://shop.example.vn/",
            "utm_source": "fb", "fbclid": "abc",
        }))
        .await;
    let record = gateway.settled(&id, &["created"]).await;
    assert_eq!(
        record["lead"],
        json!({
            "name": "Nguyễn Văn Thử", "phone": "+84900000001", "email": "thu@example.vn",
            "message": "xin gọi lại",
            "ref_url": "https://shop.example.vn/?utm_source=fb&fbclid=abc",
            "page_url": "https://shop.example.vn/", "referrer": null,
            "utm": {"source": "fb"}, "click_ids": {"fbclid": "abc"},
            "answers": [{"label": "thanh_pho", "value": "Huế"}],
        })
    );
    let lead_id = caresoft.leads_of("0900000001")[0].id;
    assert_eq!(record["upstream"]["lead_id"], lead_id);
    for field in ["received_at", "settled_at"] {
        assert!(record[field].as_str().unwrap().ends_with('Z'), "{field}");
    }
    let history = record["history"].as_array().unwrap();
    assert_eq!(history[0]["event"], "accepted");
    let attempt = history.last().unwrap();
    assert_eq!((&attempt["event"], &attempt["outcome"]), (&json!("attempt"), &json!("created")));
    assert_eq!(attempt["status"], 200);
    for q in ["0900 000 001", "thu@example.vn", &id, &lead_id.to_string()] {
        let url = format!("/api/leads?q={}", q.replace(' ', "%20"));
        let found: Value = gateway.admin_get(&url).await.json().await.unwrap();
        assert_eq!(found["leads"][0]["id"], *id, "{q}");
        assert!(found["leads"][0].get("history").is_none(), "lists leave the history out");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn lists_are_filtered_and_paged_newest_first() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "invalid = \"quarantine\"").await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(gateway.submit(json!({"phone": format!("090000000{number}")})).await);
    }
    let unusable = gateway.submit(json!({"name": "Thử"})).await;
    let list = async |query: String| -> Value {
        gateway.admin_get(&format!("/api/leads{query}")).await.json().await.unwrap()
    };
    let ids_of = |page: &Value| -> Vec<String> {
        let leads = page["leads"].as_array().unwrap().iter();
        leads.map(|lead| lead["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = list("?limit=2".to_owned()).await;
    assert_eq!(ids_of(&first), [unusable.clone(), ids[4].clone()]);
    gateway.submit(json!({"phone": "0900000009"})).await; // arrives between two pages
    let cursor = first["next"].as_str().unwrap();
    let second = list(format!("?limit=4&cursor={cursor}")).await;
    assert_eq!(ids_of(&second), [3, 2, 1, 0].map(|place: usize| ids[place].clone()));
    assert_eq!(second["next"], json!(null));
    let quarantined =
        list("?state=quarantined,dead&source=website&destination=main".to_owned()).await;
    assert_eq!(ids_of(&quarantined), [unusable]);
    assert!(ids_of(&list("?until=2020-01-01T00:00:00Z".to_owned()).await).is_empty());
    for wrong in ["?state=gone", "?limit=x", "?nonsense=1", "?since=yesterday", "?source=a%20b"] {
        assert_eq!(gateway.admin_get(&format!("/api/leads{wrong}")).await.status(), 400, "{wrong}");
    }
    gateway.stop().await;
}
