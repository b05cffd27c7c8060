//! Conversations as other people's files hold them.
//!
//! | shape | found in |
//! | --- | --- |
//! | `{"turns" \| "messages" \| "conversations" \| "dialogue" …: [{"speaker" \| "role" \| "from" \| "name", "text" \| "content" \| "value" \| "utterance"}]}` | chat files, `ShareGPT` |
//! | `{"dialogue" …: "Ann: Hello\nBo: Hi"}` | `SAMSum`, `DialogSum` |
//!
//! Messages of the role `system` are instructions, not talk, and are passed over.

use serde_json::{Map, Value};

use super::dialogue::{Dialogue, DialogueLine, ForeignTalk, Speakers};

const LISTS: [&str; 8] =
    ["turns", "messages", "conversations", "conversation", "dialogue", "dialog", "utterances", "text"];
const SPEAKERS: [&str; 6] = ["speaker", "role", "from", "name", "speaker_id", "author"];
const TEXTS: [&str; 4] = ["text", "content", "value", "utterance"];
const IDS: [&str; 4] = ["id", "conversation_id", "dialogue_id", "dialog_id"];
/// Longest speaker label in front of a line, in characters.
const LABEL: usize = 40;

/// Reads a conversation; says what is missing where there is none.
pub(super) fn dialogue(value: &Value) -> Result<ForeignTalk, String> {
    let Value::Object(object) = value else {
        return Err("it is not a JSON object; each line holds one conversation as an object".to_owned());
    };
    let (key, said) = LISTS
        .iter()
        .find_map(|key| object.get(*key).filter(|said| said.is_array() || said.is_string()).map(|said| (*key, said)))
        .ok_or_else(|| format!("there are no turns: none of {} is a list or a text", LISTS.join(", ")))?;
    let mut cast = Speakers::default();
    let lines = match said {
        Value::Array(items) => from_list(key, items, &mut cast)?,
        other => from_text(other.as_str().unwrap_or_default(), &mut cast),
    };
    if lines.is_empty() {
        return Err(format!("`{key}` has no line with a speaker; lines look like `Ann: Hello`"));
    }
    let language = object.get("language").and_then(Value::as_str).map(str::to_owned);
    let dialogue = Dialogue { people: people(object, &mut cast), lines, language, ..Dialogue::default() };
    Ok(ForeignTalk { id: id(object), names: cast.names(), dialogue })
}

fn id(object: &Map<String, Value>) -> Option<String> {
    IDS.iter().find_map(|key| match object.get(*key)? {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    })
}

/// Everybody in the room where `participants` says so; else everybody who spoke.
fn people(object: &Map<String, Value>, cast: &mut Speakers) -> usize {
    let listed = object.get("participants").and_then(Value::as_array).map_or(0, Vec::len);
    cast.len().max(listed)
}

fn from_list(key: &str, items: &[Value], cast: &mut Speakers) -> Result<Vec<DialogueLine>, String> {
    let mut lines = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let text = |keys: &[&str]| keys.iter().find_map(|key| item.get(*key).and_then(Value::as_str));
        let speaker = text(&SPEAKERS).ok_or_else(|| lacks(key, at, "speaker", &SPEAKERS))?;
        let said = text(&TEXTS).ok_or_else(|| lacks(key, at, "text", &TEXTS))?;
        if !speaker.eq_ignore_ascii_case("system") {
            lines.push(DialogueLine { speaker: cast.position(speaker), text: said.to_owned() });
        }
    }
    Ok(lines)
}

fn lacks(key: &str, at: usize, what: &str, keys: &[&str]) -> String {
    format!("`{key}[{at}]` has no {what}: none of {} is a text", keys.join(", "))
}

/// Lines with a label in front. A line without one goes on with what was said before it.
fn from_text(text: &str, cast: &mut Speakers) -> Vec<DialogueLine> {
    let mut lines: Vec<DialogueLine> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some((name, said)) = labelled(line) {
            lines.push(DialogueLine { speaker: cast.position(name), text: said.to_owned() });
        } else if let Some(last) = lines.last_mut() {
            last.text.push('\n');
            last.text.push_str(line);
        }
    }
    lines
}

/// Name and text of `Ann: Hello`. A label is short and no sentence.
fn labelled(line: &str) -> Option<(&str, &str)> {
    let (name, said) = line.split_once([':', '：'])?;
    let name = name.trim();
    let is_label = !name.is_empty()
        && name.chars().count() <= LABEL
        && name.split_whitespace().count() <= 4
        && !name.contains(['.', '?', '!', ',', '/']);
    is_label.then(|| (name, said.trim()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(value: &Value) -> Vec<(usize, String)> {
        dialogue(value).unwrap().dialogue.lines.into_iter().map(|line| (line.speaker, line.text)).collect()
    }

    #[test]
    fn the_common_shapes_say_the_same() {
        let expected = [(0, "Hello".to_owned()), (1, "Hi".to_owned()), (0, "So: tea?".to_owned())];
        for value in [
            json!({"turns": [{"speaker": "Ann", "text": "Hello"}, {"speaker": "Bo", "text": "Hi"}, {"speaker": "Ann", "text": "So: tea?"}]}),
            json!({"messages": [{"role": "system", "content": "You are…"}, {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "So: tea?"}]}),
            json!({"conversations": [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi"}, {"from": "human", "value": "So: tea?"}]}),
            json!({"id": "1", "summary": "Tea.", "dialogue": "Ann: Hello\r\nBo: Hi\r\nAnn: So: tea?"}),
            json!({"dialogue": "#Person1#: Hello\n#Person2#: Hi\n\n#Person1#: So: tea?\n"}),
            json!({"dialogue": [{"name": "安", "utterance": "Hello"}, {"name": "波", "utterance": "Hi"}, {"name": "安", "utterance": "So: tea?"}]}),
        ] {
            assert_eq!(said(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_line_without_a_label_goes_on() {
        let value = json!({"dialogue": "Ann: I saw it.\nIt was this, and I mean it: huge\nBo: No"});
        assert_eq!(said(&value), [(0, "I saw it.\nIt was this, and I mean it: huge".to_owned()), (1, "No".to_owned())]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let problem = |value: &Value| dialogue(value).unwrap_err();
        assert!(problem(&json!([1])).contains("not a JSON object"));
        assert!(problem(&json!({"text": 3})).contains("there are no turns"));
        assert!(
            problem(&json!({"turns": [{"speaker": "a", "text": "b"}, {"text": "b"}]}))
                .contains("`turns[1]` has no speaker")
        );
        assert!(
            problem(&json!({"messages": [{"role": "user", "content": null}]})).contains("`messages[0]` has no text")
        );
        assert!(problem(&json!({"dialogue": "nobody speaks"})).contains("has no line with a speaker"));
    }

    #[test]
    fn the_silent_count_where_they_are_listed() {
        let value = json!({"participants": [1, 2, 3], "turns": [{"speaker": "a", "text": "b"}]});
        assert_eq!(dialogue(&value).unwrap().dialogue.people, 3);
    }
}
