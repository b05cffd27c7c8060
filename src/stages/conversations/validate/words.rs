//! The words of a text.

use unicode_segmentation::UnicodeSegmentation;
use xxhash_rust::xxh3::xxh3_64;

use crate::lexicon::is_unspaced;

/// A word as it is compared: the XXH3 of its letters. Two of the some thousand words of a conversation share one by chance
/// once in 10^12 conversations.
pub(super) type WordHash = u64;

/// The key of a word in lower case.
pub(super) fn key(word: &str) -> WordHash {
    xxh3_64(word.as_bytes())
}

/// Lower-cased words by Unicode's rules (UAX 29), so that scripts without spaces have words too: a word is a character there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SpokenWords {
    /// The words, one after the other.
    letters: String,
    /// Where each ends in `letters`.
    ends: Vec<usize>,
    keys: Vec<WordHash>,
}

impl SpokenWords {
    /// The words of `text`.
    pub(super) fn of(text: &str) -> Self {
        let mut words = Self {
            letters: String::with_capacity(text.len()),
            ends: Vec::new(),
            keys: Vec::with_capacity(text.len() / 5),
        };
        in_order(text).for_each(|word| words.push(word));
        words
    }

    fn push(&mut self, word: &str) {
        let start = self.letters.len();
        if word.is_ascii() {
            self.letters.extend(word.bytes().map(|byte| char::from(byte.to_ascii_lowercase())));
        } else {
            // As a whole: what a sigma becomes depends on its place in the word.
            self.letters.push_str(&word.to_lowercase().replace('’', "'"));
        }
        self.ends.push(self.letters.len());
        self.keys.push(key(self.letters.get(start..).unwrap_or_default()));
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each word.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.letters.get(start..*end).unwrap_or_default())
    }

    /// The key of each word.
    pub(super) fn keys(&self) -> &[WordHash] {
        &self.keys
    }

    /// The keys alone, without the letters.
    pub(super) fn into_keys(self) -> Vec<WordHash> {
        self.keys
    }

    /// Whether most words are characters of scripts that set no spaces.
    pub(super) fn are_unspaced(&self) -> bool {
        self.iter().filter(|word| word.chars().all(is_unspaced)).count() * 2 > self.len()
    }
}

/// How many words a text has.
pub(super) fn count(text: &str) -> usize {
    in_order(text).count()
}

/// The words as they are written. No word spans a space, unless a mark sits on it, and what stands between two is mostly
/// ASCII, which is faster to take apart.
fn in_order(text: &str) -> impl Iterator<Item = &str> {
    let unmarked = |at: &usize| text.as_bytes().get(at + 1).is_none_or(u8::is_ascii);
    let ends = text.match_indices(' ').map(|(at, _)| at).filter(unmarked).chain([text.len()]);
    let pieces = ends.scan(0, |start, end| text.get(std::mem::replace(start, end + 1)..end));
    pieces.flat_map(UnicodeSegmentation::unicode_words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_are_those_of_the_whole_text(text in "([a-zA-Z0-9Σσßİあ王กא_’'.:,;!\\-\u{301}\u{11d3c}\u{200d}\u{202f}\u{a0}\t\n ]|\\PC){0,40}") {
            let whole: Vec<String> = text.unicode_words().map(|word| word.to_lowercase().replace('’', "'")).collect();
            let words = SpokenWords::of(&text);
            prop_assert_eq!(words.iter().collect::<Vec<_>>(), &whole[..]);
            prop_assert_eq!(words.keys(), whole.iter().map(|word| key(word)).collect::<Vec<_>>());
            prop_assert_eq!((words.len(), count(&text)), (whole.len(), whole.len()));
        }
    }
}
