//! Candidates from a list of pairs of ids, which a join on another engine made.

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::error::CorpusError;
use super::table;
use crate::store::fs;

/// Mark of a record that is the later one of a pair.
const PAIRED: u8 = 1;
/// Mark of a record that is kept.
const KEPT: u8 = 2;
/// Mark of a record that is in a crowded group.
const CROWDED: u8 = 4;

/// Ranks by a hash of the id.
#[derive(Debug, Default)]
pub(super) struct IdHashes(Vec<(u64, u32)>);

/// Finds candidates in a list of pairs.
#[derive(Debug)]
pub(super) struct PairIndex {
    /// The later rank of each pair in the high half, the earlier in the low one; sorted.
    pairs: Vec<u64>,
    /// [`PAIRED`], [`KEPT`] and [`CROWDED`], by rank.
    marks: Vec<u8>,
}

impl IdHashes {
    /// Adds an id.
    pub(super) fn add(&mut self, id: &[u8], rank: u32) {
        self.0.push((xxh3_64(id), rank));
    }

    /// The ranks that an id may have: more than one where hashes collide, and then comparing tells.
    fn ranks(&self, id: &str) -> impl Iterator<Item = u32> {
        let hash = xxh3_64(id.as_bytes());
        let start = self.0.partition_point(|(other, _)| *other < hash);
        self.0.iter().skip(start).take_while(move |(other, _)| *other == hash).map(|(_, rank)| *rank)
    }
}

impl PairIndex {
    /// Reads the pairs of a Parquet file, or of a folder of them as engines write one.
    ///
    /// `firsts` names for each rank the first record with the same text, which stands for it whoever made the list thought so too.
    pub(super) fn read(path: &Path, mut ids: IdHashes, firsts: &[u32]) -> Result<Self, CorpusError> {
        ids.0.sort_unstable();
        let first = |rank: u32| firsts.get(rank as usize).copied().unwrap_or(rank);
        let mut pairs = Vec::new();
        for file in files(path)? {
            table::pairs(&file, |one, other| {
                let known = |id: &str| match ids.ranks(id).map(first).collect::<Vec<_>>() {
                    ranks if ranks.is_empty() => {
                        Err(CorpusError::ForeignPair { path: file.clone(), id: id.to_owned() })
                    }
                    ranks => Ok(ranks),
                };
                let others = known(other)?;
                for one in known(one)? {
                    pairs.extend(others.iter().filter(|other| **other != one).map(|other| pair(one, *other)));
                }
                Ok(())
            })?;
        }
        Ok(Self::of(pairs, ids.0.len()))
    }

    /// Of pairs in any order, of so many records.
    pub(super) fn of(mut pairs: Vec<u64>, records: usize) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let mut index = Self { pairs: Vec::new(), marks: vec![0; records] };
        for pair in &pairs {
            index.mark(later(*pair), PAIRED);
        }
        Self { pairs, ..index }
    }

    /// Keeps a record.
    pub(super) fn keep(&mut self, rank: u32) {
        self.mark(rank, KEPT);
    }

    /// Notes that a record is in a group of which not all pairs are here.
    pub(super) fn crowd(&mut self, rank: u32) {
        self.mark(rank, CROWDED);
    }

    /// Whether it is.
    pub(super) fn is_crowded(&self, rank: u32) -> bool {
        self.has(rank, CROWDED)
    }

    fn mark(&mut self, rank: u32, mark: u8) {
        if let Some(marks) = self.marks.get_mut(rank as usize) {
            *marks |= mark;
        }
    }

    fn has(&self, rank: u32, mark: u8) -> bool {
        self.marks.get(rank as usize).is_some_and(|marks| marks & mark != 0)
    }

    /// The kept records from the rank `from` on that stand in a pair with this one, by rank.
    pub(super) fn candidates(&self, rank: u32, from: u32) -> Vec<u32> {
        if !self.has(rank, PAIRED) {
            return Vec::new();
        }
        let start = self.pairs.partition_point(|pair| *pair < u64::from(rank) << 32 | u64::from(from));
        let own = self.pairs.iter().skip(start).take_while(|pair| later(**pair) == rank);
        own.map(|pair| earlier(*pair)).filter(|earlier| self.has(*earlier, KEPT)).collect()
    }
}

/// A pair as it is kept.
pub(super) fn pair(one: u32, other: u32) -> u64 {
    u64::from(one.max(other)) << 32 | u64::from(one.min(other))
}

fn later(pair: u64) -> u32 {
    (pair >> 32) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the low half of a pair is the earlier rank")]
fn earlier(pair: u64) -> u32 {
    pair as u32
}

fn files(path: &Path) -> Result<Vec<PathBuf>, CorpusError> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !path.is_dir() {
        return Err(CorpusError::Missing { path: path.to_owned() });
    }
    let names = fs::list(path)?;
    Ok(names.iter().filter(|name| name.ends_with(".parquet")).map(|name| path.join(name)).collect())
}
