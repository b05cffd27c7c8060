//! What is known of earlier runs: hashes, ids of people, and where situations are, never a text.
//!
//! In memory, with the spare room of a hash table: about 45 bytes for each description of a person, 110 for each person, 80 for
//! each situation, and what the near-duplicate indexes take.

use std::collections::HashMap;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::{Batch, Kept};
use crate::config;
use crate::publish::error::PublishError;
use crate::record::{self, Conversation, Persona, Situation};
use crate::stages::compile::{CompileError, RecordSource};
use crate::stages::dedup::{Match, Shingling, TextIndex, conversation_text, normalize, situation_text};
use crate::store::fs::FsError;
use crate::store::lines::LinesFile;
use crate::store::part::RowPlace;

/// Texts that are looked at to choose the pieces that are compared.
const SAMPLE: usize = 1_000;

/// Stands for a text: the first 128 bits of its BLAKE3 hash.
pub(super) type TextDigest = [u8; 16];

/// What stands for `text`.
pub(super) fn key(text: &str) -> TextDigest {
    let [key @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *blake3::hash(text.as_bytes()).as_bytes();
    key
}

/// What earlier runs hold.
#[derive(Debug)]
pub(super) struct EarlierRuns {
    /// The names of splits.
    splits: Vec<String>,
    /// The split by description, as a number of `splits`.
    split_of: HashMap<TextDigest, u32>,
    /// The id of a person by the hash of the description.
    people: HashMap<TextDigest, Box<str>>,
    known: Option<Known>,
}

/// What duplicates are found by.
#[derive(Debug)]
struct Known {
    /// The files of situations that are kept.
    files: Vec<LinesFile>,
    /// A situation by all that its conversations grew from: the number of its file, and where it is in it.
    situations: HashMap<TextDigest, (u32, RowPlace)>,
    near_situations: TextIndex,
    near_conversations: TextIndex,
}

impl EarlierRuns {
    /// Nothing yet of `batches`. Files are in `folder`.
    pub(super) fn new(batches: &[Batch], dedup: Option<&config::Dedup>, folder: &Path) -> Result<Self, PublishError> {
        let known = dedup.map(|dedup| Known::new(batches, dedup, folder)).transpose()?;
        Ok(Self { splits: Vec::new(), split_of: HashMap::new(), people: HashMap::new(), known })
    }

    /// Whether someone with this description stands in another split.
    pub(super) fn crosses(&self, persona: &str, split: &str) -> bool {
        let known = self.split_of.get(&folded(persona)).and_then(|at| self.splits.get(*at as usize));
        known.is_some_and(|other| other != split)
    }

    /// The id under which this person is known.
    pub(super) fn person(&self, persona: &Persona) -> Option<&str> {
        self.people.get(&key(&persona.hash)).map(AsRef::as_ref)
    }

    /// The same situation with the same people, who keep the same to themselves.
    pub(super) fn same_situation(&self, situation: &Situation) -> Result<Option<Situation>, FsError> {
        let Some(known) = &self.known else { return Ok(None) };
        let Some((file, place)) = known.situations.get(&whole(situation)) else { return Ok(None) };
        let Some(file) = known.files.get(*file as usize) else { return Ok(None) };
        Ok(Some(parse(file, &file.read(*place)?)?))
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
        each(&kept.personas, |persona: Persona, _| {
            self.split_is(&persona.persona, &persona.split);
            self.people.entry(key(&persona.hash)).or_insert_with(|| persona.id.into());
            Ok(())
        })?;
        each(&kept.situations, |situation: Situation, place| {
            situation.personas.iter().for_each(|person| self.split_is(&person.persona, &situation.split));
            self.known.as_mut().map_or(Ok(()), |known| known.learn(&situation, place))
        })?;
        let Some(known) = &mut self.known else { return Ok(()) };
        known.files.push(kept.situations.clone());
        each(&kept.conversations, |talk: Conversation, _| {
            known.near_conversations.add(&talk.id, &conversation_text(&talk))
        })
    }

    fn split_is(&mut self, persona: &str, split: &str) {
        let at = self.splits.iter().position(|other| other == split).unwrap_or_else(|| {
            self.splits.push(split.to_owned());
            self.splits.len() - 1
        });
        self.split_of.entry(folded(persona)).or_insert(u32::try_from(at).unwrap_or(u32::MAX));
    }
}

impl Known {
    fn new(batches: &[Batch], dedup: &config::Dedup, folder: &Path) -> Result<Self, PublishError> {
        let situations = batches.iter().map(|batch| &batch.situations);
        let talks = batches.iter().map(|batch| &batch.conversations);
        Ok(Self {
            files: Vec::new(),
            situations: HashMap::new(),
            near_situations: index(dedup.situations, situations, situation_text, folder)?,
            near_conversations: index(dedup.conversations, talks, conversation_text, folder)?,
        })
    }

    /// Takes in a situation of the file that is the next.
    fn learn(&mut self, situation: &Situation, place: RowPlace) -> Result<(), FsError> {
        let file = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.situations.entry(whole(situation)).or_insert((file, place));
        self.near_situations.add(&situation.id, &situation_text(situation))
    }
}

/// An index for texts of `runs`. The first of each, as many of one run as of another, decide by what all are compared.
fn index<'a, R: DeserializeOwned>(
    threshold: f64,
    runs: impl ExactSizeIterator<Item = &'a RecordSource>,
    text: fn(&R) -> String,
    folder: &Path,
) -> Result<TextIndex, PublishError> {
    let each = SAMPLE.div_ceil(runs.len().max(1));
    let records = runs.flat_map(|run| run.records::<R>().take(each));
    let texts = records.map(|record| record.map(|record| text(&record))).collect::<Result<Vec<_>, _>>()?;
    let shingling = Shingling::for_sample(texts.iter().map(String::as_str));
    Ok(TextIndex::create(threshold, shingling, folder)?)
}

/// What stands for all that a conversation grows from: the situation, its people, and what each keeps to themself.
fn whole(situation: &Situation) -> TextDigest {
    let kept = situation.personas.iter().flat_map(|person| [&person.stance, &person.goal, &person.knowledge]);
    let kept = kept.map(|text| text.as_deref().unwrap_or_default());
    key(&record::content_hash([situation.content_hash().as_str()].into_iter().chain(kept)))
}

/// A description as it is compared: equal here is what the dataset's own check calls equal.
fn folded(persona: &str) -> TextDigest {
    key(&normalize(persona))
}

/// Shows every record of a file to `take`, and where it is.
fn each<R: DeserializeOwned>(
    file: &LinesFile,
    mut take: impl FnMut(R, RowPlace) -> Result<(), FsError>,
) -> Result<(), PublishError> {
    let mut lines = file.lines()?;
    while lines.advance().map_err(CompileError::Changed)? {
        take(parse(file, lines.line())?, lines.place())?;
    }
    Ok(())
}

/// A record that was written a moment ago.
fn parse<R: DeserializeOwned>(file: &LinesFile, line: &[u8]) -> Result<R, FsError> {
    let failed = |error: serde_json::Error| FsError {
        action: "read a record back from",
        path: file.path().to_owned(),
        source: error.into(),
    };
    serde_json::from_slice(line).map_err(failed)
}
