//! Where a stage puts what became of its inputs, one by one and in order: the folder that is sealed at the end.
//!
//! ```text
//! part-00000.jsonl    accepted records        rejected.jsonl      what was rejected, refused, failed or not worked on
//! part-00000.parquet  the same as a table     duplicates.jsonl    what duplicates what
//! ```
//!
//! Every fate is counted as it is put, so the sums of a stage hold by construction; sealing compares them once more with the
//! number of inputs. Memory holds one row group of the table, whatever the number of records.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::dedup::{ClusterSizes, DedupSummary};
use super::error::StageError;
use super::sealed::Sealed;
use crate::record::arrow::TableRow;
use crate::record::{Dropped, Duplicate, Fate, Tally, parquet};
use crate::store::checkpoint::{StageDir, StageManifest};
use crate::store::part::{JsonlWriter, PartFile, RowPlace};

/// The records of a sealed stage.
pub(super) const PART: &str = "part-00000.jsonl";
const TABLE: &str = "part-00000.parquet";
/// What was dropped.
pub(super) const REJECTED: &str = "rejected.jsonl";
const DUPLICATES: &str = "duplicates.jsonl";
/// Duplicates until the sizes of their clusters are known; never part of a sealed stage.
const SPOOL: &str = "duplicates.spool";
/// Rows of an imported file that are written out for each outcome but acceptance; further ones are only counted.
pub(crate) const LISTED_ROWS: u64 = 10_000;
/// Different reasons that are counted apart.
const COUNTED_REASONS: usize = 1_000;
/// What reasons beyond those are counted as.
const OTHER_REASONS: &str = "other";

/// Takes the fates of a stage's inputs, in the order of the inputs.
pub(crate) trait Fates<R>: Send {
    /// Takes the next one.
    ///
    /// # Errors
    /// If it cannot be written.
    fn put(&mut self, fate: Fate<R>) -> Result<(), StageError>;

    /// The `number`-th accepted record, from 0.
    ///
    /// # Errors
    /// If there is none, or it cannot be read back.
    fn accepted(&mut self, number: usize) -> Result<R, StageError>;

    /// Counts duplicates of a source that are too many to be listed.
    fn count_duplicates(&mut self, unlisted: u64);

    /// A folder for files of the stage's own that are gone with it.
    fn folder(&self) -> PathBuf;

    /// What was put so far.
    fn tally(&self) -> Tally;
}

/// What a stage says of itself when all its fates are put.
#[derive(Debug, Default)]
pub(crate) struct StageResult {
    /// Inputs it had.
    pub inputs: u64,
    /// Those of them that are in no outcome, since they were not drawn.
    pub not_sampled: u64,
    /// Its figures, a JSON object for the manifest.
    pub notes: Value,
    /// SHA-256, in hex, of the file it imported, if it did.
    pub source: Option<String>,
}

/// Writes the folder of a stage. Dropped without [`seal`](Self::seal) it leaves nothing that counts.
#[derive(Debug)]
pub(crate) struct StageWriter<R: TableRow> {
    stage: &'static str,
    dir: StageDir,
    rows: JsonlWriter,
    table: parquet::ParquetWriter<PartFile, R>,
    rejected: JsonlWriter,
    spool: JsonlWriter,
    /// Where each accepted record begins.
    places: Vec<u64>,
    clusters: ClusterSizes,
    tally: Tally,
    reasons: BTreeMap<String, u64>,
    listed: u64,
}

impl<R: TableRow> StageWriter<R> {
    /// Begins the folder of `stage`, emptied of what an interrupted attempt left.
    ///
    /// # Errors
    /// If it is sealed already, or cannot be written to.
    pub(crate) fn create(stage: &'static str, folder: &Path) -> Result<Self, StageError> {
        let dir = StageDir::create(folder)?;
        Ok(Self {
            stage,
            rows: dir.jsonl_writer(PART)?,
            table: parquet::ParquetWriter::new(dir.part(TABLE)?)?,
            rejected: dir.jsonl_writer(REJECTED)?,
            spool: dir.jsonl_writer(SPOOL)?,
            dir,
            places: Vec::new(),
            clusters: ClusterSizes::default(),
            tally: Tally::default(),
            reasons: BTreeMap::new(),
            listed: u64::MAX,
        })
    }

