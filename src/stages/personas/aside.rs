//! Rows of which it is known only at the end whether they copy an earlier one, in memory that does not grow with the file.
//!
//! They wait on disk, and so do their keys, which are sorted: of equal ones the first is that of the original.

use std::path::{Path, PathBuf};

use crate::record::{Fate, Persona};
use crate::stages::error::StageError;
use crate::store::fs::FsError;
use crate::store::sort::Sorter;
use crate::store::spool::Spool;

/// Bytes of keys that are sorted in memory.
const SORTED: usize = 4 << 20;

/// Rows put aside.
#[derive(Debug)]
pub(super) struct RowsAside {
    rows: Spool,
    keys: Sorter,
    count: u64,
    folder: PathBuf,
}

/// Puts what becomes of the people of a row.
pub(super) type PutFate<'a> = dyn FnMut(Fate<Persona>) -> Result<(), StageError> + 'a;

impl RowsAside {
    /// None yet; its files are in `folder` and gone with it.
    pub(super) fn create(folder: &Path) -> Result<Self, FsError> {
        let (rows, keys) = (Spool::create(folder, "personas")?, Sorter::new(folder, SORTED));
        Ok(Self { rows, keys, count: 0, folder: folder.to_owned() })
    }

    /// Adds a row, whose people are `people` if no earlier one has its key.
    pub(super) fn push(&mut self, key: u128, line: u64, people: &[Persona]) -> Result<(), FsError> {
        self.keys.push(&key.to_be_bytes(), [self.count, line].map(u64::to_le_bytes).as_flattened())?;
        self.count += 1;
        self.rows.push(&serde_json::to_vec(people).map_err(|error| self.failed(error))?)
    }

    /// Puts the fate of everyone, in the order of the rows. `copy` makes that of someone in a row by the line of the first of
    /// its kind and its own.
    pub(super) fn release(
        self,
        copy: impl Fn(u64, u64) -> Fate<Persona>,
        put: &mut PutFate<'_>,
    ) -> Result<(), StageError> {
        let Self { rows, keys, count, folder } = self;
        let (mut sorted, mut copies) = (keys.finish()?, Sorter::new(&folder, SORTED));
        let mut first = (Vec::new(), 0);
        while sorted.advance()? {
            let (key, value) = sorted.record();
            let [row, line] = numbers(value);
            if first.0 == key {
                copies.push(&row.to_be_bytes(), [first.1, line].map(u64::to_le_bytes).as_flattened())?;
            } else {
                first = (key.to_vec(), line);
            }
        }
        drop(sorted);
        let mut copies = copies.finish()?;
        let mut more = copies.advance()?;
        for number in 0..count {
            let people: Vec<Persona> = serde_json::from_slice(&rows.read(number)?).map_err(|error| FsError {
                action: "read back from",
                path: folder.clone(),
                source: error.into(),
            })?;
            let (key, value) = copies.record();
            if more && key == number.to_be_bytes() {
                let [first, line] = numbers(value);
                people.iter().try_for_each(|_| put(copy(first, line)))?;
                more = copies.advance()?;
            } else {
                people.into_iter().try_for_each(|person| put(Fate::Accepted(person)))?;
            }
        }
        Ok(())
    }

    fn failed(&self, error: serde_json::Error) -> FsError {
        FsError { action: "put a persona aside in", path: self.folder.clone(), source: error.into() }
    }
}

fn numbers(value: &[u8]) -> [u64; 2] {
    let number = |bytes: Option<&[u8; 8]>| u64::from_le_bytes(bytes.copied().unwrap_or_default());
    [number(value.first_chunk()), number(value.last_chunk())]
}
