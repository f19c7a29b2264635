//! A phone number out of what a person typed.
//!
//! Three roads, the cheapest first: [`vietnam::fast`] for the plain Vietnamese mobile (bytes
//! only), Vietnam's own rules for what people there write, and libphonenumber for the rest of
//! the world. Its metadata takes about 14 ms to load and loads only when the third road is taken.

mod candidates;
mod vietnam;
mod world;

#[cfg(test)]
mod tests;

pub use vietnam::fast;

use crate::config::PhoneOutput;
use crate::lead::Phone;
use candidates::Candidate;

/// Why a text gives no phone number of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPhone {
    /// Nothing but white space.
    #[error("no phone number was given")]
    Empty,
    /// There are no digits in it.
    #[error("there is no phone number in this text")]
    NoNumber,
    /// Fewer digits than any person's number has; also 113 and other short codes.
    #[error("this phone number has too few digits")]
    TooShort,
    /// More digits than the number's country allows.
    #[error("this phone number has too many digits")]
    TooLong,
    /// 1800, 1900 and other numbers that belong to a service.
    #[error("this is the number of a service, not of a person")]
    Hotline,
    /// The right length, but no operator has such numbers.
    #[error("no operator gives out phone numbers like this one")]
    Unassigned,
    /// A `+` and digits that no country code begins with.
    #[error("no country has the country code of this phone number")]
    UnknownCountry,
}

impl NoPhone {
    /// The reason's name in API errors.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NoNumber => "no_number",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::Hotline => "hotline",
            Self::Unassigned => "unassigned",
            Self::UnknownCountry => "unknown_country",
        }
    }
}

/// The first usable phone number in `text`; a number without a country code is read as one of
/// `region` (`VN`).
///
/// # Errors
/// There is none; the reason is that of the candidate with the most digits.
pub fn parse(text: &str, region: &str) -> Result<Phone, NoPhone> {
    read(text, region).map(|reading| reading.phone)
}

/// A phone number, and whether its text says more.
pub(super) struct Reading {
    pub phone: Phone,
    /// Something follows the number: a second number, `(gọi sau 18h)`. What stands before a
    /// number is taken for its label.
    pub remark: bool,
}

/// As [`parse`], and tells of a remark after the number.
pub(super) fn read(text: &str, region: &str) -> Result<Reading, NoPhone> {
    if (region == vietnam::REGION || text.starts_with("+84"))
        && let Some(phone) = fast(text)
    {
        return Ok(Reading { phone, remark: false });
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(NoPhone::Empty);
    }
    let mut reason = NoPhone::NoNumber;
    let mut most_digits = 0;
    for candidate in candidates::of(text) {
        match number(&candidate, region) {
            Ok(phone) => return Ok(Reading { phone, remark: candidate.remark }),
            Err(why) if candidate.digits.len() > most_digits => {
                most_digits = candidate.digits.len();
                reason = why;
            }
            Err(_) => {}
        }
    }
    Err(reason)
}

fn number(candidate: &Candidate, region: &str) -> Result<Phone, NoPhone> {
    if candidate.digits.len() > MOST_DIGITS {
        return Err(NoPhone::TooLong);
    }
    match vietnam::national(candidate, region) {
        Some(national) => vietnam::phone(national),
        None => world::phone(candidate, region),
    }
}

/// E.164's 15, and room for `00` and for a 0 that does not belong behind the country code.
const MOST_DIGITS: usize = 18;

/// The number as `how` wants it sent: a Vietnamese one in national form (`0983980148`) or in
/// E.164, every other one in E.164.
pub fn output(phone: &Phone, how: PhoneOutput) -> String {
    match (how, phone.e164().strip_prefix("+84")) {
        (PhoneOutput::National, Some(national)) => format!("0{national}"),
        _ => phone.e164().to_owned(),
    }
}
