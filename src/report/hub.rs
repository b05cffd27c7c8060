//! Whether situations narrow as the few-shot hub feeds on its own output, round by round.

use serde::Serialize;

use super::cohesion::set;
use super::dialogue::hashes;
use super::diversity::effective_number;
use crate::draw::Draw;
use crate::record::Situation;
use crate::stages::dedup::situation_text;

/// Most groups that rounds are put into.
const GROUPS: usize = 6;
/// Most situations of a group that are compared with each other.
const COMPARED: usize = 200;
/// Fewer situations than this do not make a group.
const LEAST: usize = 8;

/// Diversity of the situations, by the round they were written in.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HubFigures {
    /// Situations compared in each group of rounds: as many as the smallest has, at most 200.
    pub compared: u64,
    /// The groups, in order, about equal in size.
    pub rounds: Vec<RoundFigures>,
}

/// One group of rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct RoundFigures {
    /// The first round, from 0.
    pub first: u64,
    /// The last round.
    pub last: u64,
    /// Situations accepted in them.
    pub situations: u64,
    /// How many different ones the compared situations amount to: the Vendi score of order 2 over the Jaccard index of
    /// their sets of words.
    pub effective: f64,
}

/// What is kept of a situation: its round and its set of words.
#[derive(Debug)]
pub(super) struct HubSituation {
    round: u64,
    words: Vec<u64>,
}

impl HubSituation {
    /// `None` for a situation that was imported: its id tells no round.
    pub(super) fn of(situation: &Situation) -> Option<Self> {
        let round = situation.id.strip_prefix("s-")?.split('-').next()?.parse().ok()?;
        let words: Vec<u64> = hashes(&situation_text(situation)).collect();
        Some(Self { round, words: set(&words) })
    }
}

/// Groups situations by round and measures each group. `None` when there are too few.
pub(super) fn figures(mut written: Vec<HubSituation>) -> Option<HubFigures> {
    written.sort_by_key(|situation| situation.round);
    let groups = grouped(&written);
    let compared = groups.iter().map(|group| group.len()).min()?.min(COMPARED);
    let rounds = groups.iter().enumerate().filter_map(|(at, group)| {
        let mut draw = Draw::new(0, &["report", "hub", &at.to_string()]);
        let sample: Vec<Vec<u64>> = draw.sample(group, compared).into_iter().map(|one| one.words.clone()).collect();
        let (first, last) = (group.first()?.round, group.last()?.round);
        Some(RoundFigures { first, last, situations: group.len() as u64, effective: effective_number(&sample)? })
    });
    Some(HubFigures { compared: compared as u64, rounds: rounds.collect() })
}

/// Whole rounds in a row, closed when a group has its part of the situations. A rest too small for a group joins the last.
fn grouped(written: &[HubSituation]) -> Vec<&[HubSituation]> {
    let part = written.len().div_ceil(GROUPS).max(LEAST);
    let mut ends: Vec<usize> = Vec::new();
    let mut end = 0;
    for round in written.chunk_by(|a, b| a.round == b.round) {
        end += round.len();
        if end - ends.last().copied().unwrap_or(0) >= part {
            ends.push(end);
        }
    }
    if written.len() - ends.last().copied().unwrap_or(0) >= part / 2 + LEAST / 2 {
        ends.push(written.len());
    } else if let Some(last) = ends.last_mut() {
        *last = written.len();
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).filter_map(|(start, end)| written.get(start..*end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(round: u64, words: &[u64]) -> HubSituation {
        HubSituation { round, words: set(words) }
    }

    #[test]
    fn a_hub_that_copies_itself_narrows() {
        let fresh = (0..16).map(|at| written(at / 8, &[at * 10, at * 10 + 1]));
        let same = (0..16).map(|at| written(2 + at / 8, &[7, 8]));
        let figures = figures(same.chain(fresh).collect()).unwrap();
        assert_eq!(figures.rounds.iter().map(|group| group.situations).sum::<u64>(), 32);
        assert!((figures.rounds[0].effective - 8.0).abs() < 1e-9, "{figures:?}");
        assert!((figures.rounds.last().unwrap().effective - 1.0).abs() < 1e-9, "{figures:?}");
        assert_eq!((figures.rounds[0].first, figures.rounds.last().unwrap().last), (0, 3));
    }

    #[test]
    fn few_situations_tell_nothing() {
        assert_eq!(figures(Vec::new()), None);
        assert_eq!(figures(vec![written(0, &[1])]), None);
    }
}
