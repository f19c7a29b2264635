use super::*;
use crate::caresoft::{CustomFieldValue, LeadUpdate, LeadsQuery, UpdateComment, parse_wall_clock};

#[tokio::test]
async fn what_a_create_refuses() {
    let bench = Bench::roomy(Options::default());
    #[rustfmt::skip]
    let rows = [
        (json!({"subject": null}), "subject is required"),
        (json!({"subject": "  "}), "subject is required"),
        (json!({"phone": ""}), "attributes can missing: requester_id, email, phone or username"),
        (json!({"service_id": null}), "attributes can missing: service_id, group_id or assignee_id"),
        (json!({"service_id": 0}), "attributes can missing: service_id, group_id or assignee_id"),
        (json!({"service_id": ""}), "attributes can missing: service_id, group_id or assignee_id"),
        (json!({"service_id": 1}), "service_id not found"),
        (json!({"service_id": "x"}), "service_id not found"),
        (json!({"group_id": 1}), "group_id not found"),
        (json!({"assignee_id": 50024}), "assignee_id not found"),
        (json!({"requester_id": 1}), "requester_id not found"),
        (json!({"comment": {"body": "x"}}), "comment must be a string"),
    ];
    for (fields, words) in rows {
        let refused = json!({"code": "errors", "message": words});
        assert_eq!(bench.create(fields.clone()).await, (400, refused), "{fields}");
    }
    for body in ["", "{", "[]", "{}", r#"{"lead":[]}"#, r#"{"lead":"x"}"#] {
        let (status, answer) = bench.raw("POST", &format!("{API}/lead"), "", body).await;
        assert_eq!((status, answer.as_str()), (400, r#"{"error":"Invalid request"}"#), "{body}");
    }
    assert!(bench.sandbox.leads().is_empty());
}

#[tokio::test]
async fn what_a_create_keeps() {
    let bench = Bench::roomy(Options::default());
    let fields = json!({
        "subject": "x".repeat(300), "service_id": "1244", "group_id": 12153,
        "lead_status_id": 558, "lead_status": 643, "lead_label": [10, "11", 999],
        "estimated_closed_date": "2026/11/30 23:59:59", "unknown": "ignored",
        "custom_fields": [
            {"id": "5159", "value": "Huế"}, {"id": 6068, "value": "106902"},
            {"id": 7002, "value": "2026-11-30"}, {"id": 1, "value": "x"}, {"id": 7001, "value": " "},
        ],
        "comment": "x".repeat(6_000),
    });
    let (status, answer) = bench.create(fields).await;
    assert_eq!(status, 200, "{answer}");
    let expected: Vec<&str> = vec!["code", "lead"];
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), expected);
    assert_eq!(answer["lead"]["created_at"], "2026-11-23 16:15:02");
    assert!(answer["lead"].get("lead_no").is_none());
    let lead = bench.sandbox.lead(414_856_017).unwrap();
    assert_eq!(lead.subject.len(), 250);
    assert_eq!((lead.lead_status_id, lead.labels), (558, vec![10, 11]));
    assert_eq!(lead.estimated_closed_date.as_deref(), Some("2026-11-30 23:59:59"));
    let fields: Vec<(u64, String)> = lead.custom_fields.into_iter().collect();
    assert_eq!(fields, [(5_159, "Huế".into()), (6_068, "106902".into())]);
    assert_eq!(lead.comments[0].body.len(), 5_000);
    assert_eq!(lead.received["unknown"], "ignored");
    // Two equal requests make two leads of one person.
    let first = bench.client.create_lead(&new_lead()).await.result.unwrap();
    let second = bench.client.create_lead(&new_lead()).await.result.unwrap();
    assert_eq!(second.id, first.id + 1);
    assert_eq!(second.requester_id, first.requester_id);
}

