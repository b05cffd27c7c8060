//! One run, from the first persona to the compiled dataset, or from wherever it stopped.
//!
//! The run directory is the state. Sealed stages are read, the stage at work replays its recorded replies and goes on
//! behind the last of them; so starting, resuming and finishing are one path, and it is exercised by every run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::error::RunError;
use super::fork::{Fork, has_failures};
use super::identity;
use super::job::Job;
use super::ledger::{RunSummary, Spend};
use super::models;
use super::recording;
use super::review::ReviewError;
use super::stages::Stages;
use super::status::{self, AtWork};
use super::stopped;
use crate::clock::{self, Stopwatch};
use crate::config::Config;
use crate::config::environment::Environment;
use crate::config::loaded::Loaded;
use crate::llm::ChatModel;
use crate::llm::budget::Budget;
use crate::llm::control::Control;
use crate::llm::entries::Spent;
use crate::llm::evidence::Evidence;
use crate::llm::limiter::Delay;
use crate::llm::recorded::{CallGateway, CallsLeft, Inherited};
use crate::llm::recording::Recording;
use crate::stages::Progress;
use crate::stages::context::Context;
use crate::store::checkpoint::SealedStage;
use crate::store::fs;
use crate::store::journal::{self, Journal};
use crate::store::run::{RunDir, RunPaths};

/// What is asked of a run besides its configuration.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// In place of the configuration's `run_dir`.
    pub run_dir: Option<PathBuf>,
    /// A run whose recorded replies are used before any call is made.
    pub fork: Option<PathBuf>,
    /// Try recorded failures anew.
    pub retry_failed: bool,
    /// When the budget is reached: seal what is there instead of stopping.
    pub accept_partial: bool,
    /// Write what was recorded to this file when the run ends or stops.
    pub record: Option<PathBuf>,
    /// Make the run from this recording alone: no endpoint, key or weights are needed.
    pub replay: Option<PathBuf>,
    /// No network but loopback.
    pub offline: bool,
    /// Allow a run directory on a network file system.
    pub allow_network_fs: bool,
    /// Answers in place of every model the configuration names. What it says is recorded and replayed like any reply, under the
    /// names of the configuration; it is sent no schema that the configuration does not call supported.
    pub model: Option<Arc<dyn ChatModel>>,
}

/// Told the run directory once it is this process's.
type Opened = Box<dyn Fn(&Path) + Send + Sync>;

/// What a run shows to whoever watches it, and how it is stopped.
#[derive(Default)]
pub struct RunWatch {
    /// How far it is.
    pub progress: Arc<Progress>,
    /// Stops it, and says what there is to tell.
    pub control: Arc<Control>,
    opened: Option<Opened>,
    run_dir: OnceLock<RunPaths>,
    budget: OnceLock<Arc<Budget>>,
    calls: OnceLock<Arc<CallGateway>>,
}

impl std::fmt::Debug for RunWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunWatch")
            .field("progress", &self.progress)
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}

impl RunWatch {
    /// A watch that is told the run directory once it is this process's.
    pub fn new(opened: impl Fn(&Path) + Send + Sync + 'static) -> Self {
        Self { opened: Some(Box::new(opened)), ..Self::default() }
    }

    /// Writes down where the run stands, for `pipeline status`; `left_s`: seconds that the stage at work will take; `waiting`:
    /// what it waits for. Once a run has a directory, and never in its way: a disk that fails tells of itself where it matters.
    pub fn note_progress(&self, left_s: Option<f64>, waiting: Option<String>) {
        let (Some(paths), Some(budget)) = (self.run_dir.get(), self.budget.get()) else { return };
        let at_work = AtWork::of(self.progress.look(), left_s, waiting, budget);
        let _ = serde_json::to_vec(&at_work).map(|text| fs::replace_lightly(&paths.progress(), &text));
    }

    /// Removes what was written down.
    pub fn forget_progress(&self) {
        let _ = self.run_dir.get().map(|paths| fs::remove_if_there(&paths.progress()));
    }

