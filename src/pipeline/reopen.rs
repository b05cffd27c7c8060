//! Unseals what `--retry-failed` is to make anew.

use super::error::RunError;
use super::{identity, seal};
use crate::stages::{judge, safety};
use crate::store::checkpoint::{Manifest, SealedStage};
use crate::store::fs;
use crate::store::run::RunDir;

/// The reasons of calls that came to no answer, as [`llm::recorded`](crate::llm::recorded) gives them.
const ENDPOINT_FAILURES: [&str; 2] = ["no_answer", "bad_request"];

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
        if sealed.is_some_and(|sealed| has_failures(sealed.manifest())) {
            first = Some(at);
            break;
        }
    }
    let Some(first) = first else { return Ok(()) };
    identity::record_reopened(dir)?;
    folders.iter().skip(first).rev().try_for_each(|folder| fs::discard_dir(folder))?;
    Ok(())
}

/// Whether something failed that may succeed when it is asked for again: an item, or the screening or scoring of one that
/// was accepted all the same. A refusal, or a reply that could not be used, is an answer.
fn has_failures(manifest: &Manifest) -> bool {
    let notes = |name: &str| manifest.notes.get(name).cloned().unwrap_or_default();
    let safety = serde_json::from_value::<safety::Figures>(notes("safety")).unwrap_or_default();
    let judge = serde_json::from_value::<judge::Figures>(notes("judge")).unwrap_or_default();
    let mut reasons = safety.unscreened.keys().chain(judge.failures.keys());
    seal::tally(&manifest.counts).failed > 0 || reasons.any(|reason| ENDPOINT_FAILURES.contains(&reason.as_str()))
}
