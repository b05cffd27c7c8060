//! What is known of earlier runs: hashes, splits and ids, and the texts that are compared. All of it is on disk, but for what
//! [`MergeMemory`] allows.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Batch, Kept, MergeMemory};
use crate::config;
use crate::publish::error::PublishError;
use crate::record::{self, Conversation, Persona, Situation};
use crate::stages::compile::RecordSource;
use crate::stages::dedup::{Match, Shingling, TextIndex, conversation_text, normalize, situation_text};
use crate::store::fs::FsError;
use crate::store::lines::LinesFile;
use crate::store::map::DiskMap;

/// Texts that are looked at to choose the pieces that are compared.
const SAMPLE: usize = 1_000;

/// What earlier runs hold.
#[derive(Debug)]
pub(super) struct EarlierRuns {
    /// The split by description, which is compared as the dataset's own check does it: normalised.
    split_of: DiskMap<String>,
    /// The id of a person by the hash of the description.
    people: DiskMap<String>,
    known: Option<Known>,
}

/// What duplicates are found by.
#[derive(Debug)]
struct Known {
    /// A situation by all that its conversations grew from.
    situations: DiskMap<KeptSituation>,
    near_situations: TextIndex,
    near_conversations: TextIndex,
}

/// A situation that is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptSituation {
    pub(super) id: String,
    /// The ids of its people.
    pub(super) people: Vec<String>,
}

impl EarlierRuns {
    /// Nothing yet of `batches`. Files are in `folder`.
    pub(super) fn new(
        memory: MergeMemory,
        batches: &[Batch],
        dedup: Option<&config::Dedup>,
        folder: &Path,
    ) -> Result<Self, PublishError> {
        Ok(Self {
            split_of: DiskMap::create(folder, "splits", memory.keys)?,
            people: DiskMap::create(folder, "people", memory.keys)?,
            known: dedup.map(|dedup| Known::new(memory, batches, dedup, folder)).transpose()?,
        })
    }

    /// Whether someone with this description stands in another split.
    pub(super) fn crosses(&self, persona: &str, split: &str) -> Result<bool, FsError> {
        Ok(self.split_of.get(&normalize(persona))?.is_some_and(|other| other != split))
    }

    /// Whether someone in a situation stands in another split.
    pub(super) fn any_crosses(&self, situation: &Situation) -> Result<bool, FsError> {
        for person in &situation.personas {
            if self.crosses(&person.persona, &situation.split)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The id under which this person is known.
    pub(super) fn person(&self, persona: &Persona) -> Result<Option<String>, FsError> {
        self.people.get(&persona.hash)
    }

    /// The same situation with the same people, who keep the same to themselves.
    pub(super) fn same_situation(&self, situation: &Situation) -> Result<Option<KeptSituation>, FsError> {
        self.known.as_ref().map_or(Ok(None), |known| known.situations.get(&whole(situation)))
    }

    /// The situation that this one is the most like, if it is like one.
    pub(super) fn near_situation(&mut self, situation: &Situation) -> Result<Option<Match>, FsError> {
        let Some(known) = &mut self.known else { return Ok(None) };
        known.near_situations.check(&situation_text(situation))
    }

    /// The conversation in which nearly the same is said.
    pub(super) fn near_conversation(&mut self, talk: &Conversation) -> Result<Option<Match>, FsError> {
        let Some(known) = &mut self.known else { return Ok(None) };
        known.near_conversations.check(&conversation_text(talk))
    }

    /// Takes in what was kept of a run.
    pub(super) fn learn(&mut self, kept: &Kept) -> Result<(), PublishError> {
        each(&kept.personas, |persona: Persona| {
            self.split_of.insert(&normalize(&persona.persona), &persona.split)?;
            self.people.insert(&persona.hash, &persona.id)
        })?;
        each(&kept.situations, |situation: Situation| {
            for person in &situation.personas {
                self.split_of.insert(&normalize(&person.persona), &situation.split)?;
            }
            self.known.as_mut().map_or(Ok(()), |known| known.learn(&situation))
        })?;
        let Some(known) = &mut self.known else { return Ok(()) };
        each(&kept.conversations, |talk: Conversation| {
            known.near_conversations.add(&talk.id, &conversation_text(&talk))
        })
    }

    /// Bytes of heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        let known = self.known.as_ref().map_or(0, |known| {
            known.situations.heap() + known.near_situations.heap() + known.near_conversations.heap()
        });
        self.split_of.heap() + self.people.heap() + known
    }
}

impl Known {
    fn new(memory: MergeMemory, batches: &[Batch], dedup: &config::Dedup, folder: &Path) -> Result<Self, PublishError> {
        let situations = batches.iter().map(|batch| &batch.situations);
        let talks = batches.iter().map(|batch| &batch.conversations);
        Ok(Self {
            situations: DiskMap::create(folder, "situations", memory.keys)?,
            near_situations: index(dedup.situations, situations, situation_text, folder, memory.index)?,
            near_conversations: index(dedup.conversations, talks, conversation_text, folder, memory.index)?,
        })
    }

    fn learn(&mut self, situation: &Situation) -> Result<(), FsError> {
        let people = situation.personas.iter().map(|person| person.id.clone()).collect();
        self.situations.insert(&whole(situation), &KeptSituation { id: situation.id.clone(), people })?;
        self.near_situations.add(&situation.id, &situation_text(situation))
    }
}

/// An index for texts of `runs`. The first of each, as many of one run as of another, decide by what all are compared.
fn index<'a, R: DeserializeOwned>(
    threshold: f64,
    runs: impl ExactSizeIterator<Item = &'a RecordSource>,
    text: fn(&R) -> String,
    folder: &Path,
    memory: usize,
) -> Result<TextIndex, PublishError> {
    let each = SAMPLE.div_ceil(runs.len().max(1));
    let records = runs.flat_map(|run| run.records::<R>().take(each));
    let texts = records.map(|record| record.map(|record| text(&record))).collect::<Result<Vec<_>, _>>()?;
    let shingling = Shingling::for_sample(texts.iter().map(String::as_str));
    Ok(TextIndex::create(threshold, shingling, folder)?.within(memory))
}

/// What stands for all that a conversation grows from: the situation, its people, and what each keeps to themself.
fn whole(situation: &Situation) -> String {
    let kept = situation.personas.iter().flat_map(|person| [&person.stance, &person.goal, &person.knowledge]);
    let kept = kept.map(|text| text.as_deref().unwrap_or_default());
    record::content_hash([situation.content_hash().as_str()].into_iter().chain(kept))
}

/// Shows every record of a file to `take`.
fn each<R: DeserializeOwned>(
    file: &LinesFile,
    mut take: impl FnMut(R) -> Result<(), FsError>,
) -> Result<(), PublishError> {
    for record in RecordSource::spooled(vec![file.clone()]).records() {
        take(record?)?;
    }
    Ok(())
}