    /// What is to be told of calls that wait, by the names of those they wait for.
    pub(crate) fn delays(&self) -> Vec<(String, Delay)> {
        self.calls.get().map(|calls| calls.delays()).unwrap_or_default()
    }

    /// Calls that are on their way.
    pub(crate) fn in_flight(&self) -> u64 {
        self.budget.get().map_or(0, |budget| budget.snapshot().in_flight)
    }

    /// What the run has spent; nothing before its journal is read.
    pub fn spend(&self) -> Spend {
        self.budget.get().map(|budget| Spend::of(budget)).unwrap_or_default()
    }
}

/// How a run ended; the summary's status has the exit code that says so.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    /// The closing summary.
    pub summary: RunSummary,
    /// Id and split of a conversation worth looking at.
    pub example: Option<(String, String)>,
    /// Requests that this process sent; the summary counts all since the run began.
    pub calls_now: u64,
    /// Replies that came from a record instead.
    pub recorded: u64,
    /// Those of them that the run was forked with.
    pub inherited: u64,
}

/// Makes, resumes or confirms a run.
///
/// # Errors
/// Whatever stops it before its end. What was recorded is kept, and the same call goes on with it.
pub async fn run(
    loaded: &Loaded,
    environment: &Environment,
    options: &RunOptions,
    watch: &RunWatch,
) -> Result<RunEnd, RunError> {
    let stopwatch = Stopwatch::start();
    let path = options.run_dir.clone().unwrap_or_else(|| loaded.config.directory(None));
    let environment = &environment.with_proxy(loaded.config.proxy.as_deref());
    let replay = options.replay.as_deref().map(Recording::open).transpose()?;
    let loaded = &with_recorded(loaded, environment, replay.as_ref());
    let before: Vec<&Path> = [Some(path.as_path()), options.fork.as_deref()].into_iter().flatten().collect();
    let Job { config, inputs, source } = Job::resolve(loaded, environment, &before)?;
    let dir = RunDir::open_or_create(&path, options.allow_network_fs)?;
    let identity = identity::claim(&dir, &config, &inputs, source.as_ref())?;
    let config = config.own_share();
    let _ = watch.run_dir.set(dir.paths().clone());
    if let Some(opened) = &watch.opened {
        opened(&path);
    }
    let fork = fork(&dir, options, watch)?;
    let old = options.fork.as_ref().and_then(|old| RunPaths::of_run(old).ok());
    if let Some(told) = old.and_then(|old| identity::told_texts(&old, &identity, &inputs)) {
        watch.control.tell(told);
    }
    let budget = Arc::new(Budget::new(&config.budget, &config.models));
    let details = goes_on(&dir, options)?;
    let collected = details.collected;
    let opened = if collected.is_none() { Some(open_journal(&dir, &budget, &watch.control)?) } else { None };
    let (journal, shielded, left) =
        opened.map_or_else(Default::default, |(journal, shielded, left)| (Some(Arc::new(journal)), shielded, left));
    let _ = watch.budget.set(Arc::clone(&budget));
    let calls_before = budget.snapshot().calls();
    obey_flags(&dir, options, &budget, &watch.control)?;
    // A run whose stages are all sealed needs no model, nor what a model needs; neither does a replay.
    let models = if replay.is_some() || SealedStage::open(&dir.paths().conversations())?.is_some() {
        models::ModelSource::Recorded
    } else {
        live(loaded, &config, environment, options, watch)?
    };
    tracing::info!(run_dir = %path.display(), calls = budget.snapshot().calls(), "run opened");
    let mut inherited = fork.as_ref().map(Fork::replies).transpose()?.unwrap_or_default();
    inherited.extend(replay.map(Inherited::Recording));
    let mut anew = identity::details(&dir)?.anew;
    anew.extend(fork.iter().flat_map(Fork::asked_anew).cloned());
    let calls = Arc::new(CallGateway {
        inherited,
        journal,
        budget: Arc::clone(&budget),
        endpoints: models::endpoints(&config, models)?,
        control: Arc::clone(&watch.control),
        retry_failed: options.retry_failed,
        anew,
        reviewed: details.review.map(|review| review.marks).unwrap_or_default(),
        evidence: Evidence::default(),
        seed: config.own_seed(),
        tap: None,
        left,
    });
    let _ = watch.calls.set(Arc::clone(&calls));
    let context = Context {
        config: &config,
        inputs: &inputs,
        source,
        calls: Arc::clone(&calls),
        progress: Arc::clone(&watch.progress),
        accept_partial: options.accept_partial,
    };
    // In a box: with it the future of a run is too large to be moved about.
    let made = Box::pin(Stages { context, identity: &identity, dir: &dir, fork }.run()).await;
    if let Some(told) = status::shield(shielded + watch.control.shielded()) {
        watch.control.tell(told);
    }
    let recorded = options.record.as_deref().map(|file| recording::write(dir.paths(), &config, environment, file));
    if let Err(error) = &made {
        stopped::note(&dir, error, watch.progress.look(), &calls.evidence)?;
    }
    let made = made.map_err(|error| match &options.replay {
        Some(file) => recording::missing(error, file),
        None => error,
    })?;
    if let Some(told) = recorded.transpose()?.flatten() {
        watch.control.tell(told);
    }
    let status = made.outcomes.status(&config);
    identity::record_end(&dir, status, made.dataset)?;
    tracing::info!(?status, calls = budget.snapshot().calls(), "run ended");
    let summary = RunSummary {
        run_dir: path,
        status,
        stages: made.outcomes.by_stage(),
        targets: made.outcomes.targets(&config),
        usage: collected.unwrap_or_else(|| Spend::of(&budget)),
        wall_s: stopwatch.wall().as_secs_f64(),
        cpu_s: clock::cpu_time().as_secs_f64(),
    };
    let answers = watch.control.answers();
    Ok(RunEnd {
        summary,
        example: made.example,
        calls_now: budget.snapshot().calls() - calls_before,
        recorded: answers.recorded(),
        inherited: answers.inherited,
    })
}

