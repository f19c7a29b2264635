//! What comes back about a lead: after a create, in a detail, in a list. Unknown keys are passed
//! over, missing ones are none.

use std::fmt;

use serde::Deserialize;

use super::tolerant;

/// The answer to a create or an update. Only the ids are to be trusted: the vendor's samples show
/// another subject and other times than were sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CreatedLead {
    /// The lead.
    #[serde(deserialize_with = "tolerant::own_id")]
    pub id: u64,
    /// The person.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub requester_id: Option<u64>,
    /// As CareSoft wrote it; see [`super::parse_wall_clock`].
    #[serde(default, deserialize_with = "tolerant::text")]
    pub created_at: Option<String>,
}

/// One lead, whole.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct LeadDetail {
    /// The lead.
    #[serde(deserialize_with = "tolerant::own_id")]
    pub id: u64,
    /// The number shown to people.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub lead_no: Option<u64>,
    /// The person.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub requester_id: Option<u64>,
    /// The title.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub subject: Option<String>,
    /// As CareSoft wrote it.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub created_at: Option<String>,
    /// As CareSoft wrote it.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub updated_at: Option<String>,
    /// The service.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub service_id: Option<u64>,
    /// The department.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub group_id: Option<u64>,
    /// The agent.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub assignee_id: Option<u64>,
    /// The status.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub lead_status_id: Option<u64>,
    /// The lead it was merged into.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub merge_to: Option<u64>,
    /// Its comments.
    #[serde(default, deserialize_with = "tolerant::list")]
    pub comments: Vec<Comment>,
    /// Its additional fields.
    #[serde(default, alias = "custom_filed", deserialize_with = "tolerant::list")]
    pub custom_fields: Vec<CustomFieldEntry>,
    /// Its labels.
    #[serde(default, deserialize_with = "tolerant::list")]
    pub labels: Vec<serde_json::Value>,
    /// The person, as far as CareSoft shows one here.
    #[serde(default, deserialize_with = "tolerant::object")]
    pub requester: Option<Requester>,
}

impl fmt::Debug for LeadDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeadDetail({}, …)", self.id) // the rest is a person's
    }
}

/// A comment of a lead.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Comment {
    /// Its id.
    #[serde(default, rename = "ticket_comments_id", deserialize_with = "tolerant::id")]
    pub id: Option<u64>,
    /// The text.
    #[serde(default, rename = "comment", deserialize_with = "tolerant::name")]
    pub body: String,
    /// 1 when the customer may see it.
    #[serde(default, deserialize_with = "tolerant::number")]
    pub is_public: Option<i64>,
    /// As CareSoft wrote it.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub created_at: Option<String>,
}

impl fmt::Debug for Comment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Comment(…)") // a person's
    }
}

/// An additional field as a lead's detail shows it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct CustomFieldEntry {
    /// The field.
    #[serde(deserialize_with = "tolerant::own_id")]
    pub id: u64,
    /// Its name.
    #[serde(default, alias = "lable", deserialize_with = "tolerant::name")]
    pub label: String,
    /// Its value.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub value: Option<String>,
}

impl fmt::Debug for CustomFieldEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomFieldEntry({}, …)", self.id) // the value is a person's answer
    }
}

/// The person of a lead, as its detail shows one: phone and e-mail are often null there.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Requester {
    /// The contact's id.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub id: Option<u64>,
    /// The name.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub username: Option<String>,
    /// The e-mail address.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub email: Option<String>,
    /// The phone.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub phone_no: Option<String>,
}

impl fmt::Debug for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Requester(…)") // a person's
    }
}

/// A lead as a list shows one: no comments, no additional fields, no person.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct LeadRow {
    /// The lead.
    #[serde(deserialize_with = "tolerant::own_id")]
    pub id: u64,
    /// The number shown to people.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub lead_no: Option<u64>,
    /// The person.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub requester_id: Option<u64>,
    /// The agent.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub assignee_id: Option<u64>,
    /// The service.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub service_id: Option<u64>,
    /// The status.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub lead_status_id: Option<u64>,
    /// The only text of ours that a list shows.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub subject: Option<String>,
    /// As CareSoft wrote it: Vietnam's digits, a `Z` behind.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub created_at: Option<String>,
    /// As CareSoft wrote it; may be rounded differently than in the detail.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub updated_at: Option<String>,
}

impl fmt::Debug for LeadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeadRow({}, …)", self.id) // a subject may hold a name
    }
}

/// One page of leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadPage {
    /// How many leads match, over all pages.
    pub num_found: Option<u64>,
    /// This page's rows.
    pub leads: Vec<LeadRow>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_vendors_own_samples_are_read() {
        // Shortened from CareSoft docs, "Lead" 3 and 4; the persons are made up.
        let detail: LeadDetail = serde_json::from_value(json!({
            "account_id": 8187, "id": 512534181, "lead_no": 16843, "requester_id": 207642682,
            "group_id": 12945, "campaign_action_id": -1, "service_id": null,
            "subject": "Cuộc gọi ra", "created_at": "2024-08-07 14:17:11", "lead_status_id": 26,
            "merge_to": null,
            "comments": [{"ticket_comments_id": 1211536855, "ticket_id": 512534181,
                          "comment": "aa", "is_public": 0, "facebook": null}],
            "custom_fields": [{"id": 5159, "label": "Kí tự 19", "type": "Text", "value": null}],
            "labels": [], "tags": [], "campaign_action": null,
            "requester": {"id": 207642682, "username": "Thử", "email": null, "phone_no": null}
        }))
        .unwrap();
        assert_eq!((detail.id, detail.service_id, detail.merge_to), (512_534_181, None, None));
        assert_eq!(detail.comments[0].body, "aa");
        assert_eq!(detail.custom_fields[0].value, None);
        assert_eq!(detail.requester.and_then(|person| person.phone_no), None);

        let row: LeadRow = serde_json::from_value(json!({
            "id": 414857091, "lead_no": 273763, "requester_id": "63216680",
            "created_at": "2024-05-03T15:28:40Z", "is_overdue": null, "lead_status_id": 525
        }))
        .unwrap();
        assert_eq!((row.requester_id, row.subject), (Some(63_216_680), None));
    }
}
