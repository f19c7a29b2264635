//! Where CareSoft's pages contradict themselves or leave a gap, and what is done about it: one test
//! for each, numbered, in the order of the vendor's page.

use std::time::Duration;

use leadgate::caresoft::{
    Client, CreatedLead, CustomFieldValue, Failure, LeadUpdate, LeadsQuery, NewLead, UpdateComment,
    parse_wall_clock, plain_clock,
};
use leadgate::config::{self, Loaded, MapEnvironment};
use leadgate::lead::Clock;
use leadgate::sandbox::{Aliases, Fault, FaultKind, Options, Route, StoredLead};
use leadgate::verification::verify;
use serde::Serialize;
use serde_json::{Value, json};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::gateway::{CareSoft, Gateway, http_client, toml_of};

/// The ids of the simulator's account, which are those of the vendor's samples.
const SERVICE: u64 = 1_244;
const FIRST_STATUS: u64 = 525;
const STATUS: u64 = 558;
const CONVERTED: u64 = 527;
const UNQUALIFIED: u64 = 528;
const AGENT: u64 = 124_734_559;
const DROP_DOWN: u64 = 6_068;
const DATE_FIELD: u64 = 7_002;

/// A simulator with `options` whose list shows a lead at once, and a client of it.
fn account(options: Options) -> (CareSoft, Client) {
    let caresoft = CareSoft::start(Options { list_lag: Duration::ZERO, ..options });
    let client = client(&caresoft.address.to_string());
    (caresoft, client)
}

fn client(address: &str) -> Client {
    let config = loaded(address, "").config;
    Client::new(config.destinations.values().next().unwrap()).unwrap()
}

fn loaded(address: &str, extra: &str) -> Loaded {
    let text = toml_of("url = \"sqlite:unused.db\"", address.parse().unwrap(), extra);
    config::parse(&text, "test.toml", &MapEnvironment::default(), &["web-form"]).unwrap()
}

/// A lead with as few keys as CareSoft takes.
fn lead() -> NewLead {
    NewLead {
        subject: "Thử".into(),
        phone: Some("0900000027".into()),
        service_id: Some(SERVICE),
        ..NewLead::default()
    }
}

/// A lead with every key there is.
fn full_lead() -> NewLead {
    NewLead {
        username: Some("Nguyễn Văn Thử".into()),
        email: Some("thu@example.vn".into()),
        group_id: Some(12_153),
        assignee_id: Some(AGENT),
        lead_status_id: Some(STATUS),
        lead_label: vec![10, 11],
        custom_fields: vec![CustomFieldValue { id: DROP_DOWN, value: "106902".into() }],
        comment: Some("Xin chào".into()),
        estimated_closed_date: Some("2026-11-30 23:59:59".into()),
        ref_url: Some("https://shop.example.vn/?utm_source=fb".into()),
        ..lead()
    }
}

/// An update with every key there is.
fn full_update() -> LeadUpdate {
    LeadUpdate {
        subject: Some("Thử".into()),
        assignee_id: Some(AGENT),
        lead_status_id: Some(STATUS),
        lead_label: vec![11, 22],
        custom_fields: vec![CustomFieldValue { id: DROP_DOWN, value: "106902".into() }],
        comment: Some(note()),
        estimated_closed_date: Some("2026-11-30 23:59:59".into()),
    }
}

fn note() -> UpdateComment {
    UpdateComment { body: "Thêm lời nhắn".into(), is_public: false, author_id: Some(AGENT) }
}

fn keys(body: &impl Serialize) -> Vec<String> {
    let body = serde_json::to_value(body).unwrap();
    body["lead"].as_object().unwrap().keys().cloned().collect()
}

/// Makes the lead; what the client was told and what CareSoft holds.
async fn create(caresoft: &CareSoft, client: &Client, lead: &NewLead) -> (CreatedLead, StoredLead) {
    let created = client.create_lead(lead).await.result.unwrap();
    let stored = caresoft.sandbox.lead(created.id).unwrap();
    (created, stored)
}

/// A CareSoft that answers everything with one status and one body, as no simulator would.
struct Saying(JoinHandle<()>);

