//! What is answered to who had a person erased, to be kept: it says what was done and names nobody.

use serde::Serialize;
use utoipa::ToSchema;

use crate::lead::Timestamp;
use crate::store::StoreError;

/// What a receipt's id begins with; 16 random hexadecimal digits follow.
const PREFIX: &str = "erasure-";

/// A proof for the files: the log has its id too.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Receipt {
    /// Random: it says nothing of the person.
    #[schema(example = "erasure-3f9c2a5d81e047b6")]
    pub(in crate::console) id: String,
    /// When it was done.
    at: Timestamp,
    /// How many submissions were erased: leads, raw bodies, platform ids and what CareSoft said of
    /// them. Ids, times and states stay, for the ledger.
    pub(super) submissions: u64,
    spool: Searched,
    claims: Claims,
    caresoft: CareSoft,
    /// The same, in words.
    says: &'static str,
}

/// What was looked for beside the store.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Searched {
    /// There is no spool here.
    None,
    /// Nothing waited in the spool of the process that was asked.
    Empty,
    /// What waited there was searched, and is among `submissions`.
    Waiting,
}

/// What recognised the person.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Claims {
    /// Nothing does any more: who comes again is new.
    Released,
}

/// What became of what was sent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CareSoft {
    /// CareSoft has no call that erases a lead: it still has what it was sent.
    NotAsked,
}

impl Receipt {
    pub(super) fn of(id: String, at: Timestamp, submissions: u64, spool: Searched) -> Self {
        let says = match (submissions, spool) {
            (0, _) => "nobody was known by that; CareSoft was not asked",
            (_, Searched::None) => {
                "leads, raw bodies, platform ids and claims are erased; CareSoft was not asked"
            }
            (_, Searched::Empty | Searched::Waiting) => {
                "leads, raw bodies, platform ids and claims are erased, also in this process's \
                 spool, and in no other's; CareSoft was not asked"
            }
        };
        let (claims, caresoft) = (Claims::Released, CareSoft::NotAsked);
        Self { id, at, submissions, spool, claims, caresoft, says }
    }
}

/// A new id.
pub(super) fn receipt_id() -> Result<String, StoreError> {
    let number = getrandom::u64()
        .map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))?;
    Ok(format!("{PREFIX}{number:016x}"))
}

/// Whether a text, which anybody may have written, has the form of an id.
pub(in crate::console) fn is_receipt_id(text: &str) -> bool {
    let digits = text.strip_prefix(PREFIX).unwrap_or_default();
    digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_random_and_known_by_its_form() {
        let (one, other) = (receipt_id().unwrap(), receipt_id().unwrap());
        assert!(is_receipt_id(&one) && is_receipt_id(&other) && one != other);
        for other in ["", "erasure-", "erasure-<b>0123456789ab", "erasure-0123456789abcdef0", "x"] {
            assert!(!is_receipt_id(other), "{other}");
        }
    }

    #[test]
    fn a_receipt_says_what_was_done() {
        let at = Timestamp::from_millis(1_795_425_302_000);
        let receipt = Receipt::of("erasure-3f9c2a5d81e047b6".to_owned(), at, 2, Searched::Waiting);
        insta::assert_json_snapshot!(receipt, @r#"
        {
          "id": "erasure-3f9c2a5d81e047b6",
          "at": "2026-11-23T09:15:02.000Z",
          "submissions": 2,
          "spool": "waiting",
          "claims": "released",
          "caresoft": "not_asked",
          "says": "leads, raw bodies, platform ids and claims are erased, also in this process's spool, and in no other's; CareSoft was not asked"
        }
        "#);
    }
}
