//! What a lead is made with.

use leadgate::caresoft::{CustomFieldValue, Failure, NewLead, plain_clock};
use leadgate::sandbox::{Aliases, Options};
use serde_json::json;

use super::account::{AGENT, DATE_FIELD, FIRST_STATUS, SERVICE, STATUS, account, create, lead};
use crate::gateway::{self, CareSoft, Gateway, toml_of};

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
    assert!(gateway::loaded(&text).unwrap_err().to_string().contains("service_id"));
}
