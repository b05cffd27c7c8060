//! Sorting of what may be more than fits into memory.
//!
//! Records are gathered up to a limit, sorted, and put aside as a run in a file without a name; at the end the runs are
//! merged. Sixty-four runs of a level become one of the next, so that few files are open however many records there are,
//! and each record is moved a number of times that grows with the logarithm of their number. What fits into memory never
//! reaches the disk.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use super::fs::{FsError, ScratchFile};

/// Runs that are merged together.
const FAN_IN: usize = 64;
/// Bytes of records that memory is reserved for at most.
const RESERVE: usize = 32 << 20;
/// Bytes of a run that are read together.
const READ: usize = 1 << 16;
/// Bytes in front of a record in a run: the lengths of key and value.
const HEADER: usize = 8;

/// Puts records into the order of their keys, compared as bytes. Records with equal keys keep the order they came in.
#[derive(Debug)]
pub(crate) struct Sorter {
    folder: PathBuf,
    limit: usize,
    gathered: Gathered,
    /// Runs by level, the older before the younger; those of a higher level are older than those of a lower one.
    levels: Vec<Vec<Run>>,
}

/// Records in memory.
#[derive(Debug, Default)]
struct Gathered {
    bytes: Vec<u8>,
    records: Vec<Record>,
}

/// Where a record is: its key, and behind that its value.
#[derive(Debug, Clone, Copy)]
struct Record {
    /// The first bytes of the key as a number, which tells most keys apart without looking at them.
    head: u64,
    start: usize,
    key: u32,
    value: u32,
}

impl Sorter {
    /// Sorts with at most about `limit` bytes of records in memory, and files in `folder`.
    pub(crate) fn new(folder: &Path, limit: usize) -> Self {
        Self { folder: folder.to_owned(), limit, gathered: Gathered::default(), levels: Vec::new() }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// If the disk is full, or the record has more than 4 GiB.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), FsError> {
        let (Ok(key_length), Ok(value_length)) = (u32::try_from(key.len()), u32::try_from(value.len())) else {
            let source = std::io::ErrorKind::FileTooLarge.into();
            return Err(FsError { action: "sort in", path: self.folder.clone(), source });
        };
        let more = key.len() + value.len() + size_of::<Record>();
        if !self.gathered.records.is_empty() && self.gathered.size() + more > self.limit {
            self.put_aside()?;
        }
        let Gathered { bytes, records } = &mut self.gathered;
        if bytes.capacity() == 0 {
            // At once, since to grow is to hold all of it twice; memory that is not written to is not taken.
            bytes.reserve_exact(self.limit.min(RESERVE));
        }
        records.push(Record { head: head(key), start: bytes.len(), key: key_length, value: value_length });
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
        Ok(())
    }

    /// All records, sorted.
    ///
    /// # Errors
    /// If the disk fails.
    pub(crate) fn finish(mut self) -> Result<Sorted, FsError> {
        if self.levels.is_empty() {
            self.gathered.sort();
            return Ok(Sorted(Source::Memory { gathered: self.gathered, next: 0 }));
        }
        if !self.gathered.records.is_empty() {
            self.put_aside()?;
        }
        drop(self.gathered);
        Ok(Sorted(Source::Runs(Merge::of(self.levels.into_iter().rev().flatten())?)))
    }

    fn put_aside(&mut self) -> Result<(), FsError> {
        self.gathered.sort();
        let mut run = Run::new(&self.folder)?;
        for record in &self.gathered.records {
            run.push(self.gathered.key(*record), self.gathered.value(*record))?;
        }
        self.gathered.bytes.clear();
        self.gathered.records.clear();
        self.add(run.finished()?, 0)
    }

    fn add(&mut self, run: Run, level: usize) -> Result<(), FsError> {
        if self.levels.len() <= level {
            self.levels.push(Vec::new());
        }
        let Some(runs) = self.levels.get_mut(level) else { return Ok(()) };
        runs.push(run);
        if runs.len() < FAN_IN {
            return Ok(());
        }
        let mut merge = Merge::of(std::mem::take(runs))?;
        let mut merged = Run::new(&self.folder)?;
        while merge.advance()? {
            let (key, value) = merge.record();
            merged.push(key, value)?;
        }
        self.add(merged.finished()?, level + 1)
    }
}

impl Gathered {
    fn size(&self) -> usize {
        self.bytes.len() + self.records.len() * size_of::<Record>()
    }

