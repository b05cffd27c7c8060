//! Publishing a version: looking, sending ahead, one commit, and looking again.

use std::path::Path;

use super::commit::{Committed, HubCommit};
use super::mark::{HubMark, MARK};
use super::outgoing::OutgoingFile;
use super::tree::RemoteFile;
use super::{HubDataset, HubHead};
use crate::publish::error::PublishError;
use crate::publish::receipts::{Receipt, Receipts};
use crate::publish::summary::{PointerState, Published, Sums};
use crate::publish::verify::PublishVerification;
use crate::publish::version::MANIFEST;
use crate::publish::watch::PublishWatch;
use crate::stages::compile::{Compiled, DatasetManifest};
use crate::store::part::FileEntry;

/// A compiled dataset and the repository it is to go to.
#[derive(Debug)]
pub(in crate::publish) struct HubSending<'a> {
    hub: &'a HubDataset,
    receipts: &'a Receipts,
    watch: &'a PublishWatch,
    mark: HubMark,
    files: Vec<OutgoingFile>,
}

/// What is there and what there is to do.
#[derive(Debug)]
struct HubPlan<'f> {
    head: Option<HubHead>,
    /// What the repository says it holds.
    mark: Option<HubMark>,
    /// What is not there as it should be.
    missing: Vec<&'f OutgoingFile>,
    /// What is there and should not be.
    surplus: Vec<String>,
}

impl<'a> HubSending<'a> {
    pub(in crate::publish) fn new(
        hub: &'a HubDataset,
        dataset: &str,
        folder: &Path,
        compiled: &Compiled,
        receipts: &'a Receipts,
        watch: &'a PublishWatch,
    ) -> Result<Self, PublishError> {
        let mark = HubMark::new(dataset, &compiled.manifest_sha256);
        let manifest = FileEntry::of(folder, MANIFEST, None)?;
        let files = compiled.manifest.files.iter().chain([&manifest]);
        let files = files.map(|entry| OutgoingFile::compiled(folder, entry)).chain([OutgoingFile::mark(&mark)]);
        Ok(Self { hub, receipts, watch, files: files.collect(), mark })
    }

    /// Publishes; with `dry_run` only looks. With `verify` everything is read back.
    pub(in crate::publish) async fn publish(&self, dry_run: bool, verify: bool) -> Result<Published, PublishError> {
        let plan = self.plan().await?;
        let all = sums(self.files.iter());
        let previous = plan.mark.as_ref().map(|mark| mark.version.clone());
        let is_new = previous.as_ref() != Some(&self.mark.version);
        let pointer = match (dry_run, is_new) {
            (_, false) => PointerState::Unchanged,
            (true, true) => PointerState::WouldMove,
            (false, true) => PointerState::Moved,
        };
        let (commit, sent_bytes) = match (&plan.head, dry_run) {
            (head, true) => (head.as_ref().map(|head| head.commit.clone()), sums(plan.missing.iter().copied()).bytes),
            (Some(head), false) => self.send(head, &plan).await.map(|(commit, sent)| (Some(commit), sent))?,
            (None, false) => return Err(self.gone()),
        };
        let mut verified = PublishVerification::default();
        if let (true, Some(commit)) = (verify, &commit) {
            verified = self.read_back(commit).await?;
        }
        Ok(Published {
            files: all.files,
            bytes: all.bytes,
            sent_bytes,
            reused_bytes: all.bytes.saturating_sub(sent_bytes),
            pointer,
            previous,
            verified: verify.then_some(verified),
            ..Published::default()
        })
    }

    /// It was there when it was prepared.
    fn gone(&self) -> PublishError {
        let reason = "was removed meanwhile; run the same command again".to_owned();
        PublishError::Conflict { path: self.hub.api.repo.clone(), reason }
    }

