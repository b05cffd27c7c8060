//! The lines of a file that is imported: whatever its compression, whatever the length of a line, in flat memory, and hashed on
//! the way, so that what was read is what is named.

mod error;
pub(crate) mod several;

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use serde::Serialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::Progress;
use crate::store::fs::{self, FsError};

pub(crate) use error::SourceError;

/// Longest line that is looked at, in bytes. A longer one is skipped as a single row.
pub(crate) const MAX_LINE: usize = 1 << 20;
const BUFFER: usize = 1 << 17;

/// Identifies an input by content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct InputDigest {
    /// Length of the file as it lies on disk.
    pub bytes: u64,
    /// SHA-256 of those bytes, in hex.
    pub sha256: String,
}

impl InputDigest {
    /// The digest of bytes at hand.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: hex(Sha256::new_with_prefix(bytes)) }
    }
}

/// One line without its end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum InputLine<'a> {
    /// A whole one.
    Whole(&'a [u8]),
    /// The start of a line that is too long.
    TooLong(&'a [u8]),
}

impl<'a> InputLine<'a> {
    /// Its bytes, as far as they were kept.
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Whole(bytes) | Self::TooLong(bytes) => bytes,
        }
    }

    /// Whether there is nothing on it.
    pub(crate) fn is_blank(self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.trim_ascii().is_empty())
    }
}

/// The lines of an input, numbered from 1. A byte order mark and either line end are taken off.
#[derive(Debug)]
pub(crate) struct InputLines<R> {
    input: R,
    longest: usize,
    buffer: Vec<u8>,
    number: u64,
}

impl<R: BufRead> InputLines<R> {
    /// The lines of `input`, of which none is held beyond `longest` bytes.
    pub(crate) fn new(input: R, longest: usize) -> Self {
        Self { input, longest, buffer: Vec::new(), number: 0 }
    }

    /// The next line and its number.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, InputLine<'_>)>> {
        self.buffer.clear();
        if (&mut self.input).take(self.longest as u64 + 1).read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.buffer.last() != Some(&b'\n') && self.buffer.len() > self.longest {
            self.input.skip_until(b'\n')?;
            return Ok(Some((self.number, InputLine::TooLong(&self.buffer))));
        }
        let line = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mark: &[u8] = if self.number == 1 { b"\xef\xbb\xbf" } else { b"" };
        Ok(Some((self.number, InputLine::Whole(line.strip_prefix(mark).unwrap_or(line)))))
    }
}

/// What a file is, by its first bytes.
enum Format {
    Plain,
    Gzip,
    Zstd,
    Other(&'static str, &'static str),
}

impl Format {
    fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // The second: a skippable frame, which parallel compressors put first.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'P', b'A', b'R', b'1', ..] => Self::Other("a Parquet file", "export it as JSONL"),
            [b'P', b'K', 3, 4, ..] => Self::Other("a zip archive", "unpack it; save a workbook of Excel as CSV"),
            [b'B', b'Z', b'h', ..] => Self::Other("a bzip2 file", "unpack it, or compress it with gzip or zstd"),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => {
                Self::Other("an xz file", "unpack it, or compress it with gzip or zstd")
            }
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                Self::Other("UTF-16 text", "convert it, as with `iconv -f UTF-16 -t UTF-8`")
            }
            _ => Self::Plain,
        }
    }
}

/// Shows every line of a file to `visit`, with its number, and says what was read.
///
/// # Errors
/// If it is no file of lines, cannot be read, or changed meanwhile.
pub(crate) fn read(
    path: &Path,
    key: &'static str,
    progress: &Progress,
    visit: &mut Visit<'_>,
) -> Result<InputDigest, SourceError> {
    read_with(path, key, progress, &mut |input| rows(input, visit))
}

/// Takes rows from what a file holds.
pub(crate) type TakeRows<'a> = dyn FnMut(&mut dyn BufRead) -> Result<(), RowsFault> + 'a;

/// Shows what a file holds, taken out of gzip or zstd, to `take`, and says what was read. It is to read to the end.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_with(
    path: &Path,
    key: &'static str,
    progress: &Progress,
    take: &mut TakeRows<'_>,
) -> Result<InputDigest, SourceError> {
    digested(path, key, progress, &mut |file| decode(path, BufReader::with_capacity(BUFFER, file), take))
}

