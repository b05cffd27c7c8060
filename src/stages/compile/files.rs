//! Files of the folder, hashed as they are written.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{CompileError, FileEntry};
use crate::store::fs::{self, FsError};

/// A new file that counts and hashes what goes into it.
#[derive(Debug)]
pub(super) struct FileSink {
    path: PathBuf,
    /// Path within the folder, with `/`.
    relative: String,
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl FileSink {
    /// Creates `relative` in `folder`, which must not have it yet.
    pub(super) fn create(folder: &Path, relative: &str) -> Result<Self, CompileError> {
        let path = folder.join(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = BufWriter::with_capacity(1 << 18, fs::create_new(&path)?);
        Ok(Self { path, relative: relative.to_owned(), file, hash: Sha256::new(), bytes: 0 })
    }

    /// Writes a file that is at hand as a whole.
    pub(super) fn write_whole(folder: &Path, relative: &str, bytes: &[u8]) -> Result<FileEntry, CompileError> {
        let mut sink = Self::create(folder, relative)?;
        sink.append(bytes)?;
        sink.finish(None)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// As [`Write::write_all`], with an error that names the file.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.write_all(bytes).map_err(|source| FsError { action: "write", path: self.path.clone(), source })
    }

    /// Makes the file durable. Its name becomes so with its folder.
    pub(super) fn finish(mut self, rows: Option<u64>) -> Result<FileEntry, CompileError> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|source| FsError { action: "sync", path: self.path, source })?;
        let sha256 = format!("{:x}", self.hash.finalize());
        Ok(FileEntry { path: self.relative, bytes: self.bytes, rows, sha256 })
    }
}

impl Write for FileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        let written = bytes.get(..count).unwrap_or(bytes);
        self.hash.update(written);
        self.bytes += written.len() as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
