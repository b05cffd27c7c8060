//! The one place that touches files: every error names its path, and what must survive a crash is synced here.

use std::fs::File;
use std::path::{Path, PathBuf};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {path}: {source}", path = path.display())]
pub struct FsError {
    /// What was tried, such as `write`.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why it failed.
    pub source: std::io::Error,
}

fn named<T>(action: &'static str, path: &Path, result: std::io::Result<T>) -> Result<T, FsError> {
    result.map_err(|source| FsError { action, path: path.to_owned(), source })
}

/// Reads a whole file.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub fn read(path: &Path) -> Result<Vec<u8>, FsError> {
    named("read", path, std::fs::read(path))
}

/// Reads a whole file of UTF-8 text.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub fn read_to_string(path: &Path) -> Result<String, FsError> {
    named("read", path, std::fs::read_to_string(path))
}

/// Opens a file for reading.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub fn open(path: &Path) -> Result<File, FsError> {
    named("open", path, File::open(path))
}

/// Creates a file that must not exist yet, readable by its owner only.
pub fn create_new(path: &Path) -> Result<File, FsError> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    named("create", path, file)
}

/// Creates a folder and its parents; those that exist are left as they are.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub fn create_dir_all(path: &Path) -> Result<(), FsError> {
    named("create folder", path, std::fs::create_dir_all(path))
}

/// Makes the names in a folder durable.
pub fn sync_dir(path: &Path) -> Result<(), FsError> {
    named("sync", path, open(path)?.sync_all())
}

/// Replaces `path` by `bytes` so that a reader, or a crash, sees the old or the new content whole.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    use std::io::Write;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".tmp-{}-{name}", std::process::id()));
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => named("remove", &temporary, Err(error))?,
        _ => {}
    }
    let mut file = create_new(&temporary)?;
    named("write", &temporary, file.write_all(bytes))?;
    named("sync", &temporary, file.sync_all())?;
    named("rename", path, std::fs::rename(&temporary, path))?;
    sync_dir(folder)
}
