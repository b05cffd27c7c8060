//! The JSON object in a reply.
//!
//! Models wrap JSON in prose and code fences, leave a comma before a bracket, break strings across lines, write a draft
//! before the object they mean, or put it into the form of a tool call. [`json`] survives that and nothing more: it never
//! completes what is missing, so a torn reply stays an error.

use std::iter::Peekable;
use std::str::CharIndices;

use serde_json::Value;

use super::characters::{printable, whole_surrogates};
use super::{Unread, answer, has_words, thinking, tokens};

/// Longest reply that is looked at, in bytes: far above what `max_tokens` lets through.
pub(crate) const MAX_REPLY_BYTES: usize = 1024 * 1024;
/// Places at which JSON is looked for. Prose rarely has more brackets than this, and each costs a pass over the reply.
const MAX_STARTS: usize = 32;
/// Wrappers within wrappers.
const MAX_WRAPPERS: u32 = 8;

/// A reply that holds no JSON value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReplyError {
    /// Nothing but white space.
    #[error("the reply is empty; answer with one JSON object")]
    Empty,
    /// Longer than [`MAX_REPLY_BYTES`].
    #[error("the reply has {0} bytes; at most {MAX_REPLY_BYTES} are read")]
    TooLong(usize),
    /// No object and no list anywhere.
    #[error("the reply has no JSON in it; answer with one JSON object and nothing else")]
    NoJson,
    /// It ends before the JSON does.
    #[error("the JSON of the reply is cut off; answer with the whole object, shorter if need be")]
    Truncated,
    /// Brackets that match around something that is not JSON.
    #[error("the reply is not valid JSON: {0}")]
    Invalid(String),
    /// No answer, or markup within it.
    #[error("{0}; answer with one JSON object and nothing else")]
    Unread(#[from] Unread),
}

/// The JSON object, or else list, in a reply: the last one that has one of `keys`, unwrapped; where none has, the first.
pub(crate) fn json(reply: &str, keys: &[&str]) -> Result<Value, ReplyError> {
    if reply.len() > MAX_REPLY_BYTES {
        return Err(ReplyError::TooLong(reply.len()));
    }
    let text = reply.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(ReplyError::Empty);
    }
    let mut value = match read_clean(text) {
        Some(value) => reach(value, keys, MAX_WRAPPERS).unwrap_or_else(|whole| whole),
        None => find(thinking::behind(text)?, keys, MAX_WRAPPERS)?,
    };
    tidy(&mut value)?;
    Ok(value)
}

/// The value that `text` is, with nothing around it and nothing to mend.
fn read_clean(text: &str) -> Option<Value> {
    // JSON lets characters such as delete stand in a string; here they become spaces.
    let is_clean = text.starts_with(['{', '"']) && !text.contains(is_late_control);
    if is_clean { serde_json::from_str(text).ok() } else { None }
}

/// The control characters that JSON allows in strings: delete and what follows it.
fn is_late_control(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}')
}

/// Looks for JSON in `text`, of which it need not be the whole.
fn find(text: &str, keys: &[&str], wrappers: u32) -> Result<Value, ReplyError> {
    let text = whole_surrogates(text);
    let mut found = Found::default();
    let mut from = 0;
    for _ in 0..MAX_STARTS {
        let Some(start) = text.get(from..).and_then(|rest| rest.find(['{', '['])).map(|at| from + at) else { break };
        if found.wanted.is_some() && text.get(from..start).is_some_and(|gap| tokens::first_in(gap).is_some()) {
            // Another message begins there.
            break;
        }
        let rest = text.get(start..).unwrap_or_default();
        from = start + 1;
        if let Some((string, length)) = quoted(&text, start) {
            from = start + length;
            found.take(string, keys, wrappers);
            continue;
        }
        match read_at(rest) {
            Ok((value, length)) => {
                from = start + length;
                found.take(value, keys, wrappers);
            }
            Err(error) => found.fail(error, rest),
        }
    }
    found.value()
}

/// The string around the bracket at `start` that begins with it, and the bytes behind the bracket that it takes: JSON in a
/// string has its quotes escaped.
fn quoted(text: &str, start: usize) -> Option<(Value, usize)> {
    let before = text.get(..start)?;
    // A string in a string has a backslash before its own quote.
    let from = before.trim_end_matches(['"', '\\']).len();
    let is_escaped = text.get(start + 1..)?.trim_start().starts_with('\\');
    if from == start || !is_escaped {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text.get(from..)?).into_iter();
    let string = values.next()?.ok()?;
    Some((string, (from + values.byte_offset()).saturating_sub(start)))
}

