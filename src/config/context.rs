//! How much of a conversation its prompts show.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much of the transcript prompts show. What is said is judged against all of it whatever they show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ShownTranscript {
    /// Turns that are shown at least, the latest ones. `null`: all.
    pub last_turns: Option<u32>,
    /// Whether a model is asked to sum up what is no longer shown: a call of the speaker's model, once for every half of
    /// `last_turns`.
    pub summary: bool,
}

impl ShownTranscript {
    /// The first of `turns` turns that is shown.
    ///
    /// It moves in steps of half of `last_turns`, so that what prompts have in common stays the same for that many turns: a
    /// prefix cache would be of no use if the first line changed every time.
    pub(crate) fn first_shown(self, turns: usize) -> usize {
        let Some(least) = self.last_turns.map(|turns| turns as usize) else { return 0 };
        let step = (least / 2).max(1);
        turns.saturating_sub(least) / step * step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_the_asked_turns_are_shown_and_at_most_half_as_many_more() {
        for least in 1..20 {
            let shown = ShownTranscript { last_turns: Some(least), summary: false };
            let (least, mut moves) = (least as usize, 0);
            for turns in 0..100 {
                let first = shown.first_shown(turns);
                assert!(turns - first >= least.min(turns), "{least} of {turns}: from {first}");
                assert!(turns - first < least + (least / 2).max(1), "{least} of {turns}: from {first}");
                moves += usize::from(turns > 0 && first != shown.first_shown(turns - 1));
            }
            assert!(moves <= 100 / (least / 2).max(1), "{least}: {moves} moves");
        }
        assert_eq!(ShownTranscript::default().first_shown(1_000), 0);
    }
}
