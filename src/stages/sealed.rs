//! A sealed stage, as the next one reads it: record by record, as often as it likes, never whole.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::writer::PART;
use crate::record::Tally;
use crate::store::checkpoint::{CheckpointError, MANIFEST, Rows, SealedStage};

/// The records of a sealed stage.
#[derive(Debug, Clone)]
pub(crate) struct Sealed<R> {
    stage: SealedStage,
    row: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned> Sealed<R> {
    /// The stage that is sealed in `folder`; nothing where none is.
    ///
    /// # Errors
    /// If it is damaged.
    pub(crate) fn open(folder: &Path) -> Result<Option<Self>, CheckpointError> {
        Ok(SealedStage::open(folder)?.map(Self::of))
    }

    /// The records of `stage`.
    pub(crate) fn of(stage: SealedStage) -> Self {
        Self { stage, row: PhantomData }
    }

    /// The records, in the order of their ids. Each time of reading ends with a comparison of the part's hash.
    ///
    /// # Errors
    /// If the part cannot be opened; what comes later is an item.
    pub(crate) fn rows(&self) -> Result<Rows<R>, CheckpointError> {
        self.stage.rows(PART)
    }

    /// How its inputs ended.
    pub(crate) fn tally(&self) -> Tally {
        tally(&self.stage.manifest().counts)
    }

    /// The stage with its manifest.
    pub(crate) fn stage(&self) -> &SealedStage {
        &self.stage
    }

    /// Makes sure that it was made from the stage whose manifest has the hash `upstream`.
    ///
    /// # Errors
    /// If it was made from another.
    pub(crate) fn follows(self, upstream: Option<&str>) -> Result<Self, CheckpointError> {
        if self.stage.manifest().upstream.as_deref() == upstream {
            return Ok(self);
        }
        let path = self.stage.folder().join(MANIFEST);
        Err(CheckpointError::Damaged {
            path,
            problem: "it was made from another stage than the one that is there".to_owned(),
        })
    }
}

/// The outcome counts of a sealed stage.
pub(crate) fn tally(counts: &BTreeMap<String, u64>) -> Tally {
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
