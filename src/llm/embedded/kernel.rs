//! The arithmetic of the model: products with 8-bit weights, attention, normalisation.
//!
//! Invariant: **a row of a result depends on that row of the input alone**, bit for bit. How many rows are worked on
//! together, and on which thread, changes nothing. That is why this is not left to a library's matrix product, which
//! picks its order of summation by shape: a run that is resumed feeds its prompts in other pieces than one that never
//! stopped, and must write the same bytes. The price is that results may differ between processor families.
//!
//! 8-bit blocks follow GGML's `Q8_0` (32 values share the scale `max |x| / 127`), with the scale as `f32`
//! and apart from the quants, so that neither has to be converted or unpacked while multiplying.
#![expect(clippy::indexing_slicing, reason = "every index is bounded by a shape that `Llama::load` has checked")]

use pulp::{Arch, Simd, WithSimd};

/// How many values share a scale.
pub(super) const BLOCK: usize = 32;

/// Rows of numbers in 8 bits each: the weights of a layer (a row per output), or what goes into it (a row per token).
#[derive(Debug, Clone)]
pub(super) struct Quantized {
    /// Blocks in a row.
    blocks: usize,
    quants: Vec<[i8; BLOCK]>,
    scales: Vec<f32>,
}

impl Quantized {
    /// No rows yet, each `width` numbers long; `width` is a multiple of [`BLOCK`].
    pub(super) fn new(width: usize) -> Self {
        Self { blocks: width / BLOCK, quants: Vec::new(), scales: Vec::new() }
    }

    /// Quantizes `values`, whole rows of them.
    pub(super) fn of(values: &[f32], width: usize) -> Self {
        let mut rows = Self::new(width);
        rows.extend(values);
        rows
    }

    /// Makes room for `rows` more rows, so that growing does not hold two copies.
    pub(super) fn reserve(&mut self, rows: usize) {
        self.quants.reserve_exact(rows * self.blocks);
        self.scales.reserve_exact(rows * self.blocks);
    }

    /// Appends `values`, whole rows of them.
    pub(super) fn extend(&mut self, values: &[f32]) {
        for block in values.as_chunks::<BLOCK>().0 {
            let most = block.iter().fold(0_f32, |most, value| most.max(value.abs()));
            let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
            self.scales.push(most / 127.0);
            self.quants.push(block.map(|value| nearest(value * inverse)));
        }
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.quants.len().checked_div(self.blocks).unwrap_or(0)
    }

    /// Writes the row `index` as plain numbers.
    pub(super) fn dequantize(&self, index: usize, out: &mut [f32]) {
        let row = self.row(index);
        for ((out, quants), scale) in out.as_chunks_mut::<BLOCK>().0.iter_mut().zip(row.quants).zip(row.scales) {
            *out = quants.map(|quant| f32::from(quant) * scale);
        }
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "without it the vector code around it is not compiled as vector code")]
    fn row(&self, index: usize) -> Row<'_> {
        let range = index * self.blocks..(index + 1) * self.blocks;
        Row { quants: &self.quants[range.clone()], scales: &self.scales[range] }
    }
}

/// `value`, within ±127, rounded to the nearest integer. Adding 1.5 × 2^23 leaves the integer in the low bits.
#[expect(clippy::cast_possible_truncation, reason = "the low eight bits are the result")]
fn nearest(value: f32) -> i8 {
    (value + 12_582_912.0).to_bits() as i8
}

#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    quants: &'a [[i8; BLOCK]],
    scales: &'a [f32],
}

/// `input × weightsᵀ`: for each row of `input` one number per row of `weights`.
pub(super) fn product(weights: &Quantized, input: &Quantized) -> Vec<f32> {
    let mut out = vec![0.0; weights.rows() * input.rows()];
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        simd.vectorize(avx2::Product { simd, weights, input, out: &mut out });
        return out;
    }
    product_portable(weights, input, &mut out);
    out
}

/// The product without explicit vectors; the compiler finds the integer sums' vectors by itself.
fn product_portable(weights: &Quantized, input: &Quantized, out: &mut [f32]) {
    let width = weights.rows();
    for column in 0..width {
        let weight = weights.row(column);
        for row in 0..input.rows() {
            let value = input.row(row);
            let blocks = weight.quants.iter().zip(value.quants).zip(weight.scales.iter().zip(value.scales));
            out[row * width + column] = blocks.map(|((w, x), (a, b))| dot(w, x) * (a * b)).sum();
        }
    }
}

fn dot(left: &[i8; BLOCK], right: &[i8; BLOCK]) -> f32 {
    let sum: i32 = left.iter().zip(right).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
    sum as f32
}

/// The product for processors with AVX2 and FMA, which is nearly all of them.
#[cfg(target_arch = "x86_64")]
#[expect(clippy::inline_always, reason = "what is not inlined into the vectorized call is not compiled for AVX2")]
mod avx2 {
    use std::arch::x86_64::{__m256, __m256i};

