//! The rest of the world, by libphonenumber.

use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, ParseError, PhoneNumber, PhoneNumberFormat,
    PhoneNumberType, Region, ValidationError,
};

use super::{Candidate, NoPhone};
use crate::lead::Phone;

/// Reads a candidate as libphonenumber does.
///
/// A number with its country code is taken when its length is possible, even where
/// libphonenumber knows no such block: numbering plans grow faster than its copies do. One
/// without a country code must be known.
pub fn phone(candidate: &Candidate, region: &str) -> Result<Phone, NoPhone> {
    let plus = candidate.plus && !candidate.digits.starts_with('0');
    let (text, region) = if plus {
        (format!("+{}", candidate.digits), None)
    } else if let Some(rest) = candidate.digits.strip_prefix("00") {
        (format!("+{rest}"), None)
    } else {
        (candidate.digits.clone(), Region::from_code(region).ok())
    };
    let number = PHONE_NUMBER_UTIL.parse(&text, region).map_err(reason)?;
    let known = PHONE_NUMBER_UTIL.is_valid_number(&number);
    if !known {
        match PHONE_NUMBER_UTIL.is_possible_number_with_reason(&number) {
            Ok(NumberLengthType::IsPossible) if region.is_none() => {}
            Ok(NumberLengthType::IsPossible) => return Err(NoPhone::Unassigned),
            Ok(NumberLengthType::IsPossibleLocalOnly) => return Err(NoPhone::TooShort),
            Err(ValidationError::TooShort) => return Err(NoPhone::TooShort),
            Err(ValidationError::TooLong) => return Err(NoPhone::TooLong),
            Err(_) => return Err(NoPhone::Unassigned),
        }
    }
    of_a_person(&number)
}

/// A Vietnamese number by the digits behind its 0; it must be known.
pub fn vietnamese(national: &str) -> Result<Phone, NoPhone> {
    let number = PHONE_NUMBER_UTIL.parse(format!("+84{national}"), None).map_err(reason)?;
    if !PHONE_NUMBER_UTIL.is_valid_number(&number) {
        return Err(NoPhone::Unassigned);
    }
    of_a_person(&number)
}

fn of_a_person(number: &PhoneNumber) -> Result<Phone, NoPhone> {
    match PHONE_NUMBER_UTIL.get_number_type(number) {
        PhoneNumberType::TollFree
        | PhoneNumberType::PremiumRate
        | PhoneNumberType::SharedCost
        | PhoneNumberType::UAN
        | PhoneNumberType::Pager
        | PhoneNumberType::VoiceMail => return Err(NoPhone::Hotline),
        _ => {}
    }
    let e164 = PHONE_NUMBER_UTIL.format(number, PhoneNumberFormat::E164);
    // libphonenumber allows national parts up to 17 digits, E.164 does not.
    let too_much = if e164.len() > 16 { NoPhone::TooLong } else { NoPhone::TooShort };
    let phone = e164.parse().map_err(|_| too_much)?;
    // Each reading drops one trunk 0: of several the next reading would make another number.
    let again = PHONE_NUMBER_UTIL.parse(e164.as_ref(), None);
    let is_itself =
        again.is_ok_and(|again| PHONE_NUMBER_UTIL.format(&again, PhoneNumberFormat::E164) == e164);
    if is_itself { Ok(phone) } else { Err(NoPhone::Unassigned) }
}

fn reason(error: ParseError) -> NoPhone {
    match error {
        ParseError::InvalidCountryCode => NoPhone::UnknownCountry,
        ParseError::TooShortAfterIdd | ParseError::TooShortNsn => NoPhone::TooShort,
        ParseError::TooLongNsn => NoPhone::TooLong,
        ParseError::NotANumber(_) => NoPhone::NoNumber,
    }
}
