//! What the platforms would answer that give only notices of their leads: a person who does not
//! exist, made of the id that is asked for. Meta's Graph API and LinkedIn's, so far.

use serde_json::{Value, json};

/// What stands for one lead in a million.
const PEOPLE: u64 = 1_000_000;

/// The answer to a path, if it is a platform's: the status, and a body of JSON.
pub(super) fn answer(path: &str, token: Option<&str>) -> Option<(u16, Value)> {
    let steps: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let document = match steps.as_slice() {
        [version, id] if is_graph(version) => graph_lead(id),
        ["rest", "leadFormResponses", id] => linkedin_lead(id),
        ["rest", "leadForms", id] => linkedin_form(id),
        _ => return None,
    };
    if token.is_none_or(str::is_empty) {
        let error = json!({"message": "no token", "type": "OAuthException", "code": 190});
        return Some((401, json!({"error": error, "status": 401})));
    }
    Some((200, document))
}

/// `v26.0`
fn is_graph(version: &str) -> bool {
    let numbers = version.strip_prefix('v').and_then(|rest| rest.split_once('.'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

/// The last six digits of an id; of one without any, a number that its letters come to.
fn number(id: &str) -> u64 {
    let digits = id.bytes().filter(u8::is_ascii_digit).map(|digit| u64::from(digit - b'0'));
    let letters = id.bytes().map(u64::from);
    let fold = |sum: u64, next: u64| (sum * 10 + next) % PEOPLE;
    if id.bytes().any(|byte| byte.is_ascii_digit()) {
        digits.fold(0, fold)
    } else {
        letters.fold(0, fold)
    }
}

fn phone(number: u64) -> String {
    format!("+84900{number:06}")
}

fn email(number: u64) -> String {
    format!("thu.{number}@example.vn")
}

fn graph_lead(id: &str) -> Value {
    let number = number(id);
    let field = |name: &str, value: String| json!({"name": name, "values": [value]});
    json!({
        "id": id,
        "created_time": "2026-10-08T09:15:00+0000",
        "campaign_name": "Chiến dịch thử",
        "adset_name": "Nhóm thử",
        "ad_name": "Quảng cáo thử",
        "form_id": "170000000000001",
        "is_organic": false,
        "platform": "fb",
        "field_data": [
            field("full_name", format!("Nguyễn Văn Thử {number}")),
            field("phone_number", phone(number)),
            field("email", email(number)),
            field("bạn_quan_tâm_dịch_vụ_nào?", "tư_vấn".to_owned()),
            field("utm_source", "facebook".to_owned()),
            field("utm_campaign", "sandbox".to_owned()),
        ],
    })
}

fn linkedin_lead(id: &str) -> Value {
    let number = number(id);
    let answer = |question: u32, text: String| json!({"questionId": question, "answerDetails": {"textQuestionAnswer": {"answer": text}}});
    json!({
        "id": id,
        "leadType": "SPONSORED",
        "submittedAt": 1_686_182_358_881_u64,
        "testLead": false,
        "versionedLeadGenFormUrn": "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:1,1)",
        "leadMetadata": {"sponsoredLeadMetadata": {"campaign": "urn:li:sponsoredCampaign:1"}},
        "formResponse": {"answers": [
            answer(1, format!("Văn Thử {number}")),
            answer(2, "Nguyễn".to_owned()),
            answer(3, phone(number)),
            answer(4, email(number)),
        ]},
    })
}

fn linkedin_form(id: &str) -> Value {
    let question = |number: u32, name: &str, field: &str| json!({"questionId": number, "name": name, "predefinedField": field});
    json!({
        "id": id,
        "content": {
            "questions": [
                question(1, "firstName", "FIRST_NAME"),
                question(2, "lastName", "LAST_NAME"),
                question(3, "phone", "PHONE_NUMBER"),
                question(4, "email", "EMAIL"),
            ],
            "hiddenFields": [{"name": "utm_campaign", "value": "sandbox"}],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_is_a_person_of_its_own_and_caresofts_paths_are_left_alone() {
        let (status, lead) = answer("/v26.0/900000000000011", Some("t")).unwrap();
        assert_eq!(status, 200);
        assert_eq!(lead["field_data"][1]["values"][0], "+84900000011");
        let (_, other) = answer("/v26.0/900000000000012", Some("t")).unwrap();
        assert_ne!(lead, other);
        let (status, lead) = answer("/rest/leadFormResponses/abc", Some("t")).unwrap();
        assert_eq!((status, &lead["id"]), (200, &json!("abc")));
        assert_eq!(answer("/v26.0/1", None).unwrap().0, 401);
        for path in ["/sandbox/api/v1/lead", "/", "/v26/1", "/rest/other/1", "/sandbox/leads"] {
            assert_eq!(answer(path, Some("t")), None, "{path}");
        }
    }
}
