//! The part of JSON Schema that structured output needs, read into a plan of what to write.
//!
//! It is what endpoints accept as strict: closed objects whose keys are all required, arrays, strings, integers,
//! booleans, `enum`, `const`, `null` and `anyOf`. Anything else is refused by name rather than ignored: a reply that
//! silently breaks a constraint would be rejected much later.

use serde_json::{Map, Value};

/// Integers offered at most where the schema leaves a wide range.
const INTEGERS: i64 = 101;

/// What to write for a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ValuePlan {
    /// Every key with its value, in this order.
    Object(Vec<Member>),
    /// `count` values alike.
    Array {
        /// How many: the fewest allowed, but not none if there may be one.
        count: usize,
        /// Each of them.
        item: Box<ValuePlan>,
    },
    /// A string of free text.
    Text {
        /// `maxLength`, in characters.
        max_chars: usize,
    },
    /// One of these values.
    Choice(Vec<Value>),
    /// One of these.
    Any(Vec<ValuePlan>),
}

/// A key of an object and what goes there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    /// The key.
    pub(super) name: String,
    /// What it is called to the model: the key in plain words. Descriptions are left out, since the model copies them.
    pub(super) label: String,
    /// What to write.
    pub(super) plan: ValuePlan,
}

impl Member {
    fn read(name: &str, schema: &Value, path: &str) -> Result<Self, SchemaError> {
        let plan = ValuePlan::at(schema, &format!("{path}/properties/{name}"))?;
        let label = name.replace('_', " ");
        Ok(Self { name: name.to_owned(), label, plan })
    }
}

/// A schema that cannot be followed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the schema at {path} has {construct}, which the embedded model cannot follow; use an endpoint for it")]
pub(super) struct SchemaError {
    /// A JSON pointer into the schema.
    path: String,
    /// What is not supported.
    construct: String,
}

impl SchemaError {
    fn at(path: &str, construct: impl Into<String>) -> Self {
        let path = if path.is_empty() { "its root" } else { path };
        Self { path: path.to_owned(), construct: construct.into() }
    }
}

impl ValuePlan {
    /// Reads `schema`.
    pub(super) fn read(schema: &Value) -> Result<Self, SchemaError> {
        Self::at(schema, "")
    }

    fn at(schema: &Value, path: &str) -> Result<Self, SchemaError> {
        let Value::Object(keys) = schema else {
            return Err(SchemaError::at(path, "no object"));
        };
        if let Some(value) = keys.get("const") {
            only(keys, path, &["const", "type"])?;
            return Ok(Self::Choice(vec![value.clone()]));
        }
        if let Some(values) = keys.get("enum") {
            only(keys, path, &["enum", "type"])?;
            return match values.as_array() {
                Some(values) if !values.is_empty() => Ok(Self::Choice(values.clone())),
                _ => Err(SchemaError::at(path, "an empty `enum`")),
            };
        }
        if let Some(options) = keys.get("anyOf") {
            only(keys, path, &["anyOf"])?;
            return Self::any(options, path);
        }
        match keys.get("type") {
            Some(Value::String(name)) => Self::of_type(name, keys, path),
            Some(Value::Array(names)) if !names.is_empty() => Self::of_types(names, keys, path),
            _ => Err(SchemaError::at(path, "no `type`, `enum`, `const` or `anyOf`")),
        }
    }

    fn any(options: &Value, path: &str) -> Result<Self, SchemaError> {
        let options = options.as_array().filter(|options| !options.is_empty());
        let options = options.ok_or_else(|| SchemaError::at(path, "an empty `anyOf`"))?;
        let plans =
            options.iter().enumerate().map(|(index, option)| Self::at(option, &format!("{path}/anyOf/{index}")));
        Ok(Self::Any(plans.collect::<Result<_, _>>()?))
    }

