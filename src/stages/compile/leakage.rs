//! What crosses from one split into another.
//!
//! People are put into splits before groups are formed, so nobody should cross. That is checked here on the finished
//! records and written into the manifest and the card, because imported situations come with people of their own.
//! Situations and conversations were compared with each other, over all splits, where duplicates were removed; only where
//! they were left in are they compared here.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::{CompileError, RecordSource};
use crate::stages::dedup::{Shingling, TextIndex, normalize};
use crate::store::fs::FsError;
use crate::store::lines::LinesFile;
use crate::store::sort::Sorter;

/// Appearances of people that are remembered, so that who appears again and again is looked at once: 1 MiB of them.
const REMEMBERED: usize = 1 << 15;
/// Texts that are looked at to choose the pieces that are compared.
const SAMPLE: usize = 1_000;

/// What is found in more than one split. All zero in a dataset whose splits are clean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leakage {
    /// Ids of people who appear in more than one split.
    pub persona_ids: u64,
    /// Descriptions of people, case and punctuation aside, that appear in more than one split.
    pub persona_texts: u64,
    /// Situations with an exact or near duplicate in another split.
    pub situations: u64,
    /// Conversations with an exact or near duplicate in another split.
    pub conversations: u64,
    /// When situations and conversations were compared across splits.
    #[serde(default)]
    pub compared: Compared,
}

/// When situations and conversations were compared across splits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Compared {
    /// When duplicates were removed, over all splits: what was found then is not in the dataset, so none is counted.
    WhenMade,
    /// When the dataset was compiled: what was found is in it, and counted.
    #[default]
    WhenCompiled,
}

/// Finds out who appears in more than one split, in memory that does not grow with their number.
#[derive(Debug)]
pub(super) struct People {
    splits: Vec<String>,
    remembered: HashSet<u128>,
    ids: Crossing,
    texts: Crossing,
}

impl People {
    /// Nobody yet. Up to `held` people are in memory, further ones in files in `folder`, sorted with about `memory` bytes.
    pub(super) fn new(folder: &Path, held: usize, memory: usize) -> Self {
        let crossing = || Crossing { folder: folder.to_owned(), held, memory, keys: HashMap::new(), aside: None };
        Self { splits: Vec::new(), remembered: HashSet::new(), ids: crossing(), texts: crossing() }
    }

    /// Someone appears in a split.
    pub(super) fn meet(&mut self, id: &str, text: &str, split: &str) -> Result<(), FsError> {
        let appearance = [id, text, split].map(|part| xxh3_128(part.as_bytes()).to_le_bytes()).concat();
        if !self.remembered.insert(xxh3_128(&appearance)) {
            return Ok(());
        }
        if self.remembered.len() >= REMEMBERED {
            self.remembered.clear();
        }
        let split = self.number(split);
        self.ids.add(xxh3_128(id.as_bytes()), split)?;
        self.texts.add(xxh3_128(normalize(text).as_bytes()), split)
    }