    use pulp::x86::V3;
    use pulp::{NullaryFnOnce, Simd};

    use super::{Quantized, Row};

    /// Input rows that stay in the first-level cache while the weights pass by.
    const ROWS: usize = 16;

    pub(super) struct Product<'a> {
        pub(super) simd: V3,
        pub(super) weights: &'a Quantized,
        pub(super) input: &'a Quantized,
        pub(super) out: &'a mut [f32],
    }

    impl NullaryFnOnce for Product<'_> {
        type Output = ();

        #[inline(always)]
        fn call(mut self) {
            let (columns, rows) = (self.weights.rows(), self.input.rows());
            for first in (0..rows).step_by(ROWS) {
                let last = rows.min(first + ROWS);
                for column in 0..columns {
                    self.band(column, first, last);
                }
            }
        }
    }

    impl Product<'_> {
        /// One column for the rows `first..last`, four rows at a time: a block of weights is loaded once for all
        /// four. Two columns at a time would spare loads too, but two streams of weights defeat the prefetcher: a
        /// single row then takes three times as long.
        #[inline(always)]
        fn band(&mut self, column: usize, first: usize, last: usize) {
            let mut row = first;
            while row + 4 <= last {
                self.tile::<4>(column, row);
                row += 4;
            }
            while row < last {
                self.tile::<1>(column, row);
                row += 1;
            }
        }

        #[inline(always)]
        fn tile<const R: usize>(&mut self, column: usize, row: usize) {
            let weights = self.weights.row(column);
            let inputs: [Row<'_>; R] = std::array::from_fn(|r| self.input.row(row + r));
            let mut sums = [self.simd.avx._mm256_setzero_ps(); R];
            for block in 0..self.weights.blocks {
                let weight: __m256i = pulp::cast(weights.quants[block]);
                let magnitude = self.simd.avx2._mm256_abs_epi8(weight);
                for (sum, input) in sums.iter_mut().zip(&inputs) {
                    let scale = weights.scales[block] * input.scales[block];
                    *sum = self.add_block(*sum, weight, magnitude, pulp::cast(input.quants[block]), scale);
                }
            }
            let width = self.weights.rows();
            for (offset, sum) in sums.into_iter().enumerate() {
                self.out[(row + offset) * width + column] = self.total(sum);
            }
        }

        /// The instruction multiplies unsigned by signed bytes, so the weight's sign moves over to the input. Both stay
        /// within ±127: two products fit 16 bits, and nothing saturates.
        #[inline(always)]
        fn add_block(&self, sum: __m256, weight: __m256i, magnitude: __m256i, input: __m256i, scale: f32) -> __m256 {
            let (avx, avx2, fma) = (self.simd.avx, self.simd.avx2, self.simd.fma);
            let pairs = avx2._mm256_maddubs_epi16(magnitude, avx2._mm256_sign_epi8(input, weight));
            let fours = avx2._mm256_madd_epi16(pairs, avx._mm256_set1_epi16(1));
            fma._mm256_fmadd_ps(avx._mm256_cvtepi32_ps(fours), avx._mm256_set1_ps(scale), sum)
        }

        #[inline(always)]
        fn total(&self, lanes: __m256) -> f32 {
            self.simd.reduce_sum_f32s(pulp::cast(lanes))
        }
    }
}

/// The sizes of attention: `queries` query heads share `groups` key and value heads, each `width` numbers wide.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttentionHeads {
    pub(super) queries: usize,
    pub(super) groups: usize,
    pub(super) width: usize,
}

/// What one token draws from the tokens up to and including itself: causal attention for one `query` row over all
/// rows of `keys` and `values`.
pub(super) fn attend(shape: AttentionHeads, query: &[f32], keys: &[f32], values: &[f32], out: &mut [f32]) {
    Arch::new().dispatch(Attend { shape, query, keys, values, out });
}

struct Attend<'a> {
    shape: AttentionHeads,
    query: &'a [f32],
    keys: &'a [f32],
    values: &'a [f32],
    out: &'a mut [f32],
}

