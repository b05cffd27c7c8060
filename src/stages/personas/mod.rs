//! The personas stage: who can be cast.
//!
//! Reads PersonaHub's JSONL in all its shapes in one streaming pass, plain, gzip or zstd by their first bytes. A row has its
//! text under `persona` or `input persona`; the elite files' domain keys are understood, every other key is ignored. Each row
//! ends in exactly one outcome, and `read = accepted + duplicate + rejected + not sampled`; blank lines are not rows.
//! Memory does not grow with the file when a sample is asked for, nor with the length of a line.
//!
//! `reader` turns bytes into lines, `row` a line into a text, `person` sets aside what is no person, `sample` decides
//! what stays.

mod person;
mod reader;
mod row;
mod sample;

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::record::Persona;
use crate::store::fs::FsError;
use reader::{Line, Lines};
use sample::{Outcome, Sampler};

/// Rows written out one by one for each outcome but acceptance; beyond that they are only counted.
const LISTED_ROWS: usize = 10_000;
/// Characters of a row that a rejection quotes.
const EXCERPT_CHARS: usize = 120;
/// What rows of the personas that ship with convogen name as their source.
const BUILT_IN: &str = "built-in";

/// Where personas are read from.
#[derive(Debug, Clone)]
pub enum Source {
    /// JSONL text that is compiled in.
    BuiltIn(&'static str),
    /// A JSONL file, plain or compressed with gzip or zstd.
    File(PathBuf),
}

/// What to take of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How many to take: those with the smallest seeded hash, so that a larger sample contains the smaller. `None`: all.
    pub sample: Option<u64>,
    /// Shorter descriptions are rejected; in characters.
    pub min_chars: usize,
    /// Longer descriptions are rejected; in characters.
    pub max_chars: usize,
    /// The run's seed: decides the sample and the splits.
    pub seed: u64,
    /// Split names and their shares. Shares are taken in proportion; with none, everyone is in `train`.
    pub splits: BTreeMap<String, f64>,
}

/// What became of every row of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct People {
    /// Those who can be cast, in the order of the source.
    pub accepted: Vec<Persona>,
    /// Rows set aside, in the order of the source; the first 10,000, `counts` has them all.
    pub rejected: Vec<Rejected>,
    /// Rows that repeat an accepted one, in the order of the source; about the first 10,000, `counts` has them all.
    pub duplicates: Vec<Duplicate>,
    /// How many rows had which outcome.
    pub counts: Counts,
    /// What was read, byte for byte.
    pub input: InputDigest,
}

/// Outcomes by number; the last four add up to the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows, blank lines left out.
    pub read: u64,
    /// Rows that became a persona.
    pub accepted: u64,
    /// Rows that repeat an accepted one.
    pub duplicate: u64,
    /// Rows that are no usable persona.
    pub rejected: u64,
    /// Sound rows, copies among them, that the sample left out.
    pub not_sampled: u64,
}

/// A row set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// File name.
    pub source: String,
    /// Line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
    /// How it starts, control characters escaped.
    pub excerpt: String,
}

/// A row that says the same as an earlier one but for case, spacing and Unicode form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// File name.
    pub source: String,
    /// Line, from 1.
    pub line: u64,
    /// Id of the persona that stays.
    pub kept: String,
}

/// Identifies an input by content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputDigest {
    /// Length of the file as it lies on disk.
    pub bytes: u64,
    /// SHA-256 of those bytes, in hex.
    pub sha256: String,
}

/// Why a source gives no personas at all.
#[derive(Debug, thiserror::Error)]
pub enum PersonasError {
    /// Nothing is there.
    #[error("no persona file at {path}: check `personas.source`, which is relative to the configuration file", path = path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// It is something else than a file.
    #[error("{path} is {kind}, not a file: point `personas.source` at a JSONL file", path = path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is, such as `a directory`.
        kind: &'static str,
    },
    /// It has no rows.
    #[error("{source_name} holds no rows: give a JSONL file with one `{{\"persona\": \"...\"}}` a line")]
    Empty {
        /// File name or path.
        source_name: String,
    },
    /// It is another kind of file.
    #[error("{path} is {kind}: {advice}", path = path.display())]
    OtherFormat {
        /// The path.
        path: PathBuf,
        /// What it is, such as `a Parquet file`.
        kind: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The compressed data stops before its end.
    #[error("{path} is cut short: its {compression} data has no end; fetch or compress it again", path = path.display())]
    CutShort {
        /// The path.
        path: PathBuf,
        /// `gzip` or `zstd`.
        compression: &'static str,
    },
    /// The compressed data fails its own check.
    #[error("{path} is damaged: {detail} in its {compression} data; fetch or compress it again", path = path.display())]
    Damaged {
        /// The path.
        path: PathBuf,
        /// `gzip` or `zstd`.
        compression: &'static str,
        /// What the decoder says.
        detail: String,
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
    /// It was written to while it was read.
    #[error("{path} changed while it was read: run again once it is complete", path = path.display())]
    Changed {
        /// The path.
        path: PathBuf,
    },
    /// It can't be opened.
    #[error("{0}; check its permissions")]
    Unreadable(FsError),
    /// Reading it failed.
    #[error(transparent)]
    Io(FsError),
}

impl PersonasError {
    /// The exit code that tells this apart from other failures: 3, input data, unless the disk is to blame.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Io(_) => 7,
            _ => 3,
        }
    }
}

