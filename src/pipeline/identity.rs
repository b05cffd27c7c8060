//! What makes a run this run: the settings and texts that shape its data. A directory made with others is refused.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::RunError;
use super::inputs::Inputs;
use super::ledger::Status;
use crate::config::fingerprint::{self, Drift, Stage};
use crate::config::{Config, SituationMode};
use crate::store::run::RunDir;

/// Everything that shapes the data of a run.
#[derive(Debug, Clone)]
pub struct Identity {
    settings: BTreeMap<Stage, BTreeMap<String, Value>>,
    texts: BTreeMap<String, String>,
    /// SHA-256 of the imported file, where there is one.
    source: Option<String>,
}

/// The part of `run.json` that the pipeline writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Settings and text hashes by name.
    pub identity: BTreeMap<String, Value>,
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

    /// Refuses a directory that was made with something else.
    pub fn check(&self, dir: &RunDir, record: &RunRecord) -> Result<(), RunError> {
        Ok(Drift::refuse(dir.path(), &record.identity, &self.fields())?)
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
