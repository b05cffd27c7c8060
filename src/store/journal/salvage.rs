//! Looking a journal over without changing it, and saving what is sound into a new one.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::Serialize;

use super::error::{Damage, JournalError, JournalProblem};
use super::examine::{self, Examined};
use super::frame::{EntryKind, EntryText, JournalEntry};
use super::recovery::{Conflict, Intent, RecoveredEntries, TornTail};
use super::segment::{self, ActiveSegment};
use crate::store::fs;

/// What a journal holds, and what is wrong with it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct JournalReport {
    /// Segments that were read.
    pub segments: u64,
    /// Their size.
    pub bytes: u64,
    /// Sound entries by kind.
    pub entries: BTreeMap<&'static str, u64>,
    /// Calls with a sound reply.
    pub replies: u64,
    /// Calls of which nothing is known. While a run is at work, those in flight.
    pub possibly_billed: Vec<Intent>,
    /// Calls with two answers that differ.
    pub conflicts: Vec<Conflict>,
    /// Where a crash, or a write that is under way, has left a torn line: no damage.
    pub torn: Option<TornTail>,
    /// What no crash explains. Empty: the journal is sound.
    pub damage: Vec<Damage>,
}

/// Reads everything in the journal in `dir` again, and reports rather than stops.
pub(crate) fn verify(dir: &Path) -> Result<JournalReport, JournalError> {
    let mut report = JournalReport::default();
    let mut ignore = |_: &JournalEntry<'_>| ();
    let mut intake = RecoveredEntries::new(dir, &mut ignore);
    examine::walk(dir, None, |segment| {
        report.segments += 1;
        report.bytes += fs::metadata(segment.path)?.len();
        report.damage.extend(segment.damage.iter().cloned());
        report.torn = segment.torn.map(|offset| TornTail { file: segment.path.to_owned(), offset });
        for (location, entry) in segment.entries() {
            *report.entries.entry(entry.kind.as_str()).or_default() += 1;
            match intake.take(location, entry) {
                Err(JournalError::Damaged(damage)) => report.damage.push(*damage),
                result => result?,
            }
            report.damage.extend(body_damage(segment, location.offset, entry));
        }
        Ok(())
    })?;
    let (index, recovered) = intake.finish()?;
    report.replies = index.len() as u64;
    report.possibly_billed = recovered.possibly_billed;
    report.conflicts = recovered.conflicts;
    Ok(report)
}

/// Bodies are not parsed when a run is resumed; here they are. Those of intents have been, by the intake.
fn body_damage(segment: &Examined<'_>, offset: u64, entry: &JournalEntry<'_>) -> Option<Damage> {
    let sound = entry.kind == EntryKind::Intent || entry.read::<serde::de::IgnoredAny>().is_ok();
    let item = entry.item.as_ref().map(|item| format!("item {item}"));
    let problem = JournalProblem::Body { seq: entry.seq };
    (!sound).then(|| Damage { file: segment.path.to_owned(), offset, item, problem })
}

/// What was saved.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Salvaged {
    /// Entries in the new journal.
    pub entries: u64,
    /// Replies among them.
    pub replies: u64,
    /// What could not be saved, or shows that something is missing.
    pub damage: Vec<Damage>,
}

/// Copies every sound intent, reply and reject of the journal in `dir` into a fresh one in `new_dir`, for run `run_id`.
///
/// Of the replies of one call only the first is taken. That stages were sealed is not copied: their folders are not
/// part of the journal.
pub(crate) fn salvage(dir: &Path, new_dir: &Path, run_id: &str) -> Result<Salvaged, JournalError> {
    if segment::numbers(dir)?.is_empty() {
        return Err(JournalError::Absent { path: dir.to_owned() });
    }
    if !segment::numbers(new_dir)?.is_empty() {
        return Err(JournalError::Present { path: new_dir.to_owned() });
    }
    fs::create_dir_all(new_dir)?;
    let mut tail = ActiveSegment::first(new_dir, run_id)?;
    let mut salvaged = Salvaged::default();
    let mut seen = HashSet::new();
    examine::walk(dir, None, |segment| {
        salvaged.damage.extend(segment.damage.iter().cloned());
        let mut wanted = Vec::new();
        for (location, entry) in segment.entries().filter(|(_, entry)| entry.kind.needs_key()) {
            if let Some(damage) = body_damage(segment, location.offset, entry) {
                salvaged.damage.push(damage);
            } else if entry.kind != EntryKind::Reply || seen.insert(entry.key.as_deref().unwrap_or_default().to_owned())
            {
                salvaged.entries += 1;
                salvaged.replies += u64::from(entry.kind == EntryKind::Reply);
                wanted.push(EntryText::of(entry));
            }
        }
        tail.commit(wanted.iter())?;
        Ok(tail.rotate()?)
    })?;
    Ok(salvaged)
}
