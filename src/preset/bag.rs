//! Where in an element a platform keeps the fields of its form, and how they are found there.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;

use super::field::{Field, TooMany, flatten};
use super::filter::Filter;
use super::path::{Path, Scope, scalar};

/// The places of the form's fields; without any, the whole element is one flat form.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bags {
    #[serde(default)]
    flat: Vec<Flat>,
    #[serde(default)]
    kv_array: Vec<KvArray>,
}

/// An object: its keys are the names.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flat {
    /// The object; the whole element without one.
    #[serde(default)]
    object: Option<Path>,
    /// What names begin with and is no part of them; `#` stands for digits: `q#_`.
    #[serde(default)]
    strip: Vec<String>,
    /// A human knows the field by the name as it came, what is stripped included.
    #[serde(default)]
    keep_label: bool,
    /// Keys of the object that are no fields of the form.
    #[serde(default)]
    skip: Vec<String>,
    /// What stands between several values that are one text.
    #[serde(default)]
    split: Option<String>,
}

/// A list: each element is a field and tells its name, its question, its type and its value.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct KvArray {
    /// The list, or the object whose values are the fields.
    array: Path,
    /// Where the field's name may be; the first that our names know counts, else the first.
    key: Vec<Path>,
    /// What a human calls it.
    #[serde(default)]
    label: Vec<Path>,
    /// Its type, in the platform's words.
    #[serde(default, rename = "type")]
    kind: Option<Path>,
    /// Where its value may be; the first that is there.
    #[serde(default)]
    value: Vec<Path>,
    /// The value stands under the key that is named here.
    #[serde(default)]
    value_at: Option<Path>,
    /// Of a value that is an object: what of it is the value, by type.
    #[serde(default)]
    shape: BTreeMap<String, Vec<Path>>,
    /// What tells more about the field, from elsewhere in the document.
    #[serde(default)]
    join: Option<Join>,
    /// The value is the id of an option, whose text is here.
    #[serde(default)]
    options: Option<Options>,
    /// What is put before a field's name: of a number nobody knows what it is.
    #[serde(default)]
    prefix: String,
    /// Values that a word says better: `{ "1" = "true", "" = "false" }`.
    #[serde(default)]
    words: BTreeMap<String, String>,
    /// Elements that are no fields: those of which all of this holds.
    #[serde(default)]
    drop: Vec<Filter>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Join {
    /// The other list.
    array: Path,
    /// What must read the same: in the element, and in the other list's.
    on: [Path; 2],
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    path: Path,
    id: Path,
    text: Path,
}

impl Bags {
    /// Every field of an element, in order.
    ///
    /// # Errors
    /// More than 1000 of them.
    pub fn fields(&self, item: Value) -> Result<Vec<Field>, TooMany> {
        if self.flat.is_empty() && self.kv_array.is_empty() {
            return flatten(item);
        }
        let mut found = Vec::new();
        for bag in &self.kv_array {
            found.extend(bag.fields(&item)?);
        }
        for bag in &self.flat {
            found.extend(bag.fields(&item)?);
        }
        Ok(found)
    }
}

impl Flat {
    fn fields(&self, item: &Value) -> Result<Vec<Field>, TooMany> {
        let object = match &self.object {
            Some(path) => path.first(item).cloned(),
            None => Some(item.clone()),
        };
        let Some(mut object) = object else { return Ok(Vec::new()) };
        if let Value::Object(map) = &mut object {
            self.skip.iter().for_each(|key| drop(map.shift_remove(key)));
        }
        let mut fields = flatten(object)?;
        for field in &mut fields {
            let Some(outermost) = field.names.first_mut().and_then(|path| path.first_mut()) else {
                continue;
            };
            if let Some(bare) = self.strip.iter().find_map(|prefix| stripped(outermost, prefix)) {
                *outermost = bare.to_owned();
                if !self.keep_label {
                    field.label = field.names[0].join(".");
                }
            }
        }
        if let Some(separator) = self.split.as_deref().filter(|separator| !separator.is_empty()) {
            for field in &mut fields {
                let parts = field.values.iter().flat_map(|value| value.split(separator));
                field.values = parts.map(|part| part.trim().to_owned()).collect();
            }
        }
        Ok(fields)
    }
}

