//! A sample of conversations that two corpora are compared on.
//!
//! Figures that look across conversations (distinct openers, distinct n-grams, compression, self-repetition) move with
//! the size of what they look at. They are therefore measured on samples of equal size: as much as both sides have, up to
//! the limits here. Which conversations are taken follows from their position by a draw, so it does not favour early rounds.

use std::collections::BTreeMap;

use super::dialogue::{Dialogue, WordHashes};
use crate::draw::Draw;

/// Most conversations a sample compares.
const CONVERSATIONS: usize = 1_000;
/// Most turns whose openers are compared.
const TURNS: usize = 5_000;
/// Most words.
const WORDS: usize = 200_000;
/// Most bytes that are compressed: the size that the human values of compression were measured at.
const BYTES: usize = 150_000;

/// What of a corpus is compared, in drawn order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Size {
    /// Conversations.
    pub conversations: usize,
    /// Turns.
    pub turns: usize,
    /// Words.
    pub words: usize,
    /// Bytes of text.
    pub bytes: usize,
}

impl Size {
    /// What both have.
    pub(super) fn least(self, other: Self) -> Self {
        Self {
            conversations: self.conversations.min(other.conversations),
            turns: self.turns.min(other.turns),
            words: self.words.min(other.words),
            bytes: self.bytes.min(other.bytes),
        }
    }
}

/// The conversations with the smallest draws, as few as reach every limit.
#[derive(Debug, Default)]
pub(super) struct Sample {
    taken: BTreeMap<(u64, u64), Item>,
    seen: u64,
    held: Held,
}

#[derive(Debug)]
struct Item {
    words: WordHashes,
    text: String,
    turns: usize,
}

/// What the items come to.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    turns: usize,
    words: usize,
    bytes: usize,
}

impl Held {
    fn without(self, item: &Item) -> Self {
        Self {
            turns: self.turns - item.turns,
            words: self.words - item.words.all().len(),
            bytes: self.bytes - item.text.len(),
        }
    }

    fn is_enough(self, conversations: usize) -> bool {
        conversations >= CONVERSATIONS && self.turns >= TURNS && self.words >= WORDS && self.bytes >= BYTES
    }
}

impl Sample {
    /// Offers the next conversation.
    pub(super) fn offer(&mut self, dialogue: &Dialogue, words: &WordHashes) {
        let key = (Draw::new(0, &["report", "sample", &self.seen.to_string()]).next_u64(), self.seen);
        self.seen += 1;
        let is_full = self.held.is_enough(self.taken.len());
        if is_full && self.taken.last_key_value().is_some_and(|(last, _)| *last < key) {
            return;
        }
        let item = Item { words: words.clone(), text: dialogue.text(), turns: dialogue.lines.len() };
        self.held.turns += item.turns;
        self.held.words += item.words.all().len();
        self.held.bytes += item.text.len();
        self.taken.insert(key, item);
        self.shed();
    }

    /// Lets go of what no limit needs.
    fn shed(&mut self) {
        let mut count = self.taken.len();
        while let Some(last) = self.taken.last_entry() {
            let left = self.held.without(last.get());
            count -= 1;
            if !left.is_enough(count) {
                break;
            }
            last.remove();
            self.held = left;
        }
    }

    /// How much there is to compare, within the limits.
    pub(super) fn size(&self) -> Size {
        Size {
            conversations: self.taken.len().min(CONVERSATIONS),
            turns: self.held.turns.min(TURNS),
            words: self.held.words.min(WORDS),
            bytes: self.held.bytes.min(BYTES),
        }
    }

    /// The words of the first so many conversations.
    pub(super) fn conversations(&self, count: usize) -> Vec<&WordHashes> {
        self.taken.values().take(count).map(|item| &item.words).collect()
    }

    /// The words of all conversations.
    pub(super) fn documents(&self) -> Vec<&[u64]> {
        self.taken.values().map(|item| item.words.all()).collect()
    }

    /// The words of the first so many turns.
    pub(super) fn turns(&self, turns: usize) -> Vec<&[u64]> {
        self.taken.values().flat_map(|item| item.words.lines()).take(turns).collect()
    }

    /// The first so many bytes of text, down to a whole character.
    pub(super) fn text(&self, bytes: usize) -> String {
        let mut text = String::new();
        for item in self.taken.values() {
            text.push_str(&item.text);
            if text.len() >= bytes {
                break;
            }
        }
        let mut end = bytes.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::dialogue::DialogueLine;

    fn talk(at: usize, lines: usize) -> Dialogue {
        let line =
            |n: usize| DialogueLine { speaker: n % 2, text: format!("talk {at} says ä{n} and then some more of it") };
        Dialogue { people: 2, lines: (0..lines).map(line).collect(), ..Dialogue::default() }
    }

    fn sampled(count: usize, lines: usize) -> Sample {
        let mut sample = Sample::default();
        for at in 0..count {
            let dialogue = talk(at, lines);
            sample.offer(&dialogue, &WordHashes::of(&dialogue));
        }
        sample
    }

    #[test]
    fn a_small_corpus_is_its_own_sample() {
        let sample = sampled(7, 3);
        let bytes: usize = (0..7).map(|at| talk(at, 3).text().len()).sum();
        assert_eq!(sample.size(), Size { conversations: 7, turns: 21, words: 21 * 10, bytes });
        assert_eq!(sample.text(usize::MAX).len(), bytes);
        assert_eq!(sample.turns(5).len(), 5);
    }

    #[test]
    fn a_large_corpus_leaves_as_many_as_the_limits_need_in_drawn_order() {
        let (large, larger) = (sampled(3_000, 10), sampled(4_000, 10));
        assert_eq!(large.size(), Size { conversations: CONVERSATIONS, turns: TURNS, words: WORDS, bytes: BYTES });
        // 100 words each.
        assert_eq!(large.documents().len(), WORDS / 100);
        assert!(larger.documents().len() == WORDS / 100 && larger.text(1_000) != large.text(1_000));
        assert_eq!(sampled(3_000, 10).text(BYTES), large.text(BYTES));
        // Not the first ones: what came late has its part.
        let late = large.taken.keys().filter(|(_, position)| *position >= 1_500).count();
        assert!((800..1_200).contains(&late), "{late} of {}", large.taken.len());
    }

    #[test]
    fn text_is_cut_between_characters() {
        let sample = sampled(2, 1);
        for bytes in 0..20 {
            assert!(sample.text(bytes).len() <= bytes);
        }
    }
}
