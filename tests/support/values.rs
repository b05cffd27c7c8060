//! Values that fit a JSON schema, with text that reads like what the field's name promises.

use convogen::Draw;
use serde_json::{Map, Value, json};

use super::prose;

/// Where in a value one stands.
struct Place<'a> {
    /// What the whole value is drawn from.
    seed: &'a str,
    /// Keys and positions from the root, joined.
    path: String,
    /// The nearest key.
    key: &'a str,
    /// The position in the nearest list.
    index: usize,
}

impl<'a> Place<'a> {
    fn draw(&self) -> Draw {
        Draw::new(1, &["value", self.seed, &self.path])
    }

    fn field(&self, key: &'a str) -> Place<'a> {
        Place { seed: self.seed, path: format!("{}.{key}", self.path), key, index: self.index }
    }

    fn item(&self, index: usize) -> Place<'a> {
        Place { seed: self.seed, path: format!("{}[{index}]", self.path), key: self.key, index }
    }
}

/// A value that fits `schema`: a pure function of schema and seed.
pub(crate) fn fitting(schema: &Value, seed: &str) -> Value {
    value(schema, schema, &Place { seed, path: String::new(), key: "", index: 0 })
}

fn value(schema: &Value, root: &Value, at: &Place<'_>) -> Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return match root.pointer(reference.trim_start_matches('#')) {
            Some(target) if at.path.len() < 500 => value(target, root, at),
            _ => Value::Null,
        };
    }
    if let Some(fixed) = schema.get("const") {
        return fixed.clone();
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return one_of(options, at);
    }
    if let Some(options) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
        return at.draw().pick(options).map_or(Value::Null, |option| value(option, root, at));
    }
    match kind(schema, at) {
        "object" => object(schema, root, at),
        "array" => array(schema, root, at),
        "integer" => serde_json::from_str(&format!("{:.0}", number(schema, at))).unwrap_or(Value::Null),
        "number" => json!(number(schema, at)),
        "boolean" => json!(at.draw().below(8) == 0),
        "null" => Value::Null,
        _ => Value::String(text(at)),
    }
}

/// Items of one list get different options while there are any, and what points from one to another does so.
fn one_of(options: &[Value], at: &Place<'_>) -> Value {
    let all = Value::from(options.to_vec()).to_string();
    let base = if at.path.contains('[') {
        Draw::new(1, &["options", at.seed, &all]).below(options.len()) + at.index + usize::from(at.key == "to")
    } else {
        at.draw().below(options.len())
    };
    options.get(base % options.len().max(1)).cloned().unwrap_or(Value::Null)
}

fn kind<'s>(schema: &'s Value, at: &Place<'_>) -> &'s str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            let full: Vec<&str> = kinds.iter().copied().filter(|k| *k != "null").collect();
            // Optional fields are left empty one time in four.
            let empty = full.len() < kinds.len() && Draw::new(2, &[at.seed, &at.path]).below(4) == 0;
            if empty { "null" } else { full.first().copied().unwrap_or("null") }
        }
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

fn object(schema: &Value, root: &Value, at: &Place<'_>) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    let fields = properties.into_iter().flatten().map(|(key, inner)| (key.clone(), value(inner, root, &at.field(key))));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn array(schema: &Value, root: &Value, at: &Place<'_>) -> Value {
    let bound = |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let least = bound("minItems").unwrap_or(1);
    // As few relations as may be, a chain: more would lead to people who were never invented.
    let spread = if at.key == "relations" { 0 } else { 2 };
    let most = bound("maxItems").unwrap_or(least + 1).clamp(least, least + spread);
    let count = at.draw().between(least, most);
    let items = schema.get("items").unwrap_or(&Value::Null);
    (0..count).map(|index| value(items, root, &at.item(index))).collect()
}

fn number(schema: &Value, at: &Place<'_>) -> f64 {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let least = bound("minimum").unwrap_or(0.0);
    let most = bound("maximum").unwrap_or(least + 10.0);
    least + at.draw().unit() * (most - least)
}

fn text(at: &Place<'_>) -> String {
    let mut draw = at.draw();
    let is_prose = !matches!(at.key, "id" | "language" | "name" | "speaker" | "from" | "to");
    if let Some(tongue) = prose::tongues::asked_for(at.seed).filter(|_| is_prose) {
        return tongue.text(at.key, &mut draw);
    }
    match at.key {
        "id" => format!("p{}", at.index + 1),
        "language" => "en".to_owned(),
        "name" | "speaker" | "from" | "to" => {
            let base = Draw::new(1, &["names", at.seed]).below(10_000);
            prose::name(base, at.index + usize::from(at.key == "to"))
        }
        "situation" | "scenario" | "context" | "experience" => prose::situation(&mut draw),
        "topic" | "title" => prose::topic(&mut draw),
        "conversation_starter" | "starter" | "opening" => prose::starter(&mut draw),
        "persona" | "description" | "background" => prose::person(&mut draw),
        "stance" | "goal" | "intent" => prose::intent(&mut draw),
        "knowledge" => prose::knowledge(&mut draw),
        "type" | "relation" => prose::relation(&mut draw),
        _ => prose::utterance(&mut draw),
    }
}
