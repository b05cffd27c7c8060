//! The files of one split.

use std::path::Path;

use serde_json::Value;

use super::formats::ExampleTable;
use super::parts::RecordParts;
use super::{ExportError, ExportedSplit};
use crate::config::export::{ExportFormat, ExportOptions};
use crate::record::Conversation;
use crate::record::arrow::JsonRow;
use crate::store::fs::FsError;
use crate::store::part::{FileEntry, JsonlWriter};
use crate::tables::{Cut, SplitTable};

/// The files of one split, being written.
#[derive(Debug)]
pub(super) struct SplitFiles {
    name: String,
    table: SplitTable<JsonRow>,
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
        cut: Cut,
        options: &ExportOptions,
    ) -> Result<Self, ExportError> {
        let table = SplitTable::new(root, home.trim_end_matches('/'), split, table.columns, cut);
        let lines = match options.format {
            ExportFormat::Convogen => {
                Lines::Parts(Box::new(RecordParts::new(root, format!("{home}{split}/"), options.partition())))
            }
            _ => Lines::Json(Box::new(JsonlWriter::create(root, &format!("{home}{split}.jsonl"))?)),
        };
        Ok(Self { name: split.to_owned(), table, lines })
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: Value) -> Result<(), ExportError> {
        if let Lines::Json(lines) = &mut self.lines {
            lines.push(&row)?;
        }
        let Value::Object(row) = row else { return Ok(()) };
        Ok(self.table.push(JsonRow(row))?)
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
        let Self { name, table, lines } = self;
        let parquet = table.finish()?;
        let mut files = parquet.files.clone();
        files.extend(lines.finish()?);
        Ok((ExportedSplit { name, parquet }, files))
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
