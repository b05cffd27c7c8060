//! What is written: the records that stay, a row for each that does not, and a summary.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use serde::Serialize;

use super::clusters::{CandidateIndex, DecidedRecords, Removal};
use super::compare::Comparison;
use super::error::CorpusError;
use super::parallel;
use super::scan::ScannedRecords;
use super::table::RowWriter;
use crate::record::DuplicateKind;
use crate::stages::dedup::{Cluster, DuplicateRow};
use crate::store::fs::{self, FsError, NewFile};

/// Ranks whose lines are read together.
const PIECE: u32 = 2_048;
/// Bytes that such a piece has room for at first: to grow is to hold all of it twice.
const PIECE_BYTES: usize = 2 << 20;
/// Rows of a table that are put in order together: each time, all files are read where they hold some.
const TABLE_PIECE: usize = 65_536;
/// Clusters that a summary lists.
const LARGEST: usize = 10;

/// What came of a corpus.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct CorpusSummary {
    /// Records read.
    pub records: u64,
    /// Records that stay.
    pub kept: u64,
    /// Removed as exact copies.
    pub exact: u64,
    /// Removed as near duplicates.
    pub near: u64,
    /// Kept records that something duplicates.
    pub clusters: u64,
    /// The ten largest clusters, largest first, of equals the one with the smaller id.
    pub largest: Vec<Cluster>,
    /// The Jaccard index from which two texts are duplicates.
    pub threshold: f64,
    /// What texts were cut into.
    pub shingles: String,
    /// How signatures were cut.
    pub bands: usize,
    /// Values in a band.
    pub rows: usize,
}

/// A file on its way. It is gone if it is not published.
#[derive(Debug)]
pub(super) struct DraftFile(NewFile);

impl DraftFile {
    pub(super) fn create(path: &Path) -> Result<Self, CorpusError> {
        fs::create_dir_all(fs::folder_of(path))?;
        Ok(Self(fs::create_temporary(path)?))
    }

    /// Writes all of `bytes` at the end.
    fn append(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.0.write_all(bytes)
    }

    /// Gives it its name.
    pub(super) fn publish(mut self, path: &Path) -> Result<(), FsError> {
        self.0.publish(path)
    }
}

impl Write for DraftFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for DraftFile {
    fn drop(&mut self) {
        let name = self.0.path().file_name().unwrap_or_default().to_string_lossy();
        if fs::is_temporary(&name) {
            // What stopped the work is what is told.
            let _ = fs::remove_if_there(self.0.path());
        }
    }
}

/// A corpus that was decided on.
#[derive(Debug)]
pub(super) struct DecidedCorpus<'a> {
    index: CandidateIndex<'a>,
    decided: DecidedRecords,
    with: Comparison<'a>,
    threads: usize,
    /// Records removed in favour of one, by rank.
    copies: Vec<u32>,
}

impl<'a> DecidedCorpus<'a> {
    pub(super) fn new(
        index: CandidateIndex<'a>,
        decided: DecidedRecords,
        with: Comparison<'a>,
        threads: usize,
    ) -> Self {
        let mut copies = vec![0; with.order.len() as usize];
        for rank in 0..with.order.len() {
            if let Some(Removal::Exact(kept) | Removal::Near(kept, _)) = decided.removal(rank) {
                copies.get_mut(kept as usize).into_iter().for_each(|count| *count += 1);
            }
        }
        Self { index, decided, with, threads, copies }
    }

    fn records(&self) -> &ScannedRecords {
        self.index.records()
    }

    fn kept(&self) -> impl Iterator<Item = u32> {
        (0..self.with.order.len()).filter(|rank| self.decided.removal(*rank).is_none())
    }

    /// The figures. `shingles` says what texts were cut into.
    pub(super) fn summary(&self, shingles: String) -> Result<CorpusSummary, CorpusError> {
        let removals: Vec<Removal> = (0..self.with.order.len()).filter_map(|rank| self.decided.removal(rank)).collect();
        let exact = removals.iter().filter(|removal| matches!(removal, Removal::Exact(_))).count() as u64;
        let records = u64::from(self.with.order.len());
        Ok(CorpusSummary {
            records,
            kept: records - removals.len() as u64,
            exact,
            near: removals.len() as u64 - exact,
            clusters: self.copies.iter().filter(|count| **count > 0).count() as u64,
            largest: self.largest()?,
            threshold: self.with.hasher.threshold,
            shingles,
            bands: self.with.hasher.bands(),
            rows: self.with.hasher.rows(),
        })
    }

