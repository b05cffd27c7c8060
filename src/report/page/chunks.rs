//! Conversations put into the page: read once more, packed into chunks that are inflated when they are looked at.

use std::io::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Serialize;

use super::index::PageIndex;
use super::talk::PageTalk;
use crate::draw::Draw;
use crate::pipeline::preview::PreviewSample;
use crate::pipeline::tries::RejectedTries;
use crate::record::{Dropped, Duplicate, Situation};
use crate::report::error::ReportError;
use crate::report::source::{ConversationSource, SourceKind, Talk, parts};
use crate::stages::conversations::UNFINISHED;
use crate::store::checkpoint::{CheckpointError, Rows, SealedStage};
use crate::store::fs::{FsError, ScratchFile};
use crate::store::run::RunPaths;

/// Bytes of text in a chunk: what is inflated to show one conversation.
const CHUNK: usize = 1 << 18;
/// Bytes that are copied at a time.
const COPIED: usize = 1 << 20;
/// Most items of each kind that did not make it and are listed all the same.
const MOST_DROPPED: usize = 10_000;
/// The seed by which conversations are drawn where there are too many for a page.
const SEED: u64 = 17;

/// Which conversations a page holds, where it does not hold all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct PageSample {
    /// Conversations on the page.
    conversations: u64,
    /// Conversations there are.
    of: u64,
    /// The seed they were drawn by.
    seed: u64,
}

/// The conversations of one side, packed.
#[derive(Debug)]
pub(super) struct PackedSide {
    pub(super) index: PageIndex,
    pub(super) sample: Option<PageSample>,
    /// Items that did not make it beyond those that are listed.
    pub(super) unlisted: u64,
    /// The elements of all chunks.
    chunks: ScratchFile,
}

/// A side on its way.
struct Packer {
    index: PageIndex,
    side: usize,
    tries: RejectedTries,
    /// The lines of the open chunk that are searched, and those with the rest: a search inflates the former alone.
    lines: [Vec<u8>; 2],
    waiting: u32,
    chunks: ScratchFile,
}

/// What recorded replies tell of a run besides its sealed conversations.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// What they make of conversations that are not sealed.
    pub begun: Option<PreviewSample>,
    /// Replies that were turned down.
    pub tries: RejectedTries,
}

/// How many conversations there are, and of how many turns.
#[derive(Debug, Clone, Copy)]
pub(super) struct SideSize {
    pub(super) conversations: u64,
    pub(super) turns: u64,
}

/// Packs what `source` holds: about `most` turns of it.
pub(super) fn pack(
    side: usize,
    source: &ConversationSource,
    whole: Option<SideSize>,
    most: u64,
    replayed: Replayed,
    scratch: &Path,
) -> Result<PackedSide, ReportError> {
    let chunks = ScratchFile::create(scratch, "chunks")?;
    let Replayed { begun, tries } = replayed;
    let mut packer =
        Packer { index: PageIndex::default(), side, tries, lines: [Vec::new(), Vec::new()], waiting: 0, chunks };
    let share = whole.filter(|whole| whole.turns > most).map(|whole| most as f64 / whole.turns as f64);
    let mut unlisted = 0;
    if let Some(begun) = begun {
        packer.add_begun(begun)?;
    } else {
        packer.add_all(source, share)?;
    }
    let shown = packer.index.ids.len() as u64;
    if source.kind == SourceKind::Run {
        unlisted = packer.add_dropped(&source.path)?;
    }
    packer.close()?;
    let sample =
        share.zip(whole).map(|(_, whole)| PageSample { conversations: shown, of: whole.conversations, seed: SEED });
    Ok(PackedSide { index: packer.index, sample, unlisted, chunks: packer.chunks })
}

