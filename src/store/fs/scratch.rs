//! Files for what does not fit in memory, gone when the process is.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{FsError, create_dir_all, durable, named, no_follow, remove_if_there, temporary_beside};

/// Bytes that are written together.
const BUFFER: usize = 1 << 17;

/// Sets scratch files apart that are made under one name.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A file that is appended to and read at positions, and has no name.
///
/// Its name is removed as soon as it is open, so the file goes with its last handle, however the process ends; what a crash
/// between the two leaves behind is an empty temporary file. Nothing is synced: nobody reads it after a crash.
#[derive(Debug)]
pub(crate) struct ScratchFile {
    file: File,
    path: PathBuf,
    /// Bytes in the file.
    written: u64,
    /// Bytes behind them.
    pending: Vec<u8>,
}

impl ScratchFile {
    /// Makes one in `folder`, which is made too if it is not there. `name` says in errors what it is for.
    pub(crate) fn create(folder: &Path, name: &str) -> Result<Self, FsError> {
        create_dir_all(folder)?;
        let mark = format!("scratch{}-", NEXT.fetch_add(1, Ordering::Relaxed));
        let path = temporary_beside(&folder.join(name), &mark);
        // An earlier process with this one's number may have left it.
        remove_if_there(&path)?;
        let file = durable("create", &path, || {
            let mut options = File::options();
            options.read(true).write(true).create_new(true).mode(0o600).custom_flags(no_follow());
            options.open(&path)
        })?;
        remove_if_there(&path)?;
        Ok(Self { file, path, written: 0, pending: Vec::new() })
    }

    /// Its size: where the next append goes.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    /// Puts `bytes` at the end. They are written as a whole, now or with others.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        if !self.pending.is_empty() && self.pending.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() >= BUFFER {
            return self.write(bytes);
        }
        self.pending.reserve_exact(BUFFER - self.pending.len());
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes what waits, and gives its memory back.
    pub(crate) fn flush(&mut self) -> Result<(), FsError> {
        let pending = std::mem::take(&mut self.pending);
        self.write(&pending)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        durable("write", &self.path, || self.file.write_all(bytes))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Fills `bytes` from `offset` on. What one call of [`append`](Self::append) put in, or a piece of it, can be read at
    /// any time; what several did once it is [flushed](Self::flush).
    pub(crate) fn read_exact_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), FsError> {
        let Some(start) = offset.checked_sub(self.written) else {
            return named("read", &self.path, self.file.read_exact_at(bytes, offset));
        };
        let waiting = usize::try_from(start).ok().and_then(|start| self.pending.get(start..)?.get(..bytes.len()));
        let waiting = named("read", &self.path, waiting.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))?;
        bytes.copy_from_slice(waiting);
        Ok(())
    }

    /// Bytes of heap it holds.
    #[cfg(test)]
    pub(crate) fn heap(&self) -> usize {
        self.pending.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::store::fs::{self, faults};

    #[test]
    fn what_was_appended_is_read_back_at_any_time() {
        let folder = faults::scratch();
        let mut file = ScratchFile::create(&folder.path().join("deeper"), "rows").unwrap();
        let mut draw = Draw::new(3, &["scratch"]);
        let mut pieces: Vec<(u64, Vec<u8>)> = Vec::new();
        for _ in 0..300 {
            let length = [0, 1, 700, 5_000, BUFFER, BUFFER + 1][draw.below(6)];
            let bytes: Vec<u8> = (0..length).map(|_| draw.next_u64().to_le_bytes()[0]).collect();
            pieces.push((file.len(), bytes.clone()));
            file.append(&bytes).unwrap();
            let (offset, expected) = draw.pick(&pieces).unwrap();
            let mut read = vec![0; expected.len()];
            file.read_exact_at(*offset, &mut read).unwrap();
            assert!(read == *expected, "{offset}");
        }
        let end = file.len();
        assert!(file.read_exact_at(end, &mut [0]).is_err());
        file.flush().unwrap();
        assert!(file.read_exact_at(end - 1, &mut [0]).is_ok() && file.read_exact_at(end, &mut [0]).is_err());
    }

    #[test]
    fn it_leaves_no_name_and_tells_of_a_full_disk() {
        let folder = faults::scratch();
        let mut file = ScratchFile::create(folder.path(), "rows").unwrap();
        let _other = ScratchFile::create(folder.path(), "rows").unwrap();
        assert!(fs::list(folder.path()).unwrap().is_empty());
        let _fault = faults::fail(folder.path(), "write", 1);
        file.append(&[1; 10]).unwrap();
        assert!(file.flush().is_err());
    }
}
