//! One run, from the first persona to the compiled dataset, or from wherever it stopped.
//!
//! The run directory is the state. Sealed stages are read, the stage at work replays its recorded replies and goes on
//! behind the last of them; so starting, resuming and finishing are one path, and it is exercised by every run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::error::RunError;
use super::gc;
use super::identity;
use super::inputs::Inputs;
use super::ledger::{Spend, Summary};
use super::models;
use super::reopen;
use super::status;
use super::steps::Steps;
use crate::clock::{self, Stopwatch};
use crate::config::assets;
use crate::config::environment::Environment;
use crate::config::load::Loaded;
use crate::llm::budget::Budget;
use crate::llm::control::Control;
use crate::llm::entries::Spent;
use crate::llm::recorded::Calls;
use crate::stages::Progress;
use crate::store::checkpoint::SealedStage;
use crate::store::journal::{self, Archive, Journal};
use crate::store::run::RunDir;

/// What is asked of a run besides its configuration.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
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

/// Told the run directory once it is this process's.
type Opened = Box<dyn Fn(&Path) + Send + Sync>;

/// What a run shows to whoever watches it, and how it is stopped.
#[derive(Default)]
pub struct Watch {
    /// How far it is.
    pub progress: Progress,
    /// Stops it.
    pub control: Arc<Control>,
    opened: Option<Opened>,
    budget: OnceLock<Arc<Budget>>,
    notices: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("progress", &self.progress)
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}

impl Watch {
    /// A watch that is told the run directory once it is this process's.
    pub fn new(opened: impl Fn(&Path) + Send + Sync + 'static) -> Self {
        Self { opened: Some(Box::new(opened)), ..Self::default() }
    }

    /// Tells the user something.
    pub fn notice(&self, text: impl Into<String>) {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).push(text.into());
    }

    /// What there is to tell since the last time of asking.
    pub fn take_notices(&self) -> Vec<String> {
        let mut notices = std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner));
        notices.append(&mut self.control.take_told());
        notices
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
    /// 0, 8 or 9.
    pub exit_code: u8,
    /// Id and split of a conversation worth looking at.
    pub example: Option<(String, String)>,
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
    inputs.check(&config)?;
    let named = identity::source(&config);
    let shipped = named.and_then(|written| loaded.shipped(written));
    let source = named.filter(|_| shipped.is_none()).map(|written| loaded.path(written));
    let dir = RunDir::open_or_create(&path, options.allow_network_fs)?;
    let identity = identity::claim(&dir, &config, &inputs, source.as_deref())?;
    if let Some(opened) = &watch.opened {
        opened(&path);
    }
    let fork = identity::fork(&dir, options.fork.as_deref())?;
    if fork.is_none()
        && identity::details(&dir)?.fork.is_some()
        && SealedStage::open(&dir.paths().conversations())?.is_none()
    {
        watch.notice("the run that this one was forked from has no journal any more: what was not taken from it yet is asked for again");
    }
    let budget = Arc::new(Budget::new(&config.budget, &config.models));
    let collected = identity::details(&dir)?.collected;
    if collected.is_some() {
        require_sealed(&dir, options)?;
    }
    let opened = if collected.is_none() { Some(open_journal(&dir, &budget, watch)?) } else { None };
    let (journal, shielded) = opened.map_or((None, 0), |(journal, shielded)| (Some(Arc::new(journal)), shielded));
    let _ = watch.budget.set(Arc::clone(&budget));
    if options.retry_failed {
        reopen::failed_stages(&dir)?;
    }
    // A run whose stages are all sealed needs no model, nor what a model needs.
    let models = if SealedStage::open(&dir.paths().conversations())?.is_some() {
        models::Source::Recorded
    } else {
        models::Source::Live { environment, offline: options.offline }
    };
    tracing::info!(run_dir = %path.display(), calls = budget.snapshot().calls, "run opened");
    let steps = Steps {
        config: &config,
        inputs: &inputs,
        identity: &identity,
        dir: &dir,
        source,
        people: shipped.and_then(assets::builtin),
        accept_partial: options.accept_partial,
        watch,
        calls: Calls {
            inherited: fork.map(|old| Archive::open(&old.join("journal"))).transpose()?,
            journal,
            budget: Arc::clone(&budget),
            lines: models::lines(&config, models)?,
            control: Arc::clone(&watch.control),
            retry_failed: options.retry_failed,
            seed: config.seed,
            tap: None,
        },
    };
    let made = steps.run().await;
    if let Some(told) = status::shield(shielded + watch.control.shielded()) {
        watch.notice(told);
    }
    let made = made?;
    let status = made.outcomes.status(&config);
    identity::record_end(&dir, status, made.dataset)?;
    tracing::info!(?status, calls = budget.snapshot().calls, "run ended");
    let summary = Summary {
        run_dir: path,
        status,
        stages: made.outcomes.by_stage(),
        usage: collected.unwrap_or_else(|| Spend::of(&budget)),
        wall_s: stopwatch.wall().as_secs_f64(),
        cpu_s: clock::cpu_time().as_secs_f64(),
    };
    Ok(Ended { exit_code: status.exit_code(), summary, example: made.example })
}

/// A run without a journal can be confirmed, and nothing else.
fn require_sealed(dir: &RunDir, options: &Options) -> Result<(), RunError> {
    if options.retry_failed {
        gc::require_journal(dir.paths().root(), "--retry-failed would pay for all of it again")?;
    }
    if SealedStage::open(&dir.paths().conversations())?.is_none() {
        gc::require_journal(dir.paths().root(), "stages that are missing cannot be made again")?;
    }
    Ok(())
}

/// Opens the journal and rebuilds from it what was spent, and how many calls a prompt shield refused.
fn open_journal(dir: &RunDir, budget: &Budget, watch: &Watch) -> Result<(Journal, u64), RunError> {
    let mut spent = Spent::default();
    let id = dir.info()?.map(|info| info.run_id).unwrap_or_default();
    let opened = Journal::open(&dir.paths().journal(), &id, journal::Options::default(), |entry| spent.add(entry))?;
    let (journal, recovered) = opened;
    for conflict in &recovered.conflicts {
        watch.notice(format!("the journal holds two different replies to one call; the first counts: {conflict:?}"));
    }
    spent.restore(budget);
    let open: Vec<&str> = spent.possibly_billed().map(|(item, _)| item).collect();
    if !open.is_empty() {
        let items = open.join(", ");
        watch.notice(format!(
            "{} calls were in flight when the run last ended; they are made again and may have been billed: {items}",
            open.len()
        ));
    }
    Ok((journal, spent.shielded))
}
