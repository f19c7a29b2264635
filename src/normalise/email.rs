//! An e-mail address out of what a person typed.

use std::net::IpAddr;

use unicode_normalization::UnicodeNormalization;

use crate::lead::Email;

/// Why a text gives no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoEmail {
    /// Nothing but white space.
    #[error("no e-mail address was given")]
    Empty,
    /// There is no `@` in it.
    #[error("there is no e-mail address in this text")]
    NoAddress,
    /// Longer than mail can carry.
    #[error("this e-mail address is too long")]
    TooLong,
    /// The part before the `@` cannot be a mailbox.
    #[error("the part of this e-mail address before the @ is malformed")]
    Mailbox,
    /// The part behind the `@` cannot be a domain of the Internet.
    #[error("the domain of this e-mail address is malformed")]
    Domain,
}

impl NoEmail {
    /// The reason's name in API errors.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NoAddress => "no_address",
            Self::TooLong => "too_long",
            Self::Mailbox => "malformed_mailbox",
            Self::Domain => "malformed_domain",
        }
    }
}

/// No address begins later in an e-mail field; what lies behind is somebody's essay.
const MOST_CHARACTERS: usize = 1024;
/// RFC 5321, 4.5.3.1.1, in octets.
const LONGEST_MAILBOX: usize = 64;
/// RFC 5321, 4.5.3.1.3 less the angle brackets, in octets.
const LONGEST_ADDRESS: usize = 254;

/// The first usable e-mail address in `text`: also of `Tên <a@b.vn>`, `mailto:a@b.vn?subject=x`
/// and `a@b.vn, c@d.vn`.
///
/// # Errors
/// There is none; the reason is that of the first thing with an `@`.
pub fn parse(text: &str) -> Result<Email, NoEmail> {
    read(text).map(|reading| reading.email)
}

/// An e-mail address, and whether its text holds another one.
pub(super) struct Reading {
    pub email: Email,
    pub another: bool,
}

/// As [`parse`], and tells of a second address in the same text.
pub(super) fn read(text: &str) -> Result<Reading, NoEmail> {
    let text = readable(text);
    if text.trim().is_empty() {
        return Err(NoEmail::Empty);
    }
    let mut reason = None;
    let mut found: Option<Reading> = None;
    for word in text.split(is_separator).filter(|word| word.contains('@')) {
        let word =
            word.trim_matches(|c: char| matches!(c, '.' | '\'' | '`' | '‘' | '’' | '…' | '!'));
        match (address(word), &mut found) {
            (Ok(email), None) => found = Some(Reading { email, another: false }),
            (Ok(email), Some(reading)) => reading.another |= email.key != reading.email.key,
            (Err(why), _) => reason = reason.or(Some(why)),
        }
    }
    found.ok_or(reason.unwrap_or(NoEmail::NoAddress))
}

/// NFKC and small letters, without invisible characters and without spaces around the `@`.
fn readable(text: &str) -> String {
    let text = if text.is_ascii() {
        text.get(..MOST_CHARACTERS).unwrap_or(text).to_ascii_lowercase()
    } else {
        readable_letters(text)
    };
    let mut around_at = String::with_capacity(text.len());
    for (at, part) in text.split('@').enumerate() {
        if at > 0 {
            around_at.truncate(around_at.trim_end().len());
            around_at.push('@');
        }
        around_at.push_str(if at > 0 { part.trim_start() } else { part });
    }
    around_at
}

fn readable_letters(text: &str) -> String {
    let nfkc = |text: &str| -> String { text.nfkc().collect() };
    let is_seen = |c: &char| !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let text: String = text.chars().take(MOST_CHARACTERS).filter(is_seen).collect();
    // Small letters of some capitals are not NFKC.
    nfkc(&nfkc(&text).to_lowercase())
}

fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            ',' | ';'
                | ':'
                | '|'
                | '/'
                | '\\'
                | '?'
                | '<'
                | '>'
                | '('
                | ')'
                | '['
                | ']'
                | '"'
                | '“'
                | '”'
        )
}

fn address(word: &str) -> Result<Email, NoEmail> {
    let (mailbox, domain) = word.split_once('@').ok_or(NoEmail::NoAddress)?;
    if mailbox.len() > LONGEST_MAILBOX || domain.len() > LONGEST_ADDRESS {
        return Err(NoEmail::TooLong);
    }
    check_mailbox(mailbox)?;
    let ascii_domain = ascii(domain)?;
    // Typed in ASCII it stays so; else in the one spelling of those that mean the same domain.
    let domain = if domain.is_ascii() {
        domain.to_owned()
    } else {
        match idna::domain_to_unicode(&ascii_domain) {
            (unicode, Ok(())) => unicode,
            (_, Err(_)) => ascii_domain.clone(),
        }
    };
    let address = format!("{mailbox}@{domain}");
    if mailbox.len() + 1 + ascii_domain.len() > LONGEST_ADDRESS {
        return Err(NoEmail::TooLong);
    }
    let key = key(mailbox, &ascii_domain)?;
    Ok(Email { address, key })
}

/// RFC 5322's dot-atom, less what separates addresses in running text; letters of any script,
/// as in RFC 6531.
fn check_mailbox(mailbox: &str) -> Result<(), NoEmail> {
    let dots_stand_alone = mailbox.split('.').all(|atom| !atom.is_empty());
    let is_atom = |c: char| {
        c.is_alphanumeric()
            || ".!#$%&'*+-=^_`{}~".contains(c)
            || unicode_normalization::char::is_combining_mark(c)
    };
    if dots_stand_alone && mailbox.chars().all(is_atom) { Ok(()) } else { Err(NoEmail::Mailbox) }
}

