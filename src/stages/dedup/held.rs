//! What is kept, in memory: the keys and the sketch of each record, 136 bytes at most from a threshold of 0.57 up.

use std::convert::Infallible;

use super::minhash::Sketch;
use crate::store::entries::{self, HeldRun, Run};

/// Sketches in a block.
const BLOCK: usize = 1_024;

/// Records from one number on.
#[derive(Debug, Default)]
pub(super) struct HeldRecords {
    /// The number of the first.
    pub(super) first: u32,
    pub(super) runs: Vec<HeldRun>,
    pub(super) sketches: Vec<Vec<Sketch>>,
    len: u32,
}

impl HeldRecords {
    /// None yet; their numbers will begin with `first`.
    pub(super) fn from(first: u32) -> Self {
        Self { first, ..Self::default() }
    }

    /// The number of the next record.
    pub(super) fn next(&self) -> u32 {
        self.first.saturating_add(self.len)
    }

    /// Adds records: their sketches in order, and their entries, which are sorted.
    pub(super) fn add(&mut self, entries: Vec<u64>, sketches: impl IntoIterator<Item = Sketch>) {
        for sketch in sketches {
            if self.sketches.last().is_none_or(|block| block.len() == BLOCK) {
                self.sketches.push(Vec::with_capacity(BLOCK));
            }
            self.sketches.last_mut().into_iter().for_each(|block| block.push(sketch));
            self.len += 1;
        }
        let run = HeldRun::of(entries.len(), entries.into_iter());
        let merged = |old, young| Ok::<_, Infallible>(HeldRun::merged(old, young));
        let Ok(()) = entries::push_run(&mut self.runs, run, merged);
    }

    /// Calls `found` with every slot and record that share a key.
    pub(super) fn join(&self, queries: &[u64], mut found: impl FnMut(u32, u32, Sketch)) {
        for run in &self.runs {
            let Ok(()) = entries::join(run, queries, |slot, record| {
                if let Some(sketch) = self.sketch(record) {
                    found(slot, record, sketch);
                }
                Ok(())
            });
        }
    }

    fn sketch(&self, record: u32) -> Option<Sketch> {
        let at = record.checked_sub(self.first)? as usize;
        self.sketches.get(at / BLOCK)?.get(at % BLOCK).copied()
    }

    /// Bytes of entries and sketches.
    pub(super) fn size(&self) -> usize {
        self.runs.iter().map(Run::len).sum::<usize>() * 8 + self.len as usize * Sketch::SIZE
    }

    /// Bytes of heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        let sketches =
            self.sketches.len() * (BLOCK * Sketch::SIZE) + self.sketches.capacity() * size_of::<Vec<Sketch>>();
        let runs: usize = self.runs.iter().map(HeldRun::heap).sum();
        sketches + runs + self.runs.capacity() * size_of::<HeldRun>()
    }

    /// All entries as one run.
    pub(super) fn take_run(&mut self) -> HeldRun {
        let mut young = self.runs.pop().unwrap_or_default();
        while let Some(old) = self.runs.pop() {
            young = HeldRun::merged(old, young);
        }
        young
    }
}
