use serde::{Deserialize, Serialize};

use super::Relation;

/// A finished conversation, one row of the dataset's main table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// `c-<situation id>-<replicate>`.
    pub id: String,
    /// The [`Situation`](super::Situation) it grew from.
    pub situation_id: String,
    /// Copied from the situation, so that a row stands alone.
    pub situation: String,
    /// Copied from the situation.
    pub topic: String,
    /// Copied from the situation; spoken by no one, not among the turns.
    pub conversation_starter: String,
    /// Copied from the situation.
    pub language: String,
    /// Copied from the situation.
    pub relations: Vec<Relation>,
    /// Who was in the room, whether they spoke or not.
    pub participants: Vec<Speaker>,
    /// What was said, in order.
    pub turns: Vec<Turn>,
    /// Why it ended: a [`StopReason`] as text.
    pub stop_reason: String,
    /// The logical model that spoke.
    pub model: String,
    /// `demo` for the embedded model, `endpoint` for one behind an API.
    pub tier: String,
    /// Prompt tokens of all replies this record was made of.
    pub prompt_tokens: u64,
    /// Those of them the endpoint served from its prefix cache.
    pub cached_prompt_tokens: u64,
    /// Completion tokens of all replies this record was made of.
    pub completion_tokens: u64,
    /// The coverage cell, a JSON object as text.
    pub attributes: String,
    /// Strategy, layout, prompts and what had to be repaired, a JSON object as text.
    pub provenance: String,
    /// What the seed of its situation said, such as an intent, and where the seed came from: a JSON object; `{}` without a seed.
    pub labels: String,
    /// What the screens for safety found and what was done about it: a JSON object; `{}` where nothing screened it.
    pub safety: String,
    /// What a judge made of it: a JSON object; `{}` where nobody judged it.
    pub judgement: String,
    /// The split of its people.
    pub split: String,
    /// `content_hash` of speakers and texts.
    pub hash: String,
}

/// A participant as the dataset shows them. Stance, goal and private knowledge stay with the situation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaker {
    /// Participant id.
    pub id: String,
    /// Name as used in the conversation.
    pub name: String,
    /// One sentence in the third person.
    pub description: String,
    /// The persona.
    pub persona: String,
}

/// One contribution of one speaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Position from 0; the conversation starter has none.
    pub index: u32,
    /// Participant id.
    pub speaker_id: String,
    /// Participant name.
    pub speaker: String,
    /// Whom it is said to, where that is known.
    pub addressee_id: Option<String>,
    /// What is said, without a name in front.
    pub text: String,
    /// How the speaker was chosen, such as `model`, `only_candidate`, `fallback`, `order`, `draw`, `addressed`, `quota`, `handed_over`.
    pub selected_by: String,
    /// Replies it took until one was sound; 1 is the rule.
    pub attempts: u32,
}

/// Why a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The maximum number of turns.
    MaxTurns,
    /// Two speakers agreed to end it.
    Agreed,
    /// The talk was over in all but name (a closing loop) and was cut after the first closing.
    Closing,
    /// A turn could not be repaired; it ends with the last sound one.
    Trimmed,
    /// The speaker's model had no room for more: its context was full.
    ContextFull,
}

impl StopReason {
    /// The value as it stands in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxTurns => "max_turns",
            Self::Agreed => "agreed",
            Self::Closing => "closing",
            Self::Trimmed => "trimmed",
            Self::ContextFull => "context_full",
        }
    }
}

impl Conversation {
    /// Recomputes [`Conversation::hash`] from the content.
    pub fn content_hash(&self) -> String {
        let said = self.turns.iter().flat_map(|t| [t.speaker.as_str(), t.text.as_str()]);
        super::content_hash([self.situation_id.as_str()].into_iter().chain(said))
    }
}
