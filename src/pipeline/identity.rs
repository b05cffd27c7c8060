//! What makes a run this run: the settings and texts that shape its data. A directory made with others is refused.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::RunError;
use super::inputs::Inputs;
use super::ledger::Status;
use crate::config::fingerprint::{self, Drift, Stage};
use crate::config::{Config, SituationMode};
use crate::store::run::RunDir;
use crate::store::{checkpoint, fs};

/// Everything that shapes the data of a run.
#[derive(Debug, Clone)]
pub struct Identity {
    settings: BTreeMap<Stage, BTreeMap<String, Value>>,
    texts: BTreeMap<String, String>,
    /// SHA-256 of the imported file, where there is one.
    source: Option<String>,
}

/// The imported file when the run began.
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
    /// The imported file, where there is one.
    pub source: Option<Source>,
    /// How the run ended; `null` while it has not.
    pub ended: Option<Status>,
}

impl Identity {
    /// The identity of a run with this configuration and these texts.
    pub fn of(config: &Config, inputs: &Inputs, source: Option<String>) -> Self {
        let settings = Stage::ALL.into_iter().map(|stage| (stage, fingerprint::semantic_of(config, stage))).collect();
        Self { settings, texts: inputs.hashes(), source }
    }

    /// Settings and texts by name, as they are compared and shown.
    pub fn fields(&self) -> BTreeMap<String, Value> {
        let settings = self.settings.values().flatten().map(|(key, value)| (key.clone(), value.clone()));
        let texts = self.texts.iter().map(|(name, hash)| (format!("inputs/{name}"), json!(hash)));
        let source = self.source.iter().map(|hash| ("input file (SHA-256)".to_owned(), json!(hash)));
        settings.chain(texts).chain(source).collect()
    }

    /// The fingerprint of a stage: its settings, its texts, and the stage before it.
    pub fn stage(&self, stage: Stage, upstream: Option<&str>) -> String {
        let belongs = |name: &str| match stage {
            Stage::Personas | Stage::Compile => false,
            Stage::Conversations => ["speaker.md", "fused.md", "selector.md"].contains(&name),
            Stage::Situations => !["speaker.md", "fused.md", "selector.md"].contains(&name),
        };
        let mut texts: BTreeMap<String, String> = self.texts.clone();
        texts.retain(|name, _| belongs(name));
        if stage == Stage::Personas {
            texts.extend(self.source.clone().map(|hash| ("source".to_owned(), hash)));
        }
        let empty = BTreeMap::new();
        fingerprint::stage_fingerprint(stage, self.settings.get(&stage).unwrap_or(&empty), &texts, upstream)
    }
}

/// Makes a new directory this run's, or refuses one that is another's.
pub fn claim(dir: &RunDir, config: &Config, inputs: &Inputs, source: Option<&Path>) -> Result<Identity, RunError> {
    let resolved = fingerprint::resolved_yaml(config)?;
    let Some(record) = dir.record::<RunRecord>()? else {
        let source = source.map(Source::read).transpose()?;
        let identity = Identity::of(config, inputs, source.as_ref().map(|source| source.sha256.clone()));
        inputs.write(&dir.inputs())?;
        dir.write_config(&resolved)?;
        dir.write_record(&RunRecord { identity: identity.fields(), source, ended: None })?;
        return Ok(identity);
    };
    let source = match (&record.source, source) {
        (Some(kept), Some(path)) => Some(kept.now(path)?),
        (None, Some(path)) => Some(Source::read(path)?),
        (_, None) => None,
    };
    let identity = Identity::of(config, inputs, source.map(|source| source.sha256));
    Drift::refuse(dir.path(), &record.identity, &identity.fields())?;
    dir.write_config(&resolved)?;
    Ok(identity)
}

/// Notes how the run ended.
pub fn record_end(dir: &RunDir, status: Status) -> Result<(), RunError> {
    if let Some(record) = dir.record::<RunRecord>()?
        && record.ended != Some(status)
    {
        dir.write_record(&RunRecord { ended: Some(status), ..record })?;
    }
    Ok(())
}

impl Source {
    fn read(path: &Path) -> Result<Self, RunError> {
        let metadata = fs::metadata(path)?;
        let sha256 = if metadata.is_file() { checkpoint::hash_file(path)?.1 } else { String::new() };
        Ok(Self { bytes: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()), sha256 })
    }

    /// The file as it is now. It is read again only where size or time differ: it may hold hundreds of gigabytes. One
    /// that is gone is taken as it was; the sealed stage has what was needed of it.
    fn now(&self, path: &Path) -> Result<Self, RunError> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.len() == self.bytes && (metadata.mtime(), metadata.mtime_nsec()) == self.modified => {
                Ok(self.clone())
            }
            Ok(_) => Self::read(path),
            Err(error) if error.is_not_found() => Ok(self.clone()),
            Err(error) => Err(error.into()),
        }
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
