//! Where a run stands, from what is on disk. Takes no lock, so it can look at a run that is going on.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::identity::Details;
use super::ledger::{RunSummary, Spend, Status};
use super::target::targets;
use crate::config::load;
use crate::llm::budget::Budget;
use crate::llm::entries::{RecordedReply, Spent};
use crate::llm::recorded::ProbeVerdict;
use crate::record::Dropped;
use crate::stages::ProgressSnapshot;
use crate::stages::conversations::ledger::ConversationFigures;
use crate::stages::inputs::Inputs;
use crate::stages::situations::fill::{Fill, fill};
use crate::stages::{judge, safety, sealed};
use crate::store::checkpoint::SealedStage;
use crate::store::fs;
use crate::store::journal::{self, EntryKind, JournalEntry};
use crate::store::lock::Holder;
use crate::store::run::RunPaths;

/// A run as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct FoundRun {
    /// The same object that a run prints.
    pub summary: RunSummary,
    /// Why inputs were dropped, most frequent first within a stage.
    pub reasons: Vec<LossCount>,
    /// How the accepted situations fill the coverage grid; empty without one, and before they are sealed.
    pub coverage: Vec<Fill>,
    /// What the journal says of the stage that is not sealed yet, or, while a process is at work, what it says itself.
    pub at_work: Option<String>,
    /// The process at work, as of about a second ago; `null` where none is.
    pub running: Option<AtWork>,
    /// Which process is at work, where, and since when; nothing where none is.
    pub process: Option<String>,
    /// What had to be handled in conversations, once they are sealed.
    pub gates: Option<ConversationFigures>,
    /// What the screens and the judge came to, and what to do about refusals of a prompt shield.
    pub notices: Vec<String>,
}

/// How often a stage dropped inputs for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LossCount {
    /// The stage.
    pub stage: String,
    /// The reason in a word.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// Where a run at work stands, as its process writes it down once a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AtWork {
    /// The process.
    pub pid: u32,
    /// The stage at work.
    pub stage: String,
    /// Accepted results it aims at; 0 where that is not known.
    pub wanted: u64,
    /// Inputs that have ended.
    pub done: u64,
    /// Those of them that were accepted.
    pub accepted: u64,
    /// Units of work that are done, where they are counted in `unit`.
    #[serde(default)]
    pub work: u64,
    /// Units that the stage will take in all, as far as it can be foreseen; `null` where that is not known.
    #[serde(default)]
    pub expected_work: Option<u64>,
    /// What work is counted in, such as `turns`; `null` where that is not worth telling.
    #[serde(default)]
    pub unit: Option<String>,
    /// Seconds the stage will take at the pace of late; `null` before that is known.
    pub left_s: Option<f64>,
    /// What calls wait for and how long; `null` while hardly any do.
    #[serde(default)]
    pub waiting: Option<String>,
    /// Calls that are on their way.
    #[serde(default)]
    pub in_flight: u64,
    /// What was spent.
    pub usage: Spend,
}

impl AtWork {
    /// This process, at `look`.
    pub(crate) fn of(look: ProgressSnapshot, left_s: Option<f64>, waiting: Option<String>, budget: &Budget) -> Self {
        let ProgressSnapshot { stage, wanted, done, accepted, work, unit, left } = look;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of units")]
        let expected_work = left.map(|left| work + left.units.round() as u64);
        Self {
            pid: std::process::id(),
            stage: stage.to_owned(),
            wanted,
            done,
            accepted,
            work,
            expected_work,
            unit: unit.map(str::to_owned),
            left_s,
            waiting,
            in_flight: budget.snapshot().in_flight,
            usage: Spend::of(budget),
        }
    }

    /// What the process that is at work on a run wrote down last, if one is.
    fn read(dir: &RunPaths) -> Option<Self> {
        let holder = Holder::at_work(dir.root())?;
        let written: Self = serde_json::from_slice(&fs::read(&dir.progress()).ok()?).ok()?;
        (written.pid == holder.pid).then_some(written)
    }

