//! MinHash signatures, the keys of their bands, and sketches of them.
//!
//! Two sets agree in one MinHash value with a probability equal to their Jaccard index `t`. A signature of `b` bands of
//! `r` values makes two sets candidates when some band agrees whole, which happens with probability
//! `1 - (1 - t^r)^b` (Leskovec, Rajaraman, Ullman, *Mining of Massive Datasets*, section 3.4.2). Candidates are always
//! verified against the sets themselves, so a layout is chosen for recall and for the memory its bands take; what it lets
//! through costs time, not truth.
//!
//! Most of it costs little: a [`Sketch`], the last four bits of each of 64 values (b-bit minwise hashing; Li and König,
//! WWW 2010), tells texts of one template from near duplicates before anything is read. Two sets agree in a value's
//! bits with probability `t + (1 - t) / 16`, so in how many of 64 follows the binomial distribution; a candidate is passed
//! over if it agrees in fewer than all but [`SKETCH_LOSS`] of the pairs at the threshold do. At 0.7 that is 34 of 64, which a pair
//! at 0.25 reaches once in several thousand times although it agrees in a band.

use pulp::{Arch, Simd, WithSimd};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The least share of pairs right at the threshold that must agree in a band: 0.99, and what the sketch may lose.
const BAND_RECALL: f64 = 0.99 + SKETCH_LOSS;
/// The largest share of pairs right at the threshold that sketches may tell apart.
const SKETCH_LOSS: f64 = 0.000_5;
/// Values of a signature, as long as a layout of that size does.
const VALUES: usize = 64;
/// Bands wherever two rows and this many do: each takes eight bytes a record.
const FEW_BANDS: usize = 12;
/// Layouts are made for no lower threshold: below it nearly everything is a candidate of everything.
const MIN_THRESHOLD: f64 = 0.01;
/// Seed of the hash functions. Another one finds other candidates, so it never changes.
const SEED: u64 = 0x636f_6e76_6f67_656e;
/// Values worked on together: few enough for the registers of a processor.
const LANES: usize = 16;

/// How a signature is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BandLayout {
    /// Number of bands.
    pub(super) bands: usize,
    /// Values in a band.
    pub(super) rows: usize,
}

impl BandLayout {
    /// The sharpest layout (most rows, so fewest candidates in vain) of at most [`VALUES`] values that finds
    /// [`BAND_RECALL`] of the pairs at `threshold`: with [`FEW_BANDS`] if two rows do with them, else with two rows,
    /// else with one.
    pub(super) fn for_threshold(threshold: f64) -> Self {
        let threshold = threshold.clamp(MIN_THRESHOLD, 1.0);
        let layout = |rows| Self { bands: bands_needed(threshold, rows), rows };
        let fits = |layout: &Self, bands| layout.bands <= bands && layout.bands * layout.rows <= VALUES;
        let few = (2..=VALUES).rev().map(layout).find(|layout| fits(layout, FEW_BANDS));
        few.or_else(|| Some(layout(2)).filter(|layout| fits(layout, VALUES))).unwrap_or_else(|| layout(1))
    }
}

/// The fewest bands that find [`BAND_RECALL`] of the pairs at `threshold`, by counting up: no logarithm, whose last bit
/// differs by platform.
fn bands_needed(threshold: f64, rows: usize) -> usize {
    let hit = power(threshold, rows);
    let (mut bands, mut missed) = (1, 1.0 - hit);
    // No layout needs more than MIN_THRESHOLD does with one row, about 470 bands.
    while missed > 1.0 - BAND_RECALL && bands < 1_000 {
        missed *= 1.0 - hit;
        bands += 1;
    }
    bands
}

fn power(base: f64, exponent: usize) -> f64 {
    std::iter::repeat_n(base, exponent).product()
}

/// Four bits of each of 64 MinHash values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sketch([u64; 4]);

impl Sketch {
    /// Bytes it takes.
    pub(super) const SIZE: usize = 32;

