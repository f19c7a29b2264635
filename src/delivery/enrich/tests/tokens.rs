//! Whose token is asked with, and what becomes of one that does not work.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_dead_token_stops_its_page_until_it_is_mended() {
    let bed = Bed::meta("\"t\"");
    let expired = error("190_expired");
    bed.platform.answers(LEAD, [expired.clone(), expired, lead()]);
    let Fetched::Stopped { length, why, .. } = bed.fetch(&of_page(7)).await else { panic!() };
    assert_eq!((length, why.as_str()), (5 * MINUTE, "lead: 400, code 190/463"));
    assert!(matches!(bed.heard().as_slice(), [Standing::Stopped { .. }]));
    assert!(matches!(bed.fetch(&of_page(7)).await, Fetched::Stopped { .. }));
    assert_eq!(bed.platform.asked().len(), 1, "nothing is asked meanwhile");
    bed.hand.skip(5 * MINUTE);
    assert!(matches!(bed.fetch(&of_page(7)).await, Fetched::Stopped { .. }), "the probe");
    assert!(bed.heard().is_empty(), "told once");
    bed.hand.skip(5 * MINUTE);
    whole(bed.fetch(&of_page(7)).await);
    let whose = Some("page_id 7".to_owned());
    assert_eq!(bed.heard(), [Standing::Resumed { whose }]);
}

#[tokio::test]
async fn of_several_tokens_the_pages_own_is_found_and_remembered() {
    let bed = Bed::meta("[\"a\", \"b\"]");
    bed.platform.answers_to("a", LEAD, [error("190_expired")]);
    bed.platform.answers_to("b", LEAD, [lead()]);
    for _ in 0..2 {
        whole(bed.fetch(&of_page(7)).await);
    }
    let tokens: Vec<_> = bed.platform.asked().into_iter().map(|asked| asked.token).collect();
    assert_eq!(tokens, ["a", "b", "b"]);
    assert!(bed.heard().is_empty());
    bed.platform.answers_to("b", LEAD, [error("100_33_not_found")]);
    let stopped = bed.fetch(&of_page(8)).await;
    assert!(matches!(stopped, Fetched::Stopped { .. }), "{stopped:?}");
    let own = bed.fetch(&of_page(7)).await;
    assert!(matches!(own, Fetched::Again { .. }), "another page goes on: {own:?}");
    bed.platform.answers_to("b", LEAD, [lead()]);
    bed.hand.skip(5 * MINUTE);
    whole(bed.fetch(&of_page(8)).await);
    assert!(matches!(bed.heard().as_slice(), [Standing::Stopped { .. }, Standing::Resumed { .. }]));
}

#[tokio::test]
async fn a_second_pages_dead_token_is_told_too() {
    let bed = Bed::meta("[\"one\", \"two\"]");
    bed.platform.answers(LEAD, [error("190_expired")]);
    for page in [7, 8] {
        bed.fetch(&of_page(page)).await;
        let heard = bed.heard();
        let [Standing::Stopped { whose: Some(whose), .. }] = &heard[..] else {
            panic!("{heard:?}")
        };
        assert_eq!(*whose, format!("page_id {page}"));
    }
    bed.platform.answers(LEAD, [lead()]);
    bed.hand.skip(5 * MINUTE);
    whole(bed.fetch(&of_page(8)).await);
    assert_eq!(bed.heard(), [Standing::Resumed { whose: Some("page_id 8".to_owned()) }]);
}

#[tokio::test]
async fn the_newer_token_of_a_page_is_tried_when_the_older_expires() {
    let bed = Bed::meta("[\"old\", \"new\"]");
    bed.platform.answers_to("old", LEAD, [lead(), error("190_expired")]);
    bed.platform.answers_to("new", LEAD, [lead()]);
    for _ in 0..3 {
        whole(bed.fetch(&of_page(7)).await);
    }
    let tokens: Vec<_> = bed.platform.asked().into_iter().map(|asked| asked.token).collect();
    assert_eq!(tokens, ["old", "old", "new", "new"]);
    assert!(bed.heard().is_empty());
}

fn of_response(id: &str) -> Value {
    let mut notice = fixture("linkedin/lead_created.json");
    notice["leadGenFormResponse"] = format!("urn:li:leadGenFormResponse:{id}").into();
    notice
}

#[tokio::test]
async fn one_response_that_may_not_be_seen_stops_no_others_for_ever() {
    let bed = Bed::new(
        "preset = \"linkedin-lead-sync\"\nsecrets = { access_token = \"t\", token = \"t\" }",
    );
    let denied = Answer::json(403, &json!({"serviceErrorCode": 100, "status": 403}));
    bed.platform.answers("/rest/leadFormResponses/gone", [denied]);
    for (path, file) in
        [("leadFormResponses/1a2b3c-4", "leadFormResponse"), ("leadForms/1", "leadForm")]
    {
        let answer = Answer::json(200, &fixture(&format!("linkedin/{file}.response.json")));
        bed.platform.answers(&format!("/rest/{path}"), [answer]);
    }
    let gone = bed.notice(&of_response("gone"));
    for times in 1..10 {
        let refused = bed.enricher.fetch(&gone).await;
        let Fetched::Stopped { is_own: true, .. } = refused else { panic!("{times}: {refused:?}") };
        let other = bed.fetch(&of_response("1a2b3c-4")).await;
        assert!(matches!(other, Fetched::Stopped { is_own: false, .. }), "{other:?}");
        bed.hand.skip(5 * MINUTE);
    }
    assert_eq!(bed.platform.asked().len(), 9, "nobody says that it is not the token");
    // Now another one is the probe.
    whole(bed.fetch(&of_response("1a2b3c-4")).await);
    let owner = "owner urn:li:sponsoredAccount:123".to_owned();
    assert_eq!(bed.heard().last(), Some(&Standing::Resumed { whose: Some(owner) }));
    let hidden = bed.enricher.fetch(&gone).await;
    assert!(matches!(hidden, Fetched::Hidden { .. }), "{hidden:?}");
    whole(bed.fetch(&of_response("1a2b3c-4")).await);
    assert!(bed.heard().is_empty(), "it has closed nothing");
}
