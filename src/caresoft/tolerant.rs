//! Reading what CareSoft may write in more than one way. The vendor's samples disagree: an id is a
//! number here and a string there, an absent one is null, 0 or -1, and keys come and go.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A positive id, from a number or a numeric string; anything else is none.
pub(super) fn id_of(value: &Value) -> Option<u64> {
    let read = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    read.filter(|id| *id > 0)
}

/// A text that says something, from a string or a number; anything else is none.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// For `deserialize_with`: an optional id.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(id_of(&Value::deserialize(deserializer)?))
}

/// For `deserialize_with`: an id without which the rest is worth nothing.
pub(super) fn own_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    id_of(&Value::deserialize(deserializer)?)
        .ok_or_else(|| serde::de::Error::custom("expected a positive id"))
}

/// For `deserialize_with`: an optional small number that may be 0, such as a type.
pub(super) fn number<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

/// For `deserialize_with`: an optional text.
pub(super) fn text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(text_of(&Value::deserialize(d)?))
}

/// For `deserialize_with`: a name that is shown to people, empty when there is none.
pub(super) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(text(deserializer)?.unwrap_or_default())
}

/// For `deserialize_with`: a list, where null and anything that is no list are an empty one.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    match Value::deserialize(deserializer)? {
        Value::Array(items) => items
            .into_iter()
            .map(|item| serde_json::from_value(item).map_err(serde::de::Error::custom))
            .collect(),
        _ => Ok(Vec::new()),
    }
}

/// For `deserialize_with`: an object, where anything else is none.
pub(super) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    match Value::deserialize(deserializer)? {
        value @ Value::Object(_) => Ok(serde_json::from_value(value).ok()),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_ids_come_in_many_forms() {
        for none in
            [json!(null), json!(0), json!(-1), json!(""), json!("-1"), json!("x"), json!([])]
        {
            assert_eq!(id_of(&none), None, "{none}");
        }
        assert_eq!(id_of(&json!(414_856_017)), Some(414_856_017));
        assert_eq!(id_of(&json!("6068")), Some(6_068));
        assert_eq!(id_of(&json!(u64::MAX)), Some(u64::MAX));
        assert_eq!(id_of(&json!(1.5)), None);
    }
}
