//! Sorted runs of index entries, in memory or in a file ([`FileRun`]): joined with sorted queries, and merged with each other.
//!
//! An entry says that a record has a key: the key in the high 32 bits, the record's number in the low ones. Runs are kept as
//! in a log-structured merge tree: the youngest two become one while the older is less than twice as long, so there are
//! few, and each entry is moved a number of times that grows with the logarithm of what comes.

mod file;

use std::convert::Infallible;

pub(crate) use file::FileRun;

/// Entries in a block of a run in memory.
const BLOCK: usize = 8_192;
/// Runs shorter than this are merged with the next whatever its length: looking into a further run costs more than moving
/// this many entries.
const SMALL: usize = 2_048;

/// The key of an entry, and the record or the slot that has it.
#[expect(clippy::cast_possible_truncation, reason = "the half that is cut off is the other result")]
pub(crate) fn halves(entry: u64) -> (u32, u32) {
    ((entry >> 32) as u32, entry as u32)
}

/// An entry of a key.
pub(crate) fn entry(key: u32, low: u32) -> u64 {
    u64::from(key) << 32 | u64::from(low)
}

/// A sorted run in blocks.
pub(crate) trait Run {
    /// How reading it fails.
    type Error;

    /// The key that each block begins with.
    fn firsts(&self) -> &[u32];

    /// The entries of a block, read into `buffer` unless they are in memory.
    fn block<'a>(&'a self, at: usize, buffer: &'a mut Vec<u64>) -> Result<&'a [u64], Self::Error>;

    /// How many entries there are.
    fn len(&self) -> usize;
}

/// Calls `found` with each query and each entry that have a key in common. Both are sorted; blocks without a key that is
/// asked for are not read.
pub(crate) fn join<R: Run>(
    run: &R,
    queries: &[u64],
    mut found: impl FnMut(u32, u32) -> Result<(), R::Error>,
) -> Result<(), R::Error> {
    let (firsts, mut buffer) = (run.firsts(), Vec::new());
    let (mut rest, mut at) = (queries, 0);
    while let Some(query) = rest.first() {
        let key = halves(*query).0;
        // The last block that begins below the key is the first that can hold it.
        at += count_while(firsts.get(at + 1..).unwrap_or_default(), |first| *first < key);
        if at >= firsts.len() {
            break;
        }
        rest = join_block(run.block(at, &mut buffer)?, rest, &mut found)?;
        at += 1;
    }
    Ok(())
}

/// Joins with one block. Returns the queries that later blocks may answer too.
fn join_block<'a, E>(
    entries: &[u64],
    queries: &'a [u64],
    found: &mut impl FnMut(u32, u32) -> Result<(), E>,
) -> Result<&'a [u64], E> {
    let last = entries.last().map_or(0, |entry| halves(*entry).0);
    let mut entries = entries;
    for (key, asking) in queries.iter().map(|query| halves(*query)).take_while(|(key, _)| *key <= last) {
        entries = entries.get(count_while(entries, |entry| halves(*entry).0 < key)..).unwrap_or_default();
        for (_, record) in entries.iter().map(|entry| halves(*entry)).take_while(|(found, _)| *found == key) {
            found(asking, record)?;
        }
    }
    Ok(queries.get(count_while(queries, |query| halves(*query).0 < last)..).unwrap_or_default())
}

/// How many elements at the start satisfy `holds`, found in steps that double: fast for few and for many.
fn count_while<T>(sorted: &[T], holds: impl Fn(&T) -> bool) -> usize {
    let mut step = 1;
    while sorted.get(step - 1).is_some_and(&holds) {
        step *= 2;
    }
    let known = step / 2;
    let open = sorted.get(known..(step - 1).min(sorted.len())).unwrap_or_default();
    known + open.partition_point(holds)
}

/// Merges two sorted sequences.
pub(crate) fn merge<E>(
    mut left: impl Iterator<Item = Result<u64, E>>,
    mut right: impl Iterator<Item = Result<u64, E>>,
    mut put: impl FnMut(u64) -> Result<(), E>,
) -> Result<(), E> {
    let (mut one, mut other) = (left.next().transpose()?, right.next().transpose()?);
    loop {
        match (one, other) {
            (Some(entry), next) if next.is_none_or(|next| entry <= next) => {
                put(entry)?;
                one = left.next().transpose()?;
            }
            (_, Some(entry)) => {
                put(entry)?;
                other = right.next().transpose()?;
            }
            _ => return Ok(()),
        }
    }
}

/// Adds a run, and merges until the rule of this module holds.
pub(crate) fn push_run<R: Run, E>(
    runs: &mut Vec<R>,
    run: R,
    mut merged: impl FnMut(R, R) -> Result<R, E>,
) -> Result<(), E> {
    let mut young = run;
    while let Some(old) = runs.pop_if(|old| old.len() < SMALL.max(young.len().saturating_mul(2))) {
        young = merged(old, young)?;
    }
    runs.push(young);
    Ok(())
}

