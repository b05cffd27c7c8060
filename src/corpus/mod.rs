//! Deduplication of a corpus of any origin: `convogen dedup`.
//!
//! ```text
//! files ─► source ─► scan ──► exact ──► bands or pairs ──► clusters ──► output
//!          lines,    hashes,  equal     which to compare   which stay   lines or rows,
//!          places    ids      texts                        (compare)    report, summary
//! ```
//!
//! No text is held. The first reading leaves 12 bytes for the place of a record, 16 for the hash of its text, 4 for each band
//! and 32 for its sketch; the ids are sorted on disk where they are many. What has to be compared is read again. What a record
//! is compared by, its shingles, signature and the exact check, is that of the pipeline ([`crate::stages::dedup`]); what differs
//! is that a corpus has no order but that of its ids, is read by many threads, and may be larger than what a run makes.
//!
//! | step | bytes a record at thresholds from 0.57 up |
//! | --- | --- |
//! | places, hashes, keys of 12 bands, sketches | 12 + 16 + 48 + 32 |
//! | order of ids, exact copies | 4 + 4, 8 while they are found |
//! | of two bands while they are grouped: ranks by record, filters, keys that more than one may have; the keys are dropped then | 4; 4 to 8; up to 8 + 8 |
//! | pairs that may be near, for each one; near duplicates, for each one; marks | 8; 16; 1 |

mod bands;
mod clusters;
mod column;
mod compare;
mod error;
mod exact;
mod line;
mod order;
mod output;
mod pairs;
mod parallel;
mod scan;
mod signatures;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(crate) use self::error::CorpusError;
pub(crate) use self::line::FieldNames;
pub(crate) use self::output::CorpusSummary;
pub(crate) use self::signatures::{SignatureOptions, SignatureSummary, signatures};

use self::bands::BandIndex;
use self::clusters::{CandidateIndex, decide};
use self::compare::Comparison;
use self::exact::first_copies;
use self::order::{IdOrder, equal_ids};
use self::output::DecidedCorpus;
use self::pairs::{IdHashes, PairIndex};
use self::scan::{ScanPlan, choose_shingling, scan};
use self::source::CorpusFiles;
use crate::stages::dedup::{Hasher, Shingling};
use crate::store::fs;
use crate::store::sort::Sorter;

/// Bytes of ids that are sorted in memory.
const SORTED_IN_MEMORY: usize = 16 << 20;
/// Share of a corpus, in percent, from which on a cluster is refused.
const GIANT_PERCENT: u64 = 5;
/// Records from which on a cluster can be giant: in a small corpus a few copies are a large share.
const GIANT_FROM: u64 = 10;

/// What to deduplicate and how.
#[derive(Debug, Clone)]
pub(crate) struct DedupOptions {
    /// Files, and folders of them.
    pub inputs: Vec<PathBuf>,
    /// Where the records that stay go; `None` to look before anything is removed. Then there must be a report.
    pub out: Option<PathBuf>,
    /// Where a row for each removed record goes.
    pub report: Option<PathBuf>,
    /// The fields of id and text.
    pub names: FieldNames,
    /// The Jaccard index from which two texts are duplicates, in (0, 1].
    pub threshold: f64,
    /// What texts are cut into; `None`: chosen by the first texts.
    pub shingling: Option<Shingling>,
    /// A list of candidate pairs made elsewhere, in place of bands made here.
    pub pairs: Option<PathBuf>,
    /// Whether a cluster may be a large share of the corpus.
    pub allow_giant: bool,
    /// Threads that work at a time.
    pub threads: usize,
}

impl DedupOptions {
    /// What is written, the records first.
    fn written(&self) -> impl Iterator<Item = &PathBuf> {
        self.out.iter().chain(&self.report)
    }

    /// Where what does not fit into memory goes.
    fn folder(&self) -> &Path {
        fs::folder_of(self.written().next().map_or(Path::new(""), PathBuf::as_path))
    }
}

