//! One table of the dataset: its splits, each as Parquet shards and as JSON Lines.

use std::path::Path;

use super::{CompileError, jsonl, splits};
use crate::record::arrow::{Column, Row, TableError};
use crate::record::parquet::Writer;
use crate::store::fs;
use crate::store::part::{FileEntry, PartFile};

/// Most bytes of Arrow data in one Parquet file.
const SHARD_BYTES: usize = 512 << 20;

/// A table as it was written.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name, which is that of its records.
    pub(super) name: &'static str,
    /// Its columns.
    pub(super) columns: &'static [Column],
    /// The folder of its Parquet files.
    pub(super) folder: &'static str,
    /// Its splits, those with rows only.
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
}

impl Table {
    pub(super) fn rows(&self) -> u64 {
        self.splits.iter().map(|split| split.rows).sum()
    }
}

/// Writes a table; `None` when it has no row.
pub(super) fn write<R: Row>(folder: &Path, rows: &[R], home: &'static str) -> Result<Option<Table>, CompileError> {
    if rows.is_empty() {
        return Ok(None);
    }
    let mut table = Table { name: R::NAME, columns: R::COLUMNS, folder: home, splits: Vec::new(), files: Vec::new() };
    for (split, rows) in splits::by_split(rows)? {
        let mut written = Split { name: split.to_owned(), rows: 0, arrow_bytes: 0, parquet_bytes: 0 };
        let shards = shards(&rows, SHARD_BYTES);
        for (at, shard) in shards.iter().enumerate() {
            let path = format!("{home}/{split}-{at:05}-of-{:05}.parquet", shards.len());
            let (entry, arrow_bytes) = write_shard(folder, &path, shard)?;
            written.rows += entry.rows.unwrap_or(0);
            written.arrow_bytes += arrow_bytes;
            written.parquet_bytes += entry.bytes;
            table.files.push(entry);
        }
        table.files.push(jsonl::write(folder, split, &rows)?);
        table.splits.push(written);
    }
    for synced in [home, "jsonl"] {
        fs::sync_dir(&folder.join(synced))?;
    }
    Ok(Some(table))
}

fn write_shard<R: Row>(folder: &Path, path: &str, rows: &[&R]) -> Result<(FileEntry, u64), CompileError> {
    let sink = PartFile::create(folder, path)?;
    let failed = |source: TableError| CompileError::Table { path: folder.join(path), source };
    let mut writer = Writer::<_, R, &R>::new(sink).map_err(failed)?;
    for row in rows {
        writer.push(row).map_err(failed)?;
    }
    let (sink, written) = writer.finish().map_err(failed)?;
    Ok((sink.finish(Some(written.rows))?, written.arrow_bytes))
}

/// Rows cut into as few runs of about equal length as keep each, with rows of average size, below `limit` bytes.
fn shards<'s, 'r, R: Row>(rows: &'s [&'r R], limit: usize) -> Vec<&'s [&'r R]> {
    let bytes = rows.iter().map(|row| row.weight()).fold(1, usize::saturating_add);
    let fitting = (rows.len() as u128 * limit as u128 / bytes as u128).max(1);
    let count = (rows.len() as u128).div_ceil(fitting).max(1);
    let length = rows.len().div_ceil(usize::try_from(count).unwrap_or(usize::MAX));
    rows.chunks(length.max(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Persona;
    use crate::record::arrow::Record as _;

    #[test]
    fn shards_hold_every_row_once_and_are_about_equal() {
        let persona = |at: usize| Persona {
            id: format!("p{at:06}"),
            persona: "x".repeat(100),
            name: None,
            domain: None,
            split: "train".to_owned(),
            source: "s:1".to_owned(),
            hash: String::new(),
        };
        let personas: Vec<Persona> = (0..1_000).map(persona).collect();
        let rows: Vec<&Persona> = personas.iter().collect();
        for limit in [1, 1_000, 40_000, usize::MAX] {
            let cut = shards(&rows, limit);
            assert_eq!(cut.concat(), rows);
            let bytes = |shard: &[&Persona]| shard.iter().map(|row| row.weight()).sum::<usize>();
            assert!(cut.iter().all(|shard| shard.len() == 1 || bytes(shard) <= limit));
            assert!(cut.iter().all(|shard| cut[0].len() - shard.len() <= cut.len()));
        }
        assert_eq!(shards(&rows, usize::MAX).len(), 1);
    }
}
