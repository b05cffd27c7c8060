//! Unseals what `--retry-failed` is to make anew.

use super::error::RunError;
use super::{identity, seal};
use crate::store::checkpoint::SealedStage;
use crate::store::fs;
use crate::store::run::RunDir;

/// Unseals the first stage with failed items and every stage behind it.
///
/// What was recorded stays, so making them again asks only for what had failed and for what follows from it. The last
/// stage goes first: a crash in between leaves no stage behind one that it was not made from.
pub(super) fn failed_stages(dir: &RunDir) -> Result<(), RunError> {
    let paths = dir.paths();
    let folders = [paths.situations(), paths.conversations()];
    let mut first = None;
    for (at, folder) in folders.iter().enumerate() {
        let sealed = SealedStage::open(folder)?;
        if sealed.is_some_and(|sealed| seal::tally(&sealed.manifest().counts).failed > 0) {
            first = Some(at);
            break;
        }
    }
    let Some(first) = first else { return Ok(()) };
    identity::record_reopened(dir)?;
    folders.iter().skip(first).rev().try_for_each(|folder| fs::discard_dir(folder))?;
    Ok(())
}
