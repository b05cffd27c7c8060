//! Sealed stages: complete and checked, or not there.
//!
//! A stage writes its parts into its folder, each under a temporary name until it is synced, and `manifest.json` last.
//! A stage without a manifest does not exist, nor does a file that the manifest does not list. The manifest has, for
//! each file, size, rows and SHA-256, and the hash of the manifest of the stage before: from the last stage's manifest
//! one can check everything it was made from.
//!
//! Sizes are compared whenever a stage is opened, hashes whenever a file is read to its end, and by `verify`.

use std::collections::BTreeMap;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::fs::{self, FsError};
use super::lines::{Lines, LinesError, LinesFile, content_differs};
use super::part::{self, FileEntry, JsonlWriter, PartFile};
use crate::exit::ExitCode;

/// The file that makes a stage a sealed one.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The version of the manifest that this module writes and reads.
pub(crate) const FORMAT: u32 = 1;

/// Why a stage cannot be sealed, or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file is not what was sealed.
    #[error("{path} is damaged: {problem}; restore it from a copy, or remove {folder} to have the stage made again from its recorded replies", path = path.display(), folder = fs::folder_of(path).display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A row cannot be read.
    #[error("{path}, line {line}: {source}", path = path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A later version sealed it.
    #[error("{path} has format {found}, this version reads {FORMAT}; use the version that wrote it, or a later one", path = path.display())]
    NewerFormat {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A sealed stage is never written to.
    #[error("{folder} is sealed already", folder = folder.display())]
    AlreadySealed {
        /// The stage's folder.
        folder: PathBuf,
    },
    /// The disk.
    #[error(transparent)]
    Io(#[from] FsError),
}

impl From<LinesError> for CheckpointError {
    fn from(error: LinesError) -> Self {
        match error {
            LinesError::Changed { path, problem } => Self::Damaged { path, problem },
            LinesError::Io(error) => Self::Io(error),
        }
    }
}

impl CheckpointError {
    /// The exit code of a run that this error stops.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Damaged { .. } | Self::Row { .. } => ExitCode::Damage,
            Self::NewerFormat { .. } => ExitCode::Drift,
            Self::AlreadySealed { .. } => ExitCode::Bug,
            Self::Io(_) => ExitCode::Io,
        }
    }
}

/// What a sealed stage is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StageManifest {
    /// Version of this file.
    pub format: u32,
    /// The stage's name.
    pub stage: String,
    /// Hash of everything that decides its content.
    pub fingerprint: String,
    /// Hash of the manifest of the stage before; `null` in the first.
    pub upstream: Option<String>,
    /// How its inputs ended, and other sums.
    pub counts: BTreeMap<String, u64>,
    /// What else there is to know.
    pub notes: Value,
    /// Every file, by path. [`StageDir::seal`] fills it in.
    pub files: Vec<FileEntry>,
}

impl Default for StageManifest {
    fn default() -> Self {
        Self {
            format: FORMAT,
            stage: String::new(),
            fingerprint: String::new(),
            upstream: None,
            counts: BTreeMap::new(),
            notes: Value::Null,
            files: Vec::new(),
        }
    }
}

/// The folder of a stage that is being written.
#[derive(Debug)]
pub(crate) struct StageDir {
    folder: PathBuf,
    files: Vec<FileEntry>,
}

impl StageDir {
    /// Makes the folder, or empties it of what an interrupted attempt left.
    pub(crate) fn create(folder: &Path) -> Result<Self, CheckpointError> {
        if folder.join(MANIFEST).exists() {
            return Err(CheckpointError::AlreadySealed { folder: folder.to_owned() });
        }
        fs::create_dir_all(fs::folder_of(folder))?;
        fs::discard_dir(folder)?;
        fs::remove_temporaries(fs::folder_of(folder))?;
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), files: Vec::new() })
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Begins a file of one JSON object a line, for rows that come one by one. To be given to [`add`](Self::add) when
    /// it is finished.
    pub(crate) fn jsonl_writer(&self, name: &str) -> Result<JsonlWriter, CheckpointError> {
        Ok(JsonlWriter::create(&self.folder, name)?)
    }

    /// Begins a file of any form. To be given to [`add`](Self::add) when it is finished.
    pub(crate) fn part(&self, name: &str) -> Result<PartFile, CheckpointError> {
        Ok(PartFile::create(&self.folder, name)?)
    }

    /// Lists a finished file.
    pub(crate) fn add(&mut self, file: FileEntry) {
        self.files.push(file);
    }

    /// Seals the stage with everything that was written.
    pub(crate) fn seal(mut self, manifest: StageManifest) -> Result<SealedStage, CheckpointError> {
        self.files.sort_by(|one, other| one.path.cmp(&other.path));
        let manifest = StageManifest { format: FORMAT, files: self.files, ..manifest };
        let path = self.folder.join(MANIFEST);
        let mut bytes = serde_json::to_vec_pretty(&manifest).map_err(|error| FsError {
            action: "describe",
            path: path.clone(),
            source: error.into(),
        })?;
        bytes.push(b'\n');
        fs::write_atomic(&path, &bytes)?;
        Ok(SealedStage { folder: self.folder, manifest, manifest_hash: hash(&bytes) })
    }
}

