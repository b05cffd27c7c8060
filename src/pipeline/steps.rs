//! The stages of a run in order, each read back where it is sealed and made where it is not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::course::Texts;
use super::error::RunError;
use super::executor;
use super::identity::{self, Identity};
use super::inputs::{self, Inputs, InputsError};
use super::ledger::Status;
use super::run::Watch;
use super::seal::{self, Product, Seal, Sealed};
use super::uses;
use crate::config::fingerprint::{self, Stage};
use crate::config::{Config, SituationMode, assets};
use crate::llm::recorded::{Calls, Halt};
use crate::llm::{Message, Role};
use crate::record::{Conversation, Dropped, Outcome, Persona, Situation, Tally};
use crate::stages::compile::{self, StageOutcomes};
use crate::stages::conversations::ledger::Figures;
use crate::stages::conversations::{self, Held};
use crate::stages::dedup::{self, Collection, Match, Shingling, Verdict};
use crate::stages::personas::{self, People};
use crate::stages::situations::casting::Cast;
use crate::stages::situations::import::{self, Import};
use crate::stages::situations::{self, Made};
use crate::stages::{judge, safety};
use crate::store::fs;
use crate::store::part::{self, JsonlWriter};
use crate::store::run::RunDir;

/// The personas that are used when the configuration names none.
const BUILT_IN_PERSONAS: &str = "prompts/personas/personahub-placeholder.jsonl";

/// Everything the stages of a run work with.
pub(super) struct Steps<'a> {
    pub(super) config: &'a Config,
    pub(super) inputs: &'a Inputs,
    pub(super) identity: &'a Identity,
    pub(super) dir: &'a RunDir,
    /// The file that people or situations are imported from.
    pub(super) source: Option<PathBuf>,
    /// The personas that ship with convogen and are named by its own configuration.
    pub(super) people: Option<&'static str>,
    pub(super) accept_partial: bool,
    pub(super) watch: &'a Watch,
    pub(super) calls: Calls,
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
        let over_budget = self.situations.over_budget + self.conversations.over_budget;
        let wanted = self.situations.accepted * config.conversations.per_situation;
        let enough = config.situations.wanted().is_none_or(|count| self.situations.accepted >= count);
        if over_budget > 0 {
            Status::Partial
        } else if enough && self.conversations.accepted >= wanted {
            Status::Finished
        } else {
            Status::Short
        }
    }

    pub(super) fn by_stage(&self) -> BTreeMap<String, Tally> {
        let stages =
            [("personas", self.personas), ("situations", self.situations), ("conversations", self.conversations)];
        stages.into_iter().map(|(stage, tally)| (stage.to_owned(), tally)).collect()
    }
}

