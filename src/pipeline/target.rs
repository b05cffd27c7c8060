//! What a run was to come to, and how near it came.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{Config, SituationMode};
use crate::record::Tally;

/// How near a stage came to what was asked of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Accepted records asked for.
    pub wanted: u64,
    /// Accepted records.
    pub accepted: u64,
    /// Attempts that were made in place of lost ones.
    pub replaced: u64,
    /// The share of `wanted` that is enough, 0 to 1.
    pub min_accepted: f64,
}

/// What rounding may take from a share.
const TOLERANCE: f64 = 1e-9;

impl Target {
    /// Whether any is missing.
    pub fn is_missed(&self) -> bool {
        self.accepted < self.wanted
    }

    /// Whether so many are enough.
    pub fn is_enough(&self) -> bool {
        self.accepted as f64 + TOLERANCE >= self.min_accepted * self.wanted as f64
    }

    /// The share of what was asked for that was accepted, 0 to 1.
    pub fn share(&self) -> f64 {
        if self.is_missed() { self.accepted as f64 / self.wanted as f64 } else { 1.0 }
    }
}

/// How near the stages came that are over, by their names. `situations` and `conversations`: how their inputs ended. A stage
/// that takes whatever a file has is asked for nothing.
pub(crate) fn targets(
    config: &Config,
    situations: Option<Tally>,
    conversations: Option<Tally>,
) -> BTreeMap<String, Target> {
    let meetings = situations.map(|tally| tally.accepted);
    let target = |wanted: u64, begun: u64, tally: Tally| Target {
        wanted,
        accepted: tally.accepted,
        replaced: (tally.total() - tally.over_budget).saturating_sub(begun),
        min_accepted: config.min_accepted,
    };
    let made = config.situations.mode != SituationMode::File;
    let of_situations = situations.zip(config.situations.wanted()).map(|(tally, wanted)| {
        // A file is read to its end or to enough rows, and none of them replaces another.
        target(wanted, if made { wanted } else { u64::MAX }, tally)
    });
    let of_conversations = conversations.zip(meetings).map(|(tally, meetings)| {
        let asked = |situations: u64| config.conversations.wanted(situations);
        target(asked(config.situations.wanted().unwrap_or(meetings)), asked(meetings), tally)
    });
    let all = [("situations", of_situations), ("conversations", of_conversations)];
    all.into_iter().filter_map(|(stage, target)| Some((stage.to_owned(), target?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_enough_from_its_whole_number_on() {
        let is_enough =
            |accepted, wanted, min_accepted| Target { wanted, accepted, min_accepted, ..Target::default() }.is_enough();
        for (accepted, wanted, min, enough) in [
            (19, 20, 0.95, true),
            (18, 20, 0.95, false),
            (19_999, 20_000, 0.95, true),
            (19_999, 20_000, 1.0, false),
            (7, 10, 0.7, true),
            (0, 0, 1.0, true),
            (0, 3, 0.01, false),
        ] {
            assert_eq!(is_enough(accepted, wanted, min), enough, "{accepted} of {wanted} by {min}");
        }
    }
}