impl Drop for Saying {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn saying(status: u16, body: &str) -> (Saying, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = format!(
        "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 16 * 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let client = client(&address);
    (Saying(task), client)
}

/// The table says `lead_status_id`, the sample `lead_status`.
#[tokio::test]
async fn contradiction_01_a_status_goes_by_the_tables_name_or_not_at_all() {
    let (caresoft, client) = account(Options { aliases: Aliases::Table, ..Options::default() });
    let with_status = NewLead { lead_status_id: Some(STATUS), ..lead() };
    let (_, stored) = create(&caresoft, &client, &with_status).await;
    assert_eq!(stored.lead_status_id, STATUS);
    assert!(stored.received.get("lead_status").is_none(), "one name alone");
    let (created, stored) = create(&caresoft, &client, &lead()).await;
    assert_eq!(stored.lead_status_id, FIRST_STATUS, "CareSoft takes the first by itself");
    let detail = client.lead(created.id).await.result.unwrap();
    assert_eq!(detail.lead_status_id, Some(FIRST_STATUS), "one look at a lead shows which it was");
}

/// The table says `lead_label`, the sample `lead_label_id`; a detail reads `labels`.
#[tokio::test]
async fn contradiction_02_labels_go_by_the_tables_name() {
    let (caresoft, client) = account(Options { aliases: Aliases::Table, ..Options::default() });
    let labelled = NewLead { lead_label: vec![10, 11], ..lead() };
    let (created, stored) = create(&caresoft, &client, &labelled).await;
    assert_eq!(stored.labels, [10, 11]);
    assert!(stored.received.get("lead_label_id").is_none(), "one name alone");
    let detail = client.lead(created.id).await.result.unwrap();
    assert_eq!(detail.labels.len(), 2);
    // Best effort: where CareSoft honours the other name, the lead is made all the same.
    let (caresoft, client) = account(Options { aliases: Aliases::Sample, ..Options::default() });
    assert!(create(&caresoft, &client, &labelled).await.1.labels.is_empty());
}

/// The format has dashes, the sample of a create has slashes, the sample of an update dashes.
#[tokio::test]
async fn contradiction_03_dates_are_left_out_or_have_dashes() {
    let (caresoft, client) = account(Options { refuse_bad_dates: true, ..Options::default() });
    let moment = "2026-11-30T16:59:59Z".parse().unwrap();
    let dated = NewLead { estimated_closed_date: Some(plain_clock(moment)), ..lead() };
    let (_, stored) = create(&caresoft, &client, &dated).await;
    assert_eq!(stored.received["estimated_closed_date"], "2026-11-30 23:59:59");
    assert_eq!(stored.estimated_closed_date.as_deref(), Some("2026-11-30 23:59:59"));
    let (_, stored) = create(&caresoft, &client, &lead()).await;
    assert!(stored.received.get("estimated_closed_date").is_none());
    // An additional field of type Date is another matter: it takes slashes, which pass as given.
    let value = CustomFieldValue { id: DATE_FIELD, value: "2026/11/30".into() };
    let appointed = NewLead { custom_fields: vec![value], ..lead() };
    let (_, stored) = create(&caresoft, &client, &appointed).await;
    assert_eq!(stored.custom_fields[&DATE_FIELD], "2026/11/30");
}

/// `ref_url` is in the sample of a create and nowhere else.
#[tokio::test]
async fn contradiction_04_attribution_is_in_ref_url_and_in_the_comment() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let body = json!({"phone": "0900000001", "utm_source": "fb", "utm_campaign": "tet"});
    let id = gateway.submit(body).await;
    gateway.settled(&id, &["created"]).await;
    let stored = caresoft.leads_of("0900000001").remove(0);
    let (ref_url, comment) = (stored.ref_url.clone().unwrap(), &stored.comments[0].body);
    for (name, value) in [("utm_source", "fb"), ("utm_campaign", "tet")] {
        assert!(ref_url.contains(&format!("{name}={value}")), "{ref_url}");
        assert!(comment.contains(&format!("{name}: {value}")), "{comment}");
    }
    gateway.stop().await;
}

/// Phone and e-mail are both starred; the sample has a phone only.
#[tokio::test]
async fn contradiction_05_one_of_phone_and_email_is_wanted_and_the_absent_one_is_no_key() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    for (body, identity, absent) in [
        (json!({"phone": "0900000001"}), "0900000001", "email"),
        (json!({"email": "thu@example.vn"}), "thu@example.vn", "phone"),
    ] {
        let id = gateway.submit(body).await;
        gateway.settled(&id, &["created"]).await;
        let stored = caresoft.leads_of(identity).remove(0);
        assert!(stored.received.get(absent).is_none(), "{absent}");
    }
    let neither = gateway.post().json(&json!({"name": "Thử"})).send().await.unwrap();
    assert_eq!(neither.status(), 422);
    assert_eq!(caresoft.sandbox.leads().len(), 2);
    gateway.stop().await;
}

