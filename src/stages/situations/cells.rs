//! Which cell of the coverage grid the next call gets, so that what fails or is a duplicate leaves no hole.
//!
//! Fresh cells are used in their order. A situation that was lost gives its cell back, and cells given back come first: if
//! nothing fails for good, the accepted situations have just the cells that as many first calls would have had. A cell that was
//! tried three times is given up, so that one that no model fills can't use up the attempts of the others.

use std::collections::{BTreeMap, VecDeque};

/// How often a situation is wanted from one cell before another takes its place.
const TRIES: u64 = 3;

/// Cells by their running number.
#[derive(Debug, Default)]
pub(super) struct CellNumbers {
    fresh: u64,
    /// One entry for each situation that is still owed.
    owed: VecDeque<u64>,
    /// Situations lost by cell, and how many it has.
    lost: BTreeMap<u64, (u64, u64)>,
}

impl CellNumbers {
    /// The cell of the next call, and how many of at most `room` situations it is to make.
    pub(super) fn next(&mut self, room: usize) -> (u64, usize) {
        let Some(cell) = self.owed.pop_front() else {
            self.fresh += 1;
            return (self.fresh - 1, room);
        };
        let mut slots = 1;
        while slots < room && self.owed.front() == Some(&cell) {
            self.owed.pop_front();
            slots += 1;
        }
        (cell, slots)
    }

    /// A situation of `cell`, which has `slots` of them, was not accepted.
    pub(super) fn lose(&mut self, cell: u64, slots: usize) {
        // What is made up for comes in smaller calls: the first one says how many situations the cell has.
        let (lost, slots) = self.lost.entry(cell).or_insert((0, slots.max(1) as u64));
        *lost += 1;
        if *lost < TRIES * *slots {
            self.owed.push_back(cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::coverage::Coverage;
    use super::*;
    use crate::draw::Draw;

    /// The cells of `count` accepted situations, where a call for cell `n` fails as `fails` says of its number and its try.
    fn accepted(count: usize, fails: impl Fn(u64, u64) -> bool) -> Vec<u64> {
        let mut queue = CellNumbers::default();
        let (mut accepted, mut asked) = (Vec::new(), BTreeMap::<u64, u64>::new());
        while accepted.len() < count {
            // Rounds of eight calls, as a run has them: what is lost in one comes back in the next.
            let round: Vec<u64> = (0..8.min(count - accepted.len())).map(|_| queue.next(1).0).collect();
            for cell in round {
                let tried = asked.entry(cell).or_default();
                *tried += 1;
                if fails(cell, *tried) { queue.lose(cell, 1) } else { accepted.push(cell) }
            }
        }
        accepted.sort_unstable();
        accepted
    }

    #[test]
    fn what_fails_for_a_time_leaves_no_hole() {
        let all: Vec<u64> = (0..500).collect();
        assert_eq!(accepted(500, |cell, tried| cell % 5 == 0 && tried < 3), all);
        assert_eq!(accepted(500, |_, _| false), all);
    }

    #[test]
    fn a_cell_that_always_fails_is_given_up() {
        let made = accepted(100, |cell, _| cell % 10 == 3);
        assert!(made.iter().all(|cell| cell % 10 != 3 && *cell < 120), "{made:?}");
    }

    #[test]
    fn a_call_for_several_makes_up_for_what_it_lost_alone() {
        let mut cells = CellNumbers::default();
        assert_eq!([cells.next(3), cells.next(3)], [(0, 3), (1, 3)]);
        cells.lose(0, 3);
        cells.lose(0, 3);
        cells.lose(1, 3);
        assert_eq!([cells.next(3), cells.next(3), cells.next(3)], [(0, 2), (1, 1), (2, 3)]);
    }

    /// Whether a chi-square of so many degrees of freedom comes by chance more than once in a hundred (Wilson and Hilferty 1931).
    fn plausible(chi_square: f64, freedom: f64) -> bool {
        let spread = 2.0 / (9.0 * freedom);
        ((chi_square / freedom).cbrt() - (1.0 - spread)) / spread.sqrt() < 2.326
    }

    #[test]
    fn a_run_with_losses_fills_the_grid_that_ships_by_its_weights() {
        let grid = Coverage::parse(include_str!("../../../configs/coverage.yaml"), Path::new("coverage.yaml")).unwrap();
        let count = 2_000;
        // Tense talks of relatives fail four times out of five, all others one time out of five.
        let fails = |cell: u64, tried: u64| {
            let at = grid.cell(17, cell);
            let hard = at["relation"] == "relatives" && at["tone"] == "tense";
            let mut draw = Draw::new(1, &["fails", &cell.to_string(), &tried.to_string()]);
            draw.unit() < if hard { 0.8 } else { 0.2 }
        };
        let made = accepted(count, fails);
        for attribute in grid.attributes() {
            let mut had: BTreeMap<String, f64> = BTreeMap::new();
            for cell in &made {
                *had.entry(grid.cell(17, *cell)[attribute].clone()).or_default() += 1.0;
            }
            let mut chi_square = 0.0;
            for (value, share) in grid.shares(attribute) {
                let due = share * count as f64;
                let got = had.get(value).copied().unwrap_or_default();
                chi_square += (got - due).powi(2) / due;
            }
            let freedom = grid.shares(attribute).len() as f64 - 1.0;
            assert!(plausible(chi_square, freedom), "{attribute}: {chi_square:.1} with {freedom} degrees of freedom");
        }
        // The quota of the file: no domain may have more than 0.12 of all; up to six situations more are allowed, as
        // the grid keeps to its shares within six.
        let most = grid.shares("domain").iter().map(|(_, share)| *share).fold(0.0, f64::max);
        assert!(most <= 0.12 + 1e-9);
        let domains: Vec<String> = made.iter().map(|cell| grid.cell(17, *cell)["domain"].clone()).collect();
        for (value, _) in grid.shares("domain") {
            let had = domains.iter().filter(|domain| *domain == value).count();
            assert!(had as f64 <= 0.12 * count as f64 + 6.0, "{value}: {had}");
        }
    }
}
