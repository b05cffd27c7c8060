//! One process writes a run directory at a time.
//!
//! The lock is the kernel's, on the open file `run.lock`: it ends with the process, however that ends. What the file
//! says (process and host) is for messages only. The file is never removed: a process that waits with the removed file
//! open and one that makes a new one would both hold "the" lock.

use std::fs::{File, TryLockError};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fs::{self, FsError};
use crate::exit::ExitCode;

/// The name of the lock file in a run directory.
pub(crate) const LOCK_FILE: &str = "run.lock";

/// A run directory is ours as long as this lives.
#[derive(Debug)]
pub(crate) struct RunLock {
    _file: File,
}

/// Why a run directory cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{folder} is in use by {holder}; wait for it, stop it, or choose another folder with --run-dir", folder = folder.display())]
    InUse {
        /// The run directory.
        folder: PathBuf,
        /// Who has it, as far as it is known.
        holder: String,
    },
    /// Something that is no file has the lock file's name.
    #[error("{path} is not a regular file; remove it and start again", path = path.display())]
    NotAFile {
        /// The lock file.
        path: PathBuf,
    },
    /// The disk.
    #[error(transparent)]
    Io(#[from] FsError),
}

impl LockError {
    /// 4 where another process has it, else 7.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::InUse { .. } => ExitCode::InUse,
            Self::NotAFile { .. } | Self::Io(_) => ExitCode::Io,
        }
    }
}

/// What the lock file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// The process that took the lock last.
    pub pid: u32,
    /// Where it ran, as far as that is known.
    pub host: Option<String>,
}

impl Holder {
    /// This process.
    fn this() -> Self {
        let host = fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).ok();
        Self { pid: std::process::id(), host: host.map(|name| name.trim().to_owned()) }
    }

    /// Who took the lock of `folder` last, if that process is still there. Takes no lock itself: the answer is for messages.
    pub(crate) fn at_work(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(&folder.join(LOCK_FILE)).ok()?;
        let holder: Self = serde_json::from_str(&text).ok()?;
        let pid = i32::try_from(holder.pid).ok().and_then(rustix::process::Pid::from_raw)?;
        let there = !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH));
        (holder.host == Self::this().host && there).then_some(holder)
    }

    /// Who is at work on `folder` and since when, if anybody is.
    pub(crate) fn told_at_work(folder: &Path) -> Option<String> {
        Self::at_work(folder)?;
        fs::open(&folder.join(LOCK_FILE)).ok().map(|file| describe(&file))
    }
}

impl RunLock {
    /// Takes the lock of a run directory, or says at once who has it.
    pub(crate) fn acquire(folder: &Path) -> Result<Self, LockError> {
        Self::acquire_as(folder, LOCK_FILE)
    }

    /// Takes the lock of another kind of folder, kept in the file `name` in it.
    pub(crate) fn acquire_as(folder: &Path, name: &str) -> Result<Self, LockError> {
        let path = folder.join(name);
        let file = fs::open_or_create(&path)?;
        let failed = |source| FsError { action: "lock", path: path.clone(), source };
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(LockError::NotAFile { path });
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::InUse { folder: folder.to_owned(), holder: describe(&file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source).into()),
        }
        sign(&file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn sign(file: &File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.write_all_at(&serde_json::to_vec(&Holder::this())?, 0)
}

/// Who holds the lock, by what the file says; its age is the time of the last start.
fn describe(file: &File) -> String {
    let mut text = String::new();
    // A holder that has just started may not have signed yet, and a file may say anything.
    let read = file.take(4096).read_to_string(&mut text);
    let Some(holder) = read.ok().and_then(|_| serde_json::from_str::<Holder>(&text).ok()) else {
        return "another process".to_owned();
    };
    let host = holder.host.map(|name| format!(" on {}", name.escape_debug())).unwrap_or_default();
    let since = file.metadata().and_then(|metadata| metadata.modified());
    let since = since.map(|time| format!(", started {}", httpdate::fmt_http_date(time))).unwrap_or_default();
    format!("process {}{host}{since}", holder.pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunLock::acquire(folder.path()).unwrap();
        let error = RunLock::acquire(folder.path()).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::InUse);
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        RunLock::acquire(folder.path()).unwrap();
        assert!(folder.path().join(LOCK_FILE).is_file());
    }

    #[test]
    fn of_twenty_that_start_at_once_one_runs() {
        let folder = tempfile::tempdir().unwrap();
        let attempts: Vec<_> = std::thread::scope(|scope| {
            let start = || RunLock::acquire(folder.path());
            let threads: Vec<_> = (0..20).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(attempts.iter().filter(|attempt| attempt.is_ok()).count(), 1);
        assert!(
            attempts
                .iter()
                .filter_map(|attempt| attempt.as_ref().err())
                .all(|error| error.exit_code() == ExitCode::InUse)
        );
    }

    #[test]
    fn what_the_file_says_does_not_decide() {
        let folder = tempfile::tempdir().unwrap();
        fs::write_atomic(&folder.path().join(LOCK_FILE), b"{\"pid\":1,\"host\":\"gone\"}").unwrap();
        let held = RunLock::acquire(folder.path()).unwrap();
        fs::open_or_create(&folder.path().join(LOCK_FILE)).unwrap().write_all_at(b"\xff\x00", 0).unwrap();
        assert!(RunLock::acquire(folder.path()).unwrap_err().to_string().contains("in use by another process"));
        drop(held);
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write_atomic(&victim, b"precious").unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join(LOCK_FILE)).unwrap();
        assert_eq!(RunLock::acquire(folder.path()).unwrap_err().exit_code(), ExitCode::Io);
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }
}
