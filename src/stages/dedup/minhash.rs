//! MinHash signatures and how they are cut into bands.
//!
//! Two sets agree in one MinHash value with a probability equal to their Jaccard index `t`. A signature of `b` bands of
//! `r` values makes two sets candidates when some band agrees whole, which happens with probability
//! `1 - (1 - t^r)^b` (Leskovec, Rajaraman, Ullman, *Mining of Massive Datasets*, section 3.4.2). Candidates are always
//! verified against the sets themselves, so a layout is chosen for recall; what it lets through costs time, not truth.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The least share of pairs right at the threshold that must become candidates.
const RECALL: f64 = 0.99;
/// Values that a signature may have as long as a layout of that size reaches [`RECALL`]. More make layouts sharper: texts
/// from one template (Jaccard index 0.3) are candidates of each other at a threshold of 0.7 in 6 % of cases, not in 13 %
/// as with 128. Past that the signature costs more than the verifying it saves.
const MAX_HASHES: usize = 160;
/// Layouts are made for no lower threshold: below it nearly everything is a candidate of everything.
const MIN_THRESHOLD: f64 = 0.01;
/// Seed of the hash functions. Another one finds other candidates, so it never changes.
const SEED: u64 = 0x636f_6e76_6f67_656e;

/// How a signature is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Number of bands.
    pub(super) bands: usize,
    /// Values in a band.
    pub(super) rows: usize,
}

impl Layout {
    /// The sharpest layout (most rows, so fewest candidates in vain) of at most [`MAX_HASHES`] values that finds
    /// [`RECALL`] of the pairs at `threshold`; one row a band where that takes more.
    pub(super) fn for_threshold(threshold: f64) -> Self {
        let threshold = threshold.clamp(MIN_THRESHOLD, 1.0);
        (1..=MAX_HASHES)
            .rev()
            .map(|rows| Self { bands: bands_needed(threshold, rows), rows })
            .find(|layout| layout.bands.saturating_mul(layout.rows) <= MAX_HASHES)
            .unwrap_or(Self { bands: bands_needed(threshold, 1), rows: 1 })
    }
}

/// The fewest bands that find [`RECALL`] of the pairs at `threshold`, by counting up: no logarithm, whose last bit differs by platform.
fn bands_needed(threshold: f64, rows: usize) -> usize {
    let mut hit = 1.0;
    for _ in 0..rows {
        hit *= threshold;
    }
    let (mut bands, mut missed) = (1, 1.0 - hit);
    // No layout needs more than MIN_THRESHOLD does with one row, about 460 bands.
    while missed > 1.0 - RECALL && bands < 1_000 {
        missed *= 1.0 - hit;
        bands += 1;
    }
    bands
}

/// Makes the band keys of a set of shingles.
#[derive(Debug)]
pub(super) struct MinHasher {
    layout: Layout,
    /// One linear permutation of the 32-bit numbers each: an odd factor and an offset. 32 bits so that the inner loop
    /// is a multiply, an add and a minimum on packed lanes.
    permutations: Vec<(u32, u32)>,
}

impl MinHasher {
    pub(super) fn new(layout: Layout) -> Self {
        let permutations = (0..layout.bands.saturating_mul(layout.rows) as u64)
            .map(|at| halves(xxh3_64_with_seed(&at.to_le_bytes(), SEED)))
            .map(|(factor, offset)| (factor | 1, offset))
            .collect();
        Self { layout, permutations }
    }

    pub(super) fn bands(&self) -> usize {
        self.layout.bands
    }

    /// A key for each band; sets that agree in a band have its key in common. `None` for the empty set.
    pub(super) fn band_keys(&self, shingles: &[u64]) -> Option<Vec<u64>> {
        let signature = self.signature(shingles)?;
        let keys = signature.chunks_exact(self.layout.rows).zip(0_u64..).map(|(rows, band)| {
            let bytes: Vec<u8> = rows.iter().flat_map(|value| value.to_le_bytes()).collect();
            xxh3_64_with_seed(&bytes, band)
        });
        Some(keys.collect())
    }

    fn signature(&self, shingles: &[u64]) -> Option<Vec<u32>> {
        if shingles.is_empty() {
            return None;
        }
        let mut signature = vec![u32::MAX; self.permutations.len()];
        for shingle in shingles {
            let (high, low) = halves(*shingle);
            let point = high ^ low;
            for (least, (factor, offset)) in signature.iter_mut().zip(&self.permutations) {
                *least = (*least).min(point.wrapping_mul(*factor).wrapping_add(*offset));
            }
        }
        Some(signature)
    }
}

/// The high and the low half.
#[expect(clippy::cast_possible_truncation, reason = "the half that is cut off is the other result")]
fn halves(number: u64) -> (u32, u32) {
    ((number >> 32) as u32, number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    /// The probability that two sets with Jaccard index `jaccard` become candidates.
    fn recall(layout: Layout, jaccard: f64) -> f64 {
        1.0 - (1.0 - jaccard.powf(layout.rows as f64)).powf(layout.bands as f64)
    }

    #[test]
    fn every_layout_keeps_the_promise_at_its_threshold() {
        for percent in 1..=100 {
            let threshold = f64::from(percent) / 100.0;
            let layout = Layout::for_threshold(threshold);
            assert!(recall(layout, threshold) >= RECALL, "{threshold}: {layout:?}");
            assert!(layout.rows == 1 || layout.bands * layout.rows <= MAX_HASHES, "{threshold}: {layout:?}");
        }
        // Pinned: another layout finds other candidates.
        assert_eq!(Layout::for_threshold(0.4), Layout { bands: 27, rows: 2 });
        assert_eq!(Layout::for_threshold(0.7), Layout { bands: 26, rows: 5 });
        assert_eq!(Layout::for_threshold(0.8), Layout { bands: 20, rows: 7 });
        assert_eq!(Layout::for_threshold(1.0), Layout { bands: 1, rows: 160 });
        for odd in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            let layout = Layout::for_threshold(odd);
            assert!((1..=1_000).contains(&layout.bands), "{odd}: {layout:?}");
        }
    }

    /// Agreement is a sample of the Jaccard index; a biased family of permutations would shift it.
    #[test]
    fn values_agree_as_often_as_sets_overlap() {
        let hasher = MinHasher::new(Layout { bands: 128, rows: 1 });
        for (shared, own) in [(20, 80), (50, 25), (90, 5)] {
            let expected = f64::from(shared) / f64::from(shared + 2 * own);
            let mut agreed = 0_usize;
            for pair in 0..200_u64 {
                let mut draw = Draw::new(pair, &["minhash"]);
                let mut set = |n: i32| (0..n).map(|_| draw.next_u64()).collect::<Vec<_>>();
                let common = set(shared);
                let left = hasher.signature(&[common.clone(), set(own)].concat()).unwrap();
                let right = hasher.signature(&[common, set(own)].concat()).unwrap();
                agreed += left.iter().zip(&right).filter(|(l, r)| l == r).count();
            }
            let rate = agreed as f64 / (200.0 * 128.0);
            assert!((rate - expected).abs() < 0.02, "{rate} for {expected}");
        }
    }

    #[test]
    fn keys_never_change() {
        let hasher = MinHasher::new(Layout { bands: 2, rows: 2 });
        let keys = hasher.band_keys(&[1, 2, 3]).unwrap();
        assert_eq!(keys, hasher.band_keys(&[3, 1, 2]).unwrap());
        assert_eq!(keys, PINNED);
        assert_eq!(hasher.band_keys(&[]), None);
    }

    const PINNED: [u64; 2] = [248_344_270_331_234_410, 3_853_807_954_449_746_160];
}
