//! Conversations in the forms that training and corpus tools read.
//!
//! A [`Conversation`] goes in, rows and files come out; nothing is held but what is being written.
//!
//! ```text
//! <split>-00000-of-00001.parquet   the rows of a split, in as many files as it takes
//! <split>.jsonl                    the same rows as JSON Lines
//! <split>/part-0.jsonl, part-0.tsv for `convogen`: upstream's records, so many in a part
//! dataset_info.json, axolotl.yaml  how LLaMA-Factory and axolotl read them, where they can
//! ```
//!
//! * `formats`: which columns a format has, and which function makes its rows.
//! * `view`: a conversation as one of its speakers sees it; `chat`: such views as messages; `talk`: what is said, as a bystander
//!   reads it; `upstream`: the records of upstream ConvoGen; `corpus`: `ConvoKit`.
//! * `split`, `parts`: the files of one split; `trainers`: the configurations beside them.
//!
//! A row stands in the split of its conversation. Every row of a file has every key, no value is null, and no list is always
//! empty, so that a reader that guesses types from the head of a file guesses right. What a person keeps to themself is in no
//! record of a conversation: `secrets` brings it from the situations, where it is asked for, to the rows of that person alone. A
//! persona too is shown to its own person only, but for `convokit` and `convogen`, which describe a conversation from outside.

mod chat;
mod corpus;
mod formats;
mod parts;
mod secrets;
mod split;
mod talk;
#[cfg(test)]
mod tests;
mod trainers;
mod upstream;
mod view;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use self::corpus::CorpusFolder;
use self::formats::ExampleTable;
use self::secrets::RoomSecrets;
pub(crate) use self::secrets::{JoinedSecrets, SecretsJoin};
use self::split::SplitFiles;
use crate::config::export::ExportOptions;
use crate::exit::ExitCode;
use crate::record::arrow::Column;
use crate::record::{Conversation, is_split_name};
use crate::store::fs::{self, FsError};
use crate::store::part::FileEntry;
use crate::tables::{Cut, TableFileError, WrittenSplit};

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A table could not be written.
    #[error(transparent)]
    Table(#[from] TableFileError),
    /// A split's name cannot be part of a file name that every reader takes.
    #[error(
        "conversation {id} has the split {split:?}; a split is named with 1 to 64 of the characters A-Z, a-z, 0-9 and _"
    )]
    SplitName {
        /// The conversation.
        id: String,
        /// The name.
        split: String,
    },
    /// What people keep to themselves is asked for, and stands in no situation that is there.
    #[error(
        "conversation {id} grew from the situation {situation}, which is not there; export the situations with it, or leave out `private`"
    )]
    NoSituation {
        /// The conversation.
        id: String,
        /// Its situation.
        situation: String,
    },
    /// What is exported was written to while it was read.
    #[error(
        "conversation {id} was not where it is when the conversations were read before; let nothing write to them, and export again"
    )]
    Changed {
        /// The conversation.
        id: String,
    },
}

impl ExportError {
    /// The exit code of the contract: 3 where the records are to blame, 7 where the disk is.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::SplitName { .. } | Self::NoSituation { .. } => ExitCode::Input,
            Self::Table(error) => error.exit_code(),
            Self::Fs(_) | Self::Changed { .. } => ExitCode::Io,
        }
    }
}

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Exported {
    /// The columns; none where the form is no table.
    pub columns: &'static [Column],
    /// The splits with rows; `train` first, the others by name.
    pub splits: Vec<ExportedSplit>,
    /// All files, but for a README of their own.
    pub files: Vec<FileEntry>,
    /// Conversations that were read.
    pub conversations: u64,
}

impl Exported {
    /// Rows of all splits; conversations where the form is no table.
    pub(crate) fn rows(&self) -> u64 {
        if self.columns.is_empty() {
            self.conversations
        } else {
            self.splits.iter().map(|split| split.parquet.rows()).sum()
        }
    }
}

