//! The run directory: where everything is, whose it is, and what it was made from.
//!
//! ```text
//! run.lock                 held for the life of the process
//! run.json                 format, run id, versions and fingerprints; replaced as a whole
//! config.resolved.yaml     the configuration as it was run, without secrets
//! inputs/                  the prompts, shots and personas that were used
//! journal/                 every reply, while a stage is at work
//! logs/
//! stages/1-personas/ …     sealed stages
//! dataset/                 what compile makes
//! publish/                 receipts of uploads
//! progress.json            how far the run is, written once a second while it is at work; never read back by it
//! ```

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fs::{self, FsError};
use super::lock::{LOCK_FILE, LockError, RunLock};
use crate::exit::ExitCode;

const RUN_FILE: &str = "run.json";

/// The version of the run directory that this module writes. Those before it are read as well: what is sealed in them stands,
/// but the rest would be made by other rules, so a run that is not finished is not gone on with.
pub(crate) const FORMAT: u32 = 2;

/// Why a folder cannot be used as a run directory.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// Another process has it, or it cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// There is something else in it.
    #[error("{path} is not empty and holds no run; choose a new or empty folder with --run-dir", path = path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// There is no run.
    #[error("{path} holds no run: there is no {RUN_FILE}", path = path.display())]
    Absent {
        /// The folder.
        path: PathBuf,
    },
    /// Others could change what is in it.
    #[error("{path} {problem}; choose another folder with --run-dir", path = path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// Why it is not ours alone.
        problem: &'static str,
    },
    /// Locks and renames cannot be relied on there.
    #[error(
        "{path} is on a {kind} file system, where locks and renames may not hold; choose a local folder with --run-dir, or accept that with --allow-network-fs",
        path = path.display()
    )]
    NetworkFileSystem {
        /// The folder.
        path: PathBuf,
        /// The kind.
        kind: &'static str,
    },
    /// It cannot be written to.
    #[error("{path} cannot be written to: {source}; make it writable, or choose another folder with --run-dir", path = path.display())]
    ReadOnly {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A later version made it.
    #[error("{path} has format {found}, this version reads {FORMAT}; use the version that made it, or a later one", path = path.display())]
    NewerFormat {
        /// `run.json`.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// An earlier version began it, and this one would go on by other rules.
    #[error(
        "{path} was begun by convogen {created_by} (format {found} of run directories, this version goes on with {FORMAT}); finish it with that version, or take over its recorded replies with --fork {path} --run-dir NEW_DIR",
        path = path.display()
    )]
    EarlierFormat {
        /// The run directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The version that made it.
        created_by: String,
    },
    /// `run.json` cannot be read.
    #[error("{path} is damaged: {problem}; restore it from a copy, or start in another folder with --run-dir", path = path.display())]
    Damaged {
        /// `run.json`.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The disk.
    #[error(transparent)]
    Io(#[from] FsError),
}

impl RunDirError {
    /// The exit code of a command that this error stops.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Lock(error) => error.exit_code(),
            Self::NotARun { .. } | Self::Absent { .. } | Self::NotOurs { .. } | Self::NetworkFileSystem { .. } => {
                ExitCode::Usage
            }
            Self::NewerFormat { .. } | Self::EarlierFormat { .. } => ExitCode::Drift,
            Self::ReadOnly { .. } | Self::Io(_) => ExitCode::Io,
            Self::Damaged { .. } => ExitCode::Damage,
        }
    }
}

/// Where things are in a run directory. Reads only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunPaths {
    root: PathBuf,
}

impl RunPaths {
    /// The paths of a run that exists. Takes no lock.
    pub(crate) fn of_run(root: &Path) -> Result<Self, RunDirError> {
        if root.join(RUN_FILE).is_file() {
            Ok(Self { root: root.to_owned() })
        } else {
            Err(RunDirError::Absent { path: root.to_owned() })
        }
    }

    /// The run directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The configuration as it was run.
    pub(crate) fn config(&self) -> PathBuf {
        self.root.join("config.resolved.yaml")
    }

    /// The prompts, shots and personas that were used.
    pub(crate) fn inputs(&self) -> PathBuf {
        self.root.join("inputs")
    }

    /// The journal.
    pub(crate) fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The personas stage.
    pub(crate) fn personas(&self) -> PathBuf {
        self.root.join("stages/1-personas")
    }

    /// The situations stage.
    pub(crate) fn situations(&self) -> PathBuf {
        self.root.join("stages/2-situations")
    }

    /// The conversations stage.
    pub(crate) fn conversations(&self) -> PathBuf {
        self.root.join("stages/3-conversations")
    }

    /// What compile makes.
    pub(crate) fn dataset(&self) -> PathBuf {
        self.root.join("dataset")
    }

    /// Where compile builds it, to be put in its place by [`fs::replace_dir`]. What is left here by a crash is removed
    /// when the run directory is opened again.
    pub(crate) fn dataset_draft(&self) -> PathBuf {
        self.root.join(".tmp-dataset")
    }