/// `service_id`, `group_id` and `assignee_id` are marked with two stars that nothing explains.
#[tokio::test]
async fn contradiction_06_one_of_the_three_that_route_a_lead_is_wanted() {
    let (caresoft, client) = account(Options::default());
    for routed in [
        NewLead { service_id: Some(SERVICE), ..lead() },
        NewLead { service_id: None, group_id: Some(12_153), ..lead() },
        NewLead { service_id: None, assignee_id: Some(AGENT), ..lead() },
    ] {
        create(&caresoft, &client, &routed).await;
    }
    let nobodys = NewLead { service_id: None, ..lead() };
    let failure = client.create_lead(&nobodys).await.result.unwrap_err();
    assert!(matches!(failure, Failure::Rejected { status: 400, .. }), "{failure}");
    // So a configuration without any of them is refused before a lead is lost by it.
    let text = toml_of("url = \"sqlite:unused.db\"", caresoft.address, "");
    let text = text.replace("service_id = 1244", "");
    let faults = config::parse(&text, "test.toml", &MapEnvironment::default(), &["web-form"]);
    assert!(faults.unwrap_err().to_string().contains("service_id"));
}

/// A comment is a text on create and an object on update.
#[tokio::test]
async fn contradiction_07_a_comment_is_a_text_at_first_and_a_private_object_later() {
    let (caresoft, client) = account(Options { update_needs_comment: true, ..Options::default() });
    let (created, stored) =
        create(&caresoft, &client, &NewLead { comment: Some("Xin chào".into()), ..lead() }).await;
    assert_eq!(stored.received["comment"], "Xin chào");
    let update = LeadUpdate { comment: Some(note()), ..LeadUpdate::default() };
    let body = serde_json::to_value(&update).unwrap();
    let expected = json!({"body": "Thêm lời nhắn", "is_public": 0, "author_id": AGENT});
    assert_eq!(body["lead"]["comment"], expected);
    client.update_lead(created.id, &update).await.result.unwrap();
    let comments = caresoft.sandbox.lead(created.id).unwrap().comments;
    assert_eq!(comments.len(), 2);
    assert!(comments.iter().all(|comment| !comment.is_public), "a public one may be mailed");
    assert_eq!(comments[1].author_id, Some(AGENT));
}

/// The table of an update repeats "if empty the first status is taken".
#[tokio::test]
async fn contradiction_08_an_update_repeats_the_present_status() {
    let (caresoft, client) = account(Options { update_resets_status: true, ..Options::default() });
    let with_status = NewLead { lead_status_id: Some(STATUS), ..lead() };
    let (created, _) = create(&caresoft, &client, &with_status).await;
    let status_now = || caresoft.sandbox.lead(created.id).unwrap().lead_status_id;
    let present = client.lead(created.id).await.result.unwrap().lead_status_id;
    let update =
        LeadUpdate { lead_status_id: present, comment: Some(note()), ..LeadUpdate::default() };
    assert_eq!(keys(&update), ["lead_status_id", "comment"]);
    client.update_lead(created.id, &update).await.result.unwrap();
    assert_eq!(status_now(), STATUS, "kept");
    let silent = LeadUpdate { comment: Some(note()), ..LeadUpdate::default() };
    client.update_lead(created.id, &silent).await.result.unwrap();
    assert_eq!(status_now(), FIRST_STATUS, "what would become of it otherwise");
}

/// The sample of an update has `lead_status_id: 1`, which is a type and no id.
#[tokio::test]
async fn contradiction_09_statuses_are_ids_of_the_list_and_not_types() {
    let (caresoft, client) = account(Options::default());
    let statuses = client.statuses().await.result.unwrap();
    let first = statuses.iter().find(|status| status.is_first()).unwrap();
    assert_eq!((first.id, first.status_type), (FIRST_STATUS, Some(1)));
    let address = caresoft.address.to_string();
    let findings = async |id: u64| {
        let extra = format!("lead = {{ lead_status_id = {id} }}");
        verify(&loaded(&address, &extra), &Clock::system()).await
    };
    let wrong = findings(1).await.faults;
    assert_eq!(wrong.len(), 1);
    assert_eq!(wrong[0].key, "sources.website.lead.lead_status_id");
    assert!(findings(FIRST_STATUS).await.faults.is_empty());
}

