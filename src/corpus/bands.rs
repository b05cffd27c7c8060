//! Which records share a band of their signatures with an earlier one that was kept.
//!
//! Band by band the keys are sorted, and records with a key in common are a group. The sketches of a group are compared with each
//! other at once, while they are at hand: what is near becomes a pair, and of a template family, whose members share bands by
//! chance, next to nothing does. A group too large for that, or so much alike that its pairs would be many, is crowded: its
//! records are met one by one, and only with those that were kept. The place of a key then holds the number of its group, and
//! once the record is kept the rank of the one that was kept before it in the group: a list through the group, from the latest back.

use std::ops::Range;

use super::order::IdOrder;
use super::pairs::{PairIndex, pair};
use super::parallel;
use super::scan::ScannedRecords;
use crate::stages::dedup::{Hasher, Sketch};

/// No group, or the end of a list.
const NONE: u32 = u32::MAX;
/// Records from which on a group is crowded.
const CROWD: usize = 1_024;
/// Pairs a record from which on it is.
const PAIRS_EACH: usize = 8;

/// Finds candidates by bands.
#[derive(Debug)]
pub(super) struct BandIndex<'a> {
    records: ScannedRecords,
    order: &'a IdOrder,
    bands: usize,
    least_agreement: u32,
    pairs: PairIndex,
    /// The record that was kept last, by crowded group.
    latest: Vec<u32>,
}

/// What grouping looks at.
#[derive(Clone, Copy)]
struct Grouping<'a> {
    records: &'a ScannedRecords,
    order: &'a IdOrder,
    firsts: &'a [u32],
    band: usize,
    least_agreement: u32,
}

/// What is found in the groups of some keys.
#[derive(Default)]
struct BandGroups {
    pairs: Vec<u64>,
    /// Key and rank of what is in crowded groups, sorted.
    crowded: Vec<u64>,
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
        let (bands, least_agreement) = (hasher.bands(), hasher.least_agreement());
        let (mut latest, mut pairs) = (Vec::new(), Vec::new());
        for band in 0..bands {
            let grouping = Grouping { records: &records, order, firsts, band, least_agreement };
            let found = parallel::each(key_ranges(threads), |keys| grouping.groups(&keys));
            for record in 0..records.count {
                records.keys.set(record, band, NONE);
            }
            for groups in found {
                pairs.extend(groups.pairs);
                for group in groups.crowded.chunk_by(|one, other| one >> 32 == other >> 32) {
                    let number = u32::try_from(latest.len()).unwrap_or(NONE);
                    latest.push(NONE);
                    for entry in group {
                        records.keys.set(order.record(rank_of(*entry)), band, number);
                    }
                }
            }
            // Now, since what is near shares several bands.
            pairs.sort_unstable();
            pairs.dedup();
        }
        if latest.is_empty() {
            records.forget_keys();
        }
        Self { records, order, bands, least_agreement, pairs: PairIndex::of(pairs, order.len() as usize), latest }
    }

    /// What is known of the records.
    pub(super) fn records(&self) -> &ScannedRecords {
        &self.records
    }

    /// Keeps a record. Ranks must come in order.
    pub(super) fn keep(&mut self, rank: u32) {
        self.pairs.keep(rank);
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
        let mut found = self.pairs.candidates(rank, from);
        let (record, paired) = (self.order.record(rank), found.len());
        let own = self.records.sketch(record);
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
        if found.len() > paired {
            found.sort_unstable();
            found.dedup();
        }
        found
    }
}

/// As many ranges of keys as there are threads, together all of them.
fn key_ranges(threads: usize) -> impl Iterator<Item = Range<u64>> {
    let (threads, all) = (threads.max(1) as u64, 1_u64 << 32);
    (0..threads).map(move |at| all * at / threads..all * (at + 1) / threads)
}

impl Grouping<'_> {
    /// The groups of keys in a range.
    fn groups(self, keys: &Range<u64>) -> BandGroups {
        let mut entries = Vec::new();
        for (rank, first) in (0..).zip(self.firsts) {
            let record = self.order.record(rank);
            let key = self.records.keys.get(record, self.band).map_or(0, u64::from);
            if rank == *first && keys.contains(&key) && self.records.sketch(record) != Sketch::default() {
                entries.push(key << 32 | u64::from(rank));
            }
        }
        entries.sort_unstable();
        let mut found = BandGroups::default();
        for group in entries.chunk_by(|one, other| one >> 32 == other >> 32).filter(|group| group.len() > 1) {
            let before = found.pairs.len();
            if !self.pairs(group, &mut found.pairs) {
                found.pairs.truncate(before);
                found.crowded.extend_from_slice(group);
            }
        }
        found
    }

    /// Adds what is near in a group; `false` if it is crowded.
    fn pairs(self, group: &[u64], pairs: &mut Vec<u64>) -> bool {
        if group.len() > CROWD {
            return false;
        }
        let most = pairs.len() + group.len() * PAIRS_EACH;
        let sketch = |entry: &u64| (rank_of(*entry), self.records.sketch(self.order.record(rank_of(*entry))));
        let members: Vec<(u32, Sketch)> = group.iter().map(sketch).collect();
        let mut rest = members.as_slice();
        while let Some(((one, own), behind)) = rest.split_first() {
            let near = behind.iter().filter(|(_, other)| own.agreement(*other) >= self.least_agreement);
            pairs.extend(near.map(|(other, _)| pair(*one, *other)));
            if pairs.len() > most {
                return false;
            }
            rest = behind;
        }
        true
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half of an entry is the rank")]
fn rank_of(entry: u64) -> u32 {
    entry as u32
}
