//! How varied words are: MTLD, distinct-n, words that occur once, self-repetition.
//!
//! All work on hashes of words, so that what a word is can be tested apart.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::distribution::{Mean, share};

/// The type-token ratio at which a segment ends; 0.660 to 0.750 is the range recommended (`McCarthy` and Jarvis 2010).
const THRESHOLD: f64 = 0.72;

/// When a segment of MTLD ends. Implementations differ, and by 17 % on one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// At a ratio of 0.72 or below, whatever its length: the Python package `lexicalrichness`. The one reported first.
    AtOrBelow,
    /// Below 0.72 and not before ten words; the last word belongs to the unfinished segment: `lexical-diversity`.
    BelowFromTen,
}

/// Least words of a segment by [`Rule::BelowFromTen`].
const LEAST: usize = 10;

/// The measure of textual lexical diversity (`McCarthy` 2005; `McCarthy` and Jarvis 2010): the mean length of runs of words
/// that keep a type-token ratio above 0.72, forwards and backwards, of which the mean is taken. `None` without words.
///
/// Words that all differ make no segment: their number by the first rule, 0 by the second, as the packages have it.
pub(super) fn mtld(words: &[u64], rule: Rule) -> Option<f64> {
    let mut known = HashMap::new();
    let mut ids: Vec<usize> = Vec::with_capacity(words.len());
    for word in words {
        let next = known.len();
        ids.push(*known.entry(*word).or_insert(next));
    }
    let forwards = one_way(ids.iter(), known.len(), rule);
    let backwards = one_way(ids.iter().rev(), known.len(), rule);
    (!words.is_empty()).then_some(f64::midpoint(forwards, backwards))
}

fn one_way<'a>(ids: impl ExactSizeIterator<Item = &'a usize>, types: usize, rule: Rule) -> f64 {
    let total = ids.len();
    // In which segment each word was last seen.
    let mut seen = vec![usize::MAX; types];
    let (mut segment, mut length, mut distinct, mut ratio) = (0_usize, 0_usize, 0_usize, 1.0);
    for (at, id) in ids.enumerate() {
        length += 1;
        if let Some(last) = seen.get_mut(*id).filter(|last| **last != segment) {
            *last = segment;
            distinct += 1;
        }
        ratio = distinct as f64 / length as f64;
        let ends = match rule {
            Rule::AtOrBelow => ratio <= THRESHOLD,
            Rule::BelowFromTen => ratio < THRESHOLD && length >= LEAST && at + 1 < total,
        };
        if ends {
            segment += 1;
            (length, distinct) = (0, 0);
        }
    }
    let unfinished = if length > 0 { (1.0 - ratio) / (1.0 - THRESHOLD) } else { 0.0 };
    match (segment as f64 + unfinished, rule) {
        (0.0, Rule::AtOrBelow) => total as f64,
        (0.0, Rule::BelowFromTen) => 0.0,
        (factors, _) => total as f64 / factors,
    }
}

/// A run of words as one hash.
pub(super) fn gram(words: &[u64]) -> u64 {
    words.iter().fold(words.len() as u64, |hash, word| xxh3_64_with_seed(&word.to_le_bytes(), hash))
}

/// Different runs of `n` words as a share of all (distinct-n, Li et al. 2016). Runs cross lines, not documents. The share
/// falls with the number of words, so only texts of equal length compare.
pub(super) fn distinct(documents: &[&[u64]], n: usize) -> Option<f64> {
    let (mut different, mut all) = (HashSet::new(), 0);
    for run in documents.iter().flat_map(|document| document.windows(n)) {
        all += 1;
        different.insert(gram(run));
    }
    share(different.len() as u64, all)
}

/// Words that occur once as a share of the different words: what misspellings and noise push up.
pub(super) fn once(documents: &[&[u64]]) -> Option<f64> {
    let mut counts: HashMap<u64, u64> = HashMap::new();
    for word in documents.iter().copied().flatten() {
        *counts.entry(*word).or_default() += 1;
    }
    let once = counts.values().filter(|count| **count == 1).count();
    share(once as u64, counts.len() as u64)
}

/// Runs of words by which documents are compared in [`self_repetition`].
const REPEATED: usize = 4;

/// The mean over documents of ln(1 + how often its different 4-grams stand in other documents) (Salkar et al. 2022, as
/// `diversity` 0.3.1 computes it). It grows with the number of documents.
pub(super) fn self_repetition(documents: &[&[u64]]) -> Option<f64> {
    let grams = |document: &&[u64]| document.windows(REPEATED).map(gram).collect::<HashSet<u64>>();
    let documents: Vec<HashSet<u64>> = documents.iter().map(grams).collect();
    let mut counts: HashMap<u64, u64> = HashMap::new();
    for gram in documents.iter().flatten() {
        *counts.entry(*gram).or_default() += 1;
    }
    let mut mean = Mean::default();
    for document in &documents {
        let elsewhere: u64 = document.iter().filter_map(|gram| counts.get(gram)).map(|count| count - 1).sum();
        mean.add(Some((elsewhere as f64).ln_1p()));
    }
    mean.get()
}

/// The first `budget` words of the documents.
pub(super) fn within<'a>(documents: &[&'a [u64]], budget: usize) -> Vec<&'a [u64]> {
    let mut left = budget;
    let mut kept = Vec::new();
    for document in documents {
        let taken = document.get(..left.min(document.len())).unwrap_or_default();
        left -= taken.len();
        kept.push(taken);
        if left == 0 {
            break;
        }
    }
    kept
}

/// How many different things a list amounts to: the Vendi score of order 2 (Friedman and Dieng 2022; Pasarkar and Dieng
/// 2023) over the Jaccard index of sets, n² / Σ k², where k is the index of each pair. All different: n. All the same: 1.
///
/// Order 2 weighs what is frequent more than order 1 does, and needs no eigenvalues: the sum of their squares is that of
/// the entries.
pub(super) fn effective_number(sets: &[Vec<u64>]) -> Option<f64> {
    let mut squares = 0.0;
    for (at, left) in sets.iter().enumerate() {
        squares += 1.0;
        for right in sets.iter().skip(at + 1) {
            squares += 2.0 * crate::stages::dedup::jaccard(left, right).powi(2);
        }
    }
    (!sets.is_empty()).then(|| (sets.len() as f64).powi(2) / squares)
}
