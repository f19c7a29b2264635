//! Labels as people write them, made comparable.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A label without case, marks and punctuation: `Họ và tên` → `ho_va_ten`, `Điện thoại*` →
/// `dien_thoai`, `utm.source` and `utmSource` → `utm_source`. Folding twice changes nothing.
pub fn fold(label: &str) -> Cow<'_, str> {
    if is_folded(label) {
        Cow::Borrowed(label)
    } else if label.is_ascii() {
        Cow::Owned(join_words(label.chars()))
    } else {
        Cow::Owned(join_words(label.nfkd()))
    }
}

/// Whether words of small letters and digits stand with one `_` between two, as most keys of
/// payloads do.
fn is_folded(label: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    label.split('_').all(|word| !word.is_empty() && word.bytes().all(is_plain))
}

fn join_words(characters: impl Iterator<Item = char>) -> String {
    let mut letters = characters.filter(|c| !is_mark(*c)).map(plain).peekable();
    let mut folded = String::new();
    let mut before = Kind::Other;
    while let Some(letter) = letters.next() {
        let kind = Kind::of(letter);
        let next = letters.peek().copied().map_or(Kind::Other, Kind::of);
        let new_word = match (before, kind) {
            (Kind::Other, _) | (_, Kind::Other) => kind != Kind::Other,
            (Kind::Lower, Kind::Upper) => true, // full|Name
            (Kind::Upper, Kind::Upper) => next == Kind::Lower && is_cased(letters.peek()), // UTM|Source
            _ => false,
        };
        if new_word && !folded.is_empty() {
            folded.push('_');
        }
        if kind != Kind::Other {
            folded.extend(letter.to_lowercase().filter(|c| !is_mark(*c)));
        }
        before = kind;
    }
    folded
}

fn is_mark(c: char) -> bool {
    const FIRST: char = '\u{300}';
    c >= FIRST && is_combining_mark(c)
}

/// Đ is a letter of its own and does not decompose.
fn plain(c: char) -> char {
    match c {
        'đ' => 'd',
        'Đ' => 'D',
        c => c,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Upper,
    /// Small letters, digits, and letters of scripts without case.
    Lower,
    Other,
}

impl Kind {
    fn of(c: char) -> Self {
        if !c.is_alphanumeric() {
            Self::Other
        } else if c.is_uppercase() && c.to_lowercase().next() != Some(c) {
            Self::Upper
        } else {
            Self::Lower
        }
    }
}

/// `SDT1` is one word, though a digit follows its last capital.
fn is_cased(c: Option<&char>) -> bool {
    c.is_some_and(|c| c.is_alphabetic())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::normalise::laws;

    #[test]
    fn labels_become_comparable() {
        for (label, folded) in [
            ("Họ và tên", "ho_va_ten"),
            ("Ho\u{323} và tên *", "ho_va_ten"),
            ("  Điện thoại (bắt buộc): ", "dien_thoai_bat_buoc"),
            ("fullName", "full_name"),
            ("utmSource", "utm_source"),
            ("UTMSource", "utm_source"),
            ("utm.source", "utm_source"),
            ("utm[source]", "utm_source"),
            ("PHONE", "phone"),
            ("SĐT", "sdt"),
            ("SDT1", "sdt1"),
            ("liFatId", "li_fat_id"),
            ("email2", "email2"),
            ("ＳＤＴ", "sdt"),
            ("__amp_source_origin", "amp_source_origin"),
            ("---", ""),
            ("", ""),
        ] {
            assert_eq!(fold(label), folded, "{label}");
        }
    }

    proptest! {
        #![proptest_config(laws())]
        #[test]
        fn folding_twice_is_folding_once(label in any::<String>()) {
            let once = fold(&label);
            prop_assert_eq!(fold(&once), &*once);
        }

        #[test]
        fn ascii_needs_no_decomposing(label in "[ -~]{0,40}") {
            prop_assert_eq!(join_words(label.nfkd()), fold(&label));
        }

        #[test]
        fn what_is_folded_needs_no_folding(label in "[a-z0-9_]{0,8}") {
            prop_assert_eq!(is_folded(&label), !label.is_empty() && join_words(label.chars()) == label);
        }

        #[test]
        fn marks_begin_where_they_are_said_to(c in any::<char>()) {
            prop_assert_eq!(is_mark(c), is_combining_mark(c));
        }
    }
}
