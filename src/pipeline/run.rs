//! One run, from the first persona to the compiled dataset, or from wherever it stopped.
//!
//! The run directory is the state. Sealed stages are read, the stage at work replays its recorded replies and goes on
//! behind the last of them; so starting, resuming and finishing are one path, and it is exercised by every run.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::error::RunError;
use super::identity::{self, Identity, RunRecord};
use super::inputs::Inputs;
use super::ledger::{Spend, Status, Summary};
use super::models;
use super::steps::{Outcomes, Steps};
use crate::clock::{self, Stopwatch};
use crate::config::Config;
use crate::config::environment::Environment;
use crate::config::fingerprint;
use crate::config::load::Loaded;
use crate::llm::budget::Budget;
use crate::llm::control::Control;
use crate::llm::recorded::{Calls, Spent};
use crate::stages::Progress;
use crate::store::journal::{Archive, Journal};
use crate::store::run::RunDir;

/// What is asked of a run besides its configuration.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// In place of the configuration's `run_dir`.
    pub run_dir: Option<PathBuf>,
    /// A run whose recorded replies are used before any call is made.
    pub fork: Option<PathBuf>,
    /// Try recorded failures anew.
    pub retry_failed: bool,
    /// When the budget is reached: seal what is there instead of stopping.
    pub accept_partial: bool,
    /// No network but loopback.
    pub offline: bool,
    /// Allow a run directory on a network file system.
    pub allow_network_fs: bool,
}

/// What a run shows to whoever watches it, and how it is stopped.
#[derive(Debug, Default)]
pub struct Watch {
    /// How far it is.
    pub progress: Progress,
    /// Stops it.
    pub control: Arc<Control>,
    budget: OnceLock<Arc<Budget>>,
    notices: Mutex<Vec<String>>,
}

impl Watch {
    /// Tells the user something.
    pub fn notice(&self, text: impl Into<String>) {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).push(text.into());
    }

    /// What there is to tell since the last time of asking.
    pub fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the run has spent; nothing before its journal is read.
    pub fn spend(&self) -> Spend {
        self.budget.get().map(|budget| Spend::of(budget)).unwrap_or_default()
    }
}

/// How a run ended, and the exit code that says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The closing summary.
    pub summary: Summary,
    /// 0, or 9 when fewer were accepted than asked for.
    pub exit_code: u8,
}

/// Makes, resumes or confirms a run.
///
/// # Errors
/// Whatever stops it before its end. What was recorded is kept, and the same call goes on with it.
pub async fn run(
    loaded: &Loaded,
    environment: &Environment,
    options: &Options,
    watch: &Watch,
) -> Result<Ended, RunError> {
    let stopwatch = Stopwatch::start();
    let mut config = loaded.config.clone();
    environment.complete(&mut config);
    let path = options.run_dir.clone().unwrap_or_else(|| config.run_dir.clone());
    let inputs = Inputs::gather(loaded)?;
    let source = identity::source(&config).map(|path| loaded.path(path));
    let dir = RunDir::open_or_create(&path, options.allow_network_fs)?;
    let identity = claim(&dir, &config, &inputs, source.as_deref())?;

    let budget = Arc::new(Budget::new(&config.budget, &config.models));
    let journal = Arc::new(open_journal(&dir, &budget, watch)?);
    let _ = watch.budget.set(Arc::clone(&budget));
    let steps = Steps {
        config: &config,
        inputs: &inputs,
        identity: &identity,
        dir: &dir,
        source,
        accept_partial: options.accept_partial,
        watch,
        calls: Calls {
            inherited: options.fork.as_deref().map(|old| Archive::open(&old.join("journal"))).transpose()?,
            journal: Arc::clone(&journal),
            budget: Arc::clone(&budget),
            lines: models::lines(&config, models::Source::Live { environment, offline: options.offline })?,
            control: Arc::clone(&watch.control),
            retry_failed: options.retry_failed,
            seed: config.seed,
            tap: None,
        },
    };
    let outcomes = steps.run().await?;
    let ended = ended(outcomes, &config, path, &budget, stopwatch);
    record_end(&dir, ended.summary.status)?;
    Ok(ended)
}

/// Makes the directory this run's, or checks that it is.
fn claim(
    dir: &RunDir,
    config: &Config,
    inputs: &Inputs,
    source: Option<&std::path::Path>,
) -> Result<Identity, RunError> {
    todo!()
}
