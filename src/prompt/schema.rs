//! The JSON schema of a reply with situations, in the subset that strict structured output takes: every object closed, every
//! key required, nothing optional.
//!
//! `required` lists keys in the order in which they are to be written: people before what connects them, the situation
//! before the line that opens it, since a model writes from left to right.

use serde_json::{Value, json};

use super::CallRequest;
use super::draft::longest;
use super::reply::Standard;

/// The schema of the reply to a call for `wanted`: `{"situations": […]}` with exactly as many.
///
/// A model of the demo tier is not asked for what people know: it would write a secret for everyone, and few good ones.
pub(crate) fn situations_schema(wanted: &CallRequest, standard: Standard) -> Value {
    let count = wanted.count();
    let item = match wanted {
        CallRequest::Given(groups) => one_of(groups.iter().map(|names| given(names, standard)).collect()),
        CallRequest::Invented { min, max, .. } => invented(*min, *max, standard),
    };
    object(&[("situations", list(&item, count, count))])
}

fn given(names: &[String], standard: Standard) -> Value {
    let name = json!({"type": "string", "enum": names});
    let person = [&[("name", name.clone())], part(standard).as_slice()].concat();
    situation(&object(&person), &name, names.len(), names.len())
}

fn invented(min: usize, max: usize, standard: Standard) -> Value {
    let who = [("name", text("first and last name")), ("persona", text("who they are, in one or two sentences"))];
    let person = [who.as_slice(), part(standard).as_slice()].concat();
    situation(&object(&person), &text("one of the names"), min, max)
}

/// What a person is and wants in a situation.
fn part(standard: Standard) -> Vec<(&'static str, Value)> {
    let mut keys = vec![
        ("description", text("who they are, one short sentence")),
        ("stance", text("what they think about the topic")),
        ("goal", text("what they want from this talk")),
    ];
    if standard == Standard::Full {
        let description = "a fact that this person alone knows and the others would want to; null for most people";
        keys.push(("knowledge", json!({"type": ["string", "null"], "description": description})));
    }
    keys
}