/// A split as it was written.
#[derive(Debug)]
pub(crate) struct ExportedSplit {
    pub name: String,
    /// Its rows as Parquet.
    pub parquet: WrittenSplit,
}

/// Writes conversations, given one by one, in one format.
#[derive(Debug)]
pub(crate) struct Exporter<'a> {
    options: &'a ExportOptions,
    root: &'a Path,
    /// What the path of every file begins with, below `root`.
    home: String,
    shape: Shape,
    /// What people keep to themselves, where their rows say it.
    secrets: Option<JoinedSecrets>,
    /// How the tables are cut into files.
    cut: Cut,
    conversations: u64,
}

/// What becomes of conversations.
#[derive(Debug)]
enum Shape {
    Table { table: ExampleTable, splits: BTreeMap<String, SplitFiles> },
    Corpus(Box<CorpusFolder>),
}

impl<'a> Exporter<'a> {
    /// Begins in the folder `home` below `root`; `home` may be empty. `secrets` are those of the conversations to come, where the
    /// options ask for them.
    pub(crate) fn new(
        options: &'a ExportOptions,
        root: &'a Path,
        home: &str,
        secrets: Option<JoinedSecrets>,
    ) -> Result<Self, ExportError> {
        let home = if home.is_empty() { String::new() } else { format!("{home}/") };
        let shape = match formats::table(options) {
            Some(table) => Shape::Table { table, splits: BTreeMap::new() },
            None => Shape::Corpus(Box::new(CorpusFolder::create(root, &home)?)),
        };
        Ok(Self { options, root, home, shape, secrets, cut: Cut::default(), conversations: 0 })
    }

    /// Adds a conversation.
    pub(crate) fn push(&mut self, talk: &Conversation) -> Result<(), ExportError> {
        self.conversations += 1;
        let secrets = self.secrets.as_mut().map_or_else(|| Ok(RoomSecrets::default()), |secrets| secrets.next(talk))?;
        let (table, splits) = match &mut self.shape {
            Shape::Corpus(corpus) => return Ok(corpus.push(talk)?),
            Shape::Table { table, splits } => (table, splits),
        };
        let rows = (table.rows)(talk, &secrets, self.options);
        if rows.is_empty() {
            return Ok(());
        }
        let files = match splits.entry(talk.split.clone()) {
            Entry::Occupied(files) => files.into_mut(),
            Entry::Vacant(place) => {
                let (id, split) = (&talk.id, &talk.split);
                if !is_split_name(split) {
                    return Err(ExportError::SplitName { id: id.clone(), split: split.clone() });
                }
                place.insert(SplitFiles::create(self.root, &self.home, split, table, self.cut, self.options)?)
            }
        };
        rows.into_iter().try_for_each(|row| files.push(row))?;
        files.push_record(talk)
    }

    /// Ends every file and writes what lies beside them.
    pub(crate) fn finish(self) -> Result<Exported, ExportError> {
        let Self { options, root, home, shape, conversations, .. } = self;
        let (table, splits) = match shape {
            Shape::Corpus(corpus) => {
                return Ok(Exported { files: corpus.finish()?, conversations, ..Exported::default() });
            }
            Shape::Table { table, splits } => (table, splits),
        };
        let mut exported = Exported { columns: table.columns, conversations, ..Exported::default() };
        for (_, files) in splits {
            let (split, files) = files.finish()?;
            exported.splits.push(split);
            exported.files.extend(files);
        }
        exported.splits.sort_by_key(|split| split.name != "train");
        exported.files.extend(trainers::write(root, &home, options, &exported.splits)?);
        Ok(exported)
    }
}

/// Writes a card that tells the `datasets` library where the rows of each split are.
pub(crate) fn write_card(root: &Path, options: &ExportOptions, exported: &Exported) -> Result<(), ExportError> {
    Ok(fs::write_atomic(&root.join("README.md"), trainers::card(options, &exported.splits).as_bytes())?)
}
