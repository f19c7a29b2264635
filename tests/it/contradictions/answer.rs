//! How answers are read.

use leadgate::caresoft::{
    CustomFieldValue, Failure, LeadUpdate, LeadsQuery, NewLead, parse_wall_clock,
};
use leadgate::sandbox::Options;
use serde_json::{Value, json};

use super::account::{DROP_DOWN, account, create, lead, saying};
use crate::gateway::http_client;

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
    let (_saying, client) = saying(200, as_texts);
    let other = client.lead(7).await.result.unwrap();
    for fields in [detail.custom_fields, other.custom_fields] {
        let field = fields.iter().find(|field| field.id == DROP_DOWN).unwrap();
        assert_eq!(field.value.as_deref(), Some("106902"));
    }
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
        let (_saying, client) = saying(200, body);
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
    let (_saying, client) = saying(200, sample);
    let created = client.create_lead(&lead()).await.result.unwrap();
    let renamed = LeadUpdate { subject: Some("Khác hẳn".into()), ..LeadUpdate::default() };
    let updated = client.update_lead(created.id, &renamed).await.result.unwrap();
    assert_eq!((created.id, created.requester_id), (414_856_017, Some(63_215_969)));
    assert_eq!(updated, created);
    let without = r#"{"code":"ok","lead":{"subject":"Thử","requester_id":63215969}}"#;
    let (_saying, client) = saying(200, without);
    assert_eq!(client.create_lead(&lead()).await.result.unwrap_err().kind(), "ambiguous");
}

/// Lists and details have different keys, and one thing has two names.
#[tokio::test]
async fn contradiction_15_lists_and_details_are_read_each_by_its_own_keys() {
    let row = json!({"code": "ok", "numFound": 1, "leads": [{
        "id": 414857091, "lead_no": 273763, "source_detail_id": 127, "ticket_priority": "Normal",
        "is_overdue": null, "subject": "Thử", "lead_status_id": 525, "a_new_key": {"x": 1}}]});
    let (_saying, lists) = saying(200, &row.to_string());
    let page = lists.leads(&LeadsQuery::default()).await.result.unwrap();
    assert_eq!((page.num_found, page.leads[0].lead_no), (Some(1), Some(273_763)));
    let detail = json!({"lead": {
        "id": 512534181, "ticket_source_detail_id": 1154135, "group_id": 12945, "campaign_id": 78830,
        "comments": [{"ticket_comments_id": 1, "comment": "aa", "is_public": 0}], "ccs": []}});
    let (_saying, details) = saying(200, &detail.to_string());
    let lead = details.lead(512_534_181).await.result.unwrap();
    assert_eq!((lead.group_id, lead.comments[0].body.as_str()), (Some(12_945), "aa"));
    assert_eq!((lead.lead_no, lead.subject), (None, None), "what is missing is none");
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
        let (_saying, client) = saying(status, body);
        let failure = client.create_lead(&lead()).await.result.unwrap_err();
        assert_eq!(failure.to_string(), shown, "{body}");
    }
}

/// An id that is absent is null in one sample and -1 in another.
#[tokio::test]
async fn contradiction_20_null_zero_and_minus_one_are_no_ids() {
    let detail = json!({"lead": {
        "id": 7, "lead_no": "", "requester_id": "0", "service_id": null, "group_id": -1,
        "assignee_id": 0, "lead_status_id": "-1", "merge_to": -1}});
    let (_saying, client) = saying(200, &detail.to_string());
    let lead = client.lead(7).await.result.unwrap();
    let ids = [lead.lead_no, lead.requester_id, lead.service_id, lead.group_id];
    assert_eq!(ids, [None; 4]);
    assert_eq!([lead.assignee_id, lead.lead_status_id, lead.merge_to], [None; 3]);
}
