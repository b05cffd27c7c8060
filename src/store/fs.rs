//! The one place that touches files: every error names its path, and what must survive a crash is synced here.
//!
//! Everything that changes the disk (create, write, sync, rename, remove) passes through `durable`, one call an
//! operation, so that a test can let the process die before any one of them, or the power fail after it. Assumed of the disk: a local POSIX file
//! system that honours fsync and renames atomically within a folder. A failed sync is never tried again: Linux may have
//! marked the lost pages clean, and the second call would report a success that did not happen.
//!
//! Files are made readable and writable by their owner only (0600), folders likewise (0700). A file is never opened
//! for writing through a symbolic link.

#[cfg(test)]
pub(crate) mod faults;
#[cfg(test)]
pub(crate) mod power_loss;
mod scratch;

pub(crate) use scratch::ScratchFile;

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::exit::ExitCode;

/// What the names of files begin with that are not finished. They do not count and may be removed.
const TEMPORARY: &str = ".tmp-";

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {path}: {source}", path = path.display())]
pub struct FsError {
    /// What was tried, such as `write`.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl FsError {
    /// 7: disk or other I/O.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::Io
    }

    /// Whether there is nothing at the path.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == ErrorKind::NotFound
    }
}

fn named<T>(action: &'static str, path: &Path, result: io::Result<T>) -> Result<T, FsError> {
    result.map_err(|source| FsError { action, path: path.to_owned(), source })
}

/// Performs one operation that changes the disk.
fn durable<T>(action: &'static str, path: &Path, operation: impl FnOnce() -> io::Result<T>) -> Result<T, FsError> {
    #[cfg(test)]
    named(action, path, faults::strike(action, path))?;
    let done = named(action, path, operation())?;
    #[cfg(test)]
    power_loss::note(action, path);
    Ok(done)
}

/// Reads a whole file.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FsError> {
    named("read", path, std::fs::read(path))
}

/// Reads a whole file of UTF-8 text.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub(crate) fn read_to_string(path: &Path) -> Result<String, FsError> {
    named("read", path, std::fs::read_to_string(path))
}

/// Opens a file for reading.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub(crate) fn open(path: &Path) -> Result<File, FsError> {
    named("open", path, File::open(path))
}

