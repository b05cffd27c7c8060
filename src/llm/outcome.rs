//! What a call came to, and what stops a run.

use serde::{Deserialize, Serialize};

use super::Reply;
use super::budget::Exhausted;
use super::context;
use crate::exit::ExitCode;
use crate::store::journal::JournalError;

/// What a call came to. Refusals and failures are outcomes of an item, recorded like replies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// A reply.
    Reply(Reply),
    /// A content filter or the model turned the request down.
    Refused {
        /// Category of the filter.
        category: String,
        /// What the endpoint said.
        message: String,
    },
    /// The endpoint would not or could not serve this request.
    Failed {
        /// In a word.
        reason: String,
        /// What the endpoint said.
        message: String,
    },
}

impl Answer {
    /// In a word.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Reply(_) => "answered",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
        }
    }

    /// The endpoint refused the request with this status.
    pub(super) fn bad_request(status: u16, message: &str) -> Self {
        let reason = if context::is_overflow(message) { context::FULL } else { "bad_request" };
        Self::Failed { reason: reason.to_owned(), message: format!("{status}: {message}") }
    }
}

/// Why the run stops.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// Another call stopped the run; that one carries the reason.
    #[error("the run is stopping")]
    Stopping,
    /// The user asked for it.
    #[error("interrupted")]
    Interrupted,
    /// A limit of the budget.
    #[error(transparent)]
    Budget(#[from] Exhausted),
    /// The endpoint can't be had.
    #[error("{message}")]
    Endpoint {
        /// What went wrong and what to do.
        message: String,
    },
    /// Most of the first replies were refused.
    #[error(
        "{refused} of the first {seen} replies were refused (mostly {category}: {example}); change the prompts, the personas or the model, or ask for the filter to be changed, before more is spent"
    )]
    Refusals {
        /// How many were.
        refused: u64,
        /// Of how many.
        seen: u64,
        /// The category met most recently.
        category: String,
        /// What the endpoint said then.
        example: String,
    },
    /// Calls ended alike, so that all further ones would.
    #[error("{message}")]
    Alike {
        /// What they came to, and what to change.
        message: String,
        /// Whether a setting is at fault or the endpoint.
        code: ExitCode,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A prompt that cannot be rendered.
    #[error("{message}")]
    Prompt {
        /// Where and why.
        message: String,
    },
    /// Replaying, and the call was never made.
    #[error("{item} has no recorded reply for its next call ({call})")]
    NotRecorded {
        /// The item.
        item: String,
        /// The call: role, turn and attempt.
        call: String,
    },
}

impl Halt {
    /// The exit code of a run that it stops.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Interrupted | Self::Stopping => ExitCode::Interrupted,
            Self::Budget(_) => ExitCode::Budget,
            Self::Endpoint { .. } | Self::Refusals { .. } => ExitCode::Unavailable,
            Self::Alike { code, .. } => *code,
            Self::Journal(error) => error.exit_code(),
            Self::Prompt { .. } => ExitCode::Usage,
            Self::NotRecorded { .. } => ExitCode::Bug,
        }
    }
}
