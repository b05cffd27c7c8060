//! Rows as JSON Lines: one object a line, the keys of every object the same and in the same order, absent values `null`.

use std::path::Path;

use super::CompileError;
use crate::record::arrow::Row;
use crate::store::part::{FileEntry, PartFile};

/// Writes `jsonl/<table>-<split>.jsonl`.
pub(super) fn write<R: Row>(folder: &Path, split: &str, rows: &[&R]) -> Result<FileEntry, CompileError> {
    let mut sink = PartFile::create(folder, &format!("jsonl/{}-{split}.jsonl", R::NAME))?;
    let mut line = Vec::new();
    for row in rows {
        line.clear();
        serde_json::to_writer(&mut line, row)
            .map_err(|error| CompileError::Encode { path: sink.path().to_owned(), reason: error.to_string() })?;
        line.push(b'\n');
        sink.append(&line)?;
    }
    Ok(sink.finish(Some(rows.len() as u64))?)
}
