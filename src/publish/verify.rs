//! Reads back everything of a version and compares it with its manifest, byte for byte.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::destination::Destination;
use super::error::PublishError;
use super::version::{self, MANIFEST};
use super::watch::PublishWatch;
use crate::stages::compile::{self, DatasetManifest};
use crate::store::part;

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
        let Some(manifest) = self.manifest(destination, &prefix, manifest_sha256).await? else { return Ok(()) };
        watch.begin("verifying", manifest.files.iter().map(|file| file.bytes).sum());
        for file in &manifest.files {
            let path = format!("{prefix}{}", file.path);
            let found = destination.hash(&path, &watch.bytes).await?;
            self.files += 1;
            self.bytes += found.as_ref().map_or(0, |(bytes, _)| *bytes);
            match found {
                Some((bytes, sha256)) if bytes == file.bytes && sha256 == file.sha256 => {}
                Some((bytes, _)) if bytes != file.bytes => {
                    self.differences.push(format!("{path}: has {bytes} bytes, its manifest says {}", file.bytes));
                }
                Some((_, sha256)) => {
                    self.differences
                        .push(format!("{path}: has the SHA-256 {sha256}, its manifest says {}", file.sha256));
                }
                None => self.differences.push(format!("{path}: is missing")),
            }
        }
        self.foreign(destination, &prefix, &manifest).await
    }

    async fn manifest(
        &mut self,
        destination: &Destination,
        prefix: &str,
        sha256: &str,
    ) -> Result<Option<DatasetManifest>, PublishError> {
        let path = format!("{prefix}{MANIFEST}");
        let Some((bytes, _)) = destination.read(&path).await? else {
            self.differences.push(format!("{path}: is missing"));
            return Ok(None);
        };
        self.files += 1;
        self.bytes += bytes.len() as u64;
        let found = format!("{:x}", Sha256::digest(&bytes));
        if found != sha256 {
            self.differences.push(format!("{path}: has the SHA-256 {found}, the pointer says {sha256}"));
            return Ok(None);
        }
        let manifest: DatasetManifest = match serde_json::from_slice(&bytes) {
            Ok(manifest) => manifest,
            Err(error) => {
                let reason = format!("cannot be read by this version ({error}); use the one that published it");
                return Err(PublishError::Conflict { path, reason });
            }
        };
        if manifest.format > compile::FORMAT || manifest.files.iter().any(|file| !part::is_inner_path(&file.path)) {
            let reason = format!("has format {}, this version reads {}", manifest.format, compile::FORMAT);
            return Err(PublishError::Conflict { path, reason });
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
