//! A run, a dataset or a file as one page: a single HTML file that needs no server, no network and nobody else's script.
//!
//! The figures stand in it as JSON. The conversations are packed into chunks (deflate, base64), which the page inflates when
//! somebody looks at them; in front of them stands an index, from which lists and filters are made. What a model wrote only
//! ever becomes text of an element, and a policy in the page lets no script run but the page's own.

mod chunks;
mod index;
mod shell;
mod talk;

use std::path::Path;

use serde_json::{Value, json};

pub(crate) use self::chunks::Replayed;
use self::chunks::{PackedSide, SideSize};
use super::error::ReportError;
use super::hints::{FAR, NARROWED, RANGES};
use super::source::{ConversationSource, SourceKind};
use super::{CATALOGUE, CorpusFigures, Examined, Form, Side};
use crate::config::load;
use crate::pipeline::error::RunError;
use crate::store::checkpoint::SealedStage;
use crate::store::fs;
use crate::store::part::PartFile;
use crate::store::run::RunPaths;

/// The version of what a page holds.
const VERSION: u32 = 1;
/// Turns that a page holds unless another number is asked for; of more than these it holds a sample.
pub(crate) const MOST_TURNS: u64 = 1_000_000;

/// What a page is to be made of.
#[derive(Debug)]
pub(crate) struct PageOptions<'a> {
    /// A run directory, a dataset folder, a JSONL or a Parquet file.
    pub path: &'a Path,
    /// What to compare it with.
    pub reference: Option<&'a Path>,
    /// Turns of either side that the page may hold.
    pub most_turns: u64,
    /// What the recorded replies of a run tell.
    pub replayed: Replayed,
    /// Where the page goes.
    pub file: &'a Path,
    /// Whether a file that is there may be replaced.
    pub force: bool,
}

/// A page that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrittenPage {
    /// Its size.
    pub bytes: u64,
    /// Conversations in it, those that did not make it included.
    pub conversations: u64,
}

/// Measures and writes a page.
pub(crate) fn write(options: PageOptions<'_>) -> Result<WrittenPage, ReportError> {
    let PageOptions { path, reference, most_turns, replayed, file, force } = options;
    let is_there = || file.symlink_metadata().is_ok();
    if is_there() && (!force || file.is_dir()) {
        return Err(ReportError::OutputExists { path: file.to_owned() });
    }
    let source = ConversationSource::find(path)?;
    let against = reference.map(ConversationSource::find).transpose()?;
    let examined = super::examine(&source, against.as_ref())?;
    let scratch = fs::folder_of(file);
    let is_begun = replayed.begun.is_some();
    let own = size(&examined.report.subject);
    let mut sides = vec![chunks::pack(0, &source, own, most_turns, replayed, scratch)?];
    if let Some(against) = &against {
        let size = examined.report.reference.as_ref().and_then(size);
        sides.push(chunks::pack(1, against, size, most_turns, Replayed::default(), scratch)?);
    }
    let data = data(&source, &examined, &sides, is_begun)?;
    let conversations = sides.iter().map(|side| side.index.ids.len() as u64).sum();
    let bytes = put(file, &title(path), &data, &mut sides)?;
    Ok(WrittenPage { bytes, conversations })
}

fn size(side: &Side) -> Option<SideSize> {
    let CorpusFigures { conversations, turns, .. } = side.figures.as_ref()?;
    Some(SideSize { conversations: *conversations, turns: *turns })
}

fn title(path: &Path) -> String {
    path.canonicalize().unwrap_or_default().file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Everything of the page that is no conversation.
fn data(
    source: &ConversationSource,
    examined: &Examined,
    sides: &[PackedSide],
    is_begun: bool,
) -> Result<Value, ReportError> {
    let Examined { report, subject, reference } = examined;
    // They were measured on English, and hold for nothing else.
    let ranges = if report.subject.english { RANGES.as_slice() } else { &[] };
    let figures = CATALOGUE.iter().map(|entry| {
        let form = match entry.form {
            Form::Number => "number",
            Form::Count => "count",
            Form::Share => "share",
        };
        let key = entry.key;
        json!({
            "group": entry.group, "key": key, "label": entry.label.trim(), "reading": entry.reading, "form": form,
            "here": figure(&report.subject, entry.get),
            "there": report.reference.as_ref().and_then(|side| figure(side, entry.get)),
            "good": ranges.iter().find(|(figure, _)| *figure == key).map(|(_, range)| range),
            "difference": report.distance.as_ref().and_then(|distance| distance.figures.get(key)),
        })
    });
    let identity = identity(source)?;
    Ok(json!({
        "version": VERSION,
        "made_by": concat!("convogen ", env!("CARGO_PKG_VERSION")),
        "title": title(&report.subject.path),
        "identity": identity,
        "begun": is_begun,
        "report": report,
        "figures": figures.collect::<Vec<_>>(),
        "far": FAR,
        "narrowed": NARROWED,
        "pictures": {"subject": subject, "reference": reference},
        "samples": sides.iter().map(|side| side.sample).collect::<Vec<_>>(),
        "unlisted": sides.first().map_or(0, |side| side.unlisted),
    }))
}

fn figure(side: &Side, get: fn(&CorpusFigures) -> Option<f64>) -> Option<f64> {
    side.figures.as_ref().and_then(get)
}

/// What a review of this page is a review of.
fn identity(source: &ConversationSource) -> Result<Value, ReportError> {
    if source.kind != SourceKind::Run {
        return Ok(Value::Null);
    }
    let dir = RunPaths::of_run(&source.path)?;
    let Some(sealed) = SealedStage::open(&dir.conversations())? else { return Ok(Value::Null) };
    let run = dir.info()?.map(|info| info.run_id);
    let labels = load::kept(&dir.config()).map_err(RunError::from)?.review.labels;
    Ok(json!({"run": run, "conversations": sealed.manifest_hash(), "labels": labels}))
}

/// Writes the file, whole or not at all.
fn put(file: &Path, title: &str, data: &Value, sides: &mut [PackedSide]) -> Result<u64, ReportError> {
    let mut blocks = String::new();
    for (number, side) in sides.iter().enumerate() {
        let index = serde_json::to_vec(&side.index);
        let index = index.map_err(|source| ReportError::Unwritable { id: "the index".to_owned(), source })?;
        blocks += &chunks::block("index", number, &[&index]);
    }
    let head = shell::head(&shell::escaped(title), &shell::inert(&data.to_string()), &blocks);
    drop(blocks);
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut part = PartFile::create(fs::folder_of(file), &name)?;
    let written = part.append(head.as_bytes()).and_then(|()| {
        sides.iter_mut().try_for_each(|side| side.copy(&mut |bytes| part.append(bytes)))?;
        part.append(shell::END.as_bytes())
    });
    if let Err(error) = written {
        // The disk is full or broken: what was begun only takes room.
        let _ = part.discard();
        return Err(error.into());
    }
    Ok(part.finish(None)?.bytes)
}
