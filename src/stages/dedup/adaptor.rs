//! Deduplication as a stage uses it: a record in, its fate out.

use std::path::Path;
use std::sync::Arc;

use super::{DedupIndex, Hasher, Prepared, Shingling, Text, Verdict};
use crate::record::arrow::TableRow;
use crate::record::{Duplicate, Fate};
use crate::stages::error::StageError;
use crate::stages::writer::Fates;

/// Removes the records of a stage that duplicate an earlier accepted one. What is compared is read back from the accepted
/// records, so that only hashes stay in memory.
#[derive(Debug)]
pub(crate) struct Deduplicator<R> {
    index: DedupIndex,
    text: fn(&R) -> String,
}

impl<R: TableRow> Deduplicator<R> {
    /// Compares the `text` of records; two are duplicates from the similarity `threshold` on. A large index goes to a file in
    /// `folder`.
    pub(crate) fn new(threshold: f64, shingling: Shingling, folder: &Path, text: fn(&R) -> String) -> Self {
        Self { index: DedupIndex::new(threshold, shingling, folder), text }
    }

    /// What prepares records for it on other threads.
    pub(crate) fn hasher(&self) -> Arc<Hasher> {
        self.index.hasher()
    }

    /// What becomes of `record`, which comes after everything that was put into `fates`.
    ///
    /// # Errors
    /// If an accepted record cannot be read back.
    pub(crate) fn judge(&mut self, record: R, fates: &mut dyn Fates<R>) -> Result<Fate<R>, StageError> {
        let prepared = self.index.hasher().prepare(&(self.text)(&record));
        self.judge_prepared(record, &prepared, fates)
    }

    /// As [`judge`](Self::judge), of a record that was prepared already.
    ///
    /// # Errors
    /// Those of [`judge`](Self::judge).
    pub(crate) fn judge_prepared(
        &mut self,
        record: R,
        prepared: &Prepared,
        fates: &mut dyn Fates<R>,
    ) -> Result<Fate<R>, StageError> {
        let text = self.text;
        let verdict = self.index.judge(prepared, |number| {
            let kept = fates.accepted(number as usize)?;
            Ok::<_, StageError>(Text { id: kept.id().to_owned(), text: text(&kept) })
        })?;
        Ok(match verdict {
            Verdict::New => Fate::Accepted(record),
            Verdict::Duplicate(found) => Fate::Duplicate(Duplicate {
                id: record.id().to_owned(),
                kept: found.id,
                jaccard: found.jaccard,
                kind: found.kind,
            }),
        })
    }
}
