//! A conversation as a bystander reads it: as text, and as the question who speaks, or is spoken to.

use serde_json::{Value, json};

use super::secrets::RoomSecrets;
use crate::config::export::ExportOptions;
use crate::record::{Conversation, Speaker, Turn};

/// `{id, situation, topic, text}`
pub(super) fn transcript(talk: &Conversation, _: &RoomSecrets, _: &ExportOptions) -> Vec<Value> {
    let text = before(talk, talk.turns.len());
    vec![json!({"id": talk.id, "situation": talk.situation, "topic": talk.topic, "text": text})]
}

/// `{id, situation, context, candidates, speaker, label}`: everybody is a candidate.
pub(super) fn next_speaker(talk: &Conversation, _: &RoomSecrets, _: &ExportOptions) -> Vec<Value> {
    let people: Vec<&Speaker> = talk.participants.iter().collect();
    let row = |(at, turn): (usize, &Turn)| {
        let label = people.iter().position(|person| person.id == turn.speaker_id)?;
        Some(json!({
            "id": id(talk, turn), "situation": talk.situation, "context": before(talk, at),
            "candidates": candidates(&people), "speaker": turn.speaker, "label": label,
        }))
    };
    talk.turns.iter().enumerate().filter_map(row).collect()
}

/// `{id, situation, context, speaker, text, candidates, addressee, label}`, for turns that say whom they are said to: everybody
/// but the speaker is a candidate.
pub(super) fn addressee(talk: &Conversation, _: &RoomSecrets, _: &ExportOptions) -> Vec<Value> {
    let row = |(at, turn): (usize, &Turn)| {
        let wanted = turn.addressee_id.as_deref()?;
        let others: Vec<&Speaker> = talk.participants.iter().filter(|other| other.id != turn.speaker_id).collect();
        let label = others.iter().position(|other| other.id == wanted)?;
        let addressee = others.get(label)?;
        Some(json!({
            "id": id(talk, turn), "situation": talk.situation, "context": before(talk, at), "speaker": turn.speaker,
            "text": turn.text, "candidates": candidates(&others), "addressee": addressee.name, "label": label,
        }))
    };
    talk.turns.iter().enumerate().filter_map(row).collect()
}

fn id(talk: &Conversation, turn: &Turn) -> String {
    format!("{}#{}", talk.id, turn.index)
}

fn candidates(people: &[&Speaker]) -> Vec<Value> {
    let one = |person: &&Speaker| json!({"id": person.id, "name": person.name, "description": person.description});
    people.iter().map(one).collect()
}

/// The starter and the first `count` turns, a line each.
fn before(talk: &Conversation, count: usize) -> String {
    let starter = talk.conversation_starter.clone();
    let turns = talk.turns.iter().take(count).map(|turn| format!("{}: {}", turn.speaker, turn.text));
    let lines = [starter].into_iter().chain(turns).filter(|line| !line.trim().is_empty());
    lines.collect::<Vec<_>>().join("\n")
}
