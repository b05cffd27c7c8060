//! Ids of several runs kept apart, and references kept whole.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::record::{Conversation, Persona, Relation, Situation};

/// Puts the run's mark in front of the id.
pub(super) fn mark_persona(persona: &mut Persona, mark: &str) {
    put(&mut persona.id, mark);
}

/// Puts the run's mark in front of every id and every reference, and into the provenance.
pub(super) fn mark_situation(situation: &mut Situation, mark: &str) {
    put(&mut situation.id, mark);
    people_in_situation(situation, &|id| put(id, mark));
    situation.provenance = with_run(&situation.provenance, mark);
}

/// Puts the run's mark in front of every id and every reference, and into the provenance. The hash is left as it is.
pub(super) fn mark_conversation(conversation: &mut Conversation, mark: &str) {
    put(&mut conversation.id, mark);
    put(&mut conversation.situation_id, mark);
    people_in_conversation(conversation, &|id| put(id, mark));
    conversation.provenance = with_run(&conversation.provenance, mark);
}

fn put(id: &mut String, mark: &str) {
    *id = format!("{mark}-{id}");
}

/// The ids that people have elsewhere, by those they have here.
type Elsewhere = BTreeMap<String, String>;

/// Gives people of a situation the ids they have elsewhere.
pub(super) fn people_of_situation(situation: &mut Situation, elsewhere: &Elsewhere) {
    people_in_situation(situation, &|id| replace(id, elsewhere));
}

/// Gives people of a conversation the ids they have elsewhere. The hash is left as it is.
pub(super) fn people_of_conversation(conversation: &mut Conversation, elsewhere: &Elsewhere) {
    people_in_conversation(conversation, &|id| replace(id, elsewhere));
}

fn replace(id: &mut String, elsewhere: &Elsewhere) {
    if let Some(other) = elsewhere.get(id) {
        other.clone_into(id);
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
