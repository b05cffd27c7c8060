//! Why something could not be published.

use crate::store::fs::FsError;

/// Why something could not be published, read back or removed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The configuration or the environment lacks what is needed to sign in or to find the destination.
    #[error("{0}")]
    Setup(String),
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
    /// A local file failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl PublishError {
    /// The exit code of the contract.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Setup(_) => 2,
            Self::Denied { .. } | Self::Unreachable { .. } => 6,
            Self::Fs(_) => 7,
            Self::Conflict { .. } => 10,
            Self::Damaged { .. } => 11,
        }
    }
}
