//! Why something could not be published.

use std::path::PathBuf;

use crate::exit::ExitCode;
use crate::pipeline::error::RunError;
use crate::stages::compile::CompileError;
use crate::store::fs::FsError;

/// Why something could not be published, read back or removed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A setting or a variable makes no sense, or says too little to find the destination.
    #[error("{0}")]
    Setup(String),
    /// The credential that the configuration asks for is not there, or cannot be used at all.
    #[error("{0}")]
    SignIn(String),
    /// The destination says no: a wrong key, a missing permission, an expired signature, a clock that is off.
    #[error("{destination} refused to {action}: {reason}; {advice}")]
    Denied {
        /// Where, without secrets.
        destination: String,
        /// What was tried, such as `write demo/versions/…/README.md`.
        action: String,
        /// What the service said.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// The destination cannot be reached, or failed again and again.
    #[error(
        "{destination} could not be reached to {action}: {reason}; what was sent so far is kept, run the same command again"
    )]
    Unreachable {
        /// Where, without secrets.
        destination: String,
        /// What was tried.
        action: String,
        /// What went wrong.
        reason: String,
    },
    /// Something else is there where this was to go: another content, another publisher, a newer format.
    #[error("{path}: {reason}")]
    Conflict {
        /// The blob or file.
        path: String,
        /// What is there and what to do.
        reason: String,
    },
    /// What is published is not what its manifest says.
    #[error("{path}: {reason}")]
    Damaged {
        /// The blob or file.
        path: String,
        /// What differs and what to do.
        reason: String,
    },
    /// A run cannot be read.
    #[error(transparent)]
    Run(Box<RunError>),
    /// One run is named twice, under two paths.
    #[error(
        "{second} holds the same data as {first}; name one of them",
        first = first.display(), second = second.display()
    )]
    SameRun {
        /// The first of the two.
        first: PathBuf,
        /// The second.
        second: PathBuf,
    },
    /// Parts of a run are missing, doubled, or do not belong together.
    #[error("{0}")]
    Parts(String),
    /// Runs have fewer accepted than are enough in a table that is published.
    #[error("{}\n--allow-partial publishes what is there", .0.join("\n"))]
    Partial(Vec<String>),
    /// The records cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The settings of the runs have no YAML form.
    #[error("the settings of the runs cannot be written down: {0}")]
    Unwritable(#[from] serde_saphyr::SerializeError),
    /// The work folder is not one.
    #[error("{path} {problem}; name another folder as work_dir", path = path.display())]
    WorkDir {
        /// The folder.
        path: PathBuf,
        /// What is in the way.
        problem: &'static str,
    },
    /// Another process works in the work folder.
    #[error("{folder} is in use by {holder}; wait for it, stop it, or name another work_dir", folder = folder.display())]
    InUse {
        /// The work folder.
        folder: PathBuf,
        /// Who has it.
        holder: String,
    },
    /// A local file failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl From<RunError> for PublishError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

impl PublishError {
    /// The exit code of the contract.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Setup(_) | Self::WorkDir { .. } => ExitCode::Usage,
            Self::SameRun { .. } | Self::Parts(_) | Self::Partial(_) => ExitCode::Input,
            Self::InUse { .. } => ExitCode::InUse,
            Self::SignIn(_) | Self::Denied { .. } | Self::Unreachable { .. } => ExitCode::Unavailable,
            Self::Fs(_) => ExitCode::Io,
            Self::Run(error) => error.exit_code(),
            Self::Compile(error) => error.exit_code(),
            Self::Unwritable(_) => ExitCode::Bug,
            Self::Conflict { .. } => ExitCode::Conflict,
            Self::Damaged { .. } => ExitCode::Damage,
        }
    }
}
