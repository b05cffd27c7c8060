//! What a run takes over from the one it was forked from: sealed stages that would be made the same, byte by byte.
//! Recorded replies are taken over one by one, where calls are made.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::RunError;
use super::identity::{Details, folder};
use crate::config::fingerprint::Stage;
use crate::llm::recorded::Inherited;
use crate::stages::imported::InputDigest;
use crate::stages::personas::PersonaSource;
use crate::stages::{judge, safety, sealed};
use crate::store::checkpoint::{SealedStage, StageManifest};
use crate::store::journal::Archive;
use crate::store::run::RunPaths;

/// The run that another was forked from.
#[derive(Debug)]
pub(super) struct Fork {
    paths: RunPaths,
    details: Details,
    retry_failed: bool,
}

/// The reasons of calls that came to no answer, as [`llm::recorded`](crate::llm::recorded) gives them.
const ENDPOINT_FAILURES: [&str; 2] = ["no_answer", "bad_request"];

/// Runs looked through for recorded replies: a run, the one it was forked from, and so on.
const MOST_ANCESTORS: usize = 16;

impl Fork {
    /// Opens the run in `path`. `retry_failed`: stages in which something failed are made anew.
    pub(super) fn open(path: &Path, retry_failed: bool) -> Result<Self, RunError> {
        let paths = RunPaths::of_run(path)?;
        let details = details(&paths)?;
        Ok(Self { paths, details, retry_failed })
    }

    /// The replies that it recorded, and those before it from which it was forked.
    pub(super) fn replies(&self) -> Result<Vec<Inherited>, RunError> {
        Ok(replies(&self.paths)?.into_iter().map(Inherited::Journal).collect())
    }

    /// Keys of its calls whose record counts for nothing.
    pub(super) fn asked_anew(&self) -> &BTreeSet<String> {
        &self.details.anew
    }

    /// SHA-256 of what a stage would import now, as far as the fork tells without reading it again.
    pub(super) fn source(&self, stage: Stage, source: Option<&PersonaSource>) -> Result<Option<String>, RunError> {
        match (stage, source, &self.details.source) {
            (Stage::Personas, Some(PersonaSource::BuiltIn(text)), _) => {
                Ok(Some(InputDigest::of(text.as_bytes()).sha256))
            }
            (Stage::Personas | Stage::Situations, Some(PersonaSource::File(path)), Some(known)) => {
                Ok(Some(known.now(path)?.sha256()))
            }
            _ => Ok(None),
        }
    }

    /// Copies a sealed stage into `to`, if its fingerprint is the one wanted and it was made from the stage that is there.
    pub(super) fn take(
        &self,
        stage: Stage,
        fingerprint: &str,
        upstream: Option<&str>,
        to: &Path,
    ) -> Result<Option<SealedStage>, RunError> {
        let Some(sealed) = SealedStage::open(&folder(&self.paths, stage))? else { return Ok(None) };
        let manifest = sealed.manifest();
        let same = manifest.fingerprint == fingerprint && manifest.upstream.as_deref() == upstream;
        // What a budget cut off is asked for again.
        let whole = manifest.counts.get("over_budget").copied().unwrap_or(0) == 0;
        let settled = !(self.retry_failed && has_failures(manifest));
        if same && whole && settled { Ok(Some(sealed.copy(to)?)) } else { Ok(None) }
    }
}

fn details(paths: &RunPaths) -> Result<Details, RunError> {
    Ok(paths.info()?.map(|info| Details::of(&info)).unwrap_or_default())
}

/// The replies that the run in `paths` recorded, then those of the runs it was forked from, as far as they are still there: a
/// stage that was taken over whole has its replies where it was made.
pub(super) fn replies(paths: &RunPaths) -> Result<Vec<Archive>, RunError> {
    let mut archives = vec![Archive::open(&paths.journal())?];
    let mut next = details(paths)?.fork;
    while let Some(path) = next.filter(|path| archives.len() < MOST_ANCESTORS && path.join("journal").is_dir()) {
        archives.push(Archive::open(&path.join("journal"))?);
        next = details(&RunPaths::of_run(&path)?)?.fork;
    }
    Ok(archives)
}

/// Whether something failed that may succeed when it is asked for again: an item, or the screening or scoring of one that
/// was accepted all the same. A refusal, or a reply that could not be used, is an answer.
pub(super) fn has_failures(manifest: &StageManifest) -> bool {
    let notes = |name: &str| manifest.notes.get(name).cloned().unwrap_or_default();
    let safety = serde_json::from_value::<safety::SafetyFigures>(notes("safety")).unwrap_or_default();
    let judge = serde_json::from_value::<judge::JudgeFigures>(notes("judge")).unwrap_or_default();
    let mut reasons = safety.unscreened.keys().chain(judge.failures.keys());
    sealed::tally(&manifest.counts).failed > 0 || reasons.any(|reason| ENDPOINT_FAILURES.contains(&reason.as_str()))
}
