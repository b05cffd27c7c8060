//! A conversation as one of its speakers sees it: what they know, and who said what to them.

use super::secrets::{OwnSecrets, RoomSecrets};
use crate::record::{Conversation, Speaker};

/// Which side of a chat a message is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// The opening line and everyone else.
    Others,
    /// The speaker whose view it is.
    Own,
}

/// What one side says until the other does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passage {
    pub side: Voice,
    pub text: String,
}

/// A conversation as one of its speakers sees it.
#[derive(Debug)]
pub(super) struct View<'a> {
    /// Whose it is.
    pub person: &'a Speaker,
    /// Who they are, what they keep to themself, where, and with whom. Of the others it says what everybody may know.
    pub system: String,
    /// The sides take turns, the others first and the person last.
    pub spoken: Vec<Passage>,
}

impl View<'_> {
    /// Identifies it among all views of all conversations.
    pub(super) fn id(&self, talk: &Conversation) -> String {
        format!("{}#{}", talk.id, self.person.id)
    }
}

/// The views of all who speak after someone else did.
pub(super) fn views<'a>(talk: &'a Conversation, secrets: &RoomSecrets) -> impl Iterator<Item = View<'a>> {
    talk.participants.iter().filter_map(|person| {
        let spoken = spoken(talk, person);
        (!spoken.is_empty()).then(|| View { person, system: system(talk, person, &secrets.of(&person.id)), spoken })
    })
}

/// Others by name, the own turns bare; neighbours of one side together; nothing behind the last own turn.
fn spoken(talk: &Conversation, person: &Speaker) -> Vec<Passage> {
    let starter = (Voice::Others, talk.conversation_starter.clone());
    let turns = talk.turns.iter().map(|turn| {
        if turn.speaker_id == person.id {
            (Voice::Own, turn.text.clone())
        } else {
            (Voice::Others, format!("{}: {}", turn.speaker, turn.text))
        }
    });
    let mut spoken: Vec<Passage> = Vec::new();
    for (side, text) in [starter].into_iter().chain(turns).filter(|(_, text)| !text.trim().is_empty()) {
        match spoken.last_mut() {
            Some(last) if last.side == side => last.text += &format!("\n{text}"),
            // There is nobody to answer yet.
            None if side == Voice::Own => {}
            _ => spoken.push(Passage { side, text }),
        }
    }
    if spoken.last().is_some_and(|last| last.side == Voice::Others) {
        spoken.pop();
    }
    spoken
}

fn system(talk: &Conversation, person: &Speaker, secrets: &OwnSecrets) -> String {
    let others = talk.participants.iter().filter(|other| other.id != person.id);
    let others: Vec<String> = others.map(|other| format!("- {}: {}", other.name, other.description)).collect();
    let relations = talk.relations.iter().filter(|relation| !relation.text.trim().is_empty());
    let relations: Vec<String> = relations.map(|relation| format!("- {}", relation.text)).collect();
    let Speaker { name, description, persona, .. } = person;
    let parts = [
        format!("You are {name}. {description}"),
        persona.clone(),
        kept(secrets),
        format!("Situation: {}", talk.situation),
        format!("Topic: {}", talk.topic),
        titled("The others:", &others),
        titled("How you know each other:", &relations),
    ];
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// What a person keeps to themself, a line each.
fn kept(secrets: &OwnSecrets) -> String {
    let OwnSecrets { stance, goal, knowledge } = secrets;
    let lines = [("Your stance", stance), ("Your goal", goal), ("Only you know", knowledge)];
    let lines = lines.into_iter().filter_map(|(title, text)| Some((title, text.as_deref()?.trim())));
    let lines = lines.filter(|(_, text)| !text.is_empty()).map(|(title, text)| format!("{title}: {text}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Lines below a title; nothing without lines.
fn titled(title: &str, lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("{title}\n{}", lines.join("\n")) }
}
