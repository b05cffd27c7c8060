//! The work folder: the compiled dataset, kept until other runs or settings are compiled, and the receipts.
//!
//! ```text
//! run.lock          held for the life of the process
//! work.json         what the dataset was compiled from
//! dataset/          as it is published; swapped in whole
//! removed.jsonl     records that were left out because of an earlier run
//! receipts.jsonl    what was written where
//! ```

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::collect::Runs;
use super::error::PublishError;
use super::receipts::Receipts;
use super::version::MANIFEST;
use super::watch::PublishWatch;
use crate::config::upload::Upload;
use crate::stages::compile::{self, Compiled, DatasetManifest};
use crate::store::fs::{self, FsError};
use crate::store::lock::{LockError, RunLock};
use crate::store::part::{self, JsonlWriter};

const WORK_FILE: &str = "work.json";
const REMOVED: &str = "removed.jsonl";
const FORMAT: u32 = 1;

/// A work folder that is ours as long as this lives.
#[derive(Debug)]
pub(crate) struct WorkDir {
    root: PathBuf,
    _lock: RunLock,
}

/// The content of `work.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Work {
    format: u32,
    /// What the dataset was compiled from and what came of it; nothing before the first time.
    made: Option<Made>,
}

/// What a dataset was compiled from, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Made {
    fingerprint: String,
    manifest_sha256: String,
}

impl WorkDir {
    /// Takes the folder, making it if there is none.
    ///
    /// # Errors
    /// If another process has it, or if it holds something that compiling would replace.
    pub(crate) fn open(root: &Path) -> Result<Self, PublishError> {
        fs::create_dir_all(root)?;
        if root.join("run.json").exists() {
            return Err(PublishError::WorkDir { path: root.to_owned(), problem: "is a run directory" });
        }
        let lock = RunLock::acquire(root).map_err(locked)?;
        let dir = Self { root: root.to_owned(), _lock: lock };
        if !root.join(WORK_FILE).exists() {
            if dir.dataset().exists() {
                let problem = "holds a folder `dataset` that compile-upload has not made";
                return Err(PublishError::WorkDir { path: root.to_owned(), problem });
            }
            dir.note(None)?;
        }
        fs::remove_temporaries(root)?;
        Ok(dir)
    }

    /// The compiled dataset.
    pub(crate) fn dataset(&self) -> PathBuf {
        self.root.join("dataset")
    }

    /// The list of what was left out.
    pub(crate) fn removed(&self) -> PathBuf {
        self.root.join(REMOVED)
    }

    /// Where receipts go.
    pub(crate) fn receipts(&self) -> Result<Receipts, PublishError> {
        Ok(Receipts::in_folder(&self.root)?)
    }

    fn note(&self, made: Option<Made>) -> Result<(), FsError> {
        let path = self.root.join(WORK_FILE);
        let failed = |error: serde_json::Error| FsError { action: "write", path: path.clone(), source: error.into() };
        let text = serde_json::to_vec_pretty(&Work { format: FORMAT, made }).map_err(failed)?;
        fs::write_atomic(&path, &text)
    }

    /// The dataset that is there, if it was compiled from what `fingerprint` stands for and every byte is as it was; and
    /// what was left out of it.
    pub(crate) fn compiled(&self, fingerprint: &str) -> Result<Option<(Compiled, RemovedCounts)>, PublishError> {
        let Ok(work) = serde_json::from_slice::<Work>(&fs::read(&self.root.join(WORK_FILE))?) else { return Ok(None) };
        let current = |made: &Made| work.format == FORMAT && made.fingerprint == fingerprint;
        let Some(made) = work.made.filter(current) else { return Ok(None) };
        let (Ok(bytes), Ok(removed)) = (fs::read(&self.dataset().join(MANIFEST)), fs::open(&self.removed())) else {
            return Ok(None);
        };
        let Ok(manifest) = serde_json::from_slice::<DatasetManifest>(&bytes) else { return Ok(None) };
        let manifest_sha256 = format!("{:x}", Sha256::digest(&bytes));
        if manifest_sha256 != made.manifest_sha256 || !self.is_as_listed(&manifest) {
            return Ok(None);
        }
        let rows = serde_json::Deserializer::from_reader(BufReader::new(removed)).into_iter::<RemovedRow>();
        let mut counts = RemovedCounts::new();
        for row in rows {
            let Ok(RemovedRow { table, reason }) = row else { return Ok(None) };
            count(&mut counts, &table, &reason);
        }
        Ok(Some((Compiled { manifest, manifest_sha256 }, counts)))
    }

