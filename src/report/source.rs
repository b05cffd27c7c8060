//! What can be measured: a run directory, a dataset folder, a JSONL or a Parquet file of conversations.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::dialogue::{Dialogue, ForeignTalk};
use super::error::ReportError;
use super::shapes;
use crate::record::arrow::TableRow;
use crate::record::parquet::Reader;
use crate::record::{Conversation, Situation, misread};
use crate::stages::compile::DatasetManifest;
use crate::stages::imported::{InputLine, InputLines};
use crate::store::checkpoint::SealedStage;
use crate::store::fs::{self, FsError};
use crate::store::part;
use crate::store::run::RunPaths;

const BUFFER: usize = 1 << 18;

/// What was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A run directory: its sealed conversations.
    Run,
    /// A dataset folder, compiled or published.
    Dataset,
    /// A file of one JSON object a line.
    Jsonl,
    /// A Parquet file of Conversation records.
    Parquet,
}

/// A conversation as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Talk {
    /// A record of convogen.
    Record(Box<Conversation>),
    /// One of another tool's.
    Foreign(Box<ForeignTalk>),
}

impl From<Talk> for Dialogue {
    fn from(talk: Talk) -> Self {
        match talk {
            Talk::Record(record) => (*record).into(),
            Talk::Foreign(talk) => talk.dialogue,
        }
    }
}

impl From<Conversation> for Talk {
    fn from(record: Conversation) -> Self {
        Self::Record(Box::new(record))
    }
}

/// Conversations that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConversationSource {
    pub(crate) path: PathBuf,
    pub(crate) kind: SourceKind,
}

impl ConversationSource {
    /// Finds out what `path` is.
    pub(crate) fn find(path: &Path) -> Result<Self, ReportError> {
        let metadata = match fs::metadata(path) {
            Err(error) if error.is_not_found() => return Err(ReportError::Missing { path: path.to_owned() }),
            metadata => metadata?,
        };
        let kind = if metadata.is_dir() { folder_kind(path)? } else { file_kind(path)? };
        Ok(Self { path: path.to_owned(), kind })
    }

    /// Reads every conversation, in order, until `take` wants no more. `false` when there are none yet: a run whose
    /// conversations are not sealed.
    pub(super) fn read(&self, take: &mut dyn FnMut(Talk) -> bool) -> Result<bool, ReportError> {
        match self.kind {
            SourceKind::Jsonl => read_jsonl(&self.path, take).map(|()| true),
            _ => self.records(&mut |record| take(record.into())),
        }
    }

    /// The same for records of convogen, which a JSONL file need not hold: none are read from one.
    pub(crate) fn records(&self, take: &mut dyn FnMut(Conversation) -> bool) -> Result<bool, ReportError> {
        match self.kind {
            SourceKind::Run => return read_run(&RunPaths::of_run(&self.path)?.conversations(), take),
            SourceKind::Dataset => read_dataset(&self.path, "data", take)?,
            SourceKind::Parquet => read_parquet(&self.path, take)?,
            SourceKind::Jsonl => return Ok(false),
        }
        Ok(true)
    }

    /// Reads every situation until `take` wants no more. `false` where there are none: a file has conversations alone, and a
    /// dataset need not have a table of situations.
    pub(crate) fn situations(&self, take: &mut dyn FnMut(Situation) -> bool) -> Result<bool, ReportError> {
        match self.kind {
            SourceKind::Run => read_run(&RunPaths::of_run(&self.path)?.situations(), take),
            SourceKind::Dataset if self.path.join("situations").is_dir() => {
                read_dataset(&self.path, "situations", take).map(|()| true)
            }
            SourceKind::Dataset | SourceKind::Parquet | SourceKind::Jsonl => Ok(false),
        }
    }
}

fn folder_kind(path: &Path) -> Result<SourceKind, ReportError> {
    if RunPaths::of_run(path).is_ok() {
        Ok(SourceKind::Run)
    } else if path.join("data").is_dir() {
        Ok(SourceKind::Dataset)
    } else {
        Err(ReportError::NotMeasurable { path: path.to_owned() })
    }
}

fn file_kind(path: &Path) -> Result<SourceKind, ReportError> {
    let mut head = Vec::new();
    let read = fs::open(path)?.take(4).read_to_end(&mut head);
    read.map_err(|source| FsError { action: "read", path: path.to_owned(), source })?;
    Ok(if head == b"PAR1" { SourceKind::Parquet } else { SourceKind::Jsonl })
}

/// The accepted records of a stage in its folder.
fn read_run<R: DeserializeOwned>(stage: &Path, take: &mut dyn FnMut(R) -> bool) -> Result<bool, ReportError> {
    let Some(sealed) = SealedStage::open(stage)? else { return Ok(false) };
    for name in parts(&sealed) {
        for row in sealed.rows::<R>(&name)? {
            if !take(row?) {
                return Ok(true);
            }
        }
    }
    Ok(true)
}

