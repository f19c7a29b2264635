//! What is sent: leads, changes to leads, questions about leads.

use std::borrow::Cow;
use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::clock::wall_clock;
use crate::lead::Timestamp;

/// CareSoft docs, "Lead": lengths of subject and username, of phone and e-mail, of a comment.
const NAME_MAX: usize = 250;
const CONTACT_MAX: usize = 50;
const COMMENT_MAX: usize = 5_000;

/// At most `max_chars` characters of `text`; what was cut ends in `…`.
pub fn cut(text: &str, max_chars: usize) -> String {
    if text.chars().nth(max_chars).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max_chars.saturating_sub(1)).collect();
    if max_chars == 0 { kept } else { kept + "…" }
}

/// One value of an additional field.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct CustomFieldValue {
    /// The field's id.
    pub id: u64,
    /// The text, or for a drop-down list the option's id. Blank values are not sent: CareSoft
    /// would erase what it has.
    pub value: String,
}

impl fmt::Debug for CustomFieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomFieldValue({}, …)", self.id) // the value is a person's answer
    }
}

/// A lead to be created. Serialises to `{"lead":{…}}` with only the keys that have a value; texts
/// are cut to CareSoft's lengths, see [`NewLead::oversize`] for what is left out instead.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NewLead {
    /// Required upstream.
    pub subject: String,
    /// The person's name; CareSoft ignores it for a person it knows.
    pub username: Option<String>,
    /// As it is to be sent: `0900000027`.
    pub phone: Option<String>,
    /// As it is to be sent.
    pub email: Option<String>,
    /// At least one of service, group and assignee is wanted upstream.
    pub service_id: Option<u64>,
    /// The department.
    pub group_id: Option<u64>,
    /// The agent's `id`.
    pub assignee_id: Option<u64>,
    /// Without one CareSoft takes the first status.
    pub lead_status_id: Option<u64>,
    /// Ids of labels.
    pub lead_label: Vec<u64>,
    /// Additional fields.
    pub custom_fields: Vec<CustomFieldValue>,
    /// The note: a text here, an object in [`LeadUpdate`].
    pub comment: Option<String>,
    /// `YYYY-MM-DD HH:mm:ss`, Vietnam's wall clock.
    pub estimated_closed_date: Option<String>,
    /// The page with its attribution; never cut.
    pub ref_url: Option<String>,
}

impl NewLead {
    /// Which of phone and e-mail are longer than CareSoft's 50 characters and therefore left out:
    /// cut, they would be somebody else's.
    pub fn oversize(&self) -> Vec<&'static str> {
        let too_long = |value: &Option<String>| {
            value.as_deref().is_some_and(|text| text.trim().chars().nth(CONTACT_MAX).is_some())
        };
        [("phone", too_long(&self.phone)), ("email", too_long(&self.email))]
            .into_iter()
            .filter_map(|(key, too_long)| too_long.then_some(key))
            .collect()
    }
}

impl fmt::Debug for NewLead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewLead(…)") // a person's
    }
}

impl Serialize for NewLead {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(flatten)]
            common: Common<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            username: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            phone: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            email: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            service_id: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            group_id: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            comment: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            ref_url: Option<&'a str>,
        }
        let body = Body {
            common: Common {
                subject: text(Some(&self.subject), NAME_MAX),
                assignee_id: some_id(self.assignee_id),
                lead_status_id: some_id(self.lead_status_id),
                lead_label: &self.lead_label,
                custom_fields: filled(&self.custom_fields),
                estimated_closed_date: present(self.estimated_closed_date.as_deref()),
            },
            username: text(self.username.as_deref(), NAME_MAX),
            phone: whole(self.phone.as_deref()),
            email: whole(self.email.as_deref()),
            service_id: some_id(self.service_id),
            group_id: some_id(self.group_id),
            comment: text(self.comment.as_deref(), COMMENT_MAX),
            ref_url: present(self.ref_url.as_deref()),
        };
        in_wrapper(&body, serializer)
    }
}

/// A comment as an update wants it.
#[derive(Clone, PartialEq, Eq)]
pub struct UpdateComment {
    /// The text.
    pub body: String,
    /// Whether the customer gets it by mail. A gateway says `false`.
    pub is_public: bool,
    /// The agent whose name it bears.
    pub author_id: Option<u64>,
}

