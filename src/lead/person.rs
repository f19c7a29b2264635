//! What makes a person recognisable. None of it prints itself.

use std::fmt;
use std::str::FromStr;

use super::Malformed;

/// A phone number in E.164: `+`, then 7 to 15 digits. Made by [`crate::normalise::phone::parse`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

impl Phone {
    /// The number as `+84983980148`.
    pub fn e164(&self) -> &str {
        &self.0
    }
}

impl FromStr for Phone {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let digits = text.strip_prefix('+').unwrap_or("");
        if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Malformed("expected a phone number in E.164"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(…)") // a person's: never in a log by accident
    }
}

/// An e-mail address, and the form of it that tells whether two addresses are one person's.
/// Made by [`crate::normalise::email::parse`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email {
    /// As it goes upstream: NFKC, trimmed, lower-cased.
    pub address: String,
    /// The same mailbox always has the same key: without Gmail's dots and tags, domain by UTS 46.
    pub key: String,
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)") // a person's: never in a log by accident
    }
}

/// What makes two submissions the same person's.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A phone number, in E.164.
    Phone(Phone),
    /// The key of an e-mail address.
    Email(String),
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Phone(_) => "Identity::Phone(…)",
            Self::Email(_) => "Identity::Email(…)",
        })
    }
}

serde_as_text!(Phone);