/// What was found so far.
#[derive(Default)]
struct Found {
    /// The last value with one of the keys.
    wanted: Option<Value>,
    /// The first object, and the first list.
    object: Option<Value>,
    list: Option<Value>,
    /// The first error says most: later starts are mostly inside the same broken value.
    error: Option<ReplyError>,
    /// Whether an object has no end: what seems whole behind its beginning is a part of it.
    torn: bool,
}

impl Found {
    fn take(&mut self, value: Value, keys: &[&str], wrappers: u32) {
        match reach(value, keys, wrappers) {
            Ok(wanted) => self.wanted = Some(wanted),
            Err(value @ Value::Array(_)) => self.list = self.list.take().or(Some(value)),
            Err(value) => self.object = self.object.take().or(Some(value)),
        }
    }

    fn fail(&mut self, error: ReplyError, rest: &str) {
        let begins_object = rest.get(1..).is_some_and(|inside| inside.trim_start().starts_with('"'));
        self.torn |= error == ReplyError::Truncated && rest.starts_with('{') && begins_object;
        self.error = self.error.take().or(Some(error));
    }

    /// A list before an object is prose such as `[1]`, unless it holds objects.
    fn value(self) -> Result<Value, ReplyError> {
        if self.torn {
            return Err(ReplyError::Truncated);
        }
        let list_of_objects = self.list.as_ref().is_some_and(has_objects);
        let others = if list_of_objects { self.list.or(self.object) } else { self.object.or(self.list) };
        self.wanted.or(others).ok_or(self.error.unwrap_or(ReplyError::NoJson))
    }
}

fn has_objects(list: &Value) -> bool {
    list.as_array().is_some_and(|items| items.iter().any(Value::is_object))
}

/// The value within `value` that has one of `keys`, if any has: a tool call's arguments, the only item of a list, JSON in a
/// string, the value of any key.
fn reach(value: Value, keys: &[&str], wrappers: u32) -> Result<Value, Value> {
    let is_one_of_many = value.as_array().is_none_or(|items| items.len() > 1);
    if holds(&value, keys) && is_one_of_many {
        return Ok(value);
    }
    let Some(wrappers) = wrappers.checked_sub(1) else { return Err(value) };
    let within = |inner: &Value| reach(inner.clone(), keys, wrappers).ok();
    let found = match &value {
        Value::String(text) if text.contains(['{', '[']) => {
            find(text, keys, wrappers).ok().filter(|found| holds(found, keys))
        }
        Value::Array(items) => items.iter().find_map(within),
        Value::Object(map) => map.values().find_map(within),
        _ => None,
    };
    found.ok_or(value)
}

/// Whether `value`, or an item of it, has one of `keys`.
fn holds(value: &Value, keys: &[&str]) -> bool {
    let has_key = |value: &Value| keys.iter().any(|key| value.get(key).is_some());
    has_key(value) || value.as_array().is_some_and(|items| items.iter().any(has_key))
}

/// Takes what no text may have out of every text of `value`.
fn tidy(value: &mut Value) -> Result<(), Unread> {
    match value {
        Value::String(text) if text.contains(|c: char| c.is_control() || matches!(c, '<' | '[' | ']' | '◁')) => {
            let printed = printable(text).into_owned();
            *text = if has_words(&printed) { answer(&printed)?.into_owned() } else { printed };
        }
        Value::Array(items) => items.iter_mut().try_for_each(tidy)?,
        Value::Object(map) => map.values_mut().try_for_each(tidy)?,
        _ => {}
    }
    Ok(())
}

/// The value that starts at the beginning of `text`, and the bytes it takes there.
fn read_at(text: &str) -> Result<(Value, usize), ReplyError> {
    let (clean, length) = balanced(text).ok_or(ReplyError::Truncated)?;
    let value = serde_json::from_str(&clean).map_err(|error| ReplyError::Invalid(error.to_string()))?;
    Ok((value, length))
}

/// The text up to the bracket that closes the first one, with commas before closing brackets left out and line breaks in
/// strings escaped, and its length before that. `None` if nothing closes it.
fn balanced(text: &str) -> Option<(String, usize)> {
    let mut clean = String::with_capacity(text.len().min(64 * 1024));
    let mut depth = 0_usize;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => copy_string(&mut chars, &mut clean)?,
            ',' if closes_next(&chars) => {}
            '/' if skip_comment(&mut chars) => {}
            _ => clean.push(c),
        }
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((clean, at + c.len_utf8()));
        }
    }
    None
}

