//! JSON schemas as requests carry them.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON schema as text, which goes into every key, every estimate and every request that it is part of.
///
/// Copies share it, so one that does not change is best made once.
#[derive(Debug, Clone)]
pub struct Schema(Arc<Texts>);

#[derive(Debug)]
struct Texts {
    text: Box<RawValue>,
    /// Where it differs.
    strict: Option<Box<RawValue>>,
    /// Taken apart where a model asks for it: endpoints read the text.
    value: OnceLock<Value>,
}

impl Schema {
    /// The schema as text, without white space.
    pub fn text(&self) -> &str {
        self.0.text.get()
    }

    /// The schema without what strict mode refuses: the longest lengths, which the reader of the reply checks anyway.
    pub fn strict(&self) -> &RawValue {
        self.0.strict.as_ref().unwrap_or(&self.0.text)
    }
}

impl From<Value> for Schema {
    fn from(value: Value) -> Self {
        let text = raw(&value);
        let strict = text.get().contains(LONGEST).then(|| raw(&strict(&value)));
        Self(Arc::new(Texts { text, strict, value: OnceLock::new() }))
    }
}

impl Deref for Schema {
    type Target = Value;

    fn deref(&self) -> &Value {
        let read = || serde_json::from_str(self.text());
        self.0.value.get_or_init(|| read().unwrap_or_else(|error| unreachable!("it was a value before: {error}")))
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}

/// The keyword for the longest length of a text.
const LONGEST: &str = "maxLength";

/// A value's text.
fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|error| unreachable!("every value has a text: {error}"))
}

fn strict(schema: &Value) -> Value {
    match schema {
        Value::Object(keys) => {
            let keys = keys.iter().filter(|(key, value)| *key != LONGEST || !value.is_u64());
            Value::Object(keys.map(|(key, value)| (key.clone(), strict(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(strict).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_written_as_its_value_is() {
        let value = json!({"type": "object", "properties": {"z": {"type": "string", "maxLength": 9}, "a": {"enum": ["é\"\n", 0.1]}}});
        let schema = Schema::from(value.clone());
        assert_eq!(serde_json::to_string(&schema).unwrap(), value.to_string());
        assert_eq!(schema.text(), value.to_string());
        assert_eq!(serde_json::from_str::<Schema>(schema.text()).unwrap(), schema);
    }

    #[test]
    fn only_longest_lengths_are_left_out_of_strict_mode() {
        let value = json!({"maxLength": 5, "properties": {"maxLength": {"type": "string", "minLength": 1}}, "items": [{"maxLength": 1}]});
        let strict = json!({"properties": {"maxLength": {"type": "string", "minLength": 1}}, "items": [{}]});
        assert_eq!(Schema::from(value).strict().get(), strict.to_string());
    }
}