    fn key(&self, record: Record) -> &[u8] {
        self.bytes.get(record.start..record.start + record.key as usize).unwrap_or_default()
    }

    fn value(&self, record: Record) -> &[u8] {
        let start = record.start + record.key as usize;
        self.bytes.get(start..start + record.value as usize).unwrap_or_default()
    }

    fn sort(&mut self) {
        let mut records = std::mem::take(&mut self.records);
        records.sort_unstable_by(|one, other| {
            let keys = || self.key(*one).cmp(self.key(*other));
            one.head.cmp(&other.head).then_with(keys).then(one.start.cmp(&other.start))
        });
        self.records = records;
    }
}

/// The first eight bytes of a key, zeros behind a shorter one: where two differ, keys stand in their order.
fn head(key: &[u8]) -> u64 {
    key.first_chunk().copied().map_or_else(
        || key.iter().zip((0..64).step_by(8).rev()).fold(0, |head, (byte, shift)| head | u64::from(*byte) << shift),
        u64::from_be_bytes,
    )
}

/// Records in order, one at a time.
#[derive(Debug)]
pub(crate) struct Sorted(Source);

#[derive(Debug)]
enum Source {
    Memory { gathered: Gathered, next: usize },
    Runs(Merge),
}

impl Sorted {
    /// Goes to the next record; `false` at the end.
    ///
    /// # Errors
    /// If the disk fails.
    pub(crate) fn advance(&mut self) -> Result<bool, FsError> {
        match &mut self.0 {
            Source::Memory { gathered, next } => {
                *next += 1;
                Ok(*next <= gathered.records.len())
            }
            Source::Runs(merge) => merge.advance(),
        }
    }

    /// Its key and value; empty before the first and behind the last.
    pub(crate) fn record(&self) -> (&[u8], &[u8]) {
        match &self.0 {
            Source::Memory { gathered, next } => {
                let record = next.checked_sub(1).and_then(|at| gathered.records.get(at));
                record.map_or((&[], &[]), |record| (gathered.key(*record), gathered.value(*record)))
            }
            Source::Runs(merge) => merge.record(),
        }
    }
}

/// Sorted records on disk.
#[derive(Debug)]
struct Run(ScratchFile);

impl Run {
    fn new(folder: &Path) -> Result<Self, FsError> {
        Ok(Self(ScratchFile::create(folder, "sort")?))
    }

    /// Adds a record whose lengths were found to fit into 32 bits.
    fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), FsError> {
        for part in [key, value] {
            self.0.append(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        }
        self.0.append(key)?;
        self.0.append(value)
    }

    fn finished(mut self) -> Result<Self, FsError> {
        self.0.flush()?;
        Ok(self)
    }
}

/// Several runs as one.
#[derive(Debug)]
struct Merge {
    cursors: Vec<Cursor>,
    waiting: BinaryHeap<Reverse<Head>>,
    current: Option<Head>,
}

/// The record a run has come to. Of equal keys the one of the older run comes first.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    key: Vec<u8>,
    run: usize,
    value: Vec<u8>,
}

impl Merge {
    fn of(runs: impl IntoIterator<Item = Run>) -> Result<Self, FsError> {
        let cursors = runs.into_iter().map(Cursor::new).collect();
        let mut merge = Self { cursors, waiting: BinaryHeap::new(), current: None };
        for run in 0..merge.cursors.len() {
            merge.wait_for(Head { run, ..Head::default() })?;
        }
        Ok(merge)
    }

