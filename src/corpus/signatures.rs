//! Hashes and band keys of shards as Parquet, for a join on an engine that has many machines.
//!
//! Of each input there are two files of its name: in `records/` the hash of each text, in `bands/` a row for each band of a record.
//! A row of `bands/` has all that the join looks at, so that it needs no second lookup: the sketch as four numbers whose bits
//! at one place are one of its 64 values, and the number of values in which two sketches must agree. Hashes are signed, since
//! engines have no unsigned numbers in common. `scripts/dedup-pairs.sql` is the join.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use parquet::file::metadata::KeyValue;
use serde::Serialize;

use super::error::CorpusError;
use super::line::FieldNames;
use super::scan::{BlockRecords, ScanPlan, scan_file};
use super::source::CorpusFiles;
use super::table::BatchWriter;
use crate::stages::dedup::{Hasher, Shingling, Sketch};
use crate::store::fs;

/// Of what to make signatures and how.
#[derive(Debug, Clone)]
pub(crate) struct SignatureOptions {
    /// Files, and folders of them.
    pub inputs: Vec<PathBuf>,
    /// Where the signatures go.
    pub folder: PathBuf,
    /// The fields of id and text.
    pub names: FieldNames,
    /// The Jaccard index from which two texts are duplicates, in (0, 1].
    pub threshold: f64,
    /// What texts are cut into: the same for all shards, none of which knows the others.
    pub shingling: Shingling,
    /// Threads that work at a time.
    pub threads: usize,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SignatureSummary {
    /// Records read.
    pub records: u64,
    /// The files, in `records` and in `bands`.
    pub files: Vec<String>,
    /// The Jaccard index from which two texts are duplicates.
    pub threshold: f64,
    /// What texts were cut into.
    pub shingles: String,
    /// Rows of `bands/` a record.
    pub bands: usize,
}

/// Writes the signatures of every input.
///
/// # Errors
/// If an input cannot be read or changes meanwhile, two have one name, or the disk fails.
pub(crate) fn signatures(options: &SignatureOptions) -> Result<SignatureSummary, CorpusError> {
    let hasher = Hasher::new(options.threshold, options.shingling);
    let mut files = CorpusFiles::find(&options.inputs, None)?;
    let names = file_names(&files)?;
    for folder in ["records", "bands"] {
        fs::create_dir_all(&options.folder.join(folder))?;
    }
    let plan = ScanPlan { names: &options.names, hasher: &hasher, signatures: true, threads: options.threads };
    let mut records = 0;
    for (number, name) in names.iter().enumerate() {
        records += shard(&mut files, number, name, plan, &options.folder)?;
    }
    let shingles = options.shingling.to_string();
    Ok(SignatureSummary { records, files: names, threshold: options.threshold, shingles, bands: hasher.bands() })
}

/// The name of each file of signatures: that of its input.
fn file_names(files: &CorpusFiles) -> Result<Vec<String>, CorpusError> {
    let (mut names, mut seen) = (Vec::new(), BTreeSet::new());
    for file in &files.files {
        let name = format!("{}.parquet", file.path.file_name().unwrap_or_default().to_string_lossy());
        if !seen.insert(name.clone()) {
            let problem = "has the name of another input: signatures are named by their inputs, so make them differ";
            return Err(CorpusError::Unreadable { path: file.path.clone(), problem: problem.to_owned() });
        }
        names.push(name);
    }
    Ok(names)
}

fn shard(
    files: &mut CorpusFiles,
    number: usize,
    name: &str,
    plan: ScanPlan<'_>,
    folder: &Path,
) -> Result<u64, CorpusError> {
    let paths = ["records", "bands"].map(|kind| folder.join(kind).join(name));
    let [records, bands] = paths.each_ref().map(|path| start(path, plan.hasher));
    let (mut records, mut bands, mut count) = (records?, bands?, 0);
    let [records_path, bands_path] = &paths;
    scan_file(files, number, plan, |block| {
        count += block.ids().count() as u64;
        records.write(&records_batch(block)?, records_path)?;
        bands.write(&bands_batch(block, plan.hasher)?, bands_path)
    })?;
    files.files.get(number).map_or(Ok(()), super::source::CorpusFile::check_unchanged)?;
    for (writer, path) in [(records, records_path), (bands, bands_path)] {
        writer.finish(path)?.publish(path)?;
    }
    Ok(count)
}

fn start(path: &Path, hasher: &Hasher) -> Result<BatchWriter, CorpusError> {
    let empty = BlockRecords::default();
    let is_bands = path.parent().is_some_and(|folder| folder.ends_with("bands"));
    let batch = if is_bands { bands_batch(&empty, hasher)? } else { records_batch(&empty)? };
    let metadata = vec![
        KeyValue::new("convogen.threshold".to_owned(), hasher.threshold.to_string()),
        KeyValue::new("convogen.shingles".to_owned(), hasher.shingling().to_string()),
    ];
    BatchWriter::create(path, batch.schema(), metadata)
}

fn records_batch(block: &BlockRecords) -> Result<RecordBatch, CorpusError> {
    #[expect(clippy::cast_possible_truncation, reason = "halves of a hash are meant")]
    let half = |shift: u32| Int64Array::from_iter_values(block.exact.iter().map(|exact| (exact >> shift) as i64));
    batch(vec![
        ("id", Arc::new(StringArray::from_iter_values(block.ids()))),
        ("exact_high", Arc::new(half(64))),
        ("exact_low", Arc::new(half(0))),
    ])
}

fn bands_batch(block: &BlockRecords, hasher: &Hasher) -> Result<RecordBatch, CorpusError> {
    let keys = block.keys.chunks_exact(hasher.bands());
    // A text shorter than a shingle is compared with none.
    let signed = block.ids().zip(keys).zip(&block.sketches).filter(|(_, sketch)| **sketch != Sketch::default());
    let rows: Vec<(&str, usize, u32, [u64; 4])> = signed
        .flat_map(|((id, keys), sketch)| {
            let planes = sketch.planes();
            keys.iter().enumerate().map(move |(band, key)| (id, band, *key, planes))
        })
        .collect();
    let plane = |at: usize| -> ArrayRef {
        let values = rows.iter().map(|(_, _, _, planes)| planes.get(at).copied().unwrap_or(0).cast_signed());
        Arc::new(Int64Array::from_iter_values(values))
    };
    let small = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
    let agree = i32::try_from(hasher.least_agreement()).unwrap_or(i32::MAX);
    batch(vec![
        ("band", Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| small(row.1))))),
        ("band_key", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| i64::from(row.2))))),
        ("id", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)))),
        ("sketch_0", plane(0)),
        ("sketch_1", plane(1)),
        ("sketch_2", plane(2)),
        ("sketch_3", plane(3)),
        ("agree", Arc::new(Int32Array::from_iter_values(rows.iter().map(|_| agree)))),
    ])
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, CorpusError> {
    let columns = columns.into_iter().map(|(name, array)| (name, array, false));
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|error| CorpusError::Mixed(error.to_string()))
}
