//! Finished runs as the input of one dataset.
//!
//! One run goes in as it is sealed: with every table included its dataset is, byte for byte, the one the run compiled itself.
//! Several are merged, see [`merge`](mod@merge). A run's mark is `r` and the first 8 digits of the hash of its last stage's
//! manifest: it follows from what the run made, so neither its folder's name nor its place in the list changes an id.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::enough;
use super::error::PublishError;
use super::merge::{self, Batch, Merged, OnRemoved};
use super::parts;
use crate::config::export::{self, ExportEntry, ExportOptions};
use crate::config::fingerprint::{self, Stage};
use crate::config::upload::{Included, Upload};
use crate::config::{Card, Dedup, PublishedPersonas};
use crate::pipeline::error::RunError;
use crate::pipeline::finished::FinishedRun;
use crate::pipeline::ledger::Status;
use crate::record::Tally;
use crate::stages::compile::{self, Compared, CompileError, ModelUse, PromptUse, RecordSource, StageOutcomes};
use crate::store::checkpoint::CheckpointError;

/// Raised when the same runs are compiled into other bytes than before.
const FORMAT: u32 = 4;

/// Digits of a run's mark.
const MARK_DIGITS: usize = 8;

/// Finished runs, opened but not read.
#[derive(Debug)]
pub(crate) struct Runs<'a> {
    upload: &'a Upload,
    runs: Vec<FinishedRun>,
}

/// Everything a dataset is compiled from.
#[derive(Debug)]
pub(crate) struct CollectedRuns {
    tables: Merged,
    /// Whose people are in the dataset; `None`: everyone's.
    cast_in: Option<RecordSource>,
    splits: Vec<String>,
    compared: Compared,
    config: String,
    exports: Vec<ExportOptions>,
    card: Card,
    dedup: Dedup,
    models: Vec<ModelUse>,
    prompts: Vec<PromptUse>,
    outcomes: Vec<StageOutcomes>,
}

impl CollectedRuns {
    /// As compiling takes it.
    pub(crate) fn input(&self) -> compile::Input<'_> {
        let Merged { personas, situations, conversations } = self.tables.clone();
        compile::Input {
            personas,
            cast_in: self.cast_in.clone(),
            situations,
            conversations,
            splits: &self.splits,
            exports: &self.exports,
            compared: self.compared,
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
    pub(crate) fn open(upload: &'a Upload) -> Result<Self, PublishError> {
        let directories = parts::directories(&upload.runs)?;
        let open = |path: &PathBuf| FinishedRun::open(path).map(FinishedRun::without_notes);
        let mut runs = directories.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        parts::complete(&mut runs)?;
        let mut seen: BTreeMap<&str, &Path> = BTreeMap::new();
        for run in &runs {
            if let Some(first) = seen.insert(run.content(), &run.path) {
                return Err(PublishError::SameRun { first: first.to_owned(), second: run.path.clone() });
            }
        }
        Ok(Self { upload, runs })
    }

    /// Makes sure that they have enough of every table that is included.
    ///
    /// # Errors
    /// What they have too little of.
    pub(crate) fn require_enough(&self) -> Result<(), PublishError> {
        let shortfalls = enough::shortfalls(&self.runs, &self.upload.include);
        if shortfalls.is_empty() { Ok(()) } else { Err(PublishError::Partial(shortfalls)) }
    }

    /// Where they are.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.runs.iter().map(|run| run.path.as_path())
    }

