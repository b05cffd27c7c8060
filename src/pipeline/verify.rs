//! Whether every byte of a run is what was sealed or synced.

use std::path::Path;

use serde::Serialize;

use super::error::RunError;
use crate::stages::compile::Manifest;
use crate::store::checkpoint::{self, SealedStage};
use crate::store::fs;
use crate::store::journal;
use crate::store::run::RunDir;

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Files whose hashes were compared.
    pub files: u64,
    /// Recorded replies whose checksums were compared.
    pub replies: u64,
    /// Damage: file, offset and item, in words.
    pub damage: Vec<String>,
    /// What was saved, if that was asked for.
    pub salvaged: Option<String>,
}

/// Re-reads the journal, every sealed stage and the dataset of the run in `path`; with `salvage`, copies the replies that are
/// sound into a new run directory.
pub fn verify(path: &Path, salvage: Option<&Path>) -> Result<Verified, RunError> {
    let dir = RunDir::open_read_only(path)?;
    let mut found = Verified::default();
    let report = journal::verify(&dir.journal())?;
    found.replies = report.replies;
    found.damage.extend(report.damage.iter().map(ToString::to_string));
    for stage in ["personas", "situations", "conversations"] {
        match SealedStage::open(&dir.stage(stage)) {
            Ok(Some(sealed)) => match sealed.verify() {
                Ok(files) => found.files += files,
                Err(error) => found.damage.push(error.to_string()),
            },
            Ok(None) => {}
            Err(error) => found.damage.push(error.to_string()),
        }
    }
    dataset(&dir, &mut found)?;
    if let Some(new) = salvage {
        let saved = dir.salvage(new)?;
        found.salvaged = Some(format!(
            "{saved} replies were saved into {0}; `convogen pipeline run … --run-dir {0}` goes on with them",
            new.display()
        ));
    }
    Ok(found)
}

/// Compares the dataset with its own manifest.
fn dataset(dir: &RunDir, found: &mut Verified) -> Result<(), RunError> {
    let folder = dir.dataset();
    if !folder.is_dir() {
        return Ok(());
    }
    let path = folder.join("manifest.json");
    let manifest: Manifest = match serde_json::from_slice(&fs::read(&path)?) {
        Ok(manifest) => manifest,
        Err(error) => {
            found.damage.push(format!("{}: {error}", path.display()));
            return Ok(());
        }
    };
    for file in manifest.files {
        let path = folder.join(&file.path);
        match checkpoint::hash_file(&path) {
            Ok((bytes, sha256)) if bytes == file.bytes && sha256 == file.sha256 => found.files += 1,
            Ok(_) => found.damage.push(format!("{} is not what its manifest says", path.display())),
            Err(error) => found.damage.push(error.to_string()),
        }
    }
    Ok(())
}
