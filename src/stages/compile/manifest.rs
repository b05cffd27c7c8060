//! `manifest.json`: what is in the folder.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::table::WrittenTable;
use super::{CompileError, Leakage, StageOutcomes};
use crate::store::part::{FileEntry, PartFile};

/// Version of the manifest's form.
pub(crate) const FORMAT: u32 = 1;

/// The content of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DatasetManifest {
    /// Version of this form: [`FORMAT`].
    pub format: u32,
    /// Every file but the manifest itself, by path.
    pub files: Vec<FileEntry>,
    /// Rows by table and split.
    pub rows: BTreeMap<String, BTreeMap<String, u64>>,
    /// What became of every input, by stage in their order.
    pub outcomes: Vec<StageOutcomes>,
    /// What crosses from one split into another.
    pub leakage: Leakage,
}

/// The manifest of `files`, whatever their order.
pub(super) fn build(
    mut files: Vec<FileEntry>,
    tables: &[WrittenTable],
    outcomes: &[StageOutcomes],
    leakage: Leakage,
) -> DatasetManifest {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let splits = |table: &WrittenTable| table.splits.iter().map(|split| (split.name.clone(), split.rows)).collect();
    let rows = tables.iter().map(|table| (table.name.to_owned(), splits(table))).collect();
    DatasetManifest { format: FORMAT, files, rows, outcomes: outcomes.to_vec(), leakage }
}

/// Writes `manifest.json` and returns its SHA-256.
pub(super) fn write(folder: &Path, manifest: &DatasetManifest) -> Result<String, CompileError> {
    let mut json = serde_json::to_vec_pretty(manifest)
        .map_err(|error| CompileError::Encode { path: folder.join("manifest.json"), reason: error.to_string() })?;
    json.push(b'\n');
    Ok(whole(folder, "manifest.json", &json)?.sha256)
}

/// Writes a file that is at hand as a whole.
pub(super) fn whole(folder: &Path, relative: &str, bytes: &[u8]) -> Result<FileEntry, CompileError> {
    let mut part = PartFile::create(folder, relative)?;
    part.append(bytes)?;
    Ok(part.finish(None)?)
}
