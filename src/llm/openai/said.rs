//! Where the text of an answer stands: in a string, in parts, in the arguments of a call, or where the reasoning should be.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The message of a choice. Every field may be missing, and is taken apart only where it is needed.
#[derive(Deserialize, Default)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    refusal: Option<String>,
    /// Where a `LiteLLM` proxy puts what the protocol has a field for.
    #[serde(borrow)]
    provider_specific_fields: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
}

impl<'a> Said<'a> {
    /// A message that says `content`.
    pub(super) fn of(content: &'a RawValue) -> Self {
        Self { content: Some(content), ..Self::default() }
    }

    /// The content as it came.
    pub(super) fn raw(&self) -> &'a str {
        self.content.map_or("", RawValue::get)
    }

    /// The text, if there is one. An answer that was to be JSON may stand in a call's arguments, which are JSON, or be all of
    /// the reasoning, where a server takes the one for the other. Reasoning and nothing else is an empty text.
    pub(super) fn text(&self, wants_json: bool) -> Option<String> {
        let content = self.content.and_then(value).and_then(|content| text_of(&content));
        let elsewhere = || self.arguments().or_else(|| self.reasoned());
        let is_elsewhere = wants_json && !content.as_ref().is_some_and(|text| text.contains(['{', '[']));
        let found = if is_elsewhere { elsewhere() } else { None };
        found.or(content).or_else(|| self.has_reasoned().then(String::new))
    }

    /// The words by which the model declined.
    pub(super) fn refusal(&self) -> Option<String> {
        let passed_on = || {
            let fields = self.provider_specific_fields.and_then(value)?;
            Some(fields.get("refusal")?.as_str()?.to_owned())
        };
        self.refusal.clone().or_else(passed_on).filter(|words| !words.trim().is_empty())
    }

    /// Whether there is a call, whatever is in it.
    pub(super) fn calls(&self) -> bool {
        let calls = self.tool_calls.and_then(value);
        self.function_call.and_then(value).is_some_and(|call| !call.is_null())
            || calls.is_some_and(|calls| calls.as_array().is_some_and(|calls| !calls.is_empty()))
    }

    /// The arguments of the first call that has any.
    fn arguments(&self) -> Option<String> {
        let calls = self.tool_calls.and_then(value);
        let calls =
            calls.iter().filter_map(Value::as_array).flatten().cloned().chain(self.function_call.and_then(value));
        let arguments = calls.filter_map(|call| {
            let call = call.get("function").cloned().unwrap_or(call);
            let arguments = ["arguments", "parameters", "input"].iter().find_map(|key| call.get(key))?;
            Some(arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned))
        });
        arguments
            .filter(|text| text.trim().len() > "{}".len())
            .find(|text| text.trim_start().starts_with(['{', '[', '"']))
    }

    fn reasons(&self) -> impl Iterator<Item = Value> {
        [self.reasoning_content, self.reasoning, self.thinking].into_iter().flatten().filter_map(value)
    }

    /// Reasoning that is JSON from its first to its last letter.
    fn reasoned(&self) -> Option<String> {
        let texts = self.reasons().filter_map(|reasoning| Some(reasoning.as_str()?.trim().to_owned()));
        let is_json = |text: &String| {
            let bare = text.trim_start_matches("```json").trim_matches('`').trim();
            bare.starts_with(['{', '[']) && serde_json::from_str::<Value>(bare).is_ok()
        };
        texts.into_iter().find(is_json)
    }

    fn has_reasoned(&self) -> bool {
        self.reasons().any(|reasoning| match reasoning {
            Value::String(text) => !text.trim().is_empty(),
            Value::Array(parts) => !parts.is_empty(),
            other => !other.is_null(),
        })
    }
}

/// A part of an answer, taken apart.
pub(super) fn value(raw: &RawValue) -> Option<Value> {
    serde_json::from_str(raw.get()).ok()
}

/// The text of some content: a string, parts, one part, or the JSON that was asked for, taken apart by the server already.
fn text_of(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) if parts.iter().all(is_part) => Some(parts.iter().filter_map(text_of_part).collect()),
        Value::Object(_) if is_part(content) => Some(text_of_part(content).unwrap_or_default()),
        Value::Array(_) | Value::Object(_) => Some(content.to_string()),
        _ => None,
    }
}