    /// What people should know of the runs before they are published.
    pub(crate) fn notices(&self) -> Vec<String> {
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
    pub(crate) fn fingerprint(&self) -> String {
        let runs: Vec<Value> = self.runs.iter().map(|run| json!([run.content(), run.models, run.prompts])).collect();
        let whole = json!({
            "format": FORMAT, "convogen": env!("CARGO_PKG_VERSION"), "runs": runs, "config": self.config_tree(),
            "include": self.upload.include, "export": self.exports(), "dedup": self.dedup(), "card": self.card(),
        });
        blake3::hash(whole.to_string().as_bytes()).to_hex().to_string()
    }

    /// What the runs have, merged into files in `folder` where there are several. `on_removed` is told of what was left out
    /// because of an earlier run, of the tables that are included.
    ///
    /// # Errors
    /// If a run cannot be read, or the files cannot be written.
    pub(crate) fn collect(&self, folder: &Path, on_removed: &mut OnRemoved<'_>) -> Result<CollectedRuns, PublishError> {
        let mut removed = BTreeMap::new();
        let tables = match self.runs.as_slice() {
            [run] => Self::tables(run)?,
            _ => self.merge(folder, &mut |row| {
                removed.entry(row.table).or_insert_with(Tally::default).add(row.outcome);
                if self.includes_named(row.table) { on_removed(row) } else { Ok(()) }
            })?,
        };
        let used_only = self.runs.iter().all(|run| run.config.compile.personas == PublishedPersonas::Used);
        let splits: BTreeSet<String> =
            self.runs.iter().flat_map(|run| run.config.compile.splits.keys().cloned()).collect();
        Ok(CollectedRuns {
            cast_in: used_only.then(|| tables.situations.clone()),
            splits: splits.into_iter().collect(),
            tables: self.only_included(tables),
            exports: export::every(self.exports()),
            compared: self.compared(),
            config: serde_saphyr::to_string(&self.config_tree())?,
            card: self.card(),
            dedup: self.dedup().clone(),
            models: self.of_roles(|run| &run.models, |model| &model.role),
            prompts: self.of_roles(|run| &run.prompts, |prompt| &prompt.role),
            outcomes: self.outcomes(&removed),
        })
    }

    /// The error of a run whose records do not read as what it is: damage, or records of another version.
    pub(crate) fn explained(&self, error: PublishError) -> PublishError {
        let PublishError::Compile(CompileError::Checkpoint(CheckpointError::Row { path, line, source })) = &error
        else {
            return error;
        };
        match self.runs.iter().find(|run| path.starts_with(&run.path)) {
            Some(run) => run.misread(path, *line, source).into(),
            None => error,
        }
    }

    /// Records that can stand in one dataset. Which of them stay never depends on which tables are included: situations and
    /// people are always read, conversations, on which nothing depends, only to be included.
    fn merge(&self, folder: &Path, on_removed: &mut OnRemoved<'_>) -> Result<Merged, PublishError> {
        let batch = |run| {
            let Merged { personas, situations, conversations } = Self::tables(run)?;
            let conversations =
                if self.includes(Included::Conversations) { conversations } else { RecordSource::default() };
            Ok(Batch { mark: self.mark(run), personas, situations, conversations })
        };
        let batches = self.runs.iter().map(batch).collect::<Result<Vec<_>, PublishError>>()?;
        let across = self.upload.dedup.enabled.then_some(&self.upload.dedup);
        merge::merge(&batches, across, folder, on_removed)
    }

    fn tables(run: &FinishedRun) -> Result<Merged, PublishError> {
        let of = |stage| {
            run.sealed(stage).map_or_else(|| Ok(RecordSource::default()), RecordSource::sealed).map_err(RunError::from)
        };
        Ok(Merged {
            personas: of(Stage::Personas)?,
            situations: of(Stage::Situations)?,
            conversations: of(Stage::Conversations)?,
        })
    }

    /// Whether everything was compared with everything when duplicates were removed: by each run, no more leniently than
    /// across them, and across them.
    fn compared(&self) -> Compared {
        let across = self.dedup();
        let by = |own: &Dedup| {
            own.enabled && own.situations <= across.situations && own.conversations <= across.conversations
        };
        let all = across.enabled && self.runs.iter().all(|run| by(&run.config.dedup));
        if all { Compared::WhenMade } else { Compared::WhenCompiled }
    }

    fn includes(&self, table: Included) -> bool {
        self.upload.include.contains(&table)
    }

    fn includes_named(&self, table: &str) -> bool {
        self.upload.include.iter().any(|included| included.as_str() == table)
    }

    fn only_included(&self, tables: Merged) -> Merged {
        let only = |table, source| if self.includes(table) { source } else { RecordSource::default() };
        Merged {
            personas: only(Included::Personas, tables.personas),
            situations: only(Included::Situations, tables.situations),
            conversations: only(Included::Conversations, tables.conversations),
        }
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
    fn outcomes(&self, removed: &BTreeMap<&str, Tally>) -> Vec<StageOutcomes> {
        let one = |(table, stage): (Included, Stage)| {
            let counts = self.runs.iter().map(|run| run.tally(stage)).fold(Tally::default(), sum);
            let removed = removed.get(table.as_str()).copied().unwrap_or_default();
            let accepted = counts.accepted.saturating_sub(removed.total());
            StageOutcomes { stage: table.as_str().to_owned(), counts: sum(Tally { accepted, ..counts }, removed) }
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

    /// The forms that the upload names, else those of the first run that names any.
    fn exports(&self) -> &[ExportEntry] {
        let runs = self.runs.iter().map(|run| &run.config.export);
        let named = [&self.upload.export].into_iter().chain(runs).find(|entries| !entries.is_empty());
        named.map(Vec::as_slice).unwrap_or_default()
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
            let config =
                crate::config::Config { card: self.card(), export: self.exports().to_vec(), ..run.config.clone() };
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

pub(super) fn sum(a: Tally, b: Tally) -> Tally {
    Tally {
        accepted: a.accepted + b.accepted,
        duplicate: a.duplicate + b.duplicate,
        rejected: a.rejected + b.rejected,
        refused: a.refused + b.refused,
        failed: a.failed + b.failed,
        over_budget: a.over_budget + b.over_budget,
    }
}