fn situation(person: &Value, name: &Value, min: usize, max: usize) -> Value {
    let relation = object(&[
        ("from", name.clone()),
        ("to", name.clone()),
        ("type", label("a word or two, such as colleague", longest::TYPE)),
        ("text", text("how they know each other, one sentence")),
    ]);
    object(&[
        ("personas", list(person, min, max)),
        ("relations", list(&relation, min.saturating_sub(1).max(1), 2 * max)),
        ("situation", text("where they are, what is going on, what is at stake")),
        ("topic", label("what they talk about, in a few words", longest::TOPIC)),
        ("conversation_starter", text("the line that opens the conversation")),
    ])
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

/// A short text. Endpoints are not told the limit (see [`crate::llm::openai`]), the embedded model and prompts in words are.
fn label(description: &str, longest: usize) -> Value {
    json!({"type": "string", "description": description, "maxLength": longest})
}

fn list(items: &Value, min: usize, max: usize) -> Value {
    json!({"type": "array", "items": items, "minItems": min, "maxItems": max})
}

/// One schema, or a choice where several differ.
fn one_of(mut items: Vec<Value>) -> Value {
    items.dedup();
    if items.len() == 1 { items.remove(0) } else { json!({"anyOf": items}) }
}

fn object(keys: &[(&str, Value)]) -> Value {
    let properties = keys.iter().map(|(key, schema)| ((*key).to_owned(), schema.clone()));
    let required: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
    json!({
        "type": "object",
        "properties": properties.collect::<serde_json::Map<_, _>>(),
        "required": required,
        "additionalProperties": false,
    })
}

/// What is wrong with `value` by `schema`, for the subset used here.
#[cfg(test)]
pub(super) fn mismatch(schema: &Value, value: &Value) -> Option<String> {
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        let tried: Vec<Option<String>> = choices.iter().map(|choice| mismatch(choice, value)).collect();
        return if tried.contains(&None) { None } else { tried.into_iter().flatten().next() };
    }
    if schema.get("enum").is_some_and(|names| !names.as_array().unwrap().contains(value)) {
        return Some(format!("{value} is not among the names"));
    }
    match (schema["type"].as_str(), value) {
        (Some("string"), Value::String(_)) => None,
        (None, Value::String(_) | Value::Null) if schema["type"] == json!(["string", "null"]) => None,
        (Some("array"), Value::Array(items)) => {
            let bound = |key: &str| usize::try_from(schema[key].as_u64().unwrap()).unwrap();
            if !(bound("minItems")..=bound("maxItems")).contains(&items.len()) {
                return Some(format!("{} items", items.len()));
            }
            items.iter().find_map(|item| mismatch(&schema["items"], item))
        }
        (Some("object"), Value::Object(map)) => {
            let mut wanted: Vec<&str> =
                schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let mut keys: Vec<&str> = map.keys().map(String::as_str).collect();
            wanted.sort_unstable();
            keys.sort_unstable();
            if wanted != keys {
                return Some(format!("keys {keys:?}, not {wanted:?}"));
            }
            map.iter().find_map(|(key, value)| mismatch(&schema["properties"][key], value))
        }
        (wanted, found) => Some(format!("{found} is not {wanted:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// Every object in it, however deep.
    fn objects<'a>(schema: &'a Value, found: &mut Vec<&'a Value>) {
        match schema {
            Value::Object(map) => {
                if map.get("type").and_then(Value::as_str) == Some("object") {
                    found.push(schema);
                }
                map.values().for_each(|value| objects(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| objects(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_object_is_closed_and_every_key_required() {
        let several = CallRequest::Given(vec![names(&["A", "B"]), names(&["C", "D", "E"])]);
        for wanted in [several, CallRequest::Invented { count: 2, min: 3, max: 5 }] {
            let schema = situations_schema(&wanted, Standard::Full);
            let mut found = Vec::new();
            objects(&schema, &mut found);
            assert!(found.len() >= 4);
            for object in found {
                assert_eq!(object["additionalProperties"], json!(false));
                assert_eq!(
                    object["required"].as_array().unwrap().len(),
                    object["properties"].as_object().unwrap().len()
                );
                for key in object["required"].as_array().unwrap() {
                    assert!(object["properties"].get(key.as_str().unwrap()).is_some());
                }
            }
        }
    }

    #[test]
    fn keys_are_sent_in_the_order_in_which_they_are_to_be_written() {
        let schema = situations_schema(&CallRequest::Invented { count: 1, min: 2, max: 3 }, Standard::Full);
        let sent: Value = serde_json::from_str(&schema.to_string()).unwrap();
        let mut found = Vec::new();
        objects(&sent, &mut found);
        for object in found {
            let keys: Vec<&Value> = object["required"].as_array().unwrap().iter().collect();
            assert!(object["properties"].as_object().unwrap().keys().eq(keys.iter().filter_map(|key| key.as_str())));
        }
    }

    #[test]
    fn bounds_and_names_are_those_of_the_group() {
        let schema = situations_schema(&CallRequest::Given(vec![names(&["A", "B", "C"])]), Standard::Full);
        let list = &schema["properties"]["situations"];
        assert_eq!((&list["minItems"], &list["maxItems"]), (&json!(1), &json!(1)));
        let situation = &list["items"];
        assert_eq!(
            situation["required"],
            json!(["personas", "relations", "situation", "topic", "conversation_starter"])
        );
        let (people, relations) = (&situation["properties"]["personas"], &situation["properties"]["relations"]);
        assert_eq!((&people["minItems"], &people["maxItems"]), (&json!(3), &json!(3)));
        assert_eq!((&relations["minItems"], &relations["maxItems"]), (&json!(2), &json!(6)));
        assert_eq!(people["items"]["properties"]["name"]["enum"], json!(["A", "B", "C"]));
        assert_eq!(relations["items"]["properties"]["from"]["enum"], json!(["A", "B", "C"]));
        assert_eq!(people["items"]["required"], json!(["name", "description", "stance", "goal", "knowledge"]));
    }

    #[test]
    fn invented_people_bring_their_persona() {
        let schema = situations_schema(&CallRequest::Invented { count: 2, min: 3, max: 5 }, Standard::Full);
        let list = &schema["properties"]["situations"];
        assert_eq!((&list["minItems"], &list["maxItems"]), (&json!(2), &json!(2)));
        let people = &list["items"]["properties"]["personas"];
        assert_eq!((&people["minItems"], &people["maxItems"]), (&json!(3), &json!(5)));
        assert_eq!(
            people["items"]["required"],
            json!(["name", "persona", "description", "stance", "goal", "knowledge"])
        );
    }

    #[test]
    fn groups_that_differ_are_a_choice() {
        let schema =
            situations_schema(&CallRequest::Given(vec![names(&["A", "B"]), names(&["C", "D"])]), Standard::Full);
        assert_eq!(schema["properties"]["situations"]["items"]["anyOf"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_small_model_is_not_asked_for_secrets() {
        let wanted = CallRequest::Given(vec![names(&["A", "B"])]);
        let keys = |standard| situations_schema(&wanted, standard).to_string().contains("knowledge");
        assert_eq!((keys(Standard::Full), keys(Standard::Demo)), (true, false));
    }
}
