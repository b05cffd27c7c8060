//! Why a run's texts cannot be used.

use std::path::PathBuf;

use crate::config::error::ConfigError;
use crate::exit::ExitCode;
use crate::prompt::shots::ShotError;
use crate::prompt::template::PromptError;
use crate::stages::safety::words::WordsError;
use crate::stages::situations::coverage::CoverageError;
use crate::stages::situations::seeds::SeedsError;
use crate::store::fs::FsError;

/// Why a run's texts cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputsError {
    /// The prompt configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A prompt.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A shot.
    #[error(transparent)]
    Shot(#[from] ShotError),
    /// The coverage grid.
    #[error(transparent)]
    Coverage(#[from] CoverageError),
    /// The seeds.
    #[error(transparent)]
    Seeds(#[from] SeedsError),
    /// A word list.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// A file.
    #[error(transparent)]
    File(#[from] FsError),
    /// The prompt configuration cannot be kept, or the kept one cannot be read.
    #[error("prompt-config.yaml: {message}")]
    Kept {
        /// Why.
        message: String,
    },
    /// The copy in the run directory has a hole.
    #[error("{path} is missing from the run directory", path = path.display())]
    Missing {
        /// The file that should be there.
        path: PathBuf,
    },
}

impl InputsError {
    /// The exit code of the contract.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::File(_) => ExitCode::Io,
            Self::Missing { .. } => ExitCode::Damage,
            Self::Seeds(error) => error.exit_code(),
            _ => ExitCode::Usage,
        }
    }
}
