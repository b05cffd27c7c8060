//! Even use: orders that go through everyone before anyone comes again, computed for any position at once.

use crate::draw::Draw;

/// The position that step `at` of `pass` visits among `count`: a permutation for every pass, another one each time.
///
/// An affine map with a step coprime to `count`. It is laid over an order that is shuffled already, so that the first pass may
/// be the identity.
pub(super) fn position(seed: u64, name: &str, pass: u64, at: usize, count: usize) -> usize {
    if count == 0 {
        return 0;
    }
    if pass == 0 {
        return at % count;
    }
    let mut draw = Draw::new(seed, &["casting", "pass", name, &pass.to_string()]);
    let shift = draw.below(count);
    let first = draw.between(1, count.max(2) - 1);
    let coprime = (first..=first + count).find(|step| gcd(*step, count) == 1).unwrap_or(1);
    let there = (coprime as u128 * at as u128 + shift as u128) % count as u128;
    usize::try_from(there).unwrap_or_default()
}

fn gcd(one: usize, other: usize) -> usize {
    if other == 0 { one } else { gcd(other, one % other) }
}

/// Sizes of groups: every size of `min..=max` once in each cycle, in drawn order, so that group `n` starts at a known place in
/// the line of all members.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) min: usize,
    pub(super) max: usize,
}

impl Sizes {
    /// Size of group `rank`, and how many members all groups before it have together.
    pub(super) fn of(self, seed: u64, name: &str, rank: u64) -> (usize, u64) {
        let all: Vec<usize> = (self.min..=self.max).collect();
        let length = all.len() as u64;
        let (cycle, at) = (rank / length, usize::try_from(rank % length).unwrap_or_default());
        let mut draw = Draw::new(seed, &["casting", "sizes", name, &cycle.to_string()]);
        let cycled: Vec<usize> = draw.sample(&all, all.len()).into_iter().copied().collect();
        let before: usize = cycled.iter().take(at).sum();
        let size = cycled.get(at).copied().unwrap_or(self.min);
        // Beyond 2^64 members the line starts over, at no harm.
        (size, cycle.wrapping_mul(all.iter().sum::<usize>() as u64).wrapping_add(before as u64))
    }
}

/// Takes turns in proportion to `weights` (Sainte-Laguë's divisors): after any number of turns everyone has had their share to
/// within one. Gives who is next and how often they were before.
#[derive(Debug)]
pub(super) struct Rotation {
    pattern: Vec<(u32, u32)>,
    per_pattern: Vec<u64>,
}

/// Fewest and most turns after which the pattern repeats. In between it is as long as the weights add up to, so that even a
/// weight of one has its turn.
const PATTERN: (usize, usize) = (10_000, 1_000_000);

impl Rotation {
    pub(super) fn new(weights: &[usize]) -> Self {
        let mut taken = vec![0_u64; weights.len()];
        let length =
            weights.iter().fold(0_usize, |sum, weight| sum.saturating_add(*weight)).clamp(PATTERN.0, PATTERN.1);
        let mut pattern = Vec::with_capacity(length);
        for _ in 0..length {
            let claim = |(index, had): (usize, &u64)| {
                let weight = weights.get(index).copied().unwrap_or_default();
                (weight as f64 / (2 * had + 1) as f64, index)
            };
            let claims = taken.iter().enumerate().map(claim);
            let Some((_, next)) = claims.max_by(|one, other| one.0.total_cmp(&other.0).then(other.1.cmp(&one.1)))
            else {
                break;
            };
            if let Some(had) = taken.get_mut(next) {
                pattern.push((u32::try_from(next).unwrap_or(u32::MAX), u32::try_from(*had).unwrap_or(u32::MAX)));
                *had += 1;
            }
        }
        Self { pattern, per_pattern: taken }
    }

    /// Whose turn `ordinal` is, and which of their turns.
    pub(super) fn of(&self, ordinal: u64) -> Option<(usize, u64)> {
        let length = self.pattern.len() as u64;
        let at = usize::try_from(ordinal.checked_rem(length)?).ok()?;
        let (who, before) = self.pattern.get(at)?;
        let who = *who as usize;
        Some((who, ordinal / length * self.per_pattern.get(who)? + u64::from(*before)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_pass_visits_everyone_once(seed: u64, pass in 0_u64..5, count in 1_usize..300) {
            let visited: BTreeSet<_> = (0..count).map(|at| position(seed, "train", pass, at, count)).collect();
            prop_assert_eq!(visited.len(), count);
            prop_assert!(visited.iter().all(|position| *position < count));
        }

        #[test]
        fn members_before_a_group_add_up(seed: u64, min in 2_usize..5, more in 0_usize..4, rank in 0..u64::MAX) {
            let sizes = Sizes { min, max: min + more };
            let (size, before) = sizes.of(seed, "train", rank);
            prop_assert!((min..=min + more).contains(&size));
            prop_assert_eq!(sizes.of(seed, "train", rank + 1).1, before.wrapping_add(size as u64));
        }

        #[test]
        fn turns_follow_shares(weights in proptest::collection::vec(1_usize..1000, 1..5), upto in 1_u64..25_000) {
            let turns = Rotation::new(&weights);
            let mut had = vec![0_u64; weights.len()];
            for ordinal in 0..upto {
                let (who, before) = turns.of(ordinal).unwrap();
                prop_assert_eq!(before, had[who]);
                had[who] += 1;
            }
            let total: usize = weights.iter().sum();
            for (weight, had) in weights.iter().zip(had) {
                let due = upto as f64 * *weight as f64 / total as f64;
                prop_assert!((had as f64 - due).abs() <= 3.0 * weights.len() as f64, "{had} of {due}");
            }
        }
    }
}
