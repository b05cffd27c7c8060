//! The files of a corpus: found, told apart, read from the start to the end, and read again line by line.
//!
//! A plain JSONL file is read twice where it lies. What cannot be read at a place (compressed lines, Parquet) is put on
//! disk as lines in a file without a name the first time. Lines are found by one number: where they would be if all files
//! stood one behind the other.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::error::CorpusError;
use super::line::{FieldNames, LONGEST};
use super::table;
use crate::store::fs::{self, FsError, ScratchFile};

/// Bytes of lines that are worked on together.
const BLOCK: usize = 1 << 18;
/// What files in a folder are called that are read.
const ENDINGS: [&str; 8] =
    [".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".jsonl.zst", ".ndjson.zst", ".parquet", ".json"];

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Lines.
    Plain,
    /// Lines compressed by gzip.
    Gzip,
    /// Lines compressed by Zstandard.
    Zstd,
    /// A table.
    Parquet,
}

/// What tells whether a file is still the one that was read.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file of the corpus.
#[derive(Debug)]
pub(super) struct CorpusFile {
    pub(super) path: PathBuf,
    pub(super) kind: FileKind,
    file: File,
    stamp: Stamp,
    /// Where its lines begin among those of all files.
    pub(super) start: u64,
    /// Where they begin in the file of lines that was made of it.
    copied_to: u64,
}

/// The files of a corpus.
#[derive(Debug)]
pub(super) struct CorpusFiles {
    pub(super) files: Vec<CorpusFile>,
    copy: Option<ScratchFile>,
    folder: Option<PathBuf>,
    length: u64,
}

/// Gives whole lines of a file, one block at a time, until there is none. Takes a block that is done with, whose memory it uses.
pub(super) type LineBlocks = Box<dyn FnMut(Vec<u8>) -> Result<Option<Vec<u8>>, CorpusError>>;

impl FileKind {
    fn of(head: &[u8]) -> Result<Self, &'static str> {
        Ok(match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // The second: a skippable frame, which parallel compressors put first.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'P', b'A', b'R', b'1', ..] => Self::Parquet,
            [b'P', b'K', 3, 4, ..] => return Err("is a zip archive: unpack it"),
            [b'B', b'Z', b'h', ..] => return Err("is a bzip2 file: unpack it, or compress it with gzip or zstd"),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => {
                return Err("is an xz file: unpack it, or compress it with gzip or zstd");
            }
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                return Err("is UTF-16 text: convert it, as with `iconv -f UTF-16 -t UTF-8`");
            }
            _ => Self::Plain,
        })
    }
}

impl Stamp {
    fn of(path: &Path) -> Result<Self, CorpusError> {
        let about = path.metadata().map_err(|source| FsError { action: "look at", path: path.to_owned(), source })?;
        Ok(Self {
            file: (about.dev(), about.ino()),
            length: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }
}

impl CorpusFile {
    fn open(path: PathBuf) -> Result<Self, CorpusError> {
        let stamp = Stamp::of(&path)?;
        let file = fs::open(&path)?;
        let mut head = Vec::new();
        (&file).take(8).read_to_end(&mut head).map_err(|source| failed(&path, source))?;
        match FileKind::of(&head) {
            Ok(kind) => Ok(Self { path, kind, file, stamp, start: 0, copied_to: 0 }),
            Err(problem) => Err(CorpusError::Unreadable { path, problem: problem.to_owned() }),
        }
    }

    /// What its records are counted by.
    pub(super) fn unit(&self) -> &'static str {
        if self.kind == FileKind::Parquet { "row" } else { "line" }
    }

    /// Its lines; those of a table have the two fields that `names` says.
    pub(super) fn blocks(&self, names: &FieldNames) -> Result<LineBlocks, CorpusError> {
        // Opened anew: what shares an open file shares its position.
        let (path, file) = (self.path.clone(), fs::open(&self.path)?);
        let reader = BufReader::with_capacity(1 << 17, file);
        Ok(match self.kind {
            // Blocks are large: a buffer before them would only be copied.
            FileKind::Plain => blocks_of(reader.into_inner(), path),
            FileKind::Gzip => blocks_of(MultiGzDecoder::new(reader), path),
            FileKind::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(reader).map_err(|error| failed(&path, error))?;
                blocks_of(decoder, path)
            }
            FileKind::Parquet => {
                let mut blocks = table::lines(&path, reader.into_inner(), names)?;
                Box::new(move |_| blocks.next().transpose())
            }
        })
    }

