//! Finished files of one object a line, read line by line and as often as it takes. Each time of reading to the end is
//! compared with what was written.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::fs::{self, FsError};
use super::part::{FileEntry, RowPlace};

const BUFFER: usize = 1 << 18;

/// Why a file cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// It is not what was written.
    #[error("{path} changed since it was written: {problem}; run the same command again", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What differs.
        problem: String,
    },
    /// The disk.
    #[error(transparent)]
    Io(#[from] FsError),
}

/// A finished file of one object a line.
#[derive(Debug, Clone)]
pub(crate) struct LinesFile {
    path: PathBuf,
    entry: FileEntry,
}

impl LinesFile {
    /// The file that `entry` describes, below `root`.
    pub(crate) fn new(root: &Path, entry: FileEntry) -> Self {
        Self { path: root.join(&entry.path), entry }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many rows were written.
    pub(crate) fn rows(&self) -> u64 {
        self.entry.rows.unwrap_or(0)
    }

    /// Its lines. Hash and number of rows are compared at the end: an error comes in place of it then.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn lines(&self) -> Result<Lines, FsError> {
        Ok(Lines { hash: Some(Sha256::new()), ..self.skim()? })
    }

    /// Its lines, for a look at them that decides nothing: nothing is compared.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn skim(&self) -> Result<Lines, FsError> {
        Ok(self.lines_of(Box::new(BufReader::with_capacity(BUFFER, fs::open(&self.path)?))))
    }

    /// The lines that `reader` finds in it, such as those within compressed data: nothing is compared.
    pub(crate) fn lines_of(&self, reader: Box<dyn BufRead + Send>) -> Lines {
        let (file, place) = (self.clone(), RowPlace { offset: 0, length: 0 });
        Lines { reader: LineReader(reader), hash: None, file, line: Vec::new(), place, number: 0 }
    }

    /// Reads one line back.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read(&self, place: RowPlace) -> Result<Vec<u8>, FsError> {
        fs::read_at(&fs::open(&self.path)?, &self.path, place.offset, place.length)
    }
}

/// Where lines come from.
struct LineReader(Box<dyn BufRead + Send>);

impl fmt::Debug for LineReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LineReader")
    }
}

/// The lines of a [`LinesFile`], one at a time.
#[derive(Debug)]
pub(crate) struct Lines {
    reader: LineReader,
    /// Of what was read; `None` where nothing is compared.
    hash: Option<Sha256>,
    file: LinesFile,
    line: Vec<u8>,
    place: RowPlace,
    number: u64,
}

impl Lines {
    /// Goes to the next line; `false` at the end.
    ///
    /// # Errors
    /// If it cannot be read, and at the end if the file is not what was written.
    pub(crate) fn advance(&mut self) -> Result<bool, LinesError> {
        self.line.clear();
        let read = self.reader.0.read_until(b'\n', &mut self.line);
        read.map_err(|source| FsError { action: "read", path: self.file.path.clone(), source })?;
        if self.line.is_empty() {
            return self.check_end().map(|()| false);
        }
        if let Some(hash) = &mut self.hash {
            hash.update(&self.line);
        }
        self.place = RowPlace { offset: self.place.offset + self.place.length as u64, length: self.line.len() };
        self.number += 1;
        Ok(true)
    }

    /// The line, its newline included.
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Its number, counted from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Where it is.
    pub(crate) fn place(&self) -> RowPlace {
        self.place
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    fn check_end(&self) -> Result<(), LinesError> {
        let Some(hash) = &self.hash else { return Ok(()) };
        let FileEntry { sha256, rows, .. } = &self.file.entry;
        let changed = |problem| Err(LinesError::Changed { path: self.file.path.clone(), problem });
        let found = format!("{:x}", hash.clone().finalize());
        if found != *sha256 {
            return changed(content_differs(sha256, &found));
        }
        match rows {
            Some(rows) if *rows != self.number => changed(format!("it has {} rows, {rows} were written", self.number)),
            _ => Ok(()),
        }
    }
}

pub(super) fn content_differs(written: &str, found: &str) -> String {
    format!("its SHA-256 is {found}, {written} was written")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::part::JsonlWriter;

    fn read(lines: Result<Lines, FsError>) -> Result<Vec<String>, LinesError> {
        let (mut lines, mut read) = (lines?, Vec::new());
        while lines.advance()? {
            assert_eq!(lines.number(), read.len() as u64 + 1);
            read.push(String::from_utf8_lossy(lines.line()).into_owned());
        }
        Ok(read)
    }

    #[test]
    fn a_file_is_read_as_often_as_it_takes_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = JsonlWriter::create(folder.path(), "rows.jsonl").unwrap();
        let places = [1, 22, 333].map(|row| rows.push(&row).unwrap());
        let file = LinesFile::new(folder.path(), rows.finish().unwrap());
        for _ in 0..2 {
            assert_eq!(read(file.lines()).unwrap(), ["1\n", "22\n", "333\n"]);
        }
        assert_eq!((file.rows(), file.read(places[1]).unwrap()), (3, b"22\n".to_vec()));
        let mut lines = file.lines().unwrap();
        for place in places {
            assert!(lines.advance().unwrap() && lines.place() == place);
        }
        for changed in ["1\n22\n", "1\n22\n334\n", "", "1\n22\n333"] {
            fs::write_atomic(file.path(), changed.as_bytes()).unwrap();
            let error = read(file.lines()).unwrap_err().to_string();
            assert!(error.contains("rows.jsonl changed since it was written: its SHA-256 is "), "{error}");
            // A look that decides nothing minds nothing.
            assert_eq!(read(file.skim()).unwrap().concat(), changed);
        }
        let entry = FileEntry::of(folder.path(), "rows.jsonl", Some(4)).unwrap();
        let error = read(LinesFile::new(folder.path(), entry).lines()).unwrap_err().to_string();
        assert!(error.contains("it has 3 rows, 4 were written"), "{error}");
    }
}
