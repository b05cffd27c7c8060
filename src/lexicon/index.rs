//! The table in which the words of all lists of a lexicon stand.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::format::{LEAST_BYTES, LexiconEntry, Malformed, sections};
use super::{Marks, Source};
use crate::config::assets;

const FOLDER: &str = "prompts/lexicons";

/// Most lists of a lexicon: [`Marks`] has a bit for each.
const MOST_LISTS: usize = 64;

/// The lists of a lexicon, their entries in order, and where to look words up.
#[derive(Debug, Default)]
pub(super) struct LexiconIndex {
    pub(super) headings: Vec<&'static str>,
    pub(super) entries: Vec<Vec<LexiconEntry>>,
    pub(super) words: LexiconTable<&'static str, LexiconMatches>,
    pub(super) starts: Parts,
    pub(super) ends: Parts,
}

/// The lists that hold a word, and the phrases that go on from it.
#[derive(Debug, Default)]
pub(super) struct LexiconMatches {
    pub(super) marks: Marks,
    pub(super) phrases: Vec<(Vec<&'static str>, Marks)>,
}

impl LexiconIndex {
    pub(super) fn read(source: Source) -> Result<Self, Malformed> {
        let (Source::File(path) | Source::Folder(path) | Source::Heading { folder: path, .. }) = source;
        let path = format!("{FOLDER}/{path}");
        let file = assets::ALL.iter().filter(|(name, _)| *name == path).copied();
        let mut index = Self::default();
        for (name, text) in file.chain(assets::builtin_folder(&path)) {
            for section in sections(name, text)? {
                match source {
                    Source::Heading { heading, .. } if heading != section.heading => {}
                    Source::Heading { .. } => index.add(name, language(name), &section.entries)?,
                    Source::File(_) | Source::Folder(_) => index.add(name, section.heading, &section.entries)?,
                }
            }
        }
        Ok(index)
    }

    pub(super) fn add(
        &mut self,
        file: &str,
        heading: &'static str,
        written: &[(usize, &'static str)],
    ) -> Result<(), Malformed> {
        let place = self.headings.iter().position(|known| *known == heading).unwrap_or(self.headings.len());
        if place == self.headings.len() {
            self.headings.push(heading);
            self.entries.push(Vec::new());
        }
        for (line, entry) in written {
            let wrong = |wrong| Malformed { file: file.to_owned(), line: *line, wrong };
            if place >= MOST_LISTS {
                return Err(wrong("more lists than fit into one lexicon"));
            }
            let entry = LexiconEntry::parse(entry).map_err(wrong)?;
            self.entries.get_mut(place).into_iter().for_each(|entries| entries.push(entry));
            self.mark(entry, Marks(1 << place));
        }
        Ok(())
    }

    fn mark(&mut self, entry: LexiconEntry, marks: Marks) {
        match entry {
            LexiconEntry::Words(text) => {
                let whole = self.words.entry(text).or_default();
                whole.marks = whole.marks.and(marks);
                if let Some((first, rest)) = text.split_once(' ') {
                    let rest = rest.split(' ').collect();
                    self.words.entry(first).or_default().phrases.push((rest, marks));
                }
            }
            LexiconEntry::Start(part) => self.starts.add(part.as_bytes().first_chunk(), part, marks),
            LexiconEntry::End(part) => self.ends.add(part.as_bytes().last_chunk(), part, marks),
            LexiconEntry::Inside(_) | LexiconEntry::Pattern(_) => {}
        }
    }
}

/// The name of a file without folder and ending.
fn language(file: &'static str) -> &'static str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".txt").unwrap_or(name)
}

/// Starts of words, or their ends, by the bytes at that side; of several the longest first.
#[derive(Debug, Default)]
pub(super) struct Parts(LexiconTable<[u8; LEAST_BYTES], Vec<(&'static str, Marks)>>);

impl Parts {
    fn add(&mut self, key: Option<&[u8; LEAST_BYTES]>, part: &'static str, marks: Marks) {
        let Some(key) = key else { return };
        let parts = self.0.entry(*key).or_default();
        parts.push((part, marks));
        parts.sort_by_key(|(part, _)| Reverse(part.len()));
    }

    pub(super) fn at(&self, key: Option<&[u8; LEAST_BYTES]>) -> impl Iterator<Item = (&'static str, Marks)> {
        key.and_then(|key| self.0.get(key)).into_iter().flatten().copied()
    }
}

pub(super) type LexiconTable<K, V> = HashMap<K, V, BuildHasherDefault<Fnv>>;

/// FNV-1a (draft-eastlake-fnv): quicker for short words than the hash of the standard library, whose safety against chosen
/// keys is not needed where what ships is all that is ever put in.
#[derive(Debug)]
pub(super) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
