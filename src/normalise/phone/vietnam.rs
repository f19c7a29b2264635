//! Vietnam's numbering plan, as far as a lead needs it.

use super::{Candidate, NoPhone, world};
use crate::lead::Phone;

/// The region whose national numbers these rules read.
pub const REGION: &str = "VN";

/// The first two digits, behind the 0, of every mobile number in use. Numbers are portable, so
/// they do not tell the operator any more. libphonenumber also knows which thousands of 52, 55,
/// 89 and 99 are open; a number there is taken all the same: a refused lead costs more than a
/// number that does not ring.
const MOBILE: [u8; 36] = [
    32, 33, 34, 35, 36, 37, 38, 39, 86, 96, 97, 98, // Viettel
    81, 82, 83, 84, 85, 88, 91, 94, // VinaPhone
    70, 76, 77, 78, 79, 89, 90, 93, // MobiFone
    52, 56, 58, 92, // Vietnamobile
    55, 87, 59, 99, // Wintel, I-Telecom, Gmobile
];

/// The move of September 2018 to June 2019: mobile numbers of 11 digits became 10. By the digits
/// behind the 0: `0120…` became `070…`.
const MIGRATED_2018: [([u8; 3], [u8; 2]); 21] = [
    (*b"120", *b"70"),
    (*b"121", *b"79"),
    (*b"122", *b"77"),
    (*b"126", *b"76"),
    (*b"128", *b"78"),
    (*b"123", *b"83"),
    (*b"124", *b"84"),
    (*b"125", *b"85"),
    (*b"127", *b"81"),
    (*b"129", *b"82"),
    (*b"162", *b"32"),
    (*b"163", *b"33"),
    (*b"164", *b"34"),
    (*b"165", *b"35"),
    (*b"166", *b"36"),
    (*b"167", *b"37"),
    (*b"168", *b"38"),
    (*b"169", *b"39"),
    (*b"186", *b"56"),
    (*b"188", *b"58"),
    (*b"199", *b"59"),
];

/// The plain mobile as nearly everybody types it: `0912345678`, `0912 345 678`, `0912.345.678`,
/// `84912345678`, `+84912345678`. Works on the bytes, allocates the result alone, and never
/// touches libphonenumber. `None` means "not plain", not "no number".
pub fn fast(text: &str) -> Option<Phone> {
    const LONGEST: usize = 11; // 84 and 9 digits
    let mut digits = [0_u8; LONGEST];
    let mut length = 0;
    let (plus, rest) = match text.as_bytes() {
        [b'+', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    for &byte in rest {
        match byte {
            b'0'..=b'9' => {
                *digits.get_mut(length)? = byte;
                length += 1;
            }
            b' ' | b'.' | b'-' => {}
            _ => return None,
        }
    }
    let national = match (plus, &digits[..length]) {
        (_, [b'8', b'4', national @ ..]) | (false, [b'0', national @ ..]) => national,
        _ => return None,
    };
    let national: &[u8; 9] = national.try_into().ok()?;
    is_mobile(national).then(|| e164(national))
}

fn is_mobile(national: &[u8; 9]) -> bool {
    let prefix = (national[0] - b'0') * 10 + (national[1] - b'0');
    MOBILE_PREFIX[usize::from(prefix)]
}

/// [`MOBILE`], asked in one step.
const MOBILE_PREFIX: [bool; 100] = {
    let mut is_mobile = [false; 100];
    let mut at = 0;
    while at < MOBILE.len() {
        is_mobile[MOBILE[at] as usize] = true;
        at += 1;
    }
    is_mobile
};

/// `national` holds ASCII digits only.
fn e164(national: &[u8; 9]) -> Phone {
    let mut number = *b"+84000000000";
    number[3..].copy_from_slice(national);
    let number = std::str::from_utf8(&number).expect("ASCII digits are UTF-8");
    number.parse().expect("a + and 11 digits are E.164")
}

/// The digits of a candidate behind Vietnam's country code or 0.
#[derive(Debug, PartialEq, Eq)]
pub struct National<'a> {
    digits: &'a str,
    /// Neither 0 nor 84 stood before them: a number cell or a JSON number has eaten the 0.
    bare: bool,
}

/// The national part of a candidate, where it is to be read as a Vietnamese number.
pub fn national<'a>(candidate: &'a Candidate, region: &str) -> Option<National<'a>> {
    let digits = candidate.digits.as_str();
    // Vietnam dials abroad with 00, and people write it for the +, wherever they are. No country code
    // begins with 0: `+0912…` is a domestic number with a + too many.
    let (plus, digits) = match digits.strip_prefix("00") {
        Some(rest) => (true, rest),
        None => (candidate.plus && !digits.starts_with('0'), digits),
    };
    if plus {
        let digits = digits.strip_prefix("84")?;
        return Some(National { digits: without_zero(digits), bare: false });
    }
    if region != REGION {
        return None;
    }
    if let Some(rest) = digits.strip_prefix("84")
        && without_zero(rest).len() >= 9
    {
        return Some(National { digits: without_zero(rest), bare: false });
    }
    let rest = without_zero(digits);
    Some(National { digits: rest, bare: rest.len() == digits.len() })
}

/// Without the trunk 0 that people leave behind the country code: `+84 (0) 912…`.
fn without_zero(digits: &str) -> &str {
    digits.strip_prefix('0').unwrap_or(digits)
}

/// The phone number of a national part.
pub fn phone(national: National) -> Result<Phone, NoPhone> {
    let National { digits, bare } = national;
    let length = digits.len();
    // 1800 and 1900, then 4 or 6 digits.
    if (digits.starts_with("1800") || digits.starts_with("1900")) && (8..=10).contains(&length) {
        return Err(NoPhone::Hotline);
    }
    let Some(first) = digits.bytes().next() else { return Err(NoPhone::TooShort) };
    match (length, first) {
        (..=8, _) => Err(NoPhone::TooShort),
        (9, _) => mobile(digits),
        (10, b'1') => mobile(&migrated(digits).ok_or(NoPhone::Unassigned)?),
        // Area code and subscriber. Landlines of before 2017 are never moved: 038 765 4321 was
        // Nghệ An and is a mobile number today, and nothing tells the two apart.
        (10, b'2') => world::vietnamese(digits),
        // An American number typed without its country code looks like this: not ours to guess.
        (10, _) if bare => Err(NoPhone::Unassigned),
        _ => Err(NoPhone::TooLong),
    }
}

fn mobile(digits: &str) -> Result<Phone, NoPhone> {
    match digits.as_bytes().try_into() {
        Ok(national) if is_mobile(national) => Ok(e164(national)),
        _ => world::vietnamese(digits),
    }
}

fn migrated(digits: &str) -> Option<String> {
    let (_, new) = MIGRATED_2018.iter().find(|(old, _)| digits.as_bytes().starts_with(old))?;
    Some(format!("{}{}{}", char::from(new[0]), char::from(new[1]), &digits[3..]))
}