/// The domain by UTS 46; one of the Internet has two labels and a last one that is no number.
fn ascii(domain: &str) -> Result<String, NoEmail> {
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| NoEmail::Domain)?;
    let (_, last) = ascii.rsplit_once('.').ok_or(NoEmail::Domain)?;
    let no_number = !last.is_empty() && !last.bytes().all(|byte| byte.is_ascii_digit());
    if no_number && ascii.parse::<IpAddr>().is_err() { Ok(ascii) } else { Err(NoEmail::Domain) }
}

/// Gmail ignores dots and everything from a `+` on, and `googlemail.com` is its other name.
/// Other providers may not: there a `+` makes another mailbox.
fn key(mailbox: &str, ascii_domain: &str) -> Result<String, NoEmail> {
    if !matches!(ascii_domain, "gmail.com" | "googlemail.com") {
        return Ok(format!("{mailbox}@{ascii_domain}"));
    }
    let untagged = mailbox.split('+').next().unwrap_or(mailbox);
    let bare = untagged.replace('.', "");
    if bare.is_empty() { Err(NoEmail::Mailbox) } else { Ok(format!("{bare}@gmail.com")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::normalise::laws;

    #[test]
    fn addresses_are_read() {
        for (text, address, key) in [
            (" Thu.Nguyen@Example.COM ", "thu.nguyen@example.com", "thu.nguyen@example.com"),
            ("Nguyễn Thử <thu@example.vn>", "thu@example.vn", "thu@example.vn"),
            ("mailto:thu@example.vn?subject=x", "thu@example.vn", "thu@example.vn"),
            ("thu@example.vn.", "thu@example.vn", "thu@example.vn"),
            ("thu@example.vn,", "thu@example.vn", "thu@example.vn"),
            ("thu @ example.vn", "thu@example.vn", "thu@example.vn"),
            ("@thu: thu@example.vn / hai@example.vn", "thu@example.vn", "thu@example.vn"),
            ("ｔｈｕ＠ｅｘａｍｐｌｅ．ｖｎ", "thu@example.vn", "thu@example.vn"),
            ("t.h.u+tag@gmail.com", "t.h.u+tag@gmail.com", "thu@gmail.com"),
            ("T.H.U@GoogleMail.com", "t.h.u@googlemail.com", "thu@gmail.com"),
            ("thu+tag@example.com", "thu+tag@example.com", "thu+tag@example.com"),
            ("thu@bücher.example", "thu@bücher.example", "thu@xn--bcher-kva.example"),
            ("thu@xn--bcher-kva.example", "thu@xn--bcher-kva.example", "thu@xn--bcher-kva.example"),
            ("thu@bücher。example", "thu@bücher.example", "thu@xn--bcher-kva.example"),
        ] {
            let email = parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((email.address.as_str(), email.key.as_str()), (address, key), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        let long_mailbox = format!("{}@example.vn", "a".repeat(65));
        let long_domain = format!("a@{}vn", "example.".repeat(40));
        for (text, why) in [
            ("", NoEmail::Empty),
            (" \u{200b} ", NoEmail::Empty),
            ("0900000001", NoEmail::NoAddress),
            ("thu@", NoEmail::Domain),
            ("@example.vn", NoEmail::Mailbox),
            ("thu@example", NoEmail::Domain),
            ("thu@exa_mple.vn", NoEmail::Domain),
            ("thu@127.0.0.1", NoEmail::Domain),
            ("thu@example..vn", NoEmail::Domain),
            ("thu..hai@example.vn", NoEmail::Mailbox),
            ("thu@hai@example.vn", NoEmail::Domain),
            ("+tag@gmail.com", NoEmail::Mailbox),
            (long_mailbox.as_str(), NoEmail::TooLong),
            (long_domain.as_str(), NoEmail::TooLong),
        ] {
            assert_eq!(parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_second_address_is_noticed() {
        assert!(read("thu@example.vn, hai@example.vn").unwrap().another);
        assert!(!read("Thử <t.hu@gmail.com> thu@gmail.com").unwrap().another);
    }

    proptest! {
        #![proptest_config(laws())]
        #[test]
        fn no_text_panics_and_what_is_read_reads_the_same(text in r"\PC{0,12}(@\PC{0,12}(\.\PC{1,4})?)?") {
            if let Ok(email) = parse(&text) {
                prop_assert_eq!(&parse(&email.address), &Ok(email.clone()));
                prop_assert_eq!(parse(&email.key).unwrap().key, email.key);
            }
        }

        #[test]
        fn plain_addresses_are_always_read(
            mailbox in "[a-zA-Z0-9][a-zA-Z0-9_+-]{0,20}(\\.[a-zA-Z0-9_+-]{1,8}){0,2}",
            domain in "[a-z0-9]{1,20}(\\.[a-z]{2,10}){1,3}",
        ) {
            let typed = format!("{mailbox}@{domain}");
            let email = parse(&typed).unwrap();
            prop_assert_eq!(&email.address, &typed.to_lowercase());
            prop_assert_eq!(parse(&email.key).unwrap().key, email.key);
        }
    }
}
