//! Upstream's parts of a split: `part-0.jsonl` and `part-0.tsv` with so many records each, and so on.

use std::path::{Path, PathBuf};

use super::upstream::{self, COLUMNS};
use crate::record::Conversation;
use crate::store::fs::FsError;
use crate::store::part::{FileEntry, JsonlWriter, PartFile};

/// Writes records in parts.
#[derive(Debug)]
pub(super) struct RecordParts {
    root: PathBuf,
    /// The folder of the parts, with `/` at the end.
    folder: String,
    /// Records in a part.
    size: u64,
    open: Option<Part>,
    done: Vec<FileEntry>,
}

#[derive(Debug)]
struct Part {
    lines: JsonlWriter,
    cells: PartFile,
}

impl RecordParts {
    pub(super) fn new(root: &Path, folder: String, size: u64) -> Self {
        Self { root: root.to_owned(), folder, size, open: None, done: Vec::new() }
    }

    pub(super) fn push(&mut self, talk: &Conversation) -> Result<(), FsError> {
        let record = upstream::record(talk);
        let mut part = match self.open.take() {
            Some(part) => part,
            None => self.next()?,
        };
        part.lines.push(&record)?;
        part.cells.append(line(record.values().map(upstream::cell)).as_bytes())?;
        if part.lines.rows() >= self.size {
            return self.end(part);
        }
        self.open = Some(part);
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Vec<FileEntry>, FsError> {
        if let Some(part) = self.open.take() {
            self.end(part)?;
        }
        Ok(self.done)
    }

    fn next(&self) -> Result<Part, FsError> {
        // Two files a part.
        let name = format!("{}part-{}", self.folder, self.done.len() / 2);
        let mut cells = PartFile::create(&self.root, &format!("{name}.tsv"))?;
        cells.append(line(COLUMNS.into_iter().map(str::to_owned)).as_bytes())?;
        Ok(Part { lines: JsonlWriter::create(&self.root, &format!("{name}.jsonl"))?, cells })
    }

    fn end(&mut self, part: Part) -> Result<(), FsError> {
        let rows = part.lines.rows();
        self.done.push(part.lines.finish()?);
        self.done.push(part.cells.finish(Some(rows))?);
        Ok(())
    }
}

/// Cells with tabs between them, quoted where they hold what would end a cell, as RFC 4180 quotes: what pandas and the `csv` of
/// Python read without being told.
fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted = |cell: String| {
        if cell.contains(['"', '\t', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
    };
    let mut line = cells.map(quoted).collect::<Vec<_>>().join("\t");
    line.push('\n');
    line
}
