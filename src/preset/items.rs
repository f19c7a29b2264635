//! From a decoded document to the elements that are leads.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::filter::Filter;
use super::path::Path;

/// The most leads that one post may hold: what Meta puts into one at most.
const ITEMS_MAX: usize = 1000;

/// How a decoded document is to be understood.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decode {
    /// Names like `fields[email][value]` are paths, as PHP reads them.
    #[serde(default)]
    brackets: bool,
    /// The top-level fields whose text is JSON.
    #[serde(default)]
    embedded_json: Vec<String>,
    /// What must hold of a document, or it is none of a lead and passed over.
    #[serde(default)]
    keep: Vec<Filter>,
    /// Documents that are passed over are answered as taken even if they are not signed: the
    /// platform would think the address broken.
    #[serde(default)]
    pass_over_unsigned: bool,
}

/// A document of several events.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FanOut {
    /// The events.
    each: Path,
    /// What must hold of an event, or it is none of a lead and passed over.
    #[serde(default)]
    keep: Vec<Filter>,
    /// What it means that there is none; what a person can do about it.
    #[serde(default = "no_event")]
    empty: String,
}

fn no_event() -> String {
    "it holds no event where this platform puts them".to_owned()
}

/// What a document holds.
#[derive(Debug, Default)]
pub struct Items {
    /// The elements that are leads.
    pub leads: Vec<Value>,
    /// What no lead can be made of.
    pub unusable: Vec<Unusable>,
    /// How many events of other kinds there were.
    pub ignored: usize,
}

/// Something that lacks what a lead of its platform has.
#[derive(Debug)]
pub struct Unusable {
    /// The element; or the whole document, where no elements are found in it.
    pub value: Value,
    /// It is the whole document.
    pub is_whole: bool,
    /// Why, in words of ours.
    pub why: String,
}

/// Why an element that lacks something is of no use.
pub const LACKING: &str = "it lacks what a lead of this platform has";

/// Why an event is of no use that cannot be told from others.
const NO_KIND: &str = "it does not say what kind of event it is";

/// How deep a name in brackets may go.
const BRACKETS_MAX: usize = 8;

impl Decode {
    /// Whether a document is passed over, and answered as taken, though nobody has signed it.
    pub fn passes_over_unsigned(&self, document: &Value) -> bool {
        self.pass_over_unsigned
            && document.is_object()
            && !self.keep.iter().all(|filter| filter.holds(document))
    }

    /// The document with brackets unfolded and embedded JSON read.
    pub fn document(&self, mut document: Value) -> Value {
        if self.brackets {
            document = unfolded(document);
        }
        for name in &self.embedded_json {
            let Some(text) = document.get(name).and_then(Value::as_str) else { continue };
            if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
                document[name] = inner;
            }
        }
        document
    }

    /// What the document holds; each element as `element` makes it.
    pub fn items(
        &self,
        document: Value,
        fan_out: Option<&FanOut>,
        element: impl Fn(Value) -> Value,
        need: &[Filter],
    ) -> Items {
        let document = self.document(document);
        if self.keep.iter().any(|filter| filter.asks_in_vain(&document)) {
            return whole(document, NO_KIND);
        }
        if !self.keep.iter().all(|filter| filter.holds(&document)) {
            return Items { ignored: 1, ..Items::default() };
        }
        let Some(fan_out) = fan_out else { return sorted(vec![element(document)], need) };
        let events: Vec<Value> = fan_out.each.all(&document).into_iter().cloned().collect();
        if events.is_empty() {
            return whole(document, &fan_out.empty);
        }
        if events.len() > ITEMS_MAX {
            return whole(document, "it holds more than 1000 events");
        }
        let asks_in_vain =
            |event: &Value| fan_out.keep.iter().any(|filter| filter.asks_in_vain(event));
        let (strange, events): (Vec<_>, Vec<_>) = events.into_iter().partition(asks_in_vain);
        let is_kept = |event: &Value| fan_out.keep.iter().all(|filter| filter.holds(event));
        let (kept, others): (Vec<_>, Vec<_>) = events.into_iter().partition(is_kept);
        let mut items = sorted(kept.into_iter().map(&element).collect(), need);
        let no_kind =
            |event| Unusable { value: element(event), is_whole: false, why: NO_KIND.into() };
        items.unusable.extend(strange.into_iter().map(no_kind));
        Items { ignored: others.len(), ..items }
    }
}

