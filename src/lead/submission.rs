//! One person filling in one form once.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Phone;

/// Something the person answered that is no field of ours.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What a human calls the question.
    pub label: String,
    /// The answer; several choices are joined by `, `.
    pub value: String,
    /// The field's name in the payload, where it is not the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer(…)") // a person's: never in a log by accident
    }
}

/// Where a submission came from.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribution {
    /// The page that held the form.
    pub page_url: Option<String>,
    /// The page before it.
    pub referrer: Option<String>,
    /// `utm_*` values by their name without `utm_`, as they came: `{"source": "fb"}`.
    #[serde(default)]
    pub utm: BTreeMap<String, String>,
    /// Click ids by name, as they came: `{"fbclid": "…"}`.
    #[serde(default)]
    pub click_ids: BTreeMap<String, String>,
}

impl fmt::Debug for Attribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attribution(…)") // a URL may hold anything
    }
}

/// A submission after normalisation: what is known of the person and of where they came from.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    /// NFC, white space collapsed.
    pub name: Option<String>,
    /// E.164.
    pub phone: Option<Phone>,
    /// NFKC, lower-cased.
    pub email: Option<String>,
    /// What the person wrote.
    pub message: Option<String>,
    /// The page's URL with every attribution value in it: what CareSoft is told.
    pub ref_url: Option<String>,
    /// Page, referrer, utm values and click ids.
    #[serde(flatten)]
    pub attribution: Attribution,
    /// Everything else the form held.
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// What the person typed into the fields that became one of the above, as it came and by the
    /// names that the form gave them (`{"so_dien_thoai": "0900 000 001"}`): custom fields are fed
    /// from it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lead(…)") // a person's: never in a log by accident
    }
}

/// The body of a request as it came, kept where no lead could be made of it.
#[derive(Clone, PartialEq, Eq)]
pub struct RawBody {
    /// The request's `Content-Type`.
    pub content_type: String,
    /// The bytes as they came.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for RawBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawBody({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::Identity;

    #[test]
    fn a_persons_data_does_not_print() {
        let lead = Lead { name: Some("Nguyễn Văn Thử".into()), ..Lead::default() };
        let phone: Phone = "+84900000027".parse().expect("a phone");
        let printed = format!("{lead:?} {phone:?} {:?}", Identity::Phone(phone.clone()));
        assert!(!printed.contains("Thử") && !printed.contains("0900"), "{printed}");
    }
}
