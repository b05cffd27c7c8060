//! A conversation as it is measured, whatever file it came from.

use std::collections::HashMap;

use unicode_segmentation::UnicodeSegmentation;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::record::Conversation;

/// Who said what, in order, and what only records of convogen tell besides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dialogue {
    /// People in the room, the silent ones too where that is known.
    pub(super) people: usize,
    pub(super) lines: Vec<DialogueLine>,
    /// Replies a turn took beyond the first, summed.
    pub(super) asked_again: u64,
    /// BCP 47 tag; `None` where the file does not say.
    pub(super) language: Option<String>,
    pub(super) notes: Option<RecordNotes>,
}

/// One line of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DialogueLine {
    /// Position among the people, from 0.
    pub(super) speaker: usize,
    pub(super) text: String,
}

/// A conversation of another tool's, with what only a reader wants to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ForeignTalk {
    /// What the file calls it, if anything.
    pub(super) id: Option<String>,
    /// What the people are called, by their position.
    pub(super) names: Vec<String>,
    pub(super) dialogue: Dialogue,
}

/// What only records of convogen tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RecordNotes {
    pub(super) attributes: String,
    pub(super) provenance: String,
    pub(super) safety: String,
    pub(super) judgement: String,
    pub(super) stop_reason: String,
    /// Replies that each turn took.
    pub(super) attempts: Vec<u32>,
}

impl From<Conversation> for Dialogue {
    fn from(record: Conversation) -> Self {
        let mut cast = Speakers::default();
        for person in &record.participants {
            cast.position(&person.id);
        }
        let asked_again = record.turns.iter().map(|turn| u64::from(turn.attempts.saturating_sub(1))).sum();
        let attempts = record.turns.iter().map(|turn| turn.attempts).collect();
        let turns = record.turns.into_iter();
        let lines =
            turns.map(|turn| DialogueLine { speaker: cast.position(&turn.speaker_id), text: turn.text }).collect();
        Self {
            people: cast.len(),
            lines,
            asked_again,
            language: Some(record.language),
            notes: Some(RecordNotes {
                attributes: record.attributes,
                provenance: record.provenance,
                safety: record.safety,
                judgement: record.judgement,
                stop_reason: record.stop_reason,
                attempts,
            }),
        }
    }
}

impl Dialogue {
    /// Stands for who said what: equal for exact copies, whatever the people are called.
    pub(super) fn hash(&self) -> u128 {
        let mut hasher = Xxh3::new();
        for line in &self.lines {
            hasher.update(&(line.speaker as u64).to_le_bytes());
            hasher.update(&(line.text.len() as u64).to_le_bytes());
            hasher.update(line.text.as_bytes());
        }
        hasher.digest128()
    }

    /// The lines as one text, each ended by a line break.
    pub(super) fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect()
    }
}

/// People by what identifies them, in the order in which they were first met.
#[derive(Debug, Default)]
pub(super) struct Speakers(HashMap<String, usize>);

impl Speakers {
    /// The position of a person, who joins if not there yet.
    pub(super) fn position(&mut self, id: &str) -> usize {
        if let Some(position) = self.0.get(id) {
            return *position;
        }
        let position = self.0.len();
        self.0.insert(id.to_owned(), position);
        position
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What identifies them, in order.
    pub(super) fn names(self) -> Vec<String> {
        let mut people: Vec<(String, usize)> = self.0.into_iter().collect();
        people.sort_by_key(|(_, position)| *position);
        people.into_iter().map(|(name, _)| name).collect()
    }
}

/// The words of a dialogue as hashes.
///
/// A word is what Unicode's word boundaries (UAX 29) make of a text, lower-cased, without punctuation. In scripts written
/// without spaces (Chinese, Japanese, Thai) that is a character, katakana in runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WordHashes {
    hashes: Vec<u64>,
    /// Where each line ends in `hashes`.
    ends: Vec<usize>,
}

impl WordHashes {
    pub(super) fn of(dialogue: &Dialogue) -> Self {
        let mut words = Self::default();
        for line in &dialogue.lines {
            words.hashes.extend(hashes(&line.text));
            words.ends.push(words.hashes.len());
        }
        words
    }

    /// All of them, in order.
    pub(super) fn all(&self) -> &[u64] {
        &self.hashes
    }

    /// Line by line.
    pub(super) fn lines(&self) -> impl DoubleEndedIterator<Item = &[u64]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges: Vec<_> = starts.zip(self.ends.iter().copied()).collect();
        ranges.into_iter().map(|(start, end)| self.hashes.get(start..end).unwrap_or_default())
    }
}

/// The hashes of the words of a text. See [`WordHashes`].
pub(super) fn hashes(text: &str) -> impl Iterator<Item = u64> {
    text.unicode_words().map(|word| {
        let mut buffer = [0; 32];
        match buffer.get_mut(..word.len()) {
            // Nearly every word of most texts, without an allocation.
            Some(lower) if word.is_ascii() => {
                lower.copy_from_slice(word.as_bytes());
                lower.make_ascii_lowercase();
                xxh3_64(lower)
            }
            _ => xxh3_64(word.to_lowercase().as_bytes()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unicode_words_and_characters_where_there_are_no_spaces() {
        let count = |text: &str| hashes(text).count();
        assert_eq!(count("Don't — it's 3.5 kilometres!"), 4);
        assert_eq!(count("今天天气很好。"), 6);
        assert_eq!(count("สวัสดี"), "สวัสดี".graphemes(true).count());
        assert_eq!(hashes("STRASSE Ärger").collect::<Vec<_>>(), hashes("strasse ärger").collect::<Vec<_>>());
        let long = "a".repeat(40);
        assert_eq!(hashes(&long.to_uppercase()).next(), hashes(&long).next());
    }

    #[test]
    fn a_copy_is_a_copy_whatever_the_people_are_called() {
        let talk = |lines: &[(usize, &str)]| Dialogue {
            lines: lines
                .iter()
                .map(|(speaker, text)| DialogueLine { speaker: *speaker, text: (*text).to_owned() })
                .collect(),
            ..Dialogue::default()
        };
        assert_eq!(talk(&[(0, "a"), (1, "b")]).hash(), talk(&[(0, "a"), (1, "b")]).hash());
        assert_ne!(talk(&[(0, "a"), (1, "b")]).hash(), talk(&[(0, "ab"), (1, "")]).hash());
        assert_ne!(talk(&[(0, "a"), (1, "b")]).hash(), talk(&[(0, "a"), (0, "b")]).hash());
    }
}
