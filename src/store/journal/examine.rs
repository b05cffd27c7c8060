//! Judges a segment: what is sound, what a crash has torn, and what no crash explains.
//!
//! A batch is written only after the sync of the one before has returned, so a crash can have torn the last batch and
//! nothing else; of it, any part of the bytes may have been lost. Every line carries the number of the batch's first
//! entry, which tells for each missing entry whether it belongs to the last batch, even where nothing of it is legible:
//!
//! - A hole in the newest segment is torn if all entries missing there are of the batch of the last sound line, or of a
//!   later one, and if there are broken bytes where they were. A crash loses bytes, it does not move them.
//! - Everything else that is not a run of sound lines, numbered without a gap, is damage: a broken line in an earlier
//!   batch or segment, lines that are gone without a trace, repeated or out of order, bytes between two lines that were
//!   written one after the other, a sound line that this version would not write, a segment whose content is not what
//!   its successor recorded of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{Damage, JournalError, JournalProblem};
use super::frame::{self, EntryKind, FORMAT, FrameError, JournalEntry};
use super::index::{Digest, digest};
use super::segment::{self, Header, Location, Previous};
use crate::store::fs;

/// A sound line.
#[derive(Debug)]
pub(super) struct SoundLine<'a> {
    pub offset: u64,
    pub bytes: &'a [u8],
    pub entry: JournalEntry<'a>,
}

/// The first of the broken lines between two sound ones.
#[derive(Debug)]
struct Broken {
    offset: u64,
    reason: FrameError,
    item: Option<String>,
}

impl Broken {
    /// A crash leaves broken bytes, never a line with the right checksum that nobody wrote.
    fn may_be_torn(&self) -> bool {
        matches!(self.reason, FrameError::Torn | FrameError::Checksum)
    }
}

/// A segment and what was found in it.
#[derive(Debug)]
pub(super) struct Examined<'a> {
    pub path: &'a Path,
    pub number: u32,
    /// Whether it is the last one, the only one a crash can have torn.
    pub newest: bool,
    /// The sound lines, the header first.
    pub lines: Vec<SoundLine<'a>>,
    /// Where the first torn line begins, if there is one.
    pub torn: Option<u64>,
    pub damage: Vec<Damage>,
}

impl<'a> Examined<'a> {
    /// The sound entries but for the header, and where they are.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Location, &JournalEntry<'a>)> {
        self.lines.iter().filter(|line| line.entry.kind != EntryKind::Segment).map(|line| {
            let length = u32::try_from(line.bytes.len()).unwrap_or(u32::MAX);
            (Location { segment: self.number, length, offset: line.offset }, &line.entry)
        })
    }

    /// The sound replies, as the index has them.
    pub(super) fn replies(&self) -> impl Iterator<Item = (Digest, Location)> {
        let replies = self.entries().filter(|(_, entry)| entry.kind == EntryKind::Reply);
        replies.map(|(location, entry)| (digest(entry.key.as_deref().unwrap_or_default()), location))
    }

    /// Stops at the first damage.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        match self.damage.first() {
            Some(damage) => Err(damage.clone().into()),
            None => Ok(()),
        }
    }
}

/// What the segments read so far say about the next one.
#[derive(Debug)]
struct Chain {
    run_id: Option<String>,
    /// How the segment before is recognised; `None` before the first, and after a damaged one.
    previous: Option<Previous>,
    path: PathBuf,
    /// The number the next segment must have.
    next: u32,
    /// Whether everything so far is sound, so that the next segment can be held against it.
    sound: bool,
}