/// The id of an additional field is a text where it is written and a number where it is read.
#[tokio::test]
async fn contradiction_10_field_ids_are_written_as_numbers_and_read_as_either() {
    let value = CustomFieldValue { id: DROP_DOWN, value: "106902".into() };
    let written = serde_json::to_value(&value).unwrap();
    assert_eq!(written, json!({"id": 6068, "value": "106902"}));
    let (caresoft, client) = account(Options::default());
    let chosen = NewLead { custom_fields: vec![value], ..lead() };
    let (created, stored) = create(&caresoft, &client, &chosen).await;
    assert_eq!(stored.custom_fields[&DROP_DOWN], "106902");
    let detail = client.lead(created.id).await.result.unwrap();
    let as_texts = r#"{"lead":{"id":"7","custom_fields":[{"id":"6068","value":106902}]}}"#;
    let (_saying, client) = saying(200, as_texts).await;
    let other = client.lead(7).await.result.unwrap();
    for fields in [detail.custom_fields, other.custom_fields] {
        let field = fields.iter().find(|field| field.id == DROP_DOWN).unwrap();
        assert_eq!(field.value.as_deref(), Some("106902"));
    }
}

/// The labels' path is printed without `/api/v1`, unlike all others.
#[tokio::test]
async fn contradiction_11_labels_are_sought_on_both_paths_and_not_during_a_lock_out() {
    for under_api in [true, false] {
        let options = Options {
            labels_under_api: under_api,
            labels_at_root: !under_api,
            ..Options::default()
        };
        let (caresoft, client) = account(options);
        let labels = client.labels().await.result.unwrap();
        assert_eq!((labels[0].id, labels[0].label.as_str()), (10, "Hot"));
        let requests = if under_api { 1 } else { 2 };
        assert_eq!(caresoft.sandbox.log().len(), requests, "the usual path first");
    }
    let (caresoft, client) = account(Options::default());
    caresoft.sandbox.inject(Fault::once(Route::Labels, FaultKind::LockOut));
    let failure = client.labels().await.result.unwrap_err();
    assert_eq!(failure.kind(), "locked_out", "it is a 404 too, and means something else");
    assert_eq!(caresoft.sandbox.log().len(), 1);
}