    /// Reads the next record of a run into `head`, and has it wait for its turn.
    fn wait_for(&mut self, mut head: Head) -> Result<(), FsError> {
        let Some(cursor) = self.cursors.get_mut(head.run) else { return Ok(()) };
        if cursor.read(&mut head)? {
            self.waiting.push(Reverse(head));
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<bool, FsError> {
        if let Some(head) = self.current.take() {
            self.wait_for(head)?;
        }
        self.current = self.waiting.pop().map(|Reverse(head)| head);
        Ok(self.current.is_some())
    }

    fn record(&self) -> (&[u8], &[u8]) {
        self.current.as_ref().map_or((&[], &[]), |head| (&head.key, &head.value))
    }
}

/// A run that is read from its start to its end.
#[derive(Debug)]
struct Cursor {
    run: Run,
    /// Bytes that were read from the file.
    read: u64,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are used up.
    used: usize,
}

impl Cursor {
    fn new(run: Run) -> Self {
        Self { run, read: 0, buffer: Vec::new(), used: 0 }
    }

    fn read(&mut self, head: &mut Head) -> Result<bool, FsError> {
        if self.used == self.buffer.len() && self.read == self.run.0.len() {
            return Ok(false);
        }
        let header = self.take(HEADER)?;
        let length = |at: usize| header.get(at..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
        let (key, value) = (u32::from_le_bytes(length(0)) as usize, u32::from_le_bytes(length(4)) as usize);
        head.key.clear();
        head.key.extend_from_slice(self.take(key)?);
        head.value.clear();
        head.value.extend_from_slice(self.take(value)?);
        Ok(true)
    }

    /// The next `length` bytes.
    fn take(&mut self, length: usize) -> Result<&[u8], FsError> {
        if self.buffer.len() - self.used < length {
            self.fill(length)?;
        }
        let start = self.used;
        self.used += length;
        Ok(self.buffer.get(start..self.used).unwrap_or_default())
    }

    /// Reads until `length` bytes are at hand, and further as far as is read together.
    fn fill(&mut self, length: usize) -> Result<(), FsError> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let left = usize::try_from(self.run.0.len() - self.read).unwrap_or(usize::MAX);
        let (start, more) = (self.buffer.len(), (length - self.buffer.len()).max(READ).min(left));
        self.buffer.resize(start + more, 0);
        self.run.0.read_exact_at(self.read, self.buffer.get_mut(start..).unwrap_or_default())?;
        self.read += more as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::store::fs::{self, faults};

    type Records = Vec<(Vec<u8>, Vec<u8>)>;

    fn sorted(folder: &Path, limit: usize, records: &Records) -> Result<Records, FsError> {
        let mut sorter = Sorter::new(folder, limit);
        for (key, value) in records {
            sorter.push(key, value)?;
        }
        let (mut all, mut out) = (sorter.finish()?, Vec::new());
        while all.advance()? {
            let (key, value) = all.record();
            out.push((key.to_vec(), value.to_vec()));
        }
        Ok(out)
    }

    /// Records with equal keys, empty keys and values, and some that are larger than what is read together.
    fn records(count: usize) -> Records {
        let mut draw = Draw::new(7, &["sort"]);
        let record = |at: usize| {
            // Around the eight bytes that are looked at first.
            let alike = [0, 0, 6, 8][draw.below(4)];
            let key: Vec<u8> = (0..draw.below(4)).map(|_| u8::try_from(draw.below(5)).unwrap()).collect();
            let key = [vec![7; alike], key].concat();
            let length = [0, 3, 40, 300, if at.is_multiple_of(97) { READ + 5 } else { 7 }][draw.below(5)];
            (key, format!("{at}{}", "x".repeat(length)).into_bytes())
        };
        (0..count).map(record).collect()
    }

    #[test]
    fn whatever_the_memory_the_order_is_that_of_a_stable_sort() {
        let folder = faults::scratch();
        for count in [0, 1, 2, 900] {
            let records = records(count);
            let mut expected = records.clone();
            expected.sort_by(|one, other| one.0.cmp(&other.0));
            // From a run a record, which takes two levels of merging, to none.
            for limit in [1, 200, 5_000, 200_000, usize::MAX] {
                assert!(sorted(folder.path(), limit, &records).unwrap() == expected, "{count} records, {limit} bytes");
                assert!(fs::list(folder.path()).unwrap().is_empty(), "something was left behind");
            }
        }
        assert!(!sorted(folder.path(), 1, &records(1)).unwrap().is_empty());
    }

    #[test]
    fn what_is_gathered_stays_below_the_limit_and_files_stay_few() {
        let folder = faults::scratch();
        let mut sorter = Sorter::new(folder.path(), 1_000);
        for at in 0..40_000_u32 {
            sorter.push(&at.to_be_bytes(), &[0; 10]).unwrap();
            assert!(sorter.gathered.size() <= 1_000);
            assert!(sorter.levels.iter().map(Vec::len).sum::<usize>() < 2 * FAN_IN);
        }
        assert!(sorter.levels.len() == 2, "{}", sorter.levels.len());
    }

    #[test]
    fn a_disk_that_is_full_is_an_error_and_leaves_nothing() {
        let folder = faults::scratch();
        for nth in 1..12 {
            let fault = faults::fail(folder.path(), "write", nth);
            assert_eq!(sorted(folder.path(), 200, &records(200)).is_err(), fault.struck(), "write {nth}");
            drop(fault);
            assert!(fs::list(folder.path()).unwrap().is_empty());
        }
    }
}