/// A document in which no elements are found.
fn whole(value: Value, why: &str) -> Items {
    let unusable = vec![Unusable { value, is_whole: true, why: why.to_owned() }];
    Items { unusable, ..Items::default() }
}

fn sorted(events: Vec<Value>, need: &[Filter]) -> Items {
    let is_whole = |event: &Value| need.iter().all(|filter| filter.holds(event));
    let (leads, lacking): (Vec<_>, Vec<_>) = events.into_iter().partition(is_whole);
    let lacks = |value| Unusable { value, is_whole: false, why: LACKING.to_owned() };
    Items { leads, unusable: lacking.into_iter().map(lacks).collect(), ignored: 0 }
}

/// `fields[email][value]=x` as `{"fields": {"email": {"value": "x"}}}`.
fn unfolded(document: Value) -> Value {
    let Value::Object(flat) = document else { return document };
    let mut whole = Map::new();
    for (name, value) in flat {
        let put = match bracketed(&name) {
            Some(steps) => put(&mut whole, &steps, value),
            None => Err(value),
        };
        if let Err(value) = put {
            // It stays as it came, and takes nobody's place.
            let name = if whole.contains_key(&name) { format!("{name}[]") } else { name };
            whole.insert(name, value);
        }
    }
    Value::Object(whole)
}

/// Puts a value where the steps lead; gives it back where something else stands in the way.
fn put(map: &mut Map<String, Value>, steps: &[&str], value: Value) -> Result<(), Value> {
    match steps {
        [] => Err(value),
        [last] if map.contains_key(*last) => Err(value),
        [last] => {
            map.insert((*last).to_owned(), value);
            Ok(())
        }
        [first, rest @ ..] => {
            match map.entry(*first).or_insert_with(|| Value::Object(Map::new())) {
                Value::Object(inner) => put(inner, rest, value),
                _ => Err(value),
            }
        }
    }
}

/// The steps of `a[b][c]`; `None` when the name is not so.
fn bracketed(name: &str) -> Option<Vec<&str>> {
    let (outer, rest) = name.split_once('[')?;
    let inner = rest.strip_suffix(']')?;
    let steps: Vec<&str> = std::iter::once(outer).chain(inner.split("][")).collect();
    let is_path = steps.len() <= BRACKETS_MAX
        && steps.iter().all(|step| !step.is_empty() && !step.contains(['[', ']']));
    is_path.then_some(steps)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(text: &str) -> Decode {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn brackets_are_paths_and_embedded_json_is_read() {
        let decode = decode("brackets = true\nembedded_json = ['raw', 'broken', 'absent']");
        let document = json!({
            "fields[email][value]": "a", "fields[email][id]": "b", "plain": "c", "odd[": "d",
            "plain[x]": "e", "fields": "f", "raw": "{\"x\":[1]}", "broken": "{",
        });
        let expected = json!({
            "fields": {"email": {"value": "a", "id": "b"}}, "plain": "c", "odd[": "d",
            "plain[x]": "e", "fields[]": "f", "raw": {"x": [1]}, "broken": "{",
        });
        assert_eq!(decode.document(document), expected);
    }

    #[test]
    fn events_are_leads_or_lack_something_or_are_others() {
        let fan_out: FanOut = toml::from_str(
            "each = 'entry[*].changes[*]'\nkeep = [{ path = 'field', eq = 'lead' }]",
        )
        .unwrap();
        let need = [toml::from_str("path = 'id'\npresent = true").unwrap()];
        let document = json!({"entry": [
            {"changes": [{"field": "lead", "id": 1}, {"field": "feed"}]},
            {"changes": [{"field": "lead"}, {"id": 2}]},
        ]});
        let items = decode("").items(document, Some(&fan_out), |event| event, &need);
        assert_eq!(items.leads, [json!({"field": "lead", "id": 1})]);
        assert_eq!((items.unusable.len(), items.ignored), (2, 1));
        assert_eq!(items.unusable[1].why, NO_KIND);
        let other = decode("").items(json!({"x": 1}), Some(&fan_out), |event| event, &need);
        assert_eq!((other.leads.len(), other.unusable.len()), (0, 1));
        let filtered = decode("keep = [{ path = 'x', eq = 2 }]").items(
            json!({"x": 1}),
            None,
            |event| event,
            &[],
        );
        assert_eq!((filtered.leads.len(), filtered.ignored), (0, 1));
    }
}