    /// `["string", "null"]` and the like: keywords belong to the one type that is not `null`.
    fn of_types(names: &[Value], keys: &Map<String, Value>, path: &str) -> Result<Self, SchemaError> {
        let name = |value: &Value| {
            value.as_str().map(str::to_owned).ok_or_else(|| SchemaError::at(path, "a `type` that is no name"))
        };
        let names = names.iter().map(name).collect::<Result<Vec<_>, _>>()?;
        let null = Map::new();
        let plans = names.iter().map(|name| Self::of_type(name, if name == "null" { &null } else { keys }, path));
        Ok(Self::Any(plans.collect::<Result<_, _>>()?))
    }

    fn of_type(name: &str, keys: &Map<String, Value>, path: &str) -> Result<Self, SchemaError> {
        match name {
            "object" => Self::object(keys, path),
            "array" => Self::array(keys, path),
            "string" => {
                only(keys, path, &["type", "maxLength"])?;
                let max_chars = size(keys, "maxLength", path)?.unwrap_or(usize::MAX);
                Ok(Self::Text { max_chars })
            }
            "integer" => Self::integer(keys, path),
            "boolean" => only(keys, path, &["type"]).map(|()| Self::Choice(vec![true.into(), false.into()])),
            "null" => only(keys, path, &["type"]).map(|()| Self::Choice(vec![Value::Null])),
            other => Err(SchemaError::at(path, format!("type `{other}`"))),
        }
    }

    /// Keys come in the order of `required`, since `properties` has lost its own.
    fn object(keys: &Map<String, Value>, path: &str) -> Result<Self, SchemaError> {
        only(keys, path, &["type", "properties", "required", "additionalProperties"])?;
        if keys.get("additionalProperties").is_some_and(|value| *value != Value::Bool(false)) {
            return Err(SchemaError::at(path, "`additionalProperties` other than false"));
        }
        let empty = Map::new();
        let properties = keys.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let required = keys.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if let Some(name) = properties.keys().find(|name| !required.iter().any(|key| key == *name)) {
            return Err(SchemaError::at(path, format!("the key `{name}` that is not `required`")));
        }
        let member = |key: &Value| {
            let name = key.as_str().unwrap_or_default();
            let Some(schema) = properties.get(name) else {
                return Err(SchemaError::at(path, format!("the required key {key} without a schema")));
            };
            Member::read(name, schema, path)
        };
        Ok(Self::Object(required.iter().map(member).collect::<Result<_, _>>()?))
    }

    fn array(keys: &Map<String, Value>, path: &str) -> Result<Self, SchemaError> {
        only(keys, path, &["type", "items", "minItems", "maxItems"])?;
        let items = keys.get("items").ok_or_else(|| SchemaError::at(path, "an array without `items`"))?;
        let fewest = size(keys, "minItems", path)?.unwrap_or(0);
        let most = size(keys, "maxItems", path)?.unwrap_or(usize::MAX);
        if fewest > most {
            return Err(SchemaError::at(path, "`minItems` above `maxItems`"));
        }
        let item = Box::new(Self::at(items, &format!("{path}/items"))?);
        Ok(Self::Array { count: fewest.max(1).min(most), item })
    }

    fn integer(keys: &Map<String, Value>, path: &str) -> Result<Self, SchemaError> {
        only(keys, path, &["type", "minimum", "maximum"])?;
        let bound = |key: &str, default: i64| match keys.get(key) {
            None => Ok(default),
            Some(value) => value.as_i64().ok_or_else(|| SchemaError::at(path, format!("`{key}` that is no integer"))),
        };
        let lowest = bound("minimum", bound("maximum", 100)?.min(0))?;
        let highest = bound("maximum", lowest.saturating_add(INTEGERS - 1))?;
        let Some(span) = highest.checked_sub(lowest).filter(|span| *span >= 0) else {
            return Err(SchemaError::at(path, "no room between `minimum` and `maximum`"));
        };
        let steps = span.min(INTEGERS - 1);
        let value = |step: i64| {
            lowest + i64::try_from(i128::from(span) * i128::from(step) / i128::from(steps.max(1))).unwrap_or(0)
        };
        Ok(Self::Choice((0..=steps).map(|step| value(step).into()).collect()))
    }
}

