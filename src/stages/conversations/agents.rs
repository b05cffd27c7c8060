//! What each agent is sent: the messages of one turn, in either layout.
//!
//! `agent_first` gives every agent a system message of its own, so nothing but the opener is shared between speakers.
//! `shared_prefix` sends the same bytes to everyone up to the end of the transcript, which only grows, and the private
//! part last: an endpoint's prefix cache then serves nearly the whole prompt, and the persona is fresh in every turn
//! (the known remedy for drift, arXiv 2402.10962).

use serde::Serialize;

use crate::config::Layout;
use crate::llm::{Message, MessageRole};
use crate::prompt::language;
use crate::prompt::template::{PromptError, Template};
use crate::record::{Participant, Situation, Turn};

/// The prompts of the conversations stage.
#[derive(Debug)]
pub struct Prompts {
    speaker: Template,
    fused: Template,
    selector: Template,
}

const VARIABLES: &[&str] = &[
    "name",
    "persona",
    "stance",
    "goal",
    "knowledge",
    "cast",
    "relations",
    "situation",
    "topic",
    "starter",
    "language_name",
    "last_name",
    "words",
    "candidates",
    "may_end",
    "flaw",
];
const SPEAKER_SECTIONS: &[&str] =
    &["agent_first_system", "shared_prefix_system", "opener", "agent_first_turn", "shared_prefix_turn", "repair"];
const FUSED_SECTIONS: &[&str] = &["agent_first_turn", "shared_prefix_turn"];
const SELECTOR_SECTIONS: &[&str] = &["agent_first_system", "turn", "repair"];

/// A prompt file: its name for messages, and its text.
#[derive(Debug, Clone, Copy)]
pub struct PromptFile<'a> {
    /// Name for messages.
    pub name: &'a str,
    /// Content.
    pub text: &'a str,
}

impl Prompts {
    /// Reads and checks the three prompt files.
    pub fn parse(
        speaker: PromptFile<'_>,
        fused: PromptFile<'_>,
        selector: PromptFile<'_>,
    ) -> Result<Self, PromptError> {
        Ok(Self {
            speaker: Template::parse(speaker.name, speaker.text, SPEAKER_SECTIONS, VARIABLES)?,
            fused: Template::parse(fused.name, fused.text, FUSED_SECTIONS, VARIABLES)?,
            selector: Template::parse(selector.name, selector.text, SELECTOR_SECTIONS, VARIABLES)?,
        })
    }
}

/// The values prompts are filled with. Everything that varies by turn is optional.
#[derive(Debug, Clone, Default, Serialize)]
struct Values<'a> {
    name: &'a str,
    persona: &'a str,
    stance: Option<&'a str>,
    goal: Option<&'a str>,
    knowledge: Option<&'a str>,
    cast: Vec<Member<'a>>,
    relations: Vec<&'a str>,
    situation: &'a str,
    topic: &'a str,
    starter: &'a str,
    language_name: &'a str,
    last_name: Option<&'a str>,
    words: Option<u32>,
    candidates: Candidates<'a>,
    may_end: bool,
    flaw: Option<&'a str>,
}

#[derive(Debug, Clone, Serialize)]
struct Member<'a> {
    name: &'a str,
    description: &'a str,
}

/// A speaker who hands on the floor sees names, the selector sees descriptions too.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Candidates<'a> {
    Names(Vec<&'a str>),
    Members(Vec<Member<'a>>),
}

impl Default for Candidates<'_> {
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}

/// What one turn adds to the prompt.
#[derive(Debug, Clone, Copy)]
pub struct TurnPrompt<'a> {
    /// Index of the speaker in the group.
    pub speaker: usize,
    /// What was said so far.
    pub turns: &'a [Turn],
    /// Word target.
    pub words: Option<u32>,
    /// With `fused`: who may be handed the floor.
    pub hand_over: Option<&'a [usize]>,
    /// Whether the conversation may end with this turn.
    pub may_end: bool,
    /// Why the last attempt could not be used.
    pub flaw: Option<&'a str>,
}

/// Writes the messages of one conversation.
#[derive(Debug)]
pub struct Script<'a> {
    prompts: &'a Prompts,
    layout: Layout,
    situation: &'a Situation,
    language_name: String,
    opener: String,
}

impl<'a> Script<'a> {
    /// The script for `situation`.
    pub fn new(prompts: &'a Prompts, layout: Layout, situation: &'a Situation) -> Result<Self, PromptError> {
        let language_name = language::name(&situation.language);
        let mut script = Self { prompts, layout, situation, language_name, opener: String::new() };
        script.opener = prompts.speaker.render("opener", &script.values())?;
        Ok(script)
    }

