//! Two records, compared by their texts, which are read again.

use std::sync::Arc;

use super::error::CorpusError;
use super::line::FieldNames;
use super::order::IdOrder;
use super::scan::ScannedRecords;
use super::source::CorpusFiles;
use crate::stages::dedup::{Cache, Hasher, Prepared, jaccard};

/// What comparing takes: shared by all threads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comparison<'a> {
    pub(super) files: &'a CorpusFiles,
    pub(super) names: &'a FieldNames,
    pub(super) hasher: &'a Hasher,
    pub(super) order: &'a IdOrder,
    /// Whether candidates come from elsewhere and must show that they are candidates here too.
    pub(super) foreign: bool,
}

/// The comparisons of one thread.
#[derive(Debug, Default)]
pub(super) struct Comparer(Cache<ComparedRecord>);

/// What a record is compared by.
#[derive(Debug)]
struct ComparedRecord {
    /// The sorted set of shingles.
    shingles: Vec<u64>,
    /// Its signature, where candidates come from elsewhere.
    signature: Option<Prepared>,
}

impl Comparison<'_> {
    fn read(&self, records: &ScannedRecords, rank: u32) -> Result<(ComparedRecord, usize), CorpusError> {
        let line = self.line(records, rank)?;
        let read = self.names.read(&line).map_err(|problem| self.unreadable(records, rank, problem))?;
        let signature = self.foreign.then(|| self.hasher.prepare(&read.text));
        let shingles = signature.as_ref().map_or_else(|| self.hasher.shingles(&read.text), Prepared::shingles);
        let bytes = shingles.len() * if self.foreign { 16 } else { 8 };
        Ok((ComparedRecord { shingles, signature }, bytes))
    }

    /// The line of a record.
    pub(super) fn line(&self, records: &ScannedRecords, rank: u32) -> Result<Vec<u8>, CorpusError> {
        let (offset, length) = records.place(self.order.record(rank));
        self.files.line(offset, length)
    }

    /// The id of a record.
    pub(super) fn id(&self, records: &ScannedRecords, rank: u32) -> Result<String, CorpusError> {
        let line = self.line(records, rank)?;
        let read = self.names.read(&line).map_err(|problem| self.unreadable(records, rank, problem))?;
        Ok(read.id.into_owned())
    }

    /// What was a record at the first reading is none now: the file changed.
    fn unreadable(&self, records: &ScannedRecords, rank: u32, problem: String) -> CorpusError {
        let (offset, _) = records.place(self.order.record(rank));
        match self.files.file_at(offset) {
            Some(file) => CorpusError::Changed { path: file.path.clone() },
            None => CorpusError::Mixed(problem),
        }
    }

    fn are_candidates(&self, one: &ComparedRecord, other: &ComparedRecord) -> bool {
        let (Some(one), Some(other)) = (&one.signature, &other.signature) else { return !self.foreign };
        let share_a_band = one.band_keys().iter().zip(other.band_keys()).any(|(one, other)| one == other);
        share_a_band && one.sketch().agreement(other.sketch()) >= self.hasher.least_agreement()
    }
}

impl Comparer {
    /// The first of `candidates` that is near enough to the record with this rank, and how near.
    pub(super) fn first_near(
        &mut self,
        with: Comparison<'_>,
        records: &ScannedRecords,
        rank: u32,
        candidates: &[u32],
    ) -> Result<Option<(u32, f64)>, CorpusError> {
        if candidates.is_empty() {
            return Ok(None);
        }
        let own = self.get(with, records, rank)?;
        for candidate in candidates {
            let other = self.get(with, records, *candidate)?;
            let jaccard = jaccard(&own.shingles, &other.shingles);
            if jaccard >= with.hasher.threshold && with.are_candidates(&own, &other) {
                return Ok(Some((*candidate, jaccard)));
            }
        }
        Ok(None)
    }

    fn get(
        &mut self,
        with: Comparison<'_>,
        records: &ScannedRecords,
        rank: u32,
    ) -> Result<Arc<ComparedRecord>, CorpusError> {
        self.0.get(rank, || with.read(records, rank))
    }
}
