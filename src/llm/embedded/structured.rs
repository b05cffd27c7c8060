//! JSON that cannot come out wrong.
//!
//! A model of this size does not keep to a format, so it is never asked to. It fills in a form of labelled lines, the
//! kind of text it has read most of, and is only ever asked for the next value; keys, brackets, commas and escapes
//! are written here:
//!
//! ```text
//! what the model reads and writes      what comes out
//! topic: the shared garden             {"topic": "the shared garden",
//! people:                               "people": [
//! - name: Ann                             {"name": "Ann",
//!   goal: to keep her beds                 "goal": "to keep her beds"}]}
//! ```

use serde_json::Value;

use super::schema::{Member, ValuePlan};

/// Who fills in the form.
pub(super) trait FieldWriter {
    /// Why writing had to end.
    type Error;

    /// Writes a part of the form itself.
    fn print(&mut self, text: &str) -> Result<(), Self::Error>;

    /// Writes the one of `options` that goes best here, and says which. There are some. An empty one stands for free
    /// text, and choosing it writes nothing.
    fn pick(&mut self, options: &[String]) -> Result<usize, Self::Error>;

    /// Writes a line of at most `max_chars` characters and returns it.
    fn compose(&mut self, max_chars: usize) -> Result<String, Self::Error>;
}

/// Writes a value that fits `plan` to `out`, filled in by `pen`. `out` is a torn value where the pen gives up.
pub(super) fn fill<P: FieldWriter>(plan: &ValuePlan, pen: &mut P, out: &mut String) -> Result<(), P::Error> {
    Walk { pen, out, pending: String::new(), depth: 0 }.value(plan)
}

struct Walk<'a, P> {
    pen: &'a mut P,
    out: &'a mut String,
    /// Parts of the form that the pen has not been given yet: tokens are cut best from longer pieces.
    pending: String,
    /// How deep in lists and objects the value is.
    depth: usize,
}

impl<P: FieldWriter> Walk<'_, P> {
    fn value(&mut self, plan: &ValuePlan) -> Result<(), P::Error> {
        match plan {
            ValuePlan::Object(members) => self.object(members),
            ValuePlan::Array { count, item } => self.array(*count, item),
            ValuePlan::Text { max_chars } => self.text(*max_chars),
            ValuePlan::Choice(values) => self.any(&[ValuePlan::Choice(values.clone())]),
            ValuePlan::Any(plans) => self.any(plans),
        }
    }

    fn object(&mut self, members: &[Member]) -> Result<(), P::Error> {
        self.out.push('{');
        self.depth += 1;
        for (index, member) in members.iter().enumerate() {
            // The first key of a list's item stands beside its dash.
            if index > 0 || !self.pending.ends_with("- ") {
                self.line("");
            }
            self.pending.push_str(&member.label);
            self.pending.push(':');
            self.out.push_str(if index == 0 { "" } else { ", " });
            self.out.push_str(&Value::from(member.name.as_str()).to_string());
            self.out.push_str(": ");
            self.value(&member.plan)?;
        }
        self.depth -= 1;
        self.out.push('}');
        Ok(())
    }

    fn array(&mut self, count: usize, item: &ValuePlan) -> Result<(), P::Error> {
        self.out.push('[');
        for index in 0..count {
            self.line("- ");
            // What the model writes begins with a blank of its own.
            if !matches!(item, ValuePlan::Object(_)) {
                self.pending.pop();
            }
            self.out.push_str(if index == 0 { "" } else { ", " });
            self.value(item)?;
        }
        self.out.push(']');
        Ok(())
    }

    /// Begins a line of the form, but for the very first.
    fn line(&mut self, mark: &str) {
        if !self.out.trim_start_matches(['{', '[']).is_empty() {
            self.pending.push('\n');
            self.pending.push_str(&"  ".repeat(self.depth.saturating_sub(1)));
        }
        self.pending.push_str(mark);
    }

    fn flush(&mut self) -> Result<(), P::Error> {
        let text = std::mem::take(&mut self.pending);
        if text.is_empty() { Ok(()) } else { self.pen.print(&text) }
    }

    fn text(&mut self, max_chars: usize) -> Result<(), P::Error> {
        let mut text = String::new();
        if max_chars > 0 {
            self.flush()?;
            text = self.pen.compose(max_chars)?.trim().chars().take(max_chars).collect();
        }
        self.out.push_str(&Value::from(text).to_string());
        Ok(())
    }

    /// Chooses a value, or the kind of value to go on with. Text, objects and lists do not show how they begin: the
    /// first of them stands for all.
    fn any(&mut self, plans: &[ValuePlan]) -> Result<(), P::Error> {
        let (mut values, mut free) = (Vec::new(), None);
        flatten(plans, &mut values, &mut free);
        let mut options: Vec<String> = values.iter().map(|value| shown(value)).collect();
        options.extend(free.map(|_| String::new()));
        let chosen = if let [only] = options.as_slice() {
            self.pending.push_str(only);
            0
        } else {
            self.flush()?;
            self.pen.pick(&options)?
        };
        match (values.get(chosen), free) {
            (Some(value), _) => self.out.push_str(&value.to_string()),
            (None, Some(plan)) => self.value(plan)?,
            (None, None) => {}
        }
        Ok(())
    }
}

