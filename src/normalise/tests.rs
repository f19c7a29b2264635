use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn with_rules<T>(test: impl Fn(&Rules) -> T) -> T {
    let endpoint = Url::parse("https://leads.example.vn/in/website").unwrap();
    let name_order = NameOrder::FamilyFirst;
    test(&Rules { region: "VN", name_order, source_page: None, endpoint: &endpoint })
}

fn normalised(phones: &[&str], emails: &[&str]) -> Normalised {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let draft = Draft { phones: texts(phones), emails: texts(emails), ..Draft::default() };
    with_rules(|rules| normalise(draft.clone(), rules))
}

fn answers(normalised: &Normalised) -> Vec<(&str, &str)> {
    let answers = normalised.lead.answers.iter();
    answers.map(|answer| (answer.label.as_str(), answer.value.as_str())).collect()
}

fn faults(normalised: &Normalised) -> Vec<(&str, &str)> {
    normalised.faults.iter().map(|fault| (fault.field, fault.code)).collect()
}

#[test]
fn a_form_becomes_a_lead() {
    let draft = Draft {
        name: Some(" Nguyễn  Văn Thử ".into()),
        phones: vec!["(+84) 0900 000 027 (gọi sau 18h)".into()],
        emails: vec![" Thu.Nguyen@Example.COM ".into()],
        message: Some("Xin chào\r\nTôi cần báo giá \0".into()),
        evidence: Evidence {
            explicit_utm: vec![("source".into(), "google".into())],
            referer_header: Some("https://site.example.vn/lp?utm_campaign=t10&gbraid=0AAAA".into()),
            ..Evidence::default()
        },
        answers: vec![Answer { label: "dich_vu".into(), value: "A, B".into(), key: None }],
        ..Draft::default()
    };
    let made = with_rules(|rules| normalise(draft.clone(), rules));
    let lead = &made.lead;
    assert_eq!(lead.name.as_deref(), Some("Nguyễn Văn Thử"));
    assert_eq!(lead.phone.as_ref().unwrap().e164(), "+84900000027");
    assert_eq!(lead.email.as_deref(), Some("thu.nguyen@example.com"));
    assert_eq!(lead.message.as_deref(), Some("Xin chào\nTôi cần báo giá"));
    assert_eq!(
        lead.ref_url.as_deref(),
        Some("https://site.example.vn/lp?utm_campaign=t10&gbraid=0AAAA&utm_source=google")
    );
    assert_eq!(
        answers(&made),
        [("dich_vu", "A, B"), ("phone", "(+84) 0900 000 027 (gọi sau 18h)")]
    );
    let phone = Identity::Phone("+84900000027".parse().unwrap());
    assert_eq!(made.identities, [phone, Identity::Email("thu.nguyen@example.com".into())]);
    assert_eq!(made.faults, []);
}

#[test]
fn the_first_usable_candidate_counts_and_the_others_stay() {
    let made = normalised(
        &["12", "0900000001", "+84 900 000 001", "0900000002", "null"],
        &["thu@", "thu@example.vn", "hai@example.vn", "hai@example.vn"],
    );
    assert_eq!(made.lead.phone.as_ref().unwrap().e164(), "+84900000001");
    assert_eq!(made.lead.email.as_deref(), Some("thu@example.vn"));
    let kept =
        [("phone", "12"), ("phone", "0900000002"), ("email", "thu@"), ("email", "hai@example.vn")];
    assert_eq!(answers(&made), kept);
    assert_eq!(made.faults, [], "each field has a value");
}

#[test]
fn an_unusable_field_is_named_and_kept() {
    let made = normalised(&["19001234"], &["thu@example.vn"]);
    assert_eq!(faults(&made), [("phone", "hotline")]);
    assert_eq!(answers(&made), [("phone", "19001234")]);
    assert_eq!(made.identities.len(), 1, "the e-mail address is enough");

    let neither = normalised(&["không có"], &["thu"]);
    assert_eq!(faults(&neither), [("phone", "no_number"), ("email", "no_address")]);
    assert_eq!(neither.identities, []);
}