/// Shows a file that is read here and there, not from its start to its end, to `take`, and says what it holds.
///
/// # Errors
/// Those of `take`, and if the file cannot be read, or changed meanwhile.
pub(crate) fn read_whole(
    path: &Path,
    key: &'static str,
    progress: &Progress,
    take: &mut dyn FnMut(File) -> Result<(), SourceError>,
) -> Result<InputDigest, SourceError> {
    digested(path, key, progress, &mut |file| {
        io::copy(file, &mut io::sink()).map_err(|source| failed("read", path, source))?;
        take(fs::open(path).map_err(SourceError::Unreadable)?)
    })
}

fn digested(
    path: &Path,
    key: &'static str,
    progress: &Progress,
    look: &mut dyn FnMut(&mut Digesting<'_>) -> Result<(), SourceError>,
) -> Result<InputDigest, SourceError> {
    let (file, before) = open_regular(path, key)?;
    progress.expect(before.len());
    let mut file = Digesting { file, hasher: Sha256::new(), bytes: 0, progress };
    look(&mut file)?;
    let after = file.file.metadata().map_err(|source| failed("read", path, source))?;
    if file.bytes != before.len() || !same(&before, &after) {
        return Err(SourceError::Changed { path: path.to_owned() });
    }
    Ok(InputDigest { bytes: file.bytes, sha256: hex(file.hasher) })
}

/// Looks at a line and its number.
pub(crate) type Visit<'a> = dyn FnMut(u64, InputLine<'_>) + 'a;

/// What a file holds, taken out of gzip or zstd, without the mark that some programs put in front.
///
/// # Errors
/// If it is no file of lines, or cannot be opened.
pub(crate) fn decoded(path: &Path) -> Result<Box<dyn BufRead + Send>, SourceError> {
    let unreadable = |source| failed("read", path, source);
    let mut reader = BufReader::with_capacity(BUFFER, fs::open(path).map_err(SourceError::Unreadable)?);
    let format = Format::of(reader.fill_buf().map_err(unreadable)?);
    let mut decoded: Box<dyn BufRead + Send> = match format {
        Format::Plain => Box::new(reader),
        Format::Gzip => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(reader))),
        Format::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(reader).map_err(unreadable)?;
            Box::new(BufReader::with_capacity(BUFFER, decoder))
        }
        Format::Other(kind, advice) => return Err(SourceError::OtherFormat { path: path.to_owned(), kind, advice }),
    };
    let marked = decoded.fill_buf().is_ok_and(|head| head.starts_with(b"\xef\xbb\xbf"));
    decoded.consume(if marked { 3 } else { 0 });
    Ok(decoded)
}

/// Whether a file is Parquet, by its first bytes.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn is_parquet(path: &Path) -> Result<bool, FsError> {
    let mut head = Vec::new();
    let read = fs::open(path)?.take(4).read_to_end(&mut head);
    read.map_err(|source| FsError { action: "read", path: path.to_owned(), source })?;
    Ok(head == b"PAR1")
}

fn decode(path: &Path, mut reader: impl BufRead, take: &mut TakeRows<'_>) -> Result<(), SourceError> {
    let format = Format::of(reader.fill_buf().map_err(|source| failed("read", path, source))?);
    match format {
        Format::Plain => take(&mut reader).map_err(|fault| fault.of(path, |e| failed("read", path, e))),
        Format::Gzip => {
            let mut reader = BufReader::with_capacity(BUFFER, MultiGzDecoder::new(reader));
            take(&mut reader).map_err(|fault| fault.of(path, |error| undecodable(path, "gzip", error)))
        }
        Format::Zstd => zstd::stream::read::Decoder::with_buffer(reader)
            .map_err(RowsFault::Io)
            .and_then(|decoder| take(&mut BufReader::with_capacity(BUFFER, decoder)))
            .map_err(|fault| fault.of(path, |error| undecodable(path, "zstd", error))),
        Format::Other(kind, advice) => Err(SourceError::OtherFormat { path: path.to_owned(), kind, advice }),
    }
}

/// Why the rows of a file cannot be read.
pub(crate) enum RowsFault {
    /// The file.
    Io(io::Error),
    /// A list that is no JSON.
    List {
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        detail: String,
    },
    /// A table that rows cannot be taken from.
    Table {
        /// The line, from 1.
        line: u64,
        /// What is wrong, and what to do.
        problem: String,
    },
}

