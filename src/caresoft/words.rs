//! Reading and cleaning CareSoft's own words.

use std::time::Duration;

/// A message is at most this many characters.
const MESSAGE_MAX: usize = 500;

/// As much of an answer as is looked at for a message; more than enough for [`MESSAGE_MAX`] after
/// masking.
const LOOKED_AT_MAX: usize = 8_000;

/// So many digits in a row may be a phone number.
const PHONE_DIGITS_MIN: usize = 7;

/// Lower case, every run of white space one blank: CareSoft's messages vary in both.
pub(super) fn folded(text: &str) -> String {
    let head: String = text.chars().take(LOOKED_AT_MAX).collect();
    head.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// CareSoft docs, "Rate limit": the answer to more than 20 consecutive 429s. It comes as a 404 and
/// means silence, not "not found".
pub(super) fn is_lock_out(folded: &str) -> bool {
    folded.contains("domain incorrect too many times")
}

/// The number of `retry after 15 minutes`; CareSoft says the time may grow. At most a day is
/// believed.
pub(super) fn lock_out_length(folded: &str) -> Option<Duration> {
    let (_, after) = folded.split_once("retry after ")?;
    let mut words = after.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let number: u64 = words.next()?.parse().ok()?;
    let unit = match words.next()? {
        unit if unit.starts_with("sec") => 1,
        unit if unit.starts_with("min") => 60,
        unit if unit.starts_with("hour") => 3_600,
        _ => return None,
    };
    Some(Duration::from_secs(number.saturating_mul(unit)).min(Duration::from_secs(86_400)))
}

/// An answer's words made fit for a log: one line, bounded, `secret` and everything that looks
/// like a phone number or an e-mail address masked. CareSoft may echo what it was sent.
pub(super) fn scrubbed(text: &str, secret: &str) -> String {
    let mut head: String = text.chars().take(LOOKED_AT_MAX).collect();
    if head.len() < text.len() {
        // The cut may have gone through a phone number: leave its torn word out.
        head.truncate(head.rfind(char::is_whitespace).unwrap_or(0));
    }
    if !secret.is_empty() {
        head = head.replace(secret, "…");
    }
    let line = mask_digits(&mask_addresses(&head));
    super::wire::cut(&line, MESSAGE_MAX)
}

/// Masks each word that holds an `@`, in any of the ways an answer may write one, up to the
/// quotes and brackets around it. White space and control characters become single blanks.
fn mask_addresses(text: &str) -> String {
    let is_blank = |c: char| c.is_whitespace() || c.is_control();
    let masked = text.split(is_blank).filter(|word| !word.is_empty()).map(|word| {
        word.split_inclusive(['"', '\'', '<', '>', '(', ')', '[', ']', '{', '}', ',', ';', '|'])
            .map(|part| if holds_at(part) { masked_part(part) } else { part.to_owned() })
            .collect::<String>()
    });
    masked.collect::<Vec<_>>().join(" ")
}

fn holds_at(part: &str) -> bool {
    part.contains(['@', '\u{ff20}', '\u{fe6b}']) || part.contains("%40") || part.contains("\\u0040")
}

/// The mask, with the delimiter that ended the part.
fn masked_part(part: &str) -> String {
    let last = part.chars().next_back().filter(|c| !c.is_alphanumeric() && *c != '@');
    format!("…@…{}", last.map(String::from).unwrap_or_default())
}

/// Masks each run of seven and more digits, of any script, also where single dots, dashes,
/// brackets or blanks stand between them.
fn mask_digits(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new(); // digits and separators since the run began
    let mut digits = 0;
    let flush = |run: &mut String, digits: &mut usize, out: &mut String| {
        let trailing = run.len() - run.trim_end_matches(is_separator).len();
        if *digits >= PHONE_DIGITS_MIN {
            out.push('…');
            out.push_str(&run[run.len() - trailing..]);
        } else {
            out.push_str(run);
        }
        run.clear();
        *digits = 0;
    };
    for c in text.chars() {
        let separators = run.chars().rev().take_while(|c| is_separator(*c)).count();
        if c.is_numeric() {
            digits += 1;
            run.push(c);
        } else if is_separator(c) && digits > 0 && separators < 2 {
            run.push(c);
        } else {
            flush(&mut run, &mut digits, &mut out);
            out.push(c);
        }
    }
    flush(&mut run, &mut digits, &mut out);
    out
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '.' | '-' | '(' | ')' | '\u{a0}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_out_in_any_case_and_spacing() {
        for text in [
            r#"{"code": "errors", "message": "Domain incorrect too many times , retry after 15 minutes "}"#,
            "DOMAIN  INCORRECT\n too many\tTIMES",
        ] {
            assert!(is_lock_out(&folded(text)), "{text}");
        }
        assert!(!is_lock_out(&folded("Domain incorrect")));
    }

    #[test]
    fn the_lock_out_says_how_long() {
        let cases = [
            ("too many times , retry after 15 minutes ", Some(900)),
            ("retry after 30 seconds", Some(30)),
            ("retry after 2 hours.", Some(7_200)),
            ("retry after 999999999999999999 hours", Some(86_400)),
            ("retry after a while", None),
            ("retry after 15", None),
            ("nothing", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(lock_out_length(&folded(text)), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn no_person_and_no_secret_in_a_message() {
        let cases = [
            ("phone 0900000027 exists", "phone … exists"),
            ("phone +84 900.000-027, taken", "phone +…, taken"),
            ("(0900) 000 027", "(…"),
            ("0900000027", "…"),
            (r#"{"email":"thu.nguyen@example.vn"}"#, r#"{"email":"…@…"}"#),
            ("mail thu%40example.vn!", "mail …@…!"),
            ("service_id 1244 not found", "service_id 1244 not found"),
            ("line\r\nforged\u{7}line", "line forged line"),
            ("token s3cret leaked", "token … leaked"),
            ("", ""),
        ];
        for (text, clean) in cases {
            assert_eq!(scrubbed(text, "s3cret"), clean, "{text:?}");
        }
    }

    #[test]
    fn a_message_is_bounded_and_its_end_is_not_torn() {
        assert_eq!(scrubbed(&"ộ".repeat(5_000), "").chars().count(), 500);
        let torn = format!("{} 0900000027", "x".repeat(LOOKED_AT_MAX - 5));
        assert!(!scrubbed(&torn, "").contains("09"));
    }

    proptest::proptest! {
        #![proptest_config(crate::normalise::laws())]

        #[test]
        fn no_text_gets_a_phone_through(before in ".{0,40}", after in ".{0,40}") {
            let clean = scrubbed(&format!("{before} 0900000027 {after}"), "");
            proptest::prop_assert!(!clean.contains("0900000027"), "{}", clean);
        }
    }
}