/// A run in memory.
#[derive(Debug, Default)]
pub(crate) struct HeldRun {
    firsts: Vec<u32>,
    blocks: Vec<Vec<u64>>,
    len: usize,
}

impl HeldRun {
    /// A run of entries that come sorted, `len` of them.
    pub(crate) fn of(len: usize, entries: impl Iterator<Item = u64>) -> Self {
        let mut run = Self::with_room(len);
        entries.for_each(|entry| run.push(entry, len));
        run
    }

    /// One run of the entries of two. Their blocks are freed as they are used up.
    pub(crate) fn merged(left: Self, right: Self) -> Self {
        let len = left.len + right.len;
        let mut run = Self::with_room(len);
        let put = |entry| {
            run.push(entry, len);
            Ok::<(), Infallible>(())
        };
        let Ok(()) = merge(left.into_entries().map(Ok), right.into_entries().map(Ok), put);
        run
    }

    fn with_room(len: usize) -> Self {
        let blocks = len.div_ceil(BLOCK);
        Self { firsts: Vec::with_capacity(blocks), blocks: Vec::with_capacity(blocks), len: 0 }
    }

    /// Puts an entry at the end of a run that will have `len`.
    fn push(&mut self, entry: u64, len: usize) {
        if self.len.is_multiple_of(BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK.min(len - self.len)));
            self.firsts.push(halves(entry).0);
        }
        self.blocks.last_mut().into_iter().for_each(|block| block.push(entry));
        self.len += 1;
    }

    /// The entries, in order.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = u64> {
        self.blocks.into_iter().flatten()
    }

    /// Bytes of heap.
    #[cfg(test)]
    pub(crate) fn heap(&self) -> usize {
        let entries: usize = self.blocks.iter().map(Vec::capacity).sum();
        entries * 8 + self.firsts.capacity() * 4 + self.blocks.capacity() * size_of::<Vec<u64>>()
    }
}

impl Run for HeldRun {
    type Error = Infallible;

    fn firsts(&self) -> &[u32] {
        &self.firsts
    }

    fn block<'a>(&'a self, at: usize, _buffer: &'a mut Vec<u64>) -> Result<&'a [u64], Infallible> {
        Ok(self.blocks.get(at).map_or(&[], Vec::as_slice))
    }

    fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    /// An entry without a record.
    fn key(draw: &mut Draw, bound: usize) -> u64 {
        (draw.below(bound) as u64) << 32
    }

    /// Entries with many equal keys, so that a key fills blocks.
    fn entries(draw: &mut Draw, count: usize) -> Vec<u64> {
        let mut entries: Vec<u64> = (0..count as u64).map(|at| (key(draw, count / 50 + 2) * 3) | at).collect();
        entries[..count / 3].iter_mut().for_each(|entry| *entry = 9 << 32 | *entry & 0xffff_ffff);
        entries.sort_unstable();
        entries
    }

    #[test]
    fn a_join_finds_every_key_in_common_once() {
        let mut draw = Draw::new(1, &["join"]);
        for count in [1, 2, 100, BLOCK, BLOCK + 1, 4 * BLOCK] {
            let entries = entries(&mut draw, count);
            let run = HeldRun::of(count, entries.iter().copied());
            for asked in [0, 1, 13, 500] {
                let mut queries: Vec<u64> = (0..asked).map(|slot| key(&mut draw, count / 15 + 7) | slot).collect();
                queries.sort_unstable();
                let mut found = Vec::new();
                let Ok(()) = join(&run, &queries, |slot, record| {
                    found.push((slot, record));
                    Ok(())
                });
                let mut expected = Vec::new();
                for query in &queries {
                    let (key, slot) = halves(*query);
                    let from = entries.partition_point(|entry| halves(*entry).0 < key);
                    let same =
                        entries[from..].iter().map(|entry| halves(*entry)).take_while(|(found, _)| *found == key);
                    expected.extend(same.map(|(_, record)| (slot, record)));
                }
                found.sort_unstable();
                expected.sort_unstable();
                assert!(found == expected, "{count} {asked}: {} of {}", found.len(), expected.len());
            }
        }
    }

    #[test]
    fn runs_stay_few_and_lose_nothing() {
        let mut draw = Draw::new(2, &["runs"]);
        let (mut runs, mut all) = (Vec::new(), Vec::<u64>::new());
        for _ in 0..900 {
            let count = draw.between(1, 100);
            let entries = entries(&mut draw, count);
            all.extend(&entries);
            let merged = |old, young| Ok::<_, Infallible>(HeldRun::merged(old, young));
            let Ok(()) = push_run(&mut runs, HeldRun::of(count, entries.into_iter()), merged);
        }
        assert!(runs.len() < 8, "{}", runs.len());
        let mut found: Vec<u64> = runs.into_iter().flat_map(HeldRun::into_entries).collect();
        found.sort_unstable();
        all.sort_unstable();
        assert!(found == all);
    }
}
