//! Rows put aside on disk, to be read again in any order.

use std::path::{Path, PathBuf};

use super::fs::{FsError, ScratchFile};

/// Bytes that say where a row is: its offset and its length.
const PLACE: usize = 16;

/// Rows of bytes, numbered from 0. Takes no memory a row: where each is stands in a second file.
#[derive(Debug)]
pub(crate) struct Spool {
    rows: ScratchFile,
    places: ScratchFile,
    folder: PathBuf,
}

impl Spool {
    /// An empty one, whose files are in `folder` and gone with it. `name` says in errors what it is for.
    pub(crate) fn create(folder: &Path, name: &str) -> Result<Self, FsError> {
        let rows = ScratchFile::create(folder, name)?;
        let places = ScratchFile::create(folder, &format!("{name}-places"))?;
        Ok(Self { rows, places, folder: folder.to_owned() })
    }

    /// Adds a row; its number is how many there were.
    pub(crate) fn push(&mut self, row: &[u8]) -> Result<(), FsError> {
        let place = [self.rows.len(), row.len() as u64].map(u64::to_le_bytes);
        self.rows.append(row)?;
        self.places.append(place.as_flattened())
    }

    /// The row with a number.
    pub(crate) fn read(&self, number: u64) -> Result<Vec<u8>, FsError> {
        let mut place = [0; PLACE];
        self.places.read_exact_at(number.saturating_mul(PLACE as u64), &mut place)?;
        let [offset, length] =
            [place.first_chunk(), place.last_chunk()].map(|bytes| u64::from_le_bytes(*bytes.unwrap_or(&[0; 8])));
        let mut row = vec![0; usize::try_from(length).map_err(|_| self.too_long())?];
        self.rows.read_exact_at(offset, &mut row)?;
        Ok(row)
    }

    /// Bytes of heap.
    #[cfg(test)]
    pub(crate) fn heap(&self) -> usize {
        self.rows.heap() + self.places.heap()
    }

    fn too_long(&self) -> FsError {
        FsError { action: "read", path: self.folder.clone(), source: std::io::ErrorKind::FileTooLarge.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fs::faults;

    #[test]
    fn rows_are_read_by_number() {
        let folder = faults::scratch();
        let mut spool = Spool::create(folder.path(), "rows").unwrap();
        let row = |number: u64| format!("row {number} ").repeat((number % 90) as usize).into_bytes();
        for number in 0..5_000 {
            spool.push(&row(number)).unwrap();
            assert_eq!(spool.read(number / 2).unwrap(), row(number / 2));
        }
        assert_eq!(spool.read(4_999).unwrap(), row(4_999));
        assert!(spool.read(5_000).is_err());
    }
}
