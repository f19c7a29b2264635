//! What is learned of a platform, and for how long.

use super::*;

#[tokio::test]
async fn a_limit_is_silence_for_as_long_as_it_is_told() {
    for name in ["4_app_limit", "17_user_limit", "32_page_limit"] {
        let bed = Bed::meta("\"t\"");
        let usage = r#"{"1":[{"type":"leadgen","estimated_time_to_regain_access":12}]}"#;
        let limited = error(name).with("X-Business-Use-Case-Usage", usage);
        bed.platform.answers(LEAD, [limited, lead()]);
        let Fetched::Wait { length, why } = bed.fetch(&of_page(7)).await else { panic!() };
        assert_eq!(length, 12 * MINUTE);
        assert!(why.starts_with("lead: 400, code "), "{why}");
        let other = bed.fetch(&of_page(8)).await;
        assert!(matches!(other, Fetched::Wait { .. }), "{other:?}");
        assert_eq!(bed.platform.asked().len(), 1, "the whole source is silent");
        bed.hand.skip(12 * MINUTE);
        whole(bed.fetch(&of_page(8)).await);
        assert!(bed.heard().is_empty(), "nothing for a person to do");
    }
    let bed = Bed::meta("\"t\"");
    bed.platform.answers(LEAD, [Answer::text(429, "slow down").with("Retry-After", "30")]);
    let Fetched::Wait { length, .. } = bed.fetch(&of_page(7)).await else { panic!() };
    assert_eq!(length, Duration::from_secs(30));
}

#[tokio::test]
async fn what_was_learned_of_a_platform_outlives_a_change_of_something_else() {
    let settings = |token: &str, more: &str| {
        let secrets = format!("secrets = {{ page_token = \"{token}\", token = \"t\" }}");
        format!("preset = \"meta-lead-ads\"\n{secrets}\n{more}")
    };
    let mut bed = Bed::new(&settings("dead", ""));
    bed.platform.answers(LEAD, [error("190_expired"), lead()]);
    assert!(matches!(bed.fetch(&of_page(7)).await, Fetched::Stopped { is_own: true, .. }));
    assert!(matches!(bed.heard().as_slice(), [Standing::Stopped { .. }]));
    bed.reload(&settings("dead", "page_url = \"https://shop.example.vn/\""));
    assert!(matches!(bed.fetch(&of_page(7)).await, Fetched::Stopped { is_own: false, .. }));
    assert_eq!(bed.platform.asked().len(), 1, "the token is known to be dead");
    bed.reload(&settings("alive", ""));
    whole(bed.fetch(&of_page(7)).await);
    assert_eq!(bed.platform.asked()[1].token, "alive", "another one is asked with at once");
    assert!(matches!(bed.heard().as_slice(), [Standing::Resumed { .. }]), "and that is told");

    let mut bed = Bed::new(&settings("one", ""));
    let limited = Answer::text(429, "slow down").with("Retry-After", "30");
    bed.platform.answers(LEAD, [limited, lead()]);
    assert!(matches!(bed.fetch(&of_page(7)).await, Fetched::Wait { .. }));
    bed.reload(&settings("another", ""));
    assert!(matches!(bed.fetch(&of_page(7)).await, Fetched::Wait { .. }), "it asked for silence");
    assert_eq!(bed.platform.asked().len(), 1);
}
