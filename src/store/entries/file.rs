//! A sorted run in a file without a name.
//!
//! It is looked into by pages of 4 KiB. In memory stays the key that each page begins with, 0.008 bytes an entry.

use std::path::Path;

use super::{Run, halves, merge};
use crate::store::fs::{FsError, ScratchFile};

/// Entries in a page.
const PAGE: usize = 512;

/// A sorted run in a file.
#[derive(Debug)]
pub(crate) struct FileRun {
    file: ScratchFile,
    firsts: Vec<u32>,
    len: usize,
}

impl FileRun {
    fn new(folder: &Path) -> Result<Self, FsError> {
        Ok(Self { file: ScratchFile::create(folder, "run")?, firsts: Vec::new(), len: 0 })
    }

    /// A run of entries that come sorted, in a file in `folder`.
    pub(crate) fn of(folder: &Path, mut entries: impl Iterator<Item = u64>) -> Result<Self, FsError> {
        let mut written = Self::new(folder)?;
        entries.try_for_each(|entry| written.push(entry))?;
        written.finished()
    }

    /// One run of the entries of two.
    pub(crate) fn merged(folder: &Path, left: &Self, right: &Self) -> Result<Self, FsError> {
        let mut written = Self::new(folder)?;
        merge(left.entries(), right.entries(), |entry| written.push(entry))?;
        written.finished()
    }

    fn push(&mut self, entry: u64) -> Result<(), FsError> {
        if self.len.is_multiple_of(PAGE) {
            self.firsts.push(halves(entry).0);
        }
        self.len += 1;
        self.file.append(&entry.to_le_bytes())
    }

    fn finished(mut self) -> Result<Self, FsError> {
        self.firsts.shrink_to_fit();
        self.file.flush()?;
        Ok(self)
    }

    /// All entries, in order; after an error there is no further one.
    fn entries(&self) -> impl Iterator<Item = Result<u64, FsError>> {
        let (mut page, mut at, mut failed) = (Vec::new().into_iter(), 0, false);
        std::iter::from_fn(move || {
            if let Some(entry) = page.next() {
                return Some(Ok(entry));
            }
            if failed || at >= self.firsts.len() {
                return None;
            }
            let mut entries = Vec::new();
            if let Err(error) = self.block(at, &mut entries) {
                failed = true;
                return Some(Err(error));
            }
            (page, at) = (entries.into_iter(), at + 1);
            page.next().map(Ok)
        })
    }

    /// Bytes of heap.
    #[cfg(test)]
    pub(crate) fn heap(&self) -> usize {
        self.firsts.capacity() * 4 + self.file.heap()
    }
}

impl Run for FileRun {
    type Error = FsError;

    fn firsts(&self) -> &[u32] {
        &self.firsts
    }

    fn block<'a>(&'a self, at: usize, buffer: &'a mut Vec<u64>) -> Result<&'a [u64], FsError> {
        let start = at * PAGE;
        let mut bytes = [0; PAGE * 8];
        let bytes = bytes.get_mut(..PAGE.min(self.len.saturating_sub(start)) * 8).unwrap_or_default();
        self.file.read_exact_at(start as u64 * 8, bytes)?;
        buffer.clear();
        buffer.extend(bytes.as_chunks().0.iter().map(|entry| u64::from_le_bytes(*entry)));
        Ok(buffer)
    }

    fn len(&self) -> usize {
        self.len
    }
}
