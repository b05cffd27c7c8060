//! What a run is made from, settled once before anything else happens.

use std::path::Path;

use super::error::RunError;
use super::identity;
use crate::config::environment::Environment;
use crate::config::loaded::Loaded;
use crate::config::{Config, SituationMode, assets};
use crate::stages::inputs::Inputs;
use crate::stages::personas::PersonaSource;

/// The personas that are used when the configuration names none.
const BUILT_IN_PERSONAS: &str = "prompts/personas/personahub-placeholder.jsonl";

/// A configuration with nothing left open, the texts it names, and where people or situations come from.
#[derive(Debug)]
pub(crate) struct Job {
    /// The configuration, completed from the environment and by the size of the run.
    pub config: Config,
    /// Prompts, shots, word lists and the coverage grid, checked.
    pub inputs: Inputs,
    /// What people or situations are imported from.
    pub source: Option<PersonaSource>,
}

impl Job {
    /// Settles what `loaded` asks for. A run that was begun in one of the directories `before` keeps what it was begun with.
    pub(crate) fn resolve(loaded: &Loaded, environment: &Environment, before: &[&Path]) -> Result<Self, RunError> {
        let mut config = loaded.config.clone();
        environment.complete(&mut config);
        let inputs = Inputs::gather(loaded)?;
        inputs.check(&config)?;
        identity::settle(&mut config, &inputs, before)?;
        let source = source(loaded, &config);
        Ok(Self { config, inputs, source })
    }
}

/// What a run imports people or situations from: a file, or the people that ship where convogen's own configuration names
/// them, or nothing is named.
pub(super) fn source(loaded: &Loaded, config: &Config) -> Option<PersonaSource> {
    let built_in = |name: &str| assets::builtin(name).map(PersonaSource::BuiltIn);
    match (identity::source(config), config.situations.mode) {
        (Some(written), _) => match loaded.shipped(written) {
            Some(name) => built_in(name),
            None => Some(PersonaSource::File(loaded.path(written))),
        },
        (None, SituationMode::Predefined) => built_in(BUILT_IN_PERSONAS),
        (None, _) => None,
    }
}