/// A change to a lead; what is `None` or empty is not sent. CareSoft's page can be read so that an
/// update without a status goes back to the first one: name the present status to be safe.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LeadUpdate {
    /// A new subject.
    pub subject: Option<String>,
    /// A new agent.
    pub assignee_id: Option<u64>,
    /// A new status.
    pub lead_status_id: Option<u64>,
    /// Labels.
    pub lead_label: Vec<u64>,
    /// Additional fields.
    pub custom_fields: Vec<CustomFieldValue>,
    /// A further comment.
    pub comment: Option<UpdateComment>,
    /// `YYYY-MM-DD HH:mm:ss`, Vietnam's wall clock.
    pub estimated_closed_date: Option<String>,
}

impl fmt::Debug for LeadUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeadUpdate(…)") // a person's
    }
}

impl fmt::Debug for UpdateComment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpdateComment(…)") // a person's
    }
}

impl Serialize for LeadUpdate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct CommentBody {
            body: String,
            is_public: u8,
            #[serde(skip_serializing_if = "Option::is_none")]
            author_id: Option<u64>,
        }
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(flatten)]
            common: Common<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            comment: Option<CommentBody>,
        }
        let comment = self.comment.as_ref().and_then(|comment| {
            Some(CommentBody {
                body: text(Some(&comment.body), COMMENT_MAX)?,
                is_public: u8::from(comment.is_public),
                author_id: some_id(comment.author_id),
            })
        });
        let common = Common {
            subject: text(self.subject.as_deref(), NAME_MAX),
            assignee_id: some_id(self.assignee_id),
            lead_status_id: some_id(self.lead_status_id),
            lead_label: &self.lead_label,
            custom_fields: filled(&self.custom_fields),
            estimated_closed_date: present(self.estimated_closed_date.as_deref()),
        };
        in_wrapper(&Body { common, comment }, serializer)
    }
}

/// What a create and an update write alike. CareSoft's sample of a create names `lead_status` and
/// `lead_label_id`; its table, its update and its answers use the names below.
#[derive(Serialize)]
struct Common<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assignee_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lead_status_id: Option<u64>,
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    lead_label: &'a [u64],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    custom_fields: Vec<&'a CustomFieldValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_closed_date: Option<&'a str>,
}

fn in_wrapper<S: Serializer>(lead: &impl Serialize, serializer: S) -> Result<S::Ok, S::Error> {
    let mut wrapper = serializer.serialize_map(Some(1))?;
    wrapper.serialize_entry("lead", lead)?;
    wrapper.end()
}

fn present(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn text(text: Option<&str>, max_chars: usize) -> Option<String> {
    present(text).map(|text| cut(text, max_chars))
}

fn whole(text: Option<&str>) -> Option<&str> {
    present(text).filter(|text| text.chars().nth(CONTACT_MAX).is_none())
}

fn some_id(id: Option<u64>) -> Option<u64> {
    id.filter(|id| *id > 0)
}

fn filled(fields: &[CustomFieldValue]) -> Vec<&CustomFieldValue> {
    fields.iter().filter(|field| field.id > 0 && !field.value.trim().is_empty()).collect()
}

/// Which leads a list holds. Conditions are ANDed. There is none for phone, e-mail or subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeadsQuery {
    /// The person.
    pub requester_id: Option<u64>,
    /// The agent.
    pub assignee_id: Option<u64>,
    /// The service.
    pub service_id: Option<u64>,
    /// Created at or after this, by the digits of Vietnam's clock.
    pub created_since: Option<Timestamp>,
    /// Created at or before this.
    pub created_to: Option<Timestamp>,
    /// Updated at or after this.
    pub updated_since: Option<Timestamp>,
    /// Updated at or before this.
    pub updated_to: Option<Timestamp>,
    /// Any of these statuses.
    pub status_ids: Vec<u64>,
    /// From 1; CareSoft's default.
    pub page: Option<u32>,
    /// Rows of a page: 50 by default, at most 500.
    pub count: Option<u32>,
}

