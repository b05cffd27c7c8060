//! A local folder as destination: the same layout and the same promises as a container.
//!
//! A file is written beside its place, synced, and then renamed into it, which fails where something is there already. One
//! process publishes into a folder at a time, by the lock `.convogen.lock`; under it the pointer is compared and replaced,
//! and what a killed publisher left unfinished is removed. Reading takes no lock. Symbolic links are never followed.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::blob::{Blob, Created, OnBytes, Tag};
use super::error::PublishError;
use crate::store::fs::{self, FsError};
use crate::store::lock::{LockError, RunLock};
use crate::store::part::{self, FileEntry};

/// Held while something is published into the folder.
const LOCK_FILE: &str = ".convogen.lock";

/// Bytes that are copied at a time.
const BUFFER: usize = 1 << 20;

/// Largest file that is read as a whole, as in a container.
const READ_CAP: u64 = 16 << 20;

/// A folder that datasets are published into.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    lock: Mutex<Option<RunLock>>,
}

impl Folder {
    /// The folder at `root`, which need not exist.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), lock: Mutex::new(None) }
    }

    /// For messages.
    pub fn describe(&self) -> String {
        format!("folder {}", self.root.display())
    }

    /// Makes the folder if need be, and takes it for writing until this is dropped.
    ///
    /// # Errors
    /// [`PublishError::Conflict`] if another process writes to it.
    pub fn prepare(&self) -> Result<(), PublishError> {
        fs::create_dir_all(&self.root)?;
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(RunLock::acquire_as(&self.root, LOCK_FILE).map_err(|error| self.locked(error))?);
        }
        Ok(())
    }

    fn locked(&self, error: LockError) -> PublishError {
        match error {
            LockError::Io(error) => error.into(),
            LockError::InUse { holder, .. } => {
                self.conflict("", format!("is published into by {holder}; wait for it and run again"))
            }
            LockError::NotAFile { .. } => {
                self.conflict(LOCK_FILE, "is not a regular file; remove it and run again".to_owned())
            }
        }
    }

    fn conflict(&self, path: &str, reason: String) -> PublishError {
        PublishError::Conflict { path: self.root.join(path).display().to_string(), reason }
    }

    /// Every file whose path begins with `prefix`, by path. Unfinished files are left out.
    pub fn list(&self, prefix: &str) -> Result<Vec<Blob>, PublishError> {
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut found = Vec::new();
        if folder.is_empty() || self.place(folder)?.is_dir() {
            self.walk(folder, &mut found)?;
        }
        found.retain(|blob| blob.path.starts_with(prefix));
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn walk(&self, folder: &str, found: &mut Vec<Blob>) -> Result<(), PublishError> {
        let names = match fs::list(&self.root.join(folder)) {
            Err(error) if error.is_not_found() => return Ok(()),
            names => names?,
        };
        for name in names.iter().filter(|name| !fs::is_temporary(name) && *name != LOCK_FILE) {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let metadata = fs::metadata(&self.root.join(&path))?;
            if metadata.is_dir() {
                self.walk(&path, found)?;
            } else if metadata.is_file() {
                found.push(Blob { path, bytes: metadata.len(), sha256: None });
            } else {
                return Err(self.conflict(&path, "is neither a file nor a folder; remove it and run again".to_owned()));
            }
        }
        Ok(())
    }

    /// A small file and its state; nothing if it is not there.
    pub fn read(&self, path: &str) -> Result<Option<(Vec<u8>, Tag)>, PublishError> {
        let place = self.place(path)?;
        match fs::metadata(&place) {
            Err(error) if error.is_not_found() => return Ok(None),
            Ok(metadata) if metadata.len() > READ_CAP => {
                let reason = format!("has {} bytes, which nothing that is read here has", metadata.len());
                return Err(PublishError::Damaged { path: place.display().to_string(), reason });
            }
            metadata => metadata?,
        };
        let bytes = fs::read(&place)?;
        let tag = Tag(format!("{:x}", Sha256::digest(&bytes)));
        Ok(Some((bytes, tag)))
    }

    /// Size and SHA-256 of a file; nothing if it is not there.
    pub fn hash(&self, path: &str, on_bytes: &OnBytes) -> Result<Option<(u64, String)>, PublishError> {
        match part::hash_file(&self.place(path)?) {
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
            Ok((bytes, sha256)) => {
                on_bytes(bytes, false);
                Ok(Some((bytes, sha256)))
            }
        }
    }

    /// Copies `source` to `path` unless something is there.
    pub fn create(
        &self,
        path: &str,
        source: &Path,
        entry: &FileEntry,
        on_bytes: &OnBytes,
    ) -> Result<Created, PublishError> {
        let place = self.place(path)?;
        if let Some(found) = self.found(path, entry, on_bytes)? {
            return Ok(found);
        }
        let folder = fs::folder_of(&place);
        fs::create_dir_all(folder)?;
        fs::remove_temporaries(folder)?;
        match copy(source, &place, entry, on_bytes) {
            // Someone who minds no lock was faster.
            Err(error) if error.source.kind() == ErrorKind::AlreadyExists => {
                self.found(path, entry, on_bytes)?.ok_or_else(|| error.into())
            }
            Err(error) => Err(error.into()),
            Ok(()) => Ok(Created::Written),
        }
    }

    /// Whether the file is there already; another one in its place is a conflict.
    fn found(&self, path: &str, entry: &FileEntry, on_bytes: &OnBytes) -> Result<Option<Created>, PublishError> {
        match self.hash(path, on_bytes)? {
            None => Ok(None),
            Some((bytes, sha256)) if bytes == entry.bytes && sha256 == entry.sha256 => Ok(Some(Created::AlreadyThere)),
            Some(_) => {
                Err(self.conflict(path, "is there already with another content; nothing was replaced".to_owned()))
            }
        }
    }

    /// Replaces a small file that is still as `expected`.
    pub fn swap(&self, path: &str, content: &[u8], expected: Option<&Tag>) -> Result<(), PublishError> {
        let now = self.read(path)?.map(|(_, tag)| tag);
        if now.as_ref() != expected {
            return Err(self.conflict(path, "was changed by someone else meanwhile".to_owned()));
        }
        let place = self.place(path)?;
        fs::create_dir_all(fs::folder_of(&place))?;
        Ok(fs::write_atomic(&place, content)?)
    }

    /// Removes a file, and the folders that are empty without it.
    pub fn delete(&self, path: &str) -> Result<(), PublishError> {
        let place = self.place(path)?;
        fs::remove_if_there(&place)?;
        for folder in place.ancestors().skip(1).take_while(|folder| *folder != self.root) {
            if !fs::remove_empty_dir(folder)? {
                break;
            }
        }
        Ok(())
    }

    /// Where `path` is. No part of it may be a link: who plants one must not choose what is read or written.
    fn place(&self, path: &str) -> Result<PathBuf, PublishError> {
        if !part::is_inner_path(path) {
            return Err(self.conflict(path, "leads out of the folder".to_owned()));
        }
        let mut place = self.root.clone();
        for segment in path.split('/') {
            place.push(segment);
            if place.is_symlink() {
                let reason = "is a symbolic link; remove it and run again".to_owned();
                return Err(PublishError::Conflict { path: place.display().to_string(), reason });
            }
        }
        Ok(place)
    }
}

/// Copies a file whose hash is known to a place where nothing is.
fn copy(source: &Path, place: &Path, entry: &FileEntry, on_bytes: &OnBytes) -> Result<(), FsError> {
    let failed = |source_error| FsError { action: "read", path: source.to_owned(), source: source_error };
    let mut from = fs::open(source)?;
    let mut to = fs::create_temporary(place)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; BUFFER]);
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        let read = buffer.get(..count).unwrap_or_default();
        hash.update(read);
        to.write_all(read)?;
        on_bytes(count as u64, true);
    }
    if format!("{:x}", hash.finalize()) != entry.sha256 {
        return Err(failed(std::io::Error::other("it changed since it was hashed; run the same command again")));
    }
    to.publish_new(place)
}
