//! A file cut into blocks, read from the start, each with its id and its checksum.
//!
//! A block's id is `cgv1`, its number as a 32-bit big-endian integer, and the start of its content's BLAKE3. A block that
//! another version of the file left behind can therefore never get into this one, and one of this version that arrived
//! earlier is found again. All ids under one name must be of one length: where another tool left blocks, ours take on the
//! length of theirs.
//!
//! That the file is what its manifest says is made sure of in two ways. One that fits into a block is hashed before it is
//! sent. A larger one was hashed when it was compiled, and hashing it again would double the cost of sending it on machines
//! without instructions for SHA: its size must be right, and nothing about it (inode, size, times of change) may differ
//! between its first byte and its commit. What arrived can be read back and compared at any time.

use std::fs::File;
use std::ops::Deref;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use azure_core::Bytes;
use crc_fast::CrcAlgorithm;
use md5::{Digest, Md5};

use crate::config::upload::Checksum;
use crate::store::fs::{self, FsError};

/// The most blocks that a blob can have.
const MOST_BLOCKS: u64 = 50_000;

/// Sizes of blocks grow in steps of this.
const STEP: u64 = 1 << 20;

/// What ids begin with: the tool and the version of their form.
const TAG: [u8; 4] = *b"cgv1";

/// The length of an id where no others are to be matched.
pub(super) const ID_LENGTH: usize = 24;

/// The shortest id that still tells contents apart: tag, number, and 64 bits of hash.
pub(super) const SHORTEST_ID: usize = 16;

/// How a file is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockPlan {
    /// The file's size.
    pub(super) bytes: u64,
    /// The size of every block but the last.
    pub(super) block: u64,
}

impl BlockPlan {
    /// Blocks of the size asked for, or larger where there would be too many.
    pub(super) fn new(bytes: u64, asked: u64) -> Self {
        let needed = bytes.div_ceil(MOST_BLOCKS).next_multiple_of(STEP);
        Self { bytes, block: asked.max(needed) }
    }

    /// How many blocks there are.
    pub(super) fn count(self) -> u64 {
        self.bytes.div_ceil(self.block)
    }

    fn length(self, number: u64) -> usize {
        let left = self.bytes.saturating_sub(number * self.block);
        usize::try_from(left.min(self.block)).unwrap_or(usize::MAX)
    }
}

/// A block that was read.
#[derive(Debug)]
pub(super) struct Block {
    /// Its place, from 0.
    pub(super) number: u64,
    /// Its name at the service.
    pub(super) id: Vec<u8>,
    /// Its content.
    pub(super) content: Bytes,
}

/// The id of a block, `length` bytes long.
pub(super) fn id(number: u64, content: &[u8], length: usize) -> Vec<u8> {
    let mut id = TAG.to_vec();
    // A plan has at most 50,000 blocks.
    id.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
    let hash = blake3::hash(content);
    id.extend(hash.as_bytes().iter().take(ID_LENGTH - id.len()));
    id.resize(length, 0);
    id
}

/// CRC-64/NVME, which is Azure's, as it goes into headers: little-endian.
pub(super) fn crc64(content: &[u8]) -> [u8; 8] {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, content).to_le_bytes()
}

/// A file that is being sent.
#[derive(Debug)]
pub(super) struct FileSource {
    file: File,
    path: PathBuf,
    state: State,
    pool: Pool,
    /// Of what was read so far, from the start, where it is asked for.
    md5: Option<Md5>,
}

/// What changes when a file does.
#[derive(Debug, PartialEq, Eq)]
struct State([i128; 7]);

impl FileSource {
    /// Opens a file.
    pub(super) fn open(path: &Path, checksum: Checksum) -> Result<Self, FsError> {
        let file = fs::open(path)?;
        let state = state(&file, path)?;
        let md5 = (checksum == Checksum::Md5).then(Md5::new);
        Ok(Self { file, path: path.to_owned(), state, pool: Pool::default(), md5 })
    }

    /// Its size when it was opened.
    pub(super) fn bytes(&self) -> Result<u64, FsError> {
        Ok(named(&self.path, self.file.metadata())?.len())
    }

    /// Whether it is still what was opened.
    pub(super) fn is_unchanged(&self) -> Result<bool, FsError> {
        Ok(state(&self.file, &self.path)? == self.state)
    }

