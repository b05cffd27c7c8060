//! The dataset folder: sealed records in, a folder that loads as it stands out.
//!
//! ```text
//! README.md                              the dataset card
//! data/<split>-00000-of-00001.parquet    conversations
//! situations/…  personas/…               likewise
//! jsonl/<table>-<split>.jsonl            the same rows as JSON Lines
//! config.yaml                            what shaped the data
//! manifest.json                          every other file with bytes, rows and SHA-256; written last
//! ```
//!
//! Compiling is a pure function of its [`Input`]: rows stand in the order of their ids, and neither the clock nor the
//! host nor the name of a folder reaches a file. A table without rows is left out, as is a split without rows. The
//! folder must be fresh; whoever calls swaps it in when it is whole.

mod card;
mod jsonl;
mod manifest;
mod screening;
mod splits;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::manifest::{FORMAT, Manifest};
pub use self::splits::Leakage;

use crate::config;
use crate::record::arrow::{Row, TableError};
use crate::record::{Conversation, Persona, Situation, Tally};
use crate::store::fs::{self, FsError};
use crate::store::part::FileEntry;

/// What a dataset is made of.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The people; empty to leave them out.
    pub personas: &'a [Persona],
    /// The situations; empty to leave them out.
    pub situations: &'a [Situation],
    /// The conversations; empty to leave them out.
    pub conversations: &'a [Conversation],
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
pub struct ModelUse {
    /// Such as `speaker`.
    pub role: String,
    /// The logical name.
    pub model: String,
    /// `demo` or `endpoint`, as in the records.
    pub tier: String,
}

/// A prompt and what it was for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptUse {
    /// Such as `speaker`.
    pub role: String,
    /// Its file name, without folders.
    pub name: String,
    /// A hash of its text, in hex.
    pub hash: String,
}

/// What became of the inputs of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageOutcomes {
    /// `personas`, `situations` or `conversations`.
    pub stage: String,
    /// The counts.
    pub counts: Tally,
}

/// A finished folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// What is in it.
    pub manifest: Manifest,
    /// SHA-256 of `manifest.json`, in hex. It stands for the whole dataset: equal data, equal hash.
    pub manifest_sha256: String,
}

/// Why there is no dataset.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A table could not be written: a record does not fit its columns, or the disk failed.
    #[error("failed to write {path}: {source}", path = path.display())]
    Table {
        /// The Parquet file.
        path: PathBuf,
        /// Why.
        source: TableError,
    },
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
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Table { source: TableError::OutOfRange { .. } | TableError::TooLarge { .. }, .. }
            | Self::SplitName { .. }
            | Self::DuplicateId { .. }
            | Self::Empty => 3,
            Self::Counts { .. } => 11,
            Self::Fs(_) | Self::Table { .. } | Self::Encode { .. } => 7,
        }
    }
}

/// Writes the dataset into `folder`, which must be empty or absent.
pub fn compile(folder: &Path, input: Input<'_>) -> Result<Compiled, CompileError> {
    check_counts(&input)?;
    if folder.is_dir() && !fs::list(folder)?.is_empty() {
        let source = std::io::ErrorKind::DirectoryNotEmpty.into();
        return Err(FsError { action: "compile into", path: folder.to_owned(), source }.into());
    }
    let leakage = splits::leakage(&input);
    let mut tables = Vec::new();
    tables.extend(table::write(folder, input.conversations, "data")?);
    tables.extend(table::write(folder, input.situations, "situations")?);
    tables.extend(table::write(folder, input.personas, "personas")?);
    if tables.is_empty() {
        return Err(CompileError::Empty);
    }
    let card = card::render(&input, &tables, &leakage)
        .map_err(|reason| CompileError::Encode { path: folder.join("README.md"), reason })?;
    let mut entries: Vec<FileEntry> = tables.iter().flat_map(|table| table.files.clone()).collect();
    entries.push(manifest::whole(folder, "README.md", card.as_bytes())?);
    entries.push(manifest::whole(folder, "config.yaml", input.config.as_bytes())?);
    let manifest = manifest::build(entries, &tables, input.outcomes, leakage);
    let manifest_sha256 = manifest::write(folder, &manifest)?;
    fs::sync_dir(folder)?;
    Ok(Compiled { manifest, manifest_sha256 })
}

/// An included stage has as many rows as it accepted. A stage of which nothing is included says nothing.
fn check_counts(input: &Input<'_>) -> Result<(), CompileError> {
    let rows = BTreeMap::from([
        (name_of(input.personas), input.personas.len() as u64),
        (name_of(input.situations), input.situations.len() as u64),
        (name_of(input.conversations), input.conversations.len() as u64),
    ]);
    for StageOutcomes { stage, counts: Tally { accepted, .. } } in input.outcomes {
        let rows = rows.get(stage.as_str()).copied().unwrap_or(0);
        if rows > 0 && rows != *accepted {
            return Err(CompileError::Counts { stage: stage.clone(), accepted: *accepted, rows });
        }
    }
    Ok(())
}

fn name_of<R: Row>(_: &[R]) -> &'static str {
    R::NAME
}
