use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::lead::{Answer, Attribution, Phone};
use crate::normalise::laws;

fn sealing() -> Vault {
    Vault::from_secret(&SecretString::from("a secret of some length"))
}

fn plain() -> Vault {
    Vault::from_random(&[7; 32])
}

/// A lead as the form of a landing page makes it.
fn typical() -> Lead {
    let page = "https://shop.example.vn/du-an/can-ho?utm_source=facebook&utm_medium=cpc&utm_campaign=tet-2027";
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    Lead {
        name: Some("Nguyễn Văn Thử".into()),
        phone: "+84900000001".parse().ok(),
        email: Some("thu.nguyen88@example.vn".into()),
        message: Some("Tôi muốn được tư vấn về căn hộ hai phòng ngủ".into()),
        ref_url: Some(page.into()),
        attribution: Attribution {
            page_url: Some(page.into()),
            utm: pairs(&[("source", "facebook"), ("medium", "cpc"), ("campaign", "tet-2027")]),
            ..Attribution::default()
        },
        answers: Vec::new(),
        fields: pairs(&[
            ("ho_ten", "Nguyễn Văn Thử"),
            ("so_dien_thoai", "0900 000 001"),
            ("email", "thu.nguyen88@example.vn"),
            ("noi_dung", "Tôi muốn được tư vấn về căn hộ hai phòng ngủ"),
        ]),
    }
}

fn payload(lead: Lead) -> Payload {
    Payload { external_id: None, lead: Some(lead) }
}

/// Names of fields and of values: the usual ones, and any.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("source".to_owned()),
        Just("campaign".to_owned()),
        Just("fbclid".to_owned()),
        Just("ho_ten".to_owned()),
        ".{0,8}",
    ]
}

/// Values that meet each other in several places of one lead.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("Nguyễn Văn Thử".to_owned()),
        Just("0900000001".to_owned()),
        Just("a b+c%d&e=f".to_owned()),
        Just("facebook".to_owned()),
        ".{0,30}",
    ]
}

fn url() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(
            "https://a.example.vn/?utm_source=facebook&utm_campaign=&fbclid=a%20b%2Bc%25d%26e%3Df"
                .to_owned()
        ),
        Just(
            "https://a.example.vn/?utm_source=facebook&utm_source=facebook#utm_source=x".to_owned()
        ),
        Just("https://a.example.vn/?utm_source=Nguy%E1%BB%85n+V%C4%83n+Th%E1%BB%AD".to_owned()),
        Just("https://a.example.vn/".to_owned()),
        Just("https://a.example.vn/ếậ".to_owned()),
        Just("https://a.example.vn/ếẫ".to_owned()),
        value(),
    ]
}

fn lead() -> impl Strategy<Value = Lead> {
    let texts = (option::of(value()), option::of(value()), option::of(value()));
    let phone = option::of(prop_oneof!["\\+84900000001", "\\+[0-9]{7,15}"]);
    let urls = (option::of(url()), option::of(url()), option::of(url()));
    let maps = || btree_map(name(), value(), 0..5);
    let answer = (name(), value(), option::of(name()));
    let answers = vec(answer.prop_map(|(label, value, key)| Answer { label, value, key }), 0..5);
    (texts, phone, urls, maps(), maps(), answers, maps()).prop_map(
        |((name, email, message), phone, urls, utm, click_ids, answers, fields)| {
            let (ref_url, page_url, referrer) = urls;
            let attribution = Attribution { page_url, referrer, utm, click_ids };
            let phone = phone.map(|phone| phone.parse::<Phone>().expect("E.164"));
            Lead { name, phone, email, message, ref_url, attribution, answers, fields }
        },
    )
}

proptest! {
    #![proptest_config(laws())]

    #[test]
    fn a_payload_comes_back(external_id in option::of(value()), lead in option::of(lead())) {
        let payload = Payload { external_id, lead };
        for vault in [sealing(), plain()] {
            prop_assert!(vault.open(&vault.close(&payload)) == Ok(payload.clone()));
        }
    }

    #[test]
    fn equal_leads_have_equal_bytes_and_others_have_not(one in lead(), other in lead()) {
        let bytes = |lead: &Lead| with_lead_bytes(lead, <[u8]>::to_vec);
        prop_assert_eq!(bytes(&one), bytes(&one.clone()));
        prop_assert_eq!(bytes(&one) == bytes(&other), one == other);
    }

    #[test]
    fn bodies_and_bytes_come_back(content_type in "[a-z/;= ]{0,20}", bytes: Vec<u8>) {
        let body = RawBody { content_type, bytes };
        for vault in [sealing(), plain()] {
            prop_assert_eq!(vault.open_bytes(&vault.close_bytes(&body.bytes)), Ok(body.bytes.clone()));
            prop_assert_eq!(vault.open_body(&vault.close_body(&body)), Ok(body.clone()));
        }
    }

    #[test]
    fn nothing_panics_on_what_nobody_closed(mut bytes: Vec<u8>, form in 0_u8..4) {
        let _ = shape::read(&bytes);
        bytes.insert(0, VERSION << 5 | form);
        let _ = plain().open(&bytes);
    }
}