    /// Lists no more than [`LISTED_ROWS`] rejected rows and as many duplicates, for a file that may be anything.
    pub(crate) fn list_few(&mut self) {
        self.listed = LISTED_ROWS;
    }

    fn drop_row(&mut self, dropped: &Dropped) -> Result<(), StageError> {
        let full = self.reasons.len() >= COUNTED_REASONS && !self.reasons.contains_key(&dropped.reason);
        let reason = if full { OTHER_REASONS } else { &dropped.reason };
        *self.reasons.entry(reason.to_owned()).or_default() += 1;
        if self.rejected.rows() < self.listed {
            self.rejected.push(dropped)?;
        }
        Ok(())
    }

    fn spool(&mut self, duplicate: &Duplicate) -> Result<(), StageError> {
        if self.spool.rows() < self.listed {
            self.clusters.note(&duplicate.kept, duplicate.kind);
            self.spool.push(duplicate)?;
        }
        Ok(())
    }

    /// Seals the stage: `fingerprint` stands for everything that decides its content, `upstream` for the stage before.
    ///
    /// # Errors
    /// If the fates are not those of all inputs, or if something cannot be written. Nothing is visible then.
    pub(crate) fn seal(
        mut self,
        made: StageResult,
        fingerprint: String,
        upstream: Option<String>,
    ) -> Result<Sealed<R>, StageError> {
        self.check_sums(&made)?;
        let summary = self.write_duplicates()?;
        let Self { stage, mut dir, rows, table, rejected, spool, tally, reasons, .. } = self;
        spool.discard()?;
        let accepted = rows.rows();
        dir.add(rows.finish()?);
        dir.add(table.finish()?.0.finish(Some(accepted))?);
        dir.add(rejected.finish()?);
        let Tally { accepted, duplicate, rejected, refused, failed, over_budget } = tally;
        tracing::info!(stage, accepted, duplicate, rejected, refused, failed, over_budget, "sealing");
        let mut notes = made.notes;
        if let Some(notes) = notes.as_object_mut() {
            notes.insert("dedup".to_owned(), json!(summary));
            notes.insert("reasons".to_owned(), json!(reasons));
        }
        let counts = counts(&tally, made.inputs, made.not_sampled);
        let stage = stage.to_owned();
        let manifest = StageManifest { stage, fingerprint, upstream, counts, notes, ..StageManifest::default() };
        Ok(Sealed::of(dir.seal(manifest)?))
    }

    fn check_sums(&self, made: &StageResult) -> Result<(), StageError> {
        let outcomes = self.tally.total() + made.not_sampled;
        if outcomes != made.inputs || self.rows.rows() != self.tally.accepted {
            return Err(StageError::Sums { stage: self.stage, inputs: made.inputs, outcomes });
        }
        Ok(())
    }

    /// Writes the duplicates with the sizes of their clusters, which only now are known.
    fn write_duplicates(&mut self) -> Result<DedupSummary, StageError> {
        let mut out = self.dir.jsonl_writer(DUPLICATES)?;
        for duplicate in self.spool.read_all()? {
            out.push(&self.clusters.row(duplicate?))?;
        }
        self.dir.add(out.finish()?);
        Ok(self.clusters.summary())
    }
}

impl<R: TableRow + Debug + Send> Fates<R> for StageWriter<R> {
    fn put(&mut self, fate: Fate<R>) -> Result<(), StageError> {
        self.tally.add(fate.outcome());
        match fate {
            Fate::Accepted(row) => {
                self.places.push(self.rows.push(&row)?.offset);
                self.table.push(row)?;
                Ok(())
            }
            Fate::Duplicate(duplicate) => self.spool(&duplicate),
            Fate::Dropped(dropped) => self.drop_row(&dropped),
        }
    }

    fn accepted(&mut self, number: usize) -> Result<R, StageError> {
        let lost = StageError::Sums { stage: self.stage, inputs: number as u64, outcomes: self.places.len() as u64 };
        let Some(offset) = self.places.get(number).copied() else { return Err(lost) };
        let end = self.places.get(number + 1).copied().unwrap_or_else(|| self.rows.bytes());
        let length = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        Ok(self.rows.read(RowPlace { offset, length })?)
    }

