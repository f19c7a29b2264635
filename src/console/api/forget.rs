//! `POST /api/forget`: a person is erased.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::body::{self, Fields};
use super::receipt::{Receipt, Searched, receipt_id};
use super::shapes::{Forget, Forgotten};
use super::store_problem;
use crate::console::Console;
use crate::current::Current;
use crate::lead::{Identity, SubmissionId, Timestamp};
use crate::normalise::{email, phone};
use crate::problem::{FieldError, Problem};
use crate::store::StoreError;

/// Erases a person: everything of every submission that carries the phone or the e-mail, and what
/// recognises the person. CareSoft is not asked to forget anything.
#[utoipa::path(
    post, path = "/api/forget", tag = "ledger", request_body = Forget,
    responses(
        (status = 200, description = "How many submissions were erased", body = Forgotten),
        (status = 400, description = "The body is no JSON", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body did not arrive in time", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too long", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Neither a phone nor an e-mail, or both; `errors` says what", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn forget(
    request: HttpRequest,
    console: Current<Console>,
    payload: web::Payload,
) -> HttpResponse {
    forgotten(&request, &console, payload).await.unwrap_or_else(|problem| problem.respond())
}

async fn forgotten(
    request: &HttpRequest,
    console: &Console,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    console.authorise(request)?;
    let body = body::read(payload).await?;
    let identity = identity(body, &console.region).map_err(body::invalid)?;
    let erased = erase(console, vec![identity]).await;
    let receipt = erased.map_err(|error| store_problem(&error))?;
    Ok(HttpResponse::Ok().json(Forgotten { erased: receipt.submissions, receipt }))
}

/// Erases a person who is known by all of `identities`; the receipt says what was done.
///
/// # Errors
/// Nothing is erased in the store; what waited for it beside it may be.
pub(in crate::console) async fn erase(
    console: &Console,
    identities: Vec<Identity>,
) -> Result<Receipt, StoreError> {
    let spool = match console.store.spool() {
        None => Searched::None,
        Some(spool) if spool.active => Searched::Waiting,
        Some(_) => Searched::Empty,
    };
    let at = console.clock.now();
    let id = receipt_id()?;
    let submissions = console.store.forget(identities, at).await?;
    Ok(told(id, at, submissions, spool))
}

/// Erases one submission, of whose person nothing can be read: others of theirs are not found by it.
///
/// # Errors
/// Nothing is erased.
pub(in crate::console) async fn erase_unreadable(
    console: &Console,
    unreadable: SubmissionId,
) -> Result<Receipt, StoreError> {
    let at = console.clock.now();
    let id = receipt_id()?;
    let is_erased = console.store.erase(unreadable, at).await?;
    Ok(told(id, at, u64::from(is_erased), Searched::Untouched))
}

fn told(id: String, at: Timestamp, submissions: u64, spool: Searched) -> Receipt {
    tracing::warn!(erased = submissions, receipt = id, "a person was erased");
    Receipt::of(id, at, submissions, spool)
}

/// `{"phone":…}` or `{"email":…}`
fn identity(body: Value, region: &str) -> Result<Identity, Vec<FieldError>> {
    let mut fields = Fields::of(body, "body");
    let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let (by_phone, by_email) = (given(fields.text("phone")), given(fields.text("email")));
    let mut identity = None;
    match (by_phone, by_email) {
        (Some(text), None) => match phone::parse(&text, region) {
            Ok(phone) => identity = Some(Identity::Phone(phone)),
            Err(_) => fields.fault("phone", "malformed", "expected a phone number"),
        },
        (None, Some(text)) => match email::parse(&text) {
            Ok(email) => identity = Some(Identity::Email(email.key)),
            Err(_) => fields.fault("email", "malformed", "expected an e-mail address"),
        },
        (Some(_), Some(_)) => {
            fields.fault("body", "ambiguous", "say a phone or an e-mail; for both, ask twice");
        }
        (None, None) if fields.errors.is_empty() => {
            fields.fault("body", "missing", "say whom: a phone or an email");
        }
        (None, None) => {}
    }
    let errors = fields.finish();
    match identity {
        Some(identity) if errors.is_empty() => Ok(identity),
        _ => Err(errors),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_is_named_by_one_of_two() {
        let phone = identity(json!({"phone": "0900 000 001"}), "VN").unwrap();
        assert_eq!(phone, Identity::Phone("+84900000001".parse().unwrap()));
        let email = identity(json!({"email": " Thu@Example.vn "}), "VN").unwrap();
        assert_eq!(email, Identity::Email("thu@example.vn".to_owned()));
        let faults = |body: Value| -> Vec<_> {
            let errors = identity(body, "VN").unwrap_err();
            errors.iter().map(|error| format!("{} {}", error.field, error.code)).collect()
        };
        assert_eq!(faults(Value::Null), ["body missing"]);
        assert_eq!(faults(json!({"phone": ""})), ["body missing"]);
        assert_eq!(faults(json!({"phone": 1})), ["phone type"]);
        assert_eq!(faults(json!({"phone": "12"})), ["phone malformed"]);
        assert_eq!(faults(json!({"email": "x"})), ["email malformed"]);
        let both = json!({"phone": "0900000001", "email": "thu@example.vn", "name": "x"});
        assert_eq!(faults(both), ["body ambiguous", "name unknown"]);
    }
}
