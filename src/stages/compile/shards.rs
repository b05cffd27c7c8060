//! The Parquet files of one split, `<split>-<number>-of-<count>.parquet` as the `datasets` library looks for them.

use std::path::Path;

use super::{CompileError, Limits};
use crate::record::arrow::{TableError, TableRow};
use crate::record::parquet::ParquetWriter;
use crate::store::fs;
use crate::store::part::{FileEntry, PartFile};

/// Writes rows into as many files as it takes. Their count is known only at the end, and so are their names.
#[derive(Debug)]
pub(super) struct Shards<'a, R: TableRow> {
    folder: &'a Path,
    /// `<table's folder>/<split>`, what every name begins with.
    prefix: String,
    limits: Limits,
    open: Option<ParquetWriter<PartFile, R>>,
    done: Vec<FileEntry>,
    arrow_bytes: u64,
}

impl<'a, R: TableRow> Shards<'a, R> {
    pub(super) fn new(folder: &'a Path, home: &str, split: &str, limits: Limits) -> Self {
        Self { folder, prefix: format!("{home}/{split}"), limits, open: None, done: Vec::new(), arrow_bytes: 0 }
    }

    pub(super) fn push(&mut self, row: R) -> Result<(), CompileError> {
        let mut writer = match self.open.take() {
            Some(writer) => writer,
            None => self.next_file()?,
        };
        writer.push(row).map_err(|error| self.failed(error))?;
        if writer.file_bytes() >= self.limits.file {
            return self.end(writer);
        }
        self.open = Some(writer);
        Ok(())
    }

    /// Ends the last file and gives all of them their names; without a row there is one that is empty. The second: bytes of
    /// all rows as Arrow arrays.
    pub(super) fn finish(mut self) -> Result<(Vec<FileEntry>, u64), CompileError> {
        let last = match self.open.take() {
            None if self.done.is_empty() => Some(self.next_file()?),
            open => open,
        };
        if let Some(writer) = last {
            self.end(writer)?;
        }
        let count = self.done.len();
        for (at, entry) in self.done.iter_mut().enumerate() {
            let path = format!("{}-{at:05}-of-{count:05}.parquet", self.prefix);
            fs::rename(&self.folder.join(&entry.path), &self.folder.join(&path))?;
            entry.path = path;
        }
        Ok((self.done, self.arrow_bytes))
    }

    fn next_file(&self) -> Result<ParquetWriter<PartFile, R>, CompileError> {
        let file = PartFile::create(self.folder, &self.unnumbered())?;
        ParquetWriter::with_chunks(file, self.limits.content_chunks).map_err(|error| self.failed(error))
    }

    fn end(&mut self, writer: ParquetWriter<PartFile, R>) -> Result<(), CompileError> {
        let (sink, written) = writer.finish().map_err(|error| self.failed(error))?;
        self.done.push(sink.finish(Some(written.rows))?);
        self.arrow_bytes += written.arrow_bytes;
        Ok(())
    }

    /// What the file at work is called until all are there.
    fn unnumbered(&self) -> String {
        format!("{}-{:05}.parquet", self.prefix, self.done.len())
    }

    fn failed(&self, source: TableError) -> CompileError {
        CompileError::Table { path: self.folder.join(self.unnumbered()), source }
    }
}