fn is_part(part: &Value) -> bool {
    part.is_string()
        || part.get("type").is_some_and(Value::is_string)
        || part.get("thought").is_some()
        || part.as_object().is_some_and(|part| part.len() == 1 && part.contains_key("text"))
}

/// The text of a part that is said. Parts of any other type, such as `thinking` and `reasoning`, are not.
fn text_of_part(part: &Value) -> Option<String> {
    if let Some(text) = part.as_str() {
        return Some(text.to_owned());
    }
    let is_said = part
        .get("type")
        .and_then(Value::as_str)
        .is_none_or(|kind| matches!(kind, "text" | "output_text" | "input_text" | "message" | "json" | "output_json"));
    if !is_said || part.get("thought").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    match ["text", "output_text", "content", "value", "json"].iter().find_map(|key| part.get(key))? {
        Value::String(text) => Some(text.clone()),
        inner @ Value::Array(_) => text_of(inner),
        inner => inner.get("value").and_then(Value::as_str).map(str::to_owned).or_else(|| Some(inner.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(message: &Value, wants_json: bool) -> Option<String> {
        serde_json::from_str::<Said<'_>>(&message.to_string()).unwrap().text(wants_json)
    }

    #[test]
    fn parts_that_are_said_are_joined_and_thoughts_are_left_out() {
        let thinking = json!({"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]});
        let said = json!({"type": "text", "text": "We wait."});
        for parts in [
            json!([said]),
            json!([thinking, said]),
            json!([{"type": "reasoning", "text": "Hm."}, said]),
            json!([{"type": "redacted_thinking", "data": "x"}, {"type": "output_text", "text": "We wait."}]),
            json!([{"text": "Hm.", "thought": true}, {"text": "We wait."}]),
            json!([{"type": "message", "content": [{"type": "output_text", "text": "We wait."}]}]),
            json!([{"type": "text", "text": {"value": "We wait."}}]),
            json!([{"type": "text", "text": "We "}, {"type": "image"}, "wait."]),
            said.clone(),
        ] {
            assert_eq!(text(&json!({"content": parts}), false).as_deref(), Some("We wait."), "{parts}");
        }
        for nothing in [json!([thinking]), json!([])] {
            assert_eq!(text(&json!({"content": nothing}), false).as_deref(), Some(""));
        }
    }

    #[test]
    fn json_is_read_where_it_stands() {
        let object = json!({"next": "Bob"});
        let written = object.to_string();
        for message in [
            json!({"content": written}),
            json!({"content": object}),
            json!({"content": null, "tool_calls": [{"id": "1", "function": {"name": "json", "arguments": written}}]}),
            json!({"content": "", "tool_calls": [{"function": {"name": "json", "arguments": object}}]}),
            json!({"content": "I call the tool.", "tool_calls": [{"function": {"arguments": written}}]}),
            json!({"content": null, "function_call": {"name": "json", "arguments": written}}),
            json!({"content": null, "reasoning_content": written}),
            json!({"content": "", "reasoning": format!(" {written}\n")}),
        ] {
            let read = text(&message, true).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&read).unwrap(), object, "{message}");
        }
        let list = json!([{"next": "Bob"}]);
        assert_eq!(text(&json!({"content": list}), true), Some(list.to_string()));
    }

    #[test]
    fn thoughts_and_foreign_calls_are_no_answer() {
        let call =
            json!({"content": null, "tool_calls": [{"function": {"name": "search", "arguments": "{\"q\": \"x\"}"}}]});
        assert_eq!(text(&call, false), None, "a line is no argument of a call");
        assert_eq!(text(&json!({"content": null, "tool_calls": [{"function": {"arguments": "{}"}}]}), true), None);
        let thought = json!({"content": null, "reasoning_content": "Maybe {\"next\": \"Bob\"}, or not."});
        assert_eq!(text(&thought, true).as_deref(), Some(""));
        assert_eq!(text(&thought, false).as_deref(), Some(""));
        assert_eq!(text(&json!({"content": null}), true), None);
        assert_eq!(text(&json!({"content": "Fine.", "reasoning_content": "Hm."}), false).as_deref(), Some("Fine."));
    }
}
