//! Why a file that is imported cannot be read.

use std::path::PathBuf;

use crate::exit::ExitCode;
use crate::store::fs::FsError;

/// Why a file cannot be read to its end. `key` is the setting that names it.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing is there.
    #[error("no file at {path}: check `{key}`, which is relative to the configuration file, or in upstream's schema to the working directory", path = path.display())]
    Missing {
        /// The path.
        path: PathBuf,
        /// The setting.
        key: &'static str,
    },
    /// It is something else than a file.
    #[error("{path} is {kind}, not a file: point `{key}` at a file", path = path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is, such as `a directory`.
        kind: &'static str,
        /// The setting.
        key: &'static str,
    },
    /// It is another kind of file.
    #[error("{path} is {kind}: {advice}", path = path.display())]
    OtherFormat {
        /// The path.
        path: PathBuf,
        /// What it is, such as `a Parquet file`.
        kind: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// A list of rows that is no JSON.
    #[error("{path}, line {line}: {detail}: the file begins as a JSON list of rows; mend it, or put one row on each line", path = path.display())]
    BrokenList {
        /// The path.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        detail: String,
    },
    /// A table that rows cannot be taken from.
    #[error("{path}{}: {problem}", line.map(|line| format!(", line {line}")).unwrap_or_default(), path = path.display())]
    Table {
        /// The path.
        path: PathBuf,
        /// The line, from 1, where it has lines.
        line: Option<u64>,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The compressed data stops before its end.
    #[error("{path} is cut short: its {compression} data has no end; fetch or compress it again", path = path.display())]
    CutShort {
        /// The path.
        path: PathBuf,
        /// `gzip` or `zstd`.
        compression: &'static str,
    },
    /// The compressed data fails its own check.
    #[error("{path} is damaged: {detail} in its {compression} data; fetch or compress it again", path = path.display())]
    Damaged {
        /// The path.
        path: PathBuf,
        /// `gzip` or `zstd`.
        compression: &'static str,
        /// What the decoder says.
        detail: String,
    },
    /// It was written to while it was read.
    #[error("{path} changed while it was read: run again once it is complete", path = path.display())]
    Changed {
        /// The path.
        path: PathBuf,
    },
    /// It can't be opened.
    #[error("{0}; check its permissions")]
    Unreadable(FsError),
    /// Reading it failed.
    #[error(transparent)]
    Io(FsError),
}

impl SourceError {
    /// The exit code: 3, input data, unless the disk is to blame.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Io(_) => ExitCode::Io,
            _ => ExitCode::Input,
        }
    }
}