    fn told(&self) -> String {
        let Self { stage, wanted, done, accepted, waiting, in_flight, work, .. } = self;
        let of = if *wanted > 0 { format!(" of {wanted}") } else { String::new() };
        let waiting = waiting.as_ref().map(|waiting| format!("; {waiting}")).unwrap_or_default();
        let units = self.unit.as_ref().zip(self.expected_work);
        let units = units.map(|(unit, all)| format!("{work} of about {all} {unit}, ")).unwrap_or_default();
        format!("{stage} at work: {units}{accepted}{of} accepted, {done} ended, {in_flight} calls in flight{waiting}")
    }
}

/// Looks at the run in `path`. One that is at work is not read through: its process says where it stands.
///
/// # Errors
/// If there is no run, or it is damaged.
pub(crate) fn status(path: &Path) -> Result<FoundRun, RunError> {
    let dir = RunPaths::of_run(path)?;
    let config = load::kept(&dir.config())?.own_share();
    let details = dir.info()?.map(|info| Details::of(&info)).unwrap_or_default();
    let budget = Budget::new(&config.budget, &config.models);
    let running = AtWork::read(&dir);
    let journaled = if running.is_none() { read_journal(&dir)? } else { Journaled::default() };
    journaled.spent.restore(&budget);
    let mut stages = BTreeMap::new();
    let mut over = BTreeMap::new();
    let mut reasons = Vec::new();
    let mut notices = Vec::new();
    let mut coverage = Vec::new();
    for (stage, folder) in
        [("personas", dir.personas()), ("situations", dir.situations()), ("conversations", dir.conversations())]
    {
        let sealed = SealedStage::open(&folder)?;
        let tally = sealed.as_ref().map(|sealed| sealed::tally(&sealed.manifest().counts));
        if let Some(sealed) = sealed {
            reasons.extend(reasons_of(stage, &sealed)?);
            notices.extend(figures_of(&sealed));
            if stage == "situations" {
                let grid = Inputs::read(&dir.inputs())?.coverage()?;
                let sizes = config.situations.personas;
                let grid = grid.map(|grid| grid.for_groups(sizes.min, sizes.max));
                coverage = grid.map(|grid| fill(&grid, sealed)).transpose()?.unwrap_or_default();
            }
        }
        stages.insert(stage.to_owned(), tally.unwrap_or_default());
        over.extend(tally.map(|tally| (stage, tally)));
    }
    let over = |stage: &str| over.get(stage).copied();
    let summary = RunSummary {
        run_dir: path.to_owned(),
        status: details.ended.unwrap_or(Status::Resumable),
        stages,
        targets: targets(&config, over("situations"), over("conversations")),
        usage: match &running {
            Some(running) => running.usage.clone(),
            None => details.collected.unwrap_or_else(|| Spend::of(&budget)),
        },
        wall_s: 0.0,
        cpu_s: 0.0,
    };
    let at_work = match &running {
        Some(running) => Some(running.told()),
        None => journaled.at_work(&dir)?,
    };
    notices.extend(shield(journaled.spent.shielded));
    notices.extend(journaled.verdicts);
    let process = Holder::told_at_work(dir.root());
    Ok(FoundRun { summary, reasons, coverage, at_work, running, process, gates: gates(path)?, notices })
}

/// What had to be handled in the conversations of the run in `path`; nothing before they are sealed.
pub(crate) fn gates(path: &Path) -> Result<Option<ConversationFigures>, RunError> {
    let sealed = SealedStage::open(&RunPaths::of_run(path)?.conversations())?;
    let notes = sealed.and_then(|sealed| sealed.manifest().notes.get("gates").cloned());
    // A stage that an earlier version sealed has none.
    Ok(notes.and_then(|notes| serde_json::from_value(notes).ok()))
}

/// Whether there is a run in `path`.
pub(crate) fn is_run(path: &Path) -> bool {
    RunPaths::of_run(path).is_ok()
}

/// What to do about calls that a prompt shield refused, if there are any.
pub(crate) fn shield(refused: u64) -> Option<String> {
    (refused > 0).then(|| {
        format!(
            "{refused} calls were refused by the prompt shield (jailbreak), which minds how a prompt is made and not what \
             is said: conversations.layout shared_prefix with the prompts that ship asks for the next line of a dialogue and \
             usually passes; prompts that say \"you are\", \"ignore\" or \"pretend\" do not; or ask for a modified filter"
        )
    })
}

