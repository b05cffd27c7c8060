//! Files that count only when they are complete: written beside, hashed on the way, renamed when synced.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::fs::{self, FsError, NewFile};

const BUFFER: usize = 1 << 18;

/// One file as a manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Where it is, relative to the manifest's folder, with `/`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its rows; `null` where it is no table.
    pub rows: Option<u64>,
    /// SHA-256 of its content, in lower-case hex.
    pub sha256: String,
}

impl FileEntry {
    /// Describes a file that is there.
    pub fn of(root: &Path, relative: &str, rows: Option<u64>) -> Result<Self, FsError> {
        let (bytes, sha256) = hash_file(&root.join(relative))?;
        Ok(Self { path: relative.to_owned(), bytes, rows, sha256 })
    }
}

/// Size and SHA-256 (lower-case hex) of a file.
pub(crate) fn hash_file(path: &Path) -> Result<(u64, String), FsError> {
    let failed = |source| FsError { action: "read", path: path.to_owned(), source };
    let mut file = fs::open(path)?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok((bytes, format!("{:x}", hash.finalize()))),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        bytes += count as u64;
        hash.update(buffer.get(..count).unwrap_or_default());
    }
}

/// Whether a manifest may list this path: relative, downwards only, and spelled in one way.
pub(crate) fn is_inner_path(relative: &str) -> bool {
    let parts: Vec<_> = Path::new(relative).components().collect();
    let plain = parts.iter().all(|part| matches!(part, Component::Normal(_)));
    let spelled = parts.iter().filter_map(|part| part.as_os_str().to_str()).collect::<Vec<_>>().join("/");
    plain && !parts.is_empty() && spelled == relative
}

/// A file on its way. It has its name only after [`finish`](PartFile::finish); what was begun and not finished is
/// left under a temporary name and does not count.
#[derive(Debug)]
pub(crate) struct PartFile {
    file: BufWriter<NewFile>,
    path: PathBuf,
    relative: String,
    hash: Sha256,
    bytes: u64,
}

impl PartFile {
    /// Begins the file `relative`, a path below `root` with `/`. Folders on the way are made.
    pub(crate) fn create(root: &Path, relative: &str) -> Result<Self, FsError> {
        let path = root.join(relative);
        if !is_inner_path(relative) {
            return Err(FsError { action: "create", path, source: io::ErrorKind::InvalidInput.into() });
        }
        fs::create_dir_all(fs::folder_of(&path))?;
        let file = BufWriter::with_capacity(BUFFER, fs::create_temporary(&path)?);
        Ok(Self { file, path, relative: relative.to_owned(), hash: Sha256::new(), bytes: 0 })
    }

    /// Writes all of `bytes`.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.write_all(bytes).map_err(|source| self.failed(source))
    }

    /// Reads `length` bytes from `offset` of what was written.
    pub(crate) fn read_at(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, FsError> {
        // Bytes that are still in the buffer are not in the file.
        if offset + length as u64 > self.bytes - self.file.buffer().len() as u64 {
            self.file.flush().map_err(|source| self.failed(source))?;
        }
        self.file.get_ref().read_at(offset, length)
    }

    /// Gives up what was written.
    pub(crate) fn discard(self) -> Result<(), FsError> {
        let path = self.file.get_ref().path().to_owned();
        drop(self.file.into_parts());
        fs::remove_if_there(&path)
    }

    pub(super) fn failed(&self, source: io::Error) -> FsError {
        FsError { action: "write", path: self.path.clone(), source }
    }

    /// Makes the file durable and gives it its name.
    pub(crate) fn finish(mut self, rows: Option<u64>) -> Result<FileEntry, FsError> {
        self.file.flush().map_err(|source| self.failed(source))?;
        self.file.get_mut().publish(&self.path)?;
        let sha256 = format!("{:x}", self.hash.finalize());
        Ok(FileEntry { path: self.relative, bytes: self.bytes, rows, sha256 })
    }
}

impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or(bytes));
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes one JSON object a line.
#[derive(Debug)]
pub(crate) struct JsonlWriter {
    part: PartFile,
    rows: u64,
    line: Vec<u8>,
}

/// Where a row is in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowPlace {
    /// The first byte.
    pub offset: u64,
    /// Bytes, the newline included.
    pub length: usize,
}

