//! Which kept records could be near a text: an LSH index over MinHash bands, every hit verified.
//!
//! Records are numbered in the order they were put in. For each band a record points to the one before it with the
//! same key, so a bucket is a chain through one flat array and the map holds only its newest member.

use std::collections::HashMap;

use super::minhash::{Layout, MinHasher};

/// End of a chain.
const NONE: usize = usize::MAX;

/// Sets of shingles, searchable by similarity.
#[derive(Debug)]
pub(super) struct NearIndex {
    hasher: MinHasher,
    /// The newest record with a band key. Keys of different bands differ, since a band's number seeds its hash.
    newest: HashMap<u64, usize>,
    /// `older[record * bands + band]`: the record before it in the same bucket.
    older: Vec<usize>,
    /// The sorted shingles of each record.
    shingles: Vec<Vec<u64>>,
}

impl NearIndex {
    pub(super) fn new(layout: Layout) -> Self {
        Self { hasher: MinHasher::new(layout), newest: HashMap::new(), older: Vec::new(), shingles: Vec::new() }
    }

    /// Puts a record in. Its number is how many were put in before it.
    pub(super) fn insert(&mut self, shingles: Vec<u64>) {
        let record = self.shingles.len();
        match self.hasher.band_keys(&shingles) {
            Some(keys) => {
                self.older.extend(keys.into_iter().map(|key| self.newest.insert(key, record).unwrap_or(NONE)));
            }
            // Too short for a shingle: in no bucket.
            None => self.older.extend(std::iter::repeat_n(NONE, self.hasher.bands())),
        }
        self.shingles.push(shingles);
    }

    /// The candidate with the largest Jaccard index; of equals the one put in first.
    pub(super) fn nearest(&self, shingles: &[u64]) -> Option<(usize, f64)> {
        let mut best: Option<(usize, f64)> = None;
        for record in self.candidates(shingles) {
            let Some(other) = self.shingles.get(record) else { continue };
            let jaccard = jaccard(shingles, other);
            // Candidates come in ascending order, so an equal one is younger.
            if best.is_none_or(|(_, so_far)| jaccard > so_far) {
                best = Some((record, jaccard));
            }
        }
        best
    }

    /// Records that agree with the set in a band, ascending.
    fn candidates(&self, shingles: &[u64]) -> Vec<usize> {
        let bands = self.hasher.bands();
        let mut found = Vec::new();
        for (band, key) in self.hasher.band_keys(shingles).into_iter().flatten().enumerate() {
            let mut next = self.newest.get(&key).copied();
            while let Some(record) = next {
                found.push(record);
                next = self.older.get(record * bands + band).copied().filter(|older| *older != NONE);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The Jaccard index of two sorted sets: the share of their union that is in both; 0 when both are empty.
pub(crate) fn jaccard(left: &[u64], right: &[u64]) -> f64 {
    let (mut left_rest, mut right_rest) = (left, right);
    let mut shared = 0_usize;
    while let ([l, left_tail @ ..], [r, right_tail @ ..]) = (left_rest, right_rest) {
        shared += usize::from(l == r);
        if l <= r {
            left_rest = left_tail;
        }
        if r <= l {
            right_rest = right_tail;
        }
    }
    let union = left.len() + right.len() - shared;
    if union == 0 { 0.0 } else { shared as f64 / union as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    /// Siblings that share buckets in every combination: each chain must lead to all of its members.
    #[test]
    fn candidates_are_what_shares_a_band() {
        let layout = Layout { bands: 6, rows: 2 };
        let hasher = MinHasher::new(layout);
        let mut index = NearIndex::new(layout);
        let mut sets: Vec<Vec<u64>> = vec![Vec::new()];
        for sibling in 0..80_u64 {
            let mut draw = Draw::new(sibling, &["sibling"]);
            let mut set: Vec<u64> =
                (0..20).map(|item| if draw.unit() < 0.6 { item << 40 } else { draw.next_u64() }).collect();
            set.sort_unstable();
            sets.push(set);
        }
        for set in &sets {
            index.insert(set.clone());
        }
        let mut shared = 0;
        for set in &sets {
            let keys = hasher.band_keys(set).unwrap_or_default();
            let expected: Vec<usize> = (0..sets.len())
                .filter(|other| hasher.band_keys(&sets[*other]).is_some_and(|o| o.iter().any(|key| keys.contains(key))))
                .collect();
            shared += expected.len();
            assert_eq!(index.candidates(set), expected);
        }
        assert!((400..4_000).contains(&shared), "{shared} is no test");
    }

    #[test]
    fn of_equals_the_first_is_nearest() {
        let mut index = NearIndex::new(Layout { bands: 4, rows: 1 });
        for set in [vec![9, 10], vec![1, 2, 3], vec![1, 2, 3]] {
            index.insert(set);
        }
        assert_eq!(index.nearest(&[1, 2, 3]), Some((1, 1.0)));
        assert_eq!(index.nearest(&[]), None);
    }

    #[test]
    fn jaccard_counts_what_is_shared() {
        let close = |left: &[u64], right: &[u64], expected: f64| (jaccard(left, right) - expected).abs() < 1e-12;
        assert!(close(&[1, 2, 3], &[2, 3, 4], 0.5));
        assert!(close(&[1], &[2], 0.0) && close(&[], &[], 0.0) && close(&[5], &[5], 1.0));
    }
}