#[tokio::test]
async fn what_nobody_has_documented_is_a_knob() {
    let long = json!({"subject": "x".repeat(251)});
    let status = json!({"lead_status_id": 1});
    let date = json!({"estimated_closed_date": "soon"});
    let name_only = json!({"phone": null, "username": "Thử"});
    let comment = json!({"comment": {"body": "x"}});
    let default = Options::default;
    #[rustfmt::skip]
    let rows = [
        (long.clone(), default(), 200, 200),
        (long, Options { too_long: TooLong::Refuse, ..default() }, 400, 400),
        (status.clone(), default(), 200, 200),
        (status, Options { refuse_unknown_status: true, ..default() }, 400, 400),
        (date.clone(), default(), 200, 200),
        (date, Options { refuse_bad_dates: true, ..default() }, 400, 400),
        (name_only.clone(), default(), 200, 200),
        (name_only.clone(), Options { username_is_no_identity: true, ..default() }, 400, 400),
        (name_only, Options { username_is_no_identity: true, errors_as_200: true, ..default() }, 200, 400),
        (comment.clone(), default(), 400, 400),
        (comment, Options { comment_as_array: true, ..default() }, 200, 200),
    ];
    for (fields, options, status, meant) in rows {
        let bench = Bench::roomy(options);
        let (answered, answer) = bench.create(fields.clone()).await;
        assert_eq!(answered, status, "{fields} {answer}");
        assert_eq!(answer["code"], if meant == 200 { "ok" } else { "errors" }, "{fields}");
    }
    let aliased = json!({"lead_status_id": 557, "lead_status": 558, "lead_label_id": [10]});
    for (aliases, status, labels) in [
        (Aliases::Table, 557, vec![]),
        (Aliases::Sample, 558, vec![10]),
        (Aliases::Both, 557, vec![10]),
    ] {
        let bench = Bench::roomy(Options { aliases, ..Options::default() });
        bench.create(aliased.clone()).await;
        let lead = bench.sandbox.leads().remove(0);
        assert_eq!((lead.lead_status_id, lead.labels), (status, labels), "{aliases:?}");
    }
    let bench = Bench::roomy(Options { upper_ok: true, ..Options::default() });
    assert_eq!(bench.create(json!({})).await.1["code"], "OK");
    assert!(bench.client.create_lead(&new_lead()).await.result.is_ok());
}

#[tokio::test]
async fn an_update_wants_an_object_for_a_comment_and_keeps_the_status() {
    let bench = Bench::roomy(Options::default());
    let lead = NewLead { lead_status_id: Some(557), ..new_lead() };
    let id = bench.client.create_lead(&lead).await.result.unwrap().id;
    bench.pass(Duration::from_secs(60));
    let update = LeadUpdate {
        assignee_id: Some(124_734_559),
        custom_fields: vec![CustomFieldValue { id: 6_068, value: "106903".into() }],
        comment: Some(UpdateComment {
            body: "Lần nữa".into(),
            is_public: false,
            author_id: Some(124_734_559),
        }),
        ..LeadUpdate::default()
    };
    assert_eq!(bench.client.update_lead(id, &update).await.result.unwrap().id, id);
    let stored = bench.sandbox.lead(id).unwrap();
    assert_eq!(stored.lead_status_id, 557);
    assert_eq!(stored.custom_fields[&6_068], "106903");
    assert!(!stored.comments[1].is_public);
    assert!(stored.updated_at > stored.created_at);

    let path = format!("lead/{id}");
    let (status, answer) = bench.json("PUT", &path, &json!({"lead": {"comment": "x"}})).await;
    assert_eq!((status, &answer["message"]), (400, &json!("comment must be an object")));
    let unqualified = json!({"lead": {"lead_status_id": 528, "unqualify_reason": 182}});
    bench.json("PUT", &path, &unqualified).await;
    let stored = bench.sandbox.lead(id).unwrap();
    assert_eq!((stored.convert_type, stored.unqualify_reason), (Some(2), Some(182)));
    let missing = bench.client.update_lead(7, &update).await;
    assert_eq!((missing.status, missing.result.unwrap_err().kind()), (Some(404), "rejected"));
    assert_eq!(bench.json("DELETE", &path, &Value::Null).await.0, 405);
    bench.stop().await;
}

#[tokio::test]
async fn an_update_by_its_knobs() {
    let options = Options {
        update_resets_status: true,
        update_needs_comment: true,
        missing_as_500: true,
        ..Options::default()
    };
    let bench = Bench::roomy(options);
    bench.create(json!({"lead_status_id": 558})).await;
    let without = json!({"lead": {"subject": "x"}});
    assert_eq!(bench.json("PUT", "lead/414856017", &without).await.0, 400);
    let with = json!({"lead": {"comment": {"body": "x"}}});
    assert_eq!(bench.json("PUT", "lead/414856017", &with).await.0, 200);
    assert_eq!(bench.sandbox.leads()[0].lead_status_id, 525);
    assert_eq!(bench.json("GET", "lead/7", &Value::Null).await.0, 500);
}

#[tokio::test]
async fn a_detail_has_no_code_and_no_ref_url() {
    let bench = Bench::roomy(Options::default());
    let lead = NewLead { lead_label: vec![11], assignee_id: Some(124_734_559), ..new_lead() };
    let id = bench.client.create_lead(&lead).await.result.unwrap().id;
    let raw = bench.get(&format!("lead/{id}")).await;
    assert!(raw.get("code").is_none());
    assert!(!raw.to_string().contains("utm_source"));
    assert_eq!(raw["lead"]["created_at"], "2026-11-23 16:15:02");
    assert_eq!(raw["lead"]["assignee"]["phone_no"], "***");
    let detail = bench.client.lead(id).await.result.unwrap();
    assert_eq!(detail.comments[0].body, "Xin chào");
    assert_eq!(detail.labels[0]["id"], 11);
    assert_eq!(detail.custom_fields.len(), 4);
    assert_eq!(detail.requester.unwrap().phone_no.as_deref(), Some("0900000027"));
}

