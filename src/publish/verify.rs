//! Reads back everything of a version and compares it with its manifest, byte for byte.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::destination::Destination;
use super::error::PublishError;
use super::version::{self, MANIFEST};
use super::watch::PublishWatch;
use crate::stages::compile::{self, DatasetManifest};
use crate::store::part::{self, FileEntry};

/// What was read back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PublishVerification {
    /// The versions that were read.
    pub versions: Vec<String>,
    /// Files that were read.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// What is not as its manifest says, each with its path.
    pub differences: Vec<String>,
}

impl PublishVerification {
    /// Reads the version whose manifest should have the hash `manifest_sha256`.
    pub(super) async fn read(
        &mut self,
        destination: &Destination,
        dataset: &str,
        manifest_sha256: &str,
        watch: &PublishWatch,
    ) -> Result<(), PublishError> {
        let version = version::of_manifest(manifest_sha256);
        let prefix = version::prefix(dataset, &version);
        self.versions.push(version);
        let path = format!("{prefix}{MANIFEST}");
        let bytes = destination.read(&path).await?.map(|(bytes, _)| bytes);
        let Some(manifest) = self.manifest(&path, bytes.as_deref(), manifest_sha256)? else { return Ok(()) };
        watch.begin("verifying", manifest.files.iter().map(|file| file.bytes).sum());
        for file in &manifest.files {
            let path = format!("{prefix}{}", file.path);
            let found = destination.hash(&path, &watch.bytes).await?;
            self.compare(&path, file, found);
        }
        self.foreign(destination, &prefix, &manifest).await
    }

    /// Notes what was found where `file` should be, and how it differs.
    pub(super) fn compare(&mut self, path: &str, file: &FileEntry, found: Option<(u64, String)>) {
        self.files += 1;
        self.bytes += found.as_ref().map_or(0, |(bytes, _)| *bytes);
        self.differences.extend(match found {
            Some((bytes, sha256)) if bytes == file.bytes && sha256 == file.sha256 => None,
            Some((bytes, _)) if bytes != file.bytes => {
                Some(format!("{path}: has {bytes} bytes, its manifest says {}", file.bytes))
            }
            Some((_, sha256)) => Some(format!("{path}: has the SHA-256 {sha256}, its manifest says {}", file.sha256)),
            None => Some(format!("{path}: is missing")),
        });
    }

    /// Reads a manifest, which should have the hash `sha256`; nothing, with the difference noted, if it is another one or is
    /// missing.
    pub(super) fn manifest(
        &mut self,
        path: &str,
        bytes: Option<&[u8]>,
        sha256: &str,
    ) -> Result<Option<DatasetManifest>, PublishError> {
        let Some(bytes) = bytes else {
            self.differences.push(format!("{path}: is missing"));
            return Ok(None);
        };
        self.files += 1;
        self.bytes += bytes.len() as u64;
        let found = format!("{:x}", Sha256::digest(bytes));
        if found != sha256 {
            self.differences.push(format!("{path}: has the SHA-256 {found}, the pointer says {sha256}"));
            return Ok(None);
        }
        let conflict = |reason| PublishError::Conflict { path: path.to_owned(), reason };
        let manifest: DatasetManifest = serde_json::from_slice(bytes).map_err(|error| {
            conflict(format!("cannot be read by this version ({error}); use the one that published it"))
        })?;
        if manifest.format > compile::FORMAT || manifest.files.iter().any(|file| !part::is_inner_path(&file.path)) {
            return Err(conflict(format!("has format {}, this version reads {}", manifest.format, compile::FORMAT)));
        }
        Ok(Some(manifest))
    }

    async fn foreign(
        &mut self,
        destination: &Destination,
        prefix: &str,
        manifest: &DatasetManifest,
    ) -> Result<(), PublishError> {
        for blob in destination.list(prefix).await? {
            let name = blob.path.strip_prefix(prefix).unwrap_or(&blob.path);
            if name != MANIFEST && manifest.files.iter().all(|file| file.path != name) {
                self.differences.push(format!("{}: is not in the manifest", blob.path));
            }
        }
        Ok(())
    }
}
