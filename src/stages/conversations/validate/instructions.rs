//! What speakers were told, taken apart once for all conversations of a run: only their names differ.

use std::sync::Arc;

use super::words::{SpokenWords, WordHash};

/// Stands for the speaker's name in a text given to [`Instructions::with_gaps`]. Nobody writes it: it means nothing in Unicode.
pub(crate) const NAME: char = '\u{e000}';

/// The words of what speakers were told.
#[derive(Debug)]
pub(crate) struct Instructions {
    pieces: Vec<Piece>,
    /// The words that are the same for everyone, sorted.
    vocabulary: Vec<WordHash>,
    /// What stands between two spaces around a name, such as `NAME's`, each once.
    named: Vec<String>,
}

#[derive(Debug)]
enum Piece {
    Word(WordHash),
    /// An index into `named`.
    Named(usize),
}

impl Instructions {
    /// Takes `text` apart.
    pub(crate) fn read(text: &str) -> Self {
        Self::with_gaps(&text.replace(NAME, " "))
    }

    /// Takes `text` apart, in which [`NAME`] stands for the speaker's name. No word spans a space, so a name changes no more
    /// than what stands between two of them.
    pub(crate) fn with_gaps(text: &str) -> Self {
        let (mut pieces, mut named) = (Vec::new(), Vec::new());
        for part in text.split([' ', '\n']) {
            if part.contains(NAME) {
                let known = named.iter().position(|known| known == part);
                pieces.push(Piece::Named(known.unwrap_or(named.len())));
                named.extend(known.is_none().then(|| part.to_owned()));
            } else {
                pieces.extend(SpokenWords::of(part).into_keys().into_iter().map(Piece::Word));
            }
        }
        let words = pieces.iter().filter_map(|piece| if let Piece::Word(word) = piece { Some(*word) } else { None });
        let mut vocabulary: Vec<WordHash> = words.collect();
        vocabulary.sort_unstable();
        vocabulary.dedup();
        Self { pieces, vocabulary, named }
    }
}

/// What one speaker was told.
#[derive(Debug)]
pub(super) struct SpeakerBrief {
    instructions: Arc<Instructions>,
    /// The words of each part with the name in it.
    named: Vec<Vec<WordHash>>,
}

impl SpeakerBrief {
    pub(super) fn new(instructions: Arc<Instructions>, name: &str) -> Self {
        let with_name = |part: &String| SpokenWords::of(&part.replace(NAME, name)).into_keys();
        let named = instructions.named.iter().map(with_name).collect();
        Self { instructions, named }
    }

    /// Whether a word is among them.
    pub(super) fn has(&self, word: WordHash) -> bool {
        self.instructions.vocabulary.binary_search(&word).is_ok() || self.named.iter().any(|part| part.contains(&word))
    }

    /// All words in order, and then `more`.
    pub(super) fn words(&self, more: &[WordHash]) -> Vec<WordHash> {
        let mut words = Vec::with_capacity(self.instructions.pieces.len() + more.len());
        for piece in &self.instructions.pieces {
            match piece {
                Piece::Word(word) => words.push(*word),
                Piece::Named(part) => words.extend(self.named.get(*part).into_iter().flatten()),
            }
        }
        words.extend(more);
        words
    }
}