    /// Fails if it is no longer what it was when it was opened.
    pub(super) fn check_unchanged(&self) -> Result<(), CorpusError> {
        match Stamp::of(&self.path) {
            Ok(stamp) if stamp == self.stamp => Ok(()),
            _ => Err(CorpusError::Changed { path: self.path.clone() }),
        }
    }
}

impl CorpusFiles {
    /// The files that `inputs` name, each a file or a folder of them. What has to be copied goes to `folder`;
    /// without one they are read once.
    pub(super) fn find(inputs: &[PathBuf], folder: Option<&Path>) -> Result<Self, CorpusError> {
        let mut files = Vec::new();
        for input in inputs {
            for path in expand(input)? {
                files.push(CorpusFile::open(path)?);
            }
        }
        let is_table = |file: &CorpusFile| file.kind == FileKind::Parquet;
        if let (Some(table), Some(lines)) =
            (files.iter().find(|file| is_table(file)), files.iter().find(|file| !is_table(file)))
        {
            let [table, lines] = [table, lines].map(|file| file.path.display());
            return Err(CorpusError::Mixed(format!("{table} is Parquet and {lines} is not: read one or the other")));
        }
        Ok(Self { files, copy: None, folder: folder.map(Path::to_owned), length: 0 })
    }

    /// Whether the corpus is made of tables.
    pub(super) fn are_tables(&self) -> bool {
        self.files.first().is_some_and(|file| file.kind == FileKind::Parquet)
    }

    /// Notes that the next lines are of the file with this number.
    pub(super) fn begin(&mut self, number: usize) -> Result<(), CorpusError> {
        let Some(file) = self.files.get_mut(number) else { return Ok(()) };
        file.start = self.length;
        if let Some(folder) = self.folder.as_ref().filter(|_| file.kind != FileKind::Plain) {
            if self.copy.is_none() {
                self.copy = Some(ScratchFile::create(folder, "dedup-lines")?);
            }
            file.copied_to = self.copy.as_ref().map_or(0, ScratchFile::len);
        }
        Ok(())
    }

    /// Notes a block of the file with this number, and copies it if it could not be read again; says where it begins.
    pub(super) fn take(&mut self, number: usize, block: &[u8]) -> Result<u64, CorpusError> {
        let start = self.length;
        self.length += block.len() as u64;
        let is_plain = self.files.get(number).is_some_and(|file| file.kind == FileKind::Plain);
        if let Some(copy) = self.copy.as_mut().filter(|_| !is_plain) {
            copy.append(block)?;
        }
        Ok(start)
    }

    /// Ends the first reading.
    pub(super) fn finish(&mut self) -> Result<(), CorpusError> {
        if let Some(copy) = &mut self.copy {
            copy.flush()?;
        }
        self.check_unchanged()
    }

    /// Fails if a file changed since it was opened.
    pub(super) fn check_unchanged(&self) -> Result<(), CorpusError> {
        self.files.iter().try_for_each(CorpusFile::check_unchanged)
    }

    /// Reads a line again, to the end of `lines`.
    pub(super) fn append_line(&self, offset: u64, length: u32, lines: &mut Vec<u8>) -> Result<(), CorpusError> {
        let Some(file) = self.file_at(offset) else { return Ok(()) };
        let (start, within) = (lines.len(), offset - file.start);
        lines.resize(start + length as usize, 0);
        let line = lines.get_mut(start..).unwrap_or_default();
        if let Some(copy) = self.copy.as_ref().filter(|_| file.kind != FileKind::Plain) {
            return Ok(copy.read_exact_at(file.copied_to + within, line)?);
        }
        let read = fs::read_exact_at(&file.file, &file.path, within, line);
        read.map_err(|error| match error.source.kind() {
            io::ErrorKind::UnexpectedEof => CorpusError::Changed { path: file.path.clone() },
            _ => error.into(),
        })
    }

    /// The file that holds a place.
    pub(super) fn file_at(&self, offset: u64) -> Option<&CorpusFile> {
        // Of files that begin at one place all but the last are empty.
        self.files.get(self.files.partition_point(|file| file.start <= offset).checked_sub(1)?)
    }

