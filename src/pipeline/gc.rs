//! Removal of a finished run's journal: every reply it recorded is in its sealed stages by then, and in its dataset.
//!
//! Never done unasked. What was spent is kept in `run.json` first, so a run without a journal still tells it; the run
//! stays finished and `verify` still checks the rest. What needs the replies themselves is refused from then on.

use std::path::Path;

use serde::Serialize;

use super::error::RunError;
use super::identity;
use super::ledger::Spend;
use crate::config::load;
use crate::llm::budget::Budget;
use crate::llm::entries::Spent;
use crate::store::checkpoint::SealedStage;
use crate::store::run::{RunDir, RunPaths};
use crate::store::{fs, journal, part};

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Freed {
    /// Segments of the journal.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Replies in them.
    pub replies: u64,
}

/// Removes the journal of the run in `path`, or with `dry_run` only says what that would free. A run whose journal is gone already has nothing to free.
///
/// # Errors
/// [`RunError::NotCollectable`] where something is not sealed or not compiled, and whatever keeps the run from being
/// locked, read or written.
pub(crate) fn gc(path: &Path, dry_run: bool) -> Result<Freed, RunError> {
    RunPaths::of_run(path)?;
    // Whatever file system it is on, it was accepted when the run was made.
    let dir = RunDir::open_or_create(path, true)?;
    let paths = dir.paths();
    require_finished(&dir)?;
    let freed = measure(paths)?;
    if dry_run {
        return Ok(freed);
    }
    if identity::details(&dir)?.collected.is_none() {
        identity::record_collected(&dir, spent(paths)?)?;
    }
    fs::discard_dir(&paths.journal())?;
    Ok(freed)
}

fn require_finished(dir: &RunDir) -> Result<(), RunError> {
    let paths = dir.paths();
    let refuse = |problem: &'static str| Err(RunError::NotCollectable { path: paths.root().to_owned(), problem });
    let details = identity::details(dir)?;
    if details.ended.is_none() {
        return refuse("is not finished");
    }
    for folder in [paths.personas(), paths.situations(), paths.conversations()] {
        match SealedStage::open(&folder)? {
            Some(sealed) => sealed.verify()?,
            None => return refuse("has a stage that is not sealed"),
        }
    }
    let manifest = paths.dataset().join("manifest.json");
    match details.dataset {
        Some(made) if manifest.is_file() && part::hash_file(&manifest)?.1 == made => Ok(()),
        _ => refuse("has no dataset, or one that is not the run's own"),
    }
}

fn measure(paths: &RunPaths) -> Result<Freed, RunError> {
    let folder = paths.journal();
    if !folder.is_dir() {
        return Ok(Freed::default());
    }
    let mut freed = Freed { replies: journal::verify(&folder)?.replies, ..Freed::default() };
    for name in fs::list_files(&folder)? {
        freed.files += 1;
        freed.bytes += fs::metadata(&folder.join(name))?.len();
    }
    Ok(freed)
}

/// What the journal says was spent.
fn spent(paths: &RunPaths) -> Result<Spend, RunError> {
    let config = load::kept(&paths.config())?;
    let budget = Budget::new(&config.budget, &config.models);
    let mut spent = Spent::default();
    journal::scan(&paths.journal(), |entry| spent.add(entry))?;
    spent.restore(&budget);
    Ok(Spend::of(&budget))
}
