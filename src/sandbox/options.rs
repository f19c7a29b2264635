//! What the simulator is set up with. CareSoft's pages leave much open; every open question is a
//! knob here, and its default is the reading that public client code supports best or, where there
//! is none, the one that is hardest on a client.

use std::time::Duration;

use crate::lead::Clock;

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Options {
    /// The account's name. The simulator holds one account; any other name is unknown.
    pub domain: String,
    /// The account's API token.
    pub token: String,
    /// Where the time comes from: for times in answers, for the limiter and for the list's lag.
    pub clock: Clock,
    /// Documented: at most so many requests in any second.
    pub rate_per_second: usize,
    /// Documented: at most so many requests in any hour.
    pub rate_per_hour: usize,
    /// Documented: after so many 429s in a row the account is locked out.
    pub throttled_max: u32,
    /// Documented: for how long.
    pub lockout: Duration,
    /// Whether calls during a lock-out begin it anew.
    pub lockout_restarts: bool,
    /// Whether each further lock-out is twice as long ("for an increasing time").
    pub lockout_doubles: bool,
    /// Whether calls to unknown domains count like 429s.
    pub unknown_domain_counts: bool,
    /// Whether the 429 body is JSON; as printed in CareSoft's pages it is not.
    pub throttled_as_json: bool,
    /// Whether a 429 carries `Retry-After`.
    pub send_retry_after: bool,
    /// How long a new lead takes to appear in the list.
    pub list_lag: Duration,
    /// Whether the list rounds `updated_at` up to the next second.
    pub list_rounds_up: bool,
    /// Whether filters of the list are true UTC instead of Vietnam's digits.
    pub filters_in_utc: bool,
    /// Whether `code:"errors"` bodies come with 200 instead of 400.
    pub errors_as_200: bool,
    /// Whether success says "OK" instead of "ok".
    pub upper_ok: bool,
    /// What becomes of a text that is too long.
    pub too_long: TooLong,
    /// Whether a username alone is no identity.
    pub username_is_no_identity: bool,
    /// How phones are compared.
    pub phones: PhoneMatch,
    /// When phone and e-mail belong to two persons.
    pub conflict: Conflict,
    /// Whether an unknown `lead_status_id` is refused instead of becoming the first status.
    pub refuse_unknown_status: bool,
    /// Which of two documented names are honoured.
    pub aliases: Aliases,
    /// Whether an unreadable date is refused instead of becoming null.
    pub refuse_bad_dates: bool,
    /// Whether a create's comment that is no text is stored as "Array" instead of being refused.
    pub comment_as_array: bool,
    /// Whether an update must have a comment.
    pub update_needs_comment: bool,
    /// Whether an update without a status goes back to the first one.
    pub update_resets_status: bool,
    /// Whether an update or a detail of an unknown lead gives 500 instead of 404.
    pub missing_as_500: bool,
    /// Whether labels are at `/{domain}/api/v1/lead/labels`.
    pub labels_under_api: bool,
    /// Whether labels are at `/{domain}/lead/labels`, as printed.
    pub labels_at_root: bool,
    /// The first lead's id; they rise from there.
    pub first_lead_id: u64,
    /// Older leads are forgotten beyond so many; the same number bounds the persons.
    pub leads_max: usize,
    /// How long an injected silence lasts when the client does not go away.
    pub hold_max: Duration,
    /// What the account has configured.
    pub catalog: Catalog,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            domain: "sandbox".to_owned(),
            token: "sandbox-token".to_owned(),
            clock: Clock::system(),
            rate_per_second: 15,
            rate_per_hour: 54_000,
            throttled_max: 20,
            lockout: Duration::from_secs(15 * 60),
            lockout_restarts: false,
            lockout_doubles: false,
            unknown_domain_counts: true,
            throttled_as_json: false,
            send_retry_after: false,
            list_lag: Duration::from_secs(3),
            list_rounds_up: false,
            filters_in_utc: false,
            errors_as_200: false,
            upper_ok: false,
            too_long: TooLong::Truncate,
            username_is_no_identity: false,
            phones: PhoneMatch::AsGiven,
            conflict: Conflict::PhoneWins,
            refuse_unknown_status: false,
            aliases: Aliases::Table,
            refuse_bad_dates: false,
            comment_as_array: false,
            update_needs_comment: false,
            update_resets_status: false,
            missing_as_500: false,
            labels_under_api: true,
            labels_at_root: true,
            first_lead_id: 414_856_017,
            leads_max: 200_000,
            hold_max: Duration::from_secs(60),
            catalog: Catalog::default(),
        }
    }
}

