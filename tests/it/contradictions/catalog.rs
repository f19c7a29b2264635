//! The lists of what an account has.

use leadgate::lead::Clock;
use leadgate::sandbox::{Fault, FaultKind, Options, Route};
use leadgate::verification::verify;
use serde_json::json;

use super::account::{
    FIRST_STATUS, account, create, full_lead, full_update, keys, lead, loaded, saying,
};

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
        let (_saying, client) = saying(200, &answer);
        let failure = client.create_lead(&lead()).await.result.unwrap_err();
        assert_eq!(failure.kind(), "ambiguous", "{answer}");
    }
}
