//! What is sent to CareSoft, and what each kind of answer leads to.

use std::time::{Duration, Instant};

use leadgate::sandbox::{Fault, FaultKind, Options, Route};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::gateway::{Backing, CareSoft, Gateway, eventually, over_every_store};

over_every_store!(
    invariant_4_an_answer_lost_after_commit_is_unknown_and_not_a_second_create,
    invariant_3_a_refused_lead_frees_its_claim,
    a_429_stops_the_lane_spends_no_attempt_and_one_probe_resumes_it,
    while_a_probe_is_under_way_nothing_else_is_sent,
    a_lockout_is_silence_and_no_lead_dies_of_it,
    a_revoked_token_stops_the_lane_and_leads_wait,
    what_was_surely_not_sent_is_tried_again,
    invariant_6_caresoft_sees_no_more_than_it_takes,
);

#[tokio::test]
async fn a_lead_carries_the_settings_of_its_destination_and_source() {
    let caresoft = CareSoft::start(Options::default());
    let extra = r#"
[sources.website.lead]
group_id = 12153
lead_label = [10, 11]
lead_status_id = 558
subject = "{{ source }} {{ utm.campaign }}: {{ fields.loai }}"
custom_fields = [
  { id = 5159, from = "thanh_pho" },
  { id = 6068, from = "loai", values = { "mua" = "106902" }, default = "106903" },
  { id = 7001, template = "{{ utm.source }}/{{ utm.campaign }}" },
]
"#;
    let gateway = Gateway::start(&caresoft, extra).await;
    let id = gateway
        .submit(json!({
            "name": "Nguyễn Văn Thử", "phone": "+84 900 000 001", "email": "thu@example.vn",
            "message": "xin gọi lại", "loai": "mua", "thanh_pho": "Huế",
            "utm_source": "fb", "utm_campaign": "tet",
        }))
        .await;
    gateway.settled(&id, &["created"]).await;
    let comment = format!(
        "xin gọi lại\nloai: mua\nthanh_pho: Huế\nutm_campaign: tet\nutm_source: fb\nleadgate:{id}"
    );
    let expected = json!({
        "subject": "website tet: mua", "username": "Nguyễn Văn Thử", "phone": "0900000001",
        "email": "thu@example.vn", "service_id": 1244, "group_id": 12153, "lead_status_id": 558,
        "lead_label": [10, 11], "comment": comment,
        "custom_fields": [
            {"id": 5159, "value": "Huế"}, {"id": 6068, "value": "106902"}, {"id": 7001, "value": "fb/tet"},
        ],
        "ref_url": "https://leads.example.vn/in/website?utm_campaign=tet&utm_source=fb",
    });
    assert_eq!(caresoft.leads_of("0900000001")[0].received, expected, "only keys with a value");
    gateway.stop().await;
}

/// A custom field is fed by the name that the form knows, with what the person typed.
#[tokio::test]
async fn custom_fields_take_any_field_of_the_form_as_it_came() {
    let caresoft = CareSoft::start(Options::default());
    let extra = r#"
[sources.website.lead]
custom_fields = [
  { id = 5159, from = "so_dien_thoai" },
  { id = 7001, from = "zalo" },
  { id = 6068, from = "utmSource" },
]
"#;
    let gateway = Gateway::start(&caresoft, extra).await;
    let body = json!({"so_dien_thoai": "0900 000 001", "zalo": "0900 000 002", "utmSource": "fb"});
    let id = gateway.submit(body).await;
    gateway.settled(&id, &["created"]).await;
    let lead = caresoft.leads_of("0900000001").remove(0);
    let expected = json!([
        {"id": 5159, "value": "0900 000 001"},
        {"id": 7001, "value": "0900 000 002"},
        {"id": 6068, "value": "fb"},
    ]);
    assert_eq!(lead.received["custom_fields"], expected);
    gateway.stop().await;
}