/// The sample of a detail has no `code`; all others have.
#[tokio::test]
async fn contradiction_12_a_detail_needs_no_code_and_a_code_that_is_there_counts() {
    let (caresoft, client) = account(Options::default());
    let (created, _) = create(&caresoft, &client, &lead()).await;
    let url = format!("http://{}/sandbox/api/v1/lead/{}", caresoft.address, created.id);
    let answer = http_client().get(url).bearer_auth(&Options::default().token).send().await;
    let answer: Value = answer.unwrap().json().await.unwrap();
    assert!(answer.get("code").is_none(), "as printed");
    assert_eq!(client.lead(created.id).await.result.unwrap().id, created.id);
    for (body, kind) in [
        (r#"{"code":"OK","lead":{"id":7}}"#, None),
        (r#"{"code":"errors","message":"no","lead":{"id":7}}"#, Some("rejected")),
        (r#"{"lead":{"lead_no":7}}"#, Some("ambiguous")),
    ] {
        let (_saying, client) = saying(200, body).await;
        let failure = client.lead(7).await.result.err();
        assert_eq!(failure.as_ref().map(Failure::kind), kind, "{body}");
    }
}

/// Lists write `2024-05-03T15:28:40Z`, details and answers `2024-08-07 14:17:11`.
#[tokio::test]
async fn contradiction_13_times_in_lists_and_details_are_vietnams_digits_alike() {
    let (caresoft, client) = account(Options::default());
    let (created, stored) = create(&caresoft, &client, &lead()).await;
    let detail = client.lead(created.id).await.result.unwrap().created_at.unwrap();
    let asked = LeadsQuery {
        requester_id: created.requester_id,
        created_since: Some(stored.created_at),
        created_to: Some(stored.created_at),
        ..LeadsQuery::default()
    };
    let page = client.leads(&asked).await.result.unwrap();
    let listed = page.leads[0].created_at.clone().unwrap();
    assert!(listed.ends_with('Z') && !detail.ends_with('Z'), "{listed} {detail}");
    let made_at = stored.created_at.as_millis() / 1_000 * 1_000;
    for written in [listed, detail, created.created_at.unwrap()] {
        let read = parse_wall_clock(&written).unwrap();
        assert_eq!(read.as_millis(), made_at, "{written} is to the second when it was made");
    }
}

/// The answers' samples have another subject and other times than the requests'.
#[tokio::test]
async fn contradiction_14_of_an_answer_the_id_counts_alone() {
    // CareSoft docs, "Lead" 1 and 2: word for word the same answer.
    let sample = r#"{"code":"ok","lead":{"updated_at":"2024-03-21 15:11:06",
        "subject":"Test referer lead","created_at":"2024-03-21 15:11:06",
        "id":414856017,"requester_id":63215969}}"#;
    let (_saying, client) = saying(200, sample).await;
    let created = client.create_lead(&lead()).await.result.unwrap();
    let renamed = LeadUpdate { subject: Some("Khác hẳn".into()), ..LeadUpdate::default() };
    let updated = client.update_lead(created.id, &renamed).await.result.unwrap();
    assert_eq!((created.id, created.requester_id), (414_856_017, Some(63_215_969)));
    assert_eq!(updated, created);
    let without = r#"{"code":"ok","lead":{"subject":"Thử","requester_id":63215969}}"#;
    let (_saying, client) = saying(200, without).await;
    assert_eq!(client.create_lead(&lead()).await.result.unwrap_err().kind(), "ambiguous");
}

/// Lists and details have different keys, and one thing has two names.
#[tokio::test]
async fn contradiction_15_lists_and_details_are_read_each_by_its_own_keys() {
    let row = json!({"code": "ok", "numFound": 1, "leads": [{
        "id": 414857091, "lead_no": 273763, "source_detail_id": 127, "ticket_priority": "Normal",
        "is_overdue": null, "subject": "Thử", "lead_status_id": 525, "a_new_key": {"x": 1}}]});
    let (_saying, lists) = saying(200, &row.to_string()).await;
    let page = lists.leads(&LeadsQuery::default()).await.result.unwrap();
    assert_eq!((page.num_found, page.leads[0].lead_no), (Some(1), Some(273_763)));
    let detail = json!({"lead": {
        "id": 512534181, "ticket_source_detail_id": 1154135, "group_id": 12945, "campaign_id": 78830,
        "comments": [{"ticket_comments_id": 1, "comment": "aa", "is_public": 0}], "ccs": []}});
    let (_saying, details) = saying(200, &detail.to_string()).await;
    let lead = details.lead(512_534_181).await.result.unwrap();
    assert_eq!((lead.group_id, lead.comments[0].body.as_str()), (Some(12_945), "aa"));
    assert_eq!((lead.lead_no, lead.subject), (None, None), "what is missing is none");
}

/// `unqualify_reason`, `unqualified_reasons` and `unqualified-reason`, for the last status only.
#[tokio::test]
async fn contradiction_16_a_reason_is_read_and_never_sent() {
    let (caresoft, client) = account(Options::default());
    let reasons = client.unqualified_reasons().await.result.unwrap();
    assert_eq!((reasons[0].id, reasons[0].label.as_str()), (176, "No need"));
    assert_eq!(caresoft.sandbox.log()[0].route, Route::UnqualifiedReasons);
    for keys in [keys(&full_lead()), keys(&full_update())] {
        assert!(keys.iter().all(|key| !key.starts_with("unqualif")), "{keys:?}");
    }
}

/// 1 is "became a Lead" in a filter about becoming a deal.
#[tokio::test]
async fn contradiction_17_convert_type_1_is_converted_and_2_is_not_qualified() {
    let (caresoft, client) = account(Options::default());
    for (status, convert_type) in [(CONVERTED, Some(1)), (UNQUALIFIED, Some(2)), (STATUS, None)] {
        let (created, _) = create(&caresoft, &client, &lead()).await;
        let update = LeadUpdate { lead_status_id: Some(status), ..LeadUpdate::default() };
        client.update_lead(created.id, &update).await.result.unwrap();
        let stored = caresoft.sandbox.lead(created.id).unwrap();
        assert_eq!(stored.convert_type, convert_type, "{status}");
        assert_eq!(stored.convert_at.is_some(), convert_type.is_some(), "{status}");
    }
}

/// `{"error":…}` on the page of leads, `{"code":"errors","message":…}` elsewhere.
#[tokio::test]
async fn contradiction_18_both_kinds_of_error_are_read() {
    for (status, body, shown) in [
        (400, r#"{"error":"Invalid request"}"#, "refused (HTTP 400): Invalid request"),
        (400, r#"{"code":"errors","message":"no subject"}"#, "refused (HTTP 400): no subject"),
        (400, r#"{"error":"this","message":"that"}"#, "refused (HTTP 400): that"),
        (422, "<p>so  not</p>", "refused (HTTP 422): <p>so not</p>"),
        (200, r#"{"code":"errors","error":"so"}"#, "refused (HTTP 200): so"),
    ] {
        let (_saying, client) = saying(status, body).await;
        let failure = client.create_lead(&lead()).await.result.unwrap_err();
        assert_eq!(failure.to_string(), shown, "{body}");
    }
}

/// `lead/status` and `lead/{leadId}` have one shape.
#[tokio::test]
async fn contradiction_19_an_id_in_a_path_is_a_number() {
    let (caresoft, client) = account(Options::default());
    let (created, _) = create(&caresoft, &client, &lead()).await;
    client.lead(created.id).await.result.unwrap();
    client.statuses().await.result.unwrap();
    let routes: Vec<Route> = caresoft.sandbox.log().iter().map(|entry| entry.route).collect();
    assert_eq!(routes, [Route::CreateLead, Route::Lead, Route::Statuses]);
    // An id that is read is a positive number or none: no word gets into a path by it.
    for id in [json!("status"), json!("7/../status"), json!(0), json!(-1), json!(1.5)] {
        let answer = json!({"code": "ok", "lead": {"id": id}}).to_string();
        let (_saying, client) = saying(200, &answer).await;
        let failure = client.create_lead(&lead()).await.result.unwrap_err();
        assert_eq!(failure.kind(), "ambiguous", "{answer}");
    }
}

/// An id that is absent is null in one sample and -1 in another.
#[tokio::test]
async fn contradiction_20_null_zero_and_minus_one_are_no_ids() {
    let detail = json!({"lead": {
        "id": 7, "lead_no": "", "requester_id": "0", "service_id": null, "group_id": -1,
        "assignee_id": 0, "lead_status_id": "-1", "merge_to": -1}});
    let (_saying, client) = saying(200, &detail.to_string()).await;
    let lead = client.lead(7).await.result.unwrap();
    let ids = [lead.lead_no, lead.requester_id, lead.service_id, lead.group_id];
    assert_eq!(ids, [None; 4]);
    assert_eq!([lead.assignee_id, lead.lead_status_id, lead.merge_to], [None; 3]);
}

/// A create has `phone`, a detail `requester.phone_no`, which is null or masked in the samples.
#[tokio::test]
async fn contradiction_21_a_lead_is_known_by_its_requester_and_not_by_a_phone() {
    let masked = json!({"lead": {
        "id": 7, "requester_id": 207642682,
        "requester": {"id": 207642682, "username": "Thử", "email": null, "phone_no": "***"}}});
    let (_saying, other) = saying(200, &masked.to_string()).await;
    assert_eq!(other.lead(7).await.result.unwrap().requester_id, Some(207_642_682));
    let (caresoft, client) = account(Options::default());
    let (created, _) = create(&caresoft, &client, &lead()).await;
    let person = client.contact_by_phone("0900000027").await.result.unwrap().unwrap();
    let detail = client.lead(created.id).await.result.unwrap();
    let query = LeadsQuery { requester_id: Some(person.id), ..LeadsQuery::default() };
    let page = client.leads(&query).await.result.unwrap();
    let theirs = [created.requester_id, detail.requester_id, page.leads[0].requester_id];
    assert_eq!(theirs, [Some(person.id); 3]);
}

/// An update has no service, no department, no phone, no e-mail and no name.
#[tokio::test]
async fn contradiction_22_routing_and_person_are_right_at_the_create_or_never() {
    let fixed = ["username", "phone", "email", "service_id", "group_id", "ref_url"];
    let (create, update) = (keys(&full_lead()), keys(&full_update()));
    for key in fixed {
        assert!(create.iter().any(|known| known == key), "a create has {key}");
        assert!(update.iter().all(|known| known != key), "an update has no {key}");
    }
    let mut documented = vec![
        "subject",
        "assignee_id",
        "lead_status_id",
        "estimated_closed_date",
        "lead_label",
        "custom_fields",
        "comment",
    ];
    documented.sort_unstable();
    let mut update = update;
    update.sort_unstable();
    assert_eq!(update, documented);
}

/// The numbering of an update starts at 2; its first row is the wrapper.
#[tokio::test]
async fn contradiction_23_everything_is_in_the_wrapper() {
    for body in [serde_json::to_value(full_lead()), serde_json::to_value(full_update())] {
        let body = body.unwrap();
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["lead"]);
    }
    let (caresoft, client) = account(Options::default());
    let (created, _) = create(&caresoft, &client, &lead()).await;
    let put = async |body: Value| {
        let url = format!("http://{}/sandbox/api/v1/lead/{}", caresoft.address, created.id);
        let request = http_client().put(url).bearer_auth(&Options::default().token).json(&body);
        request.send().await.unwrap().status()
    };
    let update = serde_json::to_value(full_update()).unwrap();
    assert_eq!(put(update["lead"].clone()).await, 400, "bare");
    assert_eq!(put(update).await, 200);
}

/// A lead's comments carry `ticket_comments_id`, and a `ticket_id` that is the lead's.
#[tokio::test]
async fn contradiction_24_a_lead_is_a_ticket_and_has_the_tickets_fields() {
    let (caresoft, client) = account(Options::default());
    let noted = NewLead { comment: Some("Xin chào".into()), ..lead() };
    let (created, _) = create(&caresoft, &client, &noted).await;
    let url = format!("http://{}/sandbox/api/v1/lead/{}", caresoft.address, created.id);
    let answer = http_client().get(url).bearer_auth(&Options::default().token).send().await;
    let answer: Value = answer.unwrap().json().await.unwrap();
    assert_eq!(answer["lead"]["comments"][0]["ticket_id"], created.id);
    let detail = client.lead(created.id).await.result.unwrap();
    assert!(detail.comments[0].id.is_some());
    let of_tickets = client.ticket_custom_fields().await.result.unwrap();
    let of_contacts = client.contact_custom_fields().await.result.unwrap();
    let of_lead: Vec<u64> = detail.custom_fields.iter().map(|field| field.id).collect();
    assert_eq!(of_lead, of_tickets.iter().map(|field| field.id).collect::<Vec<_>>());
    assert!(of_contacts.iter().all(|field| !of_lead.contains(&field.id)));
}

/// `lead_no` is in lists and details, and not in the answer to a create.
#[tokio::test]
async fn contradiction_25_a_lead_is_kept_by_its_id_and_its_number_is_read_later() {
    let (caresoft, client) = account(Options::default());
    let url = format!("http://{}/sandbox/api/v1/lead", caresoft.address);
    let request = http_client().post(url).bearer_auth(&Options::default().token);
    let answer: Value = request.json(&lead()).send().await.unwrap().json().await.unwrap();
    assert!(answer["lead"].get("lead_no").is_none(), "{answer}");
    let id = answer["lead"]["id"].as_u64().unwrap();
    let detail = client.lead(id).await.result.unwrap();
    let page = client.leads(&LeadsQuery::default()).await.result.unwrap();
    assert_eq!((page.leads[0].id, page.leads[0].lead_no), (id, detail.lead_no));
    assert!(detail.lead_no.is_some_and(|number| number != id));
    // By its number a lead is not found.
    assert!(client.lead(detail.lead_no.unwrap()).await.result.is_err());
}

/// `merge_to` is read-only and unexplained: a lead may be merged away later.
#[tokio::test]
async fn contradiction_26_a_lead_that_is_gone_may_have_been_merged() {
    let (caresoft, client) = account(Options::default());
    let update = LeadUpdate { comment: Some(note()), ..LeadUpdate::default() };
    for gone in [1, u64::MAX] {
        let read = client.lead(gone).await.result.unwrap_err();
        let changed = client.update_lead(gone, &update).await.result.unwrap_err();
        for failure in [read, changed] {
            assert!(matches!(failure, Failure::Rejected { status: 404, .. }), "{failure}");
        }
    }
    // It says nothing about the account, which goes on.
    create(&caresoft, &client, &lead()).await;
    let merged = r#"{"lead":{"id":7,"merge_status":1,"merge_to":"414856017"}}"#;
    let (_saying, client) = saying(200, merged).await;
    let detail = client.lead(7).await.result.unwrap();
    assert_eq!((detail.id, detail.merge_to), (7, Some(414_856_017)));
}