impl JsonlWriter {
    /// Begins the file `relative` below `root`.
    pub(crate) fn create(root: &Path, relative: &str) -> Result<Self, FsError> {
        Ok(Self { part: PartFile::create(root, relative)?, rows: 0, line: Vec::new() })
    }

    /// Adds a row, and says where it is.
    pub(crate) fn push<T: Serialize + ?Sized>(&mut self, row: &T) -> Result<RowPlace, FsError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, row).map_err(|error| self.part.failed(error.into()))?;
        self.line.push(b'\n');
        self.rows += 1;
        let place = RowPlace { offset: self.part.bytes, length: self.line.len() };
        self.part.append(&self.line)?;
        Ok(place)
    }

    /// Reads a row back.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, place: RowPlace) -> Result<T, FsError> {
        let bytes = self.part.read_at(place.offset, place.length)?;
        serde_json::from_slice(&bytes).map_err(|error| self.part.failed(error.into()))
    }

    /// Reads all rows back, in their order.
    pub(crate) fn read_all<T: DeserializeOwned>(
        &mut self,
    ) -> Result<impl Iterator<Item = Result<T, FsError>>, FsError> {
        self.part.file.flush().map_err(|source| self.part.failed(source))?;
        let path = self.part.file.get_ref().path().to_owned();
        let rows = serde_json::Deserializer::from_reader(BufReader::new(fs::open(&path)?)).into_iter::<T>();
        Ok(rows
            .map(move |row| row.map_err(|error| FsError { action: "read", path: path.clone(), source: error.into() })))
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of all rows.
    pub(crate) fn bytes(&self) -> u64 {
        self.part.bytes
    }

    /// Gives up what was written.
    pub(crate) fn discard(self) -> Result<(), FsError> {
        self.part.discard()
    }

    /// Makes the file durable and gives it its name.
    pub(crate) fn finish(self) -> Result<FileEntry, FsError> {
        self.part.finish(Some(self.rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fs::faults;

    #[test]
    fn what_is_listed_is_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = JsonlWriter::create(folder.path(), "data/part.jsonl").unwrap();
        assert_eq!(fs::list_files(&folder.path().join("data")).unwrap().len(), 1, "only the unfinished file");
        assert!(!folder.path().join("data/part.jsonl").exists());
        rows.push(&serde_json::json!({"a": 1})).unwrap();
        rows.push(&serde_json::json!({"a": "ü"})).unwrap();
        let entry = rows.finish().unwrap();
        assert_eq!((entry.rows, entry.path.as_str()), (Some(2), "data/part.jsonl"));
        assert_eq!(FileEntry::of(folder.path(), "data/part.jsonl", Some(2)).unwrap(), entry);
        assert_eq!(fs::read_to_string(&folder.path().join("data/part.jsonl")).unwrap(), "{\"a\":1}\n{\"a\":\"ü\"}\n");
    }

    #[test]
    fn the_hash_is_the_one_others_compute() {
        let folder = tempfile::tempdir().unwrap();
        let entry = {
            let mut part = PartFile::create(folder.path(), "abc").unwrap();
            part.append(b"abc").unwrap();
            part.finish(None).unwrap()
        };
        // FIPS 180-2, appendix B.1.
        assert_eq!(entry.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_file_that_failed_has_no_name() {
        for action in ["create", "write", "sync", "rename"] {
            let folder = tempfile::tempdir().unwrap();
            let _fault = faults::fail(folder.path(), action, 1);
            let made = PartFile::create(folder.path(), "file").and_then(|mut part| {
                part.append(b"content")?;
                part.finish(None)
            });
            assert!(made.is_err() && !folder.path().join("file").exists(), "{action}");
        }
    }

    #[test]
    fn names_stay_below_their_folder() {
        for name in ["a", "data/a.jsonl", "a b/ü"] {
            assert!(is_inner_path(name), "{name}");
        }
        for name in ["", ".", "../a", "a/../b", "/a", "a/", "a//b", "./a", "a/./b"] {
            assert!(!is_inner_path(name), "{name}");
            assert!(PartFile::create(Path::new("/nowhere"), name).is_err());
        }
    }
}
