//! What crosses from one split into another.
//!
//! People are put into splits before groups are formed, so nobody should cross. That is checked here on the finished
//! records and written into the manifest and the card, because imported situations come with people of their own.
//! Situations and conversations were compared with each other, over all splits, where duplicates were removed; only where
//! they were left in are they compared here.

use std::collections::HashSet;
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
    /// Nobody yet. They are sorted with about `memory` bytes, and files in `folder` if that is not enough.
    pub(super) fn new(folder: &Path, memory: usize) -> Self {
        let crossing = || Crossing { folder: folder.to_owned(), memory, keys: None };
        Self { splits: Vec::new(), remembered: HashSet::new(), ids: crossing(), texts: crossing() }
    }

    /// Someone appears in a split.
    pub(super) fn meet(&mut self, id: &str, text: &str, split: &str) -> Result<(), FsError> {
        let parts = [id, text, split].map(|part| xxh3_128(part.as_bytes()).to_le_bytes());
        if !self.remembered.insert(xxh3_128(parts.as_flattened())) {
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

/// Counts keys that appear in more than one split: all of them, sorted.
#[derive(Debug)]
struct Crossing {
    folder: PathBuf,
    memory: usize,
    /// Keys with the numbers of their splits; nothing while they are counted.
    keys: Option<Sorter>,
}

impl Crossing {
    fn add(&mut self, key: u128, split: u32) -> Result<(), FsError> {
        let keys = self.keys.get_or_insert_with(|| Sorter::new(&self.folder, self.memory));
        keys.push(&key.to_be_bytes(), &split.to_le_bytes())
    }

    /// How many keys are in more than one split, and how many there are.
    fn count(&mut self) -> Result<(u64, u64), FsError> {
        let Some(keys) = self.keys.take() else { return Ok((0, 0)) };
        let (mut rows, mut crossing, mut all) = (keys.finish()?, 0, 0);
        let (mut key, mut split, mut crosses) = (None, None, false);
        while rows.advance()? {
            let (next, in_split) = rows.record();
            let (next, in_split) = (next.first_chunk::<16>().copied(), in_split.first_chunk::<4>().copied());
            if key != next {
                crossing += u64::from(crosses);
                (key, split, crosses) = (next, in_split, false);
                all += 1;
            }
            crosses |= split != in_split;
        }
        Ok((crossing + u64::from(crosses), all))
    }
}

/// How many rows have a text that duplicates one of another split, a pair counted on both sides. A split is a file.
///
/// Every split has an index with files in `folder`; together they take about `memory` bytes.
pub(super) fn near<R: DeserializeOwned>(
    splits: Vec<LinesFile>,
    threshold: f64,
    text: fn(&R) -> String,
    folder: &Path,
    memory: usize,
) -> Result<u64, CompileError> {
    let splits: Vec<RecordSource> = splits.into_iter().map(|file| RecordSource::spooled(vec![file])).collect();
    if splits.len() < 2 {
        return Ok(0);
    }
    let shingling = shingling(splits.iter().flat_map(|split| texts(split, text)))?;
    let mut indexes = Vec::new();
    for split in &splits {
        let mut index = TextIndex::create(threshold, shingling, folder)?.within(memory / splits.len());
        for text in texts(split, text) {
            index.add("", &text?)?;
        }
        indexes.push(index);
    }
    let mut crossing = 0;
    for (at, split) in splits.iter().enumerate() {
        for text in texts(split, text) {
            crossing += u64::from(is_in_another(&mut indexes, at, &text?)?);
        }
    }
    Ok(crossing)
}

/// Whether a text of the split with the number `own` duplicates one of another.
fn is_in_another(indexes: &mut [TextIndex], own: usize, text: &str) -> Result<bool, FsError> {
    for (_, index) in indexes.iter_mut().enumerate().filter(|(at, _)| *at != own) {
        if index.check(text)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The pieces that texts are compared by, chosen by a look at the first of them.
fn shingling(texts: impl Iterator<Item = Result<String, CompileError>>) -> Result<Shingling, CompileError> {
    let first = texts.take(SAMPLE).collect::<Result<Vec<_>, _>>()?;
    Ok(Shingling::for_sample(first.iter().map(String::as_str)))
}

fn texts<R: DeserializeOwned>(
    split: &RecordSource,
    text: fn(&R) -> String,
) -> impl Iterator<Item = Result<String, CompileError>> {
    split.records::<R>().map(move |row| row.map(|row| text(&row)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

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
        for memory in [usize::MAX, 10_000, 200, 1] {
            let mut people = People::new(folder.path(), memory);
            for (id, text, split) in &met {
                people.meet(id, text, split).unwrap();
                // Case and punctuation make nobody new.
                people.meet(id, &text.to_uppercase(), split).unwrap();
                assert!(people.remembered.len() < REMEMBERED);
            }
            assert_eq!(people.crossing().unwrap(), expected, "{memory} bytes");
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
            let files = splits.iter().enumerate().map(|(at, texts)| split(folder.path(), &at.to_string(), texts));
            let files: Vec<LinesFile> = files.collect();
            let counted = |memory| near(files.clone(), threshold, String::clone, folder.path(), memory).unwrap();
            assert_eq!(counted(8 << 20), counted(0), "on disk");
            counted(0)
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
