//! Bytes to lines: whatever the compression, whatever the length of a line, in flat memory.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::{InputDigest, PersonasError, Scan};
use crate::store::fs::{self, FsError};

/// Longest line that is looked at, in bytes. A longer one is skipped as a single rejected row.
pub(super) const MAX_LINE: usize = 1 << 20;
const BUFFER: usize = 1 << 17;

/// One line without its end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line<'a> {
    Whole(&'a [u8]),
    /// The start of a line over [`MAX_LINE`].
    TooLong(&'a [u8]),
}

impl<'a> Line<'a> {
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Whole(bytes) | Self::TooLong(bytes) => bytes,
        }
    }

    pub(super) fn is_blank(self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.trim_ascii().is_empty())
    }
}

/// The lines of an input, numbered from 1. A byte order mark and either line end are taken off.
pub(super) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), number: 0 }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        self.buffer.clear();
        let limit = MAX_LINE as u64 + 1;
        if (&mut self.input).take(limit).read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.buffer.last() != Some(&b'\n') && self.buffer.len() > MAX_LINE {
            self.input.skip_until(b'\n')?;
            return Ok(Some((self.number, Line::TooLong(&self.buffer))));
        }
        let line = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mark: &[u8] = if self.number == 1 { b"\xef\xbb\xbf" } else { b"" };
        Ok(Some((self.number, Line::Whole(line.strip_prefix(mark).unwrap_or(line)))))
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
            [b'P', b'K', 3, 4, ..] => Self::Other("a zip archive", "unpack it"),
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

/// Reads a file through `scan`, and says what it read.
pub(super) fn read_file(path: &Path, scan: &mut Scan<'_>) -> Result<InputDigest, PersonasError> {
    let (file, before) = open_regular(path)?;
    let mut file = Digesting { file, hasher: Sha256::new(), bytes: 0 };
    let reader = BufReader::with_capacity(BUFFER, &mut file);
    rows(path, reader, scan)?;
    let after = file.file.metadata().map_err(|source| failed("read", path, source))?;
    if file.bytes != before.len() || !same(&before, &after) {
        return Err(PersonasError::Changed { path: path.to_owned() });
    }
    Ok(InputDigest { bytes: file.bytes, sha256: hex(file.hasher) })
}

fn rows(path: &Path, mut reader: impl BufRead, scan: &mut Scan<'_>) -> Result<(), PersonasError> {
    let format = Format::of(reader.fill_buf().map_err(|source| failed("read", path, source))?);
    match format {
        Format::Plain => scan.rows(reader).map_err(|source| failed("read", path, source)),
        Format::Gzip => {
            let reader = BufReader::with_capacity(BUFFER, MultiGzDecoder::new(reader));
            scan.rows(reader).map_err(|error| undecodable(path, "gzip", error))
        }
        Format::Zstd => zstd::stream::read::Decoder::with_buffer(reader)
            .and_then(|decoder| scan.rows(BufReader::with_capacity(BUFFER, decoder)))
            .map_err(|error| undecodable(path, "zstd", error)),
        Format::Other(kind, advice) => Err(PersonasError::OtherFormat { path: path.to_owned(), kind, advice }),
    }
}

/// Opens what is a regular file: opening a pipe would wait for its writer, reading a device would never end.
fn open_regular(path: &Path) -> Result<(File, Metadata), PersonasError> {
    let named = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => PersonasError::Missing { path: path.to_owned() },
        _ => PersonasError::Unreadable(FsError { action: "open", path: path.to_owned(), source }),
    };
    refuse_special(path, &std::fs::metadata(path).map_err(named)?)?;
    let file = fs::open(path).map_err(PersonasError::Unreadable)?;
    let metadata = file.metadata().map_err(named)?;
    refuse_special(path, &metadata)?;
    Ok((file, metadata))
}

fn refuse_special(path: &Path, metadata: &Metadata) -> Result<(), PersonasError> {
    let kind = metadata.file_type();
    let kind = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(PersonasError::NotAFile { path: path.to_owned(), kind })
}

fn same(before: &Metadata, after: &Metadata) -> bool {
    before.len() == after.len() && before.modified().ok() == after.modified().ok()
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> PersonasError {
    PersonasError::Io(FsError { action, path: path.to_owned(), source })
}

/// Tells a bad disk from bad data: only the first comes with a code of the operating system.
fn undecodable(path: &Path, compression: &'static str, error: io::Error) -> PersonasError {
    if error.raw_os_error().is_some() {
        return failed("read", path, error);
    }
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::UnexpectedEof => PersonasError::CutShort { path, compression },
        _ => PersonasError::Damaged { path, compression, detail: error.to_string() },
    }
}

/// A file that is hashed as it is read.
struct Digesting {
    file: File,
    hasher: Sha256,
    bytes: u64,
}

impl Read for Digesting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        Ok(count)
    }
}

pub(super) fn digest_of(bytes: &[u8]) -> InputDigest {
    InputDigest { bytes: bytes.len() as u64, sha256: hex(Sha256::new_with_prefix(bytes)) }
}

fn hex(hasher: Sha256) -> String {
    format!("{:x}", hasher.finalize())
}
