//! Where the records of a table come from, and how they come in the order of their ids.

use std::borrow::Cow;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::CompileError;
use crate::stages::imported;
use crate::stages::writer::PART;
use crate::store::checkpoint::{CheckpointError, SealedStage};
use crate::store::fs::FsError;
use crate::store::lines::{Lines, LinesError, LinesFile};
use crate::store::part::FileEntry;
use crate::store::sort::{Sorted, Sorter};

/// The records of a table: files of one JSON object a line, each as convogen writes it, to be read as often as it takes.
#[derive(Debug, Clone, Default)]
pub(crate) struct RecordSource {
    files: Vec<LinesFile>,
    origin: Origin,
}

/// Who wrote the lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Origin {
    /// A stage, which sealed them.
    Sealed,
    /// This process, a moment ago.
    #[default]
    Spooled,
    /// Anyone: nothing is known of them.
    Given,
}

impl RecordSource {
    /// The accepted records of a stage.
    ///
    /// # Errors
    /// If it has none that are listed.
    pub(crate) fn sealed(stage: &SealedStage) -> Result<Self, CheckpointError> {
        Ok(Self { files: vec![stage.lines_file(PART)?], origin: Origin::Sealed })
    }

    /// Records that were written on the way here, one file after the other.
    pub(crate) fn spooled(files: Vec<LinesFile>) -> Self {
        Self { files, origin: Origin::Spooled }
    }

    /// The records of a file that anyone has written, plain or compressed. How many there are is not known.
    pub(crate) fn given(path: &Path) -> Self {
        let entry =
            FileEntry { path: path.to_string_lossy().into_owned(), bytes: 0, rows: None, sha256: String::new() };
        Self { files: vec![LinesFile::new(Path::new(""), entry)], origin: Origin::Given }
    }

    pub(super) fn is_given(&self) -> bool {
        self.origin == Origin::Given
    }

    /// How many there are.
    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().map(LinesFile::rows).sum()
    }

    /// The records, one by one; after an error there are no more. At the end of each file its hash is compared.
    pub(crate) fn records<R: DeserializeOwned>(&self) -> Records<'_, R> {
        Records { reading: self.read(), done: false, row: PhantomData }
    }

    pub(super) fn read(&self) -> Reading<'_> {
        self.reading(LinesFile::lines)
    }

    fn reading(&self, open: Open) -> Reading<'_> {
        let open: Open = if self.is_given() { open_given } else { open };
        Reading { source: self, open, ahead: self.files.iter(), lines: None, number: 0 }
    }

    fn changed(&self, error: LinesError) -> CompileError {
        match error {
            LinesError::Io(error) => error.into(),
            error @ LinesError::Changed { .. } if self.origin == Origin::Sealed => CheckpointError::from(error).into(),
            error @ LinesError::Changed { .. } => CompileError::Changed(error),
        }
    }

    /// The error of a line that is no record. `number` counts from 1 over all files.
    fn misread(&self, number: u64, source: serde_json::Error) -> CompileError {
        let (mut path, mut line) = (PathBuf::new(), number);
        for file in &self.files {
            file.path().clone_into(&mut path);
            if line <= file.rows() {
                break;
            }
            line -= file.rows();
        }
        CheckpointError::Row { path, line, source }.into()
    }

    /// Whether ids only grow, as far as a look at the lines tells.
    fn is_in_order(&self) -> Result<bool, CompileError> {
        let (mut reading, mut last) = (self.reading(LinesFile::skim), String::new());
        while reading.advance()? {
            let id = reading.id()?;
            if *id < *last {
                return Ok(false);
            }
            last.clear();
            last.push_str(&id);
        }
        Ok(true)
    }
}

type Open = fn(&LinesFile) -> Result<Lines, FsError>;

/// The lines of a file that anyone has written.
fn open_given(file: &LinesFile) -> Result<Lines, FsError> {
    let failed = |error| FsError { action: "read", path: file.path().to_owned(), source: io::Error::other(error) };
    Ok(file.lines_of(imported::decoded(file.path()).map_err(failed)?))
}

/// The lines of a source, one at a time.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    source: &'a RecordSource,
    open: Open,
    ahead: std::slice::Iter<'a, LinesFile>,
    lines: Option<Lines>,
    number: u64,
}

