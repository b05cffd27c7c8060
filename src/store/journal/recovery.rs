//! Opening a journal: read what is there, rewrite the last segment, and only then count it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::value::RawValue;

use super::error::{Damage, JournalError, JournalProblem};
use super::examine::{self, Examined};
use super::frame::{self, EntryKind, JournalEntry};
use super::index::{Digest, JournalIndex, Repeated, Segments, digest};
use super::segment::{self, ActiveSegment, Location};
use crate::store::fs::{self, FsError};

/// What was found when a journal was opened.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// Entries, segment headers not among them.
    pub entries: u64,
    /// Calls that were sent, or about to be, and of which nothing is known: they may have been billed. The oldest first.
    ///
    /// Those of all interruptions so far: a call that was made again with success stays in the list, since the
    /// first one may have been billed as well.
    pub possibly_billed: Vec<Intent>,
    /// Calls that were answered twice, differently. The first answer counts.
    pub conflicts: Vec<Conflict>,
    /// Where a crash has torn the newest segment; what was torn is gone, and was not acknowledged.
    pub torn: Option<TornTail>,
}

/// A call that was announced.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Intent {
    /// Its place in the journal.
    pub seq: u64,
    /// The call's key.
    pub key: String,
    /// The item it was for.
    pub item: Option<String>,
    /// What it was announced with.
    pub body: Box<RawValue>,
}

/// A call with two answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Conflict {
    /// The call's key.
    pub key: String,
    /// The item it was for.
    pub item: Option<String>,
    /// The segment that holds the answer that does not count.
    pub file: PathBuf,
    /// Where in it.
    pub offset: u64,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let item = self.item.as_deref().unwrap_or("no item");
        write!(f, "that of {item} at byte {} of {} does not (call {})", self.offset, self.file.display(), self.key)
    }
}

/// The end of what a crash left sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TornTail {
    /// The segment.
    pub file: PathBuf,
    /// The first byte that is not.
    pub offset: u64,
}

/// Pairs announced calls with what came of them.
///
/// An intent is settled by the first reply or reject of its key after it, unless the same call is announced again
/// before: then nobody will ever know about the earlier one.
#[derive(Debug, Default)]
pub(super) struct Intents {
    latest: HashMap<String, u64>,
    open: BTreeMap<u64, Intent>,
}

impl Intents {
    /// Takes the next entry, in order. A body that is no JSON is damage.
    pub(super) fn note(&mut self, entry: &JournalEntry<'_>) -> serde_json::Result<()> {
        let Some(key) = entry.key.as_deref() else { return Ok(()) };
        match entry.kind {
            EntryKind::Intent => {
                let (key, item) = (key.to_owned(), entry.item.as_deref().map(str::to_owned));
                self.latest.insert(key.clone(), entry.seq);
                self.open.insert(entry.seq, Intent { seq: entry.seq, key, item, body: entry.to_raw()? });
            }
            EntryKind::Reply | EntryKind::Reject => {
                if let Some(seq) = self.latest.remove(key) {
                    self.open.remove(&seq);
                }
            }
            EntryKind::Segment | EntryKind::Seal => {}
        }
        Ok(())
    }

    /// Those of which nothing came, the oldest first.
    pub(super) fn unsettled(self) -> Vec<Intent> {
        self.open.into_values().collect()
    }
}

/// Takes in what counts, in order.
pub(super) struct RecoveredEntries<'a> {
    dir: &'a Path,
    replies: Vec<(Digest, Location)>,
    intents: Intents,
    recovered: Recovered,
    on_entry: &'a mut dyn FnMut(&JournalEntry<'_>),
}