    fn number(&mut self, split: &str) -> u32 {
        let at = self.splits.iter().position(|other| other == split).unwrap_or_else(|| {
            self.splits.push(split.to_owned());
            self.splits.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// How many ids, and how many texts, are in more than one split, and how many texts there are.
    pub(super) fn crossing(&mut self) -> Result<(u64, u64, u64), FsError> {
        let ((ids, _), (texts, all)) = (self.ids.count()?, self.texts.count()?);
        Ok((ids, texts, all))
    }
}

/// Counts keys that appear in more than one split.
#[derive(Debug)]
struct Crossing {
    folder: PathBuf,
    held: usize,
    memory: usize,
    keys: HashMap<u128, Seen>,
    aside: Option<Sorter>,
}

/// Where a key was seen.
#[derive(Debug, Clone, Copy)]
struct Seen {
    split: u32,
    elsewhere: bool,
}

impl Seen {
    fn and(self, other: Self) -> Self {
        Self { elsewhere: self.elsewhere || other.elsewhere || self.split != other.split, ..self }
    }

    fn to_bytes(self) -> [u8; 5] {
        let [a, b, c, d] = self.split.to_le_bytes();
        [a, b, c, d, u8::from(self.elsewhere)]
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let split = u32::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default());
        Self { split, elsewhere: bytes.last() == Some(&1) }
    }
}

impl Crossing {
    fn add(&mut self, key: u128, split: u32) -> Result<(), FsError> {
        let seen = Seen { split, elsewhere: false };
        self.keys.entry(key).and_modify(|known| *known = known.and(seen)).or_insert(seen);
        if self.keys.len() >= self.held { self.put_aside() } else { Ok(()) }
    }

    fn put_aside(&mut self) -> Result<(), FsError> {
        let sorter = self.aside.get_or_insert_with(|| Sorter::new(&self.folder, self.memory));
        self.keys.drain().try_for_each(|(key, seen)| sorter.push(&key.to_be_bytes(), &seen.to_bytes()))
    }

    /// How many keys are in more than one split, and how many there are.
    fn count(&mut self) -> Result<(u64, u64), FsError> {
        if self.aside.is_some() {
            self.put_aside()?;
        }
        let Some(sorter) = self.aside.take() else {
            let crossing = self.keys.values().filter(|seen| seen.elsewhere).count() as u64;
            return Ok((crossing, self.keys.len() as u64));
        };
        let (mut rows, mut count, mut all) = (sorter.finish()?, 0, 0);
        let mut last: Option<(Vec<u8>, Seen)> = None;
        while rows.advance()? {
            let (key, value) = rows.record();
            let seen = Seen::from_bytes(value);
            match &mut last {
                Some((same, known)) if same == key => *known = known.and(seen),
                _ => {
                    all += 1;
                    count += u64::from(last.replace((key.to_vec(), seen)).is_some_and(|(_, seen)| seen.elsewhere));
                }
            }
        }
        Ok((count + u64::from(last.is_some_and(|(_, seen)| seen.elsewhere)), all))
    }
}

/// How many rows have a text that duplicates one of another split, a pair counted on both sides. A split is a file.
///
/// One split is indexed at a time, with files in `folder`; what is held besides is a bit for each row.
pub(super) fn near<R: DeserializeOwned>(
    splits: Vec<LinesFile>,
    threshold: f64,
    text: fn(&R) -> String,
    folder: &Path,
) -> Result<u64, CompileError> {
    let splits: Vec<RecordSource> = splits.into_iter().map(|file| RecordSource::spooled(vec![file])).collect();
    if splits.len() < 2 {
        return Ok(0);
    }
    let shingling = shingling(splits.iter().flat_map(|split| texts(split, text)))?;
    let mut crossing: Vec<Marks> = splits.iter().map(|_| Marks::default()).collect();
    for (at, split) in splits.iter().enumerate() {
        let mut index = TextIndex::create(threshold, shingling, folder)?;
        for text in texts(split, text) {
            index.add("", &text?)?;
        }
        for ((_, other), marks) in splits.iter().enumerate().zip(&mut crossing).filter(|((other, _), _)| *other != at) {
            for (row, text) in texts(other, text).enumerate() {
                if index.check(&text?)?.is_some() {
                    marks.set(row);
                }
            }
        }
    }
    Ok(crossing.iter().map(Marks::count).sum())
}

/// The pieces that texts are compared by, chosen by a look at the first of them.
fn shingling(texts: impl Iterator<Item = Result<String, CompileError>>) -> Result<Shingling, CompileError> {
    let first = texts.take(SAMPLE).collect::<Result<Vec<_>, _>>()?;
    Ok(Shingling::for_sample(first.iter().map(String::as_str)))
}

/// A bit for each row.
#[derive(Debug, Default)]
struct Marks(Vec<u64>);

impl Marks {
    fn set(&mut self, row: usize) {
        let at = row / 64;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0.iter_mut().skip(at).take(1).for_each(|bits| *bits |= 1 << (row % 64));
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|bits| u64::from(bits.count_ones())).sum()
    }
}

fn texts<R: DeserializeOwned>(
    split: &RecordSource,
    text: fn(&R) -> String,
) -> impl Iterator<Item = Result<String, CompileError>> {
    split.records::<R>().map(move |row| row.map(|row| text(&row)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::store::fs::{self, faults};
    use crate::store::part::JsonlWriter;

    #[test]
    fn who_crosses_is_counted_alike_in_memory_and_on_disk() {
        let folder = faults::scratch();
        let mut draw = Draw::new(3, &["people"]);
        let met: Vec<(String, String, &str)> = (0..3_000)
            .map(|_| {
                let split = ["train", "train", "train", "test", "dev"][draw.below(5)];
                (format!("p{}", draw.below(900)), format!("Text, {}!", draw.below(700)), split)
            })
            .collect();
        let crossing = |key: fn(&(String, String, &'static str)) -> String| {
            let mut splits: HashMap<String, HashSet<&str>> = HashMap::new();
            for person in &met {
                splits.entry(key(person)).or_default().insert(person.2);
            }
            (splits.values().filter(|splits| splits.len() > 1).count() as u64, splits.len() as u64)
        };
        let (ids, texts) = (crossing(|person| person.0.clone()), crossing(|person| person.1.clone()));
        let expected = (ids.0, texts.0, texts.1);
        assert!(expected.0 > 300 && expected.1 > 300, "{expected:?}");
        for (held, memory) in [(usize::MAX, 1), (10, 200), (1, 100), (400, 10_000)] {
            let mut people = People::new(folder.path(), held, memory);
            for (id, text, split) in &met {
                people.meet(id, text, split).unwrap();
                // Case and punctuation make nobody new.
                people.meet(id, &text.to_uppercase(), split).unwrap();
                assert!(people.ids.keys.len() < held.max(2) && people.remembered.len() < REMEMBERED);
            }
            assert_eq!(people.crossing().unwrap(), expected, "{held} held, {memory} bytes");
            assert!(fs::list(folder.path()).unwrap().is_empty());
        }
    }

    /// A file with these texts.
    fn split(folder: &Path, name: &str, texts: &[&str]) -> LinesFile {
        let mut rows = JsonlWriter::create(folder, name).unwrap();
        for text in texts {
            rows.push(text).unwrap();
        }
        LinesFile::new(folder, rows.finish().unwrap())
    }

    #[test]
    fn texts_that_cross_are_counted_on_both_sides() {
        let folder = faults::scratch();
        let count = |splits: &[&[&str]], threshold: f64| {
            let splits = splits.iter().enumerate().map(|(at, texts)| split(folder.path(), &at.to_string(), texts));
            near::<String>(splits.collect(), threshold, String::clone, folder.path()).unwrap()
        };
        let train = "one two three four five six";
        assert_eq!(count(&[&[train, train]], 0.7), 0);
        assert_eq!(count(&[&[train, train], &["a b c d e f"]], 0.7), 0);
        let dev = "other words all of them here";
        assert_eq!(count(&[&[train], &["One two three four five six."], &[dev]], 0.7), 2);
        // A near duplicate of what is itself a near duplicate within its split is still seen.
        let chain = ["a b c d e f g h i j k l m n o p q r s t", "x b c d e f g h i j k l m n o p q r s t"];
        assert_eq!(count(&[&chain, &["x b c d e f g h i j k l m n o p q r s y"]], 0.89), 2);
        // Who crosses into two splits is counted once.
        let many: Vec<String> = (0..200).map(|at| format!("{at} is a number of its own")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(count(&[&many, &many[..150], &many[100..]], 0.9), 200 + 150 + 100);
    }
}
