//! Which records share a band of their signatures with an earlier one that was kept.
//!
//! Band by band the keys are sorted, and records with a key in common are a group. The sketches of a group are compared with each
//! other at once, while they are at hand: what is near becomes a pair, and of a template family, whose members share bands by
//! chance, next to nothing does. A group too large for that, or so much alike that its pairs would be many, is crowded: its
//! records are met one by one, and only with those that were kept. The keys of a band without a crowd are dropped; in the others
//! the place of a key then holds the number of its group, and once the record is kept the rank of the one that was kept before it
//! in the group: a list through the group, from the latest back.

use std::ops::Range;

use super::column::RecordColumn;
use super::order::IdOrder;
use super::pairs::{PairIndex, pair};
use super::parallel;
use super::scan::ScannedRecords;
use crate::stages::dedup::{Hasher, Sketch};

/// No group, or the end of a list.
const NONE: u32 = u32::MAX;
/// Records from which on a group is crowded.
const CROWD: usize = 4_096;
/// Pairs a record from which on it is.
const PAIRS_EACH: usize = 8;
/// Bands that are sorted at the same time: each takes eight bytes a record meanwhile.
const AT_ONCE: usize = 2;

/// Finds candidates by bands.
#[derive(Debug)]
pub(super) struct BandIndex<'a> {
    records: ScannedRecords,
    order: &'a IdOrder,
    least_agreement: u32,
    pairs: PairIndex,
    /// The bands that have a crowded group.
    crowded: Vec<RecordColumn<u32>>,
    /// The record that was kept last, by crowded group.
    latest: Vec<u32>,
}

/// What grouping looks at.
#[derive(Clone, Copy)]
struct Grouping<'a> {
    records: &'a ScannedRecords,
    order: &'a IdOrder,
    /// The rank of each record that stands for itself, by the number of the record; [`NONE`] for the others.
    ranks: &'a [u32],
    least_agreement: u32,
}

/// The keys that more than one record has, and a few that one has: of the keys of a band most stand alone, and need not be
/// sorted. A filter of one hash as by Bloom (1970), with a second bit for what comes again.
struct RepeatedKeys {
    seen: Vec<u64>,
    again: Vec<u64>,
}

impl RepeatedKeys {
    /// Bits for each record: of the keys that stand alone one in eight is taken for repeated.
    const BITS: usize = 8;

    fn of(keys: impl Iterator<Item = u64>, records: usize) -> Self {
        let words = (records * Self::BITS).div_ceil(64).next_power_of_two();
        let mut repeated = Self { seen: vec![0; words], again: vec![0; words] };
        for key in keys {
            let (word, bit) = repeated.place(key);
            let (Some(seen), Some(again)) = (repeated.seen.get_mut(word), repeated.again.get_mut(word)) else {
                continue;
            };
            *again |= *seen & bit;
            *seen |= bit;
        }
        repeated
    }

    fn may_have(&self, key: u64) -> bool {
        let (word, bit) = self.place(key);
        self.again.get(word).is_some_and(|again| again & bit != 0)
    }

    /// By the low bits, since a part of the keys may be a range of them. Keys are hashes themselves.
    #[expect(clippy::cast_possible_truncation, reason = "a key has 32 bits")]
    fn place(&self, key: u64) -> (usize, u64) {
        ((key as usize / 64) & (self.seen.len() - 1), 1 << (key % 64))
    }
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
        let (least_agreement, ranks) = (hasher.least_agreement(), ranks_by_record(order, firsts));
        let (mut crowded, mut latest, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        let at_once = threads.clamp(1, AT_ONCE);
        let ranges = (threads / at_once).max(1);
        let mut bands = std::mem::take(&mut records.keys).into_iter();
        loop {
            let some: Vec<RecordColumn<u32>> = bands.by_ref().take(at_once).collect();
            if some.is_empty() {
                break;
            }
            let grouping = Grouping { records: &records, order, ranks: &ranks, least_agreement };
            let jobs = some.iter().flat_map(|band| key_ranges(ranges).map(move |keys| (band, keys)));
            let mut found = parallel::each(jobs, |(band, keys)| grouping.groups(band, &keys)).into_iter();
            for mut band in some {
                let groups: Vec<BandGroups> = found.by_ref().take(ranges).collect();
                band.fill(NONE);
                let before = latest.len();
                for group in
                    groups.iter().flat_map(|groups| groups.crowded.chunk_by(|one, other| key(*one) == key(*other)))
                {
                    let number = u32::try_from(latest.len()).unwrap_or(NONE);
                    latest.push(NONE);
                    for entry in group {
                        band.set(order.record(rank_of(*entry)), number);
                    }
                }
                pairs.extend(groups.into_iter().flat_map(|groups| groups.pairs));
                crowded.extend((latest.len() > before).then_some(band));
            }
            // Now, since what is near shares several bands.
            #[expect(clippy::stable_sort_primitive, reason = "what is in order already this one merges")]
            pairs.sort();
            pairs.dedup();
        }
        let mut pairs = PairIndex::of(pairs, order.len() as usize);
        for band in &crowded {
            band.values().zip(&ranks).filter(|(group, _)| *group != NONE).for_each(|(_, rank)| pairs.crowd(*rank));
        }
        Self { records, order, least_agreement, pairs, crowded, latest }
    }