#[expect(clippy::inline_always, reason = "what is not inlined into the dispatched call is not compiled as vector code")]
impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let AttentionHeads { queries, groups, width } = self.shape;
        let row = groups * width;
        let mut weights = vec![0.0; self.keys.len() / row];
        for head in 0..queries {
            let group = head * groups / queries * width;
            let query = &self.query[head * width..(head + 1) * width];
            for (weight, keys) in weights.iter_mut().zip(self.keys.chunks_exact(row)) {
                *weight = dot_f32(simd, query, &keys[group..group + width]) / (width as f32).sqrt();
            }
            softmax(&mut weights);
            let out = &mut self.out[head * width..(head + 1) * width];
            out.fill(0.0);
            for (weight, values) in weights.iter().zip(self.values.chunks_exact(row)) {
                add_scaled(simd, *weight, &values[group..group + width], out);
            }
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "part of the dispatched call")]
fn dot_f32<S: Simd>(simd: S, left: &[f32], right: &[f32]) -> f32 {
    let (left, _) = S::as_simd_f32s(left);
    let (right, _) = S::as_simd_f32s(right);
    let zero = simd.splat_f32s(0.0);
    let sum = left.iter().zip(right).fold(zero, |sum, (a, b)| simd.mul_add_f32s(*a, *b, sum));
    simd.reduce_sum_f32s(sum)
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "part of the dispatched call")]
fn add_scaled<S: Simd>(simd: S, factor: f32, values: &[f32], out: &mut [f32]) {
    let factor = simd.splat_f32s(factor);
    let (values, _) = S::as_simd_f32s(values);
    let (out, _) = S::as_mut_simd_f32s(out);
    for (out, value) in out.iter_mut().zip(values) {
        *out = simd.mul_add_f32s(factor, *value, *out);
    }
}

fn softmax(scores: &mut [f32]) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = (*score - most).exp();
    }
    let total: f32 = scores.iter().sum();
    for score in scores.iter_mut() {
        *score /= total;
    }
}

/// Root-mean-square normalisation (arXiv 1910.07467) of each row of `values`.
pub(super) fn normalize(values: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for row in values.chunks_exact(weight.len()) {
        let mean = row.iter().map(|value| value * value).sum::<f32>() / row.len() as f32;
        let factor = 1.0 / (mean + epsilon).sqrt();
        out.extend(row.iter().zip(weight).map(|(value, weight)| value * factor * weight));
    }
    out
}

/// `SwiGLU` (arXiv 2002.05202): `silu(gate) × up`, into `gate`.
pub(super) fn swiglu(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + (-*gate).exp()) * up;
    }
}

/// Adds `addend` to `sum`, number by number.
pub(super) fn add(sum: &mut [f32], addend: &[f32]) {
    for (sum, addend) in sum.iter_mut().zip(addend) {
        *sum += addend;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    fn numbers(name: &str, count: usize) -> Vec<f32> {
        let mut draw = Draw::new(5, &[name]);
        #[expect(clippy::cast_possible_truncation, reason = "test data")]
        (0..count).map(|_| draw.normal() as f32).collect()
    }

    #[test]
    fn a_product_comes_close_to_the_exact_one() {
        let (width, columns, rows) = (96, 7, 5);
        let (weights, input) = (numbers("w", width * columns), numbers("x", width * rows));
        let product = product(&Quantized::of(&weights, width), &Quantized::of(&input, width));
        for row in 0..rows {
            for column in 0..columns {
                let pairs = input[row * width..][..width].iter().zip(&weights[column * width..][..width]);
                let exact: f32 = pairs.map(|(a, b)| a * b).sum();
                assert!((product[row * columns + column] - exact).abs() < 0.5, "row {row} column {column}");
            }
        }
    }

    #[test]
    fn vectors_and_plain_code_agree() {
        let (weights, input) = (Quantized::of(&numbers("w", 64 * 9), 64), Quantized::of(&numbers("x", 64 * 6), 64));
        let mut plain = vec![0.0; 54];
        product_portable(&weights, &input, &mut plain);
        for (a, b) in product(&weights, &input).iter().zip(&plain) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn a_row_does_not_depend_on_its_neighbours() {
        let (width, rows) = (64, 23);
        let weights = Quantized::of(&numbers("w", width * 11), width);
        let input = numbers("x", width * rows);
        let whole = product(&weights, &Quantized::of(&input, width));
        for (row, expected) in input.chunks(width).zip(whole.chunks(11)) {
            assert_eq!(product(&weights, &Quantized::of(row, width)), expected);
        }
    }

    #[test]
    fn extremes_neither_saturate_nor_vanish() {
        let row: Vec<f32> = (0..32).map(|i| if i % 2 == 0 { 3.0 } else { -3.0 }).collect();
        let quantized = Quantized::of(&row, 32);
        let square = product(&quantized, &quantized)[0];
        assert!((square - 288.0).abs() < 0.01, "{square}");
        let mut back = vec![1.0; 32];
        Quantized::of(&[0.0; 32], 32).dequantize(0, &mut back);
        assert_eq!(back, [0.0; 32]);
    }

    #[test]
    fn attention_over_equal_keys_is_the_mean_of_the_values() {
        let shape = AttentionHeads { queries: 2, groups: 1, width: 16 };
        let (keys, values) = (vec![0.5; 48], [vec![1.0; 16], vec![2.0; 16], vec![6.0; 16]].concat());
        let mut out = vec![0.0; 32];
        attend(shape, &numbers("q", 32), &keys, &values, &mut out);
        assert!(out.iter().all(|value| (value - 3.0).abs() < 1e-5), "{out:?}");
    }
}