/// Passes over a comment whose first slash has been read, if it is one.
fn skip_comment(chars: &mut Peekable<CharIndices<'_>>) -> bool {
    match chars.peek().map(|(_, c)| *c) {
        Some('/') => {
            chars.find(|(_, c)| *c == '\n');
        }
        Some('*') => {
            let mut before = ' ';
            chars.by_ref().skip(1).find(|(_, c)| std::mem::replace(&mut before, *c) == '*' && *c == '/');
        }
        _ => return false,
    }
    true
}

/// Copies a string whose opening quote has been read. `None` if it does not end. A backslash before what needs none, as in
/// Markdown's `\_`, is left out.
fn copy_string(chars: &mut Peekable<CharIndices<'_>>, clean: &mut String) -> Option<()> {
    clean.push('"');
    loop {
        match chars.next()?.1 {
            '\\' => match chars.next()?.1 {
                escaped @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' | 'u') => clean.extend(['\\', escaped]),
                '\n' => clean.push_str("\\n"),
                c if c.is_control() => clean.push(' '),
                c => clean.push(c),
            },
            '"' => {
                clean.push('"');
                return Some(());
            }
            '\n' => clean.push_str("\\n"),
            c if c.is_control() => clean.push(' '),
            c => clean.push(c),
        }
    }
}