#[tokio::test]
async fn the_list_lags_pages_and_filters_by_vietnams_digits() {
    let bench = Bench::roomy(Options::default());
    for n in 0..3 {
        let lead = NewLead { subject: format!("Thử {n}"), ..new_lead() };
        bench.client.create_lead(&lead).await.result.unwrap();
        bench.pass(Duration::from_secs(1));
    }
    let all = LeadsQuery::default();
    // Three seconds after the first create only that one is indexed.
    assert_eq!(bench.client.leads(&all).await.result.unwrap().num_found, Some(1));
    bench.pass(Duration::from_secs(2));
    let page = bench.client.leads(&all).await.result.unwrap();
    let ids: Vec<u64> = page.leads.iter().map(|lead| lead.id).collect();
    assert_eq!(ids, [414_856_019, 414_856_018, 414_856_017]);
    assert_eq!(page.leads[2].created_at.as_deref(), Some("2026-11-23T16:15:02Z"));
    let raw = bench.get("leads").await;
    for absent in ["comments", "custom_fields", "group_id", "labels", "requester", "ref_url"] {
        assert!(raw["leads"][0].get(absent).is_none(), "{absent}");
    }

    let first = parse_wall_clock("2026-11-23T16:15:02Z").unwrap();
    let second = first.plus(Duration::from_secs(1));
    let requester_id = page.leads[0].requester_id;
    #[rustfmt::skip]
    let rows = [
        (LeadsQuery { requester_id, ..all.clone() }, 3, 3),
        (LeadsQuery { requester_id: Some(1), ..all.clone() }, 0, 0),
        (LeadsQuery { service_id: Some(1_245), ..all.clone() }, 0, 0),
        (LeadsQuery { assignee_id: Some(124_734_559), ..all.clone() }, 0, 0),
        (LeadsQuery { status_ids: vec![1, 525], ..all.clone() }, 3, 3),
        (LeadsQuery { status_ids: vec![557], ..all.clone() }, 0, 0),
        (LeadsQuery { created_since: Some(second), ..all.clone() }, 2, 2),
        (LeadsQuery { created_to: Some(second), ..all.clone() }, 2, 2),
        (LeadsQuery { updated_since: Some(second), updated_to: Some(second), ..all.clone() }, 1, 1),
        (LeadsQuery { count: Some(2), ..all.clone() }, 3, 2),
        (LeadsQuery { count: Some(2), page: Some(2), ..all.clone() }, 3, 1),
        (LeadsQuery { page: Some(9), ..all.clone() }, 3, 0),
        (LeadsQuery { count: Some(501), ..all.clone() }, 3, 3),
    ];
    for (query, found, shown) in rows {
        let page = bench.client.leads(&query).await.result.unwrap();
        assert_eq!((page.num_found, page.leads.len()), (Some(found), shown), "{query:?}");
    }
    // The trap: "until now" in true UTC ends seven hours ago.
    let trap = bench.get("leads?created_to=2026-11-23T09:16:00Z").await;
    assert_eq!(trap["numFound"], 0);
    bench.stop().await;
}

#[tokio::test]
async fn the_lists_knobs() {
    let options = Options {
        filters_in_utc: true,
        list_rounds_up: true,
        list_lag: Duration::ZERO,
        ..Options::default()
    };
    let bench = Bench::roomy(options);
    bench.pass(Duration::from_millis(400));
    bench.create(json!({})).await;
    let list = bench.get("leads?created_to=2026-11-23T09:16:00Z").await;
    assert_eq!(list["numFound"], 1);
    assert_eq!(list["leads"][0]["created_at"], "2026-11-23T16:15:02Z");
    assert_eq!(list["leads"][0]["updated_at"], "2026-11-23T16:15:03Z");
}

#[tokio::test]
async fn the_oldest_leads_are_forgotten_beyond_the_bound() {
    let bench = Bench::roomy(Options { leads_max: 2, ..Options::default() });
    for n in 0..3 {
        bench.create(json!({"phone": format!("090000002{n}")})).await;
    }
    let ids: Vec<u64> = bench.sandbox.leads().iter().map(|lead| lead.id).collect();
    assert_eq!(ids, [414_856_018, 414_856_019]);
    assert_eq!(bench.client.contact_by_phone("0900000020").await.result.unwrap(), None);
}
