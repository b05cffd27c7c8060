//! What publishing came to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::verify::PublishVerification;
use crate::store::part::FileEntry;

/// Files and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sums {
    /// How many files.
    pub files: u64,
    /// How many bytes they have together.
    pub bytes: u64,
}

impl Sums {
    pub(super) fn of(files: &[FileEntry]) -> Self {
        Self { files: files.len() as u64, bytes: files.iter().map(|file| file.bytes).sum() }
    }
}

/// What became of the pointer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PointerState {
    /// It points at this version now, and did not before.
    Moved,
    /// It pointed at this version already.
    #[default]
    Unchanged,
    /// It would be moved, were this no dry run.
    WouldMove,
}

/// What publishing came to; the object that `--json` prints.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Published {
    /// The dataset.
    pub dataset: String,
    /// Its version.
    pub version: String,
    /// Where, without secrets.
    pub destination: String,
    /// Whether nothing was written because that was asked for.
    pub dry_run: bool,
    /// Files of the version, its manifest among them.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that were sent, or in a dry run would be.
    pub sent_bytes: u64,
    /// Bytes that were there already.
    pub reused_bytes: u64,
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Records left out because of an earlier run: by table, then by reason.
    pub removed: BTreeMap<String, BTreeMap<String, u64>>,
    /// What became of `latest.json`.
    pub pointer: PointerState,
    /// The version that was the latest before.
    pub previous: Option<String>,
    /// What reading back found, where that was asked for.
    pub verified: Option<PublishVerification>,
    /// Seconds it took.
    pub wall_s: f64,
    /// CPU seconds of this process.
    pub cpu_s: f64,
}