    fn of(signature: &[u32]) -> Self {
        let mut words = [0; 4];
        for (word, values) in words.iter_mut().zip(signature.chunks(16)) {
            *word = values.iter().rev().fold(0, |word, value| word << 4 | u64::from(value & 15));
        }
        Self(words)
    }

    /// In how many of the 64 two agree.
    pub(crate) fn agreement(self, other: Self) -> u32 {
        // In every four bits a one if they differ: of the four words together a number up to 4, then of bytes up to 8.
        let apart = self.0.iter().zip(other.0).map(|(one, other)| {
            let bits = one ^ other;
            let pairs = bits | bits >> 1;
            (pairs | pairs >> 2) & 0x1111_1111_1111_1111
        });
        let fours: u64 = apart.sum();
        let bytes = (fours & 0x0f0f_0f0f_0f0f_0f0f) + (fours >> 4 & 0x0f0f_0f0f_0f0f_0f0f);
        // The highest byte of the product is the sum of all: faster than counting bits where there is no instruction for it.
        let apart = bytes.wrapping_mul(0x0101_0101_0101_0101) >> 56;
        64 - u32::try_from(apart).unwrap_or(64)
    }

    /// The same bits by their place in a value: four numbers whose bits at one place are one of the 64 values. Two sketches
    /// agree in the places where none of the four numbers differ.
    pub(crate) fn planes(self) -> [u64; 4] {
        let values = self.0.iter().flat_map(|word| (0..16).map(move |at| word >> (4 * at) & 15));
        let mut planes = [0; 4];
        for (place, value) in values.enumerate() {
            for (bit, plane) in planes.iter_mut().enumerate() {
                *plane |= (value >> bit & 1) << place;
            }
        }
        planes
    }

    pub(super) fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self(words)
    }
}

/// Values in which all but [`SKETCH_LOSS`] of the pairs at `threshold` agree at least.
fn least_agreement(threshold: f64) -> u32 {
    let same = threshold + (1.0 - threshold) / 16.0;
    // From the binomial distribution of 64 draws: each term follows from the one before it.
    let (mut below, mut choose) = (0.0, 1.0);
    for agreed in 0..VALUES {
        below += choose * power(same, agreed) * power(1.0 - same, VALUES - agreed);
        if below > SKETCH_LOSS {
            return u32::try_from(agreed).unwrap_or(0);
        }
        choose *= (VALUES - agreed) as f64 / (agreed + 1) as f64;
    }
    64
}

/// Makes the band keys and the sketch of a set of shingles.
#[derive(Debug)]
pub(super) struct MinHasher {
    pub(super) layout: BandLayout,
    /// Agreement from which two sketches may be of near duplicates.
    pub(super) least_agreement: u32,
    permutations: Vec<Permutations>,
    /// Packed lanes as wide as the processor has them; whole numbers, so equal results with any.
    arch: Arch,
}

/// Linear permutations of the 32-bit numbers: odd factors and offsets. 32 bits so that the inner loop is a multiply, an
/// add and a minimum on packed lanes.
#[derive(Debug, Clone, Copy)]
struct Permutations {
    factors: [u32; LANES],
    offsets: [u32; LANES],
}

impl MinHasher {
    pub(super) fn new(threshold: f64) -> Self {
        Self::with_layout(BandLayout::for_threshold(threshold), least_agreement(threshold.clamp(0.0, 1.0)))
    }

    fn with_layout(layout: BandLayout, least_agreement: u32) -> Self {
        let values = VALUES.max(layout.bands.saturating_mul(layout.rows));
        let permutations = (0..values.div_ceil(LANES)).map(|block| {
            let mut found = Permutations { factors: [0; LANES], offsets: [0; LANES] };
            for ((at, factor), offset) in (block * LANES..).zip(&mut found.factors).zip(&mut found.offsets) {
                (*factor, *offset) = halves(xxh3_64_with_seed(&(at as u64).to_le_bytes(), SEED));
                *factor |= 1;
            }
            found
        });
        Self { layout, least_agreement, permutations: permutations.collect(), arch: Arch::new() }
    }

