//! What the card and the manifest say of the records, gathered while they pass.

use std::collections::BTreeSet;

use super::card::DEMO;
use super::leakage::People;
use super::screening::ScreeningCounts;
use crate::record::{Conversation, Persona, Situation};
use crate::store::fs::FsError;

/// What was seen of the records so far.
#[derive(Debug)]
pub(super) struct SeenRecords {
    /// The languages they state.
    pub(super) languages: BTreeSet<String>,
    /// Whether the model that ships made one of them.
    pub(super) demo: bool,
    /// How conversations were screened and scored.
    pub(super) screening: ScreeningCounts,
    /// Who is in which split.
    pub(super) people: People,
}

impl SeenRecords {
    pub(super) fn new(people: People) -> Self {
        Self { languages: BTreeSet::new(), demo: false, screening: ScreeningCounts::default(), people }
    }

    pub(super) fn persona(&mut self, persona: &Persona) -> Result<(), FsError> {
        self.people.meet(&persona.id, &persona.persona, &persona.split)
    }

    pub(super) fn situation(&mut self, situation: &Situation) -> Result<(), FsError> {
        self.language(&situation.language);
        situation.personas.iter().try_for_each(|cast| self.people.meet(&cast.id, &cast.persona, &situation.split))
    }

    pub(super) fn conversation(&mut self, talk: &Conversation) -> Result<(), FsError> {
        self.language(&talk.language);
        self.demo |= talk.tier == DEMO;
        self.screening.add(talk);
        talk.participants.iter().try_for_each(|heard| self.people.meet(&heard.id, &heard.persona, &talk.split))
    }

    fn language(&mut self, language: &str) {
        if !language.is_empty() && !self.languages.contains(language) {
            self.languages.insert(language.to_owned());
        }
    }
}
