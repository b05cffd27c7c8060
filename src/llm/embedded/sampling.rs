//! From logits to the next token.

use std::collections::BTreeMap;

use super::vocabulary::{Token, Vocabulary};
use crate::draw::Draw;
use crate::llm::Extra;

/// Tokens that are drawn from at most; what lies beyond is noise in a model of this size.
const TOP_K: usize = 40;

/// Tokens less likely than this share of the likeliest are not drawn (min-p, arXiv 2407.01082).
const MIN_P: f64 = 0.05;

/// A token counts as said no more often than this: "the" must stay possible in a long conversation.
const MOST_TIMES: u32 = 4;

/// What is taken off how likely a token is that was said before, as the fields of `extra_body` of these names say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Penalties {
    /// Once, however often it was said.
    presence: f32,
    /// For each time it was said.
    frequency: f32,
}

impl Penalties {
    /// Those that `extra` asks for; none where it asks for none.
    pub(super) fn of(extra: Option<&Extra>) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "logits are of this precision")]
        let number = |field| extra.and_then(|extra| extra.body.get(field)?.as_f64()).unwrap_or(0.0) as f32;
        Self { presence: number("presence_penalty"), frequency: number("frequency_penalty") }
    }

    fn take_off(self, logits: &mut [f32], said: &BTreeMap<u32, u32>) {
        for (id, times) in said {
            if let Some(logit) = logits.get_mut(*id as usize) {
                *logit -= self.presence + self.frequency * (*times).min(MOST_TIMES) as f32;
            }
        }
    }
}

/// How a reply is sampled.
#[derive(Debug, Clone)]
pub(super) struct Sampling {
    /// 0 takes the likeliest token.
    pub(super) temperature: f64,
    /// Nucleus sampling (arXiv 1904.09751): the share of probability that is drawn from.
    pub(super) top_p: f64,
    /// Repetition penalty (arXiv 1909.05858) on words that were used lately; 1 is none.
    pub(super) penalty: f32,
    /// What tokens cost that were said before, in this reply or by `said`.
    pub(super) penalties: Penalties,
    /// How often each token was said in the conversation so far.
    pub(super) said: BTreeMap<u32, u32>,
    /// No sequence of this many words is written twice; 0 allows any.
    pub(super) distinct: usize,
    /// Brackets and asterisks are fine. In speech they are not: nobody says "(winks)".
    pub(super) asides: bool,
    /// No text begins with any of these tokens: the speaker's own name, and how others have just begun.
    pub(super) shunned: Vec<u32>,
}

