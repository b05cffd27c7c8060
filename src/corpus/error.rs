//! Why a corpus cannot be deduplicated.

use std::path::PathBuf;

use crate::exit::ExitCode;
use crate::record::arrow::TableError;
use crate::store::fs::FsError;

/// Why a corpus cannot be deduplicated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CorpusError {
    /// Nothing is there.
    #[error("there is nothing at {path}: name JSONL or Parquet files, or a folder of them", path = path.display())]
    Missing {
        /// What was named.
        path: PathBuf,
    },
    /// A folder without anything to read, or something that is neither file nor folder.
    #[error("{path} {problem}", path = path.display())]
    Unreadable {
        /// What was named.
        path: PathBuf,
        /// What is wrong with it, and what would do.
        problem: String,
    },
    /// Two files that cannot be read together, or not be written as asked.
    #[error("{0}")]
    Mixed(String),
    /// Shards of a table that differ in their columns.
    #[error("{one} and {other} are not of one table: {problem}", one = one.display(), other = other.display())]
    OtherColumns {
        /// A file.
        one: PathBuf,
        /// Another.
        other: PathBuf,
        /// The columns that differ.
        problem: String,
    },
    /// A record without what is compared, or that is none.
    #[error("{path}, {unit} {number}: {problem}", path = path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// `line` or `row`.
        unit: &'static str,
        /// From 1.
        number: u64,
        /// What is wrong and what would do.
        problem: String,
    },
    /// Two records with one id.
    #[error(
        "the id `{id}` stands twice: {one} and {other}; ids decide which record stays, so make them differ, or name another field with --id-field"
    )]
    EqualIds {
        /// The id.
        id: String,
        /// File and line or row.
        one: String,
        /// File and line or row.
        other: String,
    },
    /// It was written to while it was read.
    #[error("{path} changed while it was read: run again once it is complete", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The compressed data of a file does not decompress.
    #[error("{path} is damaged or cut short: {detail}; fetch or compress it again", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        detail: String,
    },
    /// A Parquet file that is damaged.
    #[error("{path}: {source}", path = path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TableError,
    },
    /// A cluster so large that it is more likely a template or a fault than copies.
    #[error(
        "{size} of {records} records would be taken for copies of `{kept}`, more than {percent} %; none was removed"
    )]
    GiantCluster {
        /// The record that would stay.
        kept: String,
        /// Records in the cluster.
        size: u64,
        /// Records in the corpus.
        records: u64,
        /// The share that is refused, in percent.
        percent: u64,
    },
    /// More records than numbers for them.
    #[error("a corpus takes 4,294,967,294 records; split it, or see docs/scale.md")]
    TooMany,
    /// A pair list that does not belong to the corpus.
    #[error("{path} names the id `{id}`, which no record has: make the list from the signatures of these very inputs", path = path.display())]
    ForeignPair {
        /// The pair list.
        path: PathBuf,
        /// The id.
        id: String,
    },
    /// The disk.
    #[error(transparent)]
    Io(#[from] FsError),
}

impl CorpusError {
    /// The exit code of the contract.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Io(_) => ExitCode::Io,
            Self::Missing { .. } | Self::Mixed(_) => ExitCode::Usage,
            _ => ExitCode::Input,
        }
    }
}