impl Steps<'_> {
    /// Runs what is not sealed yet, then compiles.
    pub(super) async fn run(&self) -> Result<Finished, RunError> {
        let personas = self.personas()?;
        let situations = self.situations(&personas).await?;
        let conversations = self.conversations(&situations).await?;
        let outcomes =
            Outcomes { personas: personas.tally, situations: situations.tally, conversations: conversations.tally };
        let dataset = self.compile(&personas, &situations, &conversations, outcomes)?;
        let example = conversations.rows.first().map(|row| (row.id.clone(), row.split.clone()));
        Ok(Finished { outcomes, example, dataset })
    }

    fn seal(&self, stage: Stage, upstream: Option<&str>) -> Seal {
        Seal {
            stage: stage.as_str(),
            folder: seal::folder(self.dir.paths(), stage),
            fingerprint: self.identity.stage(stage, None, upstream),
            upstream: upstream.map(str::to_owned),
        }
    }

    fn personas(&self) -> Result<Sealed<Persona>, RunError> {
        let mut seal = self.seal(Stage::Personas, None);
        if let Some(sealed) = seal.open()? {
            return Ok(sealed);
        }
        if self.config.situations.mode != SituationMode::Predefined {
            return seal_personas(&seal, &no_people());
        }
        self.watch.progress.start("personas", self.config.personas.sample.unwrap_or(0));
        let people = people(self.config, self.source.as_deref(), self.people)?;
        self.watch.progress.advance(people.counts.read, people.counts.accepted);
        if people.counts.rejected > 0 {
            let folder = seal.folder.display();
            let rejected = people.counts.rejected;
            self.watch
                .notice(format!("{rejected} persona rows were set aside, with reasons in {folder}/rejected.jsonl"));
        }
        if self.config.personas.sample.is_some_and(|sample| sample > people.counts.accepted) {
            self.watch
                .notice(format!("personas.sample asks for more than the {} that are there", people.counts.accepted));
        }
        if let Some(path) = &self.source {
            identity::record_source(self.dir, path, &people.input.sha256)?;
        }
        self.keep_inputs(&people.accepted)?;
        seal.fingerprint = self.identity.stage(Stage::Personas, Some(&people.input.sha256), None);
        seal_personas(&seal, &people)
    }

    async fn situations(&self, personas: &Sealed<Persona>) -> Result<Sealed<Situation>, RunError> {
        let mut seal = self.seal(Stage::Situations, Some(&personas.hash));
        if let Some(sealed) = seal.open()? {
            return Ok(sealed);
        }
        let made = match (self.config.situations.mode, &self.source) {
            (SituationMode::File, Some(path)) => {
                let made = import::import(&self.import(path), &self.watch.progress)?;
                let (_, sha256) = part::hash_file(path)?;
                identity::record_source(self.dir, path, &sha256)?;
                seal.fingerprint = self.identity.stage(Stage::Situations, Some(&sha256), Some(&personas.hash));
                made
            }
            _ => generate(self.config, self.inputs, &self.calls, &personas.rows, self.watch).await?,
        };
        if !made.complete {
            self.stopped()?;
        }
        let tally = made.tally();
        let inputs = made.inputs;
        let (duplicates, summary) = dedup::report(made.duplicates);
        let hash = seal.seal(&Product {
            rows: &made.accepted,
            dropped: &made.dropped,
            duplicates: &duplicates,
            tally,
            not_sampled: 0,
            inputs,
            notes: json!({"figures": made.notes, "dedup": summary}),
        })?;
        Ok(Sealed { rows: made.accepted, tally, hash })
    }

    fn import<'a>(&'a self, source: &'a std::path::Path) -> Import<'a> {
        Import {
            source,
            language: &self.config.language,
            splits: &self.config.compile.splits,
            dedup: self.threshold(self.config.dedup.situations),
            seed: self.config.seed,
            count: self.config.situations.count.unwrap_or(u64::MAX),
        }
    }

    fn threshold(&self, threshold: f64) -> Option<f64> {
        self.config.dedup.enabled.then_some(threshold)
    }

    async fn conversations(&self, situations: &Sealed<Situation>) -> Result<Sealed<Conversation>, RunError> {
        let seal = self.seal(Stage::Conversations, Some(&situations.hash));
        if let Some(sealed) = seal.open()? {
            return Ok(sealed);
        }
        let texts = Texts::parse(self.inputs)?;
        self.warn(&texts);
        let in_flight = self.config.models.speaker.as_ref().unwrap_or(&self.config.models.default).concurrency;
        let per_situation = self.config.conversations.per_situation;
        let course = texts.course(self.config, &self.calls);
        let held = executor::hold_all(course, &situations.rows, per_situation, in_flight, &self.watch.progress).await;
        if held.iter().any(Option::is_none) {
            self.stopped()?;
        }
        let ids = situations.rows.iter().flat_map(|situation| {
            (0..per_situation).map(move |replicate| conversations::item_id(&situation.id, replicate))
        });
        let sorted = self.sort_out(ids.zip(held).collect());
        let tally = sorted.tally();
        let figures = self.figures(&sorted);
        let (duplicates, summary) = dedup::report(sorted.duplicates);
        let hash = seal.seal(&Product {
            rows: &sorted.accepted,
            dropped: &sorted.dropped,
            duplicates: &duplicates,
            tally,
            not_sampled: 0,
            inputs: situations.rows.len() as u64 * per_situation,
            notes: json!({"dedup": summary, "gates": sorted.gates, "safety": figures.0, "judge": figures.1}),
        })?;
        Ok(Sealed { rows: sorted.accepted, tally, hash })
    }

    /// What the settings of the screens and the judge make worth knowing before anything is spent.
    fn warn(&self, texts: &Texts) {
        let Config { safety, judge, language, .. } = self.config;
        if safety.screen && !texts.has_words_for(language) && safety.words.as_ref().is_none_or(|own| !own.is_empty()) {
            self.watch.notice(format!(
                "safety: there is no word list for {language}; only personal data is looked for without a call (name a list in safety.words)"
            ));
        }
        let model = |role: Role| &self.calls.profile(role).model;
        if judge.enabled && model(Role::Judge) == model(Role::Speaker) {
            self.watch.notice(format!(
                "judge: {} scores what it wrote itself, which models do too kindly; give models.judge another model",
                model(Role::Judge)
            ));
        }
    }

    /// What the screens and the judge came to, told as well where there is something to tell.
    fn figures(&self, sorted: &Sorted) -> (Option<safety::Figures>, Option<judge::Figures>) {
        let screens = self.config.safety.screen || self.config.safety.service.is_some();
        let safety = screens.then(|| safety::Figures::of(&sorted.accepted, &sorted.dropped));
        let judge = self.config.judge.enabled.then(|| judge::Figures::of(&sorted.accepted));
        let told = [safety.as_ref().and_then(safety::Figures::told), judge.as_ref().and_then(judge::Figures::told)];
        told.into_iter().flatten().for_each(|told| self.watch.notice(told));
        (safety, judge)
    }

    /// Deduplicates in item order. Behind the first item without a result everything is over budget.
    fn sort_out(&self, items: Vec<(String, Option<Held>)>) -> Sorted {
        let mut sorted = Sorted::default();
        let settings = &self.config.conversations;
        let shingling = Shingling::for_conversations(&self.config.language, settings.turns, settings.words_per_turn);
        let mut index = self.threshold(self.config.dedup.conversations).map(|at| Collection::new(at, shingling));
        let mut whole = true;
        for (id, held) in items {
            whole &= held.is_some();
            if let Some(Held::Accepted(_, ledger) | Held::Dropped(_, ledger)) = held.as_ref().filter(|_| whole) {
                sorted.gates.add(ledger);
            }
            match held.filter(|_| whole) {
                None => sorted.dropped.push(Dropped {
                    id,
                    outcome: Outcome::OverBudget,
                    reason: "over_budget".to_owned(),
                    detail: "the budget was reached first".to_owned(),
                }),
                Some(Held::Dropped(dropped, _)) => sorted.dropped.push(dropped),
                Some(Held::Accepted(conversation, _)) => {
                    let text = dedup::conversation_text(&conversation);
                    match index.as_mut().map(|index| index.insert(&conversation.id, &text)) {
                        Some(Verdict::Duplicate(found)) => sorted.duplicates.push((id, found)),
                        Some(Verdict::New) | None => sorted.accepted.push(*conversation),
                    }
                }
            }
        }
        sorted
    }

    /// The personas used, beside the prompts and shots.
    fn keep_inputs(&self, people: &[Persona]) -> Result<(), RunError> {
        let mut rows = JsonlWriter::create(&self.dir.paths().inputs(), inputs::PERSONAS)?;
        for person in people {
            rows.push(&json!({"id": person.id, "persona": person.persona, "source": person.source}))?;
        }
        rows.finish()?;
        Ok(())
    }

    /// Why the run stopped; nothing if the budget did and what is there is to be sealed.
    fn stopped(&self) -> Result<(), RunError> {
        match self.calls.control.take_reason() {
            Some(reason @ Halt::Budget(_)) if self.accept_partial => {
                self.watch.notice(format!("{reason}; sealing what is there, as asked"));
                self.calls.control.stop(reason);
                Ok(())
            }
            Some(reason) => Err(RunError::Halted(reason)),
            None => Err(RunError::Halted(Halt::Stopping)),
        }
    }

    fn compile(
        &self,
        personas: &Sealed<Persona>,
        situations: &Sealed<Situation>,
        conversations: &Sealed<Conversation>,
        outcomes: Outcomes,
    ) -> Result<Option<String>, RunError> {
        self.watch.progress.start("compile", 0);
        if let Some(hash) = self.compiled()? {
            return Ok(Some(hash));
        }
        if personas.rows.is_empty() && situations.rows.is_empty() && conversations.rows.is_empty() {
            self.watch.notice("nothing was accepted, so there is no dataset");
            return Ok(None);
        }
        let config = fingerprint::public_yaml(self.config)?;
        let stages = [
            ("personas", outcomes.personas),
            ("situations", outcomes.situations),
            ("conversations", outcomes.conversations),
        ]
        .map(|(stage, counts)| StageOutcomes { stage: stage.to_owned(), counts });
        let input = compile::Input {
            personas: &personas.rows,
            situations: &situations.rows,
            conversations: &conversations.rows,
            config: &config,
            card: &self.config.card,
            dedup: &self.config.dedup,
            models: &uses::models(self.config),
            prompts: &uses::prompts(self.inputs),
            outcomes: &stages,
        };
        // Made beside and swapped in whole, so that a dataset is never half there.
        let folder = self.dir.paths().dataset_draft();
        fs::discard_dir(&folder)?;
        fs::create_dir_all(&folder)?;
        let compiled = compile::compile(&folder, input)?;
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

/// Seals the personas stage.
fn seal_personas(seal: &Seal, people: &People) -> Result<Sealed<Persona>, RunError> {
    let counts = people.counts;
    let tally =
        Tally { accepted: counts.accepted, duplicate: counts.duplicate, rejected: counts.rejected, ..Tally::default() };
    let place = |source: &str, line: u64| format!("{source}:{line}");
    let dropped: Vec<Dropped> = people
        .rejected
        .iter()
        .map(|row| Dropped {
            id: place(&row.source, row.line),
            outcome: Outcome::Rejected,
            reason: row.reason.clone(),
            detail: row.excerpt.clone(),
        })
        .collect();
    let removed = people.duplicates.iter().map(|row| {
        let exact = Match { id: row.kept.clone(), jaccard: 1.0, kind: dedup::DuplicateKind::Exact };
        (place(&row.source, row.line), exact)
    });
    let (duplicates, _) = dedup::report(removed);
    let hash = seal.seal(&Product {
        rows: &people.accepted,
        dropped: &dropped,
        duplicates: &duplicates,
        tally,
        not_sampled: counts.not_sampled,
        inputs: counts.read,
        notes: json!({"input": people.input}),
    })?;
    Ok(Sealed { rows: people.accepted.clone(), tally, hash })
}

/// Reads the personas; none where the run needs none. `shipped`: those that convogen's own configuration names.
pub(super) fn people(
    config: &Config,
    source: Option<&Path>,
    shipped: Option<&'static str>,
) -> Result<People, RunError> {
    if config.situations.mode != SituationMode::Predefined {
        return Ok(no_people());
    }
    let source = match source {
        Some(path) => personas::Source::File(path.to_owned()),
        None => personas::Source::BuiltIn(shipped.or_else(|| assets::builtin(BUILT_IN_PERSONAS)).unwrap_or_default()),
    };
    let options = personas::Options {
        sample: config.personas.sample,
        min_chars: config.personas.length.min,
        max_chars: config.personas.length.max,
        seed: config.seed,
        splits: config.compile.splits.clone(),
    };
    Ok(personas::read(&source, &options)?)
}

/// The messages of the first call for situations, without making it.
pub(super) fn rehearse(
    config: &Config,
    inputs: &Inputs,
    people: &[Persona],
    shown: bool,
) -> Result<Vec<Message>, RunError> {
    let calls = Calls::silent(config.seed);
    let prompt = inputs.situations_prompt(config)?;
    let stage = situation_stage(config, inputs, &calls, people, &prompt)?;
    Ok(stage.rehearse(&config.language, shown).map_err(InputsError::from)?)
}

fn situation_stage<'a>(
    config: &'a Config,
    inputs: &Inputs,
    calls: &'a Calls,
    people: &'a [Persona],
    prompt: &'a situations::Prompt,
) -> Result<situations::Stage<'a>, RunError> {
    let settings = &config.situations;
    let cast = match settings.mode {
        SituationMode::Predefined => Some(Cast::new(people, settings.casting.mode, settings.personas, config.seed)?),
        SituationMode::Auto | SituationMode::File => None,
    };
    Ok(situations::Stage {
        settings,
        prompt,
        people,
        cast,
        coverage: inputs.coverage()?.map(|grid| grid.for_groups(settings.personas.min, settings.personas.max)),
        seeds: inputs.seeds()?.into_iter().map(Arc::new).collect(),
        dedup: config.dedup.enabled.then_some(config.dedup.situations),
        splits: &config.compile.splits,
        shots: inputs.shots()?,
        calls,
        seed: config.seed,
    })
}

