//! One file of the journal: its name, its header, its lines, and the one that is being written.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::frame::{self, EntryKind, EntryText, FORMAT, FrameError, JournalEntry};
use crate::store::fs::{self, FsError, NewFile};

const EXTENSION: &str = ".jsonl";

/// The body of a segment's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub format: u64,
    pub run_id: String,
    /// What the segment before this one was when this one was begun; `None` in the first.
    pub previous: Option<Previous>,
}

/// How a finished segment is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Previous {
    /// The number of its last entry.
    pub last_seq: u64,
    /// BLAKE3 of the whole file, in hex.
    pub blake3: String,
}

/// Where a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    pub segment: u32,
    /// Bytes, newline not included.
    pub length: u32,
    pub offset: u64,
}

/// The file of a segment.
pub(super) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}{EXTENSION}"))
}

/// The numbers of the segments in a folder, in order. A folder that does not exist has none.
pub(super) fn numbers(dir: &Path) -> Result<Vec<u32>, FsError> {
    let names = match fs::list(dir) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        names => names?,
    };
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(EXTENSION)?;
    let number = digits.parse().ok()?;
    (format!("{number:08}") == digits).then_some(number)
}

/// A line of a segment, sound or not.
#[derive(Debug)]
pub(super) struct SegmentLine<'a> {
    pub offset: u64,
    /// Without the newline.
    pub bytes: &'a [u8],
    pub entry: Result<JournalEntry<'a>, FrameError>,
}

/// The lines of a segment. The last one may lack its newline.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = SegmentLine<'_>> {
    let mut offset = 0;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let start = rest;
        // On a slice this cannot fail; it finds the newline faster than an iterator over bytes.
        let length = rest.skip_until(b'\n').ok().filter(|length| *length > 0)?;
        let whole = start.get(..length)?;
        let line = whole.strip_suffix(b"\n").unwrap_or(whole);
        let at = offset;
        offset += length as u64;
        Some(SegmentLine { offset: at, bytes: line, entry: frame::decode(line) })
    })
}

/// The segment that is being written.
///
/// A segment gets its name only when its first bytes are durable, so that there is never one without a header. Nothing
/// else ever writes to it, and after a failure it is not written to again.
#[derive(Debug)]
pub(super) struct ActiveSegment {
    dir: PathBuf,
    run_id: String,
    number: u32,
    file: NewFile,
    length: u64,
    last_seq: u64,
    hash: blake3::Hasher,
}

impl ActiveSegment {
    /// Begins a journal.
    pub(super) fn first(dir: &Path, run_id: &str) -> Result<Self, FsError> {
        Self::begin(dir, run_id, 1, 0, None)
    }

    fn begin(
        dir: &Path,
        run_id: &str,
        number: u32,
        last_seq: u64,
        previous: Option<Previous>,
    ) -> Result<Self, FsError> {
        let seq = last_seq + 1;
        let header = Header { format: FORMAT, run_id: run_id.to_owned(), previous };
        let body = serde_json::to_string(&header).map_err(|source| FsError {
            action: "describe",
            path: path(dir, number),
            source: source.into(),
        })?;
        let mut line = Vec::new();
        let entry = JournalEntry { seq, batch: seq, kind: EntryKind::Segment, key: None, item: None, body: &body };
        frame::encode(&mut line, &entry);
        Self::install(dir, run_id, number, seq, &line)
    }

    /// Makes a segment that holds `bytes`, in place of one with this number, if there is one.
    pub(super) fn install(dir: &Path, run_id: &str, number: u32, last_seq: u64, bytes: &[u8]) -> Result<Self, FsError> {
        let path = path(dir, number);
        let mut file = fs::create_temporary(&path)?;
        file.write_all(bytes)?;
        file.publish(&path)?;
        let mut hash = blake3::Hasher::new();
        hash.update(bytes);
        Ok(Self {
            dir: dir.to_owned(),
            run_id: run_id.to_owned(),
            number,
            file,
            length: bytes.len() as u64,
            last_seq,
            hash,
        })
    }

    /// The size of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Goes on in a new segment. Everything in this one must be durable.
    pub(super) fn rotate(&mut self) -> Result<(), FsError> {
        let previous = Previous { last_seq: self.last_seq, blake3: self.hash.finalize().to_hex().to_string() };
        *self = Self::begin(&self.dir, &self.run_id, self.number + 1, self.last_seq, Some(previous))?;
        Ok(())
    }

    /// Writes one batch and makes it durable.
    pub(super) fn commit<'r>(&mut self, records: impl Iterator<Item = &'r EntryText>) -> Result<(), FsError> {
        let batch = self.last_seq + 1;
        let mut seq = self.last_seq;
        let mut bytes = Vec::new();
        for record in records {
            seq += 1;
            record.write(&mut bytes, seq, batch);
        }
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.hash.update(&bytes);
        self.length += bytes.len() as u64;
        self.last_seq = seq;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segments_are_segments() {
        assert_eq!(number("00000012.jsonl"), Some(12));
        for name in ["12.jsonl", "00000012.jsonl.bak", ".tmp-1-00000012.jsonl", "+0000012.jsonl", "x.jsonl"] {
            assert_eq!(number(name), None, "{name}");
        }
        assert_eq!(numbers(Path::new("/nowhere")).unwrap(), Vec::<u32>::new());
    }

    #[test]
    fn lines_cover_every_byte_once() {
        let found: Vec<_> = lines(b"ab\n\ncd").map(|line| (line.offset, line.bytes)).collect();
        assert_eq!(found, [(0, &b"ab"[..]), (3, b""), (4, b"cd")]);
        assert_eq!(lines(b"").count(), 0);
    }
}
