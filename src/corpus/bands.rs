//! Which records share a band of their signatures with an earlier one that was kept.
//!
//! Band by band the keys are sorted, and records with a key in common become a group. The place of a key then holds the number
//! of its group, and once the record is kept the rank of the one that was kept before it in the group: a list through the
//! records of a group, from the latest back. A key that nobody shares is dropped. So the index takes the memory
//! of the keys, and four bytes a group.

use std::ops::Range;

use super::order::IdOrder;
use super::parallel;
use super::scan::ScannedRecords;
use crate::stages::dedup::{Hasher, Sketch};

/// No group, or the end of a list.
const NONE: u32 = u32::MAX;

/// Finds candidates by bands.
#[derive(Debug)]
pub(super) struct BandIndex<'a> {
    records: ScannedRecords,
    order: &'a IdOrder,
    bands: usize,
    least_agreement: u32,
    /// The record that was kept last, by group.
    latest: Vec<u32>,
}

impl<'a> BandIndex<'a> {
    /// Groups the records that stand for themselves in `firsts` and have a signature.
    pub(super) fn build(
        mut records: ScannedRecords,
        order: &'a IdOrder,
        firsts: &[u32],
        hasher: &Hasher,
        threads: usize,
    ) -> Self {
        let (bands, mut latest) = (hasher.bands(), Vec::new());
        for band in 0..bands {
            let ranges = key_ranges(threads);
            let shared = parallel::each(ranges, |keys| shared_keys(&records, order, firsts, band, &keys));
            for record in 0..records.count {
                records.keys.set(record, band, NONE);
            }
            for group in shared.iter().flat_map(|entries| entries.chunk_by(|one, other| one >> 32 == other >> 32)) {
                let number = u32::try_from(latest.len()).unwrap_or(NONE);
                latest.push(NONE);
                for entry in group {
                    records.keys.set(order.record(rank_of(*entry)), band, number);
                }
            }
        }
        Self { records, order, bands, least_agreement: hasher.least_agreement(), latest }
    }

    /// What is known of the records.
    pub(super) fn records(&self) -> &ScannedRecords {
        &self.records
    }

    /// Keeps a record. Ranks must come in order.
    pub(super) fn keep(&mut self, rank: u32) {
        let record = self.order.record(rank);
        for band in 0..self.bands {
            let Some(group) = self.records.keys.get(record, band) else { continue };
            if let Some(latest) = self.latest.get_mut(group as usize) {
                self.records.keys.set(record, band, *latest);
                *latest = rank;
            }
        }
    }

    /// The kept records from the rank `from` on that share a band with this one and whose sketch allows for more, by rank.
    pub(super) fn candidates(&self, rank: u32, from: u32) -> Vec<u32> {
        let record = self.order.record(rank);
        let (own, mut found) = (self.records.sketch(record), Vec::new());
        for (band, group) in self.records.keys.row(record).iter().enumerate() {
            let mut next = self.latest.get(*group as usize).copied().unwrap_or(NONE);
            while next != NONE && next >= from {
                let kept = self.order.record(next);
                if own.agreement(self.records.sketch(kept)) >= self.least_agreement {
                    found.push(next);
                }
                next = self.records.keys.get(kept, band).unwrap_or(NONE);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// As many ranges of keys as there are threads, together all of them.
fn key_ranges(threads: usize) -> impl Iterator<Item = Range<u64>> {
    let (threads, all) = (threads.max(1) as u64, 1_u64 << 32);
    (0..threads).map(move |at| all * at / threads..all * (at + 1) / threads)
}

/// The keys in a range that several records have in a band, each with the rank of its record, sorted.
fn shared_keys(records: &ScannedRecords, order: &IdOrder, firsts: &[u32], band: usize, range: &Range<u64>) -> Vec<u64> {
    let mut entries = Vec::new();
    for (rank, first) in (0..).zip(firsts) {
        let record = order.record(rank);
        let key = records.keys.get(record, band).map_or(0, u64::from);
        if rank == *first && range.contains(&key) && records.sketch(record) != Sketch::default() {
            entries.push(key << 32 | u64::from(rank));
        }
    }
    entries.sort_unstable();
    let mut shared = Vec::new();
    for group in entries.chunk_by(|one, other| one >> 32 == other >> 32).filter(|group| group.len() > 1) {
        shared.extend_from_slice(group);
    }
    shared
}

#[expect(clippy::cast_possible_truncation, reason = "the low half of an entry is the rank")]
fn rank_of(entry: u64) -> u32 {
    entry as u32
}
