//! Removing old versions.
//!
//! What counts as new is the pointer's history: the order in which versions became the latest. Versions that never did (a
//! publish that was interrupted and never repeated) count as older than all of these. What the pointer names always stays.
//!
//! The pointer is rewritten first, without what will go: whoever publishes at the same time and read it before fails its own
//! replacement then, instead of pointing at what is being removed. Of each version the manifest goes first, so that one that is
//! half removed is no version any more. What a killed removal leaves is removed by the next.

use std::collections::BTreeMap;

use serde::Serialize;

use super::blob::{Blob, Tag};
use super::destination::Destination;
use super::error::PublishError;
use super::pointer::Pointer;
use super::receipts::{Receipt, Receipts};
use super::version::{self, MANIFEST};

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct CollectedGarbage {
    /// The dataset.
    pub dataset: String,
    /// Where, without secrets.
    pub destination: String,
    /// Whether nothing was removed because that was asked for.
    pub dry_run: bool,
    /// The versions that stay, newest first.
    pub kept: Vec<String>,
    /// The versions that went, or would go.
    pub removed: Vec<Garbage>,
}

/// A version that is not needed any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Garbage {
    /// The version.
    pub version: String,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether it was ever the latest.
    pub was_latest: bool,
}

/// Removes all versions of `dataset` but the `keep` newest, of which there is at least the latest. With `dry_run` only says
/// which.
///
/// # Errors
/// [`PublishError::Conflict`] if someone publishes meanwhile.
pub(super) async fn collect(
    destination: &Destination,
    dataset: &str,
    keep: usize,
    receipts: Option<&Receipts>,
) -> Result<CollectedGarbage, PublishError> {
    let described = destination.describe();
    let mut collected = CollectedGarbage {
        dataset: dataset.to_owned(),
        destination: described.clone(),
        dry_run: receipts.is_none(),
        ..CollectedGarbage::default()
    };
    // Without a pointer nothing is known of what is needed, so everything stays.
    let Some((pointer, tag)) = Pointer::read(destination, dataset).await? else { return Ok(collected) };
    let versions = by_version(destination, dataset).await?;
    collected.kept = newest(&pointer, &versions, keep);
    let garbage: BTreeMap<&String, &Vec<Blob>> =
        versions.iter().filter(|(version, _)| !collected.kept.contains(version)).collect();
    let was_latest = |version: &String| pointer.history.contains(version);
    let described_garbage = garbage.iter().map(|(version, blobs)| Garbage {
        version: (*version).clone(),
        files: blobs.len() as u64,
        bytes: blobs.iter().map(|blob| blob.bytes).sum(),
        was_latest: was_latest(version),
    });
    collected.removed = described_garbage.collect();
    let Some(receipts) = receipts.filter(|_| !garbage.is_empty()) else { return Ok(collected) };
    forget(destination, dataset, &pointer, &tag, &collected.kept).await?;
    for (version, blobs) in garbage {
        for blob in manifest_first(blobs) {
            // Before each one: a publisher of this very version may have made it the latest since.
            still_unwanted(destination, dataset, version).await?;
            destination.delete(&blob.path).await?;
            let receipt =
                Receipt { action: "removed", destination: &described, path: &blob.path, bytes: blob.bytes, sha256: "" };
            receipts.add(&receipt)?;
        }
    }
    Ok(collected)
}

/// The blobs of every version.
async fn by_version(destination: &Destination, dataset: &str) -> Result<BTreeMap<String, Vec<Blob>>, PublishError> {
    let prefix = version::versions(dataset);
    let mut versions: BTreeMap<String, Vec<Blob>> = BTreeMap::new();
    for blob in destination.list(&prefix).await? {
        let name =
            blob.path.strip_prefix(&prefix).and_then(|rest| rest.split_once('/')).map(|(name, _)| name.to_owned());
        // What is not convogen's is left alone.
        if let Some(name) = name.filter(|name| version::is_version(name)) {
            versions.entry(name).or_default().push(blob);
        }
    }
    Ok(versions)
}

/// The versions that stay, newest first, of those that are there.
fn newest(pointer: &Pointer, there: &BTreeMap<String, Vec<Blob>>, keep: usize) -> Vec<String> {
    let earlier = pointer.history.iter().rev();
    let earlier = earlier.filter(|version| **version != pointer.version && there.contains_key(*version));
    [&pointer.version].into_iter().chain(earlier).take(keep.max(1)).cloned().collect()
}

/// Rewrites the pointer without the versions that go.
async fn forget(
    destination: &Destination,
    dataset: &str,
    pointer: &Pointer,
    tag: &Tag,
    kept: &[String],
) -> Result<(), PublishError> {
    let mut next = pointer.clone();
    next.history.retain(|version| kept.contains(version));
    destination.swap(&version::pointer(dataset), &next.text(), Some(tag)).await
}

/// Someone may have made the version the latest since.
async fn still_unwanted(destination: &Destination, dataset: &str, version: &str) -> Result<(), PublishError> {
    match Pointer::read(destination, dataset).await? {
        Some((pointer, _)) if pointer.version == version => {
            let reason = format!("{version} was published again meanwhile; it and what is left of the others stay");
            Err(PublishError::Conflict { path: version::pointer(dataset), reason })
        }
        _ => Ok(()),
    }
}

fn manifest_first(blobs: &[Blob]) -> Vec<&Blob> {
    let is_manifest = |blob: &&Blob| {
        blob.path
            .rsplit_once("/versions/")
            .is_some_and(|(_, rest)| rest.split_once('/').is_some_and(|(_, name)| name == MANIFEST))
    };
    let (mut ordered, rest): (Vec<&Blob>, Vec<&Blob>) = blobs.iter().partition(is_manifest);
    ordered.extend(rest);
    ordered
}
