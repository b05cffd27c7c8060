//! Sections of the prompts, filled in. What stays the same from turn to turn is rendered once.

use minijinja::value::Serde;
use serde::Serialize;

use super::agents::AgentPrompts;
use crate::prompt::template::{PromptError, Template, Value};
use crate::record::{Participant, Situation};

/// The most sections that are kept of a conversation.
const MOST_KEPT: usize = 16;

/// Variables whose values hardly ever recur.
const BY_TURN: &[&str] = &["last_name", "words", "flaw"];
/// Variables that are not the same for all speakers and the selector.
const BY_SPEAKER: &[&str] = &["name", "persona", "stance", "goal", "knowledge", "candidates"];

/// The values prompts are filled with. Everything that varies by turn is optional.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SectionValues<'a> {
    pub(super) name: &'a str,
    pub(super) person: Option<&'a Participant>,
    pub(super) situation: Option<&'a Situation>,
    pub(super) language_name: &'a str,
    pub(super) last_name: Option<&'a str>,
    pub(super) words: Option<u32>,
    pub(super) candidates: Candidates<'a>,
    pub(super) may_end: bool,
    pub(super) flaw: Option<&'a str>,
}

#[derive(Debug, Clone, Serialize)]
struct Member<'a> {
    name: &'a str,
    description: &'a str,
}

/// Indices of people. A speaker who hands on the floor sees names, the selector sees descriptions too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Candidates<'a> {
    Names(&'a [usize]),
    Members(&'a [usize]),
}

impl Default for Candidates<'_> {
    fn default() -> Self {
        Self::Names(&[])
    }
}

impl<'a> SectionValues<'a> {
    /// A section of `template` with these values.
    pub(super) fn render(&self, template: &Template, section: &str) -> Result<String, PromptError> {
        template.render_with(section, |variable| self.get(variable))
    }

    fn get(&self, variable: &str) -> Value {
        let of_person = |value: fn(&'a Participant) -> Option<&'a str>| Value::from(self.person.and_then(value));
        let of_scene = |value: fn(&'a Situation) -> &'a str| Value::from(self.situation.map_or("", value));
        match variable {
            "name" => Value::from(self.name),
            "persona" => Value::from(self.person.map_or("", |person| &person.persona)),
            "stance" => of_person(|person| person.stance.as_deref()),
            "goal" => of_person(|person| person.goal.as_deref()),
            "knowledge" => of_person(|person| person.knowledge.as_deref()),
            "cast" => self.people().map(|person| Value::from(Serde(member(person)))).collect(),
            "relations" => self.situation.iter().flat_map(|scene| &scene.relations).map(|tie| &tie.text).collect(),
            "situation" => of_scene(|scene| &scene.situation),
            "topic" => of_scene(|scene| &scene.topic),
            "starter" => of_scene(|scene| &scene.conversation_starter),
            "language_name" => Value::from(self.language_name),
            "last_name" => Value::from(self.last_name),
            "words" => Value::from(self.words),
            "candidates" => self.candidates(),
            "may_end" => Value::from(self.may_end),
            "flaw" => Value::from(self.flaw),
            _ => Value::UNDEFINED,
        }
    }

    fn people(&self) -> impl Iterator<Item = &'a Participant> {
        self.situation.into_iter().flat_map(|scene| &scene.personas)
    }

    fn candidates(&self) -> Value {
        let (Candidates::Names(places) | Candidates::Members(places)) = self.candidates;
        let people = self.situation.map_or(&[][..], |scene| &scene.personas);
        let chosen = places.iter().filter_map(|at| people.get(*at));
        match self.candidates {
            Candidates::Names(_) => chosen.map(|person| person.name.as_str()).collect(),
            Candidates::Members(_) => chosen.map(|person| Value::from(Serde(member(person)))).collect(),
        }
    }
}

fn member(person: &Participant) -> Member<'_> {
    Member { name: &person.name, description: &person.description }
}

/// A prompt file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum File {
    Speaker,
    Fused,
    Selector,
}

/// Sections as they were rendered for one conversation.
#[derive(Debug, Default)]
pub(super) struct Sections(Vec<(Key, String)>);

/// What a section that stays the same from turn to turn depends on.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    file: File,
    section: &'static str,
    speaker: Option<usize>,
    candidates: Vec<usize>,
    may_end: bool,
}

impl Sections {
    /// A section with `values`, which are those of `speaker`.
    pub(super) fn render(
        &mut self,
        prompts: &AgentPrompts,
        file: File,
        section: &'static str,
        speaker: Option<usize>,
        values: &SectionValues<'_>,
    ) -> Result<String, PromptError> {
        let template = prompts.file(file);
        let mentions = |variable: &&str| template.mentions(section, variable);
        if BY_TURN.iter().any(mentions) {
            return values.render(template, section);
        }
        let (Candidates::Names(candidates) | Candidates::Members(candidates)) = values.candidates;
        let candidates = if mentions(&"candidates") { candidates.to_vec() } else { Vec::new() };
        let may_end = values.may_end && mentions(&"may_end");
        let speaker = speaker.filter(|_| BY_SPEAKER.iter().any(mentions));
        let key = Key { file, section, speaker, candidates, may_end };
        if let Some((_, text)) = self.0.iter().find(|(kept, _)| *kept == key) {
            return Ok(text.clone());
        }
        let text = values.render(template, section)?;
        if self.0.len() < MOST_KEPT {
            self.0.push((key, text.clone()));
        }
        Ok(text)
    }
}
