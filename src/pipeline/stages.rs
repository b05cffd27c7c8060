//! The stages of a run in order, each read back where it is sealed and made where it is not.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::error::RunError;
use super::fork::Fork;
use super::identity::{self, Identity, folder};
use super::ledger::Status;
use super::models;
use super::target::{Target, targets};
use crate::config::export;
use crate::config::fingerprint::{self, Stage};
use crate::config::{Config, PublishedPersonas, SituationMode};
use crate::record::arrow::TableRow;
use crate::record::{Conversation, Persona, Situation, Tally};
use crate::stages::compile::{Compared, StageOutcomes};
use crate::stages::context::Context;
use crate::stages::error::StageError;
use crate::stages::inputs::Inputs;
use crate::stages::personas::PersonaSource;
use crate::stages::sealed::Sealed;
use crate::stages::writer::{Fates, StageResult, StageWriter};
use crate::stages::{compile, conversations, personas, situations};
use crate::store::run::RunDir;
use crate::store::{fs, part};

/// A run at work.
pub(super) struct Stages<'a> {
    pub(super) context: Context<'a>,
    pub(super) identity: &'a Identity,
    pub(super) dir: &'a RunDir,
    /// A run whose sealed stages are taken over where they would be made the same.
    pub(super) fork: Option<Fork>,
}

/// A run whose stages are all sealed.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) outcomes: Outcomes,
    /// Id and split of a conversation worth looking at.
    pub(super) example: Option<(String, String)>,
    /// SHA-256 of the dataset's manifest; nothing where there was no record to compile.
    pub(super) dataset: Option<String>,
}

/// How the inputs of the three stages ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outcomes {
    pub(super) personas: Tally,
    pub(super) situations: Tally,
    pub(super) conversations: Tally,
}

impl Outcomes {
    /// How the run stands, now that every stage is sealed.
    pub(super) fn status(&self, config: &Config) -> Status {
        if self.situations.over_budget + self.conversations.over_budget > 0 {
            Status::Partial
        } else if self.targets(config).values().all(Target::is_enough) {
            Status::Finished
        } else {
            Status::Short
        }
    }

    /// How near they came to what was asked for.
    pub(super) fn targets(&self, config: &Config) -> BTreeMap<String, Target> {
        targets(config, Some(self.situations), Some(self.conversations))
    }

    pub(super) fn by_stage(&self) -> BTreeMap<String, Tally> {
        let stages =
            [("personas", self.personas), ("situations", self.situations), ("conversations", self.conversations)];
        stages.into_iter().map(|(stage, tally)| (stage.to_owned(), tally)).collect()
    }
}

