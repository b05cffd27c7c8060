//! Where a run stands, from what is on disk. Takes no lock, so it can look at a run that is going on.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::error::RunError;
use super::identity::Details;
use super::ledger::{Spend, Status, Summary};
use super::seal;
use crate::config::load;
use crate::llm::budget::Budget;
use crate::llm::recorded::Spent;
use crate::record::{Dropped, Tally};
use crate::store::checkpoint::SealedStage;
use crate::store::journal;
use crate::store::run::RunPaths;

/// A run as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// The same object that a run prints.
    pub summary: Summary,
    /// Why inputs were dropped, most frequent first within a stage.
    pub reasons: Vec<Reason>,
}

/// How often a stage dropped inputs for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The stage.
    pub stage: String,
    /// The reason in a word.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// Looks at the run in `path`.
pub fn status(path: &Path) -> Result<Found, RunError> {
    let dir = RunPaths::of_run(path)?;
    let config = load::kept(&dir.config())?;
    let ended = dir.info()?.and_then(|info| Details::of(&info).ended);
    let budget = Budget::new(&config.budget, &config.models);
    spent(&dir)?.restore(&budget);
    let mut stages = BTreeMap::new();
    let mut reasons = Vec::new();
    for (stage, folder) in
        [("personas", dir.personas()), ("situations", dir.situations()), ("conversations", dir.conversations())]
    {
        let sealed = SealedStage::open(&folder)?;
        let tally = sealed.as_ref().map_or_else(Tally::default, |sealed| seal::tally(&sealed.manifest().counts));
        if let Some(sealed) = sealed {
            reasons.extend(reasons_of(stage, &sealed)?);
        }
        stages.insert(stage.to_owned(), tally);
    }
    let summary = Summary {
        run_dir: path.to_owned(),
        status: ended.unwrap_or(Status::Resumable),
        stages,
        usage: Spend::of(&budget),
        wall_s: 0.0,
        cpu_s: 0.0,
    };
    Ok(Found { summary, reasons })
}

/// What the journal says was spent.
fn spent(dir: &RunPaths) -> Result<Spent, RunError> {
    let mut spent = Spent::default();
    journal::scan(&dir.journal(), |entry| spent.add(entry))?;
    Ok(spent)
}

fn reasons_of(stage: &str, sealed: &SealedStage) -> Result<Vec<Reason>, RunError> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for row in sealed.rows::<Dropped>("rejected.jsonl")? {
        *counts.entry(row?.reason).or_default() += 1;
    }
    let mut reasons: Vec<Reason> =
        counts.into_iter().map(|(reason, count)| Reason { stage: stage.to_owned(), reason, count }).collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
    Ok(reasons)
}