/// Reads all segments in order and hands each to `visit`, with what was found in it.
///
/// Reads only, and takes no lock: while another process writes, the newest segment may end in a torn line.
pub(super) fn walk(
    dir: &Path,
    run_id: Option<&str>,
    mut visit: impl FnMut(&Examined<'_>) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    let run_id = run_id.map(str::to_owned);
    let mut chain = Chain { run_id, previous: None, path: PathBuf::new(), next: 1, sound: true };
    let numbers = segment::numbers(dir)?;
    for number in &numbers {
        let path = segment::path(dir, *number);
        let bytes = fs::read(&path)?;
        let mut examined = examine(&path, &bytes, *number, Some(number) == numbers.last());
        chain.follow(dir, &bytes, &mut examined);
        visit(&examined)?;
    }
    Ok(())
}

impl Chain {
    /// Holds a segment against those before it, and takes note of it.
    fn follow(&mut self, dir: &Path, bytes: &[u8], examined: &mut Examined<'_>) {
        if self.next < examined.number {
            let missing = segment::path(dir, self.next);
            examined
                .damage
                .insert(0, Damage { file: missing, offset: 0, item: None, problem: JournalProblem::Segment });
            self.sound = false;
        }
        let header = examined.lines.first().and_then(|line| Some((line.entry.seq, header(&line.entry)?)));
        if let Some((seq, header)) = &header {
            self.compare(*seq, header, examined);
        }
        let last_seq = examined.lines.last().map(|line| line.entry.seq);
        self.sound = examined.damage.is_empty() && last_seq.is_some();
        self.previous = last_seq
            .filter(|_| !examined.newest)
            .map(|last_seq| Previous { last_seq, blake3: blake3::hash(bytes).to_hex().to_string() });
        examined.path.clone_into(&mut self.path);
        self.next = examined.number.saturating_add(1);
    }

    /// Reports the first thing in a header that does not fit what was read before.
    fn compare(&mut self, seq: u64, header: &Header, examined: &mut Examined<'_>) {
        let mut file = examined.path;
        let run_id = self.run_id.get_or_insert_with(|| header.run_id.clone());
        let last_seq = header.previous.as_ref().map_or(0, |previous| previous.last_seq);
        let problem = if header.format > FORMAT {
            JournalProblem::Line(FrameError::Format(header.format))
        } else if *run_id != header.run_id {
            JournalProblem::OtherRun { expected: run_id.clone(), found: header.run_id.clone() }
        } else if seq != last_seq.saturating_add(1) {
            JournalProblem::OutOfPlace { seq }
        } else if self.sound && header.previous != self.previous {
            file = if self.previous.is_some() { &self.path } else { file };
            JournalProblem::Chain
        } else {
            return;
        };
        examined.damage.insert(0, Damage { file: file.to_owned(), offset: 0, item: None, problem });
    }
}

fn header(entry: &JournalEntry<'_>) -> Option<Header> {
    (entry.kind == EntryKind::Segment && entry.batch == entry.seq).then(|| entry.read().ok()).flatten()
}

/// Judges one segment by itself.
pub(super) fn examine<'a>(path: &'a Path, bytes: &'a [u8], number: u32, newest: bool) -> Examined<'a> {
    let mut lines = Vec::new();
    let mut broken = BTreeMap::new();
    for line in segment::lines(bytes) {
        match line.entry {
            Ok(entry) => lines.push(SoundLine { offset: line.offset, bytes: line.bytes, entry }),
            Err(reason) => {
                let item = || frame::legible_item(line.bytes);
                broken.entry(lines.len()).or_insert_with(|| Broken { offset: line.offset, reason, item: item() });
            }
        }
    }
    let mut examined = Examined { path, number, newest, lines, torn: None, damage: Vec::new() };
    examined.judge(&broken);
    examined
}

impl Examined<'_> {
    fn judge(&mut self, broken: &BTreeMap<usize, Broken>) {
        let begins = self.lines.first().is_some_and(|line| line.offset == 0 && header(&line.entry).is_some());
        if !begins {
            let problem = match broken.get(&0).map(|broken| broken.reason) {
                Some(reason @ FrameError::Format(_)) => JournalProblem::Line(reason),
                _ => JournalProblem::Header,
            };
            self.report(0, None, problem);
        }
        let last_batch = self.lines.last().map_or(0, |line| line.entry.batch);
        for at in 1..self.lines.len() {
            self.judge_step(at, broken.get(&at), last_batch);
        }
        let end = self.lines.len();
        if let Some(broken) = broken.get(&end).filter(|_| end > 0) {
            self.judge_hole(end, broken, true);
        }
    }

    /// Judges the line at index `at` (at least 1) and what stands between it and the one before.
    fn judge_step(&mut self, at: usize, broken: Option<&Broken>, last_batch: u64) {
        let (Some(before), Some(line)) = (self.lines.get(at - 1), self.lines.get(at)) else { return };
        let (seq, batch, offset) = (line.entry.seq, line.entry.batch, line.offset);
        let (last, its_batch) = (before.entry.seq, before.entry.batch);
        let next = last.saturating_add(1);
        let batch_fits = batch == its_batch || (next..=seq).contains(&batch);
        if seq <= last || !batch_fits || line.entry.kind == EntryKind::Segment {
            return self.report(offset, self.item_at(at), JournalProblem::OutOfPlace { seq });
        }
        match broken {
            None if seq == next => {}
            None => {
                let problem = JournalProblem::Missing { first: next, last: seq - 1 };
                self.report(offset, self.item_before(at), problem);
            }
            Some(broken) if seq == next => self.report(broken.offset, self.item_before(at), JournalProblem::Inserted),
            Some(broken) => self.judge_hole(at, broken, batch == last_batch && batch <= next),
        }
    }

    /// Judges broken bytes before the line at index `at`, which a crash may have left if they are of the last batch.
    fn judge_hole(&mut self, at: usize, broken: &Broken, last_batch: bool) {
        if self.newest && last_batch && broken.may_be_torn() {
            self.torn.get_or_insert(broken.offset);
        } else {
            let item = broken.item.as_ref().map(|item| format!("item {item}"));
            self.report(broken.offset, item.or_else(|| self.item_before(at)), JournalProblem::Line(broken.reason));
        }
    }

    fn item_at(&self, at: usize) -> Option<String> {
        let item = self.lines.get(at)?.entry.item.as_deref()?;
        Some(format!("item {item}"))
    }

    fn item_before(&self, at: usize) -> Option<String> {
        self.item_at(at.checked_sub(1)?).map(|item| format!("after {item}"))
    }

    fn report(&mut self, offset: u64, item: Option<String>, problem: JournalProblem) {
        self.damage.push(Damage { file: self.path.to_owned(), offset, item, problem });
    }
}
