//! A form as a landing page sends it, each of another person, as the store is given it.

use leadgate::lead::{Attribution, DestinationId, Identity, Lead, Phone, SubmissionId, Timestamp};
use leadgate::store::{Admission, Content};

pub fn admission(lane: &DestinationId, number: u32, received_at: Timestamp) -> Admission {
    let (lead, identities) = lead(number);
    Admission {
        id: SubmissionId::generate(),
        source: "website".parse().expect("a name"),
        destination: lane.clone(),
        received_at,
        trace_id: None,
        external_id: None,
        idempotency: None,
        content: Content::Lead { lead, identities },
    }
}

/// What is made of it, and whose it is.
pub fn lead(number: u32) -> (Lead, Vec<Identity>) {
    let phone: Phone = format!("+849{number:08}").parse().expect("a phone");
    let email = format!("nguyen.van.thu.{number}@example.vn");
    let page = "https://shop.example.vn/du-an/can-ho?utm_source=facebook&utm_medium=cpc&utm_campaign=tet-2027";
    let utm = [("source", "facebook"), ("medium", "cpc"), ("campaign", "tet-2027")];
    let lead = Lead {
        name: Some(format!("Nguyễn Văn Thử {number}")),
        phone: Some(phone.clone()),
        email: Some(email.clone()),
        message: Some("Tôi muốn được tư vấn về căn hộ hai phòng ngủ.".into()),
        ref_url: Some(page.into()),
        attribution: Attribution {
            page_url: Some(page.into()),
            utm: utm.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..Attribution::default()
        },
        fields: [("so_dien_thoai".to_owned(), format!("09{number:08}"))].into(),
        ..Lead::default()
    };
    (lead, vec![Identity::Phone(phone), Identity::Email(email)])
}