/// The JSONL files with the accepted records of a stage.
pub(super) fn parts(sealed: &SealedStage) -> Vec<String> {
    let names = sealed.manifest().files.iter().map(|file| file.path.as_str());
    let is_part = |name: &&str| name.starts_with("part-") && Path::new(name).extension().is_some_and(|e| e == "jsonl");
    names.filter(is_part).map(str::to_owned).collect()
}

/// The Parquet files of a table in its folder, each first compared with the manifest where there is one.
fn read_dataset<R: TableRow>(path: &Path, table: &str, take: &mut dyn FnMut(R) -> bool) -> Result<(), ReportError> {
    let manifest_path = path.join("manifest.json");
    let manifest: Option<DatasetManifest> = match fs::read(&manifest_path) {
        Err(error) if error.is_not_found() => None,
        bytes => {
            let damaged = |error: serde_json::Error| damaged(&manifest_path, error.to_string());
            Some(serde_json::from_slice(&bytes?).map_err(damaged)?)
        }
    };
    let listed = manifest.iter().flat_map(|manifest| &manifest.files);
    let listed = listed.filter(|entry| Path::new(&entry.path).parent() == Some(Path::new(table)));
    if let Some(gone) = listed.map(|entry| path.join(&entry.path)).find(|file| !file.is_file()) {
        return Err(damaged(&gone, "the manifest lists it and it is not there".to_owned()));
    }
    for name in fs::list_files(&path.join(table))? {
        let file = path.join(table).join(&name);
        if file.extension().is_none_or(|extension| extension != "parquet") {
            continue;
        }
        if let Some(manifest) = &manifest {
            compare(&file, &format!("{table}/{name}"), manifest)?;
        }
        read_parquet(&file, take)?;
    }
    Ok(())
}

fn compare(file: &Path, name: &str, manifest: &DatasetManifest) -> Result<(), ReportError> {
    let Some(entry) = manifest.files.iter().find(|entry| entry.path == name) else {
        return Err(damaged(file, "the manifest does not list it".to_owned()));
    };
    let (bytes, sha256) = part::hash_file(file)?;
    if bytes != entry.bytes || sha256 != entry.sha256 {
        return Err(damaged(file, "it is not what the manifest says".to_owned()));
    }
    Ok(())
}

fn damaged(path: &Path, problem: String) -> ReportError {
    ReportError::Damaged { path: path.to_owned(), problem }
}

fn read_parquet<R: TableRow>(path: &Path, take: &mut dyn FnMut(R) -> bool) -> Result<(), ReportError> {
    let failed = |source| ReportError::Table { path: path.to_owned(), source };
    for batch in Reader::<R>::open(fs::open(path)?).map_err(failed)? {
        for row in batch.map_err(failed)? {
            if !take(row) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The longest line that is read, in bytes: a record of the largest size that datasets are made of.
const LONGEST_LINE: usize = 16 << 20;

/// One conversation a line. The first line decides whether they are records of convogen or of another shape.
fn read_jsonl(path: &Path, take: &mut dyn FnMut(Talk) -> bool) -> Result<(), ReportError> {
    let mut lines = InputLines::new(BufReader::with_capacity(BUFFER, fs::open(path)?), LONGEST_LINE);
    let mut own = None;
    loop {
        let next = lines.next().map_err(|source| FsError { action: "read", path: path.to_owned(), source })?;
        let Some((line, input)) = next else { return Ok(()) };
        let InputLine::Whole(text) = input else {
            let problem = format!("it has more than {LONGEST_LINE} bytes; write one conversation a line");
            return Err(ReportError::Line { path: path.to_owned(), line, problem });
        };
        let text = text.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let own = *own.get_or_insert_with(|| serde_json::from_slice::<Conversation>(text).is_ok());
        let talk = if own { record(text) } else { other(text) };
        let talk = talk.map_err(|problem| ReportError::Line { path: path.to_owned(), line, problem })?;
        if !take(talk) {
            return Ok(());
        }
    }
}

fn record(text: &[u8]) -> Result<Talk, String> {
    serde_json::from_slice::<Conversation>(text).map(Talk::from).map_err(|error| error.to_string())
}

fn other(text: &[u8]) -> Result<Talk, String> {
    if text.starts_with(b"[") {
        return Err("it begins a JSON array; write one object a line, as `jq -c '.[]'` does".to_owned());
    }
    let value: Value =
        serde_json::from_slice(text).map_err(|error| misread(text, &format!("it is no JSON: {error}")))?;
    shapes::dialogue(&value).map(|talk| Talk::Foreign(Box::new(talk)))
}
