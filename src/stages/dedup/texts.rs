//! Kept texts, to be read back by number.

use std::path::Path;

use crate::store::fs::FsError;
use crate::store::spool::Spool;

/// A kept record as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// Its id.
    pub id: String,
    /// What of it is compared.
    pub text: String,
}

/// Kept texts on disk, for callers that have no other way to read one back. No memory a text.
#[derive(Debug)]
pub(super) struct SpooledTexts(Spool);

impl SpooledTexts {
    /// An empty spool in `folder`; its files are gone when it is.
    pub(super) fn create(folder: &Path) -> Result<Self, FsError> {
        Spool::create(folder, "dedup-texts").map(Self)
    }

    /// Adds the text of the next record.
    pub(super) fn push(&mut self, id: &str, text: &str) -> Result<(), FsError> {
        let length = (id.len() as u64).to_le_bytes();
        self.0.push(&[&length, id.as_bytes(), text.as_bytes()].concat())
    }

    /// The text of a record.
    pub(super) fn read(&self, record: u32) -> Result<Text, FsError> {
        let row = self.0.read(u64::from(record))?;
        let (length, rest) = row.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (id, text) = rest.split_at_checked(length).unwrap_or_default();
        let [id, text] = [id, text].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Ok(Text { id, text })
    }

    /// Bytes of heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.0.heap()
    }
}