fn closes_next(chars: &Peekable<CharIndices<'_>>) -> bool {
    chars.clone().map(|(_, c)| c).find(|c| !c.is_whitespace()).is_some_and(|c| matches!(c, '}' | ']'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::json as read;
    use super::*;

    fn read_json(text: &str) -> Result<Value, ReplyError> {
        read(text, &["text"])
    }

    #[test]
    fn ugly_replies_are_read() {
        let object = json!({"a": [1, {"b": "x}, ]"}]});
        for ugly in [
            r#"{"a": [1, {"b": "x}, ]"}]}"#,
            "\u{feff} {\"a\":[1,{\"b\":\"x}, ]\"}]}",
            "```json\n{\"a\": [1, {\"b\": \"x}, ]\"}]}\n```",
            "Sure! Here it is:\n\n```\n{\"a\": [1, {\"b\": \"x}, ]\"}]}\n```\nAnything else {or not}?",
            "As in [1] and {this}: {\"a\": [1, {\"b\": \"x}, ]\"}]} I hope it helps",
            "{\"a\": [1, {\"b\": \"x}, ]\",},\n],\n}",
            "{\"a\": [1, // one\n {\"b\": \"x}, ]\"} /* and, ] */ ]}",
            "{'a'} {\"a\": [1, {\"b\": \"x}, ]\"}]}",
        ] {
            assert_eq!(read_json(ugly), Ok(object.clone()), "{ugly}");
        }
        assert_eq!(read_json("so: [{\"a\": 1}, {\"a\": 2},]"), Ok(json!([{"a": 1}, {"a": 2}])));
        assert_eq!(read_json("[{\"a\": 1}] and {\"b\": 2}"), Ok(json!([{"a": 1}])));
        assert_eq!(read_json("{\"a\": \"two\nlines\t\"}"), Ok(json!({"a": "two\nlines "})));
        assert_eq!(read_json(r#"{"a": "a \"quote\" and \\"}"#), Ok(json!({"a": "a \"quote\" and \\"})));
        assert_eq!(read_json(r#"{"a": "Ann\_Lee",}"#), Ok(json!({"a": "Ann_Lee"})));
    }

    #[test]
    fn what_is_no_json_says_why() {
        let errors: Vec<String> =
            ["  ", "I cannot do that.", "{\"a\": [1, 2", "{\"a\": \"torn", "{\"a\" 1}", "{{{{", "<think>{}"]
                .iter()
                .map(|text| read_json(text).unwrap_err().to_string())
                .chain([read_json(&"[".repeat(MAX_REPLY_BYTES + 1)).unwrap_err().to_string()])
                .collect();
        insta::assert_snapshot!(errors.join("\n"), @r#"
        the reply is empty; answer with one JSON object
        the reply has no JSON in it; answer with one JSON object and nothing else
        the JSON of the reply is cut off; answer with the whole object, shorter if need be
        the JSON of the reply is cut off; answer with the whole object, shorter if need be
        the reply is not valid JSON: expected `:` at line 1 column 6
        the JSON of the reply is cut off; answer with the whole object, shorter if need be
        the reply is thoughts about the answer and no answer; answer with one JSON object and nothing else
        the reply has 1048577 bytes; at most 1048576 are read
        "#);
        // Deep nesting ends in an error, not in the stack.
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(read_json(&deep), Err(ReplyError::Invalid(_))));
    }

    const MEANT: &str = r#"{"text": "We wait.", "next": "Bob", "end": false}"#;

    #[test]
    fn the_object_that_was_meant_is_the_last_that_has_the_key() {
        let draft = r#"{"text": "DRAFT", "next": "", "end": false}"#;
        for reply in [
            format!("Maybe {draft} would do, but no.\n</think>\n\n{MEANT}"),
            format!("<think>{draft} or {draft}</think>{MEANT}"),
            format!("First draft: {draft}\nBetter:\n```json\n{MEANT}\n```"),
            format!("{draft}\n{MEANT}"),
            format!("{MEANT} That has the keys {{text}}, {{next}} and {{\"end\": true}}."),
            format!("{MEANT}<|im_end|>\n<|im_start|>user\nAgain.<|im_end|>{draft}"),
            format!("<|channel|>analysis<|message|>{draft}<|end|><|start|>assistant<|channel|>final<|message|>{MEANT}"),
            format!("<|channel|>commentary to=functions.turn <|constrain|>json<|message|>{MEANT}<|call|>"),
        ] {
            assert_eq!(read_json(&reply).map(|value| value["text"].clone()), Ok(json!("We wait.")), "{reply}");
        }
        for torn in
            [format!("{draft} no, better: {{\"text\": \"We wa"), format!("<think>{draft}</think>{{\"text\": \"We")]
        {
            assert_eq!(read_json(&torn), Err(ReplyError::Truncated), "a draft never stands in for it: {torn}");
        }
    }

    #[test]
    fn an_object_in_a_wrapper_is_unwrapped() {
        let meant: Value = serde_json::from_str(MEANT).unwrap();
        let text = meant.to_string();
        for wrapped in [
            json!({"name": "turn", "parameters": meant}),
            json!({"name": "turn", "arguments": meant}),
            json!({"name": "turn", "arguments": text}),
            json!({"type": "function", "function": {"name": "turn", "arguments": text}}),
            json!({"tool_calls": [{"function": {"arguments": text}}]}),
            json!([{"name": "turn", "parameters": meant}]),
            json!({"action": "turn", "action_input": meant}),
            json!({"response": meant}),
            json!({"turn": meant}),
            json!(text),
            json!(json!(text).to_string()),
            json!({"output": json!(text).to_string()}),
            json!([meant]),
        ] {
            let read = [
                wrapped.to_string(),
                format!("<tool_call>\n{wrapped}\n</tool_call>"),
                format!("[TOOL_CALLS]{wrapped}"),
                format!("```json\n{wrapped}\n```"),
            ];
            for reply in read {
                let value = read_json(&reply).unwrap();
                let value = value.get(0).cloned().unwrap_or(value);
                assert_eq!(value, meant, "{reply}");
            }
        }
    }

    #[test]
    fn no_text_of_it_has_control_characters_tokens_or_thoughts() {
        for (text, clean) in [
            (r"Oh\u0000 no\u0007.", "Oh no."),
            (r"Oh \ud83d no.", "Oh \u{fffd} no."),
            (r"Oh\tno.", "Oh no."),
            ("We wait.<|im_end|>", "We wait."),
            ("<think>Hm.</think>We wait.", "We wait."),
            ("We wait [twice].", "We wait [twice]."),
            ("If 3 < 4", "If 3 < 4"),
        ] {
            assert_eq!(read_json(&format!("{{\"text\": \"{text}\"}}")), Ok(json!({"text": clean})), "{text}");
        }
        assert_eq!(read_json(r#"{"text": "We <|im_end|> wait"}"#), Err(ReplyError::Unread(Unread::Markup)));
    }

    proptest! {
        #[test]
        fn what_serde_writes_is_read_back(text in "[^\\p{C}<\\[\\]◁]{0,20}", prose in "[a-z .]{0,10}") {
            let value = json!({"k": [text, {"x": null}]});
            prop_assert_eq!(read_json(&format!("{prose}{value}{prose}")), Ok(value));
        }

        #[test]
        fn no_reply_makes_it_panic(text in "([\\[\\]{}\",:\\\\a1 \n]|\"text\":|<think>|</think>|\\\\ud83d){0,60}") {
            let _ = read_json(&text);
        }
    }
}
