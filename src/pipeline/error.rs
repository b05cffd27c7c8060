//! Why a run ends before its end, and with which exit code.

use std::path::PathBuf;

use super::review::ReviewError;
use crate::config::drift::Drift;
use crate::config::error::ConfigError;
use crate::exit::ExitCode;
use crate::llm::recording::RecordingError;
use crate::net::http::SetupError;
use crate::stages::error::StageError;
use crate::stages::inputs::InputsError;
use crate::store::checkpoint::CheckpointError;
use crate::store::fs::FsError;
use crate::store::journal::JournalError;
use crate::store::run::RunDirError;

/// Why a run ended before its end. Each kind has an exit code, listed in `docs/configuration.md`.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A stage.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// Prompts, shots or the coverage grid.
    #[error(transparent)]
    Inputs(#[from] InputsError),
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
    /// More calls in flight than the process may have connections.
    #[error(
        "models.*.concurrency adds up to {calls} calls in flight, and this process may open {allowed} files; raise the limit (`ulimit -Hn`), or lower the concurrency"
    )]
    OpenFiles {
        /// Calls that may be in flight.
        calls: usize,
        /// Files that may be open.
        allowed: u64,
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
    /// What is asked for needs replies that were removed.
    #[error(
        "{path} has no journal any more, since `convogen pipeline gc` removed it: {what}; its stages and dataset are whole",
        path = path.display()
    )]
    Collected {
        /// The run directory.
        path: PathBuf,
        /// What cannot be done.
        what: &'static str,
    },
    /// A run that still needs its journal.
    #[error("{path} {problem}: its journal stays; `convogen pipeline run` finishes a run", path = path.display())]
    NotCollectable {
        /// The run directory.
        path: PathBuf,
        /// Why.
        problem: &'static str,
    },
    /// A recording that cannot be written or used.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A call whose reply is not in the recording.
    #[error(
        "{path} has no reply for {item} ({call}): it was recorded with other settings, prompts or inputs, or before the run had come so far; replay with those of the recording, or leave out --replay to ask the endpoint",
        path = path.display()
    )]
    NotInRecording {
        /// The recording.
        path: PathBuf,
        /// The item.
        item: String,
        /// The call.
        call: String,
    },
    /// What people made of a run.
    #[error(transparent)]
    Review(#[from] ReviewError),
    /// There is no run at this place, or no such item in it.
    #[error("{message}")]
    NotFound {
        /// What was looked for and what to do.
        message: String,
    },
}

impl RunError {
    /// The exit code of the contract.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(error) => error.exit_code(),
            Self::Stage(error) => error.exit_code(),
            Self::Inputs(error) => error.exit_code(),
            Self::File(_) => ExitCode::Io,
            Self::NotFound { .. } | Self::Collected { .. } | Self::NotCollectable { .. } | Self::OpenFiles { .. } => {
                ExitCode::Usage
            }
            Self::Unfinished { .. } | Self::OtherRecords { .. } | Self::NotInRecording { .. } => ExitCode::Input,
            Self::Recording(error) => error.exit_code(),
            Self::Review(error) => error.exit_code(),
            Self::RunDir(error) => error.exit_code(),
            Self::Drift(_) => ExitCode::Drift,
            Self::Journal(error) => error.exit_code(),
            Self::Checkpoint(error) => error.exit_code(),
            Self::Setup(error) => error.exit_code(),
            #[cfg(feature = "embedded")]
            Self::Weights(error) => error.exit_code(),
            #[cfg(feature = "embedded")]
            Self::Embedded(_) => ExitCode::Unavailable,
            #[cfg(not(feature = "embedded"))]
            Self::NoEmbedded => ExitCode::Usage,
            Self::Offline { .. } => ExitCode::Unavailable,
            Self::Unwritable(_) => ExitCode::Bug,
        }
    }
}
