//! What is kept, on disk: the same sorted runs, and the sketches by number, in files without names.
//!
//! A run is looked into by pages of 4 KiB. In memory stays the key that each page begins with, 0.1 bytes a record.

use std::path::{Path, PathBuf};

use super::held::HeldRecords;
use super::minhash::Sketch;
use super::runs::{self, HeldRun, Run};
use crate::store::fs::{FsError, ScratchFile};

/// Entries in a page.
const PAGE: usize = 512;
/// Sketches in a page.
const SKETCHES: u32 = 128;
/// Candidates that are held against the sketches together.
const TOGETHER: usize = 1 << 18;

/// Records up to a number.
#[derive(Debug)]
pub(super) struct Spill {
    folder: PathBuf,
    runs: Vec<FileRun>,
    sketches: Option<ScratchFile>,
}

impl Spill {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), runs: Vec::new(), sketches: None }
    }

    /// Takes everything over from memory.
    pub(super) fn take(&mut self, held: &mut HeldRecords) -> Result<(), FsError> {
        let sketches = match &mut self.sketches {
            Some(sketches) => sketches,
            None => self.sketches.insert(ScratchFile::create(&self.folder, "dedup-sketches")?),
        };
        for sketch in held.sketches.drain(..).flatten() {
            sketches.append(&sketch.to_bytes())?;
        }
        sketches.flush()?;
        let run = FileRun::of(&self.folder, held.take_run())?;
        *held = HeldRecords::from(held.next());
        runs::push_run(&mut self.runs, run, |old, young| FileRun::merged(&self.folder, &old, &young))
    }

    /// Calls `found` with every slot and record that share a key.
    pub(super) fn join(&self, queries: &[u64], mut found: impl FnMut(u32, u32, Sketch)) -> Result<(), FsError> {
        let Some(sketches) = &self.sketches else { return Ok(()) };
        let mut pairs = Vec::new();
        for run in &self.runs {
            runs::join(run, queries, |slot, record| {
                pairs.push(runs::entry(record, slot));
                if pairs.len() < TOGETHER { Ok(()) } else { look_up(sketches, &mut pairs, &mut found) }
            })?;
        }
        look_up(sketches, &mut pairs, &mut found)
    }

    /// Bytes of heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        let runs: usize = self.runs.iter().map(|run| run.firsts.capacity() * 4 + run.file.heap()).sum();
        runs + self.sketches.as_ref().map_or(0, ScratchFile::heap)
    }
}

/// Reads the sketches of the records in `pairs`, page by page, and empties it.
fn look_up(
    sketches: &ScratchFile,
    pairs: &mut Vec<u64>,
    found: &mut impl FnMut(u32, u32, Sketch),
) -> Result<(), FsError> {
    pairs.sort_unstable();
    let mut bytes = [0; SKETCHES as usize * Sketch::SIZE];
    for of_page in pairs.chunk_by(|one, other| page_of(*one) == page_of(*other)) {
        let offset = u64::from(of_page.first().map_or(0, |pair| page_of(*pair))) * bytes.len() as u64;
        let length = usize::try_from(sketches.len().saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
        let page = bytes.get_mut(..length).unwrap_or_default();
        sketches.read_exact_at(offset, page)?;
        for (record, slot) in of_page.iter().map(|pair| runs::halves(*pair)) {
            let place = (record % SKETCHES) as usize * Sketch::SIZE;
            found(slot, record, Sketch::from_bytes(page.get(place..).unwrap_or_default()));
        }
    }
    pairs.clear();
    Ok(())
}

fn page_of(pair: u64) -> u32 {
    runs::halves(pair).0 / SKETCHES
}

/// A sorted run in a file.
#[derive(Debug)]
struct FileRun {
    file: ScratchFile,
    firsts: Vec<u32>,
    len: usize,
}

impl FileRun {
    fn new(folder: &Path) -> Result<Self, FsError> {
        Ok(Self { file: ScratchFile::create(folder, "dedup-run")?, firsts: Vec::new(), len: 0 })
    }

    fn of(folder: &Path, run: HeldRun) -> Result<Self, FsError> {
        let mut written = Self::new(folder)?;
        run.into_entries().try_for_each(|entry| written.push(entry))?;
        written.finished()
    }

    fn merged(folder: &Path, left: &Self, right: &Self) -> Result<Self, FsError> {
        let mut written = Self::new(folder)?;
        runs::merge(left.entries(), right.entries(), |entry| written.push(entry))?;
        written.finished()
    }

    fn push(&mut self, entry: u64) -> Result<(), FsError> {
        if self.len.is_multiple_of(PAGE) {
            self.firsts.push(runs::halves(entry).0);
        }
        self.len += 1;
        self.file.append(&entry.to_le_bytes())
    }

    fn finished(mut self) -> Result<Self, FsError> {
        self.firsts.shrink_to_fit();
        self.file.flush()?;
        Ok(self)
    }

    /// All entries, in order; after an error there is no further one.
    fn entries(&self) -> impl Iterator<Item = Result<u64, FsError>> {
        let (mut page, mut at, mut failed) = (Vec::new().into_iter(), 0, false);
        std::iter::from_fn(move || {
            if let Some(entry) = page.next() {
                return Some(Ok(entry));
            }
            if failed || at >= self.firsts.len() {
                return None;
            }
            let mut entries = Vec::new();
            if let Err(error) = self.block(at, &mut entries) {
                failed = true;
                return Some(Err(error));
            }
            (page, at) = (entries.into_iter(), at + 1);
            page.next().map(Ok)
        })
    }
}

impl Run for FileRun {
    type Error = FsError;

    fn firsts(&self) -> &[u32] {
        &self.firsts
    }

    fn block<'a>(&'a self, at: usize, buffer: &'a mut Vec<u64>) -> Result<&'a [u64], FsError> {
        let start = at * PAGE;
        let mut bytes = [0; PAGE * 8];
        let bytes = bytes.get_mut(..PAGE.min(self.len.saturating_sub(start)) * 8).unwrap_or_default();
        self.file.read_exact_at(start as u64 * 8, bytes)?;
        buffer.clear();
        buffer.extend(bytes.as_chunks().0.iter().map(|entry| u64::from_le_bytes(*entry)));
        Ok(buffer)
    }

    fn len(&self) -> usize {
        self.len
    }
}
