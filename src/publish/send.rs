//! Sending a version: what is missing of it, then its manifest, then the pointer.
//!
//! Readers start from the pointer, and a version without a manifest is none. So the order is what keeps a half-sent version
//! from being seen: data, a listing that shows all of it as it should be, the manifest, and only then the pointer, which is
//! replaced on the condition that nobody else has moved it since the beginning.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::blob::{Created, OnBytes, Tag};
use super::destination::Destination;
use super::error::PublishError;
use super::pointer::Pointer;
use super::receipts::{Receipt, Receipts};
use super::standing::PublishedVersion;
use super::summary::Sums;
use super::version::{self, MANIFEST};
use super::watch::PublishWatch;
use crate::stages::compile::Compiled;
use crate::store::part::FileEntry;

/// Files up to this many bytes go several at a time; a larger one goes in blocks and fills the line alone.
const SMALL: u64 = 1 << 20;

/// Small files in flight.
const SMALL_IN_FLIGHT: usize = 8;

/// A compiled dataset and where it is to go.
#[derive(Debug)]
pub(super) struct Sending<'a> {
    pub(super) destination: &'a Destination,
    /// The dataset's name.
    pub(super) dataset: &'a str,
    /// The compiled folder.
    pub(super) folder: &'a Path,
    pub(super) receipts: &'a Receipts,
    pub(super) watch: &'a PublishWatch,
    /// Every file, the manifest at the end.
    pub(super) files: Vec<FileEntry>,
    pub(super) manifest_sha256: String,
    pub(super) prefix: String,
    described: String,
}

/// What there is to do.
#[derive(Debug)]
pub(super) struct SendPlan {
    standing: PublishedVersion,
    pointer: Option<(Pointer, Tag)>,
}

impl SendPlan {
    /// The version that readers get now.
    pub(super) fn latest(&self) -> Option<&Pointer> {
        self.pointer.as_ref().map(|(pointer, _)| pointer)
    }

    /// The files that are still to be sent, and their bytes.
    pub(super) fn missing(&self) -> Sums {
        Sums::of(&self.standing.missing)
    }
}

impl<'a> Sending<'a> {
    pub(super) fn new(
        destination: &'a Destination,
        dataset: &'a str,
        folder: &'a Path,
        compiled: &Compiled,
        receipts: &'a Receipts,
        watch: &'a PublishWatch,
    ) -> Result<Self, PublishError> {
        let manifest = FileEntry::of(folder, MANIFEST, None)?;
        let prefix = version::prefix(dataset, &version::of_manifest(&manifest.sha256));
        let files = compiled.manifest.files.iter().cloned().chain([manifest]).collect();
        let (manifest_sha256, described) = (compiled.manifest_sha256.clone(), destination.describe());
        Ok(Self { destination, dataset, folder, receipts, watch, files, manifest_sha256, prefix, described })
    }

    /// Looks at what is there. Writes nothing.
    pub(super) async fn plan(&self) -> Result<SendPlan, PublishError> {
        // The pointer first: whoever moves it from now on is noticed at the end.
        let pointer = Pointer::read(self.destination, self.dataset).await?;
        let standing = self.look().await?;
        standing.accept()?;
        Ok(SendPlan { standing, pointer })
    }

    async fn look(&self) -> Result<PublishedVersion, PublishError> {
        self.watch.begin("looking", 0);
        PublishedVersion::look(self.destination, &self.prefix, &self.files, &self.watch.bytes).await
    }

