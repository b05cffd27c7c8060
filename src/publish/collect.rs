//! Finished runs as the input of one dataset.
//!
//! One run goes in as it is: with every table included its dataset is, byte for byte, the one the run compiled itself. Several
//! are merged, see [`merge`](mod@merge). A run's mark is `r` and the first 8 digits of the hash of its last stage's
//! manifest: it follows from what the run made, so neither its folder's name nor its place in the list changes an id.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::error::PublishError;
use super::merge::{self, Batch, Merged, Removed};
use crate::config::fingerprint::{self, Stage};
use crate::config::upload::{Included, Upload};
use crate::config::{Card, Dedup};
use crate::pipeline::finished::FinishedRun;
use crate::pipeline::ledger::Status;
use crate::record::{Conversation, Persona, Situation, Tally};
use crate::stages::compile::{self, ModelUse, PromptUse, StageOutcomes};

/// Raised when the same runs are compiled into other bytes than before.
const FORMAT: u32 = 1;

/// Digits of a run's mark.
const MARK_DIGITS: usize = 8;

/// Finished runs, opened but not read.
#[derive(Debug)]
pub struct Runs<'a> {
    upload: &'a Upload,
    runs: Vec<FinishedRun>,
}

/// Everything a dataset is compiled from.
#[derive(Debug)]
pub struct Collected {
    personas: Vec<Persona>,
    situations: Vec<Situation>,
    conversations: Vec<Conversation>,
    config: String,
    card: Card,
    dedup: Dedup,
    models: Vec<ModelUse>,
    prompts: Vec<PromptUse>,
    outcomes: Vec<StageOutcomes>,
    /// What was left out because of an earlier run.
    pub removed: Vec<Removed>,
}

impl Collected {
    /// As compiling takes it.
    pub fn input(&self) -> compile::Input<'_> {
        compile::Input {
            personas: &self.personas,
            situations: &self.situations,
            conversations: &self.conversations,
            config: &self.config,
            card: &self.card,
            dedup: &self.dedup,
            models: &self.models,
            prompts: &self.prompts,
            outcomes: &self.outcomes,
        }
    }
}

impl<'a> Runs<'a> {
    /// Opens the runs that `upload` names.
    ///
    /// # Errors
    /// If one is not finished or damaged, and if two hold the same data.
    pub fn open(upload: &'a Upload) -> Result<Self, PublishError> {
        let runs = upload.runs.iter().map(|path| FinishedRun::open(path)).collect::<Result<Vec<_>, _>>()?;
        let mut seen: BTreeMap<&str, &Path> = BTreeMap::new();
        for run in &runs {
            if let Some(first) = seen.insert(run.content(), &run.path) {
                return Err(PublishError::SameRun { first: first.to_owned(), second: run.path.clone() });
            }
        }
        Ok(Self { upload, runs })
    }

