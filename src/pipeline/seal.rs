//! The contract of every stage: rows in, a sealed folder out, and its sums checked before anything is visible.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::RunError;
use crate::config::fingerprint::Stage;
use crate::record::arrow::Row;
use crate::record::{Dropped, Tally, parquet};
use crate::store::checkpoint::{self, CheckpointError, Manifest, SealedStage, StageDir};
use crate::store::run::RunPaths;

/// Where a stage is sealed, and what it was made from.
#[derive(Debug, Clone)]
pub(super) struct Seal {
    /// The stage.
    pub(super) stage: &'static str,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// Hash of everything that decides its content.
    pub(super) fingerprint: String,
    /// Hash of the manifest of the stage before.
    pub(super) upstream: Option<String>,
}

/// A sealed stage, read back.
#[derive(Debug)]
pub(super) struct Sealed<R> {
    /// The rows, in id order.
    pub(super) rows: Vec<R>,
    /// How its inputs ended.
    pub(super) tally: Tally,
    /// Hash of its manifest.
    pub(super) hash: String,
}

/// What a stage made, ready to be sealed.
#[derive(Debug)]
pub(super) struct Product<'a, R, D> {
    /// The accepted rows, in id order.
    pub(super) rows: &'a [R],
    /// Everything that was rejected, refused, failed or not worked on.
    pub(super) dropped: &'a [Dropped],
    /// What duplicates what.
    pub(super) duplicates: &'a [D],
    /// How its inputs ended.
    pub(super) tally: Tally,
    /// Inputs that are in no outcome because they were not drawn.
    pub(super) not_sampled: u64,
    /// All inputs.
    pub(super) inputs: u64,
    /// Figures of the stage.
    pub(super) notes: Value,
}

impl Seal {
    /// The stage as it was sealed, or nothing if it was not.
    pub(super) fn open<R: DeserializeOwned>(&self) -> Result<Option<Sealed<R>>, RunError> {
        let Some(sealed) = SealedStage::open(&self.folder)? else { return Ok(None) };
        if sealed.manifest().upstream != self.upstream {
            let path = self.folder.join(checkpoint::MANIFEST);
            let problem = "it was made from another stage than the one that is there".to_owned();
            return Err(CheckpointError::Damaged { path, problem }.into());
        }
        let rows = sealed.rows::<R>("part-00000.jsonl")?.collect::<Result<Vec<_>, _>>()?;
        let tally = tally(&sealed.manifest().counts);
        Ok(Some(Sealed { rows, tally, hash: sealed.manifest_hash().to_owned() }))
    }

    /// Writes and seals. Nothing is visible before everything is there.
    pub(super) fn seal<R: Row + Serialize, D: Serialize>(
        &self,
        product: &Product<'_, R, D>,
    ) -> Result<String, RunError> {
        self.check_sums(product)?;
        let mut stage = StageDir::create(&self.folder)?;
        stage.jsonl("part-00000.jsonl", product.rows)?;
        stage.jsonl("rejected.jsonl", product.dropped)?;
        stage.jsonl("duplicates.jsonl", product.duplicates)?;
        let rows = product.rows.len() as u64;
        let Tally { accepted, duplicate, rejected, refused, failed, over_budget } = product.tally;
        tracing::info!(stage = self.stage, accepted, duplicate, rejected, refused, failed, over_budget, "sealing");
        stage.file("part-00000.parquet", rows, |sink| {
            parquet::write(sink, product.rows).map(drop).map_err(std::io::Error::other)
        })?;
        Ok(stage.seal(Manifest {
            stage: self.stage.to_owned(),
            fingerprint: self.fingerprint.clone(),
            upstream: self.upstream.clone(),
            counts: counts(product),
            notes: product.notes.clone(),
            format: checkpoint::FORMAT,
            files: Vec::new(),
        })?)
    }

    fn check_sums<R, D>(&self, product: &Product<'_, R, D>) -> Result<(), RunError> {
        let outcomes = product.tally.total() + product.not_sampled;
        let rows = product.rows.len() as u64;
        if outcomes != product.inputs || rows != product.tally.accepted {
            return Err(RunError::Sums { stage: self.stage, inputs: product.inputs, outcomes });
        }
        Ok(())
    }
}

fn counts<R, D>(product: &Product<'_, R, D>) -> BTreeMap<String, u64> {
    let tally = product.tally;
    [
        ("inputs", product.inputs),
        ("accepted", tally.accepted),
        ("duplicate", tally.duplicate),
        ("rejected", tally.rejected),
        ("refused", tally.refused),
        ("failed", tally.failed),
        ("over_budget", tally.over_budget),
        ("not_sampled", product.not_sampled),
    ]
    .into_iter()
    .map(|(name, count)| (name.to_owned(), count))
    .collect()
}

/// Where a stage is sealed.
pub(super) fn folder(paths: &RunPaths, stage: Stage) -> PathBuf {
    match stage {
        Stage::Personas => paths.personas(),
        Stage::Situations => paths.situations(),
        Stage::Conversations => paths.conversations(),
        Stage::Compile => paths.dataset(),
    }
}

/// The outcome counts of a sealed stage.
pub(super) fn tally(counts: &BTreeMap<String, u64>) -> Tally {
    let count = |name: &str| counts.get(name).copied().unwrap_or(0);
    Tally {
        accepted: count("accepted"),
        duplicate: count("duplicate"),
        rejected: count("rejected"),
        refused: count("refused"),
        failed: count("failed"),
        over_budget: count("over_budget"),
    }
}
