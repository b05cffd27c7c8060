//! The records of several runs as those of one dataset: run after run in their order, each read once and written to files of its
//! own. Pure: the same runs, the same records, and the same list of what was left out.
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
//! run alone comes out as it went in. What is known of earlier runs is read from their files when they are whole (`earlier.rs`).
//!
//! Memory does not grow with the records: they pass one at a time, and what is looked up of them lies in maps and indexes on
//! disk, which hold what [`MergeMemory`] allows.

mod earlier;
mod rename;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::earlier::EarlierRuns;
use super::error::PublishError;
use crate::config;
use crate::record::{Conversation, DuplicateKind, Outcome, Persona, Situation};
use crate::stages::compile::RecordSource;
use crate::stages::dedup::Match;
use crate::store::lines::LinesFile;
use crate::store::map::DiskMap;
use crate::store::part::JsonlWriter;

/// What one run made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    /// What stands in front of its ids; empty where it is alone.
    pub mark: String,
    /// Its people.
    pub personas: RecordSource,
    /// Its situations.
    pub situations: RecordSource,
    /// Its conversations.
    pub conversations: RecordSource,
}

/// The tables of a dataset.
#[derive(Debug, Clone, Default)]
pub(crate) struct Merged {
    /// The people.
    pub personas: RecordSource,
    /// The situations.
    pub situations: RecordSource,
    /// The conversations.
    pub conversations: RecordSource,
}

/// A record that was left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Removed {
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

/// How much is held in memory of what records are compared with.
#[derive(Debug, Clone, Copy)]
struct MergeMemory {
    /// Keys in each of five maps, some twenty bytes a key.
    keys: usize,
    /// Bytes in each of two indexes for near duplicates.
    index: usize,
}

impl Default for MergeMemory {
    fn default() -> Self {
        Self { keys: 1 << 15, index: 8 << 20 }
    }
}

/// Told of every record that is left out, in the order of runs, tables and records.
pub(crate) type OnRemoved<'a> = dyn FnMut(&Removed) -> Result<(), PublishError> + 'a;

/// What was kept of a run, in files of its own.
#[derive(Debug)]
struct Kept {
    mark: String,
    personas: LinesFile,
    situations: LinesFile,
    conversations: LinesFile,
}

/// Merges `batches`, earlier ones first, into files in `folder`. `dedup`: the thresholds; `None` keeps duplicates.
///
/// # Errors
/// If something cannot be read or written.
pub(crate) fn merge(
    batches: &[Batch],
    dedup: Option<&config::Dedup>,
    folder: &Path,
    on_removed: &mut OnRemoved<'_>,
) -> Result<Merged, PublishError> {
    merge_within(MergeMemory::default(), batches, dedup, folder, on_removed)
}

fn merge_within(
    memory: MergeMemory,
    batches: &[Batch],
    dedup: Option<&config::Dedup>,
    folder: &Path,
    on_removed: &mut OnRemoved<'_>,
) -> Result<Merged, PublishError> {
    let mut earlier = EarlierRuns::new(memory, batches, dedup, folder)?;
    let mut runs = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        let folder = folder.join(format!("run-{at:05}"));
        let run = Sift::begin(memory, &mut earlier, &folder, on_removed)?.run(batch)?;
        if at + 1 < batches.len() {
            earlier.learn(&run)?;
        }
        runs.push(run);
    }
    // All ids of a run begin with its mark: so put, records stand in the order of their ids if those of each run do.
    runs.sort_by(|one, other| one.mark.cmp(&other.mark));
    let table = |of: fn(&Kept) -> &LinesFile| RecordSource::spooled(runs.iter().map(|run| of(run).clone()).collect());
    Ok(Merged {
        personas: table(|run| &run.personas),
        situations: table(|run| &run.situations),
        conversations: table(|run| &run.conversations),
    })
}

/// What became of a situation that is left out.
#[derive(Debug, Serialize, Deserialize)]
enum LeftOut {
    /// Its conversations are left out with it.
    WithItsTalks,
    /// An earlier run has it too.
    For(Alias),
}

/// A situation that is kept under another id.
#[derive(Debug, Serialize, Deserialize)]
struct Alias {
    id: String,
    /// Participant ids: the run's, and those of the situation that is kept.
    people: BTreeMap<String, String>,
}

/// A run on its way into the dataset.
struct Sift<'a, 'f> {
    earlier: &'a mut EarlierRuns,
    on_removed: &'a mut OnRemoved<'f>,
    folder: &'a Path,
    /// The ids of people whom an earlier run has: the run's, and the earlier one's.
    known: DiskMap<String>,
    /// Situations that are left out, by their ids.
    gone: DiskMap<LeftOut>,
}

impl<'a, 'f> Sift<'a, 'f> {
    fn begin(
        memory: MergeMemory,
        earlier: &'a mut EarlierRuns,
        folder: &'a Path,
        on_removed: &'a mut OnRemoved<'f>,
    ) -> Result<Self, PublishError> {
        let known = DiskMap::create(folder, "known", memory.keys)?;
        let gone = DiskMap::create(folder, "gone", memory.keys)?;
        Ok(Self { earlier, on_removed, folder, known, gone })
    }

