//! Which of the sound rows stay: exact duplicates go, then the sample is drawn, then everyone gets a split.
//!
//! All three hang on one hash of the folded text and the seed, so they do not depend on where in the file a row stands, and
//! the sample of N is part of every larger sample.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use super::{Duplicate, LISTED_ROWS};
use crate::draw::Draw;
use crate::record::{self, Persona};

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
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is in the sample for now, itself or as a copy.
    Kept,
    /// So many rows are now known to be outside the sample: this one, or the one it drove out with its copies.
    NotSampled(u64),
}

/// The rows with the smallest hashes so far.
pub(super) struct Sampler {
    limit: usize,
    seed: u64,
    splits: Vec<String>,
    shares: Vec<f64>,
    kept: BTreeMap<u128, Entry>,
    listed: usize,
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

/// What the sampler ends with.
pub(super) struct Kept {
    pub(super) accepted: Vec<Persona>,
    pub(super) duplicates: Vec<Duplicate>,
    pub(super) copies: u64,
}

impl Sampler {
    pub(super) fn new(sample: Option<u64>, seed: u64, splits: &BTreeMap<String, f64>) -> Self {
        let limit = sample.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let (splits, shares) = splits.iter().map(|(name, share)| (name.clone(), *share)).unzip();
        Self { limit, seed, splits, shares, kept: BTreeMap::new(), listed: 0 }
    }

    pub(super) fn offer(&mut self, line: u64, text: &str, folded: &str, domain: Option<String>) -> Outcome {
        let mut draw = Draw::new(self.seed, &["personas", folded]);
        let key = u128::from(draw.next_u64()) << 64 | u128::from(draw.next_u64());
        if let Some(entry) = self.kept.get_mut(&key) {
            entry.copies += 1;
            if self.listed < LISTED_ROWS {
                self.listed += 1;
                entry.copy_lines.push(line);
            }
            return Outcome::Kept;
        }
        let full = self.kept.len() >= self.limit;
        if full && self.kept.last_key_value().is_none_or(|(last, _)| *last < key) {
            return Outcome::NotSampled(1);
        }
        let split = draw.weighted(&self.shares).unwrap_or_default();
        let entry = Entry { line, persona: text.to_owned(), domain, split, copies: 0, copy_lines: Vec::new() };
        self.kept.insert(key, entry);
        if full { self.drop_last() } else { Outcome::Kept }
    }

    fn drop_last(&mut self) -> Outcome {
        let Some((_, entry)) = self.kept.pop_last() else { return Outcome::Kept };
        self.listed -= entry.copy_lines.len();
        Outcome::NotSampled(1 + entry.copies)
    }

    pub(super) fn finish(self, source: &str) -> Kept {
        let mut entries: Vec<Entry> = self.kept.into_values().collect();
        entries.sort_unstable_by_key(|entry| entry.line);
        let copies = entries.iter().map(|entry| entry.copies).sum();
        let mut duplicates: Vec<Duplicate> = entries.iter().flat_map(|entry| entry.duplicates(source)).collect();
        duplicates.sort_unstable_by_key(|row| row.line);
        let accepted = entries.into_iter().map(|entry| entry.persona(source, &self.splits)).collect();
        Kept { accepted, duplicates, copies }
    }
}

impl Entry {
    /// Lines have ten digits: the largest file there is has 370 million rows.
    fn id(&self) -> String {
        format!("p{:010}", self.line)
    }

    fn duplicates(&self, source: &str) -> impl Iterator<Item = Duplicate> {
        let row = |line: &u64| Duplicate { source: source.to_owned(), line: *line, kept: self.id() };
        self.copy_lines.iter().map(row)
    }

    fn persona(self, source: &str, splits: &[String]) -> Persona {
        Persona {
            id: self.id(),
            hash: record::content_hash([fold(&self.persona).as_str()]),
            name: None,
            domain: self.domain,
            split: splits.get(self.split).map_or(ONLY_SPLIT, String::as_str).to_owned(),
            source: format!("{source}:{}", self.line),
            persona: self.persona,
        }
    }
}
