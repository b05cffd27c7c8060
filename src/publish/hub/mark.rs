//! `convogen.json`: says that a repository is convogen's, and which dataset and version it holds.
//!
//! ```json
//! {"format": 1, "dataset": "…", "version": "…", "manifest_sha256": "…"}
//! ```
//!
//! It is part of the commit that it describes. What is in a repository without one was put there by somebody else.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::HubDataset;
use super::tree::RemoteFile;
use crate::publish::blob::OnBytes;
use crate::publish::error::PublishError;
use crate::publish::version::{self, MANIFEST};
use crate::stages::compile::DatasetManifest;

/// The name of the file.
pub(in crate::publish) const MARK: &str = "convogen.json";

/// Version of its form.
const FORMAT: u32 = 1;

/// The content of `convogen.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HubMark {
    format: u32,
    /// The dataset's name.
    pub(super) dataset: String,
    /// The version that lies there.
    pub(super) version: String,
    /// SHA-256 of its manifest, in lower-case hex.
    pub(super) manifest_sha256: String,
}

impl HubMark {
    pub(super) fn new(dataset: &str, manifest_sha256: &str) -> Self {
        Self {
            format: FORMAT,
            dataset: dataset.to_owned(),
            version: version::of_manifest(manifest_sha256),
            manifest_sha256: manifest_sha256.to_owned(),
        }
    }

    /// Its text, the same for the same mark.
    pub(super) fn text(&self) -> Vec<u8> {
        let text = serde_json::to_vec_pretty(self);
        let mut text = text.unwrap_or_else(|error| unreachable!("a struct of strings has a JSON form: {error}"));
        text.push(b'\n');
        text
    }
}

impl HubDataset {
    fn conflict(&self, path: &str, reason: String) -> PublishError {
        PublishError::Conflict { path: format!("{}/{path}", self.api.repo), reason }
    }

    /// The mark of a commit; nothing where there is no file at all.
    ///
    /// # Errors
    /// [`PublishError::Conflict`] if somebody else's files are there.
    pub(super) async fn mark(&self, commit: &str, tree: &[RemoteFile]) -> Result<Option<HubMark>, PublishError> {
        if tree.is_empty() {
            return Ok(None);
        }
        let text = self.read(commit, MARK).await?.unwrap_or_default();
        let Ok(mark) = serde_json::from_slice::<HubMark>(&text) else {
            let names: Vec<&str> = tree.iter().take(3).map(|file| file.path.as_str()).collect();
            let reason = format!(
                "is a dataset that convogen has not published ({} files, among them {}), and was left as it is; choose \
                 another destination.hub.repo, or remove its files",
                tree.len(),
                names.join(", ")
            );
            return Err(PublishError::Conflict { path: self.api.repo.clone(), reason });
        };
        if mark.format > FORMAT {
            let reason = format!(
                "has format {}, this version reads {FORMAT}: a later convogen published here; use that one, nothing was changed",
                mark.format
            );
            return Err(self.conflict(MARK, reason));
        }
        Ok(Some(mark))
    }

    /// Makes sure that `unlike`, the files of a commit that are to be replaced or removed, are as convogen published them: part of
    /// the dataset of this name, and not changed since.
    ///
    /// # Errors
    /// [`PublishError::Conflict`] if one is not.
    pub(super) async fn may_replace(
        &self,
        commit: &str,
        dataset: &str,
        mark: &HubMark,
        unlike: &[&RemoteFile],
        on_bytes: &OnBytes,
    ) -> Result<(), PublishError> {
        if unlike.is_empty() {
            return Ok(());
        }
        if mark.dataset != dataset {
            let reason = format!(
                "holds the dataset {}, not {dataset}, and was left as it is; choose another destination.hub.repo, or set \
                 dataset to {} if this is to be its next version",
                mark.dataset, mark.dataset
            );
            return Err(PublishError::Conflict { path: self.api.repo.clone(), reason });
        }
        let manifest = self.read(commit, MANIFEST).await?.unwrap_or_default();
        let sound = format!("{:x}", Sha256::digest(&manifest)) == mark.manifest_sha256;
        let Some(manifest) = serde_json::from_slice::<DatasetManifest>(&manifest).ok().filter(|_| sound) else {
            return Err(self.conflict(MANIFEST, changed(&mark.version)));
        };
        for file in unlike.iter().filter(|file| file.path != MANIFEST && file.path != MARK) {
            let Some(entry) = manifest.files.iter().find(|entry| entry.path == file.path) else {
                let reason = format!(
                    "is not part of version {}, which convogen published there; remove it, or keep it elsewhere, and run again",
                    mark.version
                );
                return Err(self.conflict(&file.path, reason));
            };
            let sha256 = match &file.sha256 {
                Some(sha256) => Some(sha256.clone()),
                None => self.hash(commit, &file.path, on_bytes).await?.map(|(_, sha256)| sha256),
            };
            if sha256.as_ref() != Some(&entry.sha256) {
                return Err(self.conflict(&file.path, changed(&mark.version)));
            }
        }
        Ok(())
    }
}

fn changed(version: &str) -> String {
    format!(
        "was changed since convogen published version {version} there; revert the change on the hub, or remove the file, and \
         run again: nothing was replaced"
    )
}