    /// What people should know of the runs before they are published.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        for run in &self.runs {
            let path = run.path.display();
            match run.status {
                Status::Short => notices.push(format!("{path} ended with fewer accepted than it was asked for")),
                Status::Partial => notices.push(format!("{path} was sealed as it was when its budget was reached")),
                Status::Finished | Status::Resumable => {}
            }
        }
        let splits = |run: &FinishedRun| run.config.compile.splits.keys().cloned().collect::<Vec<_>>().join(", ");
        if let Some((first, rest)) = self.runs.split_first() {
            let others = rest.iter().filter(|run| splits(run) != splits(first));
            notices.extend(others.map(|other| {
                let (one, two) = (first.path.display(), other.path.display());
                format!(
                    "{one} has the splits {}, {two} has {}: the dataset has all of them",
                    splits(first),
                    splits(other)
                )
            }));
        }
        notices
    }

    /// Equal for equal runs and settings: what is compiled from them is the same then.
    pub fn fingerprint(&self) -> String {
        let runs: Vec<Value> = self.runs.iter().map(|run| json!([run.content(), run.models, run.prompts])).collect();
        let whole = json!({
            "format": FORMAT, "convogen": env!("CARGO_PKG_VERSION"), "runs": runs, "config": self.config_tree(),
            "include": self.upload.include, "dedup": self.dedup(), "card": self.card(),
        });
        blake3::hash(whole.to_string().as_bytes()).to_hex().to_string()
    }

    /// Reads and merges them.
    pub fn collect(&self) -> Result<Collected, PublishError> {
        let batches = self.runs.iter().map(|run| self.batch(run)).collect::<Result<Vec<_>, _>>()?;
        // A run that stands alone has nothing to be compared with.
        let across = (self.upload.dedup.enabled && self.runs.len() > 1).then_some(&self.upload.dedup);
        let Merged { personas, situations, conversations, removed } = merge::merge(batches, across);
        let outcomes = self.outcomes(&removed);
        Ok(Collected {
            personas: self.only(Included::Personas, personas),
            situations: self.only(Included::Situations, situations),
            conversations: self.only(Included::Conversations, conversations),
            config: serde_saphyr::to_string(&self.config_tree())?,
            card: self.card(),
            dedup: self.dedup().clone(),
            models: self.of_roles(|run| &run.models, |model| &model.role),
            prompts: self.of_roles(|run| &run.prompts, |prompt| &prompt.role),
            outcomes,
            removed: removed.into_iter().filter(|removed| self.includes_named(removed.table)).collect(),
        })
    }

    fn includes(&self, table: Included) -> bool {
        self.upload.include.contains(&table)
    }

    fn includes_named(&self, table: &str) -> bool {
        self.upload.include.iter().any(|included| included.as_str() == table)
    }

    fn only<R>(&self, table: Included, rows: Vec<R>) -> Vec<R> {
        if self.includes(table) { rows } else { Vec::new() }
    }

    /// The records of a run. Which of them stay never depends on which tables are included: situations and people are
    /// always read, conversations, on which nothing depends, only to be included.
    fn batch(&self, run: &FinishedRun) -> Result<Batch, PublishError> {
        let included = self.includes(Included::Conversations);
        let conversations = if included { run.rows(Stage::Conversations)? } else { Vec::new() };
        let (personas, situations) = (run.rows(Stage::Personas)?, run.rows(Stage::Situations)?);
        Ok(Batch { mark: self.mark(run), personas, situations, conversations })
    }

    fn mark(&self, run: &FinishedRun) -> String {
        match self.runs.len() {
            1 => String::new(),
            _ => format!("r{}", run.content().get(..MARK_DIGITS).unwrap_or_default()),
        }
    }

    fn stages(&self) -> impl Iterator<Item = (Included, Stage)> {
        let all = [
            (Included::Personas, Stage::Personas),
            (Included::Situations, Stage::Situations),
            (Included::Conversations, Stage::Conversations),
        ];
        all.into_iter().filter(|(table, _)| self.includes(*table))
    }

    /// The outcomes of all runs together, what was left out moved from accepted to what became of it.
    fn outcomes(&self, removed: &[Removed]) -> Vec<StageOutcomes> {
        let one = |(table, stage): (Included, Stage)| {
            let mut counts = self.runs.iter().map(|run| run.tally(stage)).fold(Tally::default(), sum);
            for removed in removed.iter().filter(|removed| removed.table == table.as_str()) {
                counts.accepted = counts.accepted.saturating_sub(1);
                counts.add(removed.outcome);
            }
            StageOutcomes { stage: table.as_str().to_owned(), counts }
        };
        self.stages().map(one).collect()
    }

    /// Models or prompts of all runs, each once; those of stages that are not included left out.
    fn of_roles<T: Clone + PartialEq>(
        &self,
        of: impl Fn(&FinishedRun) -> &Vec<T>,
        role: impl Fn(&T) -> &str,
    ) -> Vec<T> {
        let situations = Included::Situations.as_str();
        let wanted = |used: &&T| match self.upload.include.iter().max() {
            Some(Included::Conversations) => true,
            Some(Included::Situations) => role(used) == situations,
            Some(Included::Personas) | None => false,
        };
        let mut uses: Vec<T> = Vec::new();
        for used in self.runs.iter().flat_map(of).filter(wanted) {
            if !uses.contains(used) {
                uses.push(used.clone());
            }
        }
        uses
    }

    /// What the card says: what the upload states, else the first run that states it.
    fn card(&self) -> Card {
        let stated = |of: fn(&Card) -> &Option<String>| {
            let cards = [&self.upload.card].into_iter().chain(self.runs.iter().map(|run| &run.config.card));
            cards.into_iter().find_map(|card| of(card).clone())
        };
        Card { date: stated(|card| &card.date), license: stated(|card| &card.license), name: stated(|card| &card.name) }
    }

    /// The thresholds that the card states: those across runs, or those of a run that stands alone.
    fn dedup(&self) -> &Dedup {
        match self.runs.as_slice() {
            [run] => &run.config.dedup,
            _ => &self.upload.dedup,
        }
    }

    /// The settings that shaped the data, up to the last stage that is included. Several runs: a list of theirs by mark.
    fn config_tree(&self) -> Value {
        let last = self.stages().map(|(_, stage)| stage).max().unwrap_or(Stage::Personas);
        let stages: Vec<Stage> =
            Stage::ALL.into_iter().filter(|stage| *stage <= last || *stage == Stage::Compile).collect();
        let tree = |run: &FinishedRun| {
            let config = crate::config::Config { card: self.card(), ..run.config.clone() };
            fingerprint::public_tree(&config, &stages)
        };
        if let [run] = self.runs.as_slice() {
            return tree(run);
        }
        let runs: Vec<Value> =
            self.runs.iter().map(|run| json!({"run": self.mark(run), "config": tree(run)})).collect();
        json!({"version": self.upload.version, "dedup": self.upload.dedup, "runs": runs})
    }
}

fn sum(a: Tally, b: Tally) -> Tally {
    Tally {
        accepted: a.accepted + b.accepted,
        duplicate: a.duplicate + b.duplicate,
        rejected: a.rejected + b.rejected,
        refused: a.refused + b.refused,
        failed: a.failed + b.failed,
        over_budget: a.over_budget + b.over_budget,
    }
}