    /// A key for each band, and the sketch; sets that agree in a band have its key in common. No key for the empty set.
    pub(super) fn keys_and_sketch(&self, pieces: &[u64]) -> (Vec<u32>, Sketch) {
        if pieces.is_empty() {
            return (Vec::new(), Sketch::default());
        }
        let signature = self.signature(pieces);
        let mut bytes = Vec::with_capacity(self.layout.rows * 4);
        let bands = signature.chunks_exact(self.layout.rows).take(self.layout.bands).zip(0_u64..);
        let mut keys = Vec::with_capacity(self.layout.bands + 1);
        keys.extend(bands.map(|(rows, band)| {
            bytes.clear();
            bytes.extend(rows.iter().flat_map(|value| value.to_le_bytes()));
            halves(xxh3_64_with_seed(&bytes, band)).0
        }));
        (keys, Sketch::of(signature.get(..VALUES).unwrap_or_default()))
    }

    fn signature(&self, pieces: &[u64]) -> Vec<u32> {
        let points: Vec<u32> = pieces.iter().map(|piece| halves(*piece)).map(|(high, low)| high ^ low).collect();
        let mut signature = vec![0; self.permutations.len() * LANES];
        self.arch.dispatch(LeastValues {
            permutations: &self.permutations,
            points: &points,
            signature: &mut signature,
        });
        signature
    }
}

/// The least value of every permutation, in vectors as wide as the processor has them.
struct LeastValues<'a> {
    permutations: &'a [Permutations],
    points: &'a [u32],
    signature: &'a mut [u32],
}

