//! Where datasets go. Azure Blob Storage and a local folder offer the same few operations, which are all that a safe
//! publish needs: create-only writes, listing, reading back, and one conditional replacement for the pointer.
//!
//! Paths are relative to the container or folder, with `/`.

use std::path::Path;

use super::azure::Container;
use super::blob::{Blob, Created, OnBytes, Tag};
use super::error::PublishError;
use super::folder::Folder;
use crate::config::environment::Environment;
use crate::config::upload::Upload;
use crate::store::part::FileEntry;

/// A place that datasets are published to.
#[derive(Debug)]
pub enum Destination {
    /// A container of Azure Blob Storage.
    Azure(Container),
    /// A local folder.
    Folder(Folder),
}

impl Destination {
    /// The place that `upload` names. Nothing is sent yet.
    ///
    /// # Errors
    /// [`PublishError::SignIn`] if the credential is missing, [`PublishError::Setup`] if a setting or variable makes no sense.
    pub fn open(upload: &Upload, environment: &Environment) -> Result<Self, PublishError> {
        match (&upload.destination.azure, &upload.destination.folder) {
            (Some(settings), _) => {
                let environment = environment.with_proxy(upload.proxy.as_deref());
                Ok(Self::Azure(Container::open(settings, &environment)?))
            }
            (None, Some(folder)) => Ok(Self::Folder(Folder::new(folder))),
            // Refused when the configuration is checked.
            (None, None) => Err(PublishError::Setup("destination: name azure, folder or hub".to_owned())),
        }
    }

    /// For messages: never a key, a signature or a query.
    pub fn describe(&self) -> String {
        match self {
            Self::Azure(container) => container.describe(),
            Self::Folder(folder) => folder.describe(),
        }
    }

    /// Makes sure it is there and may be listed; a missing container or folder is made if that is allowed.
    pub async fn prepare(&self) -> Result<(), PublishError> {
        match self {
            Self::Azure(container) => container.prepare().await,
            Self::Folder(folder) => folder.prepare(),
        }
    }

    /// Everything below `prefix`, by path.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Blob>, PublishError> {
        match self {
            Self::Azure(container) => container.list(prefix).await,
            Self::Folder(folder) => folder.list(prefix),
        }
    }

    /// A small blob and its state; nothing if it is not there.
    pub async fn read(&self, path: &str) -> Result<Option<(Vec<u8>, Tag)>, PublishError> {
        match self {
            Self::Azure(container) => container.read(path).await,
            Self::Folder(folder) => folder.read(path),
        }
    }

    /// Reads all of a blob: its size and SHA-256 (lower-case hex); nothing if it is not there.
    pub async fn hash(&self, path: &str, on_bytes: &OnBytes) -> Result<Option<(u64, String)>, PublishError> {
        match self {
            Self::Azure(container) => container.hash(path, on_bytes).await,
            Self::Folder(folder) => folder.hash(path, on_bytes),
        }
    }

    /// Writes the local file `source`, whose size and hash `entry` has, to `path` unless something is there.
    /// Interrupted, it goes on with what arrived.
    ///
    /// # Errors
    /// [`PublishError::Conflict`] if something else is there.
    pub async fn create(
        &self,
        path: &str,
        source: &Path,
        entry: &FileEntry,
        on_bytes: &OnBytes,
    ) -> Result<Created, PublishError> {
        match self {
            Self::Azure(container) => container.create(path, source, entry, on_bytes).await,
            Self::Folder(folder) => folder.create(path, source, entry, on_bytes),
        }
    }

    /// Replaces a small blob that is still as `expected`, or creates it where nothing is expected.
    ///
    /// # Errors
    /// [`PublishError::Conflict`] if it is not as expected.
    pub async fn swap(&self, path: &str, content: &[u8], expected: Option<&Tag>) -> Result<(), PublishError> {
        match self {
            Self::Azure(container) => container.swap(path, content, expected).await,
            Self::Folder(folder) => folder.swap(path, content, expected),
        }
    }

    /// Removes a blob; one that is gone already is no error.
    pub async fn delete(&self, path: &str) -> Result<(), PublishError> {
        match self {
            Self::Azure(container) => container.delete(path).await,
            Self::Folder(folder) => folder.delete(path),
        }
    }
}
