//! What of a version is at the destination, compared with its manifest.

use std::collections::BTreeMap;

use super::blob::{Blob, OnBytes};
use super::destination::Destination;
use super::error::PublishError;
use super::version::MANIFEST;
use crate::store::part::FileEntry;

/// A version as it stands at the destination.
#[derive(Debug, Default)]
pub(super) struct PublishedVersion {
    /// What is not there.
    pub(super) missing: Vec<FileEntry>,
    /// What is there as listed.
    pub(super) present: Vec<FileEntry>,
    /// What is there with another content, and how it differs.
    pub(super) differing: Vec<(String, String)>,
    /// What is there and not in the manifest.
    pub(super) foreign: Vec<String>,
}

impl PublishedVersion {
    /// Compares `wanted` with what lies below `prefix`, by names, sizes and the hashes noted there. Where none is noted the
    /// content is read.
    pub(super) async fn look(
        destination: &Destination,
        prefix: &str,
        wanted: &[FileEntry],
        on_bytes: &OnBytes,
    ) -> Result<Self, PublishError> {
        let listed = destination.list(prefix).await?;
        let mut there: BTreeMap<&str, &Blob> =
            listed.iter().filter_map(|blob| Some((blob.path.strip_prefix(prefix)?, blob))).collect();
        let mut standing = Self::default();
        for entry in wanted {
            let Some(blob) = there.remove(entry.path.as_str()) else {
                standing.missing.push(entry.clone());
                continue;
            };
            match difference(destination, blob, entry, on_bytes).await? {
                Some(reason) => standing.differing.push((blob.path.clone(), reason)),
                None => standing.present.push(entry.clone()),
            }
        }
        standing.foreign = there.into_values().map(|blob| blob.path.clone()).collect();
        Ok(standing)
    }

    /// Refuses a version with which something is wrong that sending the rest of it would not mend.
    pub(super) fn accept(&self) -> Result<(), PublishError> {
        if let Some((path, reason)) = self.differing.first() {
            let more = self.differing.len() - 1;
            let more = if more > 0 { format!(" ({more} more differ too)") } else { String::new() };
            return Err(self.wrong(path.clone(), &format!("{reason}{more}")));
        }
        if let Some(path) = self.foreign.first() {
            let reason = format!(
                "is not part of this version, as are {} files in all: {}; remove what does not belong there and run again",
                self.foreign.len(),
                self.foreign.join(", ")
            );
            return Err(PublishError::Conflict { path: path.clone(), reason });
        }
        Ok(())
    }

    /// A version with a manifest was whole once, so a file that differs now is damaged, and the manifest is itself where it is
    /// not the one that the version is named after. Before that a file is someone else's.
    fn wrong(&self, path: String, reason: &str) -> PublishError {
        let manifest = format!("/{MANIFEST}");
        let differs = self.differing.iter().any(|(path, _)| path.ends_with(&manifest));
        if differs || self.present.iter().any(|entry| entry.path == MANIFEST) {
            let reason = format!("{reason}; remove it and run again: it is sent anew then");
            return PublishError::Damaged { path, reason };
        }
        let reason = format!("{reason}; someone else has written it. Remove it if it is not needed, and run again");
        PublishError::Conflict { path, reason }
    }
}

/// How a blob differs from what is listed for it.
async fn difference(
    destination: &Destination,
    blob: &Blob,
    entry: &FileEntry,
    on_bytes: &OnBytes,
) -> Result<Option<String>, PublishError> {
    if blob.bytes != entry.bytes {
        return Ok(Some(format!("has {} bytes, its manifest says {}", blob.bytes, entry.bytes)));
    }
    let found = match &blob.sha256 {
        Some(noted) => Some(noted.clone()),
        None => destination.hash(&blob.path, on_bytes).await?.map(|(_, sha256)| sha256),
    };
    Ok(match found {
        Some(sha256) if sha256 == entry.sha256 => None,
        Some(sha256) => Some(format!("has the SHA-256 {sha256}, its manifest says {}", entry.sha256)),
        None => Some("was removed while it was looked at".to_owned()),
    })
}