impl<'a> RecoveredEntries<'a> {
    pub(super) fn new(dir: &'a Path, on_entry: &'a mut dyn FnMut(&JournalEntry<'_>)) -> Self {
        let (replies, intents, recovered) = Default::default();
        Self { dir, replies, intents, recovered, on_entry }
    }

    pub(super) fn take(&mut self, location: Location, entry: &JournalEntry<'_>) -> Result<(), JournalError> {
        self.recovered.entries += 1;
        self.intents.note(entry).map_err(|_| self.no_json(location, entry))?;
        if entry.kind == EntryKind::Reply {
            self.replies.push((digest(entry.key.as_deref().unwrap_or_default()), location));
        }
        (self.on_entry)(entry);
        Ok(())
    }

    fn no_json(&self, location: Location, entry: &JournalEntry<'_>) -> Damage {
        Damage {
            file: segment::path(self.dir, location.segment),
            offset: location.offset,
            item: entry.item.as_ref().map(|item| format!("item {item}")),
            problem: JournalProblem::Body { seq: entry.seq },
        }
    }

    pub(super) fn finish(mut self) -> Result<(JournalIndex, Recovered), JournalError> {
        self.recovered.possibly_billed = self.intents.unsettled();
        let (index, repeated) = JournalIndex::new(self.replies);
        let segments = Segments::new(self.dir);
        for pair in repeated {
            self.recovered.conflicts.extend(conflict(self.dir, &segments, pair)?);
        }
        Ok((index, self.recovered))
    }
}

/// What differs between two replies with one key, if anything does.
fn conflict(dir: &Path, segments: &Segments, pair: Repeated) -> Result<Option<Conflict>, JournalError> {
    let first = segments.look(pair.first, |entry| Ok(entry.body.to_owned()))?;
    segments.look(pair.later, |later| {
        let conflict = || Conflict {
            key: later.key.as_deref().unwrap_or_default().to_owned(),
            item: later.item.as_deref().map(str::to_owned),
            file: segment::path(dir, pair.later.segment),
            offset: pair.later.offset,
        };
        Ok((later.body != first).then(conflict))
    })
}

/// Reads the journal in `dir`, or begins one, and makes everything that counts durable.
pub(super) fn recover(
    dir: &Path,
    run_id: &str,
    on_entry: &mut dyn FnMut(&JournalEntry<'_>),
) -> Result<(ActiveSegment, JournalIndex, Recovered), JournalError> {
    fs::create_dir_all(dir)?;
    fs::remove_temporaries(dir)?;
    let mut intake = RecoveredEntries::new(dir, on_entry);
    let mut tail = None;
    examine::walk(dir, Some(run_id), |segment| {
        segment.check()?;
        if !segment.newest {
            return segment.entries().try_for_each(|(location, entry)| intake.take(location, entry));
        }
        let (rewritten, bytes) = copy_forward(dir, run_id, segment)?;
        let again = examine::examine(segment.path, &bytes, segment.number, true);
        again.entries().try_for_each(|(location, entry)| intake.take(location, entry))?;
        intake.recovered.torn = segment.torn.map(|offset| TornTail { file: segment.path.to_owned(), offset });
        tail = Some(rewritten);
        Ok(())
    })?;
    let (index, recovered) = intake.finish()?;
    let tail = match tail {
        Some(tail) => tail,
        None => ActiveSegment::first(dir, run_id)?,
    };
    Ok((tail, index, recovered))
}

/// Rewrites the newest segment from its sound lines.
///
/// Always, not only after a torn line: what is read here may be in the page cache only, of a process that died before
/// its sync, or whose sync failed. Entries behind a hole move up, so that numbers stay without gaps; all of them are of
/// one batch, whose number is that of its first entry still.
fn copy_forward(dir: &Path, run_id: &str, segment: &Examined<'_>) -> Result<(ActiveSegment, Vec<u8>), FsError> {
    let mut bytes = Vec::new();
    let mut next = segment.lines.first().map_or(1, |line| line.entry.seq);
    for line in &segment.lines {
        if line.entry.seq == next {
            bytes.extend_from_slice(line.bytes);
            bytes.push(b'\n');
        } else {
            frame::encode(&mut bytes, &JournalEntry { seq: next, ..line.entry.clone() });
        }
        next += 1;
    }
    let tail = ActiveSegment::install(dir, run_id, segment.number, next - 1, &bytes)?;
    Ok((tail, bytes))
}
