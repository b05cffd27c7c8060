//! Why a run ends before its end, and with which exit code.

use std::path::PathBuf;

use super::inputs::InputsError;
use crate::config::fingerprint::Drift;
use crate::config::load::ConfigError;
use crate::llm::http::SetupError;
use crate::llm::recorded::Halt;
use crate::record::arrow::TableError;
use crate::stages::compile::CompileError;
use crate::stages::personas::PersonasError;
use crate::stages::situations::casting::CastingError;
use crate::stages::situations::import::ImportError;
use crate::store::checkpoint::CheckpointError;
use crate::store::fs::FsError;
use crate::store::journal::JournalError;
use crate::store::run::RunError as RunDirError;

/// Why a run ended before its end. Each kind has an exit code, listed in the README.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
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
    /// The run directory.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// The run directory was made with other settings.
    #[error(transparent)]
    Drift(#[from] Drift),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A configuration that has no YAML form.
    #[error("the configuration cannot be written down: {0}")]
    Unwritable(#[from] serde_saphyr::SerializeError),
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
    /// A model cannot be reached as configured.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The weights of the embedded model.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Weights(#[from] crate::llm::embedded::weights::WeightsError),
    /// The embedded model.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Embedded(#[from] crate::llm::embedded::LoadError),
    /// This build has no embedded model.
    #[cfg(not(feature = "embedded"))]
    #[error(
        "this convogen was built without the embedded model; configure an endpoint, or build with the feature `embedded`"
    )]
    NoEmbedded,
    /// Calls would leave the machine.
    #[error("{target} is not on this machine, and --offline allows nothing else")]
    Offline {
        /// Where calls would go.
        target: String,
    },
    /// Something stopped the run while it made calls.
    #[error("{0}")]
    Halted(Halt),
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
    /// A run that is still to be gone on with.
    #[error(
        "{path} is not finished; go on with it by `convogen pipeline run -c FILE --run-dir {path}`, then use what it made",
        path = path.display()
    )]
    Unfinished {
        /// The run.
        path: PathBuf,
    },
    /// Sound records that do not have the fields this version reads.
    #[error(
        "{path} was made by convogen {created_by}, whose records have another form ({reason}); use that version, or make the run again with this one",
        path = path.display()
    )]
    OtherRecords {
        /// The run.
        path: PathBuf,
        /// The version that made it.
        created_by: String,
        /// The first row that does not fit.
        reason: String,
    },
    /// There is no run at this place, or no such item in it.
    #[error("{message}")]
    NotFound {
        /// What was looked for and what to do.
        message: String,
    },
}

impl RunError {
    /// The exit code of the contract.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(error) => error.exit_code(),
            Self::Inputs(InputsError::File(_)) | Self::File(_) | Self::Table(_) => 7,
            Self::Inputs(InputsError::Missing { .. }) => 11,
            Self::Inputs(_) | Self::NotFound { .. } => 2,
            Self::Personas(error) => error.exit_code(),
            Self::Casting(error) => error.exit_code(),
            Self::Import(ImportError::Read { .. }) => 7,
            Self::Import(_) | Self::Unfinished { .. } | Self::OtherRecords { .. } => 3,
            Self::RunDir(error) => error.exit_code(),
            Self::Drift(_) => 5,
            Self::Journal(error) => error.exit_code(),
            Self::Checkpoint(error) => error.exit_code(),
            Self::Compile(error) => error.exit_code(),
            Self::Setup(error) => error.exit_code(),
            #[cfg(feature = "embedded")]
            Self::Weights(error) => error.exit_code(),
            #[cfg(feature = "embedded")]
            Self::Embedded(_) => 6,
            #[cfg(not(feature = "embedded"))]
            Self::NoEmbedded => 2,
            Self::Offline { .. } => 6,
            Self::Halted(halt) => halt_code(halt),
            Self::Sums { .. } | Self::Unwritable(_) => 1,
        }
    }
}

fn halt_code(halt: &Halt) -> u8 {
    match halt {
        Halt::Interrupted | Halt::Stopping => 130,
        Halt::Budget(_) => 8,
        Halt::Endpoint { .. } | Halt::Refusals { .. } => 6,
        Halt::Journal(error) => error.exit_code(),
        Halt::Prompt(_) => 2,
        Halt::NotRecorded { .. } => 1,
    }
}
