//! One turn: ask the speaker, judge the reply, ask again with the reason, give up after a fixed number of tries.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};

use super::agents::{Script, TurnPrompt};
use super::validate::{Examiner, Flaw, Ground, Instructions, Part, SoundReply, TurnPlace};
use super::{ConversationState, length};
use crate::config::{GateSettings, SpeakerSelection};
use crate::draw::Draw;
use crate::llm::evidence::UnusableReply;
use crate::llm::recorded::CallSite;
use crate::llm::{Answer, Finish, Halt, Reply, ReplyFormat, Role, context};
use crate::prompt::reading::{self, ReplyError};
use crate::prompt::template::PromptError;
use crate::record::{Outcome, Participant, Situation};

/// The tier of the model in the process, which does not think.
const DEMO: &str = "demo";

/// What came of a turn.
#[derive(Debug)]
pub(super) enum Spoken {
    /// A sound line.
    Line(SpokenLine),
    /// Every attempt had a flaw; this was the last one's.
    Flawed(Flaw),
    /// The conversation no longer fits into the model's context, in the endpoint's words.
    ContextFull(String),
    /// The endpoint refused or failed.
    Lost { outcome: Outcome, reason: String, detail: String },
}

/// A line that stands.
#[derive(Debug)]
pub(super) struct SpokenLine {
    pub(super) sound: SoundReply,
    pub(super) attempts: u32,
    /// With `fused`: who was handed the floor.
    pub(super) next: Option<usize>,
    /// With `fused`: a vote to end.
    pub(super) end: bool,
}

/// A reply taken apart.
struct Parts<'r> {
    text: Cow<'r, str>,
    next: Option<usize>,
    end: bool,
    /// Whether the limit of the reply cut the text off.
    torn: bool,
}

impl<'a> ConversationState<'a> {
    /// Lets `speaker` say the next line.
    pub(super) async fn speak(&mut self, speaker: usize) -> Result<Spoken, Halt> {
        let words = self.word_target(self.index(), speaker);
        let hand_over: Vec<usize> = (0..self.situation.personas.len()).filter(|person| *person != speaker).collect();
        let fused = self.settings.speaker_selection == SpeakerSelection::Fused;
        let mut flaw = None;
        let mut told = None;
        let mut room = self.calls.profile(Role::Speaker).max_tokens;
        for attempt in 0..=self.settings.max_repairs {
            let prompt = TurnPrompt {
                speaker,
                words,
                hand_over: fused.then_some(hand_over.as_slice()),
                may_end: self.may_end(),
                flaw: told.map(Flaw::reason),
            };
            let messages = self.script.speak(&prompt)?;
            let format = if fused { self.format(&hand_over, fused_format) } else { self.text_format(speaker) };
            self.ledger.ask_speaker(attempt);
            let reply = match self.calls.ask_at_length(&self.turn_site(attempt), messages, format, room).await? {
                Answer::Reply(reply) => reply,
                Answer::Refused { category, message } => {
                    return Ok(Spoken::Lost { outcome: Outcome::Refused, reason: category, detail: message });
                }
                Answer::Failed { reason, message } if reason == context::FULL => {
                    return Ok(Spoken::ContextFull(message));
                }
                Answer::Failed { reason, message } => {
                    return Ok(Spoken::Lost { outcome: Outcome::Failed, reason, detail: message });
                }
            };
            self.ledger.hear_speaker(attempt, reply.usage);
            if let Some(said) = self.ran_out_of_context(&reply, room) {
                self.calls.found(&self.turn_site(attempt), None)?;
                return Ok(Spoken::ContextFull(said));
            }
            let cut_off = reply.finish != Finish::Stop;
            let judged = match self.take_apart(&reply, fused, &hand_over) {
                Ok(parts) => {
                    let torn = parts.torn;
                    let must_go_on = !self.may_end() && !self.is_last();
                    let examiner = self.examiner()?;
                    let sound = examiner.examine(&parts.text, TurnPlace { speaker, words, torn, must_go_on });
                    sound.map(|sound| (sound, parts))
                }
                Err(flaw) => Err(flaw),
            };
            match judged {
                Ok((sound, Parts { next, end, .. })) => {
                    sound.mended.iter().for_each(|what| self.ledger.mend(what));
                    self.calls.found(&self.turn_site(attempt), None)?;
                    return Ok(Spoken::Line(SpokenLine { sound, attempts: attempt + 1, next, end }));
                }
                Err(found) => {
                    self.ledger.flaw(found);
                    flaw = Some(found);
                    let unusable = if cut_off { UnusableReply::cut_off(&reply, room) } else { unusable(found) };
                    self.calls.found(&self.turn_site(attempt), Some(&unusable))?;
                    // To be told to be briefer does not help a reply that had no room.
                    told = (!cut_off).then_some(found);
                    if cut_off {
                        room = self.calls.profile(Role::Speaker).max_tokens.saturating_mul(2);
                    }
                }
            }
        }
        Ok(Spoken::Flawed(flaw.unwrap_or(Flaw::Empty)))
    }