/// Reads `length` bytes of `file`, which is at `path`, from `offset`, without moving any file position.
pub(crate) fn read_at(file: &File, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>, FsError> {
    let mut bytes = vec![0; length];
    read_exact_at(file, path, offset, &mut bytes)?;
    Ok(bytes)
}

/// Fills `bytes` from `offset` on of `file`, which is at `path`, without moving any file position.
pub(crate) fn read_exact_at(file: &File, path: &Path, offset: u64, bytes: &mut [u8]) -> Result<(), FsError> {
    named("read", path, file.read_exact_at(bytes, offset))
}

/// What is at a path, symbolic links not followed.
pub(crate) fn metadata(path: &Path) -> Result<std::fs::Metadata, FsError> {
    named("look at", path, path.symlink_metadata())
}

/// Names of what is in a folder, sorted.
pub(crate) fn list(folder: &Path) -> Result<Vec<String>, FsError> {
    list_where(folder, |_| true)
}

/// Names of the files in a folder, sorted. Symbolic links and folders are left out.
pub(crate) fn list_files(folder: &Path) -> Result<Vec<String>, FsError> {
    list_where(folder, std::fs::FileType::is_file)
}

fn list_where(folder: &Path, wanted: impl Fn(&std::fs::FileType) -> bool) -> Result<Vec<String>, FsError> {
    let mut names = Vec::new();
    for entry in named("list", folder, folder.read_dir())? {
        let entry = named("list", folder, entry)?;
        if wanted(&named("look at", &entry.path(), entry.file_type())?) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A file this process has made, and still writes.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    path: PathBuf,
}

/// Creates a file that must not exist yet, readable by its owner only.
pub(crate) fn create_new(path: &Path) -> Result<NewFile, FsError> {
    let file = durable("create", path, || {
        let mut options = File::options();
        options.read(true).write(true).create_new(true).mode(0o600).custom_flags(no_follow());
        options.open(path)
    })?;
    Ok(NewFile { file, path: path.to_owned() })
}

/// Creates an unfinished file that will be renamed to `path`. One left behind by an earlier process is removed first.
pub(crate) fn create_temporary(path: &Path) -> Result<NewFile, FsError> {
    let temporary = temporary_beside(path, "");
    remove_if_there(&temporary)?;
    create_new(&temporary)
}

fn temporary_beside(path: &Path, mark: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder_of(path).join(format!("{TEMPORARY}{mark}{}-{name}", std::process::id()))
}

fn no_follow() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}

impl NewFile {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all of `bytes` at the end.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        durable("write", &self.path, || self.file.write_all(bytes))
    }

    /// Reads `length` bytes from `offset` of what was written.
    pub(crate) fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, FsError> {
        let mut bytes = vec![0; length];
        named("read", &self.path, self.file.read_exact_at(&mut bytes, offset))?;
        Ok(bytes)
    }

    /// Makes its content durable, and as much of its metadata as reading it back takes.
    pub(crate) fn sync_data(&self) -> Result<(), FsError> {
        durable("sync", &self.path, || self.file.sync_data())
    }

    /// Makes its content and metadata durable.
    pub(crate) fn sync_all(&self) -> Result<(), FsError> {
        durable("sync", &self.path, || self.file.sync_all())
    }

    /// Makes the content durable, then moves the file to `path` in the same folder, then makes the name durable: at no
    /// time is there a torn file at `path`. It can still be written to.
    pub(crate) fn publish(&mut self, path: &Path) -> Result<(), FsError> {
        self.sync_all()?;
        rename(&self.path, path)?;
        path.clone_into(&mut self.path);
        sync_dir(folder_of(path))
    }

    /// As [`publish`](Self::publish), but fails with [`ErrorKind::AlreadyExists`] where something has the name already. On
    /// failure the unfinished file is removed.
    pub(crate) fn publish_new(self, path: &Path) -> Result<(), FsError> {
        let named = self.sync_all().and_then(|()| rename_new(&self.path, path));
        if named.is_err() {
            remove_if_there(&self.path)?;
        }
        named?;
        sync_dir(folder_of(path))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { file, path } = self;
        durable("write", path, || file.write(bytes)).map_err(|error| error.source)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Replaces a file as a whole without waiting for the disk: for what is worth nothing once the process is gone.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub(crate) fn replace_lightly(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    let temporary = temporary_beside(path, "");
    named("write", &temporary, std::fs::write(&temporary, bytes))?;
    named("rename", path, std::fs::rename(&temporary, path))
}

/// The folder a path is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates a folder and its parents, durably; those that exist are left as they are.
pub(crate) fn create_dir_all(path: &Path) -> Result<(), FsError> {
    if path.is_dir() {
        return Ok(());
    }
    let folder = folder_of(path);
    if folder != path {
        create_dir_all(folder)?;
    }
    match durable("create folder", path, || DirBuilder::new().mode(0o700).create(path)) {
        // Another process was faster.
        Err(error) if error.source.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_dir(folder),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), FsError> {
    let folder = open(path)?;
    durable("sync", path, || folder.sync_all())
}

/// Makes the names in a folder, and in all folders below it, durable.
fn sync_tree(path: &Path) -> Result<(), FsError> {
    for name in list_where(path, std::fs::FileType::is_dir)? {
        sync_tree(&path.join(name))?;
    }
    sync_dir(path)
}

/// Renames within a file system, replacing a file that has the name. Durable once the folder is synced.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), FsError> {
    durable("rename", to, || std::fs::rename(from, to))
}

/// Renames a file unless something has the new name. Where the file system cannot do that in one step, the file gets a
/// second name first, which fails likewise; a crash can leave the first behind then.
fn rename_new(from: &Path, to: &Path) -> Result<(), FsError> {
    match rename_no_replace(from, to) {
        Err(error) if !knows_flags(&error) => {
            durable("create", to, || std::fs::hard_link(from, to))?;
            remove_if_there(from)
        }
        result => result,
    }
}

#[cfg(target_os = "linux")]
fn rename_no_replace(from: &Path, to: &Path) -> Result<(), FsError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    durable("rename", to, || Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?))
}

#[cfg(not(target_os = "linux"))]
fn rename_no_replace(_from: &Path, to: &Path) -> Result<(), FsError> {
    named("rename", to, Err(ErrorKind::Unsupported.into()))
}

