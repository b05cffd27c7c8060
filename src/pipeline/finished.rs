//! A finished run, for those who use what it made: its sealed stages, each checked against its manifest before it is read.
//!
//! Takes no lock: what is sealed is not written to again, and a run that is opened anew is no finished one any more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::error::RunError;
use super::identity::{Details, folder};
use super::ledger::Status;
use super::models;
use crate::config::fingerprint::Stage;
use crate::config::{Config, load};
use crate::record::Tally;
use crate::stages::compile::{ModelUse, PromptUse};
use crate::stages::inputs::Inputs;
use crate::stages::sealed;
use crate::store::checkpoint::{CheckpointError, MANIFEST, SealedStage};
use crate::store::run::RunPaths;

/// A run whose stages are all sealed.
#[derive(Debug)]
pub(crate) struct FinishedRun {
    /// Where it is.
    pub path: PathBuf,
    /// What it was asked to do.
    pub config: Config,
    /// How it ended.
    pub status: Status,
    /// The settings, texts and imported file that shaped its data, by name.
    pub made_with: BTreeMap<String, Value>,
    /// The models it used, by role.
    pub models: Vec<ModelUse>,
    /// The prompts it used, by role.
    pub prompts: Vec<PromptUse>,
    created_by: String,
    personas: SealedStage,
    situations: SealedStage,
    conversations: SealedStage,
}

impl FinishedRun {
    /// Opens the run in `path`. The sizes of its files are compared, their content only when they are read.
    ///
    /// # Errors
    /// If there is no run, if it is not finished, if it is damaged or of another format.
    pub(crate) fn open(path: &Path) -> Result<Self, RunError> {
        let dir = RunPaths::of_run(path)?;
        let unfinished = || RunError::Unfinished { path: path.to_owned() };
        let info = dir.info()?.ok_or_else(unfinished)?;
        let Details { ended, source, .. } = Details::of(&info);
        let status = ended.ok_or_else(unfinished)?;
        let mut made_with = info.fingerprints;
        made_with.extend(source.map(|file| ("imported file (SHA-256)".to_owned(), json!(file.sha256()))));
        let stage = |stage: Stage| SealedStage::open(&folder(&dir, stage))?.ok_or_else(unfinished);
        let run = Self {
            path: path.to_owned(),
            personas: stage(Stage::Personas)?,
            situations: stage(Stage::Situations)?,
            conversations: stage(Stage::Conversations)?,
            prompts: Inputs::read(&dir.inputs())?.uses(),
            config: load::kept(&dir.config())?,
            status,
            made_with,
            models: Vec::new(),
            created_by: info.created_by,
        };
        follows(&run.situations, &run.personas, &folder(&dir, Stage::Situations))?;
        follows(&run.conversations, &run.situations, &folder(&dir, Stage::Conversations))?;
        Ok(Self { models: models::uses(&run.config), ..run })
    }

    /// The run without what its manifests note besides files and counts. That grows with the run: a count for each cell of a
    /// coverage grid, say.
    pub(crate) fn without_notes(mut self) -> Self {
        for stage in [&mut self.personas, &mut self.situations, &mut self.conversations] {
            stage.forget_notes();
        }
        self
    }

    /// Stands for everything the run made: SHA-256, in hex, of the manifest of its last stage, which names those before.
    pub(crate) fn content(&self) -> &str {
        self.conversations.manifest_hash()
    }

    /// How the inputs of a stage ended.
    pub(crate) fn tally(&self, stage: Stage) -> Tally {
        self.sealed(stage).map(|sealed| sealed::tally(&sealed.manifest().counts)).unwrap_or_default()
    }

    /// A stage; nothing for the last, which is compiled and not sealed.
    pub(crate) fn sealed(&self, stage: Stage) -> Option<&SealedStage> {
        match stage {
            Stage::Personas => Some(&self.personas),
            Stage::Situations => Some(&self.situations),
            Stage::Conversations => Some(&self.conversations),
            Stage::Compile => None,
        }
    }

    /// Its situations.
    pub(crate) fn sealed_situations(&self) -> &SealedStage {
        &self.situations
    }

    /// Its conversations.
    pub(crate) fn sealed_conversations(&self) -> &SealedStage {
        &self.conversations
    }

    /// Why a record in the file `path` of this run does not read, given what its line `line` says.
    pub(crate) fn misread(&self, path: &Path, line: u64, source: &serde_json::Error) -> RunError {
        let of = |stage: &Stage| self.sealed(*stage).is_some_and(|sealed| path.starts_with(sealed.folder()));
        let stage = Stage::ALL.into_iter().find(of).unwrap_or(Stage::Compile);
        match self.sealed(stage).map_or(Ok(()), SealedStage::verify) {
            Err(damage) => damage.into(),
            // The bytes are what was sealed, so another version sealed them.
            Ok(()) => RunError::OtherRecords {
                path: self.path.clone(),
                created_by: self.created_by.clone(),
                reason: format!("{stage}, row {line}: {source}"),
            },
        }
    }
}

/// A stage is made from the one before that is there.
fn follows(stage: &SealedStage, before: &SealedStage, folder: &Path) -> Result<(), CheckpointError> {
    if stage.manifest().upstream.as_deref() == Some(before.manifest_hash()) {
        return Ok(());
    }
    let problem = "it was made from another stage than the one that is there".to_owned();
    Err(CheckpointError::Damaged { path: folder.join(MANIFEST), problem })
}