    /// The place of the `attempt`-th call for the turn to come.
    fn turn_site(&self, attempt: u32) -> CallSite<'_> {
        CallSite { stage: super::STAGE, item: &self.id, turn: self.index(), role: Role::Speaker, attempt }
    }

    fn text_format(&self, speaker: usize) -> ReplyFormat {
        let name = self.situation.personas.get(speaker).map(|person| format!("{}:", person.name));
        ReplyFormat::Text { prefix: name }
    }

    fn take_apart<'r>(&self, reply: &'r Reply, fused: bool, hand_over: &[usize]) -> Result<Parts<'r>, Flaw> {
        let torn = reply.finish != Finish::Stop;
        if !fused {
            if torn && self.calls.profile(Role::Speaker).tier != DEMO {
                check_torn(&reply.text)?;
            }
            return Ok(Parts { text: Cow::Borrowed(&reply.text), next: None, end: false, torn });
        }
        let value = reading::json(&reply.text, &["text"]).map_err(|error| unreadable(&error, torn))?;
        let text = value.get("text").and_then(Value::as_str).ok_or(Flaw::NotJson)?;
        let next = value.get("next").and_then(Value::as_str);
        let next = next.and_then(|name| match super::selection::read_name(name, &self.names(hand_over)) {
            super::selection::Named::One(at) => hand_over.get(at).copied(),
            _ => None,
        });
        let end = value.get("end").and_then(Value::as_bool).unwrap_or(false);
        // The object is whole, so what the limit cut off came behind it.
        Ok(Parts { text: Cow::Owned(text.to_owned()), next, end, torn: false })
    }

    /// What is to be said of a reply that ended since the model's context was full, amid a conversation, though `asked` tokens were
    /// asked for. In its first turn nothing has grown yet, so that there the reply is torn like any other.
    fn ran_out_of_context(&self, reply: &Reply, asked: u32) -> Option<String> {
        if reply.finish != Finish::ContextFull || self.turns.is_empty() {
            return None;
        }
        let (written, prompt) = (reply.usage.completion_tokens, reply.usage.prompt_tokens);
        let all = prompt + written;
        Some(format!(
            "the reply ended after {written} of {asked} tokens behind a prompt of {prompt}: context size {all}"
        ))
    }

    /// What judges replies. What it holds them against is taken apart when the first one has come.
    fn examiner(&mut self) -> Result<&Examiner<'a>, Halt> {
        let examiner = if let Some(examiner) = self.examiner.take() {
            examiner
        } else {
            Box::new(examiner(self.situation, &self.script, &self.settings.gates)?)
        };
        Ok(self.examiner.insert(examiner))
    }

    fn word_target(&mut self, index: u32, speaker: usize) -> Option<u32> {
        let distribution = self.settings.words_per_turn?;
        let drawn = || {
            let path = [super::STAGE, &self.id, "talkativeness", &speaker.to_string()];
            length::talkativeness(&mut Draw::new(self.seed, &path))
        };
        let talkativeness = self.talkativeness.get(speaker).copied().flatten().unwrap_or_else(drawn);
        if let Some(kept) = self.talkativeness.get_mut(speaker) {
            *kept = Some(talkativeness);
        }
        Some(length::target(distribution, talkativeness, &mut self.draw(index, "words")))
    }
}

fn unusable(flaw: Flaw) -> UnusableReply {
    UnusableReply { name: flaw.name(), detail: flaw.reason().to_owned() }
}

/// That a reply which its limit cut off is a line as far as it goes. A model that thinks may not have come to its line yet:
/// only the end of a thought tells, and without one the first sentences may be thoughts however well they read.
fn check_torn(text: &str) -> Result<(), Flaw> {
    match reading::answer(text)? {
        said if said.trim().is_empty() => Err(Flaw::Thinking),
        _ if reading::has_thought(text) => Ok(()),
        _ => Err(Flaw::Torn),
    }
}

/// The flaw of a reply without the object that was asked for. What is not there may have been cut off.
fn unreadable(error: &ReplyError, torn: bool) -> Flaw {
    match error {
        ReplyError::Empty if torn => Flaw::Thinking,
        ReplyError::Unread(unread) => (*unread).into(),
        _ if torn => Flaw::Torn,
        _ => Flaw::NotJson,
    }
}

/// What judges replies in a situation in which nothing but the starter was said.
pub(super) fn examiner<'a>(
    situation: &'a Situation,
    script: &Script,
    gates: &'a GateSettings,
) -> Result<Examiner<'a>, PromptError> {
    let told = (0..situation.personas.len()).map(|person| script.instructions(person));
    Ok(Examiner::new(ground(situation, told.collect::<Result<_, _>>()?, gates)))
}

/// What replies in a situation are judged against.
fn ground<'a>(situation: &'a Situation, instructions: Vec<Arc<Instructions>>, gates: &'a GateSettings) -> Ground<'a> {
    let people = situation.personas.iter().zip(instructions);
    let texts = [&situation.situation, &situation.topic, &situation.conversation_starter];
    let cast = situation.personas.iter().flat_map(|person| [&person.name, &person.description]);
    let ties = situation.relations.iter().map(|relation| &relation.text);
    Ground {
        people: people.map(|(person, instructions)| part(person, instructions)).collect(),
        public: texts.into_iter().chain(cast).chain(ties).map(String::as_str).collect(),
        situation: &situation.situation,
        starter: &situation.conversation_starter,
        language: &situation.language,
        gates,
    }
}

fn part(person: &Participant, instructions: Arc<Instructions>) -> Part<'_> {
    Part {
        name: &person.name,
        persona: &person.persona,
        own: person.stance.iter().chain(&person.goal).map(String::as_str).collect(),
        secret: person.knowledge.as_deref(),
        instructions,
    }
}

/// What a speaker who hands on the floor answers: text first, so that what is said decides who is next.
fn fused_format(names: &[&str]) -> ReplyFormat {
    let schema = json!({
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "next": {"type": "string", "enum": names},
            "end": {"type": "boolean"},
        },
        "required": ["text", "next", "end"],
        "additionalProperties": false,
    });
    ReplyFormat::json("turn", schema)
}