    /// Where a record is, for people: its file and line.
    pub(super) fn describe(&self, offset: u64, names: &FieldNames) -> Result<String, CorpusError> {
        let Some(file) = self.file_at(offset) else { return Ok(String::new()) };
        let (mut at, mut number, mut blocks) = (file.start, 1, file.blocks(names)?);
        while let Some(block) = blocks(Vec::new())? {
            let before = usize::try_from(offset - at).unwrap_or(usize::MAX).min(block.len());
            number += block.iter().take(before).filter(|byte| **byte == b'\n').count();
            at += block.len() as u64;
            if at > offset {
                break;
            }
        }
        Ok(format!("{}, {} {number}", file.path.display(), file.unit()))
    }
}

/// A file as it is, a folder as the files in it that have the name of a corpus, in the order of their names.
fn expand(input: &Path) -> Result<Vec<PathBuf>, CorpusError> {
    let Ok(about) = input.metadata() else { return Err(CorpusError::Missing { path: input.to_owned() }) };
    if about.is_file() {
        return Ok(vec![input.to_owned()]);
    }
    let refuse = |problem: &str| Err(CorpusError::Unreadable { path: input.to_owned(), problem: problem.to_owned() });
    if !about.is_dir() {
        return refuse("is neither a file nor a folder");
    }
    let names = fs::list(input)?;
    let wanted =
        names.iter().filter(|name| !name.starts_with(['.', '_']) && ENDINGS.iter().any(|end| name.ends_with(end)));
    let paths: Vec<PathBuf> = wanted.map(|name| input.join(name)).filter(|path| path.is_file()).collect();
    if paths.is_empty() {
        return refuse("holds no file whose name ends in .jsonl, .jsonl.gz, .jsonl.zst or .parquet");
    }
    Ok(paths)
}

/// Cuts what a reader gives into blocks that end with a line.
struct BlockReader<R> {
    reader: Option<R>,
    /// The start of a line that goes on in the next block.
    begun: Vec<u8>,
}

impl<R: Read> BlockReader<R> {
    fn new(reader: R) -> Self {
        Self { reader: Some(reader), begun: Vec::new() }
    }

    /// The next block, in the memory of `block`.
    fn read(&mut self, mut block: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        block.clear();
        block.append(&mut self.begun);
        block.reserve(BLOCK);
        while let Some(reader) = &mut self.reader {
            let start = block.len();
            if reader.take(BLOCK as u64).read_to_end(&mut block)? == 0 {
                self.reader = None;
            } else if let Some(end) = block.iter().skip(start).rposition(|byte| *byte == b'\n') {
                self.begun.extend(block.drain(start + end + 1..));
                return Ok(Some(block));
            } else if block.len() > LONGEST {
                // No record is that long; whoever reads the line says so.
                return Ok(Some(block));
            }
        }
        Ok(Some(block).filter(|block| !block.is_empty()))
    }
}

fn blocks_of(reader: impl Read + 'static, path: PathBuf) -> LineBlocks {
    let mut blocks = BlockReader::new(reader);
    Box::new(move |block| blocks.read(block).map_err(|error| failed(&path, error)))
}

/// Tells a bad disk from bad data: only the first comes with a code of the operating system.
fn failed(path: &Path, source: io::Error) -> CorpusError {
    if source.raw_os_error().is_some() {
        return FsError { action: "read", path: path.to_owned(), source }.into();
    }
    CorpusError::Damaged { path: path.to_owned(), detail: source.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte more or less each time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn blocks_are_whole_lines_and_together_the_file() {
        let lines: String = (0..60_000).map(|number| format!("line {number} {}\n", "x".repeat(number % 97))).collect();
        for text in [lines.as_str(), &lines[..lines.len() - 1], "", "\n", "one", &"y".repeat(3 << 20)] {
            for step in [usize::MAX, 70_001] {
                let mut reader = BlockReader::new(Trickle(text.as_bytes(), step));
                let blocks: Vec<Vec<u8>> = std::iter::from_fn(|| reader.read(b"old".to_vec()).unwrap()).collect();
                assert_eq!(blocks.concat(), text.as_bytes());
                let whole = blocks.iter().rev().skip(1).all(|block| block.ends_with(b"\n"));
                assert!(whole && blocks.iter().all(|block| !block.is_empty()));
            }
        }
    }
}
