//! Deduplication as a stage uses it: a record in, its fate out.

use super::{Dedup, Shingling, Verdict};
use crate::record::arrow::Row;
use crate::record::{Duplicate, Fate};
use crate::stages::error::StageError;
use crate::stages::writer::Fates;

/// Removes the records of a stage that duplicate an earlier accepted one.
#[derive(Debug)]
pub struct Deduplicator<R> {
    index: Dedup,
    text: fn(&R) -> String,
}

impl<R: Row> Deduplicator<R> {
    /// Compares the `text` of records; two are duplicates from the similarity `threshold` on.
    pub fn new(threshold: f64, shingling: Shingling, text: fn(&R) -> String) -> Self {
        Self { index: Dedup::new(threshold, shingling), text }
    }

    /// What becomes of `record`, which comes after everything that was put into `fates`.
    ///
    /// # Errors
    /// If an accepted record cannot be read back.
    pub fn judge(&mut self, record: R, _fates: &mut dyn Fates<R>) -> Result<Fate<R>, StageError> {
        let text = (self.text)(&record);
        Ok(match self.index.insert(record.id(), &text) {
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
