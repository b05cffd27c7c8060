//! The prompts that ask for situations: their sections and the variables they can use.
//!
//! `system` and `user` are the two messages of a call. When the reply is unsound, `repair` goes back once, after the reply.

use serde::Serialize;

use super::PersonaMode;
use super::shots::Shot;
use super::template::{PromptError, Template};

/// The sections of a situations prompt.
pub(crate) const SECTIONS: &[&str] = &["system", "user", "repair"];

/// The variables of a situations prompt: the keys of [`SituationValues`].
pub(crate) const VARIABLES: &[&str] = &[
    "language",
    "language_name",
    "count",
    "groups",
    "min_people",
    "max_people",
    "shots",
    "attributes",
    "intent",
    "dialogue",
    "summary",
    "schema",
    "error",
];

/// What a situations prompt is rendered with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SituationValues<'a> {
    /// BCP 47 tag of the language to write in.
    pub language: &'a str,
    /// Its English name, see [`language::name`](super::language::name).
    pub language_name: &'a str,
    /// Situations asked for.
    pub count: usize,
    /// The given people of each situation; empty when people are invented.
    pub groups: Vec<Vec<Given<'a>>>,
    /// Fewest people in a situation.
    pub min_people: usize,
    /// Most people in a situation.
    pub max_people: usize,
    /// The examples.
    pub shots: Vec<Example>,
    /// What the situation is to be conditioned on, such as `setting: a train`.
    pub attributes: Vec<Attribute<'a>>,
    /// From a seed: what the conversation has to be about.
    pub intent: Option<&'a str>,
    /// From a seed: a conversation of whose kind a new one is wanted, a line a turn.
    pub dialogue: Option<&'a str>,
    /// From a seed: what happens in that conversation.
    pub summary: Option<&'a str>,
    /// The JSON schema of the reply, for models that are asked for JSON in words only.
    pub schema: Option<&'a str>,
    /// In `repair`: what was wrong with the reply.
    pub error: Option<&'a str>,
}

/// A given person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Given<'a> {
    /// The name drawn for them.
    pub name: &'a str,
    /// Who they are.
    pub persona: &'a str,
}

/// An attribute of the coverage cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Attribute<'a> {
    /// Such as `setting`.
    pub name: &'a str,
    /// Such as `a train`.
    pub value: &'a str,
}

/// A shot as a prompt shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Example {
    /// The people given.
    pub input: String,
    /// The reply to them.
    pub output: String,
}

impl Example {
    /// Renders `shot` for prompts of `mode`.
    pub(crate) fn new(shot: &Shot, mode: PersonaMode) -> Self {
        Self { input: shot.input(), output: shot.output(mode) }
    }
}

/// Reads a situations prompt; `file` is how messages call it.
pub(crate) fn parse(file: &str, source: &str) -> Result<Template, PromptError> {
    Template::parse(file, source, SECTIONS, VARIABLES)
}

#[cfg(test)]
mod tests;
