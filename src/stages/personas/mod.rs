//! The personas stage: who can be cast.
//!
//! Reads PersonaHub's JSONL in all its shapes, tables, and text with a person on each line in one streaming pass, plain, gzip or
//! zstd by their first bytes, and Parquet. A row has its text under `persona` or `input persona`, and may have a `name`; the elite
//! files' domain keys are understood, every other key is ignored. Each row ends in exactly one outcome, and
//! `read = accepted + duplicate + rejected + not sampled`; blank lines are not rows. A row with a `partner_persona` is two
//! people, who are in one split and end alike; both count. Memory does not grow with the file, nor with the length of a line.
//!
//! `imported` turns bytes into lines, `format` tells kinds of files apart, `row` turns a line into a text, `csv` and `columns`
//! a row of a table, `person` sets aside what is no person, `sample` decides what stays. Without a sample everyone is taken, and
//! a row's fate is known, and put, when it is read; in a large file some wait on disk (`aside`) until it is known whether they
//! are copies.

mod aside;
mod columns;
mod csv;
mod format;
mod person;
mod row;
mod sample;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::Progress;
use super::context::Context;
use super::error::StageError;
use super::imported::{InputDigest, SourceError};
use super::writer::{Fates, StageResult};
use crate::config::{Config, Shard, SituationMode};
use crate::exit::ExitCode;
use crate::record::{Dropped, Fate, Outcome, Persona};
use aside::RowsAside;
use row::{PersonaRow, RowFault};
use sample::{Offered, Sampler};

/// Characters of a row that a rejection quotes.
const EXCERPT_CHARS: usize = 120;
/// Different rows that are known in memory where everyone is taken: some 8 MiB.
const HELD: usize = 3 << 16;
/// What rows of the personas that ship with convogen name as their source.
const BUILT_IN: &str = "built-in";

/// Where personas are read from.
#[derive(Debug, Clone)]
pub(crate) enum PersonaSource {
    /// JSONL text that is compiled in.
    BuiltIn(&'static str),
    /// A file of any kind that is read.
    File(PathBuf),
}

/// What to take of a source.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PersonaOptions {
    /// How many to take: those with the smallest seeded hash, so that a larger sample contains the smaller. `None`: all.
    pub sample: Option<u64>,
    /// Rows at the start that are left out.
    pub skip: u64,
    /// Shorter descriptions are rejected; in characters.
    pub min_chars: usize,
    /// Longer descriptions are rejected; in characters.
    pub max_chars: usize,
    /// The run's seed: decides the sample and the splits.
    pub seed: u64,
    /// Whose rows are taken, of a run in parts.
    pub shard: Option<Shard>,
    /// Split names and their shares. Shares are taken in proportion; with none, everyone is in `train`.
    pub splits: BTreeMap<String, f64>,
}

impl PersonaOptions {
    /// Whether a text is this part's, where the run has parts.
    fn holds(&self, text: &str) -> bool {
        self.shard.is_none_or(|shard| shard.holds(self.seed, text))
    }
}

/// Why a source gives no personas at all.
#[derive(Debug, thiserror::Error)]
pub enum PersonasError {
    /// The file cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It has no rows.
    #[error(
        "{source_name} holds no rows: give JSONL with one `{{\"persona\": \"...\"}}` a line, CSV or Parquet with a column `persona`, or text (.txt) with a description a line"
    )]
    Empty {
        /// File name or path.
        source_name: String,
    },
    /// Not one row is a usable persona.
    #[error("none of the {rows} rows of {source_name} is a persona; line {line}: {reason}")]
    NoPersonas {
        /// File name or path.
        source_name: String,
        /// How many rows there are.
        rows: u64,
        /// The first rejected line.
        line: u64,
        /// Why it was rejected.
        reason: String,
    },
}