    fn is_as_listed(&self, manifest: &DatasetManifest) -> bool {
        manifest.files.iter().all(|file| {
            let found = part::hash_file(&self.dataset().join(&file.path));
            part::is_inner_path(&file.path)
                && found.is_ok_and(|(bytes, sha256)| bytes == file.bytes && sha256 == file.sha256)
        })
    }

    /// Compiles the dataset of `runs` beside the one that is there, and swaps it in when it is whole.
    pub(crate) fn compile(
        &self,
        fingerprint: &str,
        runs: &Runs<'_>,
        watch: &PublishWatch,
    ) -> Result<(Compiled, RemovedCounts), PublishError> {
        self.note(None)?;
        let (draft, merged) = (self.root.join(".tmp-dataset"), self.root.join(".tmp-merged"));
        for folder in [&draft, &merged] {
            fs::discard_dir(folder)?;
            fs::create_dir_all(folder)?;
        }
        let mut rows = JsonlWriter::create(&self.root, REMOVED)?;
        let compiled = Self::draft(&draft, &merged, &mut rows, runs, watch);
        // Whatever came of it: a disk that is full should not stay so.
        let emptied = fs::discard_dir(&merged);
        let (compiled, counts) = match compiled {
            Ok(compiled) => compiled,
            Err(error) => {
                drop((fs::discard_dir(&draft), rows.discard()));
                return Err(error);
            }
        };
        emptied?;
        rows.finish()?;
        fs::replace_dir(&draft, &self.dataset())?;
        let manifest_sha256 = compiled.manifest_sha256.clone();
        self.note(Some(Made { fingerprint: fingerprint.to_owned(), manifest_sha256 }))?;
        Ok((compiled, counts))
    }

    /// The dataset of `runs` in the folder `draft`, by way of `merged`; what is left out goes into `rows`.
    fn draft(
        draft: &Path,
        merged: &Path,
        rows: &mut JsonlWriter,
        runs: &Runs<'_>,
        watch: &PublishWatch,
    ) -> Result<(Compiled, RemovedCounts), PublishError> {
        let mut counts = RemovedCounts::new();
        let collected = runs.collect(merged, &mut |removed| {
            count(&mut counts, removed.table, removed.reason);
            rows.push(removed)?;
            Ok(())
        })?;
        let input = collected.input();
        let all = input.personas.rows() + input.situations.rows() + input.conversations.rows();
        let passed = Cell::new(0);
        let compiled = compile::compile(draft, &input, &|_| {
            passed.set(passed.get() + 1);
            (watch.rows)(passed.get(), all);
        })?;
        Ok((compiled, counts))
    }
}

/// How many records were left out, by table and reason.
pub(crate) type RemovedCounts = BTreeMap<String, BTreeMap<String, u64>>;

/// What of a line of `removed.jsonl` is counted.
#[derive(Debug, Deserialize)]
struct RemovedRow {
    table: String,
    reason: String,
}

fn count(counts: &mut RemovedCounts, table: &str, reason: &str) {
    *counts.entry(table.to_owned()).or_default().entry(reason.to_owned()).or_default() += 1;
}

fn locked(error: LockError) -> PublishError {
    match error {
        LockError::InUse { folder, holder } => PublishError::InUse { folder, holder },
        LockError::NotAFile { path } => PublishError::WorkDir { path, problem: "is not a regular file" },
        LockError::Io(error) => error.into(),
    }
}

/// What is compiled replaces what was compiled before, so neither a run nor what is published may lie there.
///
/// # Errors
/// If the work folder and the destination lie in one another, or a run in the work folder.
pub(crate) fn keep_apart(upload: &Upload) -> Result<(), PublishError> {
    let work_dir = resolved(&upload.work_dir);
    let refused = |problem| Err(PublishError::WorkDir { path: upload.work_dir.clone(), problem });
    let published = upload.destination.folder.as_deref().map(resolved);
    if published.is_some_and(|folder| folder.starts_with(&work_dir) || work_dir.starts_with(&folder)) {
        return refused("and the destination lie in one another; compiling would replace what is published");
    }
    if upload.runs.iter().any(|run| resolved(run).starts_with(&work_dir)) {
        return refused("holds a run, which compiling would replace");
    }
    Ok(())
}

/// Where a path leads, links followed as far as there is something.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for there in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (there.canonicalize(), path.strip_prefix(there)) {
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path
}