    /// The next blocks must be read in order, so that the hash of the whole is right.
    pub(super) fn read(&mut self, plan: BlockPlan, number: u64, id_length: usize) -> Result<Block, FsError> {
        let mut buffer = self.pool.take(plan.length(number));
        named(&self.path, self.file.read_exact_at(&mut buffer.bytes, number * plan.block))?;
        if let Some(md5) = &mut self.md5 {
            md5.update(&*buffer);
        }
        let id = id(number, &buffer, id_length);
        Ok(Block { number, id, content: Bytes::from_owner(buffer) })
    }

    /// The MD5 of what was read.
    pub(super) fn finish_md5(&mut self) -> Option<Vec<u8>> {
        self.md5.take().map(|md5| md5.finalize().to_vec())
    }
}

fn named<T>(path: &Path, result: std::io::Result<T>) -> Result<T, FsError> {
    result.map_err(|source| FsError { action: "read", path: path.to_owned(), source })
}

fn state(file: &File, path: &Path) -> Result<State, FsError> {
    let of = named(path, file.metadata())?;
    let numbers = [of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec()].map(i128::from);
    let [a, b, c, d] = numbers;
    Ok(State([i128::from(of.dev()), i128::from(of.ino()), i128::from(of.len()), a, b, c, d]))
}

/// Buffers that were sent and can be filled again: asking the system for fresh ones costs more than reading the file.
#[derive(Debug, Clone, Default)]
struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    fn take(&self, length: usize) -> Buffer {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        bytes.resize(length, 0);
        Buffer { bytes, pool: self.clone() }
    }
}

/// A buffer on loan, which goes back when the last holder lets go of it.
#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    pool: Pool,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_cover_a_file_and_are_never_too_many(bytes in 1u64..1 << 45, asked in (1u64..64).prop_map(|mib| mib << 20)) {
            let plan = BlockPlan::new(bytes, asked);
            prop_assert!(plan.count() <= MOST_BLOCKS && plan.block >= asked);
            prop_assert!((plan.count() - 1) * plan.block < bytes && plan.count() * plan.block >= bytes);
            prop_assert_eq!(BlockPlan::new(bytes, plan.block), plan, "a plan stays when it is made anew");
        }
    }

    #[test]
    fn an_id_holds_place_and_content() {
        let first = id(0, b"one", ID_LENGTH);
        assert_eq!((first.len(), first.get(..8)), (24, Some(&b"cgv1\0\0\0\0"[..])));
        assert_eq!(first.get(8..), blake3::hash(b"one").as_bytes().get(..16));
        assert!(first != id(1, b"one", ID_LENGTH) && first != id(0, b"two", ID_LENGTH));
        for length in [SHORTEST_ID, 36, 64] {
            assert_eq!(id(0, b"one", length).len(), length);
            assert_ne!(id(0, b"one", length), id(0, b"two", length));
        }
    }

    /// The check value of CRC-64/NVME in the catalogue of parametrised CRC algorithms.
    #[test]
    fn the_checksum_is_the_catalogued_one() {
        assert_eq!(crc64(b"123456789"), 0xae8b_1486_0a79_9888_u64.to_le_bytes());
    }

    #[test]
    fn a_file_is_read_in_blocks_through_few_buffers_and_a_change_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content: Vec<u8> = (0..2_500_000u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
        fs::write_atomic(&path, &content).unwrap();
        let mut source = FileSource::open(&path, Checksum::Md5).unwrap();
        let plan = BlockPlan::new(source.bytes().unwrap(), STEP);
        let mut whole = Vec::new();
        for number in 0..plan.count() {
            let block = source.read(plan, number, ID_LENGTH).unwrap();
            assert_eq!(block.id, id(number, &block.content, ID_LENGTH));
            whole.extend_from_slice(&block.content);
        }
        assert!(whole == content);
        assert_eq!(source.pool.0.lock().unwrap().len(), 1, "one buffer was enough");
        assert_eq!(source.finish_md5().unwrap(), Md5::digest(&content).to_vec());
        assert!(source.is_unchanged().unwrap());
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_at(b"x", 0).unwrap();
        assert!(!source.is_unchanged().unwrap());
    }
}
