//! What conversations are like, measured: a run, a dataset or a file, beside a reference when one is given.
//!
//! Conversations are read one by one and never held as a whole. Figures of single conversations (lengths, shares of the
//! floor, MTLD) are means over all of them; figures that look across conversations and move with the size of a corpus
//! (distinct openers and n-grams, compression, self-repetition) are taken on samples of equal size on both sides. Equal
//! input gives equal figures on every machine.
//!
//! # The object that `--json` prints
//!
//! | key | what |
//! | --- | --- |
//! | `version` | of this form: 1 |
//! | `subject`, `reference` | [`Side`]: `path`, `kind`, `copies_removed`, `english`, `figures` ([`CorpusFigures`]), `gates`, `coverage`, `safety`, `judgement`; `reference` is `null` without one |
//! | `distance` | [`Distance`]: `ks_turns`, `ks_words`, and `figures`, subject minus reference by key of the [`CATALOGUE`]; `null` without a reference |
//! | `run` | [`RunFigures`] for a run directory, else `null` |
//! | `hints` | [`Hint`]s: `figure`, `message`, `setting` |
//!
//! Every key is always there; what cannot be told is `null`.

mod annotations;
mod catalogue;
mod cohesion;
mod compression;
mod coverage;
mod dialogue;
mod distribution;
mod diversity;
mod error;
mod figures;
mod floor;
mod hints;
mod hub;
mod measure;
#[cfg(test)]
mod oracles;
mod page;
mod pictures;
mod run;
mod sample;
mod shapes;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub(crate) use annotations::{AnnotationFigures, GateFigures};
pub(crate) use catalogue::{CATALOGUE, FigureEntry, Form};
pub(crate) use coverage::CoverageFigures;
pub use error::ReportError;
pub(crate) use figures::CorpusFigures;
pub(crate) use hints::Hint;
pub(crate) use hub::HubFigures;
pub(crate) use page::{MOST_TURNS, PageOptions, Replayed, write as write_page};
pub(crate) use run::RunFigures;
pub(crate) use sample::Size;
pub(crate) use source::{ConversationSource, SourceKind};

use measure::Measured;
use pictures::Pictures;

/// The version of the JSON form.
const VERSION: u32 = 1;

/// What conversations are like.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Version of this form.
    pub version: u32,
    /// What was measured.
    pub subject: Side,
    /// What it is compared with.
    pub reference: Option<Side>,
    /// How far apart they are.
    pub distance: Option<Distance>,
    /// What only a run tells.
    pub run: Option<RunFigures>,
    /// What to look at.
    pub hints: Vec<Hint>,
}

/// One corpus.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// As it was named.
    pub path: PathBuf,
    /// What it is.
    pub kind: SourceKind,
    /// Exact copies left out: of a reference, which may repeat a conversation for each of its annotations.
    pub copies_removed: u64,
    /// Whether most of it is in English, or says of no other language.
    pub english: bool,
    /// The figures; `null` while a run has no sealed conversations.
    pub figures: Option<CorpusFigures>,
    /// What the gates stopped; `null` where records do not tell.
    pub gates: Option<GateFigures>,
    /// The coverage grid as the conversations fill it; `null` without one.
    pub coverage: Option<CoverageFigures>,
    /// What the screens for safety found; `null` where nothing was screened.
    pub safety: Option<AnnotationFigures>,
    /// What a judge said; `null` where nobody judged.
    pub judgement: Option<AnnotationFigures>,
}

/// How far a corpus is from its reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Distance {
    /// Kolmogorov-Smirnov distance of turns per conversation.
    pub ks_turns: Option<f64>,
    /// Kolmogorov-Smirnov distance of words per turn.
    pub ks_words: Option<f64>,
    /// Figures of the subject minus those of the reference, by key.
    pub figures: BTreeMap<&'static str, f64>,
}

/// Measures what is in `path`, beside `reference` if one is given.
pub fn report(path: &Path, reference: Option<&Path>) -> Result<Report, ReportError> {
    let source = ConversationSource::find(path)?;
    let against = reference.map(ConversationSource::find).transpose()?;
    Ok(examine(&source, against.as_ref())?.report)
}

/// A report with what its pictures are drawn from.
struct Examined {
    report: Report,
    subject: Option<Pictures>,
    reference: Option<Pictures>,
}

fn examine(source: &ConversationSource, against: Option<&ConversationSource>) -> Result<Examined, ReportError> {
    let run = (source.kind == SourceKind::Run).then(|| run::figures(&source.path)).transpose()?;
    let measured = measure::measure(source, true)?;
    let theirs = match against {
        Some(source) => Some(measure::measure(source, false)?.ok_or_else(|| empty(source))?),
        None => None,
    };
    let sizes = [&measured, &theirs].into_iter().flatten().map(|measured| measured.tallies.sample.size());
    let size = sizes.reduce(Size::least);
    let drawn = |measured: &Option<Measured>| measured.as_ref().map(|measured| pictures::pictures(&measured.tallies));
    let subject = side(source, measured.as_ref(), size);
    let reference = against.map(|source| side(source, theirs.as_ref(), size));
    let distance = measured.as_ref().zip(theirs.as_ref()).map(|(measured, theirs)| Distance {
        ks_turns: measured.tallies.turns_per_conversation.distance(&theirs.tallies.turns_per_conversation),
        ks_words: measured.tallies.words_per_turn.distance(&theirs.tallies.words_per_turn),
        figures: differences(&subject, reference.as_ref()),
    });
    let asked = (source.kind == SourceKind::Run).then(|| run::settings(&source.path)).transpose()?;
    let hints = hints::hints(&subject, distance.as_ref(), run.as_ref(), asked.as_ref());
    let report = Report { version: VERSION, subject, reference, distance, run, hints };
    Ok(Examined { report, subject: drawn(&measured), reference: drawn(&theirs) })
}

fn empty(source: &ConversationSource) -> ReportError {
    ReportError::Empty { path: source.path.clone() }
}

fn side(source: &ConversationSource, measured: Option<&Measured>, size: Option<Size>) -> Side {
    let tallies = measured.map(|measured| &measured.tallies);
    let english = tallies.is_some_and(|tallies| tallies.english * 2 > tallies.turns_per_conversation.total());
    Side {
        path: source.path.clone(),
        kind: source.kind,
        copies_removed: measured.map_or(0, |measured| measured.copies),
        english,
        figures: measured.zip(size).map(|(measured, size)| figures::figures(measured, size)),
        gates: tallies.and_then(|tallies| tallies.gates.figures()),
        coverage: tallies.and_then(|tallies| tallies.coverage.figures(None)),
        safety: tallies.and_then(|tallies| tallies.safety.figures()),
        judgement: tallies.and_then(|tallies| tallies.judgement.figures()),
    }
}

fn differences(subject: &Side, reference: Option<&Side>) -> BTreeMap<&'static str, f64> {
    let both = subject.figures.as_ref().zip(reference.and_then(|side| side.figures.as_ref()));
    let Some((own, theirs)) = both else { return BTreeMap::new() };
    let comparable = CATALOGUE.iter().filter(|entry| entry.comparable);
    comparable.filter_map(|entry| Some((entry.key, (entry.get)(own)? - (entry.get)(theirs)?))).collect()
}
