//! What a lead is known by once it is there.

use leadgate::caresoft::{Failure, LeadUpdate, LeadsQuery, NewLead};
use leadgate::sandbox::Options;
use serde_json::{Value, json};

use super::account::{account, create, lead, note, saying};
use crate::gateway::http_client;

/// A create has `phone`, a detail `requester.phone_no`, which is null or masked in the samples.
#[tokio::test]
async fn contradiction_21_a_lead_is_known_by_its_requester_and_not_by_a_phone() {
    let masked = json!({"lead": {
        "id": 7, "requester_id": 207642682,
        "requester": {"id": 207642682, "username": "Thử", "email": null, "phone_no": "***"}}});
    let (_saying, other) = saying(200, &masked.to_string());
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
    let (_saying, client) = saying(200, merged);
    let detail = client.lead(7).await.result.unwrap();
    assert_eq!((detail.id, detail.merge_to), (7, Some(414_856_017)));
}
