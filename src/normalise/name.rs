//! Names as people and platforms write them.

use super::attribution::is_void;
use super::nfc;
use crate::config::NameOrder;

/// A name in NFC with single spaces, without control and invisible characters. `None` where
/// nothing is left but punctuation, or a form sent `null`, `undefined` or a macro.
pub fn clean(text: &str) -> Option<String> {
    let visible = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !is_invisible(*c));
    let visible = nfc(visible.collect());
    let mut name = String::with_capacity(visible.len());
    for word in visible.split_whitespace() {
        if !name.is_empty() {
            name.push(' ');
        }
        name.push_str(word);
    }
    let says_something = name.chars().any(|c| !c.is_ascii_punctuation() && c != ' ');
    // Null is a surname; forms that mean "nothing" write it small.
    let is_nothing = is_void(&name) && !name.starts_with(char::is_uppercase);
    (says_something && !is_nothing).then_some(name)
}

/// Characters that are pasted along and cannot be seen: soft hyphen, zero-width space and
/// no-break space, direction marks. The zero-width joiners stay: Persian names and emoji need them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A whole name from its parts. Vietnamese order is family name first.
pub fn join(first: Option<&str>, last: Option<&str>, order: NameOrder) -> Option<String> {
    match (first.and_then(clean), last.and_then(clean)) {
        (Some(first), Some(last)) if first == last => Some(first), // a form with one box, sent twice
        (Some(first), Some(last)) => Some(match order {
            NameOrder::FamilyFirst => format!("{last} {first}"),
            NameOrder::GivenFirst => format!("{first} {last}"),
        }),
        (first, last) => first.or(last),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::normalise::laws;

    #[test]
    fn names_are_cleaned() {
        for (text, name) in [
            ("  Nguyễn\u{a0}Văn \t Thử\n", Some("Nguyễn Văn Thử")),
            ("Nguye\u{302}\u{303}n Thu\u{309}\u{31b}", Some("Nguyễn Thử")),
            ("Th\u{200b}ử\u{feff}\u{0}", Some("Thử")),
            ("🌸", Some("🌸")),
            ("Null Thử", Some("Null Thử")),
            ("Null", Some("Null")),
            ("null", None),
            ("{{name}}", None),
            (" - ", None),
            ("", None),
        ] {
            assert_eq!(clean(text).as_deref(), name, "{text:?}");
        }
    }

    #[test]
    fn parts_are_put_together_in_the_sources_order() {
        let (first, last) = (Some(" Văn Thử "), Some("Nguyễn"));
        let joined = |first, last, order| join(first, last, order);
        assert_eq!(joined(first, last, NameOrder::FamilyFirst).unwrap(), "Nguyễn Văn Thử");
        assert_eq!(joined(first, last, NameOrder::GivenFirst).unwrap(), "Văn Thử Nguyễn");
        assert_eq!(joined(None, last, NameOrder::FamilyFirst).unwrap(), "Nguyễn");
        assert_eq!(joined(first, Some("-"), NameOrder::FamilyFirst).unwrap(), "Văn Thử");
        assert_eq!(joined(last, last, NameOrder::FamilyFirst).unwrap(), "Nguyễn");
        assert_eq!(joined(None, None, NameOrder::FamilyFirst), None);
    }

    proptest! {
        #![proptest_config(laws())]
        #[test]
        fn cleaning_twice_is_cleaning_once(text in any::<String>()) {
            if let Some(name) = clean(&text) {
                prop_assert_eq!(clean(&name), Some(name));
            }
        }
    }
}