/// The configuration, with what a recording was made with where one is replayed.
fn with_recorded(loaded: &Loaded, environment: &Environment, replay: Option<&Recording>) -> Loaded {
    let mut loaded = loaded.clone();
    if let Some(recorded) = replay {
        environment.complete(&mut loaded.config);
        recording::complete(&mut loaded.config, recorded);
    }
    loaded
}

/// Models that are called, once every key that is named is there; how they are signed in to is told.
fn live<'a>(
    loaded: &Loaded,
    config: &Config,
    environment: &'a Environment,
    options: &'a RunOptions,
    watch: &RunWatch,
) -> Result<models::ModelSource<'a>, RunError> {
    models::require_named_keys(loaded, config, environment)?;
    if options.model.is_none() {
        for line in models::sign_ins(config, environment) {
            watch.control.tell(line);
        }
    }
    Ok(models::ModelSource::Live { environment, offline: options.offline, given: options.model.as_ref() })
}

/// Does what flags ask of a run before it goes on, or says that there is nothing to do.
fn obey_flags(dir: &RunDir, options: &RunOptions, budget: &Budget, control: &Control) -> Result<(), RunError> {
    if options.retry_failed {
        reopen_failed(dir, control)?;
    }
    if options.accept_partial && !budget.is_limited() {
        control.tell("--accept-partial does nothing here: no budget is set");
    }
    Ok(())
}

/// The run this one is forked from, if it is.
fn fork(dir: &RunDir, options: &RunOptions, watch: &RunWatch) -> Result<Option<Fork>, RunError> {
    let fork = identity::fork(dir, options.fork.as_deref())?;
    let lost = fork.is_none() && identity::details(dir)?.fork.is_some();
    if lost && SealedStage::open(&dir.paths().conversations())?.is_none() {
        watch.control.tell("the run that this one was forked from has no journal any more: what was not taken from it yet is asked for again");
    }
    fork.map(|path| Fork::open(&path, options.retry_failed)).transpose()
}

