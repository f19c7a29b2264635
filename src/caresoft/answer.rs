//! What an answer means: the table of decisions. Status first, then the raw words, JSON last, since
//! CareSoft's own 429 is not JSON.
//!
//! | status | and | means |
//! |---|---|---|
//! | any 4xx | "Domain incorrect too many times" | locked out |
//! | 429 | | throttled |
//! | 404 | of a lead, label or contact, and no word of the domain | refused: no such thing |
//! | 3xx, 401, 402, 403, 404, 405, 407 | | configuration |
//! | other 4xx, 2xx with a `code` that is not "ok" | words of the limiter or the login | as those |
//! | | anything else | refused |
//! | 408, 425, 5xx, 1xx | | not known |
//! | 2xx | `code` "ok" in any case or absent, and what was asked for | the result |
//! | 2xx | otherwise | not known |

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::failure::{Call, Failure};
use super::tolerant;
use super::words::{folded, is_lock_out, lock_out_length, scrubbed};

/// An HTTP answer, as much of it as came.
pub(super) struct Answer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub body: Bytes,
    /// Why the body is not whole: the connection broke, or it was too long.
    pub torn: Option<String>,
}

/// The result of `call`, read from the answer's JSON by `read`, or why there is none. `secret` is
/// masked wherever the answer repeats it.
pub(super) fn understand<T>(
    call: Call,
    answer: &Answer,
    secret: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<T, Failure> {
    let text = String::from_utf8_lossy(&answer.body);
    let json: Option<Value> =
        answer.torn.is_none().then(|| serde_json::from_slice(&answer.body).ok()).flatten();
    let words = Words::of(&text, json.as_ref(), secret);
    match answer.status {
        200..=299 => understand_success(call, answer, json.as_ref(), &words, read),
        status => Err(classify_refusal(call, status, answer.retry_after, &words)),
    }
}

/// What the answer says, for people and for decisions.
struct Words {
    /// For people: scrubbed.
    shown: String,
    /// The whole text, folded.
    text: String,
    /// The message alone, folded.
    message: String,
}

impl Words {
    fn of(text: &str, json: Option<&Value>, secret: &str) -> Self {
        let said = json.and_then(|json| {
            tolerant::text_of(&json["message"]).or_else(|| tolerant::text_of(&json["error"]))
        });
        let message = said.as_deref().unwrap_or(text);
        let shown = scrubbed(message, secret);
        let shown = if shown.is_empty() { "no words".to_owned() } else { shown };
        Self { shown, text: folded(text), message: folded(message) }
    }
}

fn classify_refusal(
    call: Call,
    status: u16,
    retry_after: Option<Duration>,
    words: &Words,
) -> Failure {
    let message = words.shown.clone();
    match status {
        400..=499 if is_lock_out(&words.text) => locked_out(&words.text, message),
        429 => Failure::Throttled { retry_after, message },
        404 if call.may_be_missing() && !words.text.contains("domain") => {
            Failure::Rejected { status, message }
        }
        // None of these is about the lead, and dead-lettering a whole queue because an address is
        // mistyped or a bill unpaid would be worse than waiting for the operator.
        300..=399 | 401..=405 | 407 => Failure::Configuration { status, message },
        // A proxy gives up or asks to try again: whether CareSoft saw the request is not said.
        408 | 425 => Failure::Ambiguous { message: format!("HTTP {status}: {message}") },
        400..=499 => disguised(status, words).unwrap_or(Failure::Rejected { status, message }),
        _ => Failure::Ambiguous { message: format!("HTTP {status}: {message}") },
    }
}

fn understand_success<T>(
    call: Call,
    answer: &Answer,
    json: Option<&Value>,
    words: &Words,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<T, Failure> {
    let status = answer.status;
    if let Some(torn) = &answer.torn {
        return Err(Failure::Ambiguous { message: format!("HTTP {status}, then {torn}") });
    }
    let Some(json) = json.filter(|json| json.is_object()) else {
        let message = format!("HTTP {status} without a JSON object: {}", words.shown);
        return Err(Failure::Ambiguous { message });
    };
    let refused = tolerant::text_of(&json["code"])
        .is_some_and(|code| !code.trim().eq_ignore_ascii_case("ok"));
    let result = read(json);
    match (refused, result) {
        (false, Some(result)) => Ok(result),
        (false, None) => {
            let what = if call.writes() { "a lead id" } else { "what was asked for" };
            Err(Failure::Ambiguous { message: format!("HTTP {status} without {what}") })
        }
        // Refused and yet an id: believing the refusal could make a second lead.
        (true, Some(_)) if call.writes() => Err(Failure::Ambiguous {
            message: format!("HTTP {status} with an error and a lead id: {}", words.shown),
        }),
        (true, _) => Err(disguised(status, words)
            .unwrap_or_else(|| Failure::Rejected { status, message: words.shown.clone() })),
    }
}

/// Public client code disagrees on whether errors may come with another status than theirs. Only
/// what the message begins with counts: further on it may quote the lead.
fn disguised(status: u16, words: &Words) -> Option<Failure> {
    let message = words.shown.clone();
    let begins = |with: &str| words.message.starts_with(with);
    if begins("domain incorrect too many times") {
        Some(locked_out(&words.message, message))
    } else if begins("too many attempts") {
        Some(Failure::Throttled { retry_after: None, message })
    } else if begins("domain incorrect") || begins("unauthorized") || begins("unauthenticated") {
        Some(Failure::Configuration { status, message })
    } else {
        None
    }
}

fn locked_out(folded: &str, message: String) -> Failure {
    Failure::LockedOut { retry_after: lock_out_length(folded), message }
}

/// `read` for a create, an update and a detail: the `lead` object, which must name its id.
pub(super) fn lead<T: serde::de::DeserializeOwned>(json: &Value) -> Option<T> {
    T::deserialize(json.get("lead")?).ok()
}

/// `read` for the lists: every row of `key` must be readable. An answer without the list is no
/// empty list.
pub(super) fn rows<T: serde::de::DeserializeOwned>(json: &Value, key: &str) -> Option<Vec<T>> {
    json.get(key)?.as_array()?.iter().map(|row| T::deserialize(row).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::record::CreatedLead;
    use super::*;

    const LOCK_OUT: &str = r#"{"code": "errors", "message": "Domain incorrect too many times , retry after 15 minutes "}"#;
    const CREATED: &str = r#"{"code":"ok","lead":{"updated_at":"2024-03-21 15:11:06","subject":"x","created_at":"2024-03-21 15:11:06","id":414856017,"requester_id":63215969}}"#;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            retry_after: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
            torn: None,
        }
    }

    fn kind(call: Call, status: u16, body: &str) -> &'static str {
        match understand(call, &answer(status, body), "token", lead::<CreatedLead>) {
            Ok(_) => "created",
            Err(failure) => failure.kind(),
        }
    }

    #[test]
    fn every_row_of_the_table_for_a_create() {
        #[rustfmt::skip]
        let rows = [
            (200, CREATED, "created"),
            (201, CREATED, "created"),
            (200, r#"{"code":"OK","lead":{"id":1}}"#, "created"),
            (200, r#"{"code":null,"lead":{"id":"414856017"}}"#, "created"),
            (200, r#"{"lead":{"id":1}}"#, "created"),
            // Not known: looked up before anything is sent again.
            (200, "", "ambiguous"),
            (200, "OK", "ambiguous"),
            (200, r#""OK""#, "ambiguous"),
            (200, "null", "ambiguous"),
            (200, "[]", "ambiguous"),
            (200, r#"{"code":"ok"}"#, "ambiguous"),
            (200, r#"{"code":"ok","lead":null}"#, "ambiguous"),
            (200, r#"{"code":"ok","lead":{}}"#, "ambiguous"),
            (200, r#"{"code":"ok","lead":{"id":0}}"#, "ambiguous"),
            (200, r#"{"code":"ok","lead":{"id":-1}}"#, "ambiguous"),
            (200, r#"{"code":"ok","lead":{"id":null}}"#, "ambiguous"),
            (200, r#"{"code":"ok","lead":{"id":41485"#, "ambiguous"),
            (200, r#"{"error":"Invalid request"}"#, "ambiguous"),
            (200, r#"{"code":"errors","lead":{"id":7}}"#, "ambiguous"),
            (204, "", "ambiguous"),
            (408, "", "ambiguous"),
            (500, CREATED, "ambiguous"),
            (502, "<html><h1>Bad Gateway</h1></html>", "ambiguous"),
            (503, r#"{"message":"down"}"#, "ambiguous"),
            (504, "", "ambiguous"),
            // The pace.
            (429, r#"{code:"errors",message:"Too Many Attempts."}"#, "throttled"),
            (429, "", "throttled"),
            (429, CREATED, "throttled"),
            (400, r#"{"code":"errors","message":"Too Many Attempts."}"#, "throttled"),
            (200, r#"{"code":"errors","message":"Too Many Attempts."}"#, "throttled"),
            (404, LOCK_OUT, "locked_out"),
            (404, "<p>DOMAIN  incorrect too\nmany times</p>", "locked_out"),
            (429, LOCK_OUT, "locked_out"),
            (400, LOCK_OUT, "locked_out"),
            (200, LOCK_OUT, "locked_out"),
            // The operator's.
            (401, r#"{"code":"errors","message":"Unauthorized"}"#, "configuration"),
            (403, "", "configuration"),
            (404, r#"{"code":"errors","message":"Domain incorrect"}"#, "configuration"),
            (404, "", "configuration"),
            (405, "", "configuration"),
            (301, "", "configuration"),
            (302, CREATED, "configuration"),
            (200, r#"{"code":"errors","message":"Unauthorized"}"#, "configuration"),
            (400, r#"{"code":"errors","message":"Domain incorrect"}"#, "configuration"),
            // The lead's.
            (400, r#"{"error":"Invalid request"}"#, "rejected"),
            (400, r#"{"code":"errors","message":"attributes can missing: requester_id, email, phone or username"}"#, "rejected"),
            (400, r#"{"code":"errors","message":"subject: too many attempts"}"#, "rejected"),
            (400, "", "rejected"),
            (409, "", "rejected"),
            (413, "", "rejected"),
            (422, r#"{"message":"The given data was invalid."}"#, "rejected"),
            (200, r#"{"code":"errors","message":"service_id not found"}"#, "rejected"),
            (200, r#"{"code":"errors"}"#, "rejected"),
        ];
        for (status, body, expected) in rows {
            assert_eq!(kind(Call::CreateLead, status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_404_of_a_record_is_about_the_record() {
        let not_found = r#"{"code":"errors","message":"Not found"}"#;
        for call in [Call::Lead, Call::UpdateLead, Call::Labels] {
            assert_eq!(kind(call, 404, not_found), "rejected", "{call:?}");
            assert_eq!(kind(call, 404, LOCK_OUT), "locked_out", "{call:?}");
            assert_eq!(kind(call, 404, r#"{"message":"Domain incorrect"}"#), "configuration");
        }
        assert_eq!(kind(Call::Groups, 404, not_found), "configuration");
    }

    #[test]
    fn a_torn_body_is_judged_by_what_is_certain() {
        let torn = |status, body| Answer { torn: Some("it broke".into()), ..answer(status, body) };
        for (status, body, expected) in [
            (200, CREATED, "ambiguous"),
            (429, "", "throttled"),
            (401, "", "configuration"),
            (400, r#"{"mess"#, "rejected"),
            (404, LOCK_OUT, "locked_out"),
        ] {
            let result = understand(Call::CreateLead, &torn(status, body), "", lead::<CreatedLead>);
            assert_eq!(result.unwrap_err().kind(), expected, "{status} {body}");
        }
    }

    #[test]
    fn the_lock_out_carries_its_length_and_the_words_are_scrubbed() {
        let failure = classify_refusal(
            Call::CreateLead,
            404,
            None,
            &Words::of(LOCK_OUT, serde_json::from_str(LOCK_OUT).ok().as_ref(), ""),
        );
        assert_eq!(failure.retry_after(), Some(Duration::from_secs(900)));

        let body = r#"{"code":"errors","message":"phone 0900000027 of thu@example.vn, s3cret"}"#;
        let failure =
            understand(Call::CreateLead, &answer(400, body), "s3cret", lead::<CreatedLead>)
                .unwrap_err();
        assert_eq!(failure.to_string(), "refused (HTTP 400): phone … of …@…, …");
    }

    #[test]
    fn an_answer_without_the_list_is_no_empty_list() {
        let read = |body: &str| {
            understand(Call::Groups, &answer(200, body), "", |json| {
                rows::<super::super::Group>(json, "groups")
            })
        };
        assert_eq!(read(r#"{"code":"ok","groups":[]}"#).unwrap(), []);
        assert_eq!(read(r#"{"code":"ok"}"#).unwrap_err().kind(), "ambiguous");
        assert_eq!(read(r#"{"code":"ok","groups":[{}]}"#).unwrap_err().kind(), "ambiguous");
        let one = read(r#"{"groups":[{"group_id":"12153","group_name":null,"new":1}]}"#).unwrap();
        assert_eq!((one[0].id, one[0].name.as_str()), (12_153, ""));
    }
}
