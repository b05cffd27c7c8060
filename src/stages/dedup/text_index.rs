//! A large collection of texts on disk, behind the same index.

use std::path::Path;

use super::{DedupIndex, Match, Shingling, SpooledTexts, Verdict};
use crate::store::fs::FsError;

/// Texts on disk, to ask what is like one of them: for millions. See [`DedupIndex`] for what it holds of their hashes, and
/// [`Collection`](super::Collection) for thousands.
#[derive(Debug)]
pub(crate) struct TextIndex {
    index: DedupIndex,
    texts: SpooledTexts,
}

impl TextIndex {
    /// An empty one, whose files are in `folder` and gone with it. `threshold` as for [`DedupIndex::new`].
    ///
    /// # Errors
    /// If no file can be made.
    pub(crate) fn create(threshold: f64, shingling: Shingling, folder: &Path) -> Result<Self, FsError> {
        Ok(Self { index: DedupIndex::new(threshold, shingling, folder), texts: SpooledTexts::create(folder)? })
    }

    /// The same, which goes to disk above `memory` bytes of hashes.
    pub(crate) fn within(mut self, memory: usize) -> Self {
        self.index.spill_above = memory;
        self
    }

    /// The text in it that `text` duplicates: the same, else the most similar, else none.
    ///
    /// # Errors
    /// If a text cannot be read back.
    pub(crate) fn check(&mut self, text: &str) -> Result<Option<Match>, FsError> {
        let prepared = self.index.hasher().prepare(text);
        self.index.check(&prepared, |number| self.texts.read(number))
    }

    /// Adds a text unless it duplicates one.
    ///
    /// # Errors
    /// If a text cannot be written or read back.
    pub(crate) fn insert(&mut self, id: &str, text: &str) -> Result<Verdict, FsError> {
        let prepared = self.index.hasher().prepare(text);
        let verdict = self.index.judge(&prepared, |number| self.texts.read(number))?;
        if verdict == Verdict::New {
            self.texts.push(id, text)?;
        }
        Ok(verdict)
    }

    /// Adds a text, even if it is near another. Exact copies are kept once: they could answer nothing the first does not.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn add(&mut self, id: &str, text: &str) -> Result<(), FsError> {
        let prepared = self.index.hasher().prepare(text);
        if self.index.add(&prepared, |number| self.texts.read(number))? {
            self.texts.push(id, text)?;
        }
        Ok(())
    }

    /// Bytes of heap, but for what was compared last.
    #[cfg(test)]
    pub(crate) fn heap(&self) -> usize {
        self.index.held.heap() + self.index.spill.heap() + self.texts.heap()
    }
}