#[test]
fn both_fields_are_missing_or_neither_is() {
    assert_eq!(
        faults(&normalised(&[" "], &["null"])),
        [("phone", "missing"), ("email", "missing")]
    );
    assert_eq!(faults(&normalised(&[], &["thu@"])), [("email", "malformed_domain")]);
    assert_eq!(faults(&normalised(&["0900000001"], &[])), []);
}

#[test]
fn a_second_value_in_one_field_stays() {
    let made = normalised(&["0900000001 / 0900000002"], &["thu@example.vn; hai@example.vn"]);
    assert_eq!(made.lead.phone.as_ref().unwrap().e164(), "+84900000001");
    let kept = [("phone", "0900000001 / 0900000002"), ("email", "thu@example.vn; hai@example.vn")];
    assert_eq!(answers(&made), kept);
    assert_eq!(answers(&normalised(&["SĐT: 0900 000 001."], &["Thử <thu@example.vn>"])), []);
}

#[test]
fn nothing_of_a_person_is_in_a_fault_or_a_debug_text() {
    let made = normalised(&["0900 000"], &["thu..hai@example.vn"]);
    let told = format!("{made:?}");
    assert!(!told.contains("0900") && !told.contains("example"), "{told}");
}

/// A lead as a draft of itself.
fn draft_of(lead: Lead) -> Draft {
    let attribution = lead.attribution;
    Draft {
        name: lead.name,
        phones: lead.phone.iter().map(ToString::to_string).collect(),
        emails: lead.email.into_iter().collect(),
        message: lead.message,
        evidence: Evidence {
            explicit_utm: attribution.utm.into_iter().collect(),
            explicit_click_ids: attribution.click_ids.into_iter().collect(),
            page_url: attribution.page_url,
            referrer: attribution.referrer,
            referer_header: None,
        },
        answers: lead.answers,
        fields: lead.fields,
        ..Draft::default()
    }
}

fn draft() -> impl Strategy<Value = Draft> {
    let text = || proptest::option::of(any::<String>());
    let phone = prop_oneof!["0?[35789][0-9]{8}", r"\+[1-9][0-9]{6,13}", any::<String>()];
    let email =
        prop_oneof!["[a-z.+]{1,8}@[a-z]{1,8}\\.vn", "[a-z.+]{1,8}@gmail\\.com", any::<String>()];
    let name = prop_oneof!["source|medium|campaign", r"\PC{0,5}"];
    let utm = vec((name, any::<String>()), 0..4);
    let page = proptest::option::of(r"https://shop\.example\.vn/\PC{0,20}");
    (text(), text(), text(), vec(phone, 0..3), vec(email, 0..3), text(), utm, page, text())
        .prop_map(
            |(
                name,
                first_name,
                last_name,
                phones,
                emails,
                message,
                explicit_utm,
                page_url,
                referrer,
            )| {
                let evidence = Evidence { explicit_utm, page_url, referrer, ..Evidence::default() };
                Draft {
                    name,
                    first_name,
                    last_name,
                    phones,
                    emails,
                    message,
                    evidence,
                    ..Draft::default()
                }
            },
        )
}

proptest! {
    #![proptest_config(laws())]
    #[test]
    fn what_needs_no_composing_is_composed(text in "[a-zA-ZÀ-ỹ\u{300}-\u{31b} ]{0,12}|\\PC{0,12}") {
        prop_assert_eq!(nfc(text.clone()), text.nfc().collect::<String>());
    }

    #[test]
    fn normalising_twice_is_normalising_once(draft in draft()) {
        let once = with_rules(|rules| normalise(draft.clone(), rules));
        let twice = with_rules(|rules| normalise(draft_of(once.lead.clone()), rules));
        prop_assert_eq!(serde_json::to_value(&once.lead).unwrap(), serde_json::to_value(&twice.lead).unwrap());
        prop_assert_eq!(once.identities, twice.identities);
    }
}