/// What the screens and the judge came to, as the stage's notes say.
fn figures_of(sealed: &SealedStage) -> Vec<String> {
    let notes = |name: &str| sealed.manifest().notes.get(name).cloned().unwrap_or_default();
    let safety = serde_json::from_value::<safety::SafetyFigures>(notes("safety")).ok();
    let judge = serde_json::from_value::<judge::JudgeFigures>(notes("judge")).ok();
    let told = [safety.and_then(|figures| figures.told()), judge.and_then(|figures| figures.told())];
    told.into_iter().flatten().collect()
}

/// Whether the run in `path` ended; not when there is none.
pub(crate) fn is_finished(path: &Path) -> bool {
    let info = RunPaths::of_run(path).and_then(|paths| paths.info());
    info.is_ok_and(|info| info.is_some_and(|info| Details::of(&info).ended.is_some()))
}

/// Whether the run in `path` has recorded replies and no sealed conversations yet.
///
/// # Errors
/// If it is damaged.
pub(crate) fn is_under_way(path: &Path) -> Result<bool, RunError> {
    let Ok(dir) = RunPaths::of_run(path) else { return Ok(false) };
    Ok(has_journal(&dir)? && SealedStage::open(&dir.conversations())?.is_none())
}

/// Whether the run in `dir` still has its recorded replies.
pub(super) fn has_journal(dir: &RunPaths) -> Result<bool, RunError> {
    Ok(dir.journal().is_dir() && !fs::list_files(&dir.journal())?.is_empty())
}

/// What the journal of a run says.
#[derive(Default)]
struct Journaled {
    spent: Spent,
    /// Replies by item.
    replies: BTreeMap<String, u64>,
    /// How endpoints are asked for JSON, a line each.
    verdicts: Vec<String>,
}

fn read_journal(dir: &RunPaths) -> Result<Journaled, RunError> {
    let mut journaled = Journaled::default();
    journal::scan(&dir.journal(), |entry| {
        journaled.spent.add(entry);
        if entry.kind == EntryKind::Reply {
            journaled.verdicts.extend(verdict(entry));
            *journaled.replies.entry(entry.item.as_deref().unwrap_or_default().to_owned()).or_default() += 1;
        }
    })?;
    Ok(journaled)
}

/// What an entry says of how a model is asked for JSON.
fn verdict(entry: &JournalEntry<'_>) -> Option<String> {
    let model = entry.item.as_deref().filter(|item| !item.starts_with("c-") && !item.starts_with("s-"))?;
    ProbeVerdict::of(&entry.read::<RecordedReply>().ok()?).map(|verdict| verdict.told(model))
}

impl Journaled {
    /// A line on the first stage that makes calls and is not sealed.
    fn at_work(&self, dir: &RunPaths) -> Result<Option<String>, RunError> {
        let stages = [("situations", "s-", dir.situations()), ("conversations", "c-", dir.conversations())];
        for (stage, prefix, folder) in stages {
            if SealedStage::open(&folder)?.is_none() {
                let items = self.replies.iter().filter(|(item, _)| item.starts_with(prefix));
                let (begun, replies) = items.fold((0, 0), |(begun, replies), (_, count)| (begun + 1, replies + count));
                let what = if stage == "situations" { "calls" } else { "conversations" };
                return Ok(Some(format!("{stage} at work: {begun} {what} with {replies} replies recorded")));
            }
        }
        Ok(None)
    }
}

pub(super) fn reasons_of(stage: &str, sealed: &SealedStage) -> Result<Vec<LossCount>, RunError> {
    let counts = match sealed.manifest().notes.get("reasons") {
        Some(counts) => serde_json::from_value(counts.clone()).unwrap_or_default(),
        // An earlier version did not note them.
        None => counted(sealed)?,
    };
    let mut reasons: Vec<LossCount> =
        counts.into_iter().map(|(reason, count)| LossCount { stage: stage.to_owned(), reason, count }).collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
    Ok(reasons)
}

fn counted(sealed: &SealedStage) -> Result<BTreeMap<String, u64>, RunError> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for row in sealed.rows::<Dropped>("rejected.jsonl")? {
        *counts.entry(row?.reason).or_default() += 1;
    }
    Ok(counts)
}
