//! Whether every byte of a run is what was sealed or synced.

use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::error::RunError;
use super::identity::{self, Details};
use crate::stages::compile::DatasetManifest;
use crate::stages::inputs::Inputs;
use crate::store::checkpoint::SealedStage;
use crate::store::run::{RunDir, RunInfo, RunPaths};
use crate::store::{fs, journal, part};

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct RunVerification {
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
pub(crate) fn verify(path: &Path, salvage: Option<&Path>) -> Result<RunVerification, RunError> {
    let dir = RunPaths::of_run(path)?;
    if salvage.is_some() {
        identity::require_journal(path, "there are no replies to salvage")?;
    }
    let mut found = RunVerification::default();
    let report = journal::verify(&dir.journal())?;
    found.replies = report.replies;
    found.damage.extend(report.damage.iter().map(ToString::to_string));
    for folder in [dir.personas(), dir.situations(), dir.conversations()] {
        match SealedStage::open(&folder) {
            Ok(Some(sealed)) => match sealed.verify() {
                Ok(()) => found.files += sealed.manifest().files.len() as u64,
                Err(error) => found.damage.push(error.to_string()),
            },
            Ok(None) => {}
            Err(error) => found.damage.push(error.to_string()),
        }
    }
    presence(&dir, &mut found)?;
    dataset(&dir, &mut found)?;
    if let Some(new) = salvage {
        found.salvaged = Some(save(&dir, new)?);
    }
    Ok(found)
}

/// Copies settings, texts and sound replies into a new run directory, which goes on like any other.
fn save(dir: &RunPaths, new: &Path) -> Result<String, RunError> {
    let Some(info) = dir.info()? else { return Err(RunError::NotFound { message: "run.json is missing".to_owned() }) };
    let target = RunDir::open_or_create(new, false)?;
    if target.info()?.is_some() {
        return Err(RunError::NotFound { message: format!("{} is a run already; choose a new folder", new.display()) });
    }
    Inputs::read(&dir.inputs())?.write(&target.paths().inputs())?;
    fs::write_atomic(&target.paths().config(), &fs::read(&dir.config())?)?;
    let saved = journal::salvage(&dir.journal(), &target.paths().journal(), &info.run_id)?;
    let details = json!(Details { ended: None, ..Details::of(&info) });
    target.write_info(&RunInfo { details, ..info })?;
    let (replies, new) = (saved.replies, new.display());
    Ok(format!("{replies} replies were saved into {new}; `convogen pipeline run … --run-dir {new}` goes on with them"))
}

/// What a run that ended must have, and the texts it was made from.
fn presence(dir: &RunPaths, found: &mut RunVerification) -> Result<(), RunError> {
    let Some(info) = dir.info()? else { return Ok(()) };
    let details = Details::of(&info);
    if details.ended.is_some() {
        let dataset = details.dataset.as_ref().map(|_| dir.dataset().join("manifest.json"));
        let stages = [dir.personas(), dir.situations(), dir.conversations()].map(|folder| folder.join("manifest.json"));
        let missing = stages.into_iter().chain(dataset).filter(|path| !path.is_file());
        found.damage.extend(missing.map(|path| format!("{} is missing", path.display())));
    }
    for (name, hash) in Inputs::read(&dir.inputs())?.hashes() {
        found.files += 1;
        if info.fingerprints.get(&format!("inputs/{name}")) != Some(&json!(hash)) {
            found.damage.push(format!("{} is not what the run was made from", dir.inputs().join(&name).display()));
        }
    }
    Ok(())
}

/// Compares the dataset with its own manifest.
fn dataset(dir: &RunPaths, found: &mut RunVerification) -> Result<(), RunError> {
    let folder = dir.dataset();
    if !folder.is_dir() {
        return Ok(());
    }
    let path = folder.join("manifest.json");
    let manifest: DatasetManifest = match serde_json::from_slice(&fs::read(&path)?) {
        Ok(manifest) => manifest,
        Err(error) => {
            found.damage.push(format!("{}: {error}", path.display()));
            return Ok(());
        }
    };
    for file in manifest.files {
        let path = folder.join(&file.path);
        match part::hash_file(&path) {
            Ok((bytes, sha256)) if bytes == file.bytes && sha256 == file.sha256 => found.files += 1,
            Ok(_) => found.damage.push(format!("{} is not what its manifest says", path.display())),
            Err(error) => found.damage.push(error.to_string()),
        }
    }
    Ok(())
}
