//! Whether a run could begin: everything that would stop it before its first call, all of it at once, and what there is to
//! work with. Nothing is sent and nothing is written.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::job;
use super::models;
use crate::config::environment::{AZURE_API_KEY, CONTENT_SAFETY_KEY, Environment};
use crate::config::loaded::Loaded;
use crate::config::{Config, SituationMode};
use crate::llm::recorded::CallGateway;
use crate::net::http::SetupError;
use crate::record::{Fate, Persona, Situation, Tally};
use crate::stages::context::Context;
use crate::stages::error::StageError;
use crate::stages::inputs::Inputs;
use crate::stages::writer::{CollectedFates, Fates};
use crate::stages::{personas, rehearsal, situations};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct RunCheck {
    /// What would stop the run, for people.
    pub problems: Vec<String>,
    /// What became of the rows of the people or situations that are imported.
    pub rows: Option<Tally>,
}

/// Looks at everything that `loaded` names. Its own values were judged when it was read.
pub(crate) fn check(loaded: &Loaded, environment: &Environment) -> RunCheck {
    let mut config = loaded.config.clone();
    environment.complete(&mut config);
    let (inputs, unread) = Inputs::gather_what_can_be(loaded);
    let mut faults: Vec<String> = unread.iter().map(ToString::to_string).collect();
    // A situations prompt that could not be read has left nothing to try out.
    faults.extend(rehearsal::faults(&inputs, &config).iter().map(ToString::to_string));
    faults.extend(endpoints(&config, environment));
    let (rows, unusable) = source(loaded, &config, &inputs);
    faults.extend(unusable);
    let mut told = BTreeSet::new();
    let problems = faults.into_iter().filter(|fault| told.insert(fault.clone())).collect();
    RunCheck { problems, rows }
}

/// What is wrong with the addresses, settings and keys of models. A key that is not set is none of it: it may be elsewhere
/// where the run is made. It is taken to be there, for what follows from it.
fn endpoints(config: &Config, environment: &Environment) -> Vec<String> {
    let var = |keys: &[String], name: &str| {
        environment.var(name).or_else(|| keys.iter().any(|key| key == name).then(|| "a-key".to_owned()))
    };
    let mut faults = Vec::new();
    for (key, model) in config.used_models() {
        let service = config.safety.service.filter(|_| key == "safety");
        for (number, mut place) in model.places().into_iter().enumerate() {
            let own = place.api_key_env.iter().cloned().chain(place.headers.values().filter_map(|h| h.env.clone()));
            let fixed = [AZURE_API_KEY].into_iter().chain(CONTENT_SAFETY_KEY.iter().copied()).map(str::to_owned);
            let keys: Vec<String> = own.chain(fixed).collect();
            let named = if model.deployments.is_empty() { String::new() } else { format!("deployments[{number}].") };
            while let Err(fault) = models::address(&place, service, &|name| var(&keys, name)) {
                faults.push(format!("models.{key}.{named}{fault}"));
                // Which deployment it is says nothing about the rest, which is looked at as if it were named.
                let is_nameless = matches!(&fault, SetupError::Setting { setting, .. } if setting == "deployment");
                if !is_nameless || place.deployment.replace("a-deployment".to_owned()).is_some() {
                    break;
                }
            }
        }
    }
    faults
}

/// Counts people and keeps none: there may be millions.
struct CountedFates(Tally);

impl Fates<Persona> for CountedFates {
    fn put(&mut self, fate: Fate<Persona>) -> Result<(), StageError> {
        self.0.add(fate.outcome());
        Ok(())
    }

    fn accepted(&mut self, number: usize) -> Result<Persona, StageError> {
        Err(StageError::Sums { stage: "counted", inputs: number as u64, outcomes: self.0.total() })
    }

    fn count_duplicates(&mut self, unlisted: u64) {
        self.0.duplicate += unlisted;
    }

    fn folder(&self) -> PathBuf {
        std::env::temp_dir()
    }

    fn tally(&self) -> Tally {
        self.0
    }
}

/// What is imported, read to its end.
fn source(loaded: &Loaded, config: &Config, inputs: &Inputs) -> (Option<Tally>, Option<String>) {
    let context = Context {
        config,
        inputs,
        source: job::source(loaded, config),
        calls: Arc::new(CallGateway::silent(config.seed)),
        progress: Arc::default(),
        accept_partial: false,
    };
    let read = match config.situations.mode {
        SituationMode::Auto => return (None, None),
        // Without its file there is a problem already.
        SituationMode::File if context.source.is_none() => return (None, None),
        SituationMode::File => {
            let mut fates = CollectedFates::<Situation>::default();
            situations::import(&context, &mut fates).map(|_| fates.tally())
        }
        SituationMode::Predefined => {
            let mut fates = CountedFates(Tally::default());
            personas::run(&context, &mut fates).map(|_| fates.0)
        }
    };
    match read {
        Ok(tally) => (Some(tally), None),
        Err(error) => (None, Some(error.to_string())),
    }
}
