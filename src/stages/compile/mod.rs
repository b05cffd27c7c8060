//! The dataset folder: sealed records in, a folder that loads as it stands out.
//!
//! ```text
//! README.md  croissant.json              the dataset card, for people and for programs
//! data/<split>-00000-of-00001.parquet    conversations
//! situations/…  personas/…               likewise
//! jsonl/<table>-<split>.jsonl            the same rows as JSON Lines
//! exports/<format>/…                     conversations in the forms of trainers, where they are asked for
//! config.yaml                            what shaped the data
//! manifest.json                          every other file with bytes, rows and SHA-256; written last
//! ```
//!
//! Compiling is a pure function of its [`Input`]: rows stand in the order of their ids, and neither the clock nor the
//! host nor the name of a folder reaches a file. A table without rows is left out; one that has rows has a file for every
//! split, empty where no row is in it. The folder must be fresh; whoever calls swaps it in when it is whole.
//!
//! Records stream from where they lie (`source`), sorted on the way where they are not in order, into one table after the
//! other (`table`). What the card says of them is gathered as they pass (`seen`, `screening`, `leakage`). Memory
//! holds about a row group and some buffers, however many records there are.

mod card;
mod croissant;
mod exports;
mod given;
mod leakage;
mod manifest;
mod screening;
mod seen;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod used;

use std::cell::Cell;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use self::given::{GivenError, compile_file};
pub(crate) use self::leakage::{Compared, Leakage};
pub(crate) use self::manifest::{DatasetManifest, FORMAT};
pub(crate) use self::source::RecordSource;

use self::leakage::People;
use self::seen::SeenRecords;
use self::table::{DatasetDraft, WrittenTable};
use self::used::UsedPeople;
use crate::config;
use crate::config::export::ExportOptions;
use crate::exit::ExitCode;
use crate::export::ExportError;
use crate::record::arrow::ArrowRecord as _;
use crate::record::{Conversation, Persona, Situation, Tally};
use crate::stages::dedup;
use crate::store::checkpoint::CheckpointError;
use crate::store::fs::{self, FsError};
use crate::store::lines::LinesError;
use crate::store::part::FileEntry;
use crate::tables::{Cut, TableFileError};

/// What a dataset is made of.
#[derive(Debug, Clone)]
pub(crate) struct Input<'a> {
    /// The people, [`Persona`] records; none to leave them out.
    pub personas: RecordSource,
    /// The situations in which people must occur to stand in the dataset; `None`: all of them do.
    pub cast_in: Option<RecordSource>,
    /// The situations, [`Situation`] records; none to leave them out.
    pub situations: RecordSource,
    /// The conversations, [`Conversation`] records; none to leave them out.
    pub conversations: RecordSource,
    /// The splits that were asked for.
    pub splits: &'a [String],
    /// The forms that conversations are written in besides.
    pub exports: &'a [ExportOptions],
    /// When situations and conversations were, or are to be, compared across splits, by the thresholds of `dedup`.
    pub compared: Compared,
    /// The settings that shaped the data as YAML: no host, no folder of the run, nothing secret.
    pub config: &'a str,
    /// What the card says of the dataset.
    pub card: &'a config::Card,
    /// Whether and from which similarity records were removed as duplicates.
    pub dedup: &'a config::Dedup,
    /// The models that wrote it.
    pub models: &'a [ModelUse],
    /// The prompts they were given.
    pub prompts: &'a [PromptUse],
    /// What became of every input, in the order of the stages; a stage named as a table must agree with its rows.
    pub outcomes: &'a [StageOutcomes],
}

/// A model and what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModelUse {
    /// Such as `speaker`.
    pub role: String,
    /// The logical name.
    pub model: String,
    /// `demo` or `endpoint`, as in the records.
    pub tier: String,
}

/// A prompt and what it was for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PromptUse {
    /// Such as `speaker`.
    pub role: String,
    /// Its file name, without folders.
    pub name: String,
    /// A hash of its text, in hex.
    pub hash: String,
}

/// What became of the inputs of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StageOutcomes {
    /// `personas`, `situations` or `conversations`.
    pub stage: String,
    /// The counts.
    pub counts: Tally,
}

/// A finished folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compiled {
    /// What is in it.
    pub manifest: DatasetManifest,
    /// SHA-256 of `manifest.json`, in hex. It stands for the whole dataset: equal data, equal hash.
    pub manifest_sha256: String,
}

/// How much is held or put together, and how files are cut; other sizes in tests only.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// How Parquet files are cut.
    cut: Cut,
    /// Bytes of records that are sorted, or of an index, in memory.
    sort: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cut: Cut::default(), sort: 8 << 20 }
    }
}

/// Why there is no dataset.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A sealed stage is damaged.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file changed between being written and being read.
    #[error(transparent)]
    Changed(LinesError),
    /// A table could not be written.
    #[error(transparent)]
    Table(#[from] TableFileError),
    /// Conversations could not be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A record has no JSON or YAML form.
    #[error("failed to write {path}: {reason}", path = path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A split's name cannot be part of a file name that every reader takes.
    #[error(
        "{table}: record {id} has the split {split:?}; a split is named with 1 to 64 of the characters A-Z, a-z, 0-9 and _"
    )]
    SplitName {
        /// The table.
        table: &'static str,
        /// The record.
        id: String,
        /// The name.
        split: String,
    },
    /// Two records of a table have one id.
    #[error("{table}: two records have the id {id}; give the records of each source ids of their own")]
    DuplicateId {
        /// The table.
        table: &'static str,
        /// The id.
        id: String,
    },
    /// Rows were lost or invented between a stage and here.
    #[error("{stage}: {accepted} records were accepted but {rows} are there; verify the run before compiling it")]
    Counts {
        /// The stage.
        stage: String,
        /// What the stage counted.
        accepted: u64,
        /// What is there.
        rows: u64,
    },
    /// No table has a row.
    #[error("there is no record to compile; a dataset needs at least one")]
    Empty,
}

