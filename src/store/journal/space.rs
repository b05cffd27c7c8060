//! Room on the disk: below a floor no call is begun, so that what is under way can still be recorded.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::fs::{self, FsError};

/// There is too little room for another call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("disk space is low: {free} MiB free in {path}, {floor} MiB needed", free = free >> 20, path = path.display(), floor = floor >> 20)]
pub(crate) struct LowSpace {
    /// The journal's folder.
    pub path: PathBuf,
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that must be.
    pub floor: u64,
}

/// The free space where a journal is, as it was found last, and how much there must be.
#[derive(Debug)]
pub(super) struct Space {
    dir: PathBuf,
    floor: u64,
    low: AtomicBool,
}

impl Space {
    /// Looks at once.
    pub(super) fn new(dir: &Path, floor: u64) -> Result<Self, FsError> {
        let space = Self { dir: dir.to_owned(), floor, low: AtomicBool::new(false) };
        space.look()?;
        Ok(space)
    }

    /// Looks at the disk.
    pub(super) fn look(&self) -> Result<Option<LowSpace>, FsError> {
        let free = fs::free_space(&self.dir)?;
        let low = free < self.floor;
        self.low.store(low, Ordering::Relaxed);
        Ok(low.then(|| LowSpace { path: self.dir.clone(), free, floor: self.floor }))
    }

    /// What is wrong, if it was when somebody looked last and still is. While all is well the disk is not asked.
    pub(super) fn shortage(&self) -> Result<Option<LowSpace>, FsError> {
        if self.low.load(Ordering::Relaxed) { self.look() } else { Ok(None) }
    }
}
