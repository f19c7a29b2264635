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
    id: String,
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

/// What was searched beside the store. What waits anywhere else is not searched, and comes out
/// erased: in another process's spool, or as a notice whose lead is not fetched yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::console) enum Searched {
    /// There is no spool here.
    None,
    /// Nothing waited in the spool of the process that was asked.
    Empty,
    /// What waited there was searched, and is among `submissions`.
    Waiting,
    /// Nothing was: one submission, which nobody can read, was erased by its id.
    Untouched,
}

impl Searched {
    pub(in crate::console) const ALL: [Self; 4] =
        [Self::None, Self::Empty, Self::Waiting, Self::Untouched];

    pub(in crate::console) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Empty => "empty",
            Self::Waiting => "waiting",
            Self::Untouched => "untouched",
        }
    }
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
        let (claims, caresoft) = (Claims::Released, CareSoft::NotAsked);
        Self { id, at, submissions, spool, claims, caresoft, says: says(submissions, spool) }
    }

    /// What an address can carry of it to a page, which reads it as [`Told`].
    pub(in crate::console) fn carried(&self) -> String {
        format!("{}-{}-{}", self.id, self.submissions, self.spool.as_str())
    }
}

fn says(submissions: u64, spool: Searched) -> &'static str {
    match (submissions, spool) {
        (0, Searched::Untouched) => "it was erased before; CareSoft was not asked",
        (_, Searched::Untouched) => {
            "one submission was erased, by its id: nothing else of its person is found by that; \
             CareSoft was not asked"
        }
        (0, _) => {
            "nobody was known by that; what was received until now, and is read within 90 days, \
             is erased then; CareSoft was not asked"
        }
        (_, Searched::None) => {
            "leads, raw bodies, platform ids and claims are erased; what was received until now, \
             and is read within 90 days, is erased then; CareSoft was not asked"
        }
        (_, Searched::Empty | Searched::Waiting) => {
            "leads, raw bodies, platform ids and claims are erased, also in this process's \
             spool; what was received until now, and is read within 90 days, is erased then, \
             also from other processes' spools; CareSoft was not asked"
        }
    }
}

/// A receipt that a page says again.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::console) struct Told<'a> {
    pub(in crate::console) id: &'a str,
    pub(in crate::console) submissions: u64,
    /// The same words as in the receipt.
    pub(in crate::console) says: &'static str,
}

impl<'a> Told<'a> {
    /// Of an address, which anybody may have written: none of its text is shown that is not of a
    /// receipt's form.
    pub(in crate::console) fn read(carried: &'a str) -> Option<Self> {
        let (rest, word) = carried.rsplit_once('-')?;
        let (id, submissions) = rest.rsplit_once('-')?;
        let spool = Searched::ALL.into_iter().find(|spool| spool.as_str() == word)?;
        let submissions = submissions.parse().ok()?;
        is_receipt_id(id).then(|| Self { id, submissions, says: says(submissions, spool) })
    }
}

/// A new id.
pub(super) fn receipt_id() -> Result<String, StoreError> {
    let number = getrandom::u64()
        .map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))?;
    Ok(format!("{PREFIX}{number:016x}"))
}

/// Whether a text, which anybody may have written, has the form of an id.
fn is_receipt_id(text: &str) -> bool {
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
          "says": "leads, raw bodies, platform ids and claims are erased, also in this process's spool; what was received until now, and is read within 90 days, is erased then, also from other processes' spools; CareSoft was not asked"
        }
        "#);
        let carried = receipt.carried();
        assert_eq!(carried, "erasure-3f9c2a5d81e047b6-2-waiting");
        let told = Told { id: &receipt.id, submissions: 2, says: receipt.says };
        assert_eq!(Told::read(&carried), Some(told));
        for other in
            ["", "erasure-3f9c2a5d81e047b6", "<b>-2-none", "erasure-3f9c2a5d81e047b6-x-none"]
        {
            assert_eq!(Told::read(other), None, "{other}");
        }
        assert_eq!(Told::read("erasure-3f9c2a5d81e047b6-2-<b>"), None);
        let told = Told::read("erasure-3f9c2a5d81e047b6-0-untouched").unwrap();
        assert_eq!(told.says, "it was erased before; CareSoft was not asked");
    }
}
