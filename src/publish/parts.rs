//! Runs that were made in parts: all of a run's parts are there, each once, and they agree in everything but their number.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::PublishError;
use crate::config::Shard;
use crate::config::drift;
use crate::pipeline::finished::FinishedRun;
use crate::store::fs;

/// What differs between the parts of one run.
const SHARD: &str = "shard";

/// The run directories that `runs` stand for: one that is not there itself stands for the parts beside it that have its name.
///
/// # Errors
/// If parts beside each other are of different numbers of parts.
pub(super) fn directories(runs: &[PathBuf]) -> Result<Vec<PathBuf>, PublishError> {
    let mut all = Vec::new();
    for run in runs {
        match beside(run)? {
            Some(count) => {
                let parts = (0..count).map(|index| Shard { index, count }.directory(run));
                all.extend(parts.filter(|part| part.exists()));
            }
            None => all.push(run.clone()),
        }
    }
    Ok(all)
}

/// How many parts a run has that is not there itself; nothing if it is, or if there are none either.
fn beside(run: &Path) -> Result<Option<u64>, PublishError> {
    let (Some(name), false) = (run.file_name().and_then(|name| name.to_str()), run.exists()) else { return Ok(None) };
    let names = match fs::list(fs::folder_of(run)) {
        Err(error) if error.is_not_found() => return Ok(None),
        names => names?,
    };
    let mut counts: Vec<u64> = names.iter().filter_map(|other| Some(Shard::of_name(other, name)?.count)).collect();
    counts.sort_unstable();
    counts.dedup();
    match counts.as_slice() {
        [] => Ok(None),
        [count] => Ok(Some(*count)),
        [one, other, ..] => Err(PublishError::Parts(format!(
            "{run}: there are parts of {one} and of {other} beside each other; name the run directories that belong together",
            run = run.display()
        ))),
    }
}

/// Makes sure that of every run in parts all are there, each once. Puts the parts of a run in their order.
///
/// # Errors
/// If one is missing or doubled, or was made with other settings.
pub(super) fn complete(runs: &mut Vec<FinishedRun>) -> Result<(), PublishError> {
    let mut families: Vec<Vec<FinishedRun>> = Vec::new();
    for run in std::mem::take(runs) {
        let related = families.iter_mut().find(|family| family.first().is_some_and(|first| are_parts(first, &run)));
        match related {
            Some(family) => family.push(run),
            None => families.push(vec![run]),
        }
    }
    check(&families)?;
    for family in &mut families {
        family.sort_by_key(|run| run.config.shard);
    }
    runs.extend(families.into_iter().flatten());
    Ok(())
}

/// Whether two runs are parts of one: made with the same settings, texts and people.
pub(super) fn are_parts(one: &FinishedRun, other: &FinishedRun) -> bool {
    let count = parts_of(one);
    count.is_some() && count == parts_of(other) && differences(one, other).is_empty()
}

/// Of how many parts the run is one.
fn parts_of(run: &FinishedRun) -> Option<u64> {
    run.config.shard.map(|shard| shard.count)
}

fn differences(one: &FinishedRun, other: &FinishedRun) -> Vec<String> {
    let found = drift::diff(&one.made_with, &other.made_with).into_iter();
    found.map(|difference| difference.key).filter(|key| key != SHARD).collect()
}

fn check(families: &[Vec<FinishedRun>]) -> Result<(), PublishError> {
    for family in families {
        let Some((first, Shard { count, .. })) = family.first().and_then(|run| Some((run, run.config.shard?))) else {
            continue;
        };
        let mut seen: BTreeMap<u64, &Path> = BTreeMap::new();
        for run in family {
            let index = run.config.shard.map_or(0, |shard| shard.index);
            if let Some(other) = seen.insert(index, &run.path) {
                let (other, path) = (other.display(), run.path.display());
                return Err(PublishError::Parts(format!(
                    "{other} and {path} are both part {index} of {count}; name one of them"
                )));
            }
        }
        let missing: Vec<String> =
            (0..count).filter(|index| !seen.contains_key(index)).map(|i| i.to_string()).collect();
        if !missing.is_empty() {
            let why = stranger(first, families).unwrap_or_default();
            let (missing, path) = (missing.join(", "), first.path.display());
            return Err(PublishError::Parts(format!(
                "of the {count} parts of which {path} is one, these are missing: {missing}{why}; make them with --shard \
                 I/{count}, and name all of them in runs"
            )));
        }
    }
    Ok(())
}

/// A part of as many that was made otherwise, and how.
fn stranger(first: &FinishedRun, families: &[Vec<FinishedRun>]) -> Option<String> {
    let mut others = families.iter().flatten().filter(|run| parts_of(run) == parts_of(first));
    let other = others.find(|run| !are_parts(first, run))?;
    Some(format!(" ({} was made with another {})", other.path.display(), differences(first, other).join(", ")))
}