impl Stages<'_> {
    /// Makes what is not sealed yet, then compiles.
    pub(super) async fn run(&self) -> Result<Finished, RunError> {
        let personas = self.personas()?;
        let situations = self.situations(&personas).await?;
        let conversations = self.conversations(&situations).await?;
        let outcomes = Outcomes {
            personas: personas.tally(),
            situations: situations.tally(),
            conversations: conversations.tally(),
        };
        let dataset = self.compile(&personas, &situations, &conversations, outcomes)?;
        let example = conversations.rows()?.next().transpose()?.map(|row| (row.id, row.split));
        Ok(Finished { outcomes, example, dataset })
    }

    fn personas(&self) -> Result<Sealed<Persona>, RunError> {
        let sealed = if let Some(sealed) = self.sealed(Stage::Personas, None)? {
            sealed
        } else {
            let mut writer = self.writer(Stage::Personas)?;
            writer.list_few();
            let made = personas::run(&self.context, &mut writer)?;
            self.tell_of(writer.tally());
            self.seal(Stage::Personas, writer, made, None)?
        };
        Inputs::keep_people(&self.dir.paths().inputs(), &sealed)?;
        Ok(sealed)
    }

    async fn situations(&self, personas: &Sealed<Persona>) -> Result<Sealed<Situation>, RunError> {
        let upstream = Some(personas.stage().manifest_hash());
        if let Some(sealed) = self.sealed(Stage::Situations, upstream)? {
            return Ok(sealed);
        }
        let mut writer = self.writer(Stage::Situations)?;
        if self.context.config.situations.mode == SituationMode::File {
            writer.list_few();
        }
        let made = situations::run(&self.context, personas, &mut writer).await?;
        self.seal(Stage::Situations, writer, made, upstream)
    }

    async fn conversations(&self, situations: &Sealed<Situation>) -> Result<Sealed<Conversation>, RunError> {
        let upstream = Some(situations.stage().manifest_hash());
        if let Some(sealed) = self.sealed(Stage::Conversations, upstream)? {
            return Ok(sealed);
        }
        let mut writer = self.writer(Stage::Conversations)?;
        let made = conversations::run(&self.context, situations, &mut writer).await?;
        self.seal(Stage::Conversations, writer, made, upstream)
    }

    /// The stage as it was sealed, here or in the run that this one was forked from.
    fn sealed<R: TableRow>(&self, stage: Stage, upstream: Option<&str>) -> Result<Option<Sealed<R>>, RunError> {
        let folder = folder(self.dir.paths(), stage);
        if let Some(sealed) = Sealed::open(&folder)? {
            return Ok(Some(sealed.follows(upstream)?));
        }
        if let Some(fork) = &self.fork {
            let source = fork.source(stage, self.context.source.as_ref())?;
            let fingerprint = self.identity.stage(stage, source.as_deref(), upstream);
            if let Some(sealed) = fork.take(stage, &fingerprint, upstream, &folder)? {
                self.note_source(source.as_deref())?;
                self.context.tell(format!("{stage}: taken from the run this one was forked from"));
                return Ok(Some(Sealed::of(sealed)));
            }
        }
        Ok(None)
    }

    fn writer<R: TableRow>(&self, stage: Stage) -> Result<StageWriter<R>, RunError> {
        Ok(StageWriter::create(stage.as_str(), &folder(self.dir.paths(), stage))?)
    }

    fn seal<R: TableRow>(
        &self,
        stage: Stage,
        writer: StageWriter<R>,
        made: StageResult,
        upstream: Option<&str>,
    ) -> Result<Sealed<R>, RunError> {
        self.note_source(made.source.as_deref())?;
        let fingerprint = self.identity.stage(stage, made.source.as_deref(), upstream);
        Ok(writer.seal(made, fingerprint, upstream.map(str::to_owned))?)
    }

    /// Notes which file was imported, if one was.
    fn note_source(&self, sha256: Option<&str>) -> Result<(), RunError> {
        match (&self.context.source, sha256) {
            (Some(PersonaSource::File(path)), Some(sha256)) => identity::record_source(self.dir, path, sha256),
            _ => Ok(()),
        }
    }

    /// What of the people is worth knowing.
    fn tell_of(&self, people: Tally) {
        let Tally { accepted, rejected, .. } = people;
        if rejected > 0 {
            let folder = self.dir.paths().personas();
            self.context.tell(format!(
                "{rejected} persona rows were set aside, with reasons in {}/rejected.jsonl",
                folder.display()
            ));
        }
        if self.context.config.personas.sample.is_some_and(|sample| accepted > 0 && sample > accepted) {
            self.context.tell(format!("personas.sample asks for more than the {accepted} that are there"));
        }
    }

    fn compile(
        &self,
        personas: &Sealed<Persona>,
        situations: &Sealed<Situation>,
        conversations: &Sealed<Conversation>,
        outcomes: Outcomes,
    ) -> Result<Option<String>, RunError> {
        let Outcomes { personas: people, situations: meetings, conversations: talks } = outcomes;
        let all = people.accepted + meetings.accepted + talks.accepted;
        let used_only = self.context.config.compile.personas == PublishedPersonas::Used;
        // How many people are used is known at the end.
        self.context.progress.start("compile", if used_only && people.accepted > 0 { 0 } else { all });
        if let Some(hash) = self.compiled()? {
            return Ok(Some(hash));
        }
        // Who is in a conversation is in a situation, and so are those who are used.
        if all == 0 || used_only && meetings.accepted == 0 {
            self.context.tell("nothing was accepted, so there is no dataset");
            return Ok(None);
        }
        let config = fingerprint::public_yaml(self.context.config)?;
        let stages = [("personas", people), ("situations", meetings), ("conversations", talks)]
            .map(|(stage, counts)| StageOutcomes { stage: stage.to_owned(), counts });
        let dedup = &self.context.config.dedup;
        let meetings_source = compile::RecordSource::sealed(situations.stage())?;
        let splits: Vec<String> = self.context.config.compile.splits.keys().cloned().collect();
        let input = compile::Input {
            personas: compile::RecordSource::sealed(personas.stage())?,
            cast_in: used_only.then(|| meetings_source.clone()),
            situations: meetings_source,
            conversations: compile::RecordSource::sealed(conversations.stage())?,
            splits: &splits,
            exports: &export::every(&self.context.config.export),
            compared: if dedup.enabled { Compared::WhenMade } else { Compared::WhenCompiled },
            config: &config,
            card: &self.context.config.card,
            dedup,
            models: &models::uses(self.context.config),
            prompts: &self.context.inputs.uses(),
            outcomes: &stages,
        };
        // Made beside and swapped in whole, so that a dataset is never half there.
        let folder = self.dir.paths().dataset_draft();
        fs::discard_dir(&folder)?;
        fs::create_dir_all(&folder)?;
        let progress = &self.context.progress;
        progress.expect(all);
        let last = Cell::new(0);
        let written = |rows| {
            if last.replace(rows) != rows {
                progress.advance(1, rows);
            }
            progress.work(1);
        };
        let compiled = compile::compile(&folder, &input, &written).map_err(StageError::from)?;
        fs::replace_dir(&folder, &self.dir.paths().dataset())?;
        Ok(Some(compiled.manifest_sha256))
    }

    /// The dataset's hash if it is the one this run made: what a user has put beside it stays.
    fn compiled(&self) -> Result<Option<String>, RunError> {
        let path = self.dir.paths().dataset().join("manifest.json");
        let made = identity::details(self.dir)?.dataset;
        match (made, path.is_file()) {
            (Some(made), true) if part::hash_file(&path)?.1 == made => Ok(Some(made)),
            _ => Ok(None),
        }
    }
}