/// Options by name: the lane has learned CareSoft's ids of them before the first lead goes out.
#[tokio::test]
async fn options_by_name_are_sent_by_id() {
    let caresoft = CareSoft::start(Options::default());
    let extra = r#"
[sources.website.lead]
custom_fields = [{ id = 6068, from = "loai", values = { "mua" = "Mua" }, default = "khac" }]
"#;
    let gateway = Gateway::start(&caresoft, extra).await;
    for (phone, kind, option) in [("0900000001", "mua", "106902"), ("0900000002", "thue", "106903")]
    {
        let id = gateway.submit(json!({"phone": phone, "loai": kind})).await;
        gateway.settled(&id, &["created"]).await;
        let lead = caresoft.leads_of(phone).remove(0);
        assert_eq!(lead.received["custom_fields"], json!([{"id": 6068, "value": option}]));
    }
    let asked = |route| caresoft.sandbox.log().iter().filter(|entry| entry.route == route).count();
    assert_eq!(asked(Route::TicketCustomFields), 1, "once a day");
    gateway.stop().await;
}

#[tokio::test]
async fn long_texts_are_cut_at_a_character_and_keep_the_reference() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let (name, message) = ("Thử ".repeat(200), "đ".repeat(6000));
    let id = gateway.submit(json!({"name": name, "phone": "0900000001", "message": message})).await;
    gateway.settled(&id, &["created"]).await;
    let lead = caresoft.leads_of("0900000001").remove(0);
    let text = |key: &str| lead.received[key].as_str().expect("text").to_owned();
    let comment = text("comment");
    assert_eq!(comment.chars().count(), 5000);
    assert!(comment.ends_with(&format!("đ…\nleadgate:{id}")), "cut before the reference");
    for key in ["subject", "username"] {
        assert_eq!(text(key).chars().count(), 250, "{key}");
        assert!(text(key).ends_with('…'), "{key}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn phones_are_sent_as_configured() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start_with(&caresoft, "", |config| {
        config.phone.output = leadgate::config::PhoneOutput::E164;
    })
    .await;
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    gateway.settled(&id, &["created"]).await;
    assert_eq!(caresoft.leads_of("+84900000001").len(), 1);
    gateway.stop().await;
}

/// Every way an answer can be lost or garbled after CareSoft may have made the lead.
async fn invariant_4_an_answer_lost_after_commit_is_unknown_and_not_a_second_create(
    store: Backing,
) {
    let kinds = [
        FaultKind::CommitNoAnswer,
        FaultKind::CommitReset,
        FaultKind::Commit500,
        FaultKind::Commit502,
        FaultKind::CommitEmpty,
        FaultKind::CommitCutJson,
        FaultKind::CommitTorn,
        FaultKind::CommitWithoutId,
        FaultKind::NoAnswer,
        FaultKind::Error500,
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        let caresoft = CareSoft::start(Options::default());
        caresoft.sandbox.inject(Fault::once(Route::CreateLead, kind));
        let gateway = Gateway::over(&store, &caresoft, "").await;
        // The store may remember the people of the kind before.
        let [phone, another] = [2 * number, 2 * number + 1].map(|n| format!("09000000{n:02}"));
        let id = gateway.submit(json!({"phone": phone})).await;
        let record = gateway.settled(&id, &["unknown", "created", "dead"]).await;
        assert_eq!(record["state"], "unknown", "{kind}");
        assert!(record["reason"].is_string(), "{kind}");
        // A lead behind it has gone out, so the lane had every occasion to send this one again.
        let next = gateway.submit(json!({"phone": another})).await;
        gateway.settled(&next, &["created"]).await;
        let creates =
            caresoft.sandbox.log().iter().filter(|entry| entry.route == Route::CreateLead).count();
        assert_eq!(creates, 2, "{kind}: one request for each person");
        assert!(caresoft.leads_of(&phone).len() <= 1, "{kind}");
        gateway.assert_ledger_sums().await;
        gateway.stop().await;
    }
}

