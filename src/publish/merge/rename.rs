//! Ids of several runs kept apart, and references kept whole.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Batch;
use crate::record::{Conversation, Relation, Situation};

/// Puts the run's mark in front of every id and every reference, and into the provenance.
pub(super) fn mark(batch: &mut Batch) {
    let mark = &batch.mark;
    let put = |id: &mut String| *id = format!("{mark}-{id}");
    for persona in &mut batch.personas {
        put(&mut persona.id);
    }
    for situation in &mut batch.situations {
        put(&mut situation.id);
        people_in_situation(situation, &put);
        situation.provenance = with_run(&situation.provenance, mark);
    }
    for conversation in &mut batch.conversations {
        put(&mut conversation.id);
        put(&mut conversation.situation_id);
        people_in_conversation(conversation, &put);
        conversation.hash = conversation.content_hash();
        conversation.provenance = with_run(&conversation.provenance, mark);
    }
}

/// Gives people of a situation the ids they have elsewhere.
pub(super) fn people_of_situation(situation: &mut Situation, ids: &BTreeMap<String, String>) {
    people_in_situation(situation, &|id| replace(id, ids));
}

/// Gives people of a conversation the ids they have elsewhere.
pub(super) fn people_of_conversation(conversation: &mut Conversation, ids: &BTreeMap<String, String>) {
    people_in_conversation(conversation, &|id| replace(id, ids));
    conversation.hash = conversation.content_hash();
}

fn replace(id: &mut String, ids: &BTreeMap<String, String>) {
    if let Some(other) = ids.get(id) {
        id.clone_from(other);
    }
}

fn people_in_situation(situation: &mut Situation, change: &impl Fn(&mut String)) {
    situation.personas.iter_mut().for_each(|person| change(&mut person.id));
    people_in_relations(&mut situation.relations, change);
}

fn people_in_conversation(conversation: &mut Conversation, change: &impl Fn(&mut String)) {
    conversation.participants.iter_mut().for_each(|person| change(&mut person.id));
    people_in_relations(&mut conversation.relations, change);
    for turn in &mut conversation.turns {
        change(&mut turn.speaker_id);
        turn.addressee_id.iter_mut().for_each(change);
    }
}

fn people_in_relations(relations: &mut [Relation], change: &impl Fn(&mut String)) {
    for relation in relations {
        change(&mut relation.from);
        change(&mut relation.to);
    }
}

/// The provenance with the run it belongs to. What is no JSON object is kept beside it.
fn with_run(provenance: &str, mark: &str) -> String {
    let mut object = match serde_json::from_str(provenance) {
        Ok(Value::Object(object)) => object,
        _ => Map::from_iter([("provenance".to_owned(), json!(provenance))]),
    };
    object.insert("run".to_owned(), json!(mark));
    Value::Object(object).to_string()
}