impl Sampling {
    /// Makes what was just said less likely, and what would repeat a whole sequence impossible.
    pub(super) fn discourage(&self, logits: &mut [f32], written: &[u32], prompt: usize, vocabulary: &Vocabulary) {
        let mut recent: Vec<u32> = written.iter().skip(prompt).copied().collect();
        recent.sort_unstable();
        recent.dedup();
        for id in recent.into_iter().filter(|id| vocabulary.token(*id).is_some_and(|token| token.word)) {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = if *logit > 0.0 { *logit / self.penalty } else { *logit * self.penalty };
            }
        }
        if self.penalties != Penalties::default() {
            let mut said = self.said.clone();
            let spoken = written.iter().skip(prompt).filter(|id| vocabulary.token(**id).is_some_and(Token::is_spoken));
            spoken.for_each(|id| *said.entry(*id).or_default() += 1);
            self.penalties.take_off(logits, &said);
        }
        let starts = |id: u32| vocabulary.token(id).is_some_and(|token| token.bytes.first() == Some(&b' '));
        for id in repeats(written, self.distinct, starts) {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    /// Draws a token. Ties go to the lower id, so that the draw alone decides.
    pub(super) fn choose(&self, logits: &[f32], draw: &mut Draw) -> u32 {
        let mut ranked: Vec<(u32, f32)> =
            (0..).zip(logits.iter().copied()).filter(|(_, logit)| logit.is_finite()).collect();
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if ranked.len() > TOP_K {
            ranked.select_nth_unstable_by(TOP_K, order);
            ranked.truncate(TOP_K);
        }
        ranked.sort_unstable_by(order);
        let best = ranked.first().copied().unwrap_or_default();
        if self.temperature <= 0.0 {
            return best.0;
        }
        let plausible = ranked.iter().take_while(|(_, logit)| f64::from(logit - best.1).exp() >= MIN_P);
        let weights: Vec<f64> =
            plausible.map(|(_, logit)| (f64::from(logit - best.1) / self.temperature).exp()).collect();
        let nucleus = self.nucleus(&weights);
        let drawn = draw.weighted(weights.get(..nucleus).unwrap_or_default());
        drawn.and_then(|index| ranked.get(index)).map_or(best.0, |(id, _)| *id)
    }

    /// How many of the falling `weights` make up `top_p` of their sum.
    fn nucleus(&self, weights: &[f64]) -> usize {
        let enough = weights.iter().sum::<f64>() * self.top_p;
        let mut sum = 0.0;
        let reached = weights.iter().position(|weight| {
            sum += weight;
            sum >= enough
        });
        reached.map_or(weights.len(), |index| index + 1)
    }
}

/// The tokens that would begin the last word of a sequence of `words` that `written` already has. Words are counted
/// rather than tokens, and only whole ones kept out, so that a long name can be said again and is never spoilt in its
/// middle.
fn repeats(written: &[u32], words: usize, starts: impl Fn(u32) -> bool) -> Vec<u32> {
    let begins = written.iter().enumerate().rev().filter(|(_, id)| starts(**id));
    let begin = words.checked_sub(2).and_then(|others| begins.map(|(index, _)| index).nth(others));
    let Some(tail) = begin.and_then(|begin| written.get(begin..)) else {
        return Vec::new();
    };
    let windows = written.windows(tail.len() + 1);
    let next = windows.filter_map(|window| window.strip_prefix(tail)?.first().copied());
    next.filter(|id| starts(*id)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(temperature: f64, top_p: f64) -> Sampling {
        let (penalties, said) = (Penalties::default(), BTreeMap::new());
        Sampling { temperature, top_p, penalty: 1.0, penalties, said, distinct: 0, asides: true, shunned: Vec::new() }
    }

    #[test]
    fn without_temperature_the_likeliest_wins_and_ties_go_to_the_first() {
        let mut draw = Draw::new(1, &["t"]);
        assert_eq!(plain(0.0, 1.0).choose(&[0.1, 3.0, 3.0, f32::NEG_INFINITY], &mut draw), 1);
    }

    #[test]
    fn draws_follow_the_probabilities_within_the_nucleus() {
        let mut draw = Draw::new(1, &["t"]);
        let logits = [3_f32.ln(), 1_f32.ln(), 0.1_f32.ln()];
        let mut hits = [0_u32; 3];
        for _ in 0..10_000 {
            hits[plain(1.0, 0.95).choose(&logits, &mut draw) as usize] += 1;
        }
        assert_eq!(hits[2], 0, "outside the nucleus");
        assert!((7_300..7_700).contains(&hits[0]), "{hits:?}");
    }

    #[test]
    fn a_sequence_is_not_completed_twice() {
        // Tokens from 10 on begin a word, those below go on with one.
        let repeats = |written: &[u32], words| repeats(written, words, |id| id >= 10);
        assert_eq!(repeats(&[11, 12, 13, 19, 11, 12], 3), [13]);
        assert_eq!(repeats(&[11, 12, 13, 19, 11, 12], 4), [0; 0]);
        assert_eq!(repeats(&[11, 1, 2, 12, 3, 13, 19, 11, 1, 2, 12, 3], 3), [13]);
        assert_eq!(repeats(&[11, 1, 2, 12, 3, 13, 19, 11, 1, 2, 12], 3), [0; 0], "a word is not spoilt");
        assert_eq!(repeats(&[11, 12], 0), [0; 0]);
        assert_eq!(repeats(&[], 3), [0; 0]);
    }

    #[test]
    fn what_was_said_before_costs_what_the_configuration_says_and_nothing_by_default() {
        let penalties = |body: &[(&str, f64)]| {
            let body = body.iter().map(|(field, value)| ((*field).to_owned(), (*value).into())).collect();
            Penalties::of(Some(&Extra { body, ..Extra::default() }))
        };
        let left = |penalties: Penalties| {
            let mut logits = [1.0_f32; 4];
            penalties.take_off(&mut logits, &[(1, 1), (2, 3), (3, 1000), (9, 1)].into());
            logits.map(|logit| logit.to_string())
        };
        assert_eq!(left(penalties(&[("presence_penalty", 0.5)])), ["1", "0.5", "0.5", "0.5"]);
        assert_eq!(left(penalties(&[("frequency_penalty", 0.25)])), ["1", "0.75", "0.25", "0"], "bounded");
        assert_eq!(Penalties::of(None), Penalties::default());
        assert_eq!(penalties(&[("top_k", 40.0)]), Penalties::default());
    }

    proptest! {
        #[test]
        fn a_banned_token_is_never_drawn(seed: u64, banned in 0_usize..60, logits in prop::collection::vec(-5_f32..5.0, 60)) {
            let mut logits = logits;
            logits[banned] = f32::NEG_INFINITY;
            let chosen = plain(1.5, 1.0).choose(&logits, &mut Draw::new(seed, &["p"]));
            prop_assert_ne!(chosen as usize, banned);
        }
    }
}
