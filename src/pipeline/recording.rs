//! A run written to one file, and made again from it.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::RunError;
use super::fork;
use super::identity;
use crate::config::environment::Environment;
use crate::config::{Config, Provider};
use crate::llm::Halt;
use crate::llm::recording::{self, Recording};
use crate::stages::error::StageError;
use crate::store::run::RunPaths;

/// Writes what the run in `paths` has recorded so far, and what it could take from the runs it was forked from, to `file`.
/// Returns what the user should know of it.
pub(super) fn write(
    paths: &RunPaths,
    config: &Config,
    environment: &Environment,
    file: &Path,
) -> Result<Option<String>, RunError> {
    identity::require_journal(paths.root(), "there is nothing to record")?;
    let scrubbed = recording::write(file, &fork::replies(paths)?, models(config), &environment.secrets(config))?;
    Ok((scrubbed > 0).then(|| {
        let file = file.display();
        format!("{scrubbed} replies held a key or token, which was taken out of {file}: a replay differs there")
    }))
}

/// The logical names of all models that have one.
fn models(config: &Config) -> BTreeMap<String, String> {
    let named = config.models.named().into_iter();
    named.filter_map(|(key, model)| Some((key.to_owned(), model.model.clone().or(model.deployment.clone())?))).collect()
}

/// Gives the models of `config` the names they were recorded by, where it leaves them to the environment.
pub(super) fn complete(config: &mut Config, recording: &Recording) {
    let models = &mut config.models;
    let own = [
        ("situations", &mut models.situations),
        ("speaker", &mut models.speaker),
        ("selector", &mut models.selector),
        ("safety", &mut models.safety),
        ("judge", &mut models.judge),
    ];
    let own = own.into_iter().filter_map(|(key, model)| Some((key, model.as_mut()?)));
    for (key, model) in own.chain([("default", &mut models.default)]) {
        if model.provider != Provider::Embedded && model.model.is_none() && model.deployment.is_none() {
            model.model = recording.models().get(key).cloned();
        }
    }
}

/// What stopped a run, in terms of the file it is made from.
pub(super) fn missing(error: RunError, file: &Path) -> RunError {
    match error {
        RunError::Stage(StageError::Halted(Halt::NotRecorded { item, call })) => {
            RunError::NotInRecording { path: file.to_owned(), item, call }
        }
        error => error,
    }
}