    /// Looks at what is there, and refuses to replace what is not convogen's.
    async fn plan(&self) -> Result<HubPlan<'_>, PublishError> {
        self.watch.begin("looking", 0);
        let Some(head) = self.hub.head().await? else {
            return Ok(HubPlan { head: None, mark: None, missing: self.files.iter().collect(), surplus: Vec::new() });
        };
        let tree = self.hub.tree(&head.commit).await?;
        let mark = self.hub.mark(&head.commit, &tree).await?;
        let (missing, unlike) = self.compare(&tree)?;
        if let Some(mark) = &mark {
            let on_bytes = &self.watch.bytes;
            self.hub.may_replace(&head.commit, &self.mark.dataset, mark, &unlike, on_bytes).await?;
        }
        let is_wanted = |remote: &&&RemoteFile| self.files.iter().any(|file| file.entry.path == remote.path);
        let surplus = unlike.iter().filter(|remote| !is_wanted(remote)).map(|remote| remote.path.clone()).collect();
        Ok(HubPlan { head: Some(head), mark, missing, surplus })
    }

    /// What is not in `tree` as it should be, and what of `tree` should not be there.
    fn compare<'t>(&self, tree: &'t [RemoteFile]) -> Result<(Vec<&OutgoingFile>, Vec<&'t RemoteFile>), PublishError> {
        let (mut missing, mut alike) = (Vec::new(), Vec::new());
        for file in &self.files {
            match tree.iter().find(|remote| remote.path == file.entry.path) {
                Some(remote) if file.is(remote)? => alike.push(&remote.path),
                _ => missing.push(file),
            }
        }
        Ok((missing, tree.iter().filter(|remote| !alike.contains(&&remote.path)).collect()))
    }

    /// Sends what there is to send. Returns the commit that readers get and the bytes sent.
    async fn send(&self, head: &HubHead, plan: &HubPlan<'_>) -> Result<(String, u64), PublishError> {
        if plan.missing.is_empty() && plan.surplus.is_empty() {
            return Ok((head.commit.clone(), 0));
        }
        self.watch.begin("sending", sums(plan.missing.iter().copied()).bytes);
        let (inline, ahead) = self.hub.sorted(&plan.missing).await?;
        let sent_ahead = self.hub.send_ahead(&ahead, &self.watch.bytes).await?;
        let sent_inline = sums(inline.iter().copied()).bytes;
        let commit = HubCommit {
            summary: format!("{}: version {}", self.mark.dataset, self.mark.version),
            parent: &head.commit,
            inline,
            ahead,
            deleted: plan.surplus.iter().map(String::as_str).collect(),
        };
        let commit = match self.hub.commit(&commit).await? {
            Committed::As(commit) => commit,
            Committed::Moved(commit) if self.is_whole(&commit).await? => commit,
            Committed::Moved(commit) => return Err(self.overtaken(&commit)),
        };
        (self.watch.bytes)(sent_inline, true);
        if !self.is_whole(&commit).await? {
            let reason = "does not hold what was sent; run the same command again".to_owned();
            return Err(PublishError::Damaged { path: format!("{} at {commit}", self.hub.api.repo), reason });
        }
        tracing::info!(commit, version = self.mark.version, "committed");
        self.note(plan, &commit)?;
        Ok((commit, sent_ahead + sent_inline))
    }

    /// Whether a commit holds this version and nothing else, by names, sizes and hashes.
    async fn is_whole(&self, commit: &str) -> Result<bool, PublishError> {
        let (missing, unlike) = self.compare(&self.hub.tree(commit).await?).map(|(m, u)| (m.len(), u.len()))?;
        Ok(missing + unlike == 0)
    }

    fn overtaken(&self, commit: &str) -> PublishError {
        let reason = format!(
            "another publisher committed meanwhile: main is at {commit} now, and what readers see was left as it is; run the \
             same command again to make {} the latest",
            self.mark.version
        );
        PublishError::Conflict { path: self.hub.api.repo.clone(), reason }
    }

    fn note(&self, plan: &HubPlan<'_>, commit: &str) -> Result<(), PublishError> {
        let destination = &self.hub.describe();
        for OutgoingFile { entry, .. } in &plan.missing {
            let FileEntry { path, bytes, sha256, .. } = entry;
            self.receipts.add(&Receipt { action: "written", destination, path, bytes: *bytes, sha256 })?;
        }
        let sha256 = &self.mark.manifest_sha256;
        let path = &format!("{MARK} at {commit}");
        Ok(self.receipts.add(&Receipt { action: "moved", destination, path, bytes: 0, sha256 })?)
    }

    /// Reads back everything of the version that a commit holds.
    async fn read_back(&self, commit: &str) -> Result<PublishVerification, PublishError> {
        let mut verified = PublishVerification::default();
        let tree = self.hub.tree(commit).await?;
        let Some(mark) = self.hub.mark(commit, &tree).await? else { return Ok(verified) };
        let bytes = self.hub.read(commit, MANIFEST).await?;
        verified.versions.push(mark.version.clone());
        let manifest = verified.manifest(MANIFEST, bytes.as_deref(), &mark.manifest_sha256)?;
        let Some(manifest) = manifest else { return Ok(verified) };
        self.watch.begin("verifying", manifest.files.iter().map(|file| file.bytes).sum());
        for file in &manifest.files {
            let found = self.hub.hash(commit, &file.path, &self.watch.bytes).await?;
            verified.compare(&file.path, file, found);
        }
        foreign(&manifest, &tree).for_each(|difference| verified.differences.push(difference));
        Ok(verified)
    }
}

/// What lies beside a version and is no part of it.
fn foreign(manifest: &DatasetManifest, tree: &[RemoteFile]) -> impl Iterator<Item = String> {
    let known = |path: &str| path == MANIFEST || path == MARK || manifest.files.iter().any(|file| file.path == path);
    tree.iter()
        .filter(move |remote| !known(&remote.path))
        .map(|remote| format!("{}: is not in the manifest", remote.path))
}

fn sums<'f>(files: impl Iterator<Item = &'f OutgoingFile>) -> Sums {
    let entries: Vec<FileEntry> = files.map(|file| file.entry.clone()).collect();
    Sums::of(&entries)
}