impl WithSimd for LeastValues<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "what is not inlined into the dispatched call is compiled for any processor"
    )]
    fn with_simd<S: Simd>(self, _: S) {
        for (Permutations { factors, offsets }, values) in
            self.permutations.iter().zip(self.signature.as_chunks_mut().0)
        {
            let mut least = [u32::MAX; LANES];
            for point in self.points {
                for ((least, factor), offset) in least.iter_mut().zip(factors).zip(offsets) {
                    *least = (*least).min(point.wrapping_mul(*factor).wrapping_add(*offset));
                }
            }
            *values = least;
        }
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

    /// The probability that two sets with Jaccard index `jaccard` agree in a band.
    fn recall(layout: BandLayout, jaccard: f64) -> f64 {
        1.0 - (1.0 - jaccard.powf(layout.rows as f64)).powf(layout.bands as f64)
    }

    #[test]
    fn every_layout_keeps_the_promise_at_its_threshold() {
        for percent in 1..=100 {
            let threshold = f64::from(percent) / 100.0;
            let layout = BandLayout::for_threshold(threshold);
            assert!(recall(layout, threshold) >= BAND_RECALL, "{threshold}: {layout:?}");
            assert!(layout.rows == 1 || layout.bands * layout.rows <= VALUES, "{threshold}: {layout:?}");
            assert!(threshold < 0.57 || layout.bands <= FEW_BANDS, "{threshold}: {layout:?}");
        }
        // Pinned: another layout finds other candidates.
        assert_eq!(BandLayout::for_threshold(0.4), BandLayout { bands: 27, rows: 2 });
        assert_eq!(BandLayout::for_threshold(0.7), BandLayout { bands: 12, rows: 3 });
        assert_eq!(BandLayout::for_threshold(0.8), BandLayout { bands: 12, rows: 5 });
        assert_eq!(BandLayout::for_threshold(1.0), BandLayout { bands: 1, rows: 64 });
        for odd in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            let layout = BandLayout::for_threshold(odd);
            assert!((1..=1_000).contains(&layout.bands), "{odd}: {layout:?}");
        }
    }

    #[test]
    fn sketches_lose_next_to_nothing_at_the_threshold_and_tell_templates_apart() {
        for threshold in [0.4, 0.7, 0.8, 0.95] {
            let least = least_agreement(threshold);
            let share_from = |jaccard: f64| {
                let (mut reached, sets) = (0_u32, 20_000_u64);
                let same = jaccard + (1.0 - jaccard) / 16.0;
                for at in 0..sets {
                    let mut draw = Draw::new(at, &["sketch"]);
                    reached += u32::from((0..64).filter(|_| draw.unit() < same).count() >= least as usize);
                }
                f64::from(reached) / sets as f64
            };
            assert!(share_from(threshold) > 0.999, "{threshold}");
            assert!(share_from(threshold - 0.4) < 0.02, "{threshold}");
        }
        assert_eq!([0.7, 0.8, 1.0].map(least_agreement), [34, 41, 64]);
    }

    /// Agreement is a sample of the Jaccard index; a biased family of permutations would shift it.
    #[test]
    fn values_agree_as_often_as_sets_overlap() {
        let hasher = MinHasher::new(0.7);
        for (shared, own) in [(20, 80), (50, 25), (90, 5)] {
            let expected = f64::from(shared) / f64::from(shared + 2 * own);
            let (mut agreed, mut sketched) = (0_usize, 0_u32);
            for pair in 0..400_u64 {
                let mut draw = Draw::new(pair, &["minhash"]);
                let mut set = |n: i32| (0..n).map(|_| draw.next_u64()).collect::<Vec<_>>();
                let common = set(shared);
                let (left, right) = ([common.clone(), set(own)].concat(), [common, set(own)].concat());
                let values = [&left, &right].map(|set| hasher.signature(set));
                agreed += values[0].iter().zip(&values[1]).filter(|(l, r)| l == r).count();
                let [left, right] = [left, right].map(|set| hasher.keys_and_sketch(&set).1);
                sketched += left.agreement(right);
            }
            let rates = [agreed as f64, f64::from(sketched)].map(|count| count / (400.0 * 64.0));
            assert!((rates[0] - expected).abs() < 0.02, "{rates:?} for {expected}");
            assert!((rates[1] - expected - (1.0 - expected) / 16.0).abs() < 0.02, "{rates:?} for {expected}");
        }
    }

    #[test]
    fn keys_never_change() {
        let hasher = MinHasher::with_layout(BandLayout { bands: 2, rows: 2 }, 0);
        let (keys, sketch) = hasher.keys_and_sketch(&[1, 2, 3]);
        assert_eq!((&keys, sketch), (&hasher.keys_and_sketch(&[3, 1, 2, 2]).0, Sketch::from_bytes(&sketch.to_bytes())));
        assert_eq!(keys, PINNED);
        assert_eq!(hasher.keys_and_sketch(&[]).0, [0; 0]);
    }

    const PINNED: [u32; 2] = [57_822_156, 897_284_586];

    #[test]
    fn agreement_counts_quarter_bytes() {
        let sketch = |words| Sketch(words);
        assert_eq!(sketch([0; 4]).agreement(sketch([0; 4])), 64);
        assert_eq!(sketch([0x0103_000f, 0, 0, 0]).agreement(sketch([0, 0, 0, 1 << 63])), 60);
        assert_eq!(sketch([u64::MAX; 4]).agreement(sketch([0; 4])), 0);
    }

    #[test]
    fn planes_tell_the_same_agreement() {
        let mut draw = Draw::new(5, &["planes"]);
        for _ in 0..500 {
            let one: [u64; 4] = std::array::from_fn(|_| draw.next_u64());
            let other = one.map(|word| word ^ draw.next_u64() & draw.next_u64() & draw.next_u64());
            let [one, other] = [Sketch(one), Sketch(other)];
            let apart = one.planes().into_iter().zip(other.planes()).fold(0, |apart, (one, other)| apart | one ^ other);
            assert_eq!(64 - apart.count_ones(), one.agreement(other));
        }
    }
}
