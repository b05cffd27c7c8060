//! Which of the sound rows stay: exact duplicates go, then the sample is drawn, then everyone gets a split.
//!
//! All three hang on one hash of the folded text and the seed, so they do not depend on where in the file a row stands, and
//! the sample of N is part of every larger sample.

use std::collections::{BTreeMap, HashMap};

use unicode_normalization::UnicodeNormalization;

use super::PersonaOptions;
use super::row::PersonaRow;
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
    /// Everyone is taken, so its fate is known at once: that of one person or of two.
    Ended(Vec<Fate<Persona>>),
    /// Everyone is taken, but whether the row with this key is a copy is known when all rows were read. If not, these are its people.
    Open(u128, Vec<Persona>),
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
    /// All are taken. The line of each of the first `held` different ones.
    All { held: usize, lines: HashMap<u128, u64> },
    /// The rows with the smallest hashes so far.
    Smallest { limit: usize, kept: BTreeMap<u128, Entry>, listed: u64 },
}

struct Entry {
    line: u64,
    persona: String,
    /// The other one, where the row is a pair: two people who come and go together.
    partner: Option<String>,
    name: Option<String>,
    domain: Option<String>,
    split: usize,
    copies: u64,
    /// Where the copies stand, as far as there is room to list them.
    copy_lines: Vec<u64>,
}

impl<'a> Sampler<'a> {
    /// For rows of `source`. `held`: of how many it is known at once whether a row copies one of them, where everyone is taken.
    pub(super) fn new(source: &'a str, options: &'a PersonaOptions, held: usize) -> Self {
        let (splits, shares) = options.splits.iter().map(|(name, share)| (name.as_str(), *share)).unzip();
        let taken = match options.sample {
            None => Taken::All { held, lines: HashMap::new() },
            Some(sample) => {
                let limit = usize::try_from(sample).unwrap_or(usize::MAX);
                Taken::Smallest { limit, kept: BTreeMap::new(), listed: 0 }
            }
        };
        Self { source, seed: options.seed, splits, shares, taken }
    }

    /// Takes or leaves a row, whose descriptions are trimmed.
    pub(super) fn offer(&mut self, line: u64, row: PersonaRow<'_>) -> Offered {
        let PersonaRow { persona, partner, name, domain } = row;
        let (text, partner) = (persona.as_ref(), partner.as_deref());
        let folded = partner.map_or_else(|| fold(text), |partner| fold(text) + "\n" + &fold(partner));
        let folded = folded.as_str();
        let mut draw = Draw::new(self.seed, &["personas", folded]);
        let key = u128::from(draw.next_u64()) << 64 | u128::from(draw.next_u64());
        let split = draw.weighted(&self.shares).unwrap_or_default();
        let partner = partner.map(str::to_owned);
        let is_pair = partner.is_some();
        let entry =
            |persona: String| Entry { line, persona, partner, name, domain, split, copies: 0, copy_lines: Vec::new() };
        match &mut self.taken {
            Taken::All { held, lines } => {
                if let Some(first) = lines.get(&key) {
                    let copy = |_| Fate::Duplicate(copy_of(*first, self.source, line));
                    return Offered::Ended((0..people(is_pair)).map(copy).collect());
                }
                let people = entry(text.to_owned()).people(self.source, &self.splits);
                if lines.len() >= *held {
                    return Offered::Open(key, people.collect());
                }
                lines.insert(key, line);
                Offered::Ended(people.map(Fate::Accepted).collect())
            }
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
                    return Offered::NotSampled(people(is_pair));
                }
                kept.insert(key, entry(text.to_owned()));
                let driven_out = if full { kept.pop_last() } else { None };
                driven_out.map_or(Offered::Kept, |(_, entry)| {
                    *listed -= entry.copy_lines.len() as u64;
                    Offered::NotSampled((1 + entry.copies) * people(entry.partner.is_some()))
                })
            }
        }
    }

    /// Ends the drawing: those who were taken, in the order of the source, and then their copies. The second: copies that are
    /// only counted.
    pub(super) fn finish(self) -> (impl Iterator<Item = Fate<Persona>>, u64) {
        let entries = match self.taken {
            Taken::All { .. } => Vec::new(),
            Taken::Smallest { kept, .. } => {
                let mut entries: Vec<Entry> = kept.into_values().collect();
                entries.sort_unstable_by_key(|entry| entry.line);
                entries
            }
        };
        let of_pair = |entry: &Entry| people(entry.partner.is_some());
        let unlisted = entries.iter().map(|e| (e.copies - e.copy_lines.len() as u64) * of_pair(e)).sum();
        let listed = |entry: &Entry| {
            let lines = entry.copy_lines.iter().map(|line| (*line, entry.line));
            lines.flat_map(|line| (0..of_pair(entry)).map(move |_| line)).collect::<Vec<_>>()
        };
        let mut copies: Vec<(u64, u64)> = entries.iter().flat_map(listed).collect();
        copies.sort_unstable();
        let (source, splits) = (self.source, self.splits);
        let taken = entries.into_iter().flat_map(move |entry| entry.people(source, &splits).map(Fate::Accepted));
        let copies = copies.into_iter().map(move |(line, first)| Fate::Duplicate(copy_of(first, source, line)));
        (taken.chain(copies), unlisted)
    }
}

/// Lines have ten digits: the largest file there is has 370 million rows.
fn id(line: u64) -> String {
    format!("p{line:010}")
}

pub(super) fn copy_of(first: u64, source: &str, line: u64) -> Duplicate {
    Duplicate { id: format!("{source}:{line}"), kept: id(first), jaccard: 1.0, kind: DuplicateKind::Exact }
}

/// People in a row.
fn people(is_pair: bool) -> u64 {
    if is_pair { 2 } else { 1 }
}

impl Entry {
    /// The person, and the other one of a pair.
    fn people(self, source: &str, splits: &[&str]) -> impl Iterator<Item = Persona> + use<> {
        let person = |id: String, name: Option<String>, persona: String| Persona {
            id,
            hash: record::content_hash([fold(&persona).as_str()]),
            name,
            domain: self.domain.clone(),
            split: splits.get(self.split).copied().unwrap_or(ONLY_SPLIT).to_owned(),
            source: format!("{source}:{}", self.line),
            persona,
        };
        let partner = self.partner.map(|partner| person(id(self.line) + "b", None, partner));
        [Some(person(id(self.line), self.name.clone(), self.persona)), partner].into_iter().flatten()
    }
}