impl Reading<'_> {
    /// Goes to the next line, past those that are blank in a file that anyone has written; `false` at the end.
    fn advance(&mut self) -> Result<bool, CompileError> {
        loop {
            if let Some(lines) = &mut self.lines
                && lines.advance().map_err(|error| self.source.changed(error))?
            {
                self.number += 1;
                if self.source.is_given() && lines.line().trim_ascii().is_empty() {
                    continue;
                }
                return Ok(true);
            }
            let Some(next) = self.ahead.next() else { return Ok(false) };
            self.lines = Some((self.open)(next)?);
        }
    }

    fn line(&self) -> &[u8] {
        self.lines.as_ref().map_or(&[], Lines::line)
    }

    fn id(&self) -> Result<Cow<'_, str>, CompileError> {
        id_of(self.line()).map_err(|source| self.source.misread(self.number, source))
    }
}

/// A record, whose line is looked at once for whether it is UTF-8, not once for each of its strings.
fn parsed<R: DeserializeOwned>(line: &[u8]) -> Result<R, serde_json::Error> {
    std::str::from_utf8(line).map_or_else(|_| serde_json::from_slice(line), serde_json::from_str)
}

/// The id of a line. Records begin with it, so most of the line need not be looked at.
fn id_of(line: &[u8]) -> Result<Cow<'_, str>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Id<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    let plain = line.strip_prefix(br#"{"id":""#).and_then(|rest| {
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        rest.get(..end).filter(|_| rest.get(end) == Some(&b'"'))
    });
    match plain.and_then(|id| std::str::from_utf8(id).ok()) {
        Some(id) => Ok(Cow::Borrowed(id)),
        None => serde_json::from_slice::<Id<'_>>(line).map(|row| row.id),
    }
}

/// The records of a source.
#[derive(Debug)]
pub(crate) struct Records<'a, R> {
    reading: Reading<'a>,
    done: bool,
    row: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned> Iterator for Records<'_, R> {
    type Item = Result<R, CompileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let read = self.reading.advance().and_then(|more| {
            let Reading { source, number, .. } = self.reading;
            let parse = || parsed(self.reading.line()).map_err(|error| source.misread(number, error));
            more.then(parse).transpose()
        });
        self.done = !matches!(read, Ok(Some(_)));
        read.transpose()
    }
}

/// The lines of a source in the order of their ids.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Ordered<'a> {
    AsTheyCome(Reading<'a>),
    Sorted { source: &'a RecordSource, sorted: Sorted },
}

impl<'a> Ordered<'a> {
    /// Passes lines through that are in order already; others are sorted, with about `memory` bytes and files in `folder`.
    pub(super) fn of(source: &'a RecordSource, folder: &Path, memory: usize) -> Result<Self, CompileError> {
        if source.is_in_order()? {
            return Ok(Self::AsTheyCome(source.read()));
        }
        let (mut reading, mut sorter) = (source.read(), Sorter::new(folder, memory));
        while reading.advance()? {
            let number = reading.number.to_le_bytes();
            sorter.push(reading.id()?.as_bytes(), &[&number, reading.line()].concat())?;
        }
        Ok(Self::Sorted { source, sorted: sorter.finish()? })
    }

    /// Goes to the next line; `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool, CompileError> {
        match self {
            Self::AsTheyCome(reading) => reading.advance(),
            Self::Sorted { sorted, .. } => Ok(sorted.advance()?),
        }
    }

    /// The id on it.
    pub(super) fn id(&self) -> Result<Cow<'_, str>, CompileError> {
        match self {
            Self::AsTheyCome(reading) => reading.id(),
            Self::Sorted { sorted, .. } => Ok(String::from_utf8_lossy(sorted.record().0)),
        }
    }

    /// The line, its newline included.
    pub(super) fn line(&self) -> &[u8] {
        match self {
            Self::AsTheyCome(reading) => reading.line(),
            Self::Sorted { sorted, .. } => sorted.record().1.get(size_of::<u64>()..).unwrap_or_default(),
        }
    }

    /// The record on it.
    pub(super) fn record<R: DeserializeOwned>(&self) -> Result<R, CompileError> {
        parsed(self.line()).map_err(|error| match self {
            Self::AsTheyCome(reading) => reading.source.misread(reading.number, error),
            Self::Sorted { source, sorted } => {
                let number = sorted.record().1.first_chunk().copied().unwrap_or_default();
                source.misread(u64::from_le_bytes(number), error)
            }
        })
    }
}
