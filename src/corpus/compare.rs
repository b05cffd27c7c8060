//! Two records, compared by their texts, which are read again.

use std::sync::Arc;

use super::error::CorpusError;
use super::line::{FieldNames, IdAndText};
use super::order::IdOrder;
use super::scan::ScannedRecords;
use super::source::CorpusFiles;
use crate::stages::dedup::{Cache, Hasher, Prepared, jaccard};

/// Bytes at the start of a line in which its id is looked for.
const HEAD: u32 = 256;

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
pub(super) struct Comparer {
    cache: Cache<ComparedRecord>,
    line: Vec<u8>,
}

/// What a record is compared by.
#[derive(Debug)]
struct ComparedRecord {
    /// The sorted set of shingles.
    shingles: Vec<u64>,
    /// Its signature, where candidates come from elsewhere.
    signature: Option<Prepared>,
}

impl Comparison<'_> {
    fn read(
        &self,
        records: &ScannedRecords,
        rank: u32,
        line: &mut Vec<u8>,
    ) -> Result<(ComparedRecord, usize), CorpusError> {
        let read = self.id_and_text(records, rank, line)?;
        let signature = self.foreign.then(|| self.hasher.prepare(&read.text));
        let shingles = signature.as_ref().map_or_else(|| self.hasher.shingles(&read.text), Prepared::shingles);
        let bytes = shingles.len() * if self.foreign { 16 } else { 8 };
        Ok((ComparedRecord { shingles, signature }, bytes))
    }

    /// Reads the line of a record to the end of `lines`.
    pub(super) fn append_line(
        &self,
        records: &ScannedRecords,
        rank: u32,
        lines: &mut Vec<u8>,
    ) -> Result<(), CorpusError> {
        let (offset, length) = records.place(self.order.record(rank));
        self.files.append_line(offset, length, lines)
    }

    /// The id of a record, the start of whose line is read into `line`, or all of it if the id is not there.
    pub(super) fn id(&self, records: &ScannedRecords, rank: u32, line: &mut Vec<u8>) -> Result<String, CorpusError> {
        let (offset, length) = records.place(self.order.record(rank));
        line.clear();
        self.files.append_line(offset, length.min(HEAD), line)?;
        match self.names.id_within(line) {
            Some(id) => Ok(id),
            None => Ok(self.id_and_text(records, rank, line)?.id.into_owned()),
        }
    }

    /// Id and text of a record, whose line is read into `line`.
    fn id_and_text<'a>(
        &self,
        records: &ScannedRecords,
        rank: u32,
        line: &'a mut Vec<u8>,
    ) -> Result<IdAndText<'a>, CorpusError> {
        line.clear();
        self.append_line(records, rank, line)?;
        self.names.read(line).map_err(|problem| self.unreadable(records, rank, problem))
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
        let Self { cache, line } = self;
        cache.get(rank, || with.read(records, rank, line))
    }
}
