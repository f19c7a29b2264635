//! What an account has configured: statuses, reasons, labels, services, groups, agents, custom
//! fields; and its contacts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::tolerant;

/// A status a lead can be in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadStatus {
    /// What `lead_status_id` holds.
    #[serde(deserialize_with = "tolerant::own_id")]
    pub id: u64,
    /// Its name.
    #[serde(default, deserialize_with = "tolerant::name")]
    pub label: String,
    /// 1 first, 0 in between, 2 converted, 3 unqualified.
    #[serde(default, deserialize_with = "tolerant::number")]
    pub status_type: Option<i64>,
}

impl LeadStatus {
    /// Whether a new lead gets this one when it names none.
    pub fn is_first(&self) -> bool {
        self.status_type == Some(1)
    }
}

/// A reason for which a lead did not qualify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnqualifiedReason {
    /// Its id.
    #[serde(deserialize_with = "tolerant::own_id")]
    pub id: u64,
    /// Its name.
    #[serde(default, deserialize_with = "tolerant::name")]
    pub label: String,
}

/// A label of leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// What `lead_label` holds.
    #[serde(deserialize_with = "tolerant::own_id")]
    pub id: u64,
    /// Its name.
    #[serde(default, deserialize_with = "tolerant::name")]
    pub label: String,
}

/// A service that takes leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What `service_id` holds.
    #[serde(rename(deserialize = "service_id"), deserialize_with = "tolerant::own_id")]
    pub id: u64,
    /// Its name.
    #[serde(default, rename(deserialize = "service_name"), deserialize_with = "tolerant::name")]
    pub name: String,
    /// Its channel; 9 is Api, 13 a ticket form (seen in client code, not documented).
    #[serde(default, rename(deserialize = "type"), deserialize_with = "tolerant::number")]
    pub channel: Option<i64>,
}

/// A department.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What `group_id` holds.
    #[serde(rename(deserialize = "group_id"), deserialize_with = "tolerant::own_id")]
    pub id: u64,
    /// Its name.
    #[serde(default, rename(deserialize = "group_name"), deserialize_with = "tolerant::name")]
    pub name: String,
}

/// A member of the customer's staff.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// What `assignee_id` and a comment's `author_id` hold.
    #[serde(deserialize_with = "tolerant::own_id")]
    pub id: u64,
    /// The name shown.
    #[serde(default, deserialize_with = "tolerant::name")]
    pub username: String,
    /// The telephone extension: no id, whatever its name says.
    #[serde(default, rename(deserialize = "agent_id"), deserialize_with = "tolerant::text")]
    pub extension: Option<String>,
    /// The department.
    #[serde(default, deserialize_with = "tolerant::id")]
    pub group_id: Option<u64>,
    /// The department's name.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub group_name: Option<String>,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Agent({}, …)", self.id) // the rest is a person's
    }
}

/// One of the additional fields of leads (which share the tickets') or contacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomFieldDefinition {
    /// What `custom_fields[].id` holds.
    #[serde(
        rename(deserialize = "custom_field_id"),
        alias = "id",
        deserialize_with = "tolerant::own_id"
    )]
    pub id: u64,
    /// Its name. CareSoft writes `lable`; the right spelling is read too.
    #[serde(
        default,
        rename(deserialize = "custom_field_lable"),
        alias = "custom_field_label",
        alias = "lable",
        alias = "label",
        deserialize_with = "tolerant::name"
    )]
    pub label: String,
    /// `Text`, `Numeric`, `Date`, `Single drop-down list`, ….
    #[serde(default, rename(deserialize = "type"), deserialize_with = "tolerant::name")]
    pub kind: String,
    /// For a drop-down list: what it offers.
    #[serde(default, rename(deserialize = "values"), deserialize_with = "tolerant::list")]
    pub options: Vec<CustomFieldOption>,
}

impl CustomFieldDefinition {
    /// Whether a value must be the id of one of the options.
    pub fn is_drop_down(&self) -> bool {
        self.kind.to_lowercase().contains("drop-down")
    }
}

/// One option of a drop-down list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomFieldOption {
    /// What is sent as the value.
    #[serde(deserialize_with = "tolerant::own_id")]
    pub id: u64,
    /// Its name.
    #[serde(
        default,
        rename(deserialize = "lable"),
        alias = "label",
        deserialize_with = "tolerant::name"
    )]
    pub label: String,
    /// For cascading lists: the option it belongs to.
    #[serde(default, rename(deserialize = "parent_value_id"), deserialize_with = "tolerant::id")]
    pub parent_id: Option<u64>,
}

/// A person, as CareSoft knows one. Matched by any of three phones and two e-mail addresses.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Contact {
    /// What a lead's `requester_id` holds.
    #[serde(deserialize_with = "tolerant::own_id")]
    pub id: u64,
    /// The name.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub username: Option<String>,
    /// First e-mail address.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub email: Option<String>,
    /// Second e-mail address.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub email2: Option<String>,
    /// First phone.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub phone_no: Option<String>,
    /// Second phone.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub phone_no2: Option<String>,
    /// Third phone.
    #[serde(default, deserialize_with = "tolerant::text")]
    pub phone_no3: Option<String>,
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contact({}, …)", self.id) // the rest is a person's
    }
}