/// Removes a folder if there is nothing in it; says whether it is gone.
pub(crate) fn remove_empty_dir(path: &Path) -> Result<bool, FsError> {
    match durable("remove", path, || std::fs::remove_dir(path)) {
        Err(error) if error.source.kind() == ErrorKind::DirectoryNotEmpty => Ok(false),
        Err(error) if error.is_not_found() => Ok(true),
        result => result.map(|()| true),
    }
}

/// Appends to a file, making it if there is none, and makes that durable.
pub(crate) fn append(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    let mut file = durable("open", path, || {
        let mut options = File::options();
        options.append(true).create(true).mode(0o600).custom_flags(no_follow());
        options.open(path)
    })?;
    durable("write", path, || file.write_all(bytes))?;
    durable("sync", path, || file.sync_data())
}

/// Removes a file, or does nothing if there is none. A symbolic link is removed, not what it points to.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub(crate) fn remove_if_there(path: &Path) -> Result<(), FsError> {
    match durable("remove", path, || std::fs::remove_file(path)) {
        Err(error) if error.is_not_found() => Ok(()),
        result => result,
    }
}

/// Removes what an earlier process left unfinished in a folder.
pub(crate) fn remove_temporaries(folder: &Path) -> Result<(), FsError> {
    for name in list(folder)?.iter().filter(|name| is_temporary(name)) {
        let path = folder.join(name);
        if metadata(&path)?.is_dir() { remove_tree(&path)? } else { remove_if_there(&path)? }
    }
    Ok(())
}

/// Whether a file with this name is unfinished and does not count.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY)
}

fn remove_tree(path: &Path) -> Result<(), FsError> {
    durable("remove", path, || std::fs::remove_dir_all(path))
}

/// Removes a folder so that a crash leaves all of it or nothing that counts; does nothing if there is none.
pub(crate) fn discard_dir(path: &Path) -> Result<(), FsError> {
    let grave = temporary_beside(path, "old-");
    match rename(path, &grave) {
        Err(error) if error.is_not_found() => return Ok(()),
        result => result?,
    }
    sync_dir(folder_of(path))?;
    remove_tree(&grave)
}

/// Puts the folder `new` at `target`, both in one folder, whatever was there before being removed.
///
/// A reader, or a crash, sees the old folder or the new one whole. Files in `new` must be synced already. Where the file
/// system cannot exchange two names in one step, there is a moment in which there is no `target`.
pub(crate) fn replace_dir(new: &Path, target: &Path) -> Result<(), FsError> {
    sync_tree(new)?;
    if !target.is_dir() {
        rename(new, target)?;
        return sync_dir(folder_of(target));
    }
    match exchange(new, target) {
        Err(error) if !knows_flags(&error) => {
            discard_dir(target)?;
            rename(new, target)?;
            sync_dir(folder_of(target))
        }
        Err(error) => Err(error),
        Ok(()) => {
            sync_dir(folder_of(target))?;
            discard_dir(new)
        }
    }
}

#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> Result<(), FsError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    durable("rename", other, || Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?))
}

#[cfg(not(target_os = "linux"))]
fn exchange(_one: &Path, other: &Path) -> Result<(), FsError> {
    named("rename", other, Err(ErrorKind::Unsupported.into()))
}

/// Whether the file system knows the flags of a rename that are not in POSIX.
fn knows_flags(error: &FsError) -> bool {
    !matches!(error.source.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput)
}

/// Replaces `path` by `bytes` so that a reader, or a crash, sees the old or the new content whole.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    let mut file = create_temporary(path)?;
    file.write_all(bytes)?;
    file.publish(path)
}

/// Opens a file for reading and writing in place, making it if it is not there. For lock files.
pub(super) fn open_or_create(path: &Path) -> Result<File, FsError> {
    durable("open", path, || {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(no_follow());
        options.open(path)
    })
}

/// Bytes this user may still write on the file system that holds `path`.
pub(crate) fn free_space(path: &Path) -> Result<u64, FsError> {
    #[cfg(test)]
    if let Some(said) = faults::said_to_be_free(path) {
        return Ok(said);
    }
    let stat = named("ask for the free space of", path, rustix::fs::statvfs(path).map_err(Into::into))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The kind of network or user-space file system that holds `path`, or `None` for a local one.
///
/// Locks and renames mean something else there, or nothing.
#[cfg(target_os = "linux")]
pub(crate) fn network_file_system(path: &Path) -> Result<Option<&'static str>, FsError> {
    let stat = named("ask for the file system of", path, rustix::fs::statfs(path).map_err(Into::into))?;
    // The magic numbers are 32 bits wide, in a field that is signed on some machines and wider on most.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "only the low 32 bits mean anything")]
    let magic = stat.f_type as u32;
    Ok(network_name(magic))
}

