//! Who holds the floor, and how it moves.

use std::collections::BTreeSet;

/// What one conversation shows of its turn-taking. `None` where it is too short or has one person.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct TurnTaking {
    /// Gini coefficient of turns per person.
    pub(super) gini_turns: Option<f64>,
    /// Gini coefficient of words per person.
    pub(super) gini_words: Option<f64>,
    /// Share of people who say nothing.
    pub(super) silent: Option<f64>,
    /// Shannon entropy of the shares of turns, as a share of its maximum.
    pub(super) entropy: Option<f64>,
    /// Changes of the floor as a share of what is possible.
    pub(super) taking: Option<f64>,
    /// Of three lines in a row by changing speakers, the share that go back to the first of them.
    pub(super) returns: Option<f64>,
    /// Of the pairs that follow each other, the share that do so both ways.
    pub(super) reciprocal: Option<f64>,
}

/// Measures the lines of a conversation: `(speaker, words)` each, speakers numbered below `people`.
pub(super) fn floor(lines: &[(usize, u64)], people: usize) -> TurnTaking {
    let (mut turns, mut words) = (vec![0_u64; people], vec![0_u64; people]);
    for (speaker, count) in lines {
        if let (Some(turns), Some(words)) = (turns.get_mut(*speaker), words.get_mut(*speaker)) {
            *turns += 1;
            *words += count;
        }
    }
    let speakers: Vec<usize> = lines.iter().map(|(speaker, _)| *speaker).collect();
    let silent = turns.iter().filter(|count| **count == 0).count();
    let group = people > 1 && !lines.is_empty();
    TurnTaking {
        gini_turns: gini(&turns),
        gini_words: gini(&words),
        silent: group.then(|| silent as f64 / people as f64),
        entropy: entropy(&turns),
        taking: taking(&speakers),
        returns: returns(&speakers),
        reciprocal: reciprocal(&speakers),
    }
}

/// Σ|xᵢ - xⱼ| / (2 n² mean) over all ordered pairs: 0 when all have the same, (n-1)/n when one has everything. People who
/// say nothing are zeros in it; leaving them out would make them vanish.
pub(super) fn gini(counts: &[u64]) -> Option<f64> {
    let (people, total) = (counts.len() as f64, counts.iter().sum::<u64>() as f64);
    if counts.len() < 2 || total == 0.0 {
        return None;
    }
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    // The sum over pairs by rank: each number is the larger one `at` times and the smaller one the other times.
    let ranked = sorted.iter().enumerate().map(|(at, count)| (2.0 * at as f64 + 1.0 - people) * *count as f64);
    Some(ranked.sum::<f64>() / (people * total))
}

/// H(shares) / ln n, from 0 (one person) to 1 (equal shares).
pub(super) fn entropy(counts: &[u64]) -> Option<f64> {
    let total = counts.iter().sum::<u64>() as f64;
    if counts.len() < 2 || total == 0.0 {
        return None;
    }
    let parts = counts.iter().filter(|count| **count > 0).map(|count| *count as f64 / total);
    let entropy: f64 = parts.map(|part| -part * part.ln()).sum();
    Some(entropy / (counts.len() as f64).ln())
}

/// (uninterrupted runs - 1) / (lines - 1), the turn-taking index of the Team Communication Toolkit: its example of five
/// runs in twenty lines gives 4/19.
pub(super) fn taking(speakers: &[usize]) -> Option<f64> {
    let changes = speakers.windows(2).filter(|pair| pair.first() != pair.last()).count();
    (speakers.len() > 1).then(|| changes as f64 / (speakers.len() - 1) as f64)
}

fn returns(speakers: &[usize]) -> Option<f64> {
    let (mut all, mut back) = (0_u64, 0_u64);
    for three in speakers.windows(3) {
        if let [first, second, third] = three
            && first != second
            && second != third
        {
            all += 1;
            back += u64::from(first == third);
        }
    }
    super::distribution::share(back, all)
}

fn reciprocal(speakers: &[usize]) -> Option<f64> {
    let follows: BTreeSet<(usize, usize)> = speakers
        .windows(2)
        .filter_map(|pair| match pair {
            [first, second] if first != second => Some((*first, *second)),
            _ => None,
        })
        .collect();
    let pairs: BTreeSet<(usize, usize)> = follows.iter().map(|(a, b)| (*a.min(b), *a.max(b))).collect();
    let both = pairs.iter().filter(|(a, b)| follows.contains(&(*a, *b)) && follows.contains(&(*b, *a))).count();
    super::distribution::share(both as u64, pairs.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_of_turn_taking() {
        let runs = [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0];
        assert!((taking(&runs).unwrap() - 4.0 / 19.0).abs() < 1e-12);
        assert_eq!(taking(&[0]), None);
    }

    #[test]
    fn who_is_silent_counts() {
        let lines = [(0, 10), (1, 10), (0, 10), (1, 10)];
        let two = floor(&lines, 2);
        assert_eq!((two.gini_turns, two.gini_words, two.silent), (Some(0.0), Some(0.0), Some(0.0)));
        let four = floor(&lines, 4);
        assert_eq!((four.gini_turns, four.silent, four.entropy), (Some(0.5), Some(0.5), Some(0.5)));
        assert_eq!(floor(&lines, 1).gini_turns, None);
    }

    #[test]
    fn a_duel_returns_and_a_round_does_not() {
        let duel = floor(&[(0, 1), (1, 1), (0, 1), (1, 1)], 3);
        assert_eq!((duel.returns, duel.reciprocal, duel.taking), (Some(1.0), Some(1.0), Some(1.0)));
        let round = floor(&[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1)], 3);
        assert_eq!((round.returns, round.reciprocal), (Some(0.0), Some(0.0)));
        assert_eq!(floor(&[(0, 1), (0, 1), (1, 1)], 2).returns, None);
    }
}
