//! The kept record that a text is most like, by the texts themselves.

use std::collections::HashMap;
use std::sync::Arc;

use super::prepared::{ComparedText, Prepared};
use super::{DuplicateKind, Match};

/// Bytes of recently compared records that are held at most, in two generations.
const CACHE: usize = 1 << 20;

/// The candidate that is the same text, else the one with the largest Jaccard index; of equals the one that comes first.
pub(super) fn nearest<C, E>(
    prepared: &Prepared,
    candidates: impl IntoIterator<Item = C>,
    mut known: impl FnMut(C) -> Result<Arc<ComparedText>, E>,
) -> Result<Option<Match>, E> {
    let mut own: Option<Vec<u64>> = None;
    let mut best: Option<(f64, Arc<ComparedText>)> = None;
    for candidate in candidates {
        let other = known(candidate)?;
        if other.exact == prepared.exact {
            return Ok(Some(Match { id: other.id.clone(), jaccard: 1.0, kind: DuplicateKind::Exact }));
        }
        let jaccard = jaccard(own.get_or_insert_with(|| prepared.shingles()), &other.shingles);
        if best.as_ref().is_none_or(|(so_far, _)| jaccard > *so_far) {
            best = Some((jaccard, other));
        }
    }
    Ok(best.map(|(jaccard, other)| Match { id: other.id.clone(), jaccard, kind: DuplicateKind::Near }))
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

/// Records that were compared not long ago. What is similar to one text is often similar to the next.
#[derive(Debug)]
pub(crate) struct Cache<T> {
    young: HashMap<u32, (Arc<T>, usize)>,
    young_bytes: usize,
    old: HashMap<u32, (Arc<T>, usize)>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { young: HashMap::new(), young_bytes: 0, old: HashMap::new() }
    }
}

impl<T> Cache<T> {
    /// The record with a number. If it is not held it is made, together with the bytes that it takes.
    pub(crate) fn get<E>(&mut self, record: u32, make: impl FnOnce() -> Result<(T, usize), E>) -> Result<Arc<T>, E> {
        if let Some((known, _)) = self.young.get(&record) {
            return Ok(Arc::clone(known));
        }
        let (known, bytes) = match self.old.remove(&record) {
            Some(held) => held,
            None => make().map(|(known, bytes)| (Arc::new(known), bytes))?,
        };
        self.put(record, Arc::clone(&known), bytes);
        Ok(known)
    }

    fn put(&mut self, record: u32, known: Arc<T>, bytes: usize) {
        // What a map and a shared value cost beside what they hold.
        self.young_bytes += bytes + 128;
        self.young.insert(record, (known, bytes));
        if self.young_bytes > CACHE / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn jaccard_counts_what_is_shared() {
        let close = |left: &[u64], right: &[u64], expected: f64| (jaccard(left, right) - expected).abs() < 1e-12;
        assert!(close(&[1, 2, 3], &[2, 3, 4], 0.5));
        assert!(close(&[1], &[2], 0.0) && close(&[], &[], 0.0) && close(&[5], &[5], 1.0));
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let mut cache = Cache::default();
        let (mut made, mut made_first) = (0_usize, 0);
        for round in 0..2_000_u32 {
            for record in [0, round] {
                let known = cache.get(record, || {
                    made += 1;
                    made_first += usize::from(record == 0);
                    Ok::<_, Infallible>((record, 2_000))
                });
                assert_eq!(*known.unwrap(), record);
            }
            assert!((cache.young.len() + cache.old.len()) * 2_000 < CACHE);
        }
        assert_eq!((made, made_first), (2_000, 1));
    }
}