impl PersonasError {
    /// The exit code that tells this apart from other failures: 3, input data, unless the disk is to blame.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Source(error) => error.exit_code(),
            Self::Empty { .. } | Self::NoPersonas { .. } => ExitCode::Input,
        }
    }
}

/// The stage: reads the people that `context` names and puts what became of each row into `fates`.
///
/// # Errors
/// If there is nobody, or something cannot be read or written.
pub(crate) fn run(context: &Context<'_>, fates: &mut dyn Fates<Persona>) -> Result<StageResult, StageError> {
    let Config { personas, seed, shard, compile, .. } = context.config;
    let Some(source) = context.source.as_ref().filter(|_| context.config.situations.mode == SituationMode::Predefined)
    else {
        return Ok(StageResult { notes: json!({}), ..StageResult::default() });
    };
    context.progress.start("personas", personas.sample.unwrap_or(0));
    let options = PersonaOptions {
        sample: personas.sample,
        skip: personas.skip,
        min_chars: personas.length.min,
        max_chars: personas.length.max,
        seed: *seed,
        shard: *shard,
        splits: compile.splits.clone(),
    };
    read(source, &options, &context.progress, fates)
}

/// Reads a source to its end.
///
/// # Errors
/// If there is nobody, or something cannot be read or written.
pub(crate) fn read(
    source: &PersonaSource,
    options: &PersonaOptions,
    progress: &Progress,
    fates: &mut dyn Fates<Persona>,
) -> Result<StageResult, StageError> {
    read_holding(HELD, source, options, progress, fates)
}

fn read_holding(
    held: usize,
    source: &PersonaSource,
    options: &PersonaOptions,
    progress: &Progress,
    fates: &mut dyn Fates<Persona>,
) -> Result<StageResult, StageError> {
    let (name, shown) = match source {
        PersonaSource::BuiltIn(_) => (BUILT_IN.to_owned(), BUILT_IN.to_owned()),
        PersonaSource::File(path) => (file_name(path), path.display().to_string()),
    };
    let mut scan = Scan::new(&name, options, held, progress, fates);
    let digest = match source {
        PersonaSource::BuiltIn(text) => {
            // What ships is sound, and reading from memory can't fail.
            drop(format::rows(&mut text.as_bytes(), None, &mut |number, shown, row| scan.row(number, shown, row)));
            InputDigest::of(text.as_bytes())
        }
        PersonaSource::File(path) => {
            format::read(path, progress, &mut |number, shown, row| scan.row(number, shown, row))
                .map_err(PersonasError::from)?
        }
    };
    scan.finish(shown, &digest)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// One pass over a source.
struct Scan<'a> {
    name: &'a str,
    options: &'a PersonaOptions,
    progress: &'a Progress,
    sampler: Sampler<'a>,
    aside: Option<RowsAside>,
    fates: &'a mut dyn Fates<Persona>,
    read: u64,
    /// Those that were two people.
    pairs: u64,
    not_sampled: u64,
    /// Rows that are no sound personas, those of other parts included.
    unsound: u64,
    /// Line and reason of the first row that was rejected.
    first_rejected: Option<(u64, String)>,
    /// The first error of those who take the fates; nothing is done after it.
    failed: Result<(), StageError>,
}

impl<'a> Scan<'a> {
    fn new(
        name: &'a str,
        options: &'a PersonaOptions,
        held: usize,
        progress: &'a Progress,
        fates: &'a mut dyn Fates<Persona>,
    ) -> Self {
        let sampler = Sampler::new(name, options, held);
        Self {
            name,
            options,
            progress,
            sampler,
            aside: None,
            fates,
            read: 0,
            pairs: 0,
            not_sampled: 0,
            unsound: 0,
            first_rejected: None,
            failed: Ok(()),
        }
    }