/// Removes the duplicates of a corpus. Nothing is written to `out` unless everything went well.
///
/// # Errors
/// If an input cannot be read or changes meanwhile, ids are equal, a cluster is giant, or the disk fails.
pub(crate) fn dedup(options: &DedupOptions) -> Result<CorpusSummary, CorpusError> {
    let folder = options.folder();
    let mut files = CorpusFiles::find(&options.inputs, Some(folder))?;
    check_places(options, &files)?;
    let shingling = options.shingling.map_or_else(|| choose_shingling(&files, &options.names), Ok)?;
    let hasher = Hasher::new(options.threshold, shingling);
    let plan = ScanPlan {
        names: &options.names,
        hasher: &hasher,
        signatures: options.pairs.is_none(),
        threads: options.threads,
    };
    let mut ids = Sorter::new(folder, SORTED_IN_MEMORY);
    let mut records = scan(&mut files, plan, &mut ids)?;
    let mut known_ids = IdHashes::default();
    let order = IdOrder::of(
        ids,
        &records,
        |id, both| equal_ids(&files, &options.names, both.map(|record| records.place(record).0), id),
        |id, rank| options.pairs.iter().for_each(|_| known_ids.add(id, rank)),
    )?;
    let firsts = first_copies(&records, &order);
    records.forget_hashes();
    let with = Comparison {
        files: &files,
        names: &options.names,
        hasher: &hasher,
        order: &order,
        foreign: options.pairs.is_some(),
    };
    let mut index = match &options.pairs {
        Some(path) => CandidateIndex::Pairs(PairIndex::read(path, known_ids, &firsts)?, records),
        None => CandidateIndex::Bands(BandIndex::build(records, &order, &firsts, &hasher, options.threads)),
    };
    let decided = decide(&mut index, firsts, with, options.threads)?;
    write(options, &DecidedCorpus::new(index, decided, with, options.threads), shingling)
}

/// Writes the report, and unless a cluster is giant the records that stay.
fn write(
    options: &DedupOptions,
    corpus: &DecidedCorpus<'_>,
    shingling: Shingling,
) -> Result<CorpusSummary, CorpusError> {
    let summary = corpus.summary(shingling.to_string())?;
    let report = options.report.as_ref().map(|path| Ok::<_, CorpusError>((corpus.report(path)?, path))).transpose()?;
    let refused = giant(options, &summary);
    let out = options.out.as_ref().filter(|_| refused.is_none());
    let out = out.map(|path| Ok::<_, CorpusError>((corpus.records_that_stay(path)?, path))).transpose()?;
    corpus.check_unchanged()?;
    for (file, path) in report.into_iter().chain(out) {
        file.publish(path)?;
    }
    refused.map_or(Ok(summary), Err)
}

fn giant(options: &DedupOptions, summary: &CorpusSummary) -> Option<CorpusError> {
    let largest = summary.largest.first()?;
    let is_giant = largest.size >= GIANT_FROM && largest.size * 100 > summary.records * GIANT_PERCENT;
    (is_giant && !options.allow_giant).then(|| CorpusError::GiantCluster {
        kept: largest.kept.clone(),
        size: largest.size,
        records: summary.records,
        percent: GIANT_PERCENT,
    })
}

/// Refuses what would be written over an input, or in another format than the inputs have.
fn check_places(options: &DedupOptions, files: &CorpusFiles) -> Result<(), CorpusError> {
    for place in options.written() {
        if files.files.iter().any(|file| is_same_file(&file.path, place)) {
            return Err(CorpusError::Mixed(format!("{} is an input: write to another file", place.display())));
        }
    }
    if files.are_tables() {
        table::common_schema(&files.files)?;
    }
    let Some(out) = &options.out else { return Ok(()) };
    if options.report.as_ref() == Some(out) {
        return Err(CorpusError::Mixed(format!("{} cannot be output and report", out.display())));
    }
    if out.extension().is_some_and(|extension| extension == "gz" || extension == "zst") {
        let out = out.display();
        return Err(CorpusError::Mixed(format!(
            "{out} would not be compressed: name it .jsonl and compress it afterwards"
        )));
    }
    let is_table = out.extension().is_some_and(|extension| extension == "parquet");
    if is_table == files.are_tables() {
        return Ok(());
    }
    let out = out.display();
    Err(CorpusError::Mixed(if is_table {
        format!("{out} is to be Parquet and the inputs are lines: name an output that ends in .jsonl")
    } else {
        format!("the inputs are Parquet: {out} has to end in .parquet")
    }))
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