/// What follows `prefix`, in which `#` stands for one digit or more.
fn stripped<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let mut rest = name;
    for (place, part) in prefix.split('#').enumerate() {
        if place > 0 {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if digits == 0 {
                return None;
            }
            rest = &rest[digits..];
        }
        rest = rest.strip_prefix(part)?;
    }
    (!rest.is_empty()).then_some(rest)
}

impl KvArray {
    fn fields(&self, item: &Value) -> Result<Vec<Field>, TooMany> {
        let joinable = self.join.as_ref().map(|join| join.index(item));
        let mut fields = Vec::new();
        for element in elements(&self.array, item) {
            let joined = self.join.as_ref().zip(joinable.as_ref());
            let joined =
                joined.and_then(|(join, index)| index.get(&*join.on[0].text(element)?).copied());
            let scope = Scope { item: element, joined };
            if !self.drop.is_empty() && self.drop.iter().all(|filter| filter.holds(scope)) {
                continue;
            }
            fields.extend(self.field(scope));
            if fields.len() > super::field::FIELDS_MAX {
                return Err(TooMany);
            }
        }
        Ok(fields)
    }

    fn field(&self, scope: Scope<'_>) -> Option<Field> {
        let text = |path: &Path| path.text(scope).map(|text| text.into_owned());
        let named = |name| vec![format!("{}{name}", self.prefix)];
        let names: Vec<_> = self.key.iter().filter_map(text).map(named).collect();
        let label = self.label.iter().find_map(text);
        let label = label.or_else(|| names.first().map(|name| name.concat()))?;
        let kind = self.kind.as_ref().and_then(text);
        let values = self.value(scope).map(|value| self.texts(value, kind.as_deref(), scope));
        let values = values.filter(|values| !values.is_empty())?;
        Some(Field { names, label, kind, values })
    }

    fn value<'a>(&self, scope: Scope<'a>) -> Option<&'a Value> {
        let named = self.value_at.as_ref().and_then(|path| path.text(scope));
        let named = named.and_then(|key| scope.item.get(&*key));
        named.or_else(|| self.value.iter().find_map(|path| path.first(scope)))
    }

    /// The texts of a value: its own, its elements', or those of the parts that its type has.
    fn texts(&self, value: &Value, kind: Option<&str>, scope: Scope<'_>) -> Vec<String> {
        let parts: Vec<&Value> = match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(map) => match kind.and_then(|kind| self.shape.get(kind)) {
                Some(paths) => paths.iter().flat_map(|path| path.all(value)).collect(),
                None => map.values().collect(),
            },
            one => vec![one],
        };
        let flat = parts.into_iter().flat_map(|part| match part {
            Value::Array(items) => items.iter().collect(),
            one => vec![one],
        });
        let texts = flat.filter_map(scalar).take(super::field::FIELDS_MAX);
        let options = self.options.as_ref().map(|options| options.index(scope));
        let named = |text: &str| options.as_ref()?.get(text).cloned();
        let said = |text: &str| named(text).or_else(|| self.words.get(text).cloned());
        texts.map(|text| said(&text).unwrap_or_else(|| text.into_owned())).collect()
    }
}

impl Options {
    /// The texts of a field's options by their ids.
    fn index(&self, scope: Scope<'_>) -> HashMap<String, String> {
        let all = self.path.all(scope).into_iter().flat_map(|list| match list {
            Value::Array(items) => items.iter().collect(),
            one => vec![one],
        });
        let option = |option: &Value| {
            Some((self.id.text(option)?.into_owned(), self.text.text(option)?.into_owned()))
        };
        all.filter_map(option).collect()
    }
}

impl Join {
    fn index<'a>(&self, item: &'a Value) -> HashMap<String, &'a Value> {
        let others = elements(&self.array, item).into_iter();
        others.filter_map(|other| Some((self.on[1].text(other)?.into_owned(), other))).collect()
    }
}

