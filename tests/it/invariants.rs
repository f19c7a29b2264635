//! The invariants that need many clients at once, or the whole gateway.

use futures_util::future::join_all;
use leadgate::sandbox::Options;
use serde_json::{Value, json};

use crate::gateway::{Backing, CareSoft, Gateway, over_every_store};

over_every_store!(
    invariant_2_36_concurrent_posts_of_one_person_in_6_spellings_are_one_lead,
    invariant_2_phone_and_email_lead_to_the_same_person,
    invariant_5_the_ledger_sums_whatever_became_of_each,
    invariant_8_strangers_learn_nothing,
);

async fn invariant_2_36_concurrent_posts_of_one_person_in_6_spellings_are_one_lead(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::over(&store, &caresoft, "").await;
    let spellings = [
        "0900000001",
        "+84900000001",
        "(+84) 0900 000 001",
        "0084 900.000.001",
        "900000001",
        "SĐT: O900 000 001",
    ];
    let posts = (0..36).map(|number| {
        let body = json!({"name": format!("Thử {number}"), "phone": spellings[number % 6]});
        gateway.submit(body)
    });
    let ids = join_all(posts).await;
    let mut states = Vec::new();
    for id in &ids {
        let record = gateway.settled(id, &["created", "merged"]).await;
        states.push(record["state"].as_str().unwrap().to_owned());
    }
    assert_eq!(states.iter().filter(|state| *state == "created").count(), 1);
    assert_eq!(caresoft.sandbox.leads().len(), 1);
    gateway.assert_ledger_sums().await;
    assert_eq!(gateway.metric(r#"leadgate_records{state="merged"}"#).await, 35.0);
    gateway.stop().await;
}

async fn invariant_2_phone_and_email_lead_to_the_same_person(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::over(&store, &caresoft, "").await;
    let first =
        gateway.submit(json!({"phone": "0900000001", "email": "thu.nguyen@gmail.com"})).await;
    let by_email = gateway
        .submit(json!({"phone": "0900000002", "email": "ThuNguyen+tet@googlemail.com"}))
        .await;
    let by_linked_phone = gateway.submit(json!({"phone": "0900000002"})).await;
    for id in [by_email, by_linked_phone] {
        let record = gateway.record(&id).await;
        assert_eq!((&record["state"], &record["duplicate_of"]), (&json!("merged"), &json!(first)));
    }
    gateway.stop().await;
}

async fn invariant_5_the_ledger_sums_whatever_became_of_each(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::over(&store, &caresoft, "invalid = \"quarantine\"").await;
    for body in [
        json!({"phone": "0900000001"}),
        json!({"phone": "0900000001"}),
        json!({"name": "Thử"}),
        json!({"email": "thu@example.vn"}),
    ] {
        gateway.submit(body).await;
        gateway.assert_ledger_sums().await;
    }
    let listed: Value = gateway.admin_get("/api/leads").await.json().await.unwrap();
    for lead in listed["leads"].as_array().unwrap() {
        let id = lead["id"].as_str().unwrap();
        gateway.settled(id, &["created", "merged", "quarantined"]).await;
    }
    gateway.assert_ledger_sums().await;
    for (state, count) in
        [("created", 2.0), ("merged", 1.0), ("quarantined", 1.0), ("pending", 0.0)]
    {
        let line = format!("leadgate_records{{state=\"{state}\"}}");
        assert_eq!(gateway.metric(&line).await, count, "{state}");
    }
    gateway.stop().await;
}

/// A new person, a known one, a delivery that came before and one without a usable contact are
/// answered alike: status, headers, keys and how many ids.
async fn invariant_8_strangers_learn_nothing(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::over(&store, &caresoft, "invalid = \"quarantine\"").await;
    let shape = async |body: Value, key: &str| {
        let post = gateway.post().header("Idempotency-Key", key).json(&body);
        let response = post.send().await.unwrap();
        let status = response.status();
        let mut headers: Vec<_> = response.headers().keys().map(ToString::to_string).collect();
        headers.sort();
        let answer: Value = response.json().await.unwrap();
        let keys: Vec<_> = answer.as_object().unwrap().keys().cloned().collect();
        (status, headers, keys, answer["ids"].as_array().unwrap().len())
    };
    let person = json!({"phone": "0900000001"});
    let unknown = shape(person.clone(), "delivery-1").await;
    assert_eq!(unknown.0, 202);
    let known = shape(person.clone(), "delivery-2").await;
    let repeated = shape(person, "delivery-1").await;
    let quarantined = shape(json!({"name": "Thử", "phone": "113"}), "delivery-3").await;
    for (case, answer) in [("known", known), ("repeated", repeated), ("quarantined", quarantined)] {
        assert_eq!(answer, unknown, "{case}");
    }
    // Each of them was what it is called here.
    let outcomes = ["accepted", "merged", "repeated", "quarantined"];
    for outcome in outcomes {
        let line =
            format!("leadgate_submissions_total{{source=\"website\",outcome=\"{outcome}\"}}");
        assert_eq!(gateway.metric(&line).await, 1.0, "{outcome}");
    }
    gateway.stop().await;
}
