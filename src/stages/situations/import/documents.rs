//! What a JSON document of upstream ConvoGen holds: a situation, a list of them, or a finished chat with the one it grew from.

use std::path::Path;

use serde_json::{Value, json};

use crate::prompt::individuals;

/// Where a finished chat keeps its situation.
const SITUATION: &str = "situation_config";
/// What a chat says of itself besides what was said.
const OF_CHATS: [&str; 4] = ["meetingID", "speakerMap", "Conversation", SITUATION];

/// The situations in the `text` of `file`, each with an id; or what the file is instead.
pub(super) fn situations(file: &Path, text: &[u8]) -> Result<Vec<Value>, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let value: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let items = match value {
        Value::Array(items) => items.into_iter().map(of_chat).collect(),
        value => vec![of_chat(value)],
    };
    let is_alone = items.len() == 1;
    let named = (1..).zip(items).map(|(at, mut item): (u32, Value)| {
        if !individuals::is_one(&item) && item.get("personas").is_none() {
            return Err(OTHER.to_owned());
        }
        let id = if is_alone { stem.to_string() } else { format!("{stem}-{at:04}") };
        if let Some(map) = item.as_object_mut().filter(|map| !map.contains_key("id")) {
            map.insert("id".to_owned(), json!(id));
        }
        Ok(item)
    });
    named.collect()
}

/// What a file is told that holds something else.
const OTHER: &str = "neither a situation (`individuals` or `personas`) nor a finished chat (`situation_config`); leave it out of the folder, or name a pattern such as chat-*.json";

/// The situation of a chat, with what stands beside it as labels; anything else as it is.
pub(super) fn of_chat(mut value: Value) -> Value {
    let Some(Value::Object(mut situation)) = value.get_mut(SITUATION).map(Value::take) else { return value };
    let beside = value.as_object().into_iter().flatten().filter(|(key, _)| !OF_CHATS.contains(&key.as_str()));
    for (key, label) in beside {
        situation.entry(key.clone()).or_insert_with(|| label.clone());
    }
    if let Some(meeting) = value.get("meetingID").and_then(Value::as_str) {
        situation.entry("id").or_insert_with(|| json!(meeting));
    }
    Value::Object(situation)
}
