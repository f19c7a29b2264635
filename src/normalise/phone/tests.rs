use std::collections::BTreeMap;

use proptest::prelude::*;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType, Region};

use super::*;
use crate::normalise::laws;

fn read_e164(text: &str) -> Result<String, NoPhone> {
    parse(text, "VN").map(|phone| phone.e164().to_owned())
}

fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/normalisation/");
    std::fs::read_to_string(format!("{folder}{name}")).unwrap()
}

#[test]
fn every_row_of_the_phone_fixture() {
    #[derive(serde::Deserialize)]
    struct Row {
        input: String,
        e164: Option<String>,
        note: String,
    }
    let rows: Vec<Row> = serde_json::from_str(&fixture("phones.json")).unwrap();
    assert_eq!(rows.len(), 15);
    for Row { input, e164, note } in rows {
        assert_eq!(read_e164(&input).ok(), e164, "{input}: {note}");
    }
}

#[test]
fn every_mobile_prefix_of_before_2018_has_moved() {
    let table: BTreeMap<String, String> =
        serde_json::from_str(&fixture("vn_mobile_migration_2018.json")).unwrap();
    assert_eq!(table.len(), 21);
    for (old, new) in table {
        let expected = format!("+84{}1234567", &new[1..]);
        for written in [
            format!("{old}1234567"),
            format!("{old}.123.4567"),
            format!("+84 {} 1234567", &old[1..]),
            format!("+84 (0) {} 1234567", &old[1..]),
            format!("84{}1234567", &old[1..]),
            format!("{}1234567", &old[1..]),
        ] {
            assert_eq!(read_e164(&written).as_deref(), Ok(expected.as_str()), "{written}");
        }
    }
    assert_eq!(read_e164("01821234567"), Err(NoPhone::Unassigned), "0182 never moved");
}

#[test]
fn landlines_of_before_2017_are_never_moved() {
    #[derive(serde::Deserialize)]
    struct Area {
        old: String,
        new: String,
    }
    let areas: Vec<Area> = serde_json::from_str(&fixture("vn_area_codes_2017.json")).unwrap();
    assert_eq!(areas.len(), 63);
    for Area { old, new } in areas {
        let today = format!("{new}39999999").chars().take(11).collect::<String>();
        assert_eq!(read_e164(&today), Ok(format!("+84{}", &today[1..])), "{today}");
        // The old number is a mobile of today or nothing; it never gets its area's new code.
        let number = format!("{old}7654321").chars().take(10).collect::<String>();
        if let Ok(read) = read_e164(&number) {
            assert_eq!(read, format!("+84{}", &number[1..]));
        }
    }
}

#[test]
fn what_people_type_around_a_number() {
    for (text, e164) in [
        ("0084 912 345 678", "+84912345678"),
        ("0084 0912345678", "+84912345678"),
        ("+84 (0) 912-345-678", "+84912345678"),
        ("+0912345678", "+84912345678"),
        ("+ 84 912 345 678", "+84912345678"),
        ("０９１２３４５６７８", "+84912345678"),
        ("09l2 / 0912 345 678", "+84912345678"),
        ("O9I2 hoặc O912 345 67O", "+84912345670"),
        ("no 0912345678", "+84912345678"),
        ("\u{202d}0912 345 678\u{202c}", "+84912345678"),
        ("0912–345–678", "+84912345678"),
        ("0912345678/0987654321", "+84912345678"),
        ("0912345678 - 0987654321", "+84912345678"),
        ("0912 345 678 0987 654 321", "+84912345678"),
        ("0912345678 84987654321", "+84912345678"),
        ("19001234 - 0987654321", "+84987654321"),
        ("gọi 0912 345 678 (giờ hành chính, 8h-17h)", "+84912345678"),
        ("2439999999", "+842439999999"),
        ("84 24 3999 9999", "+842439999999"),
        ("841234567", "+84841234567"),
        ("+65 9123 4567", "+6591234567"),
        ("0065 9123 4567", "+6591234567"),
        ("+32491223344", "+32491223344"),
        ("+11234567890", "+11234567890"), // no such area, but its country is named
        ("+1-650-555-0123", "+16505550123"),
    ] {
        assert_eq!(read_e164(text).as_deref(), Ok(e164), "{text}");
    }
}

