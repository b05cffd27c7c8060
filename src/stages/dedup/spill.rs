//! What is kept, on disk: the same sorted runs, and the sketches by number, in files without names.

use std::path::{Path, PathBuf};

use super::held::HeldRecords;
use super::minhash::Sketch;
use crate::store::entries::{self, FileRun};
use crate::store::fs::{FsError, ScratchFile};

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
        let run = FileRun::of(&self.folder, held.take_run().into_entries())?;
        *held = HeldRecords::from(held.next());
        entries::push_run(&mut self.runs, run, |old, young| FileRun::merged(&self.folder, &old, &young))
    }

    /// Calls `found` with every slot and record that share a key.
    pub(super) fn join(&self, queries: &[u64], mut found: impl FnMut(u32, u32, Sketch)) -> Result<(), FsError> {
        let Some(sketches) = &self.sketches else { return Ok(()) };
        let mut pairs = Vec::new();
        for run in &self.runs {
            entries::join(run, queries, |slot, record| {
                pairs.push(entries::entry(record, slot));
                if pairs.len() < TOGETHER { Ok(()) } else { look_up(sketches, &mut pairs, &mut found) }
            })?;
        }
        look_up(sketches, &mut pairs, &mut found)
    }

    /// Bytes of heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        let runs: usize = self.runs.iter().map(FileRun::heap).sum();
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
        for (record, slot) in of_page.iter().map(|pair| entries::halves(*pair)) {
            let place = (record % SKETCHES) as usize * Sketch::SIZE;
            found(slot, record, Sketch::from_bytes(page.get(place..).unwrap_or_default()));
        }
    }
    pairs.clear();
    Ok(())
}

fn page_of(pair: u64) -> u32 {
    entries::halves(pair).0 / SKETCHES
}