/// The elements of the list, or the values of the object, that a path leads to.
fn elements<'a>(path: &Path, item: &'a Value) -> Vec<&'a Value> {
    let found = path.all(item).into_iter();
    found
        .flat_map(|found| match found {
            Value::Array(items) => items.iter().collect::<Vec<_>>(),
            Value::Object(map) => map.values().collect(),
            _ => Vec::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(bags: &str, item: Value) -> Vec<(String, String, String)> {
        let bags: Bags = toml::from_str(bags).unwrap();
        let name =
            |field: &Field| field.names.iter().map(|path| path.join(".")).collect::<Vec<_>>();
        let fields = bags.fields(item).unwrap();
        let told =
            |field: Field| (name(&field).join("|"), field.label.clone(), field.values.join(","));
        fields.into_iter().map(told).collect()
    }

    fn told(expected: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
        let own = |text: &&str| (*text).to_owned();
        expected.iter().map(|(name, label, value)| (own(name), own(label), own(value))).collect()
    }

    #[test]
    fn a_flat_bag_strips_skips_and_splits() {
        let bags =
            "[[flat]]\nobject = 'raw'\nstrip = ['q#_', 'mf-']\nskip = ['slug']\nsplit = '||'";
        let item = json!({"raw": {"q12_phone": "1", "mf-email": "a||b", "slug": "x", "q_9": "kept",
            "q3_fullName": {"first": "Thử"}}, "other": "unseen"});
        let expected = [
            ("phone", "phone", "1"),
            ("email", "email", "a,b"),
            ("q_9", "q_9", "kept"),
            ("fullName.first", "fullName.first", "Thử"),
        ];
        assert_eq!(found(bags, item), told(&expected));
    }

    #[test]
    fn a_list_bag_joins_shapes_options_and_drops() {
        let bags = r#"
            [[kv_array]]
            array = "answers"
            join = { array = "fields", on = ["field.id", "id"] }
            key = ["field.ref", "~.ref"]
            label = ["~.title"]
            type = "type"
            value_at = "type"
            value = ["value"]
            shape = { choices = ["labels", "other"] }
            options = { path = "options", id = "id", text = "text" }
            drop = [ { path = "type", eq = "CHECK" }, { path = "value", is = "boolean" } ]
        "#;
        let item = json!({
            "fields": [{"id": "f1", "ref": "r1", "title": "Dịch vụ"}],
            "answers": [
                {"type": "choices", "choices": {"labels": ["A", "B"], "other": "C", "id": "x"}, "field": {"id": "f1"}},
                {"type": "text", "text": "chữ", "field": {"id": "f2", "ref": "r2"}},
                {"type": "DROP", "value": ["o2"], "field": {"ref": "r3"}, "options": [{"id": "o1", "text": "Một"}, {"id": "o2", "text": "Hai"}]},
                {"type": "CHECK", "value": true, "field": {"ref": "r4"}},
                {"type": "text", "field": {"ref": "r5"}},
            ],
        });
        let expected = [("r1", "Dịch vụ", "A,B,C"), ("r2", "r2", "chữ"), ("r3", "r3", "Hai")];
        assert_eq!(found(bags, item), told(&expected));
    }

    #[test]
    fn a_tick_is_told_in_words_and_by_what_it_is() {
        let bags = "[[kv_array]]\narray = 'ticks'\nkey = ['key']\nvalue = ['on']\n\
                    prefix = 'consent '\nwords = { '1' = 'true', '' = 'false' }";
        let item = json!({"ticks": [{"key": 1, "on": "1"}, {"key": 2, "on": ""}]});
        let expected = [("consent 1", "consent 1", "true"), ("consent 2", "consent 2", "false")];
        assert_eq!(found(bags, item), told(&expected));
    }

    #[test]
    fn an_object_of_fields_is_a_list_as_well() {
        let bags =
            "[[kv_array]]\narray = 'fields'\nkey = ['id']\nlabel = ['title']\nvalue = ['value']";
        let item = json!({"fields": {"a": {"id": "phone", "title": "SĐT", "value": "1"}}});
        assert_eq!(found(bags, item), told(&[("phone", "SĐT", "1")]));
    }
}
