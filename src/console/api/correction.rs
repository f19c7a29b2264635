//! The corrected fields of a replay, as they come.

use serde_json::Value;

use super::body::Fields;
use crate::lead::Answer;
use crate::normalise::correct::{Correction, Entries};
use crate::problem::FieldError;

/// A form has no more fields either.
const ANSWERS_MAX: usize = 1000;

/// `{"lead":{…}}`; `None` where there is nothing to correct.
///
/// # Errors
/// Every field that is unknown or of the wrong kind.
pub(super) fn read(body: Value) -> Result<Option<Correction>, Vec<FieldError>> {
    let mut body = Fields::of(body, "body");
    let lead = body.value("lead").unwrap_or_default();
    let mut errors = body.finish();
    let mut fields = Fields::of(lead, "lead");
    let correction = Correction {
        name: fields.text("name"),
        phone: fields.text("phone"),
        email: fields.text("email"),
        message: fields.text("message"),
        page_url: fields.text("page_url"),
        referrer: fields.text("referrer"),
        utm: entries(&mut fields, "utm"),
        click_ids: entries(&mut fields, "click_ids"),
        answers: answers(&mut fields),
    };
    errors.extend(fields.finish());
    match errors.is_empty() {
        true => Ok(Some(correction).filter(|correction| *correction != Correction::default())),
        false => Err(errors),
    }
}

/// `{"source":"fb","campaign":null}`; `null` for the whole removes all there are.
fn entries(fields: &mut Fields, name: &'static str) -> Option<Entries> {
    let values = match fields.value(name)? {
        Value::Null => return Some(Entries { clear: true, values: Vec::new() }),
        Value::Object(values) => values,
        _ => {
            fields.fault(name, "type", "expected an object of texts, or null");
            return None;
        }
    };
    let entry = |(name, value)| match value {
        Value::String(text) => Some((name, text)),
        Value::Null => Some((name, String::new())),
        _ => None,
    };
    let values: Option<Vec<_>> = values.into_iter().map(entry).collect();
    if values.is_none() {
        fields.fault(name, "type", "each value is a text, or null");
    }
    values.map(|values| Entries { clear: false, values })
}

/// `[{"label":"Thành phố","value":"Huế"}]`, all of them anew.
fn answers(fields: &mut Fields) -> Option<Vec<Answer>> {
    let list = match fields.value("answers")? {
        Value::Null => return Some(Vec::new()),
        Value::Array(list) if list.len() <= ANSWERS_MAX => list,
        _ => {
            fields.fault("answers", "type", format!("expected a list of at most {ANSWERS_MAX}"));
            return None;
        }
    };
    let answers: Option<Vec<_>> = list.into_iter().map(answer).collect();
    if answers.is_none() {
        fields.fault("answers", "type", "each is an object of label and value; key may be there");
    }
    answers
}

fn answer(value: Value) -> Option<Answer> {
    let mut fields = Fields::of(value, "answers");
    let answer = Answer {
        label: fields.text("label")?,
        value: fields.text("value")?,
        key: fields.text("key"),
    };
    (fields.finish().is_empty() && !answer.label.is_empty())
        .then(|| Answer { key: answer.key.clone().filter(|key| !key.is_empty()), ..answer })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_given_corrects_nothing() {
        for body in [Value::Null, json!({}), json!({"lead": null}), json!({"lead": {}})] {
            assert_eq!(read(body), Ok(None));
        }
    }

    #[test]
    fn every_field_is_read() {
        let body = json!({"lead": {
            "name": "Thử", "phone": null, "utm": {"source": "fb", "id": null}, "click_ids": null,
            "answers": [{"label": "loai", "value": "mua", "key": null}],
        }});
        let correction = read(body).unwrap().unwrap();
        assert_eq!(correction.phone.as_deref(), Some(""));
        assert_eq!(correction.email, None);
        let utm = vec![("source".into(), "fb".into()), ("id".into(), String::new())];
        assert_eq!(correction.utm, Some(Entries { clear: false, values: utm }));
        assert_eq!(correction.click_ids, Some(Entries { clear: true, values: vec![] }));
        let answer = Answer { label: "loai".into(), value: "mua".into(), key: None };
        assert_eq!(correction.answers, Some(vec![answer]));
    }

    #[test]
    fn what_is_unknown_or_of_the_wrong_kind_is_named() {
        let body = json!({"leed": 1, "lead": {
            "phon": "0900000001", "name": 1, "utm": ["fb"], "click_ids": {"gclid": 1},
            "answers": [{"label": "loai"}], "ref_url": "https://shop.example.vn/",
        }});
        let errors = read(body).unwrap_err();
        let mut told: Vec<_> = errors.iter().map(|error| (&*error.field, error.code)).collect();
        told.sort_unstable();
        let expected = [
            ("answers", "type"),
            ("click_ids", "type"),
            ("leed", "unknown"),
            ("name", "type"),
            ("phon", "unknown"),
            ("ref_url", "unknown"),
            ("utm", "type"),
        ];
        assert_eq!(told, expected);
        assert_eq!(read(json!({"lead": {"answers": "x"}})).unwrap_err().len(), 1);
        assert_eq!(read(json!([])).unwrap_err().len(), 1);
    }
}
