//! Which of the sound rows stay: exact duplicates go, then the sample is drawn, then everyone gets a split.
//!
//! All three hang on one hash of the folded text and the seed, so they do not depend on where in the file a row stands, and
//! the sample of N is part of every larger sample.

use std::collections::{BTreeMap, HashMap, hash_map};

use unicode_normalization::UnicodeNormalization;

use super::PersonaOptions;
use crate::draw::Draw;
use crate::record::{self, Duplicate, DuplicateKind, Fate, Persona};
use crate::stages::writer::LISTED_ROWS;

/// Where everyone goes when no splits are given.
const ONLY_SPLIT: &str = "train";

/// The text that two rows must share to be duplicates: white space collapsed, invisible marks dropped, and caseless as in
/// Unicode's definition D145 (decompose, fold, compose).
///
/// Folding goes through the upper case and back, which equals full case folding but for a handful of Cherokee letters.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        if word.is_ascii() {
            folded.extend(word.chars().map(|c| c.to_ascii_lowercase()));
        } else {
            let visible = word.nfd().filter(|c| !is_invisible(*c));
            folded.extend(visible.flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc());
        }
    }
    folded
}

/// Zero-width and bidirectional marks: they tell texts apart for no reader.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// What became of a row that was offered.
#[derive(Debug, PartialEq)]
pub(super) enum Offered {
    /// It is in the sample for now, itself or as a copy.
    Kept,
    /// So many rows are now known to be outside the sample: this one, or the one it drove out with its copies.
    NotSampled(u64),
    /// Everyone is taken, so its fate is known at once.
    Ended(Fate<Persona>),
}

/// Draws the sample.
pub(super) struct Sampler<'a> {
    source: &'a str,
    seed: u64,
    splits: Vec<&'a str>,
    shares: Vec<f64>,
    taken: Taken,
}

/// Rows by the hash of what they say.
enum Taken {
    /// The line of each: all are taken.
    All(HashMap<u128, u64>),
    /// The rows with the smallest hashes so far.
    Smallest { limit: usize, kept: BTreeMap<u128, Entry>, listed: u64 },
}

struct Entry {
    line: u64,
    persona: String,
    domain: Option<String>,
    split: usize,
    copies: u64,
    /// Where the copies stand, as far as there is room to list them.
    copy_lines: Vec<u64>,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(source: &'a str, options: &'a PersonaOptions) -> Self {
        let (splits, shares) = options.splits.iter().map(|(name, share)| (name.as_str(), *share)).unzip();
        let taken = match options.sample {
            None => Taken::All(HashMap::new()),
            Some(sample) => {
                let limit = usize::try_from(sample).unwrap_or(usize::MAX);
                Taken::Smallest { limit, kept: BTreeMap::new(), listed: 0 }
            }
        };
        Self { source, seed: options.seed, splits, shares, taken }
    }

    pub(super) fn offer(&mut self, line: u64, text: &str, folded: &str, domain: Option<String>) -> Offered {
        let mut draw = Draw::new(self.seed, &["personas", folded]);
        let key = u128::from(draw.next_u64()) << 64 | u128::from(draw.next_u64());
        let split = draw.weighted(&self.shares).unwrap_or_default();
        let entry = |persona: String| Entry { line, persona, domain, split, copies: 0, copy_lines: Vec::new() };
        match &mut self.taken {
            Taken::All(lines) => match lines.entry(key) {
                hash_map::Entry::Occupied(first) => {
                    Offered::Ended(Fate::Duplicate(copy_of(*first.get(), self.source, line)))
                }
                hash_map::Entry::Vacant(free) => {
                    free.insert(line);
                    let persona = entry(text.to_owned()).persona(self.source, &self.splits);
                    Offered::Ended(Fate::Accepted(persona))
                }
            },
            Taken::Smallest { limit, kept, listed } => {
                if let Some(entry) = kept.get_mut(&key) {
                    entry.copies += 1;
                    if *listed < LISTED_ROWS {
                        *listed += 1;
                        entry.copy_lines.push(line);
                    }
                    return Offered::Kept;
                }
                let full = kept.len() >= *limit;
                if full && kept.last_key_value().is_none_or(|(last, _)| *last < key) {
                    return Offered::NotSampled(1);
                }
                kept.insert(key, entry(text.to_owned()));
                let driven_out = if full { kept.pop_last() } else { None };
                driven_out.map_or(Offered::Kept, |(_, entry)| {
                    *listed -= entry.copy_lines.len() as u64;
                    Offered::NotSampled(1 + entry.copies)
                })
            }
        }
    }

    /// Ends the drawing: those who were taken, in the order of the source, and then their copies. The second: copies that are
    /// only counted.
    pub(super) fn finish(self) -> (impl Iterator<Item = Fate<Persona>>, u64) {
        let entries = match self.taken {
            Taken::All(_) => Vec::new(),
            Taken::Smallest { kept, .. } => {
                let mut entries: Vec<Entry> = kept.into_values().collect();
                entries.sort_unstable_by_key(|entry| entry.line);
                entries
            }
        };
        let unlisted = entries.iter().map(|entry| entry.copies - entry.copy_lines.len() as u64).sum();
        let mut copies: Vec<(u64, u64)> =
            entries.iter().flat_map(|entry| entry.copy_lines.iter().map(|line| (*line, entry.line))).collect();
        copies.sort_unstable();
        let (source, splits) = (self.source, self.splits);
        let taken = entries.into_iter().map(move |entry| Fate::Accepted(entry.persona(source, &splits)));
        let copies = copies.into_iter().map(move |(line, first)| Fate::Duplicate(copy_of(first, source, line)));
        (taken.chain(copies), unlisted)
    }
}

/// Lines have ten digits: the largest file there is has 370 million rows.
fn id(line: u64) -> String {
    format!("p{line:010}")
}

fn copy_of(first: u64, source: &str, line: u64) -> Duplicate {
    Duplicate { id: format!("{source}:{line}"), kept: id(first), jaccard: 1.0, kind: DuplicateKind::Exact }
}

impl Entry {
    fn persona(self, source: &str, splits: &[&str]) -> Persona {
        Persona {
            id: id(self.line),
            hash: record::content_hash([fold(&self.persona).as_str()]),
            name: None,
            domain: self.domain,
            split: splits.get(self.split).copied().unwrap_or(ONLY_SPLIT).to_owned(),
            source: format!("{source}:{}", self.line),
            persona: self.persona,
        }
    }
}
