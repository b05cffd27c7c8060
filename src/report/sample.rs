//! A sample of conversations that two corpora are compared on.
//!
//! Figures that look across conversations (distinct openers, distinct n-grams, compression, self-repetition) move with
//! the size of what they look at. They are therefore measured on samples of equal size: as much as both sides have, up to
//! the limits here. Which conversations are taken follows from their position by a draw, so it does not favour early rounds.

use std::collections::BTreeMap;

use super::dialogue::{Dialogue, Words};
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
    words: Words,
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
    pub(super) fn offer(&mut self, dialogue: &Dialogue, words: &Words) {
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
    pub(super) fn conversations(&self, count: usize) -> Vec<&Words> {
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
        text.truncate(text.floor_char_boundary(bytes));
        text
    }
}