/// Reads a source to its end.
pub fn read(source: &Source, options: &Options) -> Result<People, PersonasError> {
    match source {
        Source::BuiltIn(text) => {
            let mut scan = Scan::new(BUILT_IN, options);
            let digest = reader::digest_of(text.as_bytes());
            // Reading from memory can't fail; were it to, the rows seen so far would be missing from the counts below.
            scan.rows(text.as_bytes()).map_err(|source| {
                PersonasError::Io(FsError { action: "read", path: PathBuf::from(BUILT_IN), source })
            })?;
            scan.finish(BUILT_IN.to_owned(), digest)
        }
        Source::File(path) => {
            let mut scan = Scan::new(&file_name(path), options);
            let digest = reader::read_file(path, &mut scan)?;
            scan.finish(path.display().to_string(), digest)
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// One pass over a source.
struct Scan<'a> {
    name: String,
    options: &'a Options,
    sampler: Sampler,
    rejected: Vec<Rejected>,
    counts: Counts,
}

impl<'a> Scan<'a> {
    fn new(name: &str, options: &'a Options) -> Self {
        Self {
            name: name.to_owned(),
            options,
            sampler: Sampler::new(options.sample, options.seed, &options.splits),
            rejected: Vec::new(),
            counts: Counts::default(),
        }
    }

    fn rows(&mut self, input: impl BufRead) -> std::io::Result<()> {
        let mut lines = Lines::new(input);
        while let Some((number, line)) = lines.next()? {
            self.row(number, line);
        }
        Ok(())
    }

    fn row(&mut self, number: u64, line: Line<'_>) {
        if line.is_blank() {
            return;
        }
        self.counts.read += 1;
        match self.judge(number, line) {
            Ok(Outcome::Kept) => {}
            Ok(Outcome::NotSampled(rows)) => self.counts.not_sampled += rows,
            Err(reason) => self.reject(number, line.bytes(), &reason),
        }
    }

    fn judge(&mut self, number: u64, line: Line<'_>) -> Result<Outcome, row::Reason> {
        let row = row::parse(line)?;
        let text = row::checked(&row.persona, self.options.min_chars, self.options.max_chars)?;
        let folded = sample::fold(text);
        if let Some(what) = person::objection(&folded) {
            return Err(row::Reason::NotAPerson(what));
        }
        Ok(self.sampler.offer(number, text, &folded, row.domain))
    }

    fn reject(&mut self, line: u64, bytes: &[u8], reason: &row::Reason) {
        self.counts.rejected += 1;
        if self.rejected.len() < LISTED_ROWS {
            let (source, reason) = (self.name.clone(), reason.to_string());
            self.rejected.push(Rejected { source, line, reason, excerpt: excerpt(bytes) });
        }
    }

    fn finish(self, source_name: String, input: InputDigest) -> Result<People, PersonasError> {
        let mut counts = self.counts;
        if counts.read == 0 {
            return Err(PersonasError::Empty { source_name });
        }
        if counts.read == counts.rejected {
            let first = self.rejected.into_iter().next();
            let (line, reason) = first.map_or((1, String::new()), |row| (row.line, row.reason));
            return Err(PersonasError::NoPersonas { source_name, rows: counts.read, line, reason });
        }
        let sample::Kept { accepted, duplicates, copies } = self.sampler.finish(&self.name);
        counts.accepted = accepted.len() as u64;
        counts.duplicate = copies;
        Ok(People { accepted, rejected: self.rejected, duplicates, counts, input })
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
