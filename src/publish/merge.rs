//! The records of several runs as those of one dataset. Pure: runs in their order in, records and what was left out of it.
//!
//! * **Ids.** Every id gets its run's mark in front, and everything that refers to it likewise (`rename.rs`).
//! * **People.** Someone whose description an earlier run has too, in the same split, keeps the earlier run's id: one person is
//!   one row. In another split they are left out, and with them every situation they are in: nobody stands in two splits.
//! * **Situations.** One that duplicates a situation of an earlier run is left out. Conversations that grew from exactly the
//!   same situation, people included, stay and refer to the one that is kept (two models, one situation); those that grew from
//!   a near duplicate go with it, as would every conversation without its situation.
//! * **Conversations.** One that duplicates a conversation of an earlier run is left out.
//!
//! A record is compared with *earlier runs* only: what a run made by itself it has deduplicated by its own settings. So a
//! run alone comes out as it went in.

mod rename;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::config;
use crate::record::{Conversation, Outcome, Persona, Situation, content_hash};
use crate::stages::dedup::{Collection, DuplicateKind, Match, Shingling, conversation_text, normalize, situation_text};

/// What one run made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// What stands in front of its ids; empty where it is alone.
    pub mark: String,
    /// Its people.
    pub personas: Vec<Persona>,
    /// Its situations.
    pub situations: Vec<Situation>,
    /// Its conversations.
    pub conversations: Vec<Conversation>,
}

/// Records that can stand in one dataset, and those that cannot.
#[derive(Debug, Default)]
pub struct Merged {
    /// The people.
    pub personas: Vec<Persona>,
    /// The situations.
    pub situations: Vec<Situation>,
    /// The conversations.
    pub conversations: Vec<Conversation>,
    /// What was left out, in the order of runs, tables and ids.
    pub removed: Vec<Removed>,
}

/// A record that was left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Removed {
    /// The table it would stand in.
    pub table: &'static str,
    /// Its id in the compiled dataset.
    pub id: String,
    /// `duplicate`, or `rejected` where something else is the reason.
    pub outcome: Outcome,
    /// `duplicate`, `crosses_splits` or `situation_removed`.
    pub reason: &'static str,
    /// The record it duplicates.
    pub kept: Option<String>,
    /// How similar the two are.
    pub jaccard: Option<f64>,
    /// In what sense they are the same.
    pub kind: Option<DuplicateKind>,
}

/// A situation that is kept under another id.
struct Alias {
    id: String,
    /// Participant ids: the run's, and those of the situation that is kept.
    people: BTreeMap<String, String>,
}

/// What earlier runs hold.
struct Earlier {
    /// Split by description, folded and hashed.
    splits: HashMap<String, String>,
    /// Person by hash of the description.
    people: HashMap<String, String>,
    /// Situation by content, people included.
    situations: HashMap<String, (String, Vec<String>)>,
    near_situations: Option<Collection>,
    near_conversations: Option<Collection>,
}

/// Merges `batches`, earlier ones first. `dedup`: the thresholds; `None` keeps duplicates.
pub fn merge(batches: Vec<Batch>, dedup: Option<&config::Dedup>) -> Merged {
    let mut earlier = Earlier::new(&batches, dedup);
    let mut merged = Merged::default();
    for mut batch in batches {
        if !batch.mark.is_empty() {
            rename::mark(&mut batch);
        }
        let kept = earlier.sift(batch, &mut merged.removed);
        earlier.learn(&kept);
        merged.personas.extend(kept.personas);
        merged.situations.extend(kept.situations);
        merged.conversations.extend(kept.conversations);
    }
    merged
}

impl Earlier {
    /// Nothing yet. Shingles must be of one length for all runs, so the first texts of all decide it.
    fn new(batches: &[Batch], dedup: Option<&config::Dedup>) -> Self {
        let index = |threshold: f64, texts: Vec<String>| {
            Collection::new(threshold, Shingling::for_sample(texts.iter().map(String::as_str)))
        };
        let situations = || batches.iter().flat_map(|batch| &batch.situations).map(situation_text).collect();
        let conversations = || batches.iter().flat_map(|batch| &batch.conversations).map(conversation_text).collect();
        Self {
            splits: HashMap::new(),
            people: HashMap::new(),
            situations: HashMap::new(),
            near_situations: dedup.map(|dedup| index(dedup.situations, situations())),
            near_conversations: dedup.map(|dedup| index(dedup.conversations, conversations())),
        }
    }

    /// What of `batch` can stand beside the runs before it.
    fn sift(&self, batch: Batch, removed: &mut Vec<Removed>) -> Batch {
        let (personas, known) = self.sift_personas(batch.personas, removed);
        let (situations, aliases) = self.sift_situations(batch.situations, &known, removed);
        let gone: BTreeSet<&str> =
            situations.iter().filter(|(_, stays)| !stays).map(|(situation, _)| situation.id.as_str()).collect();
        let conversations = self.sift_conversations(batch.conversations, &known, &aliases, &gone, removed);
        let situations = situations.into_iter().filter(|(_, stays)| *stays).map(|(situation, _)| situation).collect();
        Batch { mark: batch.mark, personas, situations, conversations }
    }