    /// What of `batch` can stand beside the runs before it.
    fn run(mut self, batch: &Batch) -> Result<Kept, PublishError> {
        let mark = Some(batch.mark.as_str()).filter(|mark| !mark.is_empty());
        let personas = self.table(&batch.personas, "personas.jsonl", |sift, persona| {
            if let Some(mark) = mark {
                rename::mark_persona(persona, mark);
            }
            sift.stays(persona)
        })?;
        let situations = self.table(&batch.situations, "situations.jsonl", |sift, situation| {
            if let Some(mark) = mark {
                rename::mark_situation(situation, mark);
            }
            sift.meets(situation)
        })?;
        let conversations = self.table(&batch.conversations, "conversations.jsonl", |sift, talk| {
            if let Some(mark) = mark {
                rename::mark_conversation(talk, mark);
            }
            sift.talks(talk)
        })?;
        Ok(Kept { mark: batch.mark.clone(), personas, situations, conversations })
    }

    /// Writes the records of a table that stay, as `stays` leaves them.
    fn table<R: DeserializeOwned + Serialize>(
        &mut self,
        source: &RecordSource,
        name: &str,
        mut stays: impl FnMut(&mut Self, &mut R) -> Result<bool, PublishError>,
    ) -> Result<LinesFile, PublishError> {
        let mut rows = JsonlWriter::create(self.folder, name)?;
        for record in source.records() {
            let mut record = record?;
            if stays(self, &mut record)? {
                rows.push(&record)?;
            }
        }
        Ok(LinesFile::new(self.folder, rows.finish()?))
    }

    /// Whether someone stays.
    fn stays(&mut self, persona: &Persona) -> Result<bool, PublishError> {
        if self.earlier.crosses(&persona.persona, &persona.split)? {
            self.remove(&crossing("personas", &persona.id))?;
        } else if let Some(id) = self.earlier.person(persona)? {
            self.known.insert(&persona.id, &id)?;
            self.remove(&duplicate("personas", &persona.id, exact(&id)))?;
        } else {
            return Ok(true);
        }
        Ok(false)
    }

    /// Whether a situation stays; its people get the ids they have elsewhere.
    fn meets(&mut self, situation: &mut Situation) -> Result<bool, PublishError> {
        if self.earlier.any_crosses(situation)? {
            self.gone.insert(&situation.id, &LeftOut::WithItsTalks)?;
            self.remove(&crossing("situations", &situation.id))?;
        } else if let Some(same) = self.earlier.same_situation(situation)? {
            let own = situation.personas.iter().map(|person| person.id.clone());
            self.remove(&duplicate("situations", &situation.id, exact(&same.id)))?;
            let alias = Alias { id: same.id, people: own.zip(same.people).collect() };
            self.gone.insert(&situation.id, &LeftOut::For(alias))?;
        } else if let Some(found) = self.earlier.near_situation(situation)? {
            self.gone.insert(&situation.id, &LeftOut::WithItsTalks)?;
            self.remove(&duplicate("situations", &situation.id, found))?;
        } else {
            let known = self.known(situation.personas.iter().map(|person| &person.id))?;
            rename::people_of_situation(situation, &known);
            return Ok(true);
        }
        Ok(false)
    }

    /// Whether a conversation stays; it refers to the situation and the people that are kept.
    fn talks(&mut self, talk: &mut Conversation) -> Result<bool, PublishError> {
        let alias = match self.gone.get(&talk.situation_id)? {
            Some(LeftOut::WithItsTalks) => {
                self.remove(&Removed { reason: "situation_removed", ..crossing("conversations", &talk.id) })?;
                return Ok(false);
            }
            Some(LeftOut::For(alias)) => Some(alias),
            None => None,
        };
        if let Some(found) = self.earlier.near_conversation(talk)? {
            self.remove(&duplicate("conversations", &talk.id, found))?;
            return Ok(false);
        }
        let people = match alias {
            Some(alias) => {
                talk.situation_id = alias.id;
                alias.people
            }
            None => self.known(talk.participants.iter().map(|person| &person.id))?,
        };
        rename::people_of_conversation(talk, &people);
        talk.hash = talk.content_hash();
        Ok(true)
    }

    /// The ids that people have in earlier runs.
    fn known<'i>(&self, ids: impl Iterator<Item = &'i String>) -> Result<BTreeMap<String, String>, PublishError> {
        let mut known = BTreeMap::new();
        for id in ids {
            known.extend(self.known.get(id)?.map(|other| (id.clone(), other)));
        }
        Ok(known)
    }

    fn remove(&mut self, removed: &Removed) -> Result<(), PublishError> {
        (self.on_removed)(removed)
    }
}

fn exact(id: &str) -> Match {
    Match { id: id.to_owned(), jaccard: 1.0, kind: DuplicateKind::Exact }
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
