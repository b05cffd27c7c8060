//! What differs between the settings and inputs a run directory was made with and those that are asked for now.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::listed;
use crate::exit::ExitCode;

/// A setting or input that is not what the run directory was made with.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The dotted key, or the name of an input.
    pub key: String,
    /// What the run was made with; `None` if it knows no such key.
    pub old: Option<Value>,
    /// What is asked for now; `None` if it is no longer there.
    pub new: Option<Value>,
    /// For a text: the lines that changed, as a unified diff; shown in place of the two values.
    pub lines: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.lines.is_empty() {
            write!(f, "{}:", self.key)?;
            return self.lines.iter().try_for_each(|line| write!(f, "\n    {line}"));
        }
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "(absent)".to_owned(), Value::to_string);
        write!(f, "{}: {} → {}", self.key, shown(&self.old), shown(&self.new))
    }
}

/// What differs between two maps of settings or inputs, by key.
pub(crate) fn diff(old: &BTreeMap<String, Value>, new: &BTreeMap<String, Value>) -> Vec<Difference> {
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    let changed = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    let of = |key: &String| (key.clone(), old.get(key).cloned(), new.get(key).cloned());
    changed.map(of).map(|(key, old, new)| Difference { key, old, new, lines: Vec::new() }).collect()
}

/// A run directory that was made with other settings, prompts or inputs.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{dir} was made with other settings:{}\nthree ways on:\n  \
         restore what differs and run again\n  \
         start afresh beside it: --run-dir NEW\n  \
         keep what is still valid of it: --fork {dir} --run-dir NEW", listed(differences), dir = run_dir.display())]
pub struct Drift {
    /// The run directory.
    pub run_dir: PathBuf,
    /// Every difference.
    pub differences: Vec<Difference>,
}

impl Drift {
    /// `Err` if anything differs.
    pub fn refuse(run_dir: &Path, old: &BTreeMap<String, Value>, new: &BTreeMap<String, Value>) -> Result<(), Self> {
        let differences = diff(old, new);
        if differences.is_empty() { Ok(()) } else { Err(Self { run_dir: run_dir.to_owned(), differences }) }
    }

    /// The exit code of the contract.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::Drift
    }
}
