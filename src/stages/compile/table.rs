//! One table of the dataset: its splits, each as Parquet files and as JSON Lines.
//!
//! One pass over the records, in the order of their ids, writes the JSON Lines of all splits and the Parquet files of `train`.
//! The other splits are then read back from their JSON Lines, one at a time. So every record is read once, and those
//! outside `train` once more; one Parquet file is open at a time, and nothing is held but its row group.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use super::source::{Ordered, RecordSource};
use super::used::UsedPeople;
use super::{CompileError, Limits};
use crate::record::arrow::{Column, TableRow};
use crate::record::is_split_name;
use crate::store::fs;
use crate::store::lines::LinesFile;
use crate::store::part::{FileEntry, PartFile};
use crate::tables::SplitTable;

/// The split that most rows are in, written while they are read.
const TRAIN: &str = "train";

/// Told of every record of a table that is written.
pub(super) type Look<'a, R> = dyn FnMut(&R) -> Result<(), CompileError> + 'a;

/// A table as it was written.
#[derive(Debug)]
pub(super) struct WrittenTable {
    /// Its name, which is that of its records.
    pub(super) name: &'static str,
    /// Its columns.
    pub(super) columns: &'static [Column],
    /// The folder of its Parquet files.
    pub(super) folder: &'static str,
    /// Its splits; `train` first, the others by name.
    pub(super) splits: Vec<Split>,
    /// All its files.
    pub(super) files: Vec<FileEntry>,
}

/// A split as it was written.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) name: String,
    pub(super) rows: u64,
    /// Bytes of its rows as Arrow arrays.
    pub(super) arrow_bytes: u64,
    /// Bytes of its Parquet files.
    pub(super) parquet_bytes: u64,
    /// Its rows as JSON Lines, where they are records.
    pub(super) jsonl: Option<LinesFile>,
}

impl WrittenTable {
    pub(super) fn rows(&self) -> u64 {
        self.splits.iter().map(|split| split.rows).sum()
    }
}

/// Where tables are written.
pub(super) struct DatasetDraft<'a> {
    pub(super) folder: &'a Path,
    pub(super) limits: Limits,
    /// The splits that every table has, with or without rows.
    pub(super) splits: &'a [String],
    /// Told after each row how many have been written so far.
    pub(super) written: &'a dyn Fn(u64),
    pub(super) rows: Cell<u64>,
}

impl DatasetDraft<'_> {
    /// Writes the table of `source` with its Parquet files in `home`, and shows every record to `look`; `None` when there is
    /// no record.
    pub(super) fn write<R: TableRow>(
        &self,
        source: &RecordSource,
        home: &'static str,
        look: &mut Look<'_, R>,
    ) -> Result<Option<WrittenTable>, CompileError> {
        self.write_some(source, home, None, look)
    }

    /// As [`write`](Self::write), the records whose ids are `used` alone; `None` for all.
    pub(super) fn write_some<R: TableRow>(
        &self,
        source: &RecordSource,
        home: &'static str,
        mut used: Option<UsedPeople>,
        look: &mut Look<'_, R>,
    ) -> Result<Option<WrittenTable>, CompileError> {
        let mut lines = Ordered::of(source, self.folder, self.limits.sort)?;
        let own_form = source.is_given().then_some(false);
        let mut written =
            JsonLines { folder: self.folder, splits: BTreeMap::new(), last: None, own_form, line: Vec::new() };
        let mut train = self.parquet(home, TRAIN);
        while lines.advance()? {
            if let Some(used) = &mut used
                && !used.has(&lines.id()?)?
            {
                (self.written)(self.rows.get());
                continue;
            }
            let record: R = lines.record()?;
            written.add(&record, lines.line())?;
            look(&record)?;
            if record.split() == TRAIN {
                self.push(&mut train, record)?;
            }
        }
        let mut parted = written.splits;
        if parted.is_empty() {
            return Ok(None);
        }
        for split in self.splits {
            if !parted.contains_key(split) {
                parted.insert(split.clone(), SplitLines::create(self.folder, R::NAME, split)?);
            }
        }
        self.finish(home, parted, train).map(Some)
    }

    fn parquet<R: TableRow>(&self, home: &str, split: &str) -> SplitTable<R> {
        SplitTable::new(self.folder, home, split, R::COLUMNS, self.limits.cut)
    }

    fn push<R: TableRow>(&self, parquet: &mut SplitTable<R>, record: R) -> Result<(), CompileError> {
        parquet.push(record)?;
        self.rows.set(self.rows.get() + 1);
        (self.written)(self.rows.get());
        Ok(())
    }

    /// Writes the Parquet files that are still to be written.
    fn finish<R: TableRow>(
        &self,
        home: &'static str,
        parted: BTreeMap<String, SplitLines>,
        train: SplitTable<R>,
    ) -> Result<WrittenTable, CompileError> {
        let mut table =
            WrittenTable { name: R::NAME, columns: R::COLUMNS, folder: home, splits: Vec::new(), files: Vec::new() };
        let mut parted: Vec<(String, SplitLines)> = parted.into_iter().collect();
        parted.sort_by_key(|(name, _)| name != TRAIN);
        let mut train = Some(train);
        for (name, SplitLines { file, rows }) in parted {
            let entry = file.finish(Some(rows))?;
            let jsonl = LinesFile::new(self.folder, entry.clone());
            let parquet = match train.take_if(|_| name == TRAIN) {
                Some(train) => train,
                None => self.read_back(home, &name, &jsonl)?,
            };
            let parquet = parquet.finish()?;
            let (arrow_bytes, parquet_bytes) = (parquet.arrow_bytes, parquet.bytes());
            table.splits.push(Split { name, rows, arrow_bytes, parquet_bytes, jsonl: Some(jsonl) });
            table.files.extend(parquet.files);
            table.files.push(entry);
        }
        for synced in [home, "jsonl"] {
            fs::sync_dir(&self.folder.join(synced))?;
        }
        Ok(table)
    }

    fn read_back<R: TableRow>(
        &self,
        home: &str,
        split: &str,
        jsonl: &LinesFile,
    ) -> Result<SplitTable<R>, CompileError> {
        let mut parquet = self.parquet(home, split);
        for record in RecordSource::spooled(vec![jsonl.clone()]).records() {
            self.push(&mut parquet, record?)?;
        }
        Ok(parquet)
    }
}