impl CompileError {
    /// The exit code of the contract: 3 where the records are to blame, 7 where the disk is.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::SplitName { .. } | Self::DuplicateId { .. } | Self::Empty => ExitCode::Input,
            Self::Checkpoint(error) => error.exit_code(),
            Self::Export(error) => error.exit_code(),
            Self::Table(error) => error.exit_code(),
            Self::Counts { .. } => ExitCode::Damage,
            Self::Fs(_) | Self::Changed(_) | Self::Encode { .. } => ExitCode::Io,
        }
    }
}

/// Writes the dataset into `folder`, which must be empty or absent. `written` is told after each row, also one that is left out
/// since its person is not used, how many were written by then, of all tables together.
pub(crate) fn compile(folder: &Path, input: &Input<'_>, written: &dyn Fn(u64)) -> Result<Compiled, CompileError> {
    compile_within(Limits::default(), folder, input, written)
}

fn compile_within(
    limits: Limits,
    folder: &Path,
    input: &Input<'_>,
    written: &dyn Fn(u64),
) -> Result<Compiled, CompileError> {
    check_counts(input)?;
    if folder.is_dir() && !fs::list(folder)?.is_empty() {
        let source = std::io::ErrorKind::DirectoryNotEmpty.into();
        return Err(FsError { action: "compile into", path: folder.to_owned(), source }.into());
    }
    let mut seen = SeenRecords::new(People::new(folder, limits.sort / 8));
    let draft = DatasetDraft { folder, limits, splits: input.splits, written, rows: Cell::new(0) };
    let talks = draft.write(&input.conversations, "data", &mut |row| Ok(seen.conversation(row)?))?;
    let situations = draft.write(&input.situations, "situations", &mut |row| Ok(seen.situation(row)?))?;
    let used = input.cast_in.as_ref().filter(|_| input.personas.rows() > 0);
    let used = used.map(|situations| UsedPeople::of(situations, folder, limits.sort)).transpose()?;
    let people = draft.write_some(&input.personas, "personas", used, &mut |row| Ok(seen.persona(row)?))?;
    let (leakage, everyone) =
        leakage(folder, limits.sort, input, &mut seen.people, situations.as_ref(), talks.as_ref())?;
    let exports = exports::write(folder, input.exports, talks.as_ref(), situations.as_ref())?;
    let tables: Vec<WrittenTable> = [talks, situations, people].into_iter().flatten().collect();
    if tables.is_empty() {
        return Err(CompileError::Empty);
    }
    let card = card::render(input, &tables, &exports, &seen, &leakage, everyone)
        .map_err(|reason| CompileError::Encode { path: folder.join("README.md"), reason })?;
    let mut entries: Vec<FileEntry> = tables.iter().chain(&exports).flat_map(|table| table.files.clone()).collect();
    entries.push(manifest::whole(folder, "README.md", card.as_bytes())?);
    let croissant = croissant::render(input.card, &tables)
        .map_err(|reason| CompileError::Encode { path: folder.join("croissant.json"), reason })?;
    entries.push(manifest::whole(folder, "croissant.json", croissant.as_bytes())?);
    entries.push(manifest::whole(folder, "config.yaml", input.config.as_bytes())?);
    let manifest = manifest::build(entries, &tables, input.outcomes, leakage);
    let manifest_sha256 = manifest::write(folder, &manifest)?;
    fs::sync_dir(folder)?;
    Ok(Compiled { manifest, manifest_sha256 })
}

/// What crosses splits, in all tables together, and how many people there are by their texts.
fn leakage(
    folder: &Path,
    memory: usize,
    input: &Input<'_>,
    people: &mut People,
    situations: Option<&WrittenTable>,
    talks: Option<&WrittenTable>,
) -> Result<(Leakage, u64), CompileError> {
    let (persona_ids, persona_texts, all) = people.crossing()?;
    let found = Leakage { persona_ids, persona_texts, compared: input.compared, ..Leakage::default() };
    if input.compared == Compared::WhenMade {
        return Ok((found, all));
    }
    let splits = |table: Option<&WrittenTable>| {
        table.into_iter().flat_map(|table| &table.splits).filter_map(|split| split.jsonl.clone()).collect()
    };
    let thresholds = input.dedup;
    let leakage = Leakage {
        situations: leakage::near(splits(situations), thresholds.situations, dedup::situation_text, folder, memory)?,
        conversations: leakage::near(
            splits(talks),
            thresholds.conversations,
            dedup::conversation_text,
            folder,
            memory,
        )?,
        ..found
    };
    Ok((leakage, all))
}

/// An included stage has as many rows as it accepted. A stage of which nothing is included says nothing.
fn check_counts(input: &Input<'_>) -> Result<(), CompileError> {
    let rows = [
        (Persona::NAME, input.personas.rows()),
        (Situation::NAME, input.situations.rows()),
        (Conversation::NAME, input.conversations.rows()),
    ];
    for StageOutcomes { stage, counts: Tally { accepted, .. } } in input.outcomes {
        let rows = rows.iter().find(|(name, _)| name == stage).map_or(0, |(_, rows)| *rows);
        if rows > 0 && rows != *accepted {
            return Err(CompileError::Counts { stage: stage.clone(), accepted: *accepted, rows });
        }
    }
    Ok(())
}