    /// What is known of the records.
    pub(super) fn records(&self) -> &ScannedRecords {
        &self.records
    }

    /// Keeps a record. Ranks must come in order.
    pub(super) fn keep(&mut self, rank: u32) {
        self.pairs.keep(rank);
        if !self.pairs.is_crowded(rank) {
            return;
        }
        let record = self.order.record(rank);
        for band in &mut self.crowded {
            let Some(group) = band.get(record) else { continue };
            if let Some(latest) = self.latest.get_mut(group as usize) {
                band.set(record, *latest);
                *latest = rank;
            }
        }
    }

    /// The kept records from the rank `from` on that share a band with this one and whose sketch allows for more, by rank.
    pub(super) fn candidates(&self, rank: u32, from: u32) -> Vec<u32> {
        let mut found = self.pairs.candidates(rank, from);
        if !self.pairs.is_crowded(rank) {
            return found;
        }
        let (record, paired) = (self.order.record(rank), found.len());
        let own = self.records.sketch(record);
        for band in &self.crowded {
            let group = band.get(record).unwrap_or(NONE);
            let mut next = self.latest.get(group as usize).copied().unwrap_or(NONE);
            while next != NONE && next >= from {
                let kept = self.order.record(next);
                if own.agreement(self.records.sketch(kept)) >= self.least_agreement {
                    found.push(next);
                }
                next = band.get(kept).unwrap_or(NONE);
            }
        }
        if found.len() > paired {
            found.sort_unstable();
            found.dedup();
        }
        found
    }
}

/// The rank of each record that stands for itself, by the number of the record: keys are then looked at in the order in which
/// they lie in memory.
fn ranks_by_record(order: &IdOrder, firsts: &[u32]) -> Vec<u32> {
    let mut ranks = vec![NONE; firsts.len()];
    for (rank, _) in (0..).zip(firsts).filter(|(rank, first)| rank == *first) {
        if let Some(place) = ranks.get_mut(order.record(rank) as usize) {
            *place = rank;
        }
    }
    ranks
}

/// So many ranges of keys, together all of them.
fn key_ranges(count: usize) -> impl Iterator<Item = Range<u64>> {
    let (count, all) = (count as u64, 1_u64 << 32);
    (0..count).map(move |at| all * at / count..all * (at + 1) / count)
}

impl Grouping<'_> {
    /// The groups of the keys of a band that are in a range.
    fn groups(self, band: &RecordColumn<u32>, keys: &Range<u64>) -> BandGroups {
        let signed = || {
            (0..).zip(band.values().map(u64::from).zip(self.ranks)).filter(|(record, (key, rank))| {
                // A text shorter than a shingle has no sketch, and zero for every key.
                let is_signed = || *key != 0 || self.records.sketch(*record) != Sketch::default();
                **rank != NONE && keys.contains(key) && is_signed()
            })
        };
        let repeated = RepeatedKeys::of(signed().map(|(_, (key, _))| key), self.ranks.len());
        let entries = signed().filter(|(_, (key, _))| repeated.may_have(*key));
        let mut entries: Vec<u64> = entries.map(|(_, (key, rank))| key << 32 | u64::from(*rank)).collect();
        entries.sort_unstable();
        let (mut found, mut members) = (BandGroups::default(), Vec::new());
        for group in entries.chunk_by(|one, other| key(*one) == key(*other)).filter(|group| group.len() > 1) {
            let before = found.pairs.len();
            if !self.pairs(group, &mut members, &mut found.pairs) {
                found.pairs.truncate(before);
                found.crowded.extend_from_slice(group);
            }
        }
        found
    }

    /// Adds what is near in a group; `false` if it is crowded.
    fn pairs(self, group: &[u64], members: &mut Vec<(u32, Sketch)>, pairs: &mut Vec<u64>) -> bool {
        if group.len() > CROWD {
            return false;
        }
        let most = pairs.len() + group.len() * PAIRS_EACH;
        let sketch = |entry: &u64| (rank_of(*entry), self.records.sketch(self.order.record(rank_of(*entry))));
        members.clear();
        members.extend(group.iter().map(sketch));
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

fn key(entry: u64) -> u64 {
    entry >> 32
}

#[expect(clippy::cast_possible_truncation, reason = "the low half of an entry is the rank")]
fn rank_of(entry: u64) -> u32 {
    entry as u32
}