    fn count_duplicates(&mut self, unlisted: u64) {
        self.tally.duplicate += unlisted;
    }

    fn folder(&self) -> PathBuf {
        self.dir.folder().to_owned()
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

/// Keeps fates in memory, for whoever looks at a few of them.
#[derive(Debug)]
pub(crate) struct CollectedFates<R> {
    /// What was accepted.
    pub accepted: Vec<R>,
    /// What was dropped.
    pub dropped: Vec<Dropped>,
    /// What duplicates what.
    pub duplicates: Vec<Duplicate>,
    tally: Tally,
}

impl<R> Default for CollectedFates<R> {
    fn default() -> Self {
        Self { accepted: Vec::new(), dropped: Vec::new(), duplicates: Vec::new(), tally: Tally::default() }
    }
}

impl<R: Clone + Send> Fates<R> for CollectedFates<R> {
    fn put(&mut self, fate: Fate<R>) -> Result<(), StageError> {
        self.tally.add(fate.outcome());
        match fate {
            Fate::Accepted(row) => self.accepted.push(row),
            Fate::Dropped(dropped) => self.dropped.push(dropped),
            Fate::Duplicate(duplicate) => self.duplicates.push(duplicate),
        }
        Ok(())
    }

    fn accepted(&mut self, number: usize) -> Result<R, StageError> {
        let outcomes = self.accepted.len() as u64;
        let lost = StageError::Sums { stage: "collected", inputs: number as u64, outcomes };
        self.accepted.get(number).cloned().ok_or(lost)
    }

    fn count_duplicates(&mut self, unlisted: u64) {
        self.tally.duplicate += unlisted;
    }

    fn folder(&self) -> PathBuf {
        std::env::temp_dir()
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

fn counts(tally: &Tally, inputs: u64, not_sampled: u64) -> BTreeMap<String, u64> {
    let Tally { accepted, duplicate, rejected, refused, failed, over_budget } = *tally;
    let counts = [
        ("inputs", inputs),
        ("accepted", accepted),
        ("duplicate", duplicate),
        ("rejected", rejected),
        ("refused", refused),
        ("failed", failed),
        ("over_budget", over_budget),
        ("not_sampled", not_sampled),
    ];
    counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitCode;
    use crate::record::{DuplicateKind, Outcome, Persona};
    use crate::stages::dedup::report::DuplicateRow;
    use crate::store::fs::{self, faults};

    fn persona(number: usize) -> Persona {
        Persona {
            id: format!("p{number:06}"),
            persona: format!("A keeper of {number} lighthouses {}", "x".repeat(400)),
            name: None,
            domain: None,
            split: "train".to_owned(),
            source: "file:1".to_owned(),
            hash: String::new(),
        }
    }

    fn duplicate(number: usize, kept: usize) -> Fate<Persona> {
        let kind = DuplicateKind::Exact;
        Fate::Duplicate(Duplicate { id: format!("d{number:06}"), kept: format!("p{kept:06}"), jaccard: 1.0, kind })
    }

    fn dropped(number: usize) -> Fate<Persona> {
        let (id, reason) = (format!("r{number:06}"), ["short", "long"][number % 2].to_owned());
        Fate::Dropped(Dropped { id, outcome: Outcome::Rejected, reason, detail: String::new() })
    }

    fn write(folder: &Path, rows: usize) -> Result<Sealed<Persona>, StageError> {
        let mut writer = StageWriter::create("personas", folder)?;
        for number in 0..rows {
            writer.put(Fate::Accepted(persona(number)))?;
            writer.put(dropped(number))?;
            writer.put(duplicate(number, number / 3))?;
        }
        let inputs = writer.tally().total();
        writer.seal(StageResult { inputs, notes: json!({}), ..StageResult::default() }, "f".to_owned(), None)
    }

    #[test]
    fn what_is_put_is_counted_sealed_and_read_back() {
        let folder = faults::scratch();
        let stage = folder.path().join("stages/1-personas");
        let sealed = write(&stage, 30).unwrap();
        assert_eq!(
            sealed.rows().and_then(Iterator::collect::<Result<Vec<Persona>, _>>).unwrap(),
            (0..30).map(persona).collect::<Vec<_>>()
        );
        let Tally { accepted, duplicate, rejected, .. } = sealed.tally();
        assert_eq!((accepted, duplicate, rejected), (30, 30, 30));
        let notes = &sealed.stage().manifest().notes;
        assert_eq!(notes["reasons"], json!({"long": 15, "short": 15}));
        assert_eq!(
            (&notes["dedup"]["clusters"], &notes["dedup"]["largest"][0]),
            (&json!(10), &json!({"kept": "p000000", "size": 4}))
        );
        let rows: Vec<DuplicateRow> = sealed.stage().rows(DUPLICATES).unwrap().collect::<Result<_, _>>().unwrap();
        assert!(rows.len() == 30 && rows.iter().all(|row| row.cluster_size == 4));
        assert!(fs::list(&stage).unwrap().iter().all(|name| !fs::is_temporary(name)), "the spool is gone");
    }

    #[test]
    fn accepted_records_can_be_looked_at_while_more_are_put() {
        let folder = faults::scratch();
        let mut writer = StageWriter::create("personas", &folder.path().join("stages/1-personas")).unwrap();
        for number in 0..900 {
            writer.put(Fate::Accepted(persona(number))).unwrap();
            assert_eq!(writer.accepted(number).unwrap(), persona(number));
            assert_eq!(writer.accepted(number / 2).unwrap(), persona(number / 2));
        }
        assert!(writer.accepted(900).is_err());
    }

    #[test]
    fn fates_that_are_not_those_of_all_inputs_are_never_sealed() {
        let folder = faults::scratch();
        let stage = folder.path().join("stages/1-personas");
        let mut writer = StageWriter::create("personas", &stage).unwrap();
        writer.put(Fate::Accepted(persona(0))).unwrap();
        let made = StageResult { inputs: 2, ..StageResult::default() };
        assert_eq!(writer.seal(made, String::new(), None).unwrap_err().exit_code(), ExitCode::Bug);
        assert!(Sealed::<Persona>::open(&stage).unwrap().is_none());
    }

    #[test]
    fn a_stage_without_a_row_is_sealed_like_any_other() {
        let folder = faults::scratch();
        let sealed = write(&folder.path().join("stages/1-personas"), 0).unwrap();
        assert_eq!(
            (sealed.rows().and_then(Iterator::collect::<Result<Vec<Persona>, _>>).unwrap(), sealed.tally()),
            (Vec::new(), Tally::default())
        );
    }

    #[test]
    fn a_disk_that_fails_amid_a_part_leaves_a_stage_whole_or_absent() {
        for action in ["create", "write", "sync", "rename"] {
            for nth in 1.. {
                let folder = faults::scratch();
                let stage = folder.path().join("stages/1-personas");
                let fault = faults::fail(folder.path(), action, nth);
                // More than a buffer, so that writing fails amid the part too.
                let made = write(&stage, 1_500);
                let struck = fault.struck();
                drop(fault);
                if !struck {
                    made.unwrap();
                    break;
                }
                assert_eq!(made.unwrap_err().exit_code(), ExitCode::Io, "{action} {nth}");
                if let Some(sealed) = Sealed::<Persona>::open(&stage).unwrap() {
                    // Only the last sync of all failed: whole, though nobody was told.
                    assert_eq!(
                        (action, sealed.rows().and_then(Iterator::collect::<Result<Vec<Persona>, _>>).unwrap().len()),
                        ("sync", 1_500)
                    );
                    continue;
                }
                assert_eq!(write(&stage, 2).unwrap().tally().accepted, 2, "{action} {nth}");
            }
        }
    }

    #[test]
    fn a_part_that_is_cut_short_between_two_readings_is_damage() {
        let folder = faults::scratch();
        let stage = folder.path().join("stages/1-personas");
        let sealed = write(&stage, 100).unwrap();
        assert_eq!(sealed.rows().unwrap().flatten().count(), 100);
        let part = std::fs::File::options().write(true).open(stage.join(PART)).unwrap();
        for bytes in [20_000, 0] {
            part.set_len(bytes).unwrap();
            let error = sealed.rows().and_then(Iterator::collect::<Result<Vec<Persona>, _>>).unwrap_err();
            assert_eq!(error.exit_code(), ExitCode::Damage);
            assert!(error.to_string().contains(PART), "{error}");
        }
    }
}
