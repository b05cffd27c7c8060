//! What is drawn rather than told: whole distributions, where the report has a mean and a quartile.

use std::collections::BTreeMap;

use serde::Serialize;

use super::dialogue::Dialogue;
use super::distribution::Mean;
use super::measure::Tallies;

/// Groups larger than this are counted as this large.
const LARGEST_GROUP: usize = 12;
/// Turns from this one on are counted as this one.
const LAST_TURN: usize = 60;
/// Numbers from this one on are drawn as one.
const LONGEST: u64 = 120;

/// What is counted for pictures.
#[derive(Debug, Default)]
pub(super) struct PictureTallies {
    endings: BTreeMap<String, u64>,
    positions: Vec<TurnPosition>,
    shares: BTreeMap<usize, Vec<Mean>>,
}

/// What the pictures of a corpus are drawn from.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Pictures {
    /// How many conversations have so many turns; from 120 on they are counted together.
    pub(super) turns_per_conversation: BTreeMap<u64, u64>,
    /// How many turns have so many words; from 120 on they are counted together.
    pub(super) words_per_turn: BTreeMap<u64, u64>,
    /// By the number of people in the room: the mean share of the turns of who speaks most, next to most, and so on.
    pub(super) floor_shares: BTreeMap<usize, Vec<f64>>,
    /// Why conversations ended; empty where records do not say.
    pub(super) endings: BTreeMap<String, u64>,
    /// Replies that were turned down, by position of the turn; empty where records do not say.
    pub(super) positions: Vec<TurnPosition>,
}

/// What happened to the turns at one position.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct TurnPosition {
    /// Turns there.
    pub(super) turns: u64,
    /// Replies they took beyond the first.
    pub(super) turned_down: u64,
}

impl PictureTallies {
    pub(super) fn add(&mut self, dialogue: &Dialogue) {
        self.add_shares(dialogue);
        let Some(notes) = &dialogue.notes else { return };
        *self.endings.entry(notes.stop_reason.clone()).or_default() += 1;
        for (at, attempts) in notes.attempts.iter().enumerate() {
            let at = at.min(LAST_TURN - 1);
            if self.positions.len() <= at {
                self.positions.resize_with(at + 1, TurnPosition::default);
            }
            if let Some(position) = self.positions.get_mut(at) {
                position.turns += 1;
                position.turned_down += u64::from(attempts.saturating_sub(1));
            }
        }
    }

    fn add_shares(&mut self, dialogue: &Dialogue) {
        let turns = dialogue.lines.len();
        if turns == 0 {
            return;
        }
        let mut taken = vec![0_u64; dialogue.people];
        for line in &dialogue.lines {
            taken.iter_mut().skip(line.speaker).take(1).for_each(|count| *count += 1);
        }
        taken.sort_unstable_by(|one, other| other.cmp(one));
        let ranks = self.shares.entry(dialogue.people.min(LARGEST_GROUP)).or_default();
        ranks.resize_with(ranks.len().max(taken.len().min(LARGEST_GROUP)), Mean::default);
        for (rank, count) in ranks.iter_mut().zip(taken) {
            rank.add(Some(count as f64 / turns as f64));
        }
    }
}

/// The pictures of what was measured.
pub(super) fn pictures(tallies: &Tallies) -> Pictures {
    let PictureTallies { endings, positions, shares } = &tallies.pictures;
    let means = |ranks: &Vec<Mean>| ranks.iter().map(|rank| rank.get().unwrap_or_default()).collect();
    Pictures {
        turns_per_conversation: tallies.turns_per_conversation.counts(LONGEST),
        words_per_turn: tallies.words_per_turn.counts(LONGEST),
        floor_shares: shares.iter().map(|(people, ranks)| (*people, means(ranks))).collect(),
        endings: endings.clone(),
        positions: positions.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::dialogue::{DialogueLine, RecordNotes};

    fn talk(speakers: &[usize], attempts: &[u32]) -> Dialogue {
        let line = |speaker: &usize| DialogueLine { speaker: *speaker, text: "Yes, the tram.".to_owned() };
        let notes =
            RecordNotes { stop_reason: "agreed".to_owned(), attempts: attempts.to_vec(), ..RecordNotes::default() };
        let lines = speakers.iter().map(line).collect();
        Dialogue { people: 3, lines, notes: Some(notes), ..Dialogue::default() }
    }

    #[test]
    fn shares_are_by_rank_and_flaws_by_position() {
        let mut tallies = PictureTallies::default();
        tallies.add(&talk(&[0, 1, 0, 0], &[1, 1, 3, 1]));
        tallies.add(&talk(&[2, 1], &[1, 2]));
        let shares: Vec<f64> = tallies.shares[&3].iter().map(|rank| rank.get().unwrap()).collect();
        assert_eq!(shares, [0.625, 0.375, 0.0]);
        assert_eq!(tallies.endings, [("agreed".to_owned(), 2)].into());
        let turned_down: Vec<(u64, u64)> = tallies.positions.iter().map(|at| (at.turns, at.turned_down)).collect();
        assert_eq!(turned_down, [(2, 0), (2, 1), (1, 2), (1, 0)]);
    }
}
