//! What of a lead can be changed later.

use leadgate::caresoft::{LeadUpdate, NewLead};
use leadgate::sandbox::Options;
use serde_json::{Value, json};

use super::account::{
    AGENT, CONVERTED, FIRST_STATUS, STATUS, UNQUALIFIED, account, create, full_lead, full_update,
    keys, lead, note,
};
use crate::gateway::http_client;

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