    /// The people, and the ids of those whom an earlier run has.
    fn sift_personas(
        &self,
        personas: Vec<Persona>,
        removed: &mut Vec<Removed>,
    ) -> (Vec<Persona>, BTreeMap<String, String>) {
        let mut known = BTreeMap::new();
        let mut kept = Vec::new();
        for persona in personas {
            if self.crosses(&persona.persona, &persona.split) {
                removed.push(crossing("personas", &persona.id));
            } else if let Some(id) = self.people.get(&persona.hash) {
                let found = Match { id: id.clone(), jaccard: 1.0, kind: DuplicateKind::Exact };
                removed.push(duplicate("personas", &persona.id, found));
                known.insert(persona.id, id.clone());
            } else {
                kept.push(persona);
            }
        }
        (kept, known)
    }

    /// Every situation and whether it stays, and those that are kept under another id.
    fn sift_situations(
        &self,
        situations: Vec<Situation>,
        known: &BTreeMap<String, String>,
        removed: &mut Vec<Removed>,
    ) -> (Vec<(Situation, bool)>, BTreeMap<String, Alias>) {
        let mut aliases = BTreeMap::new();
        let mut sifted = Vec::new();
        for mut situation in situations {
            let stays = if situation.personas.iter().any(|person| self.crosses(&person.persona, &situation.split)) {
                removed.push(crossing("situations", &situation.id));
                false
            } else if let Some(found) = self.duplicate_of(&situation) {
                aliases.extend(self.alias(&situation).map(|alias| (situation.id.clone(), alias)));
                removed.push(duplicate("situations", &situation.id, found));
                false
            } else {
                rename::people_of_situation(&mut situation, known);
                true
            };
            sifted.push((situation, stays));
        }
        (sifted, aliases)
    }

    /// The situation of an earlier run that this one duplicates: the same with the same people, else the nearest.
    fn duplicate_of(&self, situation: &Situation) -> Option<Match> {
        let near = self.near_situations.as_ref()?;
        let same = self.situations.get(&situation.content_hash());
        let exact = |id: &String| Match { id: id.clone(), jaccard: 1.0, kind: DuplicateKind::Exact };
        same.map(|(id, _)| exact(id)).or_else(|| near.check(&situation_text(situation)))
    }

    fn alias(&self, situation: &Situation) -> Option<Alias> {
        let (id, people) = self.situations.get(&situation.content_hash())?;
        let own = situation.personas.iter().map(|person| person.id.clone());
        Some(Alias { id: id.clone(), people: own.zip(people.iter().cloned()).collect() })
    }

    fn sift_conversations(
        &self,
        conversations: Vec<Conversation>,
        known: &BTreeMap<String, String>,
        aliases: &BTreeMap<String, Alias>,
        gone: &BTreeSet<&str>,
        removed: &mut Vec<Removed>,
    ) -> Vec<Conversation> {
        let mut kept = Vec::new();
        for mut conversation in conversations {
            let alias = aliases.get(&conversation.situation_id);
            if alias.is_none() && gone.contains(conversation.situation_id.as_str()) {
                removed.push(Removed { reason: "situation_removed", ..crossing("conversations", &conversation.id) });
                continue;
            }
            let near = self.near_conversations.as_ref();
            if let Some(found) = near.and_then(|near| near.check(&conversation_text(&conversation))) {
                removed.push(duplicate("conversations", &conversation.id, found));
                continue;
            }
            if let Some(alias) = alias {
                conversation.situation_id.clone_from(&alias.id);
            }
            rename::people_of_conversation(&mut conversation, alias.map_or(known, |alias| &alias.people));
            kept.push(conversation);
        }
        kept
    }

    fn crosses(&self, persona: &str, split: &str) -> bool {
        self.splits.get(&folded(persona)).is_some_and(|other| other != split)
    }

    /// Takes in what was kept of a run.
    fn learn(&mut self, kept: &Batch) {
        for persona in &kept.personas {
            self.splits.entry(folded(&persona.persona)).or_insert_with(|| persona.split.clone());
            self.people.entry(persona.hash.clone()).or_insert_with(|| persona.id.clone());
        }
        for situation in &kept.situations {
            for person in &situation.personas {
                self.splits.entry(folded(&person.persona)).or_insert_with(|| situation.split.clone());
            }
            let people = situation.personas.iter().map(|person| person.id.clone()).collect();
            self.situations.entry(situation.content_hash()).or_insert_with(|| (situation.id.clone(), people));
            if let Some(near) = &mut self.near_situations {
                near.add(&situation.id, &situation_text(situation));
            }
        }
        for conversation in &kept.conversations {
            if let Some(near) = &mut self.near_conversations {
                near.add(&conversation.id, &conversation_text(conversation));
            }
        }
    }
}

/// A description as it is compared: equal here is what the dataset's own check calls equal.
fn folded(persona: &str) -> String {
    content_hash([normalize(persona).as_str()])
}

fn crossing(table: &'static str, id: &str) -> Removed {
    let (outcome, reason) = (Outcome::Rejected, "crosses_splits");
    Removed { table, id: id.to_owned(), outcome, reason, kept: None, jaccard: None, kind: None }
}

fn duplicate(table: &'static str, id: &str, found: Match) -> Removed {
    Removed {
        outcome: Outcome::Duplicate,
        reason: "duplicate",
        kept: Some(found.id),
        jaccard: Some(found.jaccard),
        kind: Some(found.kind),
        ..crossing(table, id)
    }
}