impl RowsFault {
    fn of(self, path: &Path, io: impl Fn(io::Error) -> SourceError) -> SourceError {
        match self {
            Self::Io(error) => io(error),
            Self::List { line, detail } => SourceError::BrokenList { path: path.to_owned(), line, detail },
            Self::Table { line, problem } => SourceError::Table { path: path.to_owned(), line: Some(line), problem },
        }
    }
}

impl From<serde_json::Error> for RowsFault {
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() {
            return Self::Io(error.into());
        }
        let message = error.to_string();
        let detail = message.split(" at line ").next().unwrap_or_default().to_owned();
        Self::List { line: error.line(), detail }
    }
}

/// Shows every row of `input` to `visit`, with its number: a line each, or the items of a JSON list.
///
/// # Errors
/// Those of `input`, and if a list is no JSON.
pub(crate) fn rows(input: &mut dyn BufRead, visit: &mut Visit<'_>) -> Result<(), RowsFault> {
    let head = input.fill_buf().map_err(RowsFault::Io)?;
    let mark = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    if !is_list(head.get(mark..).unwrap_or_default()) {
        return each(input, visit).map_err(RowsFault::Io);
    }
    input.consume(mark);
    let mut parser = serde_json::Deserializer::from_reader(input);
    parser.deserialize_seq(Items(visit))?;
    Ok(parser.end()?)
}

/// Whether a file that begins so is one JSON list: no line of lines may stand for itself and have others behind it.
fn is_list(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    let (line, rest) = head.split_at(head.iter().position(|byte| *byte == b'\n').unwrap_or(head.len()));
    let is_row = serde_json::from_slice::<IgnoredAny>(line).is_ok() && !rest.trim_ascii().is_empty();
    head.starts_with(b"[") && !is_row
}

/// The items of a list, one after another.
struct Items<'a, 'v>(&'a mut Visit<'v>);

impl<'de> Visitor<'de> for Items<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(item) = items.next_element::<Box<RawValue>>()? {
            number += 1;
            let bytes = item.get().as_bytes();
            match bytes.get(..=MAX_LINE) {
                Some(head) => (self.0)(number, InputLine::TooLong(head)),
                None => (self.0)(number, InputLine::Whole(bytes)),
            }
        }
        Ok(())
    }
}

/// Shows every line of `input` to `visit`, with its number.
///
/// # Errors
/// Those of `input`.
pub(crate) fn each(input: impl BufRead, visit: &mut Visit<'_>) -> io::Result<()> {
    let mut lines = InputLines::new(input, MAX_LINE);
    while let Some((number, line)) = lines.next()? {
        visit(number, line);
    }
    Ok(())
}

/// Opens what is a regular file: opening a pipe would wait for its writer, reading a device would never end.
fn open_regular(path: &Path, key: &'static str) -> Result<(File, Metadata), SourceError> {
    let named = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SourceError::Missing { path: path.to_owned(), key },
        _ => SourceError::Unreadable(FsError { action: "open", path: path.to_owned(), source }),
    };
    refuse_special(path, key, &std::fs::metadata(path).map_err(named)?)?;
    let file = fs::open(path).map_err(SourceError::Unreadable)?;
    let metadata = file.metadata().map_err(named)?;
    refuse_special(path, key, &metadata)?;
    Ok((file, metadata))
}

fn refuse_special(path: &Path, key: &'static str, metadata: &Metadata) -> Result<(), SourceError> {
    let kind = metadata.file_type();
    let kind = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(SourceError::NotAFile { path: path.to_owned(), kind, key })
}

fn same(before: &Metadata, after: &Metadata) -> bool {
    before.len() == after.len() && before.modified().ok() == after.modified().ok()
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> SourceError {
    SourceError::Io(FsError { action, path: path.to_owned(), source })
}

/// Tells a bad disk from bad data: only the first comes with a code of the operating system.
pub(crate) fn undecodable(path: &Path, compression: &'static str, error: io::Error) -> SourceError {
    if error.raw_os_error().is_some() {
        return failed("read", path, error);
    }
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::UnexpectedEof => SourceError::CutShort { path, compression },
        _ => SourceError::Damaged { path, compression, detail: error.to_string() },
    }
}

/// A file that is hashed as it is read.
struct Digesting<'a> {
    file: File,
    hasher: Sha256,
    bytes: u64,
    progress: &'a Progress,
}

impl Read for Digesting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        self.progress.work(count as u64);
        Ok(count)
    }
}

fn hex(hasher: Sha256) -> String {
    format!("{:x}", hasher.finalize())
}
