//! How a command ends: the exit codes of the program, and an error as its user reads it.

use std::error::Error;

use clap::ValueEnum;

use crate::config::environment::EnvironmentError;
use crate::config::fingerprint::Drift;
use crate::config::load::ConfigError;
use crate::store::fs::FsError;

/// The exit codes, which scripts may rely on.
///
/// What is said of each here is what the help prints, word for word, and `docs/configuration.md` repeats it: a value of an
/// argument for clap, so that list and texts stand once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[repr(u8)]
pub enum Exit {
    /// The target was reached.
    Reached = 0,
    /// A bug in convogen.
    Bug = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Input data that cannot be used.
    Input = 3,
    /// The run directory is in use by another process.
    InUse = 4,
    /// The run directory was made with other settings, prompts or inputs.
    Drift = 5,
    /// An endpoint, the blob service or the weights of the model are not available.
    Unavailable = 6,
    /// Disk or other I/O error.
    Io = 7,
    /// Budget reached: resumable, or sealed as it is with `--accept-partial`.
    Budget = 8,
    /// Finished, but fewer accepted than asked for.
    Short = 9,
    /// Publish conflict: somebody else has published meanwhile, or something else is there.
    Conflict = 10,
    /// Damage: a journal, checkpoint, dataset or published file fails its check.
    Damage = 11,
    /// Interrupted: the same command continues.
    Interrupted = 130,
}

impl Exit {
    /// Every code with its meaning, a line each.
    pub fn list() -> String {
        let lines = Self::value_variants().iter().filter_map(|code| {
            let meaning = code.to_possible_value()?.get_help()?.to_string();
            Some(format!("  {:>3}  {meaning}", *code as u8))
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Why a command failed, ready to be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code; see [`Exit`].
    pub code: u8,
    /// What went wrong.
    pub message: String,
    /// Why, outermost first; what the message already says is left out.
    pub causes: Vec<String>,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with a message of its own.
    pub fn new(code: Exit, message: impl Into<String>) -> Self {
        Self { code: code as u8, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// The failure that `error` and what lies behind it describe. Layers say their own code.
    pub fn of(code: u8, error: &dyn Error) -> Self {
        let message = error.to_string();
        let mut causes: Vec<String> = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // Many errors repeat their source in their own message.
            if !causes.last().unwrap_or(&message).contains(&text) {
                causes.push(text);
            }
            next = cause.source();
        }
        Self { code, message, causes, hint: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self { hint: error.hint().map(str::to_owned), ..Self::of(error.exit_code(), &error) }
    }
}

impl From<EnvironmentError> for Failure {
    fn from(error: EnvironmentError) -> Self {
        Self::of(error.exit_code(), &error)
    }
}

impl From<Drift> for Failure {
    fn from(error: Drift) -> Self {
        Self::of(error.exit_code(), &error)
    }
}

impl From<FsError> for Failure {
    fn from(error: FsError) -> Self {
        Self::of(Exit::Io as u8, &error)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to open the journal")]
    struct Outer(#[source] FsError);

    #[test]
    fn a_cause_is_told_once() {
        let source = io::Error::new(io::ErrorKind::PermissionDenied, "permission denied");
        let inner = FsError { action: "open", path: "run/journal".into(), source };
        let failure = Failure::of(7, &Outer(inner));
        assert_eq!(failure.message, "failed to open the journal");
        assert_eq!(failure.causes, ["failed to open run/journal: permission denied"]);
    }
}
