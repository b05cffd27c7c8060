//! The figures of a corpus, as `--json` prints them.

use std::collections::HashSet;

use serde::Serialize;

use super::cohesion::cohesion;
use super::compression;
use super::distribution::{Distribution, share};
use super::diversity::{Rule, distinct, gram, mtld, once, self_repetition, within};
use super::measure::{Measured, median};
use super::sample::Size;

/// Words of an opener or an ending.
const OPENER: usize = 3;

/// What a corpus is like. A figure is `null` where there is too little to tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CorpusFigures {
    /// Conversations measured.
    pub conversations: u64,
    /// Turns in them.
    pub turns: u64,
    /// Words in them.
    pub words: u64,
    /// How many people a conversation has.
    pub people: Option<f64>,
    /// Turns per conversation.
    pub turns_per_conversation: Distribution,
    /// Words per turn.
    pub words_per_turn: Distribution,
    /// What figures across conversations were measured on; equal for both corpora of a comparison.
    pub sample: Size,
    /// Different first three words of first turns, as a share.
    pub distinct_openers: Option<f64>,
    /// Different first three words of turns, as a share.
    pub distinct_turn_openers: Option<f64>,
    /// Different last three words of last turns, as a share.
    pub distinct_endings: Option<f64>,
    /// Conversations whose last turn is a goodbye or nothing but thanks, as a share.
    pub closings: Option<f64>,
    /// Conversations whose last three turns are all that, as a share.
    pub closing_loops: Option<f64>,
    /// Mean Gini coefficient of turns per person.
    pub gini_turns: Option<f64>,
    /// Mean Gini coefficient of words per person.
    pub gini_words: Option<f64>,
    /// Mean share of people who say nothing.
    pub silent: Option<f64>,
    /// Mean entropy of the shares of turns, as a share of its maximum.
    pub floor_entropy: Option<f64>,
    /// Mean of the changes of the floor as a share of what is possible.
    pub turn_taking: Option<f64>,
    /// Mean share of returns (A-B-A) among three lines in a row by changing speakers.
    pub returns: Option<f64>,
    /// Mean share of pairs that answer each other both ways.
    pub reciprocal_pairs: Option<f64>,
    /// Mean MTLD of conversations of at least 50 words, by the rule of `lexicalrichness`.
    pub mtld: Option<f64>,
    /// Its median.
    pub mtld_median: Option<f64>,
    /// Mean MTLD of the same by the rule of `lexical-diversity`.
    pub mtld_from_ten: Option<f64>,
    /// Mean MTLD of the first 100 words of conversations that have them.
    pub mtld_first_100: Option<f64>,
    /// MTLD of the sample as one text.
    pub mtld_corpus: Option<f64>,
    /// Different words as a share of the words of the sample.
    pub distinct_1: Option<f64>,
    /// Different pairs of words.
    pub distinct_2: Option<f64>,
    /// Different runs of three words.
    pub distinct_3: Option<f64>,
    /// Words that occur once, as a share of the different words of the sample.
    pub words_once: Option<f64>,
    /// Mean over conversations of ln(1 + occurrences of its 4-grams in other conversations).
    pub self_repetition: Option<f64>,
    /// Bytes of the sample's text per byte of its gzip (level 9).
    pub gzip_ratio: Option<f64>,
    /// The same by zstd (level 19) with a window over the whole sample.
    pub zstd_ratio: Option<f64>,
    /// All text by zstd (level 3) with a window of 128 MiB. It grows with the corpus.
    pub zstd_ratio_all: Option<f64>,
    /// Conversations whose shingles have a Jaccard index of 0.7 or more with those of an earlier one, as a share of all.
    pub near_duplicates: Option<f64>,
    /// What neighbouring turns share, by weight of words.
    pub cohesion: Option<f64>,
    /// That as a multiple of what any two turns of a conversation share: 1 when their order means nothing.
    pub cohesion_of_order: Option<f64>,
}

/// The figures, those across conversations on a sample of this size.
pub(super) fn figures(measured: &Measured, size: Size) -> CorpusFigures {
    let Measured { tallies, whole, .. } = measured;
    let conversations = tallies.turns_per_conversation.total();
    let words = tallies.sample.conversations(size.conversations);
    let documents: Vec<&[u64]> = words.iter().map(|words| words.all()).collect();
    let budget = within(&tallies.sample.documents(), size.words);
    let text = tallies.sample.text(size.bytes);
    let cohesion = cohesion(&words);
    let first_lines = words.iter().filter_map(|words| words.lines().next());
    let last_lines = words.iter().filter_map(|words| words.lines().next_back());
    let every = tallies.sample.turns(size.turns);
    CorpusFigures {
        conversations,
        turns: tallies.words_per_turn.total(),
        words: tallies.words,
        people: tallies.people.get(),
        turns_per_conversation: tallies.turns_per_conversation.distribution(),
        words_per_turn: tallies.words_per_turn.distribution(),
        sample: size,
        distinct_openers: different(first_lines.map(opener)),
        distinct_turn_openers: different(every.into_iter().map(opener)),
        distinct_endings: different(last_lines.map(ending)),
        closings: share(tallies.closings, conversations),
        closing_loops: share(tallies.closing_loops, conversations),
        gini_turns: tallies.floor.gini_turns.get(),
        gini_words: tallies.floor.gini_words.get(),
        silent: tallies.floor.silent.get(),
        floor_entropy: tallies.floor.entropy.get(),
        turn_taking: tallies.floor.taking.get(),
        returns: tallies.floor.returns.get(),
        reciprocal_pairs: tallies.floor.reciprocal.get(),
        mtld: mean(&tallies.mtld.first_rule),
        mtld_median: median(&tallies.mtld.first_rule),
        mtld_from_ten: tallies.mtld.second_rule.get(),
        mtld_first_100: tallies.mtld.fixed.get(),
        mtld_corpus: mtld(&budget.concat(), Rule::AtOrBelow),
        distinct_1: distinct(&budget, 1),
        distinct_2: distinct(&budget, 2),
        distinct_3: distinct(&budget, 3),
        words_once: once(&budget),
        self_repetition: self_repetition(&documents),
        gzip_ratio: compression::gzip(&text),
        zstd_ratio: compression::zstd(&text),
        zstd_ratio_all: whole.compression,
        near_duplicates: share(whole.near, conversations),
        cohesion: cohesion.neighbours,
        cohesion_of_order: cohesion.neighbours.zip(cohesion.any).filter(|(_, any)| *any > 0.0).map(|(a, b)| a / b),
    }
}

fn mean(numbers: &[f64]) -> Option<f64> {
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}

/// Different ones as a share. Lines shorter than three words count as they are, those without words not at all.
fn different(grams: impl Iterator<Item = Option<u64>>) -> Option<f64> {
    let (mut different, mut all) = (HashSet::new(), 0);
    for gram in grams.flatten() {
        all += 1;
        different.insert(gram);
    }
    share(different.len() as u64, all)
}

fn opener(line: &[u64]) -> Option<u64> {
    line.get(..OPENER.min(line.len())).filter(|words| !words.is_empty()).map(gram)
}

fn ending(line: &[u64]) -> Option<u64> {
    line.get(line.len().saturating_sub(OPENER)..).filter(|words| !words.is_empty()).map(gram)
}
