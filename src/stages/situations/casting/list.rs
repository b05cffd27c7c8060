//! Who can be cast, and what their descriptions tell.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::domains;
use super::era::Era;
use super::roles::Roles;
use crate::lexicon::words;
use crate::record::Persona;

/// What of everyone decides who meets whom, gathered as people pass: eight bytes each, whatever the length of a description.
#[derive(Debug, Default)]
pub(crate) struct CastList {
    pub(super) splits: BTreeMap<String, Vec<u32>>,
    /// What each one's description tells, by its place in `kinds`.
    pub(super) told: Vec<u32>,
    pub(super) kinds: Vec<Told>,
    known: HashMap<Told, u32>,
    /// Rows of the source with more than one person: who is in them.
    pub(super) rows: Vec<Range<u32>>,
    /// The row of the one who came last.
    row: String,
}

impl CastList {
    /// Adds the next person.
    pub(crate) fn add(&mut self, person: &Persona) {
        let number = place(self.told.len());
        if number == 0 || self.row != person.source {
            person.source.clone_into(&mut self.row);
        } else if let Some(row) = self.rows.last_mut().filter(|row| row.end == number) {
            row.end += 1;
        } else {
            self.rows.push(number - 1..number + 1);
        }
        match self.splits.get_mut(&person.split) {
            Some(members) => members.push(number),
            None => drop(self.splits.insert(person.split.clone(), vec![number])),
        }
        let told = Told::of(person);
        let kind = self.known.get(&told).copied().unwrap_or_else(|| {
            let kind = place(self.kinds.len());
            self.kinds.push(told.clone());
            self.known.insert(told, kind);
            kind
        });
        self.told.push(kind);
    }

    /// What the description of a person tells.
    pub(super) fn told(&self, person: u32) -> Option<&Told> {
        self.kinds.get(*self.told.get(person as usize)? as usize)
    }
}

/// A place among people. More of them than 32 bits can count do not fit into the file of a stage, whose lines have numbers too.
fn place(among: usize) -> u32 {
    u32::try_from(among).unwrap_or(u32::MAX)
}

/// What a description tells of whom its person could meet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Told {
    pub(super) era: Era,
    pub(super) roles: Roles,
    pub(super) domain: Option<Cow<'static, str>>,
}

impl Told {
    pub(super) fn of(person: &Persona) -> Self {
        let folded = person.persona.to_lowercase();
        let words: Vec<&str> = words(&folded).collect();
        let told = || domains::of_folded(&folded).map(Cow::Borrowed);
        let domain = person.domain.as_deref().map(domain).or_else(told);
        Self { era: Era::of_words(&words), roles: Roles::of_words(&folded, &words), domain }
    }
}

/// The domain that a source states, in the lexicon's terms where it has any.
fn domain(stated: &str) -> Cow<'static, str> {
    domains::of_text(stated).map_or_else(|| Cow::Owned(stated.to_owned()), Cow::Borrowed)
}
