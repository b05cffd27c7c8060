//! The records of upstream `ConvoGen`: who spoke as `Guest1`, `Guest2` in the order of their first word, what they said, and the
//! situation it grew from.

use serde_json::{Map, Value, json};

use super::secrets::RoomSecrets;
use crate::config::export::ExportOptions;
use crate::prompt::individuals;
use crate::record::{Conversation, Relation};

/// The columns of a record, in order.
pub(super) const COLUMNS: [&str; 4] = ["meetingID", "speakerMap", "Conversation", "situation_config"];

/// The record. Its id is that of the conversation, so that it is the same every time.
pub(super) fn record(talk: &Conversation) -> Map<String, Value> {
    let mut guests = Map::new();
    for turn in &talk.turns {
        let next = format!("Guest{}", guests.len() + 1);
        guests.entry(turn.speaker.clone()).or_insert_with(|| next.into());
    }
    let said = talk.turns.iter().map(|turn| json!({"speaker": guests.get(&turn.speaker), "transcript": turn.text}));
    let said: Vec<Value> = said.collect();
    let values = [Value::from(talk.id.as_str()), guests.into(), said.into(), situation(talk)];
    COLUMNS.into_iter().map(str::to_owned).zip(values).collect()
}

/// People with the attributes they were invented by, if they were; labels beside what everyone has, as their author had them.
fn situation(talk: &Conversation) -> Value {
    let people = talk.participants.iter().map(|person| individuals::individual(&person.name, &person.persona));
    let relations: Vec<&str> = talk.relations.iter().map(told).filter(|text| !text.is_empty()).collect();
    let mut situation = json!({
        "individuals": people.collect::<Vec<_>>(), "relations": relations.join(" "), "situation": talk.situation,
        "topic": talk.topic, "conversationStarter": talk.conversation_starter,
    });
    let labels: Map<String, Value> = serde_json::from_str(&talk.labels).unwrap_or_default();
    let (beside, taken): (Map<_, _>, Map<_, _>) = labels.into_iter().partition(|(key, _)| individuals::is_label(key));
    if let Value::Object(map) = &mut situation {
        map.extend(beside);
        if !taken.is_empty() {
            map.insert("labels".to_owned(), taken.into());
        }
    }
    situation
}

fn told(relation: &Relation) -> &str {
    relation.text.trim()
}

/// The record as a row of four texts: three of them are JSON, since the keys of `speakerMap` differ from row to row.
pub(super) fn row(talk: &Conversation, _: &RoomSecrets, _: &ExportOptions) -> Vec<Value> {
    vec![record(talk).into_iter().map(|(key, value)| (key, Value::from(cell(&value)))).collect::<Map<_, _>>().into()]
}

/// A value as text: a string as it is, anything else as JSON.
pub(super) fn cell(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