async fn invariant_3_a_refused_lead_frees_its_claim(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::over_with(&store, &caresoft, "", |config| {
        // A service that CareSoft does not know: it refuses the lead for good.
        let main = config.destinations.values_mut().next().expect("a destination");
        main.lead.service_id = Some(999_999);
    })
    .await;
    let first = gateway.submit(json!({"phone": "0900000001"})).await;
    let record = gateway.settled(&first, &["dead", "created"]).await;
    assert_eq!(record["state"], "dead");
    assert!(
        record["reason"].as_str().unwrap().contains("service_id not found"),
        "CareSoft's words"
    );
    let second = gateway.submit(json!({"phone": "0900000001"})).await;
    let record = gateway.settled(&second, &["dead", "merged"]).await;
    assert_eq!(record["duplicate_of"], json!(null), "the claim was free again");
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

async fn a_429_stops_the_lane_spends_no_attempt_and_one_probe_resumes_it(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    caresoft.sandbox.inject(Fault::once(Route::CreateLead, FaultKind::TooManyRequests));
    let gateway = Gateway::over(&store, &caresoft, "").await;
    let ids = [1, 2, 3].map(|number| json!({"phone": format!("090000000{number}")}));
    for body in ids {
        let id = gateway.submit(body).await;
        gateway.settled(&id, &["created"]).await;
    }
    assert_eq!(caresoft.sandbox.longest_run_of_429(), 1);
    let log = caresoft.sandbox.log();
    let refused = log.iter().position(|entry| entry.status == Some(429)).expect("a 429");
    let pause = log[refused + 1].arrived.duration_since(log[refused].arrived);
    assert!(pause >= Duration::from_millis(900), "silence after a 429: {pause:?}");
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

/// An upstream that takes a moment to answer every request with 429; when each came.
async fn slow_to_refuse(listener: TcpListener, came: mpsc::UnboundedSender<Instant>) {
    const LATENCY: Duration = Duration::from_millis(200);
    let answer = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    while let Ok((mut stream, _)) = listener.accept().await {
        let _ = came.send(Instant::now());
        tokio::spawn(async move {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            tokio::time::sleep(LATENCY).await; // the upstream's, not the test's
            let _ = stream.write_all(answer.as_bytes()).await;
        });
    }
}

/// A regression: the gate was asked before the pace was waited for, and a 429 came in between.
#[tokio::test]
async fn a_429_stops_what_is_waiting_for_its_turn_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (came, mut requests) = mpsc::unbounded_channel();
    let upstream = tokio::spawn(slow_to_refuse(listener, came));
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start_with(&caresoft, "", |config| {
        let main = config.destinations.values_mut().next().expect("a destination");
        main.base_url = format!("http://{address}").parse().expect("a URL");
        main.rate.per_second = 2.try_into().expect("not zero"); // half a second between two
    })
    .await;
    let both = json!([{"phone": "0900000001"}, {"phone": "0900000002"}]);
    gateway.post().json(&both).send().await.unwrap();
    let first = requests.recv().await.unwrap();
    let second = requests.recv().await.unwrap();
    // The 429 comes after a fifth of a second, and asks for a second of silence.
    let pause = second.duration_since(first);
    assert!(pause >= Duration::from_millis(1100), "another request after {pause:?}");
    gateway.stop().await;
    upstream.abort();
}

/// A regression: the probe was handed back as soon as it had begun, and a second one followed.
async fn while_a_probe_is_under_way_nothing_else_is_sent(store: Backing) {
    const SLOW: Duration = Duration::from_millis(1500);
    let caresoft = CareSoft::start(Options::default());
    caresoft.sandbox.inject(Fault::once(Route::CreateLead, FaultKind::TooManyRequests));
    caresoft.sandbox.inject(Fault::once(Route::CreateLead, FaultKind::Slow(SLOW)));
    let gateway = Gateway::over(&store, &caresoft, "").await;
    let mut ids = Vec::new();
    for number in 0..4 {
        ids.push(gateway.submit(json!({"phone": format!("090000000{number}")})).await);
    }
    for id in &ids {
        gateway.settled(id, &["created"]).await;
    }
    let log = caresoft.sandbox.log();
    let refused = log.iter().rposition(|entry| entry.status == Some(429)).expect("a 429");
    let alone = log[refused + 2].arrived.duration_since(log[refused + 1].arrived);
    assert!(alone >= SLOW, "another request {alone:?} after the probe");
    gateway.stop().await;
}

async fn a_lockout_is_silence_and_no_lead_dies_of_it(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    caresoft.sandbox.inject(Fault::once(Route::CreateLead, FaultKind::LockOut));
    let gateway = Gateway::over(&store, &caresoft, "").await;
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    eventually("the lane is locked out", || async {
        gateway
            .metrics()
            .await
            .contains(r#"leadgate_lane_state{destination="main",state="locked_out"} 1"#)
            .then_some(())
    })
    .await;
    let later = gateway.submit(json!({"phone": "0900000002"})).await;
    assert_eq!(gateway.record(&later).await["state"], "pending");
    assert_eq!(gateway.record(&id).await["state"], "pending");
    gateway.stop().await; // every task had its chance to send
    assert_eq!(caresoft.sandbox.requests_during_lockout(), 0);
    assert_eq!(caresoft.sandbox.log().len(), 1);
}

async fn a_revoked_token_stops_the_lane_and_leads_wait(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    caresoft.sandbox.swap_token("another");
    let gateway = Gateway::over(&store, &caresoft, "").await;
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    eventually("the lane is stopped", || async {
        gateway.metrics().await.contains(r#"state="misconfigured"} 1"#).then_some(())
    })
    .await;
    // The lane stops before the attempt is written down: the history is awaited, not looked at.
    let record = eventually("the refused attempt is written down", || async {
        let record = gateway.record(&id).await;
        record["history"].to_string().contains("401").then_some(record)
    })
    .await;
    assert_eq!(record["state"], "pending", "{record}");
    gateway.stop().await;
}

async fn what_was_surely_not_sent_is_tried_again(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::over_with(&store, &caresoft, "", |config| {
        let main = config.destinations.values_mut().next().expect("a destination");
        // Nothing listens on port 9 of loopback: the connection is refused.
        main.base_url = "http://127.0.0.1:9".parse().expect("a URL");
        main.breaker.failures = 1000;
    })
    .await;
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    let record = eventually("two attempts", || async {
        let record = gateway.record(&id).await;
        (record["history"].as_array()?.len() >= 3).then_some(record)
    })
    .await;
    assert_eq!(record["state"], "pending");
    let history: &Vec<Value> = record["history"].as_array().unwrap();
    assert!(history[1..].iter().all(|event| event["outcome"] == "retry"), "{record}");
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

/// The law itself, never more than the rate in any sliding second, is proven on the arithmetic in
/// `store/pace.rs`, by a clock of its own. Here requests are counted as they arrive, and a busy
/// machine may hold some back and let them arrive together: so the pace is set below what the
/// simulator takes, and what is asserted is that CareSoft never had a reason to refuse.
async fn invariant_6_caresoft_sees_no_more_than_it_takes(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::over_with(&store, &caresoft, "", |config| {
        let main = config.destinations.values_mut().next().expect("a destination");
        main.rate.per_second = 12.try_into().expect("not zero");
    })
    .await;
    let mut ids = Vec::new();
    for number in 0..40 {
        ids.push(gateway.submit(json!({"phone": format!("09000000{number:02}")})).await);
    }
    for id in &ids {
        gateway.settled(id, &["created"]).await;
    }
    assert_eq!(caresoft.sandbox.leads().len(), 40);
    let most = caresoft.sandbox.max_in_any_second();
    assert!(most <= 15, "{most} in one second");
    assert!(caresoft.sandbox.log().iter().all(|entry| entry.status != Some(429)));
    gateway.stop().await;
}
