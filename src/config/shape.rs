//! The form of a configuration, checked against its JSON schema before it is typed.
//!
//! Deserialising alone would stop at the first fault and name neither line nor dotted key. The schema is derived
//! from the same structs, so it cannot disagree with them; this walk knows the part of JSON Schema that schemars
//! writes for structs, options, maps, lists, unit enums, numbers and text.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::{Document, join, kind};
use super::error::{ConfigProblem, UNKNOWN_KEY};

/// The document as a `T`, or everything that keeps it from being one.
pub(super) fn typed<T: DeserializeOwned + JsonSchema>(document: &Document) -> Result<T, Vec<ConfigProblem>> {
    let schema = schemars::schema_for!(T).to_value();
    let mut walk = Walk { root: &schema, document, problems: Vec::new() };
    walk.value(&schema, &document.value, "");
    if !walk.problems.is_empty() {
        return Err(walk.problems);
    }
    // What the schema cannot say, such as a number beyond its type, is left to the types themselves.
    serde_path_to_error::deserialize(document.value.clone()).map_err(|error| {
        let key = error.path().to_string();
        vec![ConfigProblem { place: document.place(&key).cloned(), key, message: error.into_inner().to_string() }]
    })
}

/// The closest of `known` to a misspelt `word`, if one is close enough to be meant.
pub(super) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|name| (strsim::jaro_winkler(&word.to_lowercase(), name), name));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

struct Walk<'a> {
    root: &'a Value,
    document: &'a Document,
    problems: Vec<ConfigProblem>,
}

impl<'a> Walk<'a> {
    fn problem(&mut self, key: &str, message: String) {
        let place = self.document.place(key).cloned();
        self.problems.push(ConfigProblem { place, key: key.to_owned(), message });
    }

    fn value(&mut self, schema: &'a Value, value: &Value, key: &str) {
        let Some(schema) = self.without_option(self.resolve(schema), value) else { return };
        let names = enum_names(schema);
        if !names.is_empty() {
            return self.one_of(&names, value, key);
        }
        match (type_of(schema), value) {
            ("object", Value::Object(map)) => self.object(schema, map, key),
            ("array", Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    self.value(part(schema, "items"), item, &format!("{key}[{at}]"));
                }
            }
            ("integer", Value::Number(number)) if number.is_i64() || number.is_u64() => {
                self.whole_number(schema, value, key);
            }
            ("string", Value::String(_)) | ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => {}
            (expected, found) => self.problem(key, mismatch(expected, found)),
        }
    }

    fn whole_number(&mut self, schema: &Value, value: &Value, key: &str) {
        let most = if part(schema, "format") == "uint32" { u64::from(u32::MAX) } else { u64::MAX };
        match value.as_u64() {
            None if part(schema, "minimum") == 0 => self.problem(key, format!("{value} is less than 0")),
            Some(found) if found > most => self.problem(key, format!("{found} is more than {most}")),
            _ => {}
        }
    }

    fn one_of(&mut self, names: &[&str], value: &Value, key: &str) {
        let Value::String(found) = value else {
            return self.problem(key, format!("expected one of {}, found {}", list(names), kind(value)));
        };
        if !names.contains(&found.as_str()) {
            let meant = did_you_mean(found, names.iter().copied());
            let meant = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            self.problem(key, format!("unknown value `{}`{meant} (one of {})", excerpt(found), list(names)));
        }
    }

    fn object(&mut self, schema: &'a Value, map: &serde_json::Map<String, Value>, key: &str) {
        let known = part(schema, "properties").as_object();
        for (name, value) in map {
            let key = join(key, name);
            match (known.and_then(|known| known.get(name)), part(schema, "additionalProperties")) {
                (Some(inner), _) => self.value(inner, value, &key),
                (None, free @ Value::Object(_)) => self.value(free, value, &key),
                (None, Value::Bool(true)) => {}
                (None, _) => self.unknown(&key, name, known.map(|known| known.keys()).into_iter().flatten()),
            }
        }
        for name in part(schema, "required").as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !map.contains_key(name) {
                self.problem(&join(key, name), "missing, and there is no default for it".to_owned());
            }
        }
    }

    fn unknown<'n>(&mut self, key: &str, name: &str, known: impl Iterator<Item = &'n String>) {
        let known: Vec<&str> = known.map(String::as_str).collect();
        let meant = did_you_mean(name, known.iter().copied());
        let meant = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        self.problem(key, format!("{UNKNOWN_KEY}{meant} (known here: {})", list(&known)));
    }

    /// Follows a reference to a definition.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let pointer = part(schema, "$ref").as_str().and_then(|name| name.strip_prefix('#'));
        pointer.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    /// The schema of what an option holds; `None` where the value is a null that may be one.
    fn without_option(&self, schema: &'a Value, value: &Value) -> Option<&'a Value> {
        if let Some(types) = part(schema, "type").as_array() {
            return (!(value.is_null() && types.iter().any(|name| name == "null"))).then_some(schema);
        }
        let Some(choices) = part(schema, "anyOf").as_array() else { return Some(schema) };
        let is_null = |choice: &&Value| part(choice, "type") == "null";
        if value.is_null() && choices.iter().any(|choice| is_null(&choice)) {
            return None;
        }
        // Of a name and a group of keys, the one that the value looks like.
        let mut choices = choices.iter().filter(|choice| !is_null(choice)).map(|choice| self.resolve(choice));
        let fits = |choice: &&Value| (type_of(choice) == "object") == value.is_object();
        choices.clone().find(fits).or_else(|| choices.next())
    }
}

/// The schema's type, `null` aside.
fn type_of(schema: &Value) -> &str {
    match part(schema, "type") {
        Value::Array(types) => types.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or(""),
        other => other.as_str().unwrap_or(""),
    }
}

/// The values of a unit enum; none for any other schema.
fn enum_names(schema: &Value) -> Vec<&str> {
    let consts =
        part(schema, "oneOf").as_array().into_iter().flatten().filter_map(|choice| part(choice, "const").as_str());
    consts.chain(part(schema, "enum").as_array().into_iter().flatten().filter_map(Value::as_str)).collect()
}

fn mismatch(expected: &str, found: &Value) -> String {
    let wanted = match expected {
        "object" => "a group of keys",
        "array" => "a list",
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        other => other,
    };
    let hint = match (expected, found) {
        ("string", Value::Number(_) | Value::Bool(_)) => "; put it in quotes",
        ("boolean" | "integer" | "number", Value::String(text)) if serde_json::from_str::<Value>(text).is_ok() => {
            "; take it out of its quotes"
        }
        (_, Value::Null) => "; leave the key out to get its default",
        _ => "",
    };
    format!("expected {wanted}, found {}{hint}", kind(found))
}

fn list(names: &[&str]) -> String {
    names.join(", ")
}

/// A part of a schema; null where there is none.
fn part<'a>(schema: &'a Value, name: &str) -> &'a Value {
    static NULL: Value = Value::Null;
    schema.get(name).unwrap_or(&NULL)
}

/// Enough of a text to be recognised.
fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}