    /// How far the run is, while it is at work.
    pub(crate) fn progress(&self) -> PathBuf {
        self.root.join("progress.json")
    }

    /// Receipts of uploads.
    pub(crate) fn publish(&self) -> PathBuf {
        self.root.join("publish")
    }

    /// What the run was made from; `None` in a directory that has just been made.
    pub(crate) fn info(&self) -> Result<Option<RunInfo>, RunDirError> {
        let path = self.root.join(RUN_FILE);
        match fs::read(&path) {
            Err(error) if error.is_not_found() => Ok(None),
            bytes => parse(&path, &bytes?).map(Some),
        }
    }
}

/// What a run was made from: the content of `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunInfo {
    /// Version of the run directory.
    pub format: u32,
    /// Names the run in its journal. Never part of the data.
    pub run_id: String,
    /// The version of convogen that made it.
    pub created_by: String,
    /// What decides the content of each stage.
    pub fingerprints: BTreeMap<String, Value>,
    /// What else there is to know.
    pub details: Value,
}

impl RunInfo {
    /// Describes a run that begins now.
    pub(crate) fn new(run_id: String, fingerprints: BTreeMap<String, Value>, details: Value) -> Self {
        let created_by = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, run_id, created_by, fingerprints, details }
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<RunInfo, RunDirError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let damaged = |error: serde_json::Error| RunDirError::Damaged { path: path.to_owned(), problem: error.to_string() };
    let Format { format } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format > FORMAT {
        return Err(RunDirError::NewerFormat { path: path.to_owned(), found: format });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

/// A name for a run: 128 bits of the BLAKE3 hash, in hex, of what it is made from, where, and since when.
///
/// It only has to differ from the names of other runs.
pub(crate) fn run_id(fingerprint: &str, path: &Path, started: u64) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("convogen 2026 run id v1");
    for part in [fingerprint.as_bytes(), path.as_os_str().as_encoded_bytes()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.update(&started.to_le_bytes());
    hasher.finalize().to_hex().chars().take(32).collect()
}

/// A run directory that is ours, to write to, as long as this lives.
#[derive(Debug)]
pub(crate) struct RunDir {
    paths: RunPaths,
    _lock: RunLock,
}

impl RunDir {
    /// Takes a run directory, making it if there is none.
    ///
    /// # Errors
    /// If another process has it, if it holds something else than a run, if others can write to it, if it is on a
    /// network file system and `allow_network_fs` is not set, if it cannot be written to.
    pub(crate) fn open_or_create(path: &Path, allow_network_fs: bool) -> Result<Self, RunDirError> {
        if path.exists() && !path.is_dir() {
            return Err(RunDirError::NotOurs { path: path.to_owned(), problem: "is a file, not a folder" });
        }
        fs::create_dir_all(path).map_err(|error| read_only(path, error))?;
        check_owner(path)?;
        if let Some(kind) = fs::network_file_system(path)?.filter(|_| !allow_network_fs) {
            return Err(RunDirError::NetworkFileSystem { path: path.to_owned(), kind });
        }
        if !may_be_run(&fs::list(path)?) {
            return Err(RunDirError::NotARun { path: path.to_owned() });
        }
        let lock = RunLock::acquire(path).map_err(|error| match error {
            LockError::Io(error) => read_only(path, error),
            error => error.into(),
        })?;
        fs::remove_temporaries(path).map_err(|error| read_only(path, error))?;
        Ok(Self { paths: RunPaths { root: path.to_owned() }, _lock: lock })
    }

    /// Where things are.
    pub(crate) fn paths(&self) -> &RunPaths {
        &self.paths
    }

    /// What the run was made from; `None` in a directory that has just been made.
    pub(crate) fn info(&self) -> Result<Option<RunInfo>, RunDirError> {
        self.paths.info()
    }

    /// Records what the run is made from, in place of what was recorded before.
    pub(crate) fn write_info(&self, info: &RunInfo) -> Result<(), RunDirError> {
        let path = self.paths.root.join(RUN_FILE);
        let mut bytes = serde_json::to_vec_pretty(info).map_err(|error| FsError {
            action: "describe",
            path: path.clone(),
            source: error.into(),
        })?;
        bytes.push(b'\n');
        Ok(fs::write_atomic(&path, &bytes)?)
    }
}

/// A folder is taken if it is a run directory or empty; the lock file alone is what a run leaves that was stopped
/// before it could say what it is.
fn may_be_run(names: &[String]) -> bool {
    let is_run = |name: &String| name == RUN_FILE || name == LOCK_FILE;
    names.iter().any(is_run) || names.iter().all(|name| fs::is_temporary(name))
}

/// Refuses a folder that someone else owns or can write to, and a link to one that someone else has made.
fn check_owner(path: &Path) -> Result<(), RunDirError> {
    let link = fs::metadata(path)?;
    let folder = path.metadata().map_err(|source| FsError { action: "look at", path: path.to_owned(), source })?;
    let us = rustix::process::geteuid().as_raw();
    let foreign = |metadata: &Metadata| metadata.uid() != us;
    let problem = if foreign(&link) || foreign(&folder) {
        "belongs to another user"
    } else if folder.permissions().mode() & 0o002 != 0 {
        "can be written to by everyone"
    } else {
        return Ok(());
    };
    Err(RunDirError::NotOurs { path: path.to_owned(), problem })
}

fn read_only(path: &Path, error: FsError) -> RunDirError {
    match error.source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            RunDirError::ReadOnly { path: path.to_owned(), source: error.source }
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    fn info(id: &str) -> RunInfo {
        RunInfo::new(id.to_owned(), BTreeMap::from([("personas".to_owned(), Value::from("f"))]), Value::Null)
    }

    #[test]
    fn a_run_is_made_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs/demo");
        let run = RunDir::open_or_create(&path, false).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(run.info().unwrap(), None);
        assert!(matches!(RunPaths::of_run(&path), Err(RunDirError::Absent { .. })));
        run.write_info(&info("one")).unwrap();
        assert_eq!(RunDir::open_or_create(&path, false).unwrap_err().exit_code(), ExitCode::InUse);
        assert_eq!(RunPaths::of_run(&path).unwrap().info().unwrap(), Some(info("one")));
        drop(run);
        let run = RunDir::open_or_create(&path, false).unwrap();
        run.write_info(&info("two")).unwrap();
        assert_eq!(run.info().unwrap(), Some(info("two")));
        assert_eq!(run.paths().situations(), path.join("stages/2-situations"));
    }

    #[test]
    fn a_start_that_was_killed_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        drop(RunDir::open_or_create(folder.path(), false).unwrap());
        fs::write_atomic(&folder.path().join(".tmp-1-run.json"), b"{").unwrap();
        let run = RunDir::open_or_create(folder.path(), false).unwrap();
        assert_eq!(run.info().unwrap(), None);
        assert_eq!(fs::list(folder.path()).unwrap(), [LOCK_FILE]);
    }

