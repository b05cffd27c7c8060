//! A configuration with the file it was read from.

use std::path::{Path, PathBuf};

use super::document::Document;
use super::upstream::Translation;
use super::{Config, assets};

/// The name of the built-in configuration in messages and in [`assets`].
pub(crate) const QUICKSTART: &str = "configs/quickstart.yaml";

/// Paths that begin so mean files that ship, such as `built-in/prompts/conversations/everyday.md`.
pub(crate) const BUILT_IN_FOLDER: &str = "built-in";

/// A configuration that was read and checked, and where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration, flags laid over it.
    pub config: Config,
    /// The file; `None` for the built-in one.
    pub file: Option<PathBuf>,
    /// The folder that paths are relative to: the file's own, or the working directory.
    pub base: PathBuf,
    pub(super) document: Document,
    /// What became of its keys, where it is one of upstream's.
    pub(super) translation: Option<Translation>,
}

impl Loaded {
    /// A path of the configuration (any but `run_dir`) as it can be opened.
    pub fn path(&self, written: &Path) -> PathBuf {
        self.base.join(written)
    }

    /// The file that ships with convogen and is meant by `written`: it says so, or stands in the built-in configuration, which
    /// lies among such files.
    pub fn shipped(&self, written: &Path) -> Option<&'static str> {
        let folder = QUICKSTART.rsplit_once('/').map_or("", |(folder, _)| folder);
        let name = match (written.strip_prefix(BUILT_IN_FOLDER), &self.file) {
            (Ok(named), _) => assets::below("", named),
            (Err(_), None) => assets::below(folder, written),
            (Err(_), Some(_)) => return None,
        };
        assets::ALL.iter().map(|(path, _)| *path).find(|path| *path == name)
    }

    /// The text that was written for a dotted key, in the file or by a flag; nothing where it was left out.
    pub(crate) fn written(&self, key: &str) -> Option<&str> {
        self.document.value.pointer(&format!("/{}", key.replace('.', "/")))?.as_str()
    }

    pub(super) fn is_translated(&self) -> bool {
        self.translation.is_some()
    }

    /// What became of the keys of a configuration of upstream's, a line each; nothing for one of ours.
    pub(crate) fn translation(&self) -> Vec<String> {
        self.translation.as_ref().map(Translation::notes).unwrap_or_default()
    }

    /// The file's name in messages.
    pub fn name(&self) -> &str {
        &self.document.file
    }

    pub(super) fn document(&self) -> &Document {
        &self.document
    }
}
