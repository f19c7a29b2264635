//! What is fetched, and what of it is tried again.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_lead_is_fetched_with_the_pages_token_and_read() {
    let bed = Bed::meta("\"page-token\"");
    bed.platform.answers(LEAD, [lead()]);
    let kept = whole(bed.fetch(&of_page(7)).await);
    assert_eq!(kept.external_id.as_deref(), Some("900000000000011"));
    let Content::Lead { lead, .. } = kept.content else { panic!("{kept:?}") };
    assert_eq!(lead.name.as_deref(), Some("Nguyễn Thị Thử Nghiệm"));
    let asked = bed.platform.asked();
    assert_eq!((asked.len(), asked[0].token.as_str()), (1, "page-token"));
    assert!(asked[0].query.contains("field_data") && !asked[0].query.contains("token"));
    assert!(bed.counts("document") && bed.heard().is_empty());
}

#[tokio::test]
async fn a_form_is_asked_for_once_for_many_leads() {
    let secrets =
        "preset = \"linkedin-lead-sync\"\nsecrets = { access_token = \"t\", token = \"t\" }";
    let bed = Bed::new(secrets);
    let answer = |name| Answer::json(200, &fixture(name));
    let response = answer("linkedin/leadFormResponse.response.json");
    bed.platform.answers("/rest/leadFormResponses/1a2b3c-4", [response]);
    bed.platform.answers("/rest/leadForms/1", [answer("linkedin/leadForm.response.json")]);
    let notice = fixture("linkedin/lead_created.json");
    for _ in 0..2 {
        let kept = whole(bed.fetch(&notice).await);
        assert!(matches!(kept.content, Content::Lead { .. }), "{kept:?}");
    }
    let asked = bed.platform.asked();
    let of_form = |asked: &&platform::Asked| asked.path == "/rest/leadForms/1";
    assert_eq!((asked.len(), asked.iter().filter(of_form).count()), (3, 1));
    assert!(asked.iter().all(|asked| asked.version == "202605"), "{asked:?}");
    bed.hand.skip(61 * MINUTE);
    whole(bed.fetch(&notice).await);
    assert_eq!(bed.platform.asked().iter().filter(of_form).count(), 2, "an hour is over");
}

#[tokio::test]
async fn what_is_not_there_is_asked_for_a_while_and_then_kept() {
    let bed = Bed::meta("\"t\"");
    bed.platform.answers(LEAD, [error("100_33_not_found")]);
    let mut notice = bed.notice(&of_page(7));
    notice.attempts = 20; // nobody has answered so often: that says nothing of it
    let mut waits = Vec::new();
    let why = loop {
        match bed.enricher.fetch(&notice).await {
            Fetched::Again { after: Some(after), .. } => {
                waits.push(after.as_secs_f64().round() as u64);
                bed.hand.skip(after);
            }
            Fetched::Hidden { why } => break why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(why, "lead: 400, code 100/33");
    let expected = [30_u64, 30, 60, 120, 240, 300, 120];
    assert_eq!(waits.len(), expected.len(), "{waits:?}");
    // What passes meanwhile is no part of the waits.
    let is_near = |(wait, expected): (&u64, u64)| wait.abs_diff(expected) <= 20;
    assert!(waits.iter().zip(expected).all(is_near), "{waits:?}");
    let Fetched::Hidden { .. } = bed.enricher.fetch(&notice).await else { panic!("it is old") };
}

#[tokio::test]
async fn what_is_no_document_is_tried_again() {
    let bed = Bed::meta("\"t\"");
    let long = json!({"field_data": "x".repeat(300 * 1024)});
    for answer in [
        Answer::text(200, "<html>"),
        Answer::text(500, ""),
        Answer::text(302, "").with("Location", "/elsewhere"),
        Answer::json(200, &long),
        Answer::json(200, &fixture("meta/graph_error_17_user_limit.response.json")),
    ] {
        bed.platform.answers(LEAD, [answer.clone()]);
        let fetched = bed.fetch(&of_page(7)).await;
        let is_limit = answer.body.contains("request limit");
        let expected = match fetched {
            Fetched::Again { .. } => !is_limit,
            Fetched::Wait { .. } => is_limit,
            _ => false,
        };
        assert!(expected, "{fetched:?}: {} {:.60}", answer.status, answer.body);
    }
    assert!(bed.counts("no_answer") && bed.counts("retry") && bed.counts("backoff"));
    assert!(bed.platform.asked().iter().all(|asked| asked.path == LEAD), "no redirect is followed");
}

#[tokio::test]
async fn a_platform_that_is_away_is_tried_again() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let settings = "preset = \"meta-lead-ads\"\nsecrets = { page_token = \"t\", token = \"t\" }";
    let bed = Bed::at(Platform::start(), &base, settings);
    let Fetched::Again { why, .. } = bed.fetch(&of_page(7)).await else { panic!() };
    assert_eq!(why, "lead: could not connect");
}

/// Without a configuration nothing is fetched from anybody but the simulator.
#[tokio::test]
async fn the_simulator_answers_as_the_platforms_do() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let simulator = crate::sandbox::Sandbox::new(crate::sandbox::Options::default());
    let serving = tokio::spawn(simulator.serve(listener, std::future::pending()));
    for (preset, secret, notice) in [
        ("meta-lead-ads", "page_token", of_page(7)),
        ("linkedin-lead-sync", "access_token", fixture("linkedin/lead_created.json")),
    ] {
        let settings =
            format!("preset = \"{preset}\"\nsecrets = {{ {secret} = \"t\", token = \"t\" }}");
        let bed = Bed::at(Platform::start(), &base, &settings);
        let Content::Lead { lead, .. } = whole(bed.fetch(&notice).await).content else { panic!() };
        let name = lead.name.unwrap();
        assert!(name.starts_with("Nguyễn") && name.contains("Thử"), "{name}");
        assert_eq!(lead.attribution.utm["campaign"], "sandbox");
    }
    serving.abort();
}

#[tokio::test]
async fn a_notice_that_says_nothing_is_kept_for_a_person() {
    let bed = Bed::meta("\"t\"");
    for notice in [json!({}), json!([]), json!({"value": {"leadgen_id": ".."}})] {
        assert!(matches!(bed.fetch(&notice).await, Fetched::Hidden { .. }), "{notice}");
    }
    let mut unknown = bed.notice(&of_page(7));
    unknown.source = "other".parse().unwrap();
    let fetched = bed.enricher.fetch(&unknown).await;
    assert!(matches!(fetched, Fetched::Wait { .. }), "{fetched:?}");
    let mut broken = bed.notice(&of_page(7));
    broken.body = RawBody { bytes: b"{".to_vec(), ..broken.body };
    let fetched = bed.enricher.fetch(&broken).await;
    assert!(matches!(fetched, Fetched::Hidden { .. }), "{fetched:?}");
    assert!(bed.platform.asked().is_empty());
}
