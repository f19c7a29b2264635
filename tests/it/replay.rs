//! Replays: one lead, corrected or as it is, and all that match.

use leadgate::config::Config;
use leadgate::sandbox::Options;
use reqwest::Response;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fleet::fast;
use crate::gateway::{
    Backing, CareSoft, Gateway, configuration, eventually, http_client, over_every_store, toml_of,
};
use crate::served::Served;

over_every_store!(
    a_dead_lead_is_corrected_and_created,
    a_quarantined_submission_is_corrected_and_created,
    what_was_kept_is_read_anew_when_the_mapping_is_mended,
    all_that_died_of_a_mistake_are_replayed_when_it_is_mended,
    a_replay_joins_the_lead_that_its_person_has_meanwhile,
);

/// CareSoft knows no such service: whoever is sent there dies.
const NO_SERVICE: u64 = 999_999;

/// A configuration that makes leads die, over a store that outlives its gateway.
fn mistaken(store: &Backing, folder: &TempDir, caresoft: &CareSoft) -> Config {
    let mut config = configuration(store, folder, caresoft.address, "");
    let main = config.destinations.values_mut().next().unwrap();
    main.rate.per_second = 500.try_into().unwrap();
    main.rate.per_hour = 1_800_000.try_into().unwrap();
    set_service(&mut config, NO_SERVICE);
    config
}

fn set_service(config: &mut Config, id: u64) {
    for source in config.sources.values_mut() {
        source.lead.service_id = Some(id);
    }
}

async fn gateway(config: &Config) -> Gateway {
    Gateway::run(config, TempDir::new().unwrap()).await
}