/// Makes situations, or takes them from recorded replies.
pub(super) async fn generate(
    config: &Config,
    inputs: &Inputs,
    calls: &Calls,
    people: &[Persona],
    watch: &Watch,
) -> Result<Made, RunError> {
    let prompt = inputs.situations_prompt(config)?;
    let stage = situation_stage(config, inputs, calls, people, &prompt)?;
    for (split, number) in stage.cast.iter().flat_map(Cast::left_out) {
        watch.notice(format!("split {split} has only {number} people, too few for a group: it stays empty"));
    }
    Ok(stage.generate(&config.language, &watch.progress).await)
}

/// What became of the conversations.
#[derive(Debug, Default)]
struct Sorted {
    accepted: Vec<Conversation>,
    dropped: Vec<Dropped>,
    duplicates: Vec<(String, Match)>,
    gates: Figures,
}

impl Sorted {
    fn tally(&self) -> Tally {
        let mut tally =
            Tally { accepted: self.accepted.len() as u64, duplicate: self.duplicates.len() as u64, ..Tally::default() };
        self.dropped.iter().for_each(|dropped| tally.add(dropped.outcome));
        tally
    }
}

/// The personas stage of a run that needs none.
fn no_people() -> People {
    People {
        accepted: Vec::new(),
        rejected: Vec::new(),
        duplicates: Vec::new(),
        counts: personas::Counts::default(),
        input: personas::InputDigest { bytes: 0, sha256: String::new() },
    }
}