impl LeadsQuery {
    pub(super) fn pairs(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        let clock = |moment: Option<Timestamp>| moment.map(wall_clock);
        let ids: Vec<String> = self.status_ids.iter().map(u64::to_string).collect();
        [
            ("requester_id", number(self.requester_id)),
            ("assignee_id", number(self.assignee_id)),
            ("service_id", number(self.service_id)),
            ("created_since", clock(self.created_since)),
            ("created_to", clock(self.created_to)),
            ("updated_since", clock(self.updated_since)),
            ("updated_to", clock(self.updated_to)),
            ("status_ids", (!ids.is_empty()).then(|| ids.join(","))),
            ("page", number(self.page.map(u64::from))),
            ("count", number(self.count.map(u64::from))),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, Cow::Owned(value?))))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sent(body: &impl Serialize) -> Value {
        serde_json::to_value(body).unwrap()
    }

    #[test]
    fn a_cut_is_at_a_character_and_says_so() {
        let cases = [
            ("", 3, ""),
            ("Thử", 3, "Thử"),
            ("Thử nè", 3, "Th…"),
            ("🌸🌸🌸", 2, "🌸…"),
            ("abc", 1, "…"),
            ("abc", 0, ""),
        ];
        for (text, max, expected) in cases {
            assert_eq!(cut(text, max), expected, "{text} {max}");
        }
    }

    #[test]
    fn a_full_lead_as_it_goes_upstream() {
        let lead = NewLead {
            subject: "Lead website: Nguyễn Văn Thử".into(),
            username: Some("Nguyễn Văn Thử".into()),
            phone: Some("0900000027".into()),
            email: Some("thu@example.vn".into()),
            service_id: Some(1_244),
            group_id: Some(12_153),
            assignee_id: Some(142_928_097),
            lead_status_id: Some(558),
            lead_label: vec![10, 11],
            custom_fields: vec![CustomFieldValue { id: 6_068, value: "106902".into() }],
            comment: Some("Xin chào".into()),
            estimated_closed_date: Some("2026-11-30 23:59:59".into()),
            ref_url: Some("https://shop.example.vn/?utm_source=fb".into()),
        };
        assert_eq!(
            sent(&lead),
            json!({"lead": {
                "subject": "Lead website: Nguyễn Văn Thử", "username": "Nguyễn Văn Thử",
                "phone": "0900000027", "email": "thu@example.vn",
                "service_id": 1244, "group_id": 12153, "assignee_id": 142928097,
                "lead_status_id": 558, "lead_label": [10, 11],
                "custom_fields": [{"id": 6068, "value": "106902"}],
                "comment": "Xin chào", "estimated_closed_date": "2026-11-30 23:59:59",
                "ref_url": "https://shop.example.vn/?utm_source=fb"
            }})
        );
    }

    #[test]
    fn a_key_without_a_value_is_not_sent() {
        let lead = NewLead {
            subject: " Thử ".into(),
            username: Some("  ".into()),
            phone: Some(String::new()),
            service_id: Some(0),
            custom_fields: vec![CustomFieldValue { id: 5_159, value: " ".into() }],
            comment: Some("\n".into()),
            ..NewLead::default()
        };
        assert_eq!(sent(&lead), json!({"lead": {"subject": "Thử"}}));
        assert_eq!(sent(&LeadUpdate::default()), json!({"lead": {}}));
    }

    #[test]
    fn texts_are_cut_but_a_phone_and_an_address_are_left_out_instead() {
        let lead = NewLead {
            subject: "ộ".repeat(251),
            username: Some("x".repeat(250)),
            phone: Some("0".repeat(50)),
            email: Some(format!("{}@example.vn", "x".repeat(50))),
            comment: Some("x".repeat(5_001)),
            ref_url: Some(format!("https://example.vn/?utm_source={}", "x".repeat(9_000))),
            ..NewLead::default()
        };
        let body = sent(&lead);
        let length = |key: &str| body["lead"][key].as_str().map(|text| text.chars().count());
        assert_eq!(length("subject"), Some(250));
        assert_eq!(length("username"), Some(250));
        assert_eq!(length("phone"), Some(50));
        assert_eq!(length("email"), None);
        assert_eq!(length("comment"), Some(5_000));
        assert_eq!(length("ref_url"), Some(9_031));
        assert_eq!(lead.oversize(), ["email"]);
    }

    #[test]
    fn a_comment_is_a_text_on_create_and_an_object_on_update() {
        let update = LeadUpdate {
            comment: Some(UpdateComment {
                body: "Thêm lời nhắn".into(),
                is_public: false,
                author_id: Some(124_734_559),
            }),
            lead_status_id: Some(557),
            ..LeadUpdate::default()
        };
        assert_eq!(
            sent(&update),
            json!({"lead": {
                "lead_status_id": 557,
                "comment": {"body": "Thêm lời nhắn", "is_public": 0, "author_id": 124734559}
            }})
        );
    }

    #[test]
    fn a_window_is_in_vietnams_digits() {
        let query = LeadsQuery {
            requester_id: Some(7),
            created_since: "2026-11-23T18:00:00Z".parse().ok(),
            status_ids: vec![525, 557],
            count: Some(500),
            ..LeadsQuery::default()
        };
        let pairs: Vec<(&str, String)> =
            query.pairs().into_iter().map(|(key, value)| (key, value.into_owned())).collect();
        let expected = [
            ("requester_id", "7"),
            ("created_since", "2026-11-24T01:00:00Z"),
            ("status_ids", "525,557"),
            ("count", "500"),
        ];
        assert_eq!(pairs, expected.map(|(key, value)| (key, value.to_owned())));
    }
}
