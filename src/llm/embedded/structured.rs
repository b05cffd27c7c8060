//! JSON that cannot come out wrong.
//!
//! A model of this size does not keep to a format, so it is never asked to: keys, brackets and commas are written here, following the
//! schema, and the model fills in what is left. Choices are made among what the schema allows; strings are
//! plain text to the model and are escaped here. Every value is preceded by a blank, because the tokens
//! of words and of opening quotes have theirs in front.

use serde_json::Value;

use super::schema::Plan;

/// Who fills in the values.
pub(super) trait Pen {
    /// Why writing had to end.
    type Error;

    /// Writes `text` as it is.
    fn copy(&mut self, text: &str) -> Result<(), Self::Error>;

    /// Writes the one of `options`, of which there are some, that goes best here, and says which.
    fn pick(&mut self, options: &[String]) -> Result<usize, Self::Error>;

    /// Writes the inside of a string, at most `max_chars` characters, and returns it without escapes.
    fn compose(&mut self, max_chars: usize) -> Result<String, Self::Error>;
}

/// Writes a value that fits `plan` with `pen`. `out` has what was written so far even where it fails.
pub(super) fn fill<P: Pen>(plan: &Plan, pen: &mut P, out: &mut String) -> Result<(), P::Error> {
    let mut walk = Walk { pen, out, pending: String::new() };
    walk.value(plan)?;
    walk.flush()
}

struct Walk<'a, P> {
    pen: &'a mut P,
    out: &'a mut String,
    /// Skeleton not yet handed to the pen: tokens are cut best from longer pieces.
    pending: String,
}

impl<P: Pen> Walk<'_, P> {
    fn literal(&mut self, text: &str) {
        self.pending.push_str(text);
    }

    fn flush(&mut self) -> Result<(), P::Error> {
        let text = std::mem::take(&mut self.pending);
        if text.is_empty() {
            return Ok(());
        }
        self.pen.copy(&text)?;
        self.out.push_str(&text);
        Ok(())
    }

    fn value(&mut self, plan: &Plan) -> Result<(), P::Error> {
        match plan {
            Plan::Choice(values) => {
                let options: Vec<String> = values.iter().map(written).collect();
                self.pick(&options).map(|_| ())
            }
            Plan::Any(plans) => self.any(plans),
            Plan::Object(_) | Plan::Array { .. } | Plan::Text { .. } => {
                self.literal(opening(plan));
                self.rest(plan)
            }
        }
    }

    /// What follows the opening.
    fn rest(&mut self, plan: &Plan) -> Result<(), P::Error> {
        match plan {
            Plan::Object(members) => self.members(members),
            Plan::Array { count, item } => self.items(*count, item),
            Plan::Text { max_chars } => self.text(*max_chars),
            Plan::Choice(_) | Plan::Any(_) => Ok(()),
        }
    }

    fn members(&mut self, members: &[(String, Plan)]) -> Result<(), P::Error> {
        for (index, (name, plan)) in members.iter().enumerate() {
            self.literal(if index == 0 { "" } else { ", " });
            self.literal(&Value::from(name.as_str()).to_string());
            self.literal(":");
            self.value(plan)?;
        }
        self.literal("}");
        Ok(())
    }

    fn items(&mut self, count: usize, item: &Plan) -> Result<(), P::Error> {
        for index in 0..count {
            self.literal(if index == 0 { "" } else { "," });
            self.value(item)?;
        }
        self.literal("]");
        Ok(())
    }

    fn text(&mut self, max_chars: usize) -> Result<(), P::Error> {
        if max_chars > 0 {
            self.flush()?;
            let text = self.pen.compose(max_chars)?;
            let text: String = text.trim().chars().take(max_chars).collect();
            let quoted = Value::from(text).to_string();
            self.out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
        }
        self.literal("\"");
        Ok(())
    }

    /// Which kind of value to write is decided by how each begins; of two objects, which begin alike, it is the first.
    fn any(&mut self, plans: &[Plan]) -> Result<(), P::Error> {
        let options: Vec<(String, Option<&Plan>)> = plans.iter().flat_map(beginnings).collect();
        let texts: Vec<String> = options.iter().map(|(text, _)| text.clone()).collect();
        let chosen = self.pick(&texts)?;
        match options.get(chosen) {
            Some((_, Some(plan))) => self.rest(plan),
            _ => Ok(()),
        }
    }

    fn pick(&mut self, options: &[String]) -> Result<usize, P::Error> {
        if let [only] = options {
            self.literal(only);
            return Ok(0);
        }
        self.flush()?;
        let chosen = self.pen.pick(options)?;
        self.out.push_str(options.get(chosen).map(String::as_str).unwrap_or_default());
        Ok(chosen)
    }
}

fn written(value: &Value) -> String {
    format!(" {value}")
}

fn opening(plan: &Plan) -> &'static str {
    match plan {
        Plan::Object(_) => " {",
        Plan::Array { .. } => " [",
        Plan::Text { .. } => " \"",
        Plan::Choice(_) | Plan::Any(_) => "",
    }
}