/// The kind of network or user-space file system that holds `path`: not known on this system.
#[cfg(not(target_os = "linux"))]
pub fn network_file_system(_path: &Path) -> Result<Option<&'static str>, FsError> {
    Ok(None)
}

/// Names a file system by the magic number of Linux's `statfs(2)`, if it is one of those that are not local.
#[cfg(target_os = "linux")]
fn network_name(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x0000_6969 => "NFS",
        0x0000_517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x6573_5546 => "FUSE",
        0x0102_1997 => "9p",
        0x00c3_6400 => "Ceph",
        0x5346_414f => "AFS",
        0x7375_7245 => "Coda",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_replacement_is_seen_whole_at_every_crash() {
        for step in 1.. {
            let folder = faults::scratch();
            let path = folder.path().join("state.json");
            write_atomic(&path, b"old").unwrap();
            let death = faults::die_at(folder.path(), step);
            let result = write_atomic(&path, b"new");
            let survived = !death.struck();
            drop(death);
            let content = read(&path).unwrap();
            assert!(content == b"old" || content == b"new", "{content:?} after step {step}");
            if survived {
                assert!(result.is_ok() && content == b"new");
                break;
            }
            write_atomic(&path, b"newer").unwrap();
            assert_eq!(list(folder.path()).unwrap(), ["state.json"]);
        }
    }

    #[test]
    fn a_folder_is_replaced_whole_at_every_crash() {
        for step in 1.. {
            let folder = faults::scratch();
            let (new, target) = (folder.path().join("new"), folder.path().join("target"));
            for (dir, text) in [(&new, "new"), (&target, "old")] {
                create_dir_all(&dir.join("data")).unwrap();
                write_atomic(&dir.join("data/one"), text.as_bytes()).unwrap();
                write_atomic(&dir.join("two"), text.as_bytes()).unwrap();
            }
            let death = faults::die_at(folder.path(), step);
            let result = replace_dir(&new, &target);
            let survived = !death.struck();
            drop(death);
            let one = read_to_string(&target.join("data/one")).unwrap();
            assert_eq!(one, read_to_string(&target.join("two")).unwrap());
            if survived {
                result.unwrap();
                assert_eq!((one.as_str(), list(folder.path()).unwrap()), ("new", vec!["target".to_owned()]));
                break;
            }
        }
    }

    #[test]
    fn what_was_planted_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, path) = (folder.path().join("victim"), folder.path().join("file"));
        write_atomic(&victim, b"precious").unwrap();
        symlink(&victim, &path).unwrap();
        assert!(create_new(&path).is_err());
        assert!(open_or_create(&path).is_err());
        symlink(&victim, temporary_beside(&path, "")).unwrap();
        write_atomic(&path, b"mine").unwrap();
        assert_eq!(read(&victim).unwrap(), b"precious");
        assert_eq!(read(&path).unwrap(), b"mine");
        assert!(metadata(&path).unwrap().is_file());
    }

    #[test]
    fn only_the_owner_may_look() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        create_dir_all(&path).unwrap();
        create_dir_all(&path).unwrap();
        write_atomic(&path.join("file"), b"").unwrap();
        let mode = |path: &Path| metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder.path().join("a")), mode(&path), mode(&path.join("file"))), (0o700, 0o700, 0o600));
    }

    #[test]
    fn errors_name_the_path_and_the_action() {
        let missing = Path::new("/nowhere/at/all");
        insta::assert_snapshot!(read(missing).unwrap_err(), @"failed to read /nowhere/at/all: No such file or directory (os error 2)");
        assert_eq!(read(missing).unwrap_err().exit_code(), ExitCode::Io);
        insta::assert_snapshot!(free_space(missing).unwrap_err(), @"failed to ask for the free space of /nowhere/at/all: No such file or directory (os error 2)");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn network_file_systems_are_told_from_local_ones() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0xff53_4d42), Some("SMB"));
        assert_eq!(network_name(0xef53), None, "ext4");
        assert_eq!(network_file_system(Path::new("/proc")).unwrap(), None);
        assert!(free_space(Path::new(".")).unwrap() > 0);
    }
}
