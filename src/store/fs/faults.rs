//! A process that dies, or a disk that fails, at a chosen operation, or that is full. Tests only.
//!
//! A rule covers one folder, so that tests that run at the same time do not strike each other.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

static RULES: Mutex<Vec<Arc<FaultRule>>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct FaultRule {
    folder: PathBuf,
    action: Option<&'static str>,
    /// The first operation, counted from 1, that fails.
    from: u64,
    /// The last one that fails.
    to: u64,
    seen: AtomicU64,
}

/// The rule holds as long as this lives.
#[derive(Debug)]
pub(crate) struct Fault(Arc<FaultRule>);

/// From the `step`th operation on (counted from 1) nothing reaches the disk: what a kill leaves behind.
pub(crate) fn die_at(folder: &Path, step: u64) -> Fault {
    arm(folder, None, step, u64::MAX)
}

/// The `nth` operation called `action` fails, those before and after it work.
pub(crate) fn fail(folder: &Path, action: &'static str, nth: u64) -> Fault {
    arm(folder, Some(action), nth, nth)
}

fn arm(folder: &Path, action: Option<&'static str>, from: u64, to: u64) -> Fault {
    let rule = Arc::new(FaultRule { folder: folder.to_owned(), action, from, to, seen: AtomicU64::new(0) });
    rules().push(Arc::clone(&rule));
    Fault(rule)
}

fn rules() -> std::sync::MutexGuard<'static, Vec<Arc<FaultRule>>> {
    RULES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fault {
    /// Whether an operation has failed.
    pub(crate) fn struck(&self) -> bool {
        self.0.seen.load(Ordering::SeqCst) >= self.0.from
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        rules().retain(|rule| !Arc::ptr_eq(rule, &self.0));
    }
}

static ROOMS: Mutex<Vec<(PathBuf, u64)>> = Mutex::new(Vec::new());

/// The disk that holds a folder has this much room as long as this lives.
#[derive(Debug)]
pub(crate) struct DiskRoom(PathBuf);

/// Says that the disk that holds `folder` has `free` bytes left.
pub(crate) fn room(folder: &Path, free: u64) -> DiskRoom {
    ROOMS.lock().unwrap_or_else(PoisonError::into_inner).push((folder.to_owned(), free));
    DiskRoom(folder.to_owned())
}

impl Drop for DiskRoom {
    fn drop(&mut self) {
        ROOMS.lock().unwrap_or_else(PoisonError::into_inner).retain(|(folder, _)| *folder != self.0);
    }
}

/// What a test says of the room on the disk that holds `path`.
pub(super) fn said_to_be_free(path: &Path) -> Option<u64> {
    let rooms = ROOMS.lock().unwrap_or_else(PoisonError::into_inner);
    rooms.iter().find(|(folder, _)| path.starts_with(folder)).map(|(_, free)| *free)
}

/// A folder for tests in which syncs need not be real: in memory, where there is such a place.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// Fails if a rule says so.
pub(super) fn strike(action: &'static str, path: &Path) -> io::Result<()> {
    for rule in rules().iter().filter(|rule| path.starts_with(&rule.folder)) {
        if rule.action.is_none_or(|only| only == action) {
            let seen = rule.seen.fetch_add(1, Ordering::SeqCst) + 1;
            if (rule.from..=rule.to).contains(&seen) {
                return Err(io::Error::other("injected fault"));
            }
        }
    }
    Ok(())
}