/// What is kept of the run, after making sure that a run can go on with it: what a review asks for anew is made by applying it.
fn goes_on(dir: &RunDir, options: &RunOptions) -> Result<identity::Details, RunError> {
    let (details, paths) = (identity::details(dir)?, dir.paths());
    if details.review.is_some() && (options.retry_failed || SealedStage::open(&paths.conversations())?.is_none()) {
        return Err(ReviewError::OnlyByReview { path: paths.root().to_owned() }.into());
    }
    if details.collected.is_some() {
        require_sealed(dir, options)?;
    }
    Ok(details)
}

/// A run without a journal can be confirmed, and nothing else.
fn require_sealed(dir: &RunDir, options: &RunOptions) -> Result<(), RunError> {
    if options.retry_failed {
        identity::require_journal(dir.paths().root(), "--retry-failed would pay for all of it again")?;
    }
    if SealedStage::open(&dir.paths().conversations())?.is_none() {
        identity::require_journal(dir.paths().root(), "stages that are missing cannot be made again")?;
    }
    Ok(())
}

/// Opens the journal and rebuilds from it what was spent, how many calls a prompt shield refused, and which calls are in
/// batch jobs.
pub(super) fn open_journal(
    dir: &RunDir,
    budget: &Budget,
    control: &Control,
) -> Result<(Journal, u64, CallsLeft), RunError> {
    let mut spent = Spent::default();
    let id = dir.info()?.map(|info| info.run_id).unwrap_or_default();
    let opened = Journal::open(&dir.paths().journal(), &id, journal::Options::default(), |entry| spent.add(entry))?;
    let (journal, recovered) = opened;
    for conflict in &recovered.conflicts {
        control.tell(format!("the journal holds two different replies to one call; the first counts: {conflict}"));
    }
    spent.restore(budget);
    if spent.answers > 0 && SealedStage::open(&dir.paths().conversations())?.is_none() {
        let answers = spent.answers;
        control.tell(format!(
            "going on with the {answers} replies on record: they are taken as they are, and cost nothing again"
        ));
    }
    let open: Vec<&str> = spent.possibly_billed().map(|(item, _)| item).collect();
    if !open.is_empty() {
        let items = open.join(", ");
        control.tell(format!(
            "{} calls were in flight when the run last ended; they are made again and may have been billed: {items}",
            open.len()
        ));
    }
    let left = spent.left_in_jobs();
    if !left.is_empty() {
        control.tell(format!("{} calls were left in batch jobs, which are looked up", left.len()));
    }
    Ok((journal, spent.shielded, CallsLeft::new(left)))
}

/// Unseals the first stage with failed items and every stage behind it.
///
/// What was recorded stays, so making them again asks only for what had failed and for what follows from it. The last
/// stage goes first: a crash in between leaves no stage behind one that it was not made from.
fn reopen_failed(dir: &RunDir, control: &Control) -> Result<(), RunError> {
    let paths = dir.paths();
    let folders = [paths.situations(), paths.conversations()];
    let mut first = None;
    for (at, folder) in folders.iter().enumerate() {
        let sealed = SealedStage::open(folder)?;
        if sealed.is_some_and(|sealed| has_failures(sealed.manifest())) {
            first = Some(at);
            break;
        }
    }
    let Some(first) = first else {
        if SealedStage::open(&paths.conversations())?.is_some() {
            control.tell(
                "--retry-failed does nothing here: no call failed that could be made again; what was rejected, refused or over \
                 budget stays as it is",
            );
        }
        return Ok(());
    };
    identity::record_reopened(dir)?;
    folders.iter().skip(first).rev().try_for_each(|folder| fs::discard_dir(folder))?;
    Ok(())
}