#[test]
fn what_is_no_number_of_a_person_says_why() {
    for (text, why) in [
        ("", NoPhone::Empty),
        (" \u{a0} ", NoPhone::Empty),
        ("không có", NoPhone::NoNumber),
        ("113", NoPhone::TooShort),
        ("0912 345", NoPhone::TooShort),
        ("09123456789", NoPhone::TooLong),
        ("0912 345 6789", NoPhone::TooLong),
        ("091 2345678901", NoPhone::TooLong),
        ("1234567890123456789012345678901234567890", NoPhone::TooLong),
        ("1800 1234", NoPhone::Hotline),
        ("1900 123456", NoPhone::Hotline),
        ("+84 1900 1234", NoPhone::Hotline),
        ("+1 800 253 0000", NoPhone::Hotline),
        ("0439999999", NoPhone::Unassigned),
        ("0000000000", NoPhone::UnknownCountry),
        ("5551234567", NoPhone::Unassigned),
        ("+999 123 456 789", NoPhone::UnknownCountry),
        ("+84", NoPhone::TooShort),
    ] {
        assert_eq!(read_e164(text), Err(why), "{text}");
    }
}

/// A 00 before 84 was once only a + where the region is Vietnam: what libphonenumber takes for possible
/// was taken elsewhere, and was no number when it was read again.
#[test]
fn vietnams_rules_count_in_every_region() {
    for region in ["VN", "US"] {
        let read = |text| parse(text, region).map(|phone| phone.e164().to_owned());
        assert_eq!(read("0084 0900 000 001").as_deref(), Ok("+84900000001"), "{region}");
        assert_eq!(read("0084456 7890"), Err(NoPhone::TooShort), "{region}");
        assert_eq!(read("+84456 7890"), Err(NoPhone::TooShort), "{region}");
    }
}

/// `+49 00 0000` lost a 0 each time that it was read.
#[test]
fn what_does_not_read_as_itself_is_no_number() {
    assert_eq!(read_e164("0049000000"), Err(NoPhone::Unassigned));
    assert_eq!(read_e164("+49 (0) 30 901820").as_deref(), Ok("+4930901820"));
    assert_eq!(
        read_e164("+39 06 6982 1234").as_deref(),
        Ok("+390669821234"),
        "Italy's 0 is its own"
    );
}

#[test]
fn another_region_reads_its_own_numbers_and_vietnams_by_their_code() {
    let read = |text| parse(text, "US").map(|phone| phone.e164().to_owned());
    assert_eq!(read("1-650-555-0123").as_deref(), Ok("+16505550123"));
    assert_eq!(read("(650) 253-0000").as_deref(), Ok("+16502530000"));
    assert_eq!(read("+84 0199 1234567").as_deref(), Ok("+84591234567"));
    assert!(read("0912345678").is_err());
    assert_eq!(parse("0912345678", "??"), Err(NoPhone::UnknownCountry));
}

#[test]
fn the_plain_mobile_takes_the_fast_path() {
    for text in [
        "0912345678",
        "0912 345 678",
        "0912.345.678",
        "091-2345678",
        "84912345678",
        "+84 912345678",
    ] {
        assert_eq!(fast(text).unwrap().e164(), "+84912345678", "{text}");
    }
    for text in [
        "",
        "+",
        "912345678",
        "+0912345678",
        "09123456789",
        "0212345678",
        "+6591234567",
        "O912345678",
    ] {
        assert_eq!(fast(text), None, "{text}: not plain");
    }
}

/// The table against libphonenumber, prefix by prefix: who widens the table, or updates the
/// library, sees what changes.
#[test]
fn the_mobile_table_and_libphonenumber_differ_only_where_it_says_so() {
    let is_mobile = |number: String| {
        let number = PHONE_NUMBER_UTIL.parse(number, None);
        number.is_ok_and(|n| PHONE_NUMBER_UTIL.get_number_type(&n) == PhoneNumberType::Mobile)
    };
    let mut partly = Vec::new();
    for prefix in 10..100 {
        let in_table = fast(&format!("0{prefix}2345678")).is_some();
        let open = (0..10).filter(|block| is_mobile(format!("+84{prefix}{block}345678")));
        match open.count() {
            0 => assert!(!in_table, "{prefix}: no library knows it"),
            10 => {}
            _ if in_table => partly.push(prefix),
            _ => {}
        }
    }
    assert_eq!(partly, [52, 55, 89, 99]);
}

