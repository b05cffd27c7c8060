//! `receipts.jsonl`: a synced line for everything that was written to a destination. A record for people; nothing reads it
//! back, since the destination alone says what is there.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::clock;
use crate::store::fs::{self, FsError};

/// The name of the file.
pub(crate) const RECEIPTS: &str = "receipts.jsonl";

/// What was done, one line of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receipt<'a> {
    /// `written`, `already_there`, `moved` (the pointer) or `removed`.
    pub action: &'static str,
    /// Where, without secrets.
    pub destination: &'a str,
    /// The blob, or file, relative to the destination.
    pub path: &'a str,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, in hex; empty where it was removed.
    pub sha256: &'a str,
}

/// Where receipts are kept.
#[derive(Debug, Clone)]
pub(crate) struct Receipts {
    path: PathBuf,
}

impl Receipts {
    /// Those in `folder`, which is made if need be.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, FsError> {
        fs::create_dir_all(folder)?;
        Ok(Self { path: folder.join(RECEIPTS) })
    }

    /// Adds a line with the time, durably.
    pub(crate) fn add(&self, receipt: &Receipt<'_>) -> Result<(), FsError> {
        let Receipt { action, destination, path, bytes, sha256 } = receipt;
        let at = clock::unix_seconds();
        let line = json!({
            "unix_s": at, "action": action, "destination": destination, "path": path, "bytes": bytes, "sha256": sha256,
        });
        fs::append(&self.path, format!("{line}\n").as_bytes())
    }
}
