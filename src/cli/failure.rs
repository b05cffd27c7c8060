//! How a command fails: an error as its user reads it.

use std::error::Error;

use crate::config::drift::Drift;
use crate::config::environment::{Environment, EnvironmentError, FILE_NAME};
use crate::config::error::ConfigError;
use crate::exit::ExitCode;
use crate::store::fs::FsError;

/// Why a command failed, ready to be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code.
    pub code: ExitCode,
    /// What went wrong.
    pub message: String,
    /// Why, outermost first; what the message already says is left out.
    pub causes: Vec<String>,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with a message of its own.
    pub(crate) fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// The failure that `error` and what lies behind it describe. Layers say their own code.
    pub(crate) fn of(code: ExitCode, error: &dyn Error) -> Self {
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

    /// The same, with where `.env` was looked for if the message speaks of it: it is read from the working directory alone.
    #[must_use]
    pub(crate) fn with_place_of_env(mut self) -> Self {
        if self.message.contains(FILE_NAME) || self.causes.iter().any(|cause| cause.contains(FILE_NAME)) {
            self.message.push_str(&format!("\n  {FILE_NAME}: {}", Environment::file_told()));
        }
        self
    }

    /// The same with advice.
    #[must_use]
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
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
        Self::of(ExitCode::Io, &error)
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
    fn who_is_told_of_the_file_of_variables_is_told_where_it_was_looked_for() {
        let told = |message: &str| Failure::new(ExitCode::Usage, message).with_place_of_env().message;
        let place = std::env::current_dir().unwrap();
        let missing = told("set A_KEY in the environment or in .env");
        assert_eq!(
            missing,
            format!("set A_KEY in the environment or in .env\n  .env: there is none in {}", place.display())
        );
        assert_eq!(told("no such file"), "no such file");
    }

    #[test]
    fn a_cause_is_told_once() {
        let source = io::Error::new(io::ErrorKind::PermissionDenied, "permission denied");
        let inner = FsError { action: "open", path: "run/journal".into(), source };
        let failure = Failure::of(ExitCode::Io, &Outer(inner));
        assert_eq!(failure.message, "failed to open the journal");
        assert_eq!(failure.causes, ["failed to open run/journal: permission denied"]);
    }
}