    /// Sends what is missing and points readers at it. Returns the bytes sent.
    pub(super) async fn send(&self, plan: SendPlan) -> Result<u64, PublishError> {
        let sent = Arc::new(AtomicU64::new(0));
        let data: Vec<&FileEntry> = plan.standing.missing.iter().filter(|entry| entry.path != MANIFEST).collect();
        if !data.is_empty() {
            self.send_data(&data, &sent).await?;
            let standing = self.look().await?;
            standing.accept()?;
            if let Some(entry) = standing.missing.iter().find(|entry| entry.path != MANIFEST) {
                let path = format!("{}{}", self.prefix, entry.path);
                let reason = "was removed while the rest was sent; run the same command again".to_owned();
                return Err(PublishError::Conflict { path, reason });
            }
        }
        if let Some(manifest) = plan.standing.missing.iter().find(|entry| entry.path == MANIFEST) {
            self.create(manifest, &sent).await?;
        }
        self.point(plan.pointer).await?;
        Ok(sent.load(Ordering::Relaxed))
    }

    async fn send_data(&self, data: &[&FileEntry], sent: &Arc<AtomicU64>) -> Result<(), PublishError> {
        self.watch.begin("sending", data.iter().map(|entry| entry.bytes).sum());
        let (small, large): (Vec<&FileEntry>, Vec<&FileEntry>) = data.iter().partition(|entry| entry.bytes <= SMALL);
        let small = stream::iter(small).map(|entry| self.create(entry, sent));
        small.buffer_unordered(SMALL_IN_FLIGHT).try_collect::<Vec<()>>().await?;
        for entry in large {
            self.create(entry, sent).await?;
        }
        Ok(())
    }

    async fn create(&self, entry: &FileEntry, sent: &Arc<AtomicU64>) -> Result<(), PublishError> {
        let path = format!("{}{}", self.prefix, entry.path);
        let (counted, shown) = (Arc::clone(sent), Arc::clone(&self.watch.bytes));
        let on_bytes: OnBytes = Arc::new(move |bytes, now| {
            counted.fetch_add(if now { bytes } else { 0 }, Ordering::Relaxed);
            shown(bytes, now);
        });
        let created = self.destination.create(&path, &self.folder.join(&entry.path), entry, &on_bytes).await?;
        tracing::info!(path, bytes = entry.bytes, ?created, "sent");
        let action = match created {
            Created::Written => "written",
            Created::AlreadyThere => "already_there",
        };
        Ok(self.receipts.add(&self.receipt(action, &path, entry.bytes, &entry.sha256))?)
    }

    fn receipt<'r>(&'r self, action: &'static str, path: &'r str, bytes: u64, sha256: &'r str) -> Receipt<'r> {
        Receipt { action, destination: &self.described, path, bytes, sha256 }
    }

    /// Points readers at this version, unless they are sent there already.
    async fn point(&self, before: Option<(Pointer, Tag)>) -> Result<(), PublishError> {
        if before.as_ref().is_some_and(|(pointer, _)| pointer.manifest_sha256 == self.manifest_sha256) {
            return Ok(());
        }
        let path = version::pointer(self.dataset);
        let pointer = Pointer::to(&self.manifest_sha256, before.as_ref().map(|(pointer, _)| pointer));
        let text = pointer.text();
        match self.destination.swap(&path, &text, before.as_ref().map(|(_, tag)| tag)).await {
            Err(PublishError::Conflict { .. }) => return Err(self.overtaken(path, &pointer).await),
            swapped => swapped?,
        }
        tracing::info!(path, version = pointer.version, "pointer moved");
        Ok(self.receipts.add(&self.receipt("moved", &path, text.len() as u64, &self.manifest_sha256))?)
    }

    /// Someone else has moved the pointer since the beginning.
    async fn overtaken(&self, path: String, own: &Pointer) -> PublishError {
        let now = match Pointer::read(self.destination, self.dataset).await {
            Ok(Some((pointer, _))) => format!("it points at versions/{} now", pointer.version),
            Ok(None) => "it is gone now".to_owned(),
            Err(error) => return error,
        };
        let reason = format!(
            "another publisher changed it meanwhile: {now}, and what readers see was left as it is; this dataset lies whole in \
             versions/{}, run the same command again to make it the latest",
            own.version
        );
        PublishError::Conflict { path, reason }
    }
}
