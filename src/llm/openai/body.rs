//! The body of an answer as JSON text, whatever a server wraps it in.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::prompt::reading::characters::whole_surrogates;

/// What ends a stream of events.
const DONE: &str = "[DONE]";

/// The JSON of a body: what is no UTF-8, and halves of surrogate pairs, become U+FFFD; a stream of events that nobody asked
/// for is put together.
pub(super) fn text(body: &[u8]) -> Cow<'_, str> {
    let text = match String::from_utf8_lossy(body) {
        Cow::Borrowed(text) => whole_surrogates(text.trim_start_matches('\u{feff}')),
        Cow::Owned(text) => Cow::Owned(whole_surrogates(text.trim_start_matches('\u{feff}')).into_owned()),
    };
    // Within a string of JSON no line ends.
    let is_stream = text.contains("data:") && text.lines().any(|line| line.trim_start().starts_with("data:"));
    let whole = if is_stream { of_events(&text) } else { None };
    whole.map_or(text, Cow::Owned)
}

/// The completion in a stream of events: the whole one in front, or one made of the pieces.
fn of_events(text: &str) -> Option<String> {
    let line = |line: &'_ str| line.trim().strip_prefix("data:").map(str::trim).map(str::to_owned);
    if text.trim_start().starts_with('{') {
        let whole: Vec<&str> = text.lines().take_while(|written| line(written).is_none()).collect();
        return Some(whole.join("\n"));
    }
    let events = text.lines().filter_map(line).filter(|event| event != DONE);
    let events: Vec<Value> = events.filter_map(|event| serde_json::from_str(&event).ok()).collect();
    match events.as_slice() {
        [] => None,
        [whole] => Some(whole.to_string()),
        pieces => Some(joined(pieces).to_string()),
    }
}

/// The completion that pieces make. An error among them is what came of it.
fn joined(pieces: &[Value]) -> Value {
    let last =
        |pointer: &str| pieces.iter().rev().filter_map(|piece| piece.pointer(pointer)).find(|value| !value.is_null());
    if let Some(error) = last("/error") {
        return json!({ "error": error });
    }
    let text = |key: &str| -> String {
        let said = pieces.iter().filter_map(|piece| piece.pointer(&format!("/choices/0/delta/{key}"))?.as_str());
        said.collect()
    };
    let keys = ["content", "reasoning_content", "reasoning", "refusal"].into_iter();
    let message: Map<String, Value> = keys
        .map(|key| (key.to_owned(), text(key)))
        .filter(|(_, said)| !said.is_empty())
        .map(|(key, said)| (key, said.into()))
        .collect();
    json!({"choices": [{"message": message, "finish_reason": last("/choices/0/finish_reason")}], "usage": last("/usage")})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Value {
        serde_json::from_str(&text(body.as_bytes())).unwrap()
    }

    #[test]
    fn a_stream_that_nobody_asked_for_is_put_together() {
        let whole = json!({"choices": [{"message": {"content": "We wait."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9}});
        for body in [
            whole.to_string(),
            format!("\u{feff}{whole}"),
            format!("{whole}\n\ndata: [DONE]\n\n"),
            format!("data: {whole}\n\ndata: [DONE]\n\n"),
            format!(": comment\ndata:{whole}\n"),
            "data: {\"choices\": [{\"delta\": {\"role\": \"assistant\", \"content\": \"\"}}]}\n\n\
             data: {\"choices\": [{\"delta\": {\"content\": \"We \"}}]}\n\ndata: {\"choices\": [{\"delta\": {\"content\": \"wait.\"}}]}\n\n\
             data: {\"choices\": [{\"delta\": {}, \"finish_reason\": \"stop\"}]}\n\n\
             data: {\"choices\": [], \"usage\": {\"prompt_tokens\": 9}}\n\ndata: [DONE]\n\n"
                .to_owned(),
        ] {
            assert_eq!(read(&body), whole, "{body}");
        }
        let error = "data: {\"choices\": [{\"delta\": {\"content\": \"We \"}}]}\n\ndata: {\"error\": {\"message\": \"no\"}}\n\n";
        assert_eq!(read(error), json!({"error": {"message": "no"}}));
    }

    #[test]
    fn what_is_said_of_data_is_no_stream() {
        let said = json!({"choices": [{"message": {"content": "the data: {\"a\": 1}\ndata: two"}}]});
        assert_eq!(read(&said.to_string()), said);
    }

    #[test]
    fn bytes_and_halves_of_pairs_that_nobody_can_read_are_replaced() {
        assert_eq!(text(b"\"Oh \xff\xc3\""), "\"Oh \u{fffd}\u{fffd}\"");
        assert_eq!(text(br#""Oh \ud83d""#), r#""Oh \ufffd""#);
    }
}
