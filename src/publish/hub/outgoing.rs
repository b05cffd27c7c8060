//! The files that are to be in a commit.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream;
use reqwest::Body;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use sha2::{Digest, Sha256};

use super::mark::{HubMark, MARK};
use super::tree::RemoteFile;
use crate::publish::blob::OnBytes;
use crate::store::fs::{self, FsError};
use crate::store::part::FileEntry;

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 20;

/// How much of a file's start the hub looks at to decide how to keep it.
const SAMPLE: u64 = 512;

/// A file that is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutgoingFile {
    /// As a manifest lists it.
    pub(super) entry: FileEntry,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    At(PathBuf),
    Here(Vec<u8>),
}

impl OutgoingFile {
    /// A file of the compiled folder.
    pub(super) fn compiled(folder: &Path, entry: &FileEntry) -> Self {
        Self { entry: entry.clone(), content: Content::At(folder.join(&entry.path)) }
    }

    /// The mark.
    pub(super) fn mark(mark: &HubMark) -> Self {
        let text = mark.text();
        let sha256 = format!("{:x}", Sha256::digest(&text));
        let entry = FileEntry { path: MARK.to_owned(), bytes: text.len() as u64, rows: None, sha256 };
        Self { entry, content: Content::Here(text) }
    }

    /// Whether it is what the hub has there.
    pub(super) fn is(&self, remote: &RemoteFile) -> Result<bool, FsError> {
        if remote.bytes != self.entry.bytes {
            return Ok(false);
        }
        match &remote.sha256 {
            Some(sha256) => Ok(*sha256 == self.entry.sha256),
            None => Ok(self.oid()? == remote.oid),
        }
    }

    /// By which git names the content: SHA-1 over kind, size and content.
    fn oid(&self) -> Result<String, FsError> {
        let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        hash.update(format!("blob {}\0", self.entry.bytes).as_bytes());
        let mut content = self.open(0)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = content.read(&mut buffer).map_err(|error| self.unread(error))?;
            if count == 0 {
                return Ok(hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect());
            }
            hash.update(buffer.get(..count).unwrap_or_default());
        }
    }

    /// Its first bytes.
    pub(super) fn sample(&self) -> Result<Vec<u8>, FsError> {
        self.piece(SAMPLE)
    }

    /// All of it; what the hub keeps in git itself is small.
    pub(super) fn whole(&self) -> Result<Vec<u8>, FsError> {
        self.piece(self.entry.bytes)
    }

    fn piece(&self, bytes: u64) -> Result<Vec<u8>, FsError> {
        let mut piece = Vec::new();
        self.open(0)?.take(bytes).read_to_end(&mut piece).map_err(|error| self.unread(error))?;
        Ok(piece)
    }

    fn open(&self, offset: u64) -> Result<Box<dyn Read + Send>, FsError> {
        match &self.content {
            Content::Here(text) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                Ok(Box::new(Cursor::new(text.get(start..).unwrap_or_default().to_vec())))
            }
            Content::At(path) => {
                let mut file = fs::open(path)?;
                file.seek(SeekFrom::Start(offset)).map_err(|error| self.unread(error))?;
                Ok(Box::new(file))
            }
        }
    }

    fn unread(&self, source: io::Error) -> FsError {
        FsError { action: "read", path: PathBuf::from(&self.entry.path), source }
    }

    /// `bytes` of it from `offset`, read while they are sent. What cannot be read breaks the request off.
    pub(super) fn body(&self, offset: u64, bytes: u64, on_bytes: &OnBytes) -> Result<Body, FsError> {
        let (file, on_bytes) = (self.open(offset)?.take(bytes), Arc::clone(on_bytes));
        Ok(Body::wrap_stream(stream::try_unfold(file, move |file| {
            let on_bytes = Arc::clone(&on_bytes);
            async move {
                let (piece, file) =
                    tokio::task::spawn_blocking(move || next_piece(file)).await.map_err(io::Error::other)??;
                on_bytes(piece.len() as u64, true);
                Ok::<_, io::Error>(Some((piece, file)).filter(|(piece, _)| !piece.is_empty()))
            }
        })))
    }
}

/// The next bytes of something, none at its end.
fn next_piece<R: Read>(mut from: R) -> io::Result<(Vec<u8>, R)> {
    let mut piece = vec![0; BUFFER];
    let count = from.read(&mut piece)?;
    piece.truncate(count);
    Ok((piece, from))
}