fn size(keys: &Map<String, Value>, key: &str, path: &str) -> Result<Option<usize>, SchemaError> {
    let Some(value) = keys.get(key) else { return Ok(None) };
    let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
    size.map(Some).ok_or_else(|| SchemaError::at(path, format!("`{key}` that is no size")))
}

/// Refuses keywords other than `known` and those that only describe.
fn only(keys: &Map<String, Value>, path: &str, known: &[&str]) -> Result<(), SchemaError> {
    const DESCRIBING: [&str; 4] = ["title", "description", "$schema", "examples"];
    let stranger = keys.keys().find(|key| !known.contains(&key.as_str()) && !DESCRIBING.contains(&key.as_str()));
    stranger.map_or(Ok(()), |key| Err(SchemaError::at(path, format!("`{key}`"))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_follow_the_order_of_required() {
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["text", "end"],
            "properties": {"end": {"type": "boolean"}, "text": {"type": "string", "maxLength": 9, "description": "said"}},
        });
        let member = |name: &str, label: &str, plan| Member { name: name.to_owned(), label: label.to_owned(), plan };
        let expected = vec![
            member("text", "text", ValuePlan::Text { max_chars: 9 }),
            member("end", "end", ValuePlan::Choice(vec![true.into(), false.into()])),
        ];
        assert_eq!(ValuePlan::read(&schema), Ok(ValuePlan::Object(expected)));
    }

    #[test]
    fn an_array_has_the_fewest_items_but_not_none() {
        let count = |limits: Value| {
            let mut schema = json!({"type": "array", "items": {"type": "string"}});
            schema.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
            match ValuePlan::read(&schema).unwrap() {
                ValuePlan::Array { count, .. } => count,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(count(json!({})), 1);
        assert_eq!(count(json!({"minItems": 3, "maxItems": 5})), 3);
        assert_eq!(count(json!({"maxItems": 0})), 0);
    }

    #[test]
    fn integers_span_their_range() {
        let values = |schema: Value| match ValuePlan::read(&schema).unwrap() {
            ValuePlan::Choice(values) => values.iter().map(|value| value.as_i64().unwrap()).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(values(json!({"type": "integer", "minimum": 3, "maximum": 5})), [3, 4, 5]);
        assert_eq!(values(json!({"type": "integer", "minimum": 7, "maximum": 7})), [7]);
        let years = values(json!({"type": "integer", "minimum": 1000, "maximum": 3000}));
        assert_eq!((years.len(), years[0], years[100]), (101, 1000, 3000));
        let below = values(json!({"type": "integer", "maximum": -5}));
        assert!(below.iter().all(|value| *value <= -5));
        let high = values(json!({"type": "integer", "minimum": i64::MAX}));
        assert_eq!(high, [i64::MAX]);
    }

    #[test]
    fn what_it_cannot_follow_is_named() {
        let error = |schema: Value| ValuePlan::read(&schema).unwrap_err().to_string();
        let nested = json!({
            "type": "object", "additionalProperties": false, "required": ["a"],
            "properties": {"a": {"type": "array", "items": {"type": "string", "pattern": "x"}}},
        });
        insta::assert_snapshot!(error(nested), @"the schema at /properties/a/items has `pattern`, which the embedded model cannot follow; use an endpoint for it");
        assert!(error(json!({"type": "number"})).contains("type `number`"));
        assert!(
            error(json!({"type": "object", "properties": {"a": {"type": "null"}}}))
                .contains("`a` that is not `required`")
        );
        assert!(error(json!({"type": "object", "additionalProperties": true})).contains("additionalProperties"));
        assert!(error(json!({"$ref": "#/x"})).contains("its root has no `type`"));
        assert!(error(json!({"enum": []})).contains("empty `enum`"));
        assert!(
            error(json!({"type": "array", "items": {"type": "null"}, "minItems": 2, "maxItems": 1})).contains("above")
        );
        assert!(error(json!({"type": "integer", "minimum": 2, "maximum": 1})).contains("no room"));
        assert!(error(json!(true)).contains("no object"));
    }
}
