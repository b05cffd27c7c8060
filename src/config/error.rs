//! What is wrong with a configuration, and where it was written.

use std::fmt;
use std::path::PathBuf;

use crate::exit::ExitCode;
use crate::store::fs::FsError;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigPlace {
    /// In a file.
    Line {
        /// The file, as it was named.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
    },
    /// On the command line, by a `--set` of this key. The value is not kept: it may be a secret.
    Flag(String),
}

impl fmt::Display for ConfigPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Flag(flag) => write!(f, "--set {flag}"),
        }
    }
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Where it was written, or the nearest thing around it.
    pub place: Option<ConfigPlace>,
    /// The dotted key.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl ConfigProblem {
    /// Whether a message of who used the value is about the same: the same key, or the file that is not there.
    pub(crate) fn tells_of(&self, message: &str) -> bool {
        let path = self.message.strip_prefix("there is no file ").and_then(|rest| rest.split(" (").next());
        let leads = |key: &str| message.strip_prefix(key).is_some_and(|rest| rest.starts_with(": "));
        path.is_some_and(|path| message.contains(path)) || !self.key.is_empty() && leads(&self.key)
    }
}

/// What a message about a key that nobody knows begins with.
pub(super) const UNKNOWN_KEY: &str = "unknown key";

impl ConfigProblem {
    /// Whether `other` may be there only since the value this is about was left out: it is about the same group of keys. A key
    /// that nobody knows would have had no effect.
    pub(super) fn may_explain(&self, other: &Self) -> bool {
        let group = self.key.rsplit_once('.').filter(|_| !self.message.starts_with(UNKNOWN_KEY));
        let within = group.and_then(|(group, _)| other.key.strip_prefix(group));
        within.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        match self.key.as_str() {
            key if self.place == Some(ConfigPlace::Flag(key.to_owned())) => f.write_str(&self.message),
            "" => f.write_str(&self.message),
            key => write!(f, "{key}: {}", self.message),
        }
    }
}

/// Why a configuration cannot be used. Exit code 2, whatever the reason.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] FsError),
    /// A folder, a pipe or a device.
    #[error("{path} is not a regular file; name a text file", path = path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// Larger than any configuration.
    #[error("{path} is larger than 1 MiB, which no configuration needs", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not UTF-8.
    #[error("{path} is not UTF-8 text (byte {offset})", path = path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first byte that does not fit.
        offset: usize,
    },
    /// Not YAML, or more than the parser's budget allows.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: ConfigPlace,
        /// Why.
        message: String,
    },
    /// A `--set` flag that names or holds nothing sensible.
    #[error("--set {flag}: {message}")]
    Flag {
        /// Its key.
        flag: String,
        /// Why.
        message: String,
    },
    /// A folder of shots without a shot.
    #[error("{path} has no .json file; put a shot there or name another folder in `shots`", path = path.display())]
    NoShots {
        /// The folder.
        path: PathBuf,
    },
    /// The built-in prompt configuration names a file that was not compiled in.
    #[error("{path} is not compiled into this convogen; name a file of your own in situations.prompt_config")]
    NotBuiltIn {
        /// The path below the project.
        path: String,
    },
    /// Everything that is wrong with a file that can be read.
    #[error("{file} cannot be used as it is{}", listed(problems))]
    Invalid {
        /// The file.
        file: String,
        /// What is wrong; at least one.
        problems: Vec<ConfigProblem>,
    },
}

impl ConfigError {
    /// The exit code of the contract.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    /// What to do next, where the message alone does not say it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
                Some("`convogen init` writes configurations to start from; without -c the built-in quick start runs")
            }
            _ => None,
        }
    }
}

/// Each item on an indented line of its own.
pub(super) fn listed(items: &[impl std::fmt::Display]) -> String {
    items.iter().fold(String::new(), |text, item| text + &format!("\n  {item}"))
}