fn hash(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// A stage that is complete.
#[derive(Debug, Clone)]
pub(crate) struct SealedStage {
    folder: PathBuf,
    manifest: StageManifest,
    manifest_hash: String,
}

impl SealedStage {
    /// Opens a stage, or says that it is not sealed. The sizes of all files are compared.
    pub(crate) fn open(folder: &Path) -> Result<Option<Self>, CheckpointError> {
        let path = folder.join(MANIFEST);
        let bytes = match fs::read(&path) {
            Err(error) if error.is_not_found() => return Ok(None),
            bytes => bytes?,
        };
        let manifest = parse(&path, &bytes)?;
        let stage = Self { folder: folder.to_owned(), manifest, manifest_hash: hash(&bytes) };
        stage.manifest.files.iter().try_for_each(|file| stage.compare_size(file))?;
        Ok(Some(stage))
    }

    fn compare_size(&self, file: &FileEntry) -> Result<(), CheckpointError> {
        if !part::is_inner_path(&file.path) {
            return Err(self.damaged(MANIFEST, format!("it lists {:?}", file.path)));
        }
        let metadata = match fs::metadata(&self.folder.join(&file.path)) {
            Err(error) if error.is_not_found() => return Err(self.damaged(&file.path, "it is missing".to_owned())),
            metadata => metadata?,
        };
        if !metadata.is_file() {
            return Err(self.damaged(&file.path, "it is not a regular file".to_owned()));
        }
        if metadata.len() != file.bytes {
            let problem = format!("it has {} bytes, {} were sealed", metadata.len(), file.bytes);
            return Err(self.damaged(&file.path, problem));
        }
        Ok(())
    }

    fn damaged(&self, name: &str, problem: String) -> CheckpointError {
        CheckpointError::Damaged { path: self.folder.join(name), problem }
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was sealed.
    pub(crate) fn manifest(&self) -> &StageManifest {
        &self.manifest
    }

    /// Gives back the memory of what the manifest notes.
    pub(crate) fn forget_notes(&mut self) {
        self.manifest.notes = Value::Null;
    }

    /// SHA-256 of the manifest, in hex: `upstream` of the next stage.
    pub(crate) fn manifest_hash(&self) -> &str {
        &self.manifest_hash
    }

    /// Copies the stage into another folder, as it is; every file is compared with its hash on the way.
    ///
    /// # Errors
    /// If something is sealed there already, if a file is damaged, or if it cannot be written.
    pub(crate) fn copy(&self, folder: &Path) -> Result<Self, CheckpointError> {
        StageDir::create(folder)?;
        for file in &self.manifest.files {
            let mut part = PartFile::create(folder, &file.path)?;
            let mut source = fs::open(&self.folder.join(&file.path))?;
            io::copy(&mut source, &mut part).map_err(|source| part.failed(source))?;
            let copied = part.finish(file.rows)?;
            if copied.sha256 != file.sha256 {
                return Err(self.damaged(&file.path, content_differs(&file.sha256, &copied.sha256)));
            }
        }
        fs::write_atomic(&folder.join(MANIFEST), &fs::read(&self.folder.join(MANIFEST))?)?;
        Ok(Self { folder: folder.to_owned(), ..self.clone() })
    }

    /// Reads every file again and compares its hash.
    pub(crate) fn verify(&self) -> Result<(), CheckpointError> {
        for file in &self.manifest.files {
            self.compare_size(file)?;
            let (_, sha256) = part::hash_file(&self.folder.join(&file.path))?;
            if sha256 != file.sha256 {
                return Err(self.damaged(&file.path, content_differs(&file.sha256, &sha256)));
            }
        }
        Ok(())
    }

    /// A JSONL file of the stage.
    ///
    /// # Errors
    /// If there is none of this name.
    pub(crate) fn lines_file(&self, name: &str) -> Result<LinesFile, CheckpointError> {
        match self.manifest.files.iter().find(|file| file.path == name) {
            Some(file) => Ok(LinesFile::new(&self.folder, file.clone())),
            None => Err(self.damaged(MANIFEST, format!("it does not list {name}"))),
        }
    }

    /// The rows of a JSONL file, read one by one. At the end its hash is compared: an error is the last item then.
    pub(crate) fn rows<T: DeserializeOwned>(&self, name: &str) -> Result<Rows<T>, CheckpointError> {
        Ok(Rows { lines: self.lines_file(name)?.lines()?, done: false, row: PhantomData })
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<StageManifest, CheckpointError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let damaged =
        |error: serde_json::Error| CheckpointError::Damaged { path: path.to_owned(), problem: error.to_string() };
    let Format { format } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format > FORMAT {
        return Err(CheckpointError::NewerFormat { path: path.to_owned(), found: format });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

/// The rows of a sealed JSONL file. After an error there are no more.
#[derive(Debug)]
pub(crate) struct Rows<T> {
    lines: Lines,
    done: bool,
    row: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Rows<T> {
    fn read(&mut self) -> Result<Option<T>, CheckpointError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let (path, line) = (self.lines.path(), self.lines.number());
        let row = serde_json::from_slice(self.lines.line());
        row.map(Some).map_err(|source| CheckpointError::Row { path: path.to_owned(), line, source })
    }
}

impl<T: DeserializeOwned> Iterator for Rows<T> {
    type Item = Result<T, CheckpointError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let row = self.read().transpose();
        self.done = !matches!(row, Some(Ok(_)));
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::store::fs::faults;
    use crate::store::fs::power_loss::{PowerLossTrace, seeds};

    fn seal(folder: &Path, rows: &[u32]) -> Result<SealedStage, CheckpointError> {
        let mut stage = StageDir::create(folder)?;
        let mut part = stage.jsonl_writer("part-00000.jsonl")?;
        for row in rows {
            part.push(row)?;
        }
        stage.add(part.finish()?);
        let mut rejected = stage.jsonl_writer("rejected.jsonl")?;
        rejected.push("bad")?;
        stage.add(rejected.finish()?);
        let mut table = stage.part("part-00000.parquet")?;
        table.append(b"PAR1")?;
        stage.add(table.finish(Some(rows.len() as u64))?);
        let counts = BTreeMap::from([("accepted".to_owned(), rows.len() as u64)]);
        stage.seal(StageManifest { stage: "situations".to_owned(), counts, ..StageManifest::default() })
    }

    fn rows(folder: &Path) -> Result<Vec<u32>, CheckpointError> {
        SealedStage::open(folder)?.unwrap().rows("part-00000.jsonl")?.collect()
    }

    #[test]
    fn what_is_sealed_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("2-situations");
        assert!(SealedStage::open(&folder).unwrap().is_none());
        let hash = seal(&folder, &[1, 2, 3]).unwrap().manifest_hash;
        let stage = SealedStage::open(&folder).unwrap().unwrap();
        stage.verify().unwrap();
        assert_eq!(rows(&folder).unwrap(), [1, 2, 3]);
        assert_eq!(stage.manifest_hash(), hash);
        assert_eq!(part::hash_file(&folder.join(MANIFEST)).unwrap().1, hash);
        let names: Vec<_> = stage.manifest().files.iter().map(|file| (file.path.as_str(), file.rows)).collect();
        let expected = [("part-00000.jsonl", Some(3)), ("part-00000.parquet", Some(3)), ("rejected.jsonl", Some(1))];
        assert_eq!(names, expected);
        assert_eq!(seal(&folder, &[4]).unwrap_err().exit_code(), ExitCode::Bug);
        assert_eq!(rows(&folder).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn a_stage_is_whole_or_absent_at_every_crash() {
        for step in 1.. {
            let root = faults::scratch();
            let folder = root.path().join("stage");
            // What an earlier attempt left.
            fs::create_dir_all(&folder).unwrap();
            fs::write_atomic(&folder.join("part-00009.jsonl"), b"torn").unwrap();
            let death = faults::die_at(root.path(), step);
            let result = seal(&folder, &[1, 2]);
            let survived = !death.struck();
            drop(death);
            if let Some(stage) = SealedStage::open(&folder).unwrap() {
                stage.verify().unwrap();
                assert_eq!(rows(&folder).unwrap(), [1, 2]);
            } else {
                seal(&folder, &[1, 2]).unwrap();
            }
            let names = ["manifest.json", "part-00000.jsonl", "part-00000.parquet", "rejected.jsonl"];
            assert_eq!(fs::list(&folder).unwrap(), names, "after step {step}");
            assert_eq!(fs::list(root.path()).unwrap(), ["stage"], "after step {step}");
            if survived {
                result.unwrap();
                break;
            }
        }
    }

    #[test]
    fn a_stage_is_whole_or_absent_when_the_power_fails() {
        for seed in seeds() {
            let (root, mut draw) = (faults::scratch(), Draw::new(seed, &["stage"]));
            let (folder, left) = (root.path().join("stage"), root.path().join("left"));
            let trace = PowerLossTrace::watch(&folder);
            seal(&folder, &[1, 2]).unwrap();
            let steps = draw.between(0, trace.len());
            trace.crash(steps, &mut draw, &left);
            match SealedStage::open(&left).unwrap() {
                Some(stage) => stage.verify().unwrap(),
                None => assert!(steps < trace.len(), "seed {seed}: it was sealed"),
            }
            if seed.is_multiple_of(8) {
                assert_eq!(SealedStage::open(&left).unwrap().is_none(), seal(&left, &[1, 2]).is_ok(), "seed {seed}");
            }
        }
    }

    #[test]
    fn every_change_is_damage() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("stage");
        seal(&folder, &[10, 20]).unwrap();
        for name in ["part-00000.jsonl", "part-00000.parquet", "rejected.jsonl"] {
            let path = folder.join(name);
            let sound = fs::read(&path).unwrap();
            for at in 0..sound.len() {
                let mut flipped = sound.clone();
                flipped[at] ^= 1;
                fs::write_atomic(&path, &flipped).unwrap();
                let stage = SealedStage::open(&folder).unwrap().unwrap();
                assert_eq!(stage.verify().unwrap_err().exit_code(), ExitCode::Damage, "{name}, byte {at}");
                if name == "part-00000.jsonl" {
                    assert_eq!(rows(&folder).unwrap_err().exit_code(), ExitCode::Damage, "byte {at}");
                }
                fs::write_atomic(&path, &sound[..at]).unwrap();
                assert_eq!(SealedStage::open(&folder).unwrap_err().exit_code(), ExitCode::Damage, "{name}, {at} bytes");
            }
            fs::remove_if_there(&path).unwrap();
            let error = SealedStage::open(&folder).unwrap_err();
            assert!(error.to_string().contains(&format!("{name} is damaged: it is missing")), "{error}");
            fs::write_atomic(&path, &sound).unwrap();
        }
        fs::write_atomic(&folder.join("unlisted"), b"").unwrap();
        SealedStage::open(&folder).unwrap().unwrap().verify().unwrap();
    }

    #[test]
    fn a_row_of_another_form_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("stage");
        seal(&folder, &[1, 2]).unwrap();
        let stage = SealedStage::open(&folder).unwrap().unwrap();
        let rows: Vec<_> = stage.rows::<String>("part-00000.jsonl").unwrap().collect();
        assert_eq!(rows.len(), 1);
        assert!(rows[0].as_ref().unwrap_err().to_string().contains("part-00000.jsonl, line 1: invalid type"));
        assert!(stage.rows::<u32>("other").is_err());
    }

    #[test]
    fn rows_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("stage");
        seal(&folder, &[1, 2]).unwrap();
        let text = fs::read_to_string(&folder.join(MANIFEST)).unwrap().replace("\"rows\": 2", "\"rows\": 3");
        fs::write_atomic(&folder.join(MANIFEST), text.as_bytes()).unwrap();
        let error = rows(&folder).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Damage);
        assert!(error.to_string().contains("it has 2 rows, 3 were written"), "{error}");
    }

    #[test]
    fn manifests_of_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MANIFEST);
        let code = |text: &str| {
            fs::write_atomic(&path, text.as_bytes()).unwrap();
            SealedStage::open(folder.path()).unwrap_err().exit_code()
        };
        assert_eq!(code("{\"format\":2}"), ExitCode::Drift);
        assert_eq!(code("{\"format\":1}"), ExitCode::Damage);
        assert_eq!(code(""), ExitCode::Damage);
        let climbing = StageManifest {
            files: vec![FileEntry { path: "../x".to_owned(), bytes: 0, rows: None, sha256: String::new() }],
            ..StageManifest::default()
        };
        assert_eq!(code(&serde_json::to_string(&climbing).unwrap()), ExitCode::Damage);
    }
}