fn flatten<'a>(plans: &'a [ValuePlan], values: &mut Vec<&'a Value>, free: &mut Option<&'a ValuePlan>) {
    for plan in plans {
        match plan {
            ValuePlan::Choice(some) => values.extend(some),
            ValuePlan::Any(some) => flatten(some, values, free),
            ValuePlan::Object(_) | ValuePlan::Array { .. } | ValuePlan::Text { .. } => *free = free.or(Some(plan)),
        }
    }
}

/// A value as it stands in the form: with a blank in front, as the tokens of words have it, and without quotes.
fn shown(value: &Value) -> String {
    match value.as_str() {
        Some(text) if !text.trim().is_empty() && !text.contains('\n') => format!(" {text}"),
        _ => format!(" {value}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::draw::Draw;

    /// Writes anything: quotes, line breaks, control characters, nothing at all.
    struct Scribble {
        draw: Draw,
        form: String,
    }

    impl FieldWriter for Scribble {
        type Error = Infallible;

        fn print(&mut self, text: &str) -> Result<(), Infallible> {
            self.form.push_str(text);
            Ok(())
        }

        fn pick(&mut self, options: &[String]) -> Result<usize, Infallible> {
            assert!(!options.is_empty());
            let chosen = self.draw.below(options.len());
            self.form.push_str(&options[chosen]);
            Ok(chosen)
        }

        fn compose(&mut self, _: usize) -> Result<String, Infallible> {
            let characters = ['a', '"', '\\', '\n', '\u{1}', 'é', '🙂', ' ', '}', ','];
            let length = self.draw.below(12);
            self.form.push_str(" …");
            Ok((0..length).filter_map(|_| self.draw.pick(&characters)).collect())
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
            (-9_i64..9, 0_i64..300)
                .prop_map(|(low, span)| json!({"type": "integer", "minimum": low, "maximum": low + span})),
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
    pub(in super::super) fn fits(value: &Value, schema: &Value) -> bool {
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
        let limit = |key: &str, default: u64| {
            usize::try_from(schema.get(key).map_or(default, |n| n.as_u64().unwrap())).unwrap()
        };
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
                    && properties
                        .iter()
                        .all(|(name, inner)| members.get(name).is_some_and(|member| fits(member, inner)))
            }
            _ => false,
        })
    }

    /// What comes out, and the form.
    fn scribbled(schema: &Value, seed: u64) -> (String, String) {
        let mut out = String::new();
        let mut pen = Scribble { draw: Draw::new(seed, &["scribble"]), form: String::new() };
        let Ok(()) = fill(&ValuePlan::read(schema).unwrap(), &mut pen, &mut out);
        (out, pen.form)
    }

    proptest! {
        #[test]
        fn whatever_the_model_writes_the_result_fits_the_schema(schema in schema(), seed: u64) {
            let (text, _) = scribbled(&schema, seed);
            let value: Value = serde_json::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
            prop_assert!(fits(&value, &schema), "{value} does not fit {schema}");
        }
    }

    #[test]
    fn the_model_fills_in_a_form() {
        let person = json!({
            "type": "object", "additionalProperties": false, "required": ["first_name", "goal"],
            "properties": {"first_name": {"enum": ["Ann"]}, "goal": {"type": "string", "description": "what she wants"}},
        });
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["topic", "people", "lines", "done"],
            "properties": {
                "topic": {"type": "string"}, "done": {"const": null},
                "people": {"type": "array", "minItems": 2, "items": person},
                "lines": {"type": "array", "minItems": 2, "items": {"type": "string"}},
            },
        });
        insta::assert_snapshot!(scribbled(&schema, 1).1, @r"
        topic: …
        people:
        - first name: Ann
          goal: …
        - first name: Ann
          goal: …
        lines:
        - …
        - …
        ");
    }
}