/// How a value of `plan` may begin, each with the plan that is still to be carried out after it.
fn beginnings(plan: &Plan) -> Vec<(String, Option<&Plan>)> {
    match plan {
        Plan::Choice(values) => values.iter().map(|value| (written(value), None)).collect(),
        Plan::Any(plans) => plans.iter().flat_map(beginnings).collect(),
        Plan::Object(_) | Plan::Array { .. } | Plan::Text { .. } => vec![(opening(plan).to_owned(), Some(plan))],
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::draw::Draw;

    /// Writes anything: quotes, line breaks, control characters, nothing at all.
    struct Scribble(Draw);

    impl Pen for Scribble {
        type Error = Infallible;

        fn copy(&mut self, _: &str) -> Result<(), Infallible> {
            Ok(())
        }

        fn pick(&mut self, options: &[String]) -> Result<usize, Infallible> {
            assert!(!options.is_empty());
            Ok(self.0.below(options.len()))
        }

        fn compose(&mut self, _: usize) -> Result<String, Infallible> {
            let characters = ['a', '"', '\\', '\n', '\u{1}', 'é', '🙂', ' ', '}', ','];
            let length = self.0.below(12);
            Ok((0..length).filter_map(|_| self.0.pick(&characters)).collect())
        }
    }

    fn schema() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!({"type": "string"})),
            (0_usize..6).prop_map(|most| json!({"type": "string", "maxLength": most})),
            Just(json!({"type": "boolean"})),
            Just(json!({"type": "null"})),
            Just(json!({"type": ["string", "null"]})),
            Just(json!({"const": {"a": ["\"", 1.5]}})),
            Just(json!({"enum": ["", "a \" b", null, 3, "ünï"]})),
            (-9_i64..9, 0_i64..300).prop_map(|(low, span)| json!({"type": "integer", "minimum": low, "maximum": low + span})),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                (inner.clone(), 0_usize..4, 0_usize..3).prop_map(|(items, low, more)| {
                    json!({"type": "array", "items": items, "minItems": low, "maxItems": low + more})
                }),
                prop::collection::vec(inner.clone(), 1..4).prop_map(|options| json!({"anyOf": options})),
                prop::collection::btree_map("[a-z\"\\\\ ]{1,4}", inner, 0..4).prop_map(|members| {
                    let names: Vec<&String> = members.keys().rev().collect();
                    json!({"type": "object", "properties": members, "required": names, "additionalProperties": false})
                }),
            ]
        })
    }

    /// Whether `value` fits `schema`, within the part of the language used here.
    pub(in crate::llm::embedded) fn fits(value: &Value, schema: &Value) -> bool {
        if let Some(expected) = schema.get("const") {
            return value == expected;
        }
        if let Some(values) = schema.get("enum") {
            return values.as_array().unwrap().contains(value);
        }
        if let Some(options) = schema.get("anyOf") {
            return options.as_array().unwrap().iter().any(|option| fits(value, option));
        }
        let names = match &schema["type"] {
            Value::Array(names) => names.clone(),
            name => vec![name.clone()],
        };
        let limit = |key: &str, default: u64| usize::try_from(schema.get(key).map_or(default, |n| n.as_u64().unwrap())).unwrap();
        names.iter().any(|name| match (name.as_str().unwrap(), value) {
            ("null", Value::Null) | ("boolean", Value::Bool(_)) => true,
            ("string", Value::String(text)) => text.chars().count() <= limit("maxLength", 1 << 32),
            ("integer", Value::Number(number)) => {
                let bound = |key: &str, default: i64| schema.get(key).map_or(default, |n| n.as_i64().unwrap());
                (bound("minimum", i64::MIN)..=bound("maximum", i64::MAX)).contains(&number.as_i64().unwrap())
            }
            ("array", Value::Array(items)) => {
                (limit("minItems", 0)..=limit("maxItems", 1 << 32)).contains(&items.len())
                    && items.iter().all(|item| fits(item, &schema["items"]))
            }
            ("object", Value::Object(members)) => {
                let properties = schema["properties"].as_object().unwrap();
                members.len() == properties.len()
                    && properties.iter().all(|(name, inner)| members.get(name).is_some_and(|member| fits(member, inner)))
            }
            _ => false,
        })
    }

    fn scribbled(schema: &Value, seed: u64) -> String {
        let mut out = String::new();
        let Ok(()) = fill(&Plan::read(schema).unwrap(), &mut Scribble(Draw::new(seed, &["scribble"])), &mut out);
        out
    }

    proptest! {
        #[test]
        fn whatever_the_model_writes_the_result_fits_the_schema(schema in schema(), seed: u64) {
            let text = scribbled(&schema, seed);
            let value: Value = serde_json::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
            prop_assert!(fits(&value, &schema), "{value} does not fit {schema}");
        }
    }

    #[test]
    fn the_skeleton_reads_as_people_write_it() {
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["b", "a"],
            "properties": {
                "a": {"type": "array", "minItems": 2, "items": {"type": "object", "required": ["x"], "properties": {"x": {"const": 1}}}},
                "b": {"const": null},
            },
        });
        insta::assert_snapshot!(scribbled(&schema, 1).trim(), @r#"{"b": null, "a": [ {"x": 1}, {"x": 1}]}"#);
    }
}
