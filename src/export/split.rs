//! The files of one split.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::formats::ExampleTable;
use super::parts::RecordParts;
use super::{ExportError, ExportedSplit};
use crate::config::export::{ExportFormat, ExportOptions};
use crate::record::Conversation;
use crate::record::arrow::{JsonRow, TableError};
use crate::record::parquet::ParquetWriter;
use crate::store::fs::FsError;
use crate::store::part::{FileEntry, JsonlWriter, PartFile};

/// The files of one split, being written.
#[derive(Debug)]
pub(super) struct SplitFiles {
    name: String,
    path: PathBuf,
    table: ParquetWriter<PartFile, JsonRow>,
    lines: Lines,
}

/// The rows once more, for tools that read text.
#[derive(Debug)]
enum Lines {
    Json(Box<JsonlWriter>),
    Parts(Box<RecordParts>),
}

impl SplitFiles {
    pub(super) fn create(
        root: &Path,
        home: &str,
        split: &str,
        table: &ExampleTable,
        options: &ExportOptions,
    ) -> Result<Self, ExportError> {
        let name = format!("{home}{split}-00000-of-00001.parquet");
        let path = root.join(&name);
        let file = PartFile::create(root, &name)?;
        let table = ParquetWriter::with_columns(file, table.columns).map_err(|source| failed(&path, source))?;
        let lines = match options.format {
            ExportFormat::Convogen => {
                Lines::Parts(Box::new(RecordParts::new(root, format!("{home}{split}/"), options.partition())))
            }
            _ => Lines::Json(Box::new(JsonlWriter::create(root, &format!("{home}{split}.jsonl"))?)),
        };
        Ok(Self { name: split.to_owned(), path, table, lines })
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: Value) -> Result<(), ExportError> {
        if let Lines::Json(lines) = &mut self.lines {
            lines.push(&row)?;
        }
        let Value::Object(row) = row else { return Ok(()) };
        self.table.push(JsonRow(row)).map_err(|source| failed(&self.path, source))
    }

    /// Adds the conversation whose rows were added, for what is written of it as a whole.
    pub(super) fn push_record(&mut self, talk: &Conversation) -> Result<(), ExportError> {
        match &mut self.lines {
            Lines::Parts(parts) => Ok(parts.push(talk)?),
            Lines::Json(_) => Ok(()),
        }
    }

    /// Ends the files.
    pub(super) fn finish(self) -> Result<(ExportedSplit, Vec<FileEntry>), ExportError> {
        let Self { name, path, table, lines } = self;
        let (sink, written) = table.finish().map_err(|source| failed(&path, source))?;
        let parquet = sink.finish(Some(written.rows))?;
        let mut files = vec![parquet.clone()];
        files.extend(lines.finish()?);
        Ok((ExportedSplit { name, rows: written.rows, arrow_bytes: written.arrow_bytes, parquet }, files))
    }
}

impl Lines {
    fn finish(self) -> Result<Vec<FileEntry>, FsError> {
        match self {
            Self::Json(lines) => Ok(vec![lines.finish()?]),
            Self::Parts(parts) => parts.finish(),
        }
    }
}

fn failed(path: &Path, source: TableError) -> ExportError {
    ExportError::Table { path: path.to_owned(), source }
}
