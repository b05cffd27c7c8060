//! Whether lines take up what the line before them said.
//!
//! Two lines share as much as the words in both weigh against the words in either (Dice's coefficient), a word weighing
//! ln(lines / lines with it): rare words count, function words hardly, and no list of stop words ties this to a language.
//! Lines of one conversation share words in any order, since they have one topic; so the figure that tells of order is
//! how much more neighbours share than lines of the same conversation do on average. Shuffled lines give 1.

use std::collections::HashMap;

use super::dialogue::WordHashes;
use super::distribution::Mean;

/// Lines further apart than this are not compared: in talk of an hour the topic itself moves on.
const REACH: usize = 20;

/// What lines share with others of their conversation, from 0 to 1 each.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Cohesion {
    /// Neighbours.
    pub(super) neighbours: Option<f64>,
    /// Any two.
    pub(super) any: Option<f64>,
}

/// Measures conversations. Lines without words are passed over.
pub(super) fn cohesion(dialogues: &[&WordHashes]) -> Cohesion {
    let talks: Vec<Vec<Vec<u64>>> = dialogues.iter().map(|words| words.lines().map(set).collect()).collect();
    let weights = Weights::of(&talks);
    let (mut neighbours, mut any) = (Mean::default(), Mean::default());
    for talk in &talks {
        for (at, line) in talk.iter().enumerate() {
            for (apart, later) in talk.iter().skip(at + 1).take(REACH).enumerate() {
                let shared = weights.shared(line, later);
                any.add(shared);
                if apart == 0 {
                    neighbours.add(shared);
                }
            }
        }
    }
    Cohesion { neighbours: neighbours.get(), any: any.get() }
}

/// The sorted set of words.
pub(super) fn set(words: &[u64]) -> Vec<u64> {
    let mut set = words.to_vec();
    set.sort_unstable();
    set.dedup();
    set
}

struct Weights {
    lines: f64,
    with: HashMap<u64, u64>,
}

impl Weights {
    fn of(talks: &[Vec<Vec<u64>>]) -> Self {
        let mut with: HashMap<u64, u64> = HashMap::new();
        for word in talks.iter().flatten().flatten() {
            *with.entry(*word).or_default() += 1;
        }
        Self { lines: talks.iter().map(Vec::len).sum::<usize>() as f64, with }
    }

    fn weight(&self, word: u64) -> f64 {
        self.with.get(&word).map_or(0.0, |lines| (self.lines / *lines as f64).ln())
    }

    fn sum(&self, words: &[u64]) -> f64 {
        words.iter().map(|word| self.weight(*word)).sum()
    }

    /// Dice's coefficient by weight; `None` when neither has a word that weighs anything.
    fn shared(&self, left: &[u64], right: &[u64]) -> Option<f64> {
        let all = self.sum(left) + self.sum(right);
        let both: f64 =
            left.iter().filter(|word| right.binary_search(word).is_ok()).map(|word| self.weight(*word)).sum();
        (all > 0.0 && !left.is_empty() && !right.is_empty()).then(|| 2.0 * both / all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::dialogue::{Dialogue, DialogueLine};

    fn words(lines: &[&str]) -> WordHashes {
        let line = |text: &&str| DialogueLine { speaker: 0, text: (*text).to_owned() };
        WordHashes::of(&Dialogue { lines: lines.iter().map(line).collect(), ..Dialogue::default() })
    }

    #[test]
    fn a_chain_holds_together_until_it_is_shuffled() {
        let chain = words(&["red kite", "kite string", "string knot", "knot rope", "rope ladder", "ladder red"]);
        let found = cohesion(&[&chain]);
        // Each neighbour shares one of two words of each; of 15 pairs, 6 share that (the ends meet).
        assert!((found.neighbours.unwrap() - 0.5).abs() < 1e-12, "{found:?}");
        assert!((found.any.unwrap() - 0.2).abs() < 1e-12, "{found:?}");
        let shuffled = words(&["red kite", "string knot", "rope ladder", "kite string", "ladder red", "knot rope"]);
        assert_eq!(cohesion(&[&shuffled]).neighbours, Some(0.0));
    }

    #[test]
    fn words_in_every_line_weigh_nothing() {
        let found = cohesion(&[&words(&["the cat", "the dog", "the sun"])]);
        assert_eq!((found.neighbours, found.any), (Some(0.0), Some(0.0)));
        assert_eq!(cohesion(&[&words(&["the", "the"])]), Cohesion::default());
        assert_eq!(cohesion(&[]), Cohesion::default());
    }
}
