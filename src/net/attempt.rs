//! Why one attempt at a call brought no reply, in terms that decide what to do next.

use std::time::Duration;

/// Why one attempt brought no reply.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum AttemptError {
    /// A content filter, or the model itself, refused. An outcome of the item, not an error of the run.
    #[error("refused ({category}): {message}")]
    Refused {
        /// The filter's category such as `violence`, `jailbreak`; `refusal` when the model itself declined.
        category: String,
        /// What the endpoint said.
        message: String,
    },
    /// The endpoint will never serve this request (400, 413, 422), but may serve others: the item fails.
    #[error("the endpoint refused the request ({status}): {message}")]
    BadRequest {
        /// HTTP status.
        status: u16,
        /// What the endpoint said.
        message: String,
    },
    /// Worth another attempt: no connection, a time-out, 408, 409, 429, 5xx, a body that is no completion.
    #[error("{message}")]
    Transient {
        /// What went wrong.
        message: String,
        /// What kind of trouble it is.
        kind: Transient,
        /// How long the endpoint asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// Every further call would fail: wrong key, no such model, quota used up. Stops the run with exit code 6.
    #[error("{message}")]
    Fatal {
        /// What went wrong and what to do.
        message: String,
    },
}

/// Kinds of trouble that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transient {
    /// The request never reached the endpoint: nothing can have been billed.
    NotSent,
    /// 408, 409, 503 and the like: the endpoint turned the request away unserved.
    TurnedAway,
    /// 429, 529: it turned the request away unserved for a limit, so it is there, and serves again in time.
    RateLimited,
    /// No answer, or not all of it, within the time-outs. It may have billed.
    TimedOut,
    /// The endpoint failed, hung up, or sent something that is no completion. It may have billed.
    Unknown,
}

impl Transient {
    /// Whether the request was not served, and nothing billed.
    pub(crate) fn is_turned_away(self) -> bool {
        matches!(self, Self::TurnedAway | Self::RateLimited)
    }
}