#[test]
fn output_is_national_for_vietnam_alone() {
    let phone = |text| parse(text, "VN").unwrap();
    assert_eq!(output(&phone("+84983980148"), PhoneOutput::National), "0983980148");
    assert_eq!(output(&phone("0983980148"), PhoneOutput::E164), "+84983980148");
    assert_eq!(output(&phone("02439999999"), PhoneOutput::National), "02439999999");
    assert_eq!(output(&phone("+6591234567"), PhoneOutput::National), "+6591234567");
}

/// The nine digits behind a mobile number's 0.
fn mobile() -> impl Strategy<Value = String> {
    let prefix = "3[2-9]|5[25689]|7[06-9]|8[1-9]|9[0-46-9]";
    (prefix, "[0-9]{7}").prop_map(|(prefix, rest)| prefix + &rest)
}

/// The ways in which people write those digits.
fn spelling(national: &str) -> impl Strategy<Value = String> + use<> {
    let (a, b, c) = (&national[..2], &national[2..5], &national[5..]);
    let zero = prop::sample::select(vec!["0", "O", "０"]).prop_map(str::to_owned);
    let code = prop::sample::select(vec![
        "84", "+84", "0084", "+84 ", "(+84) ", "+84 (0) ", "(+84) 0", "84 0", "00 84 ", "+(84)",
    ]);
    let start = prop_oneof![zero, code.prop_map(str::to_owned), Just(String::new())];
    let separator = prop::sample::select(vec!["", " ", ".", "-", " - ", "\u{a0}", "–", "  "]);
    let before = prop::sample::select(vec!["", " ", "SĐT: ", "tel:", "Zalo ", "(ĐT) "]);
    let after =
        prop::sample::select(vec!["", " ", ".", " (gọi sau 18h)", " / 0900000099", ", Thử"]);
    let parts = [a, b, c].map(str::to_owned);
    (before, start, separator, after).prop_map(move |(before, start, separator, after)| {
        format!("{before}{start}{}{after}", parts.join(separator))
    })
}

proptest! {
    #![proptest_config(laws())]

    #[test]
    fn no_text_panics(text in any::<String>(), region in "[A-Z]{2}") {
        let _ = parse(&text, &region);
        let _ = parse(&text, "VN");
    }

    #[test]
    fn what_is_read_reads_the_same(text in r"[+0-9 ./()-]{6,24}", region in "VN|US|SG|DE|IT|AR|MX") {
        if let Ok(phone) = parse(&text, &region) {
            prop_assert_eq!(parse(phone.e164(), &region), Ok(phone.clone()), "{}", phone.e164());
            prop_assert_eq!(parse(phone.e164(), "VN"), Ok(phone.clone()), "{}", phone.e164());
        }
    }

    #[test]
    fn every_spelling_is_the_same_number(
        (national, text) in mobile().prop_flat_map(|national| {
            let spelled = spelling(&national);
            (Just(national), spelled)
        })
    ) {
        prop_assert_eq!(read_e164(&text), Ok(format!("+84{national}")), "{}", text);
    }

    #[test]
    fn the_output_is_read_as_the_same_number(national in mobile()) {
        let phone = parse(&national, "VN").unwrap();
        for how in [PhoneOutput::National, PhoneOutput::E164] {
            prop_assert_eq!(parse(&output(&phone, how), "VN"), Ok(phone.clone()));
        }
    }

    #[test]
    fn the_fast_path_agrees_with_libphonenumber(national in mobile()) {
        let written = format!("0{national}");
        let fast = fast(&written).unwrap();
        let number = PHONE_NUMBER_UTIL.parse(&written, Some(Region::VN)).unwrap();
        let e164 = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164);
        prop_assert_eq!(fast.e164(), e164.as_ref());
        // Blocks that the table opens whole and libphonenumber in part: see `vietnam::MOBILE`.
        let partly_open = ["52", "55", "89", "99"].iter().any(|prefix| national.starts_with(prefix));
        prop_assert!(partly_open || PHONE_NUMBER_UTIL.is_valid_number(&number));
    }
}
