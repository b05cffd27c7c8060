//! What makes a run this run: the settings and texts that shape its data. A directory made with others is refused.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::RunError;
use super::inputs::Inputs;
use super::ledger::Status;
use crate::config::fingerprint::{self, Difference, Drift, Stage};
use crate::config::{Config, SituationMode};
use crate::store::journal::{self, Kind};
use crate::store::run::RunDir;
use crate::store::{checkpoint, fs};

/// The settings and texts that shape the data of a run.
#[derive(Debug, Clone)]
pub struct Identity {
    settings: BTreeMap<Stage, BTreeMap<String, Value>>,
    texts: BTreeMap<String, String>,
}

/// The imported file as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    bytes: u64,
    modified: (i64, i64),
    sha256: String,
}

/// The part of `run.json` that the pipeline writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Settings and text hashes by name.
    pub identity: BTreeMap<String, Value>,
    /// The imported file, once it was read.
    pub source: Option<Source>,
    /// How the run ended; `null` while it has not.
    pub ended: Option<Status>,
}

/// The texts of the conversations stage; the others belong to the situations.
const CONVERSATION_TEXTS: [&str; 3] = ["speaker.md", "fused.md", "selector.md"];

impl Identity {
    /// The identity of a run with this configuration and these texts.
    pub fn of(config: &Config, inputs: &Inputs) -> Self {
        let settings = Stage::ALL.into_iter().map(|stage| (stage, fingerprint::semantic_of(config, stage))).collect();
        Self { settings, texts: inputs.hashes() }
    }

    /// Settings and texts by name, as they are compared and shown.
    pub fn fields(&self) -> BTreeMap<String, Value> {
        let settings = self.settings.values().flatten().map(|(key, value)| (key.clone(), value.clone()));
        settings.chain(self.texts.iter().map(|(name, hash)| (format!("inputs/{name}"), json!(hash)))).collect()
    }

    /// The fingerprint of a stage: its settings, its texts, the file it imports (by SHA-256), and the stage before it.
    pub fn stage(&self, stage: Stage, source: Option<&str>, upstream: Option<&str>) -> String {
        let mut texts = self.texts.clone();
        texts.retain(|name, _| match stage {
            Stage::Personas | Stage::Compile => false,
            Stage::Conversations => CONVERSATION_TEXTS.contains(&name.as_str()),
            Stage::Situations => !CONVERSATION_TEXTS.contains(&name.as_str()),
        });
        texts.extend(source.map(|sha256| ("source".to_owned(), sha256.to_owned())));
        let empty = BTreeMap::new();
        fingerprint::stage_fingerprint(stage, self.settings.get(&stage).unwrap_or(&empty), &texts, upstream)
    }
}

/// The file a run imports people or situations from.
pub fn source(config: &Config) -> Option<&Path> {
    match config.situations.mode {
        SituationMode::Predefined => config.personas.source.as_deref(),
        SituationMode::File => config.situations.source.as_deref(),
        SituationMode::Auto => None,
    }
}

/// Makes a new directory this run's, or refuses one that is another's.
///
/// One in which nothing was paid for yet is simply taken over: whoever mends a configuration after its first error has
/// nothing to lose.
pub fn claim(dir: &RunDir, config: &Config, inputs: &Inputs, source: Option<&Path>) -> Result<Identity, RunError> {
    let identity = Identity::of(config, inputs);
    if let Some(record) = dir.record::<RunRecord>()? {
        let refused = check(dir, &record, &identity, source);
        if refused.is_ok() || has_replies(dir)? {
            dir.write_config(&fingerprint::resolved_yaml(config)?)?;
            return refused.map(|()| identity);
        }
        dir.discard_stages()?;
    }
    inputs.write(&dir.inputs())?;
    dir.write_config(&fingerprint::resolved_yaml(config)?)?;
    dir.write_record(&RunRecord { identity: identity.fields(), source: None, ended: None })?;
    Ok(identity)
}

fn check(dir: &RunDir, record: &RunRecord, identity: &Identity, source: Option<&Path>) -> Result<(), RunError> {
    let mut differences = fingerprint::diff(&record.identity, &identity.fields());
    if let (Some(kept), Some(path)) = (&record.source, source) {
        let now = kept.now(path)?;
        if now.sha256 != kept.sha256 {
            let key = format!("{} (SHA-256)", path.display());
            differences.push(Difference { key, old: Some(json!(kept.sha256)), new: Some(json!(now.sha256)) });
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(Drift { run_dir: dir.path().to_owned(), differences }.into())
}

fn has_replies(dir: &RunDir) -> Result<bool, RunError> {
    let mut replies = false;
    journal::scan(&dir.journal(), |entry| replies |= entry.kind == Kind::Reply)?;
    Ok(replies || dir.is_sealed("conversations"))
}

/// Notes which file was imported.
pub fn record_source(dir: &RunDir, path: &Path, sha256: &str) -> Result<(), RunError> {
    let metadata = fs::metadata(path)?;
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    let source = Source { bytes: metadata.len(), modified, sha256: sha256.to_owned() };
    amend(dir, |record| record.source = Some(source))
}

/// Notes how the run ended.
pub fn record_end(dir: &RunDir, status: Status) -> Result<(), RunError> {
    amend(dir, |record| record.ended = Some(status))
}

fn amend(dir: &RunDir, change: impl FnOnce(&mut RunRecord)) -> Result<(), RunError> {
    let Some(record) = dir.record::<RunRecord>()? else { return Ok(()) };
    let mut changed = record.clone();
    change(&mut changed);
    if changed != record {
        dir.write_record(&changed)?;
    }
    Ok(())
}

impl Source {
    /// The file as it is now. It is read again only where size or time differ: it may hold hundreds of gigabytes. One
    /// that is gone is taken as it was; the sealed stage has what was needed of it.
    fn now(&self, path: &Path) -> Result<Self, RunError> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.is_not_found() => return Ok(self.clone()),
            Err(error) => return Err(error.into()),
        };
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        if (metadata.len(), modified) == (self.bytes, self.modified) {
            return Ok(self.clone());
        }
        Ok(Self { bytes: metadata.len(), modified, sha256: checkpoint::hash_file(path)?.1 })
    }
}
