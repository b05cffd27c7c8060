//! Why a stage ends before its end.

use super::compile::CompileError;
use super::inputs::InputsError;
use super::personas::PersonasError;
use super::situations::ImportError;
use super::situations::casting::CastingError;
use crate::exit::ExitCode;
use crate::llm::Halt;
use crate::prompt::template::PromptError;
use crate::record::arrow::TableError;
use crate::store::checkpoint::CheckpointError;
use crate::store::fs::FsError;

/// Why a stage ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Prompts, shots or the coverage grid.
    #[error(transparent)]
    Inputs(#[from] InputsError),
    /// The persona file.
    #[error(transparent)]
    Personas(#[from] PersonasError),
    /// No groups can be formed.
    #[error(transparent)]
    Casting(#[from] CastingError),
    /// The situation file.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A sealed stage.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A Parquet file.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The dataset.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A file.
    #[error(transparent)]
    File(#[from] FsError),
    /// Something stopped the run while it made calls.
    #[error(transparent)]
    Halted(#[from] Halt),
    /// A stage's outcomes do not add up: a bug, caught before anything wrong is sealed.
    #[error("{stage}: {inputs} inputs, but {outcomes} outcomes; please report this")]
    Sums {
        /// The stage.
        stage: &'static str,
        /// Inputs worked on.
        inputs: u64,
        /// Outcomes counted.
        outcomes: u64,
    },
}

/// What cannot be rendered for one item cannot be for any.
impl From<PromptError> for Halt {
    fn from(error: PromptError) -> Self {
        Self::Prompt { message: error.to_string() }
    }
}

impl StageError {
    /// The exit code of the contract.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Inputs(error) => error.exit_code(),
            Self::Personas(error) => error.exit_code(),
            Self::Casting(error) => error.exit_code(),
            Self::Import(error) => error.exit_code(),
            Self::Checkpoint(error) => error.exit_code(),
            Self::Compile(error) => error.exit_code(),
            Self::Table(_) | Self::File(_) => ExitCode::Io,
            Self::Halted(halt) => halt.exit_code(),
            Self::Sums { .. } => ExitCode::Bug,
        }
    }
}
