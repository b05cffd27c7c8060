//! One turn: ask the speaker, judge the reply, ask again with the reason, give up after a fixed number of tries.

use serde_json::{Value, json};

use super::agents::TurnPrompt;
use super::validate::{self, Flaw, Scene};
use super::{Talk, length};
use crate::config::SpeakerSelection;
use crate::draw::Draw;
use crate::llm::recorded::{Answer, Halt, Site};
use crate::llm::{Finish, ReplyFormat, Role};
use crate::record::{Outcome, Participant, Situation};

/// What came of a turn.
#[derive(Debug)]
pub(super) enum Spoken {
    /// A sound line.
    Line(Line),
    /// Every attempt had a flaw; this was the last one's.
    Flawed(Flaw),
    /// The endpoint refused or failed.
    Lost { outcome: Outcome, reason: String, detail: String },
}

/// A line that stands.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) attempts: u32,
    /// With `fused`: who was handed the floor.
    pub(super) next: Option<usize>,
    /// With `fused`: a vote to end.
    pub(super) end: bool,
}

/// A reply taken apart.
struct Parts {
    text: String,
    next: Option<usize>,
    end: bool,
}

impl Talk<'_> {
    /// Lets `speaker` say the next line.
    pub(super) async fn speak(&mut self, speaker: usize) -> Result<Spoken, Halt> {
        let index = self.index();
        let words = self.word_target(index, speaker);
        let hand_over: Vec<usize> = (0..self.situation.personas.len()).filter(|person| *person != speaker).collect();
        let fused = self.settings.speaker_selection == SpeakerSelection::Fused;
        let mut flaw = None;
        for attempt in 0..=self.settings.max_repairs {
            let prompt = TurnPrompt {
                speaker,
                turns: &self.turns,
                words,
                hand_over: fused.then_some(hand_over.as_slice()),
                may_end: self.may_end(),
                flaw: flaw.map(Flaw::reason),
            };
            let messages = self.script.speak(&prompt)?;
            let format = if fused { fused_format(&self.names(&hand_over)) } else { self.text_format(speaker) };
            let site = Site { stage: super::STAGE, item: &self.id, turn: index, role: Role::Speaker, attempt };
            self.ledger.ask_speaker(attempt);
            let reply = match self.calls.ask(&site, messages, format).await? {
                Answer::Reply(reply) => reply,
                Answer::Refused { category, message } => {
                    return Ok(Spoken::Lost { outcome: Outcome::Refused, reason: category, detail: message });
                }
                Answer::Failed { reason, message } => {
                    return Ok(Spoken::Lost { outcome: Outcome::Failed, reason, detail: message });
                }
            };
            self.ledger.hear_speaker(attempt, reply.usage);
            let judged = match self.take_apart(&reply.text, fused, &hand_over) {
                Ok(parts) => {
                    let scene = self.scene(speaker, words, reply.finish == Finish::Length)?;
                    validate::examine(&parts.text, &scene).map(|sound| (sound, parts))
                }
                Err(flaw) => Err(flaw),
            };
            match judged {
                Ok((sound, parts)) => {
                    sound.mended.into_iter().for_each(|what| self.ledger.mend(what));
                    let line = Line { text: sound.text, attempts: attempt + 1, next: parts.next, end: parts.end };
                    return Ok(Spoken::Line(line));
                }
                Err(found) => {
                    self.ledger.flaw(found);
                    flaw = Some(found);
                }
            }
        }
        Ok(Spoken::Flawed(flaw.unwrap_or(Flaw::Empty)))
    }

    fn text_format(&self, speaker: usize) -> ReplyFormat {
        let name = self.situation.personas.get(speaker).map(|person| format!("{}:", person.name));
        ReplyFormat::Text { prefix: name }
    }

    fn take_apart(&self, reply: &str, fused: bool, hand_over: &[usize]) -> Result<Parts, Flaw> {
        if !fused {
            return Ok(Parts { text: reply.to_owned(), next: None, end: false });
        }
        let value = crate::prompt::reply::read_json(reply).map_err(|_| Flaw::NotJson)?;
        let text = value.get("text").and_then(Value::as_str).ok_or(Flaw::NotJson)?;
        let next = value.get("next").and_then(Value::as_str);
        let next = next.and_then(|name| match super::selection::read_name(name, &self.names(hand_over)) {
            super::selection::Named::One(at) => hand_over.get(at).copied(),
            _ => None,
        });
        let end = value.get("end").and_then(Value::as_bool).unwrap_or(false);
        Ok(Parts { text: text.to_owned(), next, end })
    }

    fn scene(&mut self, speaker: usize, words: Option<u32>, torn: bool) -> Result<Scene<'_>, Halt> {
        if self.instructions.len() <= speaker {
            self.instructions = (0..self.situation.personas.len())
                .map(|person| self.script.instructions(person))
                .collect::<Result<_, _>>()?;
        }
        let people = &self.situation.personas;
        let person = people.get(speaker);
        let others = || people.iter().enumerate().filter(|(at, _)| *at != speaker).map(|(_, person)| person);
        let starter = ("", self.situation.conversation_starter.as_str());
        let spoken = self.turns.iter().map(|turn| (turn.speaker.as_str(), turn.text.as_str()));
        Ok(Scene {
            speaker: person.map_or("", |person| &person.name),
            persona: person.map_or("", |person| &person.persona),
            others: others().map(|person| person.name.as_str()).collect(),
            secrets: others().filter_map(|person| person.knowledge.as_deref()).collect(),
            known: person.map(|person| known_to(person, self.situation)).unwrap_or_default(),
            language: &self.situation.language,
            said: [starter].into_iter().chain(spoken).collect(),
            instructions: self.instructions.get(speaker).map_or("", String::as_str),
            words,
            torn,
            must_go_on: !self.may_end() && !self.is_last(),
            gates: &self.settings.gates,
        })
    }

    fn word_target(&self, index: u32, speaker: usize) -> Option<u32> {
        let distribution = self.settings.words_per_turn?;
        let mut person = Draw::new(self.seed, &[super::STAGE, &self.id, "talkativeness", &speaker.to_string()]);
        Some(length::target(distribution, length::talkativeness(&mut person), &mut self.draw(index, "words")))
    }
}

/// What a person can know before anybody has spoken: all that is public, and their own part.
fn known_to<'a>(person: &'a Participant, situation: &'a Situation) -> Vec<&'a str> {
    let public = [&situation.situation, &situation.topic, &situation.conversation_starter];
    let cast = situation.personas.iter().flat_map(|other| [&other.name, &other.description]);
    let ties = situation.relations.iter().map(|relation| &relation.text);
    let own = [Some(&person.persona), person.stance.as_ref(), person.goal.as_ref(), person.knowledge.as_ref()];
    public.into_iter().chain(cast).chain(ties).chain(own.into_iter().flatten()).map(String::as_str).collect()
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
    ReplyFormat::Json { name: "turn".to_owned(), schema }
}
