use serde::{Deserialize, Serialize};

/// A group of people, how they are related, and what they are about to talk about.
///
/// The paper (arXiv 2503.17460) calls this an *experience*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Situation {
    /// `s-<round>-<call>-<index>`, zero-padded; imported situations keep their own id.
    pub id: String,
    /// The split of its people.
    pub split: String,
    /// Who takes part, in the order in which they are presented to the model.
    pub personas: Vec<Participant>,
    /// How they are related.
    pub relations: Vec<Relation>,
    /// What is going on, in the third person.
    pub situation: String,
    /// What they talk about, in a few words.
    pub topic: String,
    /// The line that opens the conversation. It belongs to no one and is not a turn.
    pub conversation_starter: String,
    /// BCP 47 tag of the language it is written in.
    pub language: String,
    /// The coverage cell it was conditioned on, a JSON object as text.
    pub attributes: String,
    /// Where it came from (prompt, shots, model, round), a JSON object as text.
    pub provenance: String,
    /// What a seed said of it, such as an intent, and where the seed came from: a JSON object; `{}` without a seed.
    pub labels: String,
    /// `content_hash` of people, situation, topic and starter.
    pub hash: String,
}

/// A person in a [`Situation`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// The persona's id, or `<situation id>-p<n>` for a person the model invented.
    pub id: String,
    /// A readable name, no two in a group that could be confused.
    pub name: String,
    /// One short sentence in the third person: what the speaker selector reads.
    pub description: String,
    /// The persona: what only this person's own prompt says.
    pub persona: String,
    /// Their position on the topic, if the situation gives them one.
    pub stance: Option<String>,
    /// What they want from this conversation, if the situation says so.
    pub goal: Option<String>,
    /// What they alone know, if anything.
    pub knowledge: Option<String>,
}

/// How one person of a group stands to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Participant id.
    pub from: String,
    /// Participant id.
    pub to: String,
    /// A word or two, such as `colleague`. Empty when only the text is known.
    pub r#type: String,
    /// The relation as a sentence.
    pub text: String,
}

impl Situation {
    /// Recomputes [`Situation::hash`] from the content.
    pub fn content_hash(&self) -> String {
        let people = self.personas.iter().flat_map(|p| [p.name.as_str(), p.persona.as_str()]);
        super::content_hash(people.chain([
            self.situation.as_str(),
            self.topic.as_str(),
            self.conversation_starter.as_str(),
        ]))
    }
}