    /// The messages that make `turn.speaker` speak.
    pub fn speak(&self, turn: &TurnPrompt<'_>) -> Result<Vec<Message>, PromptError> {
        let Some(person) = self.situation.personas.get(turn.speaker) else { return Ok(Vec::new()) };
        let values = self.turn_values(person, turn);
        let speaker = &self.prompts.speaker;
        let ending = if turn.hand_over.is_some() { &self.prompts.fused } else { speaker };
        let repair = match turn.flaw {
            Some(_) => Some(speaker.render("repair", &values)?),
            None => None,
        };
        let (system, last) = match self.layout {
            Layout::AgentFirst => ("agent_first_system", "agent_first_turn"),
            Layout::SharedPrefix => ("shared_prefix_system", "shared_prefix_turn"),
        };
        let system = speaker.render(system, &values)?;
        let last = ending.render(last, &values)?;
        let own = (self.layout == Layout::AgentFirst).then_some(turn.speaker);
        Ok(self.arrange(system, turn.turns, own, [Some(last), repair]))
    }

    /// The messages that make the selector choose among `candidates`.
    pub fn select(
        &self,
        turns: &[Turn],
        candidates: &[usize],
        may_end: bool,
        flaw: Option<&str>,
    ) -> Result<Vec<Message>, PromptError> {
        let members = candidates.iter().filter_map(|at| self.situation.personas.get(*at)).map(member).collect();
        let values = Values { candidates: Candidates::Members(members), may_end, flaw, ..self.values() };
        let selector = &self.prompts.selector;
        let system = match self.layout {
            Layout::AgentFirst => selector.render("agent_first_system", &values)?,
            Layout::SharedPrefix => self.prompts.speaker.render("shared_prefix_system", &values)?,
        };
        let repair = match flaw {
            Some(_) => Some(selector.render("repair", &values)?),
            None => None,
        };
        Ok(self.arrange(system, turns, None, [Some(selector.render("turn", &values)?), repair]))
    }

    /// What the speaker is told, against which leaks are looked for: the instructions, and the situation as it is described.
    pub fn instructions(&self, speaker: usize) -> Result<String, PromptError> {
        let Some(person) = self.situation.personas.get(speaker) else { return Ok(String::new()) };
        // Without the persona: quoting one's own life is a recital at worst, not a leak.
        let bare = Values { name: &person.name, language_name: &self.language_name, ..Values::default() };
        let sections =
            ["agent_first_system", "shared_prefix_system", "agent_first_turn", "shared_prefix_turn", "repair"];
        let speaker = sections.iter().map(|section| self.prompts.speaker.render(section, &bare));
        let texts = speaker.chain(FUSED_SECTIONS.iter().map(|section| self.prompts.fused.render(section, &bare)));
        let mut texts = texts.collect::<Result<Vec<_>, _>>()?;
        texts.push(self.situation.situation.clone());
        Ok(texts.join("\n"))
    }

    fn values(&self) -> Values<'_> {
        let situation = self.situation;
        Values {
            cast: situation.personas.iter().map(member).collect(),
            relations: situation.relations.iter().map(|relation| relation.text.as_str()).collect(),
            situation: &situation.situation,
            topic: &situation.topic,
            starter: &situation.conversation_starter,
            language_name: &self.language_name,
            ..Values::default()
        }
    }

    fn turn_values<'b>(&'b self, person: &'b Participant, turn: &TurnPrompt<'b>) -> Values<'b> {
        let name_of = |at: &usize| self.situation.personas.get(*at).map(|person| person.name.as_str());
        Values {
            name: &person.name,
            persona: &person.persona,
            stance: person.stance.as_deref(),
            goal: person.goal.as_deref(),
            knowledge: person.knowledge.as_deref(),
            last_name: turn.turns.last().map(|turn| turn.speaker.as_str()),
            words: turn.words,
            candidates: Candidates::Names(turn.hand_over.unwrap_or_default().iter().filter_map(name_of).collect()),
            may_end: turn.may_end,
            flaw: turn.flaw,
            ..self.values()
        }
    }

    /// System message, then opener and transcript, then what is asked for. `own` turns are the assistant's.
    ///
    /// Neighbours of one role are merged, because strict chat templates want roles to alternate, and the last message
    /// is the user's, because some servers continue a trailing assistant message instead of answering it.
    fn arrange(&self, system: String, turns: &[Turn], own: Option<usize>, last: [Option<String>; 2]) -> Vec<Message> {
        let own = own.and_then(|at| self.situation.personas.get(at)).map(|person| person.id.as_str());
        let mut messages = vec![Message::system(system)];
        append(&mut messages, Message::user(self.opener.clone()), "\n\n");
        for (at, turn) in turns.iter().enumerate() {
            let separator = if at == 0 { "\n\n" } else { "\n" };
            if own == Some(turn.speaker_id.as_str()) {
                append(&mut messages, Message::assistant(turn.text.clone()), "\n");
            } else {
                append(&mut messages, Message::user(format!("{}: {}", turn.speaker, turn.text)), separator);
            }
        }
        for part in last.into_iter().flatten() {
            append(&mut messages, Message::user(part), "\n\n");
        }
        messages
    }
}

fn member(person: &Participant) -> Member<'_> {
    Member { name: &person.name, description: &person.description }
}

fn append(messages: &mut Vec<Message>, message: Message, separator: &str) {
    match messages.last_mut() {
        Some(last) if last.role == message.role && last.role != MessageRole::System => {
            last.content.push_str(separator);
            last.content.push_str(&message.content);
        }
        _ => messages.push(message),
    }
}