/// What becomes of a text that is longer than CareSoft's page allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLong {
    /// It is cut.
    Truncate,
    /// 400.
    Refuse,
}

/// How phones are compared when a person is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhoneMatch {
    /// As they came, so that a client that does not normalise makes two persons of one.
    AsGiven,
    /// Digits and `+` only.
    Digits,
    /// In Vietnam's national form.
    Vietnam,
}

/// When phone and e-mail belong to two persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// The lead is the phone's owner's.
    PhoneWins,
    /// The lead is the e-mail address's owner's.
    EmailWins,
    /// 400.
    Refuse,
}

/// CareSoft's table says `lead_status_id` and `lead_label`, its sample `lead_status` and
/// `lead_label_id`. Names that are not honoured are silently ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aliases {
    /// The table's names.
    Table,
    /// The sample's names.
    Sample,
    /// Both.
    Both,
}

/// What the account has configured.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// Services: id, name, channel (9 is Api).
    pub services: Vec<(u64, String, u32)>,
    /// Departments: id, name.
    pub groups: Vec<(u64, String)>,
    /// Agents: id, name, extension, department.
    pub agents: Vec<(u64, String, String, u64)>,
    /// Lead statuses: id, label, type (1 first, 0 between, 2 converted, 3 unqualified).
    pub statuses: Vec<(u64, String, u8)>,
    /// Reasons not to qualify: id, label.
    pub reasons: Vec<(u64, String)>,
    /// Labels: id, label.
    pub labels: Vec<(u64, String)>,
    /// Additional fields of tickets, which leads share.
    pub ticket_fields: Vec<Field>,
    /// Additional fields of contacts.
    pub contact_fields: Vec<Field>,
}

/// One additional field.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub label: String,
    /// Its type, in CareSoft's words.
    pub kind: String,
    /// For a drop-down list: id and label of each option.
    pub values: Vec<(u64, String)>,
}

impl Field {
    fn new(id: u64, label: &str, kind: &str, values: &[(u64, &str)]) -> Self {
        Self { id, label: label.into(), kind: kind.into(), values: named(values) }
    }
}

fn named(list: &[(u64, &str)]) -> Vec<(u64, String)> {
    list.iter().map(|(id, name)| (*id, (*name).to_owned())).collect()
}

impl Default for Catalog {
    /// The ids of CareSoft's own samples, so that the samples work.
    fn default() -> Self {
        let statuses = [
            (525, "Tương tác mới", 1),
            (557, "Đang liên hệ", 0),
            (558, "Comming", 0),
            (643, "Trạng thái demo", 0),
            (527, "Lead Converted1", 2),
            (528, "Lead Unqualified", 3),
        ];
        let fields = vec![
            Field::new(5_159, "Thành phố", "Text", &[]),
            Field::new(
                6_068,
                "Phân loại",
                "Single drop-down list",
                &[(106_902, "Mua"), (106_903, "Khác")],
            ),
            Field::new(7_001, "Nguồn", "Text", &[]),
            Field::new(7_002, "Ngày hẹn", "Date", &[]),
        ];
        Self {
            services: vec![
                (1_244, "Lead từ website".into(), 9),
                (1_245, "Lead từ quảng cáo".into(), 9),
                (2_005_289, "Gọi ra".into(), 11),
            ],
            groups: named(&[(12_153, "Default Group"), (12_945, "Kinh doanh")]),
            agents: vec![
                (124_734_559, "Admin Thử".into(), "50024".into(), 12_153),
                (142_928_097, "Tư vấn viên Thử".into(), "50007".into(), 12_945),
            ],
            statuses: statuses
                .iter()
                .map(|(id, name, kind)| (*id, (*name).into(), *kind))
                .collect(),
            reasons: named(&[
                (176, "No need"),
                (177, "Not the decision maker"),
                (182, "No budget"),
                (217, "Lead unqualified"),
            ]),
            labels: named(&[(10, "Hot"), (11, "Cold"), (17, "5"), (22, "Freezing@2")]),
            ticket_fields: fields,
            contact_fields: vec![Field::new(8_001, "Nghề nghiệp", "Text", &[])],
        }
    }
}

impl Catalog {
    /// The status of a lead that names none.
    pub(super) fn first_status(&self) -> u64 {
        let first = self.statuses.iter().find(|status| status.2 == 1);
        first.or(self.statuses.first()).map_or(0, |status| status.0)
    }

    /// The type of a known status.
    pub(super) fn status_type(&self, id: u64) -> Option<u8> {
        self.statuses.iter().find(|status| status.0 == id).map(|status| status.2)
    }
}
