//! What a box to consent with says: given or not, and in which words.

use super::field::Field;
use crate::lead::Answer;
use crate::normalise::fold::fold;

/// What the question is called, before the form's own name of it.
const LABEL: &str = "consent ";

/// What forms send for a box that is ticked, and for one that is not, folded.
const GIVEN: [&str; 8] = ["true", "on", "yes", "1", "y", "checked", "accepted", "co"];
const REFUSED: [&str; 8] = ["false", "off", "no", "0", "n", "unchecked", "declined", "khong"];

/// The answer of a consent: `true`, `false` (a box that nobody ticked, where the form tells of it),
/// or its text as it came. The script of web pages sends `true: ` or `false: ` and the text beside
/// the box.
pub(super) fn answer(field: &Field) -> Answer {
    let name = field.names.first().map_or_else(|| field.label.clone(), |path| path.join("."));
    let is_told = field.label.starts_with(LABEL);
    let label = if is_told { field.label.clone() } else { format!("{LABEL}{}", field.label) };
    let key = (name != label).then_some(name);
    Answer { label, value: said(&field.values), key }
}

fn said(values: &[String]) -> String {
    let said: Vec<_> = values.iter().map(|value| one(value.trim())).collect();
    // Beside a box forms hide a field that is sent when the box is not ticked: then both come.
    let given: Vec<_> = said.iter().copied().filter(|value| *value != "false").collect();
    if given.is_empty() { "false".to_owned() } else { given.join(", ") }
}

fn one(value: &str) -> &str {
    let folded = fold(value);
    if value.is_empty() || REFUSED.contains(&&*folded) {
        "false"
    } else if GIVEN.contains(&&*folded) {
        "true"
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(values: &[&str]) -> String {
        said(&values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn given_or_not_or_in_its_own_words() {
        for given in ["on", "1", "true", "Yes", "Có"] {
            assert_eq!(told(&[given]), "true", "{given}");
        }
        for refused in ["", " ", "off", "0", "false", "No", "Không"] {
            assert_eq!(told(&[refused]), "false", "{refused}");
        }
        assert_eq!(told(&[]), "false");
        assert_eq!(told(&["0", "1"]), "true", "a hidden field, and the box");
        assert_eq!(told(&["Nhận tin, Zalo"]), "Nhận tin, Zalo");
        assert_eq!(told(&["true: Tôi đồng ý"]), "true: Tôi đồng ý");
        assert_eq!(told(&["false: A", "true: B"]), "false: A, true: B", "two boxes of one name");
    }

    #[test]
    fn the_forms_own_name_stays_its_key() {
        let field = |label: &str, name: &str| Field {
            names: vec![vec![name.to_owned()]],
            label: label.to_owned(),
            kind: None,
            values: vec!["on".to_owned()],
        };
        let plain = answer(&field("dong_y", "dong_y"));
        assert_eq!((&*plain.label, plain.key.as_deref()), ("consent dong_y", Some("dong_y")));
        let told = answer(&field("consent 1", "consent 1"));
        assert_eq!((&*told.label, told.key.as_deref()), ("consent 1", None));
    }
}