impl Packer {
    /// The conversations of a source; only a share of them where one is given.
    fn add_all(&mut self, source: &ConversationSource, share: Option<f64>) -> Result<(), ReportError> {
        let mut situations = SituationRows::of(source)?;
        let (mut number, mut failed) = (0_u64, None);
        source.read(&mut |talk| {
            let drawn = share.is_none_or(|share| is_drawn(number, share));
            let added = if drawn { self.add(talk, number, &mut situations) } else { Ok(()) };
            number += 1;
            failed = added.err();
            failed.is_none()
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn add(&mut self, talk: Talk, number: u64, situations: &mut SituationRows) -> Result<(), ReportError> {
        let talk = match talk {
            Talk::Record(record) => {
                let situation = situations.find(&record.situation_id)?;
                let tries = self.tries.remove(&record.id).unwrap_or_default();
                let mut talk = PageTalk::of_record(*record, situation, "accepted");
                talk.rest.tries = tries;
                talk
            }
            Talk::Foreign(talk) => PageTalk::of_foreign(*talk, number),
        };
        self.put(&talk)
    }

    /// What recorded replies make of a run that goes on.
    fn add_begun(&mut self, begun: PreviewSample) -> Result<(), ReportError> {
        let PreviewSample { situations, conversations, dropped } = begun;
        for record in conversations {
            let situation = situations.iter().find(|situation| situation.id == record.situation_id);
            let outcome = if record.stop_reason == UNFINISHED { "unfinished" } else { "accepted" };
            self.put(&PageTalk::of_record(record, situation, outcome))?;
        }
        dropped.into_iter().try_for_each(|dropped| self.put(&PageTalk::of_dropped(dropped)))
    }

    /// What did not make it in the run in `path`, situations too; how many of them are not listed.
    fn add_dropped(&mut self, path: &Path) -> Result<u64, ReportError> {
        let paths = RunPaths::of_run(path)?;
        let mut unlisted = 0;
        for folder in [paths.conversations(), paths.situations()] {
            let Some(sealed) = SealedStage::open(&folder)? else { continue };
            for (at, row) in sealed.rows::<Dropped>("rejected.jsonl")?.enumerate() {
                let row = row?;
                if at < MOST_DROPPED { self.put(&PageTalk::of_dropped(row))? } else { unlisted += 1 }
            }
            for (at, row) in sealed.rows::<Duplicate>("duplicates.jsonl")?.enumerate() {
                let row = row?;
                if at < MOST_DROPPED { self.put(&PageTalk::of_dropped(row.into()))? } else { unlisted += 1 }
            }
        }
        Ok(unlisted)
    }

    fn put(&mut self, talk: &PageTalk) -> Result<(), ReportError> {
        self.index.add(talk);
        let [searched, rests] = &mut self.lines;
        talk.write(searched, rests).map_err(|source| ReportError::Unwritable { id: talk.id.clone(), source })?;
        self.waiting += 1;
        if self.lines.iter().map(Vec::len).sum::<usize>() >= CHUNK { self.close() } else { Ok(()) }
    }

    /// Ends the chunk that is open.
    fn close(&mut self) -> Result<(), ReportError> {
        if self.waiting == 0 {
            return Ok(());
        }
        let element = block("chunk", self.side, &self.lines.each_ref().map(Vec::as_slice));
        self.chunks.append(element.as_bytes())?;
        self.index.chunks.push(std::mem::take(&mut self.waiting));
        self.lines.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}

/// An element that holds `parts`: compressed, then in letters and digits with a point between two, so that nothing in it can
/// end the element.
pub(super) fn block(kind: &str, side: usize, parts: &[&[u8]]) -> String {
    let packed: Vec<String> = parts.iter().map(|bytes| STANDARD.encode(deflated(bytes))).collect();
    let text = packed.join(".");
    format!("<script type=\"application/octet-stream\" class=\"{kind}\" data-side=\"{side}\">{text}</script>\n")
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut deflate = DeflateEncoder::new(Vec::with_capacity(bytes.len() / 3), Compression::new(6));
    // A vector takes everything.
    deflate.write_all(bytes).and_then(|()| deflate.finish()).unwrap_or_default()
}

impl PackedSide {
    /// Writes the elements of all chunks.
    pub(super) fn copy(&mut self, to: &mut dyn FnMut(&[u8]) -> Result<(), FsError>) -> Result<(), FsError> {
        self.chunks.flush()?;
        let (mut at, end) = (0, self.chunks.len());
        while at < end {
            let length = usize::try_from(end - at).unwrap_or(COPIED).min(COPIED);
            let mut bytes = vec![0; length];
            self.chunks.read_exact_at(at, &mut bytes)?;
            to(&bytes)?;
            at += length as u64;
        }
        Ok(())
    }
}

/// Whether the conversation with this number is among the share that is drawn.
fn is_drawn(number: u64, share: f64) -> bool {
    Draw::new(SEED, &["report", "page", &number.to_string()]).unit() < share
}

/// The situations of a run, read along with its conversations, which stand in the same order.
struct SituationRows {
    rows: Option<Rows<Situation>>,
    at: Option<Situation>,
}

impl SituationRows {
    fn of(source: &ConversationSource) -> Result<Self, ReportError> {
        let mut rows = None;
        if source.kind == SourceKind::Run
            && let Some(sealed) = SealedStage::open(&RunPaths::of_run(&source.path)?.situations())?
            && let [part] = parts(&sealed).as_slice()
        {
            rows = Some(sealed.rows(part)?);
        }
        Ok(Self { rows, at: None })
    }

    /// Reads on to the situation with this id. Once the end is passed there is none.
    fn find(&mut self, id: &str) -> Result<Option<&Situation>, CheckpointError> {
        while self.at.as_ref().is_none_or(|at| at.id != id) {
            match self.rows.as_mut().and_then(Iterator::next) {
                Some(row) => self.at = Some(row?),
                None => return Ok(None),
            }
        }
        Ok(self.at.as_ref())
    }
}