async fn answer(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn replay(gateway: &Gateway, id: &str, body: Value) -> (u16, Value) {
    answer(gateway.admin_post(&format!("/api/leads/{id}/replay"), body).await).await
}

/// The fields at fault, and why.
fn faults(problem: &Value) -> Vec<(&str, &str)> {
    let errors = problem["errors"].as_array().unwrap().iter();
    errors.map(|e| (e["field"].as_str().unwrap(), e["code"].as_str().unwrap())).collect()
}

async fn a_dead_lead_is_corrected_and_created(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let mut config = mistaken(&store, &folder, &caresoft);
    let before = gateway(&config).await;
    let person = json!({"phone": "0900000001", "name": "Thử", "utm_source": "fb"});
    let id = before.submit(person).await;
    let dead = before.settled(&id, &["dead"]).await;
    before.stop().await;

    set_service(&mut config, 1244);
    let gateway = gateway(&config).await;
    let wrong = json!({"lead": {"phone": "09000000", "email": "thu@", "phon": "0900000002"}});
    let (status, problem) = replay(&gateway, &id, wrong).await;
    assert_eq!((status, faults(&problem)), (422, vec![("phon", "unknown")]));
    let wrong = json!({"lead": {"phone": "09000000", "email": "thu@"}});
    let (status, problem) = replay(&gateway, &id, wrong).await;
    let at_fault = vec![("phone", "too_short"), ("email", "malformed_domain")];
    assert_eq!((status, faults(&problem)), (422, at_fault));
    let (status, problem) = replay(&gateway, &id, json!({"lead": {"phone": null}})).await;
    assert_eq!((status, faults(&problem).len()), (422, 2), "nobody is left");
    assert_eq!(gateway.record(&id).await, dead, "nothing of it has happened");

    let corrected = json!({"lead": {
        "phone": "(+84) 0900.000.002", "name": null, "email": "Thu@Example.vn",
        "utm": {"campaign": "tet"},
    }});
    let done = replay(&gateway, &id, corrected).await;
    assert_eq!(done, (200, json!({"status": "replayed", "id": id})));
    let record = gateway.settled(&id, &["created"]).await;
    let lead = &record["lead"];
    assert_eq!((&lead["phone"], &lead["name"]), (&json!("+84900000002"), &Value::Null));
    assert_eq!(lead["utm"], json!({"source": "fb", "campaign": "tet"}));
    assert_eq!(caresoft.leads_of("0900000002").len(), 1);
    assert!(caresoft.leads_of("0900000001").is_empty());
    let sent = caresoft.leads_of("0900000002")[0].received["ref_url"].to_string();
    assert!(sent.contains("utm_source=fb") && sent.contains("utm_campaign=tet"), "{sent}");

    for body in [json!({}), json!({"lead": {"name": "Hai"}})] {
        let (status, problem) = replay(&gateway, &id, body).await;
        assert_eq!((status, &problem["state"]), (409, &json!("created")), "{problem}");
    }
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

async fn a_quarantined_submission_is_corrected_and_created(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::over(&store, &caresoft, "invalid = \"quarantine\"").await;
    let id = gateway.submit(json!({"name": "Thử", "phone": "09000000", "loai": "mua"})).await;
    let (status, problem) = replay(&gateway, &id, json!({})).await;
    assert_eq!((status, &problem["state"]), (409, &json!("quarantined")));
    let (status, problem) = replay(&gateway, &id, json!({"lead": {"name": "Hai"}})).await;
    assert_eq!((status, faults(&problem).len()), (422, 2));
    let (status, _) = replay(&gateway, &id, json!({"lead": {"phone": "0900000003"}})).await;
    assert_eq!(status, 200);
    let record = gateway.settled(&id, &["created"]).await;
    assert_eq!(record["lead"]["name"], "Thử", "what was there is there");
    assert_eq!(caresoft.leads_of("0900000003").len(), 1);
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

async fn what_was_kept_is_read_anew_when_the_mapping_is_mended(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let source = "invalid = \"quarantine\"";
    let mut config = configuration(&store, &folder, caresoft.address, source);
    let before = gateway(&config).await;
    let posted = json!({"goi_lai_cho": "0900000003", "utm_source": "fb", "dich_vu": "A"});
    let first = before.submit(posted).await;
    let second = before.submit(json!({"goi_lai_cho": "0900000004"})).await;
    let useless = before.submit(json!({"dich_vu": "A"})).await;
    for id in [&first, &second, &useless] {
        before.settled(id, &["quarantined"]).await;
    }
    let (status, problem) = replay(&before, &first, Value::Null).await;
    assert_eq!((status, &problem["state"]), (409, &json!("quarantined")));
    assert!(problem["detail"].as_str().unwrap().contains("still: neither a phone"), "{problem}");
    before.stop().await;

    for source in config.sources.values_mut() {
        source.fields.insert("phone".into(), vec!["goi_lai_cho".into()]);
    }
    let gateway = gateway(&config).await;
    assert_eq!(replay(&gateway, &first, Value::Null).await.0, 200);
    let record = gateway.settled(&first, &["created"]).await;
    assert_eq!(record["lead"]["phone"], "+84900000003");
    assert_eq!(record["lead"]["utm"], json!({"source": "fb"}));
    assert_eq!(record["lead"]["answers"][0]["value"], "A");
    let all = json!({"state": "quarantined"});
    let (status, told) = answer(gateway.admin_post("/api/replay", all).await).await;
    assert_eq!((status, &told["replayed"]), (200, &json!(1)), "the other is of no use still");
    gateway.settled(&second, &["created"]).await;
    assert_eq!(gateway.record(&useless).await["state"], "quarantined");
    for phone in ["0900000003", "0900000004"] {
        assert_eq!(caresoft.leads_of(phone).len(), 1);
    }
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

/// More than a page of them.
async fn all_that_died_of_a_mistake_are_replayed_when_it_is_mended(store: Backing) {
    const LEADS: u64 = 520;
    let caresoft = fast();
    let folder = TempDir::new().unwrap();
    let mut config = mistaken(&store, &folder, &caresoft);
    let before = gateway(&config).await;
    let posts = (0..LEADS).map(|n| before.submit(json!({"phone": format!("0900000{n:03}")})));
    futures_util::future::join_all(posts).await;
    let dead = r#"leadgate_records{state="dead"}"#;
    eventually("all are dead", || async {
        (before.metric(dead).await == LEADS as f64).then_some(())
    })
    .await;
    before.stop().await;

    set_service(&mut config, 1244);
    let gateway = gateway(&config).await;
    let many = async |body: Value| answer(gateway.admin_post("/api/replay", body).await).await;
    for elsewhere in [
        json!({"state": "unknown"}),
        json!({"state": "dead", "source": "other"}),
        json!({"state": "dead", "destination": "other"}),
        json!({"state": "dead", "until": "2020-01-01T00:00:00Z"}),
        json!({"state": "dead", "since": "2100-01-01T00:00:00Z"}),
    ] {
        assert_eq!(many(elsewhere.clone()).await, (200, json!({"replayed": 0})), "{elsewhere}");
    }
    for wrong in [json!({}), json!({"state": "created"}), json!({"state": "dead", "sauce": "x"})] {
        assert_eq!(many(wrong.clone()).await.0, 422, "{wrong}");
    }
    let all = json!({"state": "dead", "source": "website", "destination": "main"});
    assert_eq!(many(all.clone()).await, (200, json!({ "replayed": LEADS })));
    assert_eq!(many(all).await, (200, json!({"replayed": 0})));
    eventually("all are created", || async {
        let created = gateway.metric(r#"leadgate_records{state="created"}"#).await;
        (created == LEADS as f64).then_some(())
    })
    .await;
    assert_eq!(caresoft.sandbox.leads().len() as u64, LEADS);
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

async fn a_replay_joins_the_lead_that_its_person_has_meanwhile(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let mut config = mistaken(&store, &folder, &caresoft);
    let before = gateway(&config).await;
    let dead = before.submit(json!({"phone": "0900000004"})).await;
    before.settled(&dead, &["dead"]).await;
    before.stop().await;

    set_service(&mut config, 1244);
    let gateway = gateway(&config).await;
    let newer = gateway.submit(json!({"phone": "0900000004"})).await;
    gateway.settled(&newer, &["created"]).await;
    let done = replay(&gateway, &dead, Value::Null).await;
    assert_eq!(done, (200, json!({"status": "replayed", "id": dead, "merged_into": newer})));
    assert_eq!(gateway.record(&dead).await["state"], "merged");
    assert_eq!(caresoft.leads_of("0900000004").len(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_no_replay_is_told_so() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let unknown = "01938d5f-0000-7000-8000-000000000000";
    for id in [unknown, "no-id"] {
        for body in [json!({}), json!({"lead": {"phone": "0900000001"}})] {
            assert_eq!(replay(&gateway, id, body).await.0, 404, "{id}");
        }
    }
    let paths = [
        format!("/api/leads/{unknown}/replay"),
        "/api/replay".to_owned(),
        "/api/lanes/main/pause".to_owned(),
        "/api/lanes/main/resume".to_owned(),
    ];
    for path in &paths {
        let url = format!("http://{}{path}", gateway.admin);
        let nobody = gateway.http.post(&url).json(&json!({"state": "dead"}));
        assert_eq!(nobody.send().await.unwrap().status(), 401, "{path}");
    }
    for path in &paths[..2] {
        let url = format!("http://{}{path}", gateway.admin);
        let token = crate::gateway::ADMIN_TOKEN;
        let post = |body: String| gateway.http.post(&url).bearer_auth(token).body(body).send();
        let broken = post("{".to_owned()).await.unwrap();
        assert_eq!(broken.headers()["content-type"], "application/problem+json");
        assert_eq!(broken.status(), 400, "{path}");
        assert_eq!(post("x".repeat(300_000)).await.unwrap().status(), 413, "{path}");
    }
    gateway.stop().await;
}

/// The commands, against the real binary.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_replays() {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let text = toml_of(&Backing::Sqlite.toml(folder.path()), caresoft.address, "");
    let mistaken = text.replace("service_id = 1244", "service_id = 999999");
    let served = Served::start(folder.path(), &mistaken).await;
    let mut ids = Vec::new();
    for number in 1..=3 {
        let body = json!({"phone": format!("090000000{number}")});
        let post = http_client().post(served.endpoint("website")).json(&body);
        ids.push(crate::gateway::id_of(post.send().await.unwrap()).await);
        served.settled(&ids[number - 1], "dead").await;
    }
    served.terminate().await;
    let served = Served::start(folder.path(), &text).await;
    let run = |arguments: &[&str]| served.command_line(folder.path(), arguments);
    let (code, said) = run(&["leads", "replay", &ids[0], &ids[1]]).await;
    assert_eq!((code, said.matches("  replayed").count()), (Some(0), 2), "{said}");
    served.settled(&ids[0], "created").await;
    let (code, said) = run(&["leads", "replay", &ids[0]]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("CareSoft has its lead"), "{said}");
    let (code, said) = run(&["leads", "replay", &ids[0], "--json"]).await;
    let answers: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &answers[0]["problem"]["state"]), (Some(1), &json!("created")));

    let (code, said) =
        run(&["leads", "replay", "--state", "dead", "--since", "1h", "--json"]).await;
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, answer), (Some(0), json!({"replayed": 1})));
    served.settled(&ids[2], "created").await;
    let (code, said) = run(&["leads", "replay", "--state", "dead", "--source", "website"]).await;
    assert_eq!((code, said.trim()), (Some(0), "replayed: 0"));
    for wrong in [
        &["leads", "replay"][..],
        &["leads", "replay", "--source", "website"],
        &["leads", "replay", &ids[0], "--state", "dead"],
        &["leads", "replay", "--state", "dead", "--since", "yesterday"],
    ] {
        assert_eq!(run(wrong).await.0, Some(2), "{wrong:?}");
    }
    assert_eq!(run(&["leads", "replay", "--state", "created"]).await.0, Some(1));
    served.terminate().await;
}