    fn row(&mut self, number: u64, shown: &[u8], row: Result<PersonaRow<'_>, RowFault>) {
        if self.failed.is_err() {
            return;
        }
        self.read += 1;
        self.progress.end_one();
        if self.read <= self.options.skip {
            self.not_sampled += 1;
            return;
        }
        self.failed = match row.and_then(|row| self.judge(number, row)) {
            Ok(Offered::Kept) => Ok(()),
            Ok(Offered::NotSampled(rows)) => {
                self.not_sampled += rows;
                Ok(())
            }
            Ok(Offered::Ended(ended)) => ended.into_iter().try_for_each(|fate| self.fates.put(fate)),
            Ok(Offered::Open(key, people)) => self.put_aside(key, number, &people),
            Err(reason) => self.reject(number, shown, &reason),
        };
    }

    fn put_aside(&mut self, key: u128, line: u64, people: &[Persona]) -> Result<(), StageError> {
        if self.aside.is_none() {
            self.aside = Some(RowsAside::create(&self.fates.folder())?);
        }
        Ok(self.aside.as_mut().map_or(Ok(()), |aside| aside.push(key, line, people))?)
    }

    fn judge(&mut self, number: u64, row: PersonaRow<'_>) -> Result<Offered, RowFault> {
        let text = self.checked(&row.persona)?;
        let partner = row.partner.as_deref().map(|partner| self.checked(partner)).transpose()?;
        if !self.options.holds(&sample::fold(text)) {
            return Ok(Offered::NotSampled(1));
        }
        if partner.is_some() {
            self.pairs += 1;
            self.progress.end_one();
        }
        let (persona, partner) = (text.into(), partner.map(Into::into));
        Ok(self.sampler.offer(number, PersonaRow { persona, partner, name: row.name, domain: row.domain }))
    }

    /// A description that is one, of a person.
    fn checked<'t>(&self, text: &'t str) -> Result<&'t str, RowFault> {
        let text = row::checked(text, self.options.min_chars, self.options.max_chars)?;
        match person::objection(&sample::fold(text)) {
            Some(what) => Err(RowFault::NotAPerson(what)),
            None => Ok(text),
        }
    }

    fn reject(&mut self, line: u64, bytes: &[u8], reason: &RowFault) -> Result<(), StageError> {
        let reason = reason.to_string();
        self.first_rejected.get_or_insert_with(|| (line, reason.clone()));
        self.unsound += 1;
        if !self.options.holds(&line.to_string()) {
            self.not_sampled += 1;
            return Ok(());
        }
        let id = format!("{}:{line}", self.name);
        self.fates.put(Fate::Dropped(Dropped { id, outcome: Outcome::Rejected, reason, detail: excerpt(bytes) }))
    }

    fn finish(self, source_name: String, input: &InputDigest) -> Result<StageResult, StageError> {
        self.failed?;
        if self.read == 0 {
            return Err(PersonasError::Empty { source_name }.into());
        }
        if let Some((line, reason)) = self.first_rejected.filter(|_| self.unsound == self.read) {
            return Err(PersonasError::NoPersonas { source_name, rows: self.read, line, reason }.into());
        }
        let (fates, unlisted) = self.sampler.finish();
        for fate in fates {
            self.fates.put(fate)?;
        }
        self.fates.count_duplicates(unlisted);
        if let Some(aside) = self.aside {
            let copy = |first, line| Fate::Duplicate(sample::copy_of(first, self.name, line));
            aside.release(copy, &mut |fate| self.fates.put(fate))?;
        }
        self.progress.accept(self.fates.tally().accepted);
        let source = Some(input.sha256.clone());
        Ok(StageResult {
            inputs: self.read + self.pairs,
            not_sampled: self.not_sampled,
            notes: json!({"input": input}),
            source,
        })
    }
}

/// The start of a row, fit to be printed.
fn excerpt(bytes: &[u8]) -> String {
    let head = bytes.get(..EXCERPT_CHARS * 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(head);
    let mut shown = String::new();
    for c in text.trim().chars().take(EXCERPT_CHARS) {
        if c.is_control() { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests;