    #[test]
    fn folders_of_others_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thesis");
        fs::create_dir_all(&path).unwrap();
        fs::write_atomic(&path.join("chapter-1.tex"), b"").unwrap();
        assert_eq!(RunDir::open_or_create(&path, false).unwrap_err().exit_code(), ExitCode::Usage);
        assert_eq!(fs::list(&path).unwrap(), ["chapter-1.tex"]);

        let open = folder.path().join("open");
        fs::create_dir_all(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = RunDir::open_or_create(&open, false).unwrap_err();
        assert!(error.to_string().contains("can be written to by everyone"), "{error}");
        assert!(fs::list(&open).unwrap().is_empty());
    }

    #[test]
    fn what_another_user_made_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("theirs");
        fs::create_dir_all(&path).unwrap();
        if chown(&path, Some(12_345), None).is_err() {
            println!("skipped: only root can give a folder away");
            return;
        }
        let error = RunDir::open_or_create(&path, false).unwrap_err();
        assert!(error.to_string().contains("belongs to another user"), "{error}");
        let (own, link) = (folder.path().join("own"), folder.path().join("link"));
        fs::create_dir_all(&own).unwrap();
        symlink(&own, &link).unwrap();
        RunDir::open_or_create(&link, false).unwrap();
        std::os::unix::fs::lchown(&link, Some(12_345), None).unwrap();
        assert_eq!(RunDir::open_or_create(&link, false).unwrap_err().exit_code(), ExitCode::Usage);
    }

    #[test]
    fn a_folder_that_cannot_be_written_says_so() {
        let denied = FsError { action: "open", path: "x".into(), source: ErrorKind::ReadOnlyFilesystem.into() };
        let error = read_only(Path::new("runs/demo"), denied);
        assert_eq!(error.exit_code(), ExitCode::Io);
        insta::assert_snapshot!(error, @"runs/demo cannot be written to: read-only filesystem or storage medium; make it writable, or choose another folder with --run-dir");
        // The kernel's own read-only tree, whoever asks.
        let error = RunDir::open_or_create(Path::new("/proc/convogen"), false).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Io, "{error}");
    }

    #[test]
    fn run_files_of_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open_or_create(folder.path(), false).unwrap();
        for (text, code) in [
            ("{\"format\":3,\"new\":1}", ExitCode::Drift),
            ("{\"format\":1}", ExitCode::Damage),
            ("{", ExitCode::Damage),
            ("", ExitCode::Damage),
        ] {
            fs::write_atomic(&folder.path().join(RUN_FILE), text.as_bytes()).unwrap();
            assert_eq!(run.info().unwrap_err().exit_code(), code, "{text}");
        }
    }

    #[test]
    fn ids_differ_in_everything_they_are_made_of() {
        let ids = [("a", "b", 1), ("a", "b", 2), ("a", "c", 1), ("ab", "", 1)]
            .map(|(fingerprint, path, started)| run_id(fingerprint, Path::new(path), started));
        let different: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len());
        assert!(ids.iter().all(|id| id.len() == 32));
    }
}