/// A split of which the JSON Lines are being written.
#[derive(Debug)]
struct SplitLines {
    file: PartFile,
    rows: u64,
}

/// Writes the JSON Lines of a table: `jsonl/<table>-<split>.jsonl`, one object a line, the keys of every object the same and
/// in the same order, absent values `null`.
#[derive(Debug)]
struct JsonLines<'a> {
    folder: &'a Path,
    splits: BTreeMap<String, SplitLines>,
    last: Option<String>,
    /// Whether lines are what their records are written as, and can be passed through. The first tells, since all lines of a
    /// source of our own were written by one writer.
    own_form: Option<bool>,
    line: Vec<u8>,
}

impl JsonLines<'_> {
    /// Adds a record that comes behind all others by its id, and was read from `line`.
    fn add<R: TableRow>(&mut self, record: &R, line: &[u8]) -> Result<(), CompileError> {
        if self.last.as_deref() == Some(record.id()) {
            return Err(CompileError::DuplicateId { table: R::NAME, id: record.id().to_owned() });
        }
        record.id().clone_into(self.last.get_or_insert_default());
        if self.own_form != Some(true) {
            self.encode(record)?;
            self.own_form.get_or_insert(self.line == line);
        }
        let line = if self.own_form == Some(true) { line } else { &self.line };
        let parted = if let Some(parted) = self.splits.get_mut(record.split()) {
            parted
        } else {
            let split = record.split();
            if !is_split_name(split) {
                let (id, split) = (record.id().to_owned(), split.to_owned());
                return Err(CompileError::SplitName { table: R::NAME, id, split });
            }
            self.splits.entry(split.to_owned()).or_insert(SplitLines::create(self.folder, R::NAME, split)?)
        };
        parted.rows += 1;
        Ok(parted.file.append(line)?)
    }

    fn encode<R: TableRow>(&mut self, record: &R) -> Result<(), CompileError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, record).map_err(|error| CompileError::Encode {
            path: self.folder.join("jsonl"),
            reason: format!("{}: {error}", record.id()),
        })?;
        self.line.push(b'\n');
        Ok(())
    }
}

impl SplitLines {
    fn create(folder: &Path, table: &str, split: &str) -> Result<Self, CompileError> {
        Ok(Self { file: PartFile::create(folder, &format!("jsonl/{table}-{split}.jsonl"))?, rows: 0 })
    }
}