    fn largest(&self) -> Result<Vec<Cluster>, CorpusError> {
        let mut largest: Vec<(u32, u32)> = Vec::new();
        for (rank, count) in (0..).zip(&self.copies).filter(|(_, count)| **count > 0) {
            if largest.len() < LARGEST || largest.last().is_some_and(|(least, _)| least < count) {
                // Behind its equals, which have smaller ids.
                largest.insert(largest.partition_point(|(other, _)| other >= count), (*count, rank));
                largest.truncate(LARGEST);
            }
        }
        let cluster = |(count, rank): (u32, u32)| {
            let (mut line, size) = (Vec::new(), u64::from(count) + 1);
            let kept = self.with.id(self.records(), rank, &mut line)?;
            Ok(Cluster { kept, size })
        };
        largest.into_iter().map(cluster).collect()
    }

    /// Writes a row for each removed record to `path`.
    pub(super) fn report(&self, path: &Path) -> Result<DraftFile, CorpusError> {
        self.write(path, |ranks, rows| {
            let mut line = Vec::new();
            for rank in ranks {
                let Some(removal) = self.decided.removal(rank) else { continue };
                let row = serde_json::to_string(&self.row(rank, removal, &mut line)?);
                rows.extend_from_slice(row.unwrap_or_default().as_bytes());
                rows.push(b'\n');
            }
            Ok(())
        })
    }

    fn row(&self, rank: u32, removal: Removal, line: &mut Vec<u8>) -> Result<DuplicateRow, CorpusError> {
        let (kept, jaccard, kind) = match removal {
            Removal::Exact(kept) => (kept, 1.0, DuplicateKind::Exact),
            Removal::Near(kept, jaccard) => (kept, jaccard, DuplicateKind::Near),
        };
        let cluster_size = u64::from(self.copies.get(kept as usize).copied().unwrap_or(0)) + 1;
        let [id, kept] = [rank, kept].map(|rank| self.with.id(self.records(), rank, line));
        Ok(DuplicateRow { id: id?, kept: kept?, jaccard, kind, cluster_size })
    }

    /// Writes the records that stay to what will be `path`.
    pub(super) fn records_that_stay(&self, path: &Path) -> Result<DraftFile, CorpusError> {
        if self.with.files.are_tables() { self.table(path) } else { self.lines(path) }
    }

    /// Fails if an input changed since it was opened.
    pub(super) fn check_unchanged(&self) -> Result<(), CorpusError> {
        self.with.files.check_unchanged()
    }

    /// Their lines, as they came.
    fn lines(&self, path: &Path) -> Result<DraftFile, CorpusError> {
        self.write(path, |ranks, lines| {
            for rank in ranks.filter(|rank| self.decided.removal(*rank).is_none()) {
                self.with.append_line(self.records(), rank, lines)?;
                lines.push(b'\n');
            }
            Ok(())
        })
    }

    /// Their rows, with all columns.
    fn table(&self, path: &Path) -> Result<DraftFile, CorpusError> {
        let mut writer = RowWriter::create(&self.with.files.files, path)?;
        let rows: Vec<u64> = self.kept().map(|rank| u64::from(self.with.order.record(rank))).collect();
        for piece in rows.chunks(TABLE_PIECE) {
            writer.write(piece)?;
        }
        writer.finish()
    }

    /// Writes what `make` adds for pieces of the ranks, in their order, to a file that will be at `path`.
    fn write(
        &self,
        path: &Path,
        make: impl Fn(Range<u32>, &mut Vec<u8>) -> Result<(), CorpusError> + Sync,
    ) -> Result<DraftFile, CorpusError> {
        let mut file = DraftFile::create(path)?;
        let pieces: Vec<_> = parallel::pieces(self.with.order.len(), PIECE).collect();
        let mut buffers: Vec<Vec<u8>> = (0..self.threads.max(1)).map(|_| Vec::with_capacity(PIECE_BYTES)).collect();
        for round in pieces.chunks(buffers.len()) {
            let results = parallel::each(round.iter().zip(&mut buffers), |(ranks, bytes)| {
                bytes.clear();
                make(ranks.clone(), bytes)
            });
            for (result, bytes) in results.into_iter().zip(&buffers) {
                result?;
                file.append(bytes)?;
            }
        }
        Ok(file)
    }
}
