//! Why there is no report.

use std::path::PathBuf;

use crate::exit::ExitCode;
use crate::pipeline::error::RunError;
use crate::record::arrow::TableError;
use crate::store::checkpoint::CheckpointError;
use crate::store::fs::FsError;
use crate::store::run;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The run, its configuration or its journal.
    #[error(transparent)]
    Run(Box<RunError>),
    /// The run directory.
    #[error(transparent)]
    RunDir(#[from] run::RunDirError),
    /// A sealed stage.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file.
    #[error(transparent)]
    File(#[from] FsError),
    /// There is nothing at the place named.
    #[error("{path} is not there; name a run directory, a dataset folder, or a JSONL or Parquet file", path = path.display())]
    Missing {
        /// What was named.
        path: PathBuf,
    },
    /// A folder that is neither a run nor a dataset.
    #[error(
        "{path} holds neither run.json nor a data folder; name a run directory, a dataset folder, or a JSONL or Parquet file",
        path = path.display()
    )]
    NotMeasurable {
        /// The folder.
        path: PathBuf,
    },
    /// A line that is no conversation.
    #[error("{path}, line {line}: {problem}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong and what would do.
        problem: String,
    },
    /// A Parquet file that is damaged, or does not hold conversations.
    #[error("{path}: {source}", path = path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TableError,
    },
    /// A file of a dataset that its manifest does not describe.
    #[error("{path} is damaged: {problem}; fetch or compile the dataset again", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no conversation to measure.
    #[error("{path} holds no conversation; name a file, dataset or run that does", path = path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
    },
    /// The page to be written is there already.
    #[error("{path} is there already; name another file, or replace it with --force", path = path.display())]
    OutputExists {
        /// The file.
        path: PathBuf,
    },
    /// A record that has no JSON form.
    #[error("{id} cannot be written into the page: {source}; please report this")]
    Unwritable {
        /// The record.
        id: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A thread that measured ended by a panic.
    #[error("measuring ended before its end; please report this")]
    Unfinished,
}

impl From<RunError> for ReportError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

impl ReportError {
    /// The exit code of the contract.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Run(error) => error.exit_code(),
            Self::RunDir(error) => error.exit_code(),
            Self::Checkpoint(error) => error.exit_code(),
            Self::File(_) => ExitCode::Io,
            Self::Missing { .. } | Self::NotMeasurable { .. } | Self::OutputExists { .. } => ExitCode::Usage,
            Self::Table { source: TableError::Damaged | TableError::Parquet(_), .. } | Self::Damaged { .. } => {
                ExitCode::Damage
            }
            Self::Line { .. } | Self::Empty { .. } | Self::Table { .. } => ExitCode::Input,
            Self::Unfinished | Self::Unwritable { .. } => ExitCode::Bug,
        }
    }
}
