//! Ids and names as people write them: which option a name stands for, and what was perhaps meant.

use std::collections::HashMap;

use super::lists::CustomFieldDefinition;
use super::wire::cut;
use crate::normalise::fold::fold;

/// The measure takes time by the product of both lengths; nobody writes a longer name by hand.
const COMPARED_MAX: usize = 100;

/// Whether a text is an id as CareSoft writes one: digits and nothing else.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A name without case, accents, white space and punctuation: `Đã mua` and `da mua` are the same.
fn comparable(name: &str) -> String {
    fold(name).replace('_', "")
}

/// A name of CareSoft's fit for a line of text or a cell of a table: no line breaks or control
/// characters, at most 60 characters.
pub fn one_line(name: &str) -> String {
    const NAME_MAX: usize = 60;
    let is_blank = |c: char| c.is_whitespace() || c.is_control();
    let words: Vec<&str> = name.split(is_blank).filter(|word| !word.is_empty()).collect();
    cut(&words.join(" "), NAME_MAX)
}

/// What a text stands for among the options of a drop-down list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// The option of this id.
    Option(u64),
    /// Options of the same name: only an id tells them apart.
    Several,
    /// None of them.
    Nothing,
}

/// The options of a drop-down list, by their ids and by what people call them.
#[derive(Debug, Clone, Default)]
pub struct OptionNames {
    by_id: HashMap<String, Chosen>,
    by_label: HashMap<String, Chosen>,
    by_name: HashMap<String, Chosen>,
}

impl OptionNames {
    /// The options of a field.
    pub fn of(field: &CustomFieldDefinition) -> Self {
        let mut names = Self::default();
        for option in &field.options {
            let add = |to: &mut HashMap<String, Chosen>, name: String| {
                if !name.is_empty() {
                    let chosen = Chosen::Option(option.id);
                    let first = *to.entry(name.clone()).or_insert(chosen);
                    if first != chosen {
                        to.insert(name, Chosen::Several);
                    }
                }
            };
            add(&mut names.by_id, option.id.to_string());
            add(&mut names.by_label, option.label.trim().to_owned());
            add(&mut names.by_name, comparable(&option.label));
        }
        names
    }

    /// The option that a text stands for: the one that has it as its id, else as its label, else
    /// as its label but for case, accents and white space. Digits are an id and nothing else.
    pub fn choose(&self, text: &str) -> Chosen {
        let text = text.trim();
        let found = if is_id(text) {
            self.by_id.get(text)
        } else {
            self.by_label.get(text).or_else(|| self.by_name.get(&comparable(text)))
        };
        found.copied().unwrap_or(Chosen::Nothing)
    }
}

/// The nearest of `known` (id, name) to an id or a name that is none of them, when it is near
/// enough to be meant: ids by their digits, names by their letters.
pub fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = (u64, &'a str)>,
) -> Option<(u64, &'a str)> {
    if written.len() > COMPARED_MAX {
        return None;
    }
    let is_id = is_id(written);
    let wanted = if is_id { written.to_owned() } else { comparable(written) };
    // A third of it wrong is a slip; more is another one.
    let letters = wanted.chars().count();
    let slips = (letters / 3).max(1).min(letters.saturating_sub(1));
    let distance = |(id, name): (u64, &str)| {
        let own = if is_id { id.to_string() } else { comparable(name) };
        if own.len() > COMPARED_MAX {
            return usize::MAX;
        }
        strsim::damerau_levenshtein(&wanted, &own)
    };
    known
        .into_iter()
        .map(|one| (distance(one), one))
        .filter(|(distance, _)| *distance <= slips)
        .min()
        .map(|(_, one)| one)
}

#[cfg(test)]
mod tests {
    use super::super::lists::CustomFieldOption;
    use super::*;

    fn field(options: &[(u64, &str)]) -> CustomFieldDefinition {
        let option = |(id, label): &(u64, &str)| CustomFieldOption {
            id: *id,
            label: (*label).to_owned(),
            parent_id: None,
        };
        CustomFieldDefinition {
            id: 6_068,
            label: "Phân loại".into(),
            kind: "Single drop-down list".into(),
            options: options.iter().map(option).collect(),
        }
    }

    #[test]
    fn an_option_is_chosen_by_id_then_label_then_name() {
        let options = [
            (106_902, "Đã mua"),
            (106_903, "DA MUA"),
            (106_904, "Chưa  mua"),
            (106_905, "Khác"),
            (106_906, "Khác"),
            (106_907, "5"),
            (106_908, "***"),
        ];
        let names = OptionNames::of(&field(&options));
        for (text, chosen) in [
            ("106902", Chosen::Option(106_902)),
            ("0106902", Chosen::Nothing),
            ("Đã mua", Chosen::Option(106_902)),
            (" DA MUA ", Chosen::Option(106_903)),
            ("đã mua", Chosen::Several),
            ("chua mua", Chosen::Option(106_904)),
            ("CHƯA-MUA", Chosen::Option(106_904)),
            ("Khác", Chosen::Several),
            ("5", Chosen::Nothing),
            ("***", Chosen::Option(106_908)),
            ("???", Chosen::Nothing),
            ("", Chosen::Nothing),
            ("bán", Chosen::Nothing),
        ] {
            assert_eq!(names.choose(text), chosen, "{text:?}");
        }
    }

    #[test]
    fn a_name_is_one_line_and_bounded() {
        assert_eq!(one_line(" Lead\n từ \u{1b}[31m web\t"), "Lead từ [31m web");
        assert_eq!(one_line(&"ộ".repeat(100)).chars().count(), 60);
    }

    #[test]
    fn slips_are_recognised_and_others_are_not() {
        let known = [(1_244, "Lead từ website"), (1_245, "Quảng cáo"), (2_005_289, "Gọi ra")];
        for (written, id) in [
            ("1234", Some(1_244)),
            ("2005298", Some(2_005_289)),
            ("9", None),
            ("777777", None),
            ("quang cao", Some(1_245)),
            ("Lead tu web site", Some(1_244)),
            ("chăm sóc", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, known).map(|(id, _)| id), id, "{written:?}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), known), None);
    }
}
