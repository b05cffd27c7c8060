//! The Parquet files of one split, `<split>-<number>-of-<count>.parquet` as the `datasets` library looks for them.

use std::path::{Path, PathBuf};

use crate::exit::ExitCode;
use crate::record::arrow::{Column, TableError, WritableRow};
use crate::record::parquet::ParquetWriter;
use crate::store::fs::{self, FsError};
use crate::store::part::{FileEntry, PartFile};

/// Why rows do not stand in Parquet files.
#[derive(Debug, thiserror::Error)]
pub enum TableFileError {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A row does not fit its columns, or the disk failed.
    #[error("failed to write {path}: {source}", path = path.display())]
    Rows {
        /// The Parquet file.
        path: PathBuf,
        /// Why.
        source: TableError,
    },
}

impl TableFileError {
    /// The exit code of the contract: 3 where the records are to blame, 7 where the disk is.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Rows { source: TableError::OutOfRange { .. } | TableError::TooLarge { .. }, .. } => ExitCode::Input,
            Self::Fs(_) | Self::Rows { .. } => ExitCode::Io,
        }
    }
}

/// How rows are cut into files and pages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// Bytes of a file at which it ends, with the row group that reaches them. A group has at most about 32 MiB, so every file
    /// but the last has 384 to 416 MiB unless another size is asked for.
    pub file: u64,
    /// Whether pages end where their content says so.
    pub content_chunks: bool,
}

impl Default for Cut {
    fn default() -> Self {
        Self { file: 384 << 20, content_chunks: false }
    }
}

/// Writes rows into as many files as it takes. Their count is known only at the end, and so are their names.
#[derive(Debug)]
pub(crate) struct SplitTable<R: WritableRow> {
    root: PathBuf,
    /// `<table's folder>/<split>`, what every name begins with.
    prefix: String,
    columns: &'static [Column],
    cut: Cut,
    open: Option<ParquetWriter<PartFile, R>>,
    done: Vec<FileEntry>,
    arrow_bytes: u64,
}

/// The files of a split.
#[derive(Debug)]
pub(crate) struct WrittenSplit {
    /// In the order of the rows, at least one.
    pub files: Vec<FileEntry>,
    /// Bytes of all rows as Arrow arrays.
    pub arrow_bytes: u64,
}

impl WrittenSplit {
    /// Rows of all files.
    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().filter_map(|file| file.rows).sum()
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

impl<R: WritableRow> SplitTable<R> {
    /// Begins without a file. `home`, a folder below `root`, may be empty.
    pub(crate) fn new(root: &Path, home: &str, split: &str, columns: &'static [Column], cut: Cut) -> Self {
        let prefix = if home.is_empty() { split.to_owned() } else { format!("{home}/{split}") };
        Self { root: root.to_owned(), prefix, columns, cut, open: None, done: Vec::new(), arrow_bytes: 0 }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: R) -> Result<(), TableFileError> {
        let mut writer = match self.open.take() {
            Some(writer) => writer,
            None => self.next_file()?,
        };
        writer.push(row).map_err(|error| self.failed(error))?;
        if writer.file_bytes() >= self.cut.file {
            return self.end(writer);
        }
        self.open = Some(writer);
        Ok(())
    }

    /// Ends the last file and gives all of them their names; without a row there is one that is empty.
    pub(crate) fn finish(mut self) -> Result<WrittenSplit, TableFileError> {
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
            fs::rename(&self.root.join(&entry.path), &self.root.join(&path))?;
            entry.path = path;
        }
        Ok(WrittenSplit { files: self.done, arrow_bytes: self.arrow_bytes })
    }

    fn next_file(&self) -> Result<ParquetWriter<PartFile, R>, TableFileError> {
        let file = PartFile::create(&self.root, &self.unnumbered())?;
        ParquetWriter::with_columns(file, self.columns, self.cut.content_chunks).map_err(|error| self.failed(error))
    }

    fn end(&mut self, writer: ParquetWriter<PartFile, R>) -> Result<(), TableFileError> {
        let (sink, written) = writer.finish().map_err(|error| self.failed(error))?;
        self.done.push(sink.finish(Some(written.rows))?);
        self.arrow_bytes += written.arrow_bytes;
        Ok(())
    }

    /// What the file at work is called until all are there.
    fn unnumbered(&self) -> String {
        format!("{}-{:05}.parquet", self.prefix, self.done.len())
    }

    fn failed(&self, source: TableError) -> TableFileError {
        TableFileError::Rows { path: self.root.join(self.unnumbered()), source }
    }
}
