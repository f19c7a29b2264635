//! Custom fields: what is sent for which answer, before and after CareSoft's list is known.

use serde_json::json;

use super::*;
use crate::config::{self, MapEnvironment};
use crate::lead::{Answer, Attribution};

/// The composer of a destination with these custom fields.
fn composer(custom_fields: &str) -> Composer {
    let text = format!(
        "[destinations.main]\ndomain = \"sandbox\"\ntoken = \"t\"\n\
         [destinations.main.lead]\nservice_id = 1244\ncustom_fields = [\n{custom_fields}\n]\n"
    );
    let parsed = config::parse(&text, "test.toml", &MapEnvironment::default(), &[]);
    let config = parsed.unwrap_or_else(|faults| panic!("{faults}")).config;
    let destination = config.destinations.values().next().unwrap();
    Composer::new(destination, &config.sources, PhoneOutput::National).unwrap()
}

/// The custom fields of a lead whose form sent this.
fn sent(composer: &Composer, form: &[(&str, &str)]) -> Vec<(u64, String)> {
    let fields = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let lead = Lead { fields: fields.collect(), ..Lead::default() };
    let fields = FormFields::new(&lead);
    let values = context! { fields => Serde(&fields.0) };
    let settings = composer.fallback.custom_fields.iter().flatten();
    settings
        .filter_map(|field| composer.custom_field(field, &fields, &values))
        .map(|field| (field.id, field.value))
        .collect()
}

/// A text, a single and a multiple drop-down list, in CareSoft's own spelling.
fn list() -> Vec<CustomFieldDefinition> {
    let options = json!([
        {"id": 106902, "lable": "Đã mua", "parent_value_id": -1},
        {"id": 106903, "lable": "Khác", "parent_value_id": -1},
        {"id": 106904, "lable": "Trùng", "parent_value_id": 106902},
        {"id": 106905, "lable": "trùng", "parent_value_id": 106903},
    ]);
    serde_json::from_value(json!([
        {"custom_field_id": 5159, "custom_field_lable": "Thành phố", "type": "Text"},
        {"custom_field_id": 6068, "custom_field_lable": "Phân loại",
         "type": "Single drop-down list", "values": options},
        {"custom_field_id": 6069, "custom_field_lable": "Quan tâm",
         "type": "Multiple drop-down list", "values": options},
    ]))
    .unwrap()
}

fn values(of: &[(u64, &str)]) -> Vec<(u64, String)> {
    of.iter().map(|(id, value)| (*id, (*value).to_owned())).collect()
}

#[test]
fn ids_are_sent_as_they_are_and_want_no_list() {
    let composer = composer(
        r#"{ id = 6068, from = "loai", values = { "mua" = "106902" }, default = "106903" },
           { id = 5159, from = "thanh_pho" },"#,
    );
    assert!(!composer.wants_names());
    for form in [[("loai", "mua"), ("thanh_pho", "Huế")], [("loai", "bán"), ("thanh_pho", "Huế")]]
    {
        let option = if form[0].1 == "mua" { "106902" } else { "106903" };
        let before = sent(&composer, &form);
        assert_eq!(before, values(&[(6_068, option), (5_159, "Huế")]));
        composer.learn(&list());
        assert_eq!(sent(&composer, &form), before, "the list changes nothing");
    }
}

#[test]
fn a_name_goes_nowhere_until_the_list_is_known_and_then_as_its_id() {
    let composer = composer(
        r#"{ id = 6068, from = "loai", values = { "m" = "Đã mua", "x" = "DA  MUA" }, default = "khac" },
           { id = 6069, from = "loai", values = { "m" = "da mua" } },
           { id = 5159, from = "tp", values = { "hn" = "Hà Nội" } },"#,
    );
    assert!(composer.wants_names());
    let form = [("loai", "m"), ("tp", "hn")];
    assert_eq!(sent(&composer, &form), []);
    composer.learn(&list());
    let expected = [(6_068, "106902"), (6_069, "106902"), (5_159, "Hà Nội")];
    assert_eq!(sent(&composer, &form), values(&expected));
    assert_eq!(sent(&composer, &[("loai", "x")])[0], values(&[(6_068, "106902")])[0]);
    assert_eq!(sent(&composer, &[]), values(&[(6_068, "106903")]), "the default, by its name");
}

#[test]
fn a_name_that_is_no_options_is_left_out_and_what_a_visitor_wrote_is_not() {
    let composer = composer(
        r#"{ id = 6068, from = "loai", values = { "m" = "Bán", "t" = "TRÙNG" } },
           { id = 9999, from = "loai", values = { "m" = "Bán" } },"#,
    );
    composer.learn(&list());
    for (answer, expected) in [
        ("m", vec![]),
        ("t", vec![(9_999, "t")]), // two options are called so
        ("đã mua", vec![(6_068, "106902"), (9_999, "đã mua")]),
        ("106902", vec![(6_068, "106902"), (9_999, "106902")]),
        ("thuê", vec![(6_068, "thuê"), (9_999, "thuê")]),
    ] {
        assert_eq!(sent(&composer, &[("loai", answer)]), values(&expected), "{answer}");
    }
}

#[test]
fn a_list_takes_the_place_of_the_one_before() {
    let composer = composer(r#"{ id = 6068, from = "loai", values = { "m" = "Đã mua" } },"#);
    composer.learn(&list());
    assert_eq!(sent(&composer, &[("loai", "m")]), values(&[(6_068, "106902")]));
    let mut renamed = list();
    renamed[1].options[0].label = "Mua rồi".to_owned();
    composer.learn(&renamed);
    assert_eq!(sent(&composer, &[("loai", "m")]), []);
    composer.learn(&[]);
    assert_eq!(sent(&composer, &[("loai", "m")]), [], "a field that is gone takes no name");
}

#[test]
fn a_consent_is_told_with_when_and_on_which_page() {
    let answer = |label: &str, value: &str| Answer {
        label: label.to_owned(),
        value: value.to_owned(),
        key: None,
    };
    let page_url = Some("https://shop.example.vn/lp?utm_source=fb".to_owned());
    let lead = Lead {
        answers: vec![answer("consent dong_y", "true: Tôi đồng ý"), answer("goi", "A")],
        attribution: Attribution { page_url, ..Attribution::default() },
        ..Lead::default()
    };
    let comment = |lead: &Lead| {
        let voice = Voice {
            id: SubmissionId::generate(),
            source: &"website".parse().unwrap(),
            received_at: Timestamp::from_millis(1_795_425_302_000),
            lead,
        };
        composer("")
            .render(COMMENT, &Composer::values(&voice, None, &FormFields::new(lead)))
            .unwrap()
    };
    let expected = "consent dong_y: true: Tôi đồng ý (2026-11-23T09:15:02.000Z, \
        https://shop.example.vn/lp)\ngoi: A\npage: https://shop.example.vn/lp?utm_source=fb";
    assert_eq!(comment(&lead).trim(), expected);
    let nowhere = Lead { attribution: Attribution::default(), ..lead };
    let expected = "consent dong_y: true: Tôi đồng ý (2026-11-23T09:15:02.000Z)\ngoi: A";
    assert_eq!(comment(&nowhere).trim(), expected);
}
