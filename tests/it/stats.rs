//! `GET /api/stats`.

use leadgate::sandbox::Options;
use serde_json::{Value, json};

use crate::gateway::{Backing, CareSoft, Gateway, over_every_store};

over_every_store!(what_was_accepted_lately_is_counted,);

async fn what_was_accepted_lately_is_counted(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let more = r#"
[sources.unlucky]
preset = "web-form"
destination = "main"
lead = { service_id = 999999 } # CareSoft knows no such service
"#;
    let gateway = Gateway::over(&store, &caresoft, more).await;
    let campaign = json!({"utm_source": "fb", "utm_medium": "cpc", "utm_campaign": "tet"});
    let person = |phone: &str, utm: &Value| {
        let mut body = json!({"name": "Nguyễn Thị Bí Mật", "phone": phone});
        body.as_object_mut().unwrap().extend(utm.as_object().unwrap().clone());
        body
    };
    for phone in ["0900000001", "0900000002"] {
        let id = gateway.submit(person(phone, &campaign)).await;
        gateway.settled(&id, &["created"]).await;
    }
    let again = gateway.submit(person("0900000002", &campaign)).await;
    gateway.settled(&again, &["merged"]).await;
    let url = gateway.url("/in/unlucky");
    let post = gateway.http.post(url).json(&person("0900000003", &json!({}))).send().await;
    let dead = crate::gateway::id_of(post.unwrap()).await;
    gateway.settled(&dead, &["dead"]).await;

    let answered = gateway.admin_get("/api/stats?window=1h").await;
    assert_eq!(answered.status(), 200);
    let text = answered.text().await.unwrap();
    for secret in ["900000001", "900000002", "900000003", "Bí Mật"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let stats: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&stats["submissions"], &stats["truncated"]), (&json!(4), &json!(false)));
    let by_source = json!({"website": {"created": 2, "merged": 1}, "unlucky": {"dead": 1}});
    assert_eq!(stats["sources"], by_source);
    assert_eq!((&stats["states"]["created"], &stats["states"]["pending"]), (&json!(2), &json!(0)));
    let sum = |name: &str| -> u64 {
        let hours = stats["hours"].as_array().unwrap().iter();
        hours.map(|hour| hour[name].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("accepted"), sum("created")), (4, 2));
    let latency = &stats["latency_ms"];
    assert_eq!(latency["count"], 2);
    assert!(latency["p50"].as_u64() <= latency["max"].as_u64(), "{latency}");
    let rows = stats["attribution"]["rows"].as_array().unwrap();
    let first = json!({
        "source": "fb", "medium": "cpc", "campaign": "tet",
        "submissions": 3, "created": 2, "merged": 1, "dead": 0,
    });
    assert_eq!((rows.len(), &rows[0]), (2, &first));
    assert_eq!((&rows[1]["source"], &rows[1]["dead"]), (&Value::Null, &json!(1)));

    let later: Value = gateway.admin_get("/api/stats").await.json().await.unwrap();
    assert_eq!(later["hours"].as_array().unwrap().len(), 25, "a day touches 25 hours");
    for wrong in ["?window=32d", "?window=x", "?windo=1h", "?window=0s"] {
        assert_eq!(gateway.admin_get(&format!("/api/stats{wrong}")).await.status(), 400, "{wrong}");
    }
    for path in ["/api/stats", "/api/lanes"] {
        let url = format!("http://{}{path}", gateway.admin);
        assert_eq!(gateway.http.get(url).send().await.unwrap().status(), 401, "{path}");
    }
    gateway.stop().await;
}