#[test]
fn a_flipped_bit_is_seen() {
    let vault = sealing();
    let stored = vault.close(&payload(typical()));
    for bit in 0..stored.len() * 8 {
        let mut spoilt = stored.clone();
        spoilt[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(vault.open(&spoilt), Err(Unreadable), "bit {bit}");
    }
    for length in 0..stored.len() {
        assert_eq!(vault.open(&stored[..length]), Err(Unreadable), "{length} bytes");
    }
}

#[test]
fn only_its_own_key_opens_a_payload() {
    let stored = sealing().close(&payload(typical()));
    for other in [Vault::from_secret(&SecretString::from("another secret")), plain()] {
        assert_eq!(other.open(&stored), Err(Unreadable));
    }
    let unsealed = plain().close(&payload(typical()));
    assert_eq!(sealing().open(&unsealed), Err(Unreadable), "what anybody may have written");
}

#[test]
fn one_kind_is_not_read_as_another() {
    for vault in [sealing(), plain()] {
        let bytes = vault.close_bytes(b"some bytes");
        assert!(vault.open(&bytes).is_err() && vault.open_body(&bytes).is_err());
        let person = vault.close(&payload(typical()));
        assert!(vault.open_bytes(&person).is_err() && vault.open_body(&person).is_err());
        let mut renamed = person;
        renamed[0] ^= (Kind::Person as u8 ^ Kind::Bytes as u8) << 3;
        assert_eq!(vault.open_bytes(&renamed).is_err(), vault.is_sealing());
    }
}

#[test]
fn the_same_is_never_sealed_alike() {
    let vault = sealing();
    let nonce = |_| vault.close_bytes(b"the same")[3..15].to_vec();
    let nonces: std::collections::BTreeSet<_> = (0..1000).map(nonce).collect();
    assert_eq!(nonces.len(), 1000);
}

#[test]
fn a_typical_lead_is_small() {
    let json = serde_json::to_vec(&typical()).expect("JSON").len();
    let sealed = sealing().close(&payload(typical())).len();
    assert!(sealed < 120, "{sealed} bytes of {json}");
    assert_eq!(plain().close(&payload(typical())).len() + seal::OVERHEAD, sealed);
}

/// What is stored today is read by whatever comes later. When this fails, another [`VERSION`] and a
/// reader of this one are due.
#[test]
fn the_stored_format_does_not_change() {
    let stored = unhex(
        "21e6019342093f04c10e04c10e044f302767e3e602a762e4a7c034d5fec1fb0dedb0c10748dcfe0e1541010efc\
         beb4a09d1eb8347684d78ef34b1baf7382d4c31b5cf3f003b38d97fa58febe936b26d605",
    );
    assert_eq!(plain().open(&stored), Ok(payload(typical())));
    let sealed = unhex(
        "2545651e1cee34f416bea81e9d26a5e2afd524f47e723b002f5570c3f4e682f561ad0e3266d046d0698045ed84\
         51aae022c0e5ce3f530c28bb59b1b4666ab7a551d3eac3c2631564fa23b44afee3fe4775e067be2a3310113fdc\
         ab3ead662b9592e18e7618e04458754cd6129838d2",
    );
    assert_eq!(sealing().open(&sealed), Ok(payload(typical())));
    let digest = sealing().key().content(&typical());
    assert_eq!(hex(digest.as_bytes()), "72857103364bf812ebfd79208b0c3180");
}

#[test]
fn nothing_prints() {
    let payload = payload(typical());
    let printed = format!("{:?} {payload:?} {Unreadable:?} {Unreadable}", sealing());
    assert!(printed.starts_with("Vault(…) Payload(…) Unreadable sealed with"), "{printed}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap_or(0))
        .collect()
}
