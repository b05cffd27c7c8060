//! The first reading: every line to what is kept in memory of its record, and its id to the order of ids.

use std::io::BufRead as _;

use super::column::RecordColumn;
use super::error::CorpusError;
use super::line::FieldNames;
use super::parallel;
use super::source::{CorpusFiles, LineBlocks};
use crate::stages::dedup::{Hasher, SAMPLE, Shingling, ShinglingSample, Sketch};
use crate::store::sort::Sorter;

/// What stays of the records, by the number in which they came.
#[derive(Debug)]
pub(super) struct ScannedRecords {
    /// How many there are.
    pub(super) count: u32,
    places: RecordColumn<Place>,
    /// xxh3-128 of their normalised texts.
    exact: RecordColumn<u128>,
    /// The keys of each band. Empty where they are not asked for.
    pub(super) keys: Vec<RecordColumn<u32>>,
    sketches: RecordColumn<Sketch>,
}

/// Where the line of a record is: the low and the high half of the offset, and the length.
type Place = [u32; 3];

/// What a scan looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScanPlan<'a> {
    pub(super) names: &'a FieldNames,
    pub(super) hasher: &'a Hasher,
    /// Whether signatures are wanted; pairs that come from elsewhere need none.
    pub(super) signatures: bool,
    pub(super) threads: usize,
}

/// A block of lines on its way to a thread, and what that makes of it. Each is used again and again.
#[derive(Default)]
struct LineBlock {
    bytes: Vec<u8>,
    /// Where it begins among the lines of all files, and whether a file does.
    start: u64,
    is_first: bool,
    records: BlockRecords,
}

/// The records of a block.
#[derive(Default)]
pub(super) struct BlockRecords {
    lines: u64,
    places: Vec<Place>,
    pub(super) exact: Vec<u128>,
    pub(super) keys: Vec<u32>,
    pub(super) sketches: Vec<Sketch>,
    /// The ids, one behind the other, and their lengths.
    ids: String,
    id_lengths: Vec<usize>,
}

/// A line that cannot be read: its number in the block, from 0, and why.
type LineProblem = (u64, String);

impl ScannedRecords {
    fn new(bands: usize) -> Self {
        Self {
            count: 0,
            places: RecordColumn::new(),
            exact: RecordColumn::new(),
            keys: (0..bands).map(|_| RecordColumn::new()).collect(),
            sketches: RecordColumn::new(),
        }
    }

    /// Offset and length of a record's line.
    pub(super) fn place(&self, record: u32) -> (u64, u32) {
        let [low, high, length] = self.places.get(record).unwrap_or_default();
        (u64::from(high) << 32 | u64::from(low), length)
    }

    /// What a record's text is known by.
    pub(super) fn exact(&self, record: u32) -> u128 {
        self.exact.get(record).unwrap_or_default()
    }

    /// Drops the hashes, once equal ones are found.
    pub(super) fn forget_hashes(&mut self) {
        self.exact = RecordColumn::new();
    }

    /// The sketch of a record.
    pub(super) fn sketch(&self, record: u32) -> Sketch {
        self.sketches.get(record).unwrap_or_default()
    }

    fn add(&mut self, block: &BlockRecords, ids: &mut Sorter) -> Result<(), CorpusError> {
        for id in block.ids() {
            ids.push(id.as_bytes(), &self.count.to_le_bytes())?;
            self.count = self.count.checked_add(1).filter(|count| *count < u32::MAX).ok_or(CorpusError::TooMany)?;
        }
        self.places.extend(block.places.iter().copied());
        self.exact.extend(block.exact.iter().copied());
        let bands = self.keys.len();
        for (band, keys) in self.keys.iter_mut().enumerate() {
            keys.extend(block.keys.iter().copied().skip(band).step_by(bands));
        }
        self.sketches.extend(block.sketches.iter().copied());
        Ok(())
    }
}

/// The shingles for a corpus: by the first texts of each file, so that the order of the files does not matter.
pub(super) fn choose_shingling(files: &CorpusFiles, names: &FieldNames) -> Result<Shingling, CorpusError> {
    let mut sample = ShinglingSample::default();
    for file in &files.files {
        let mut left = SAMPLE;
        let (mut blocks, mut block) = (file.blocks(names)?, Vec::new());
        while let Some(read) = blocks(block)? {
            block = read;
            for line in lines(&block).map(|(_, line)| line).filter(|line| !is_blank(line)).take(left) {
                left -= 1;
                // What is wrong with a line is said when it comes to count.
                if let Ok(read) = names.read(line) {
                    sample.add(&read.text);
                }
            }
            if left == 0 {
                break;
            }
        }
    }
    Ok(sample.shingling())
}

/// Reads all files once. Ids go to `ids` with the number of their record.
pub(super) fn scan(
    files: &mut CorpusFiles,
    plan: ScanPlan<'_>,
    ids: &mut Sorter,
) -> Result<ScannedRecords, CorpusError> {
    let mut records = ScannedRecords::new(plan.hasher.bands());
    for number in 0..files.files.len() {
        scan_file(files, number, plan, |block| records.add(block, ids))?;
    }
    files.finish()?;
    Ok(records)
}

/// Reads one file, block by block.
pub(super) fn scan_file(
    files: &mut CorpusFiles,
    number: usize,
    plan: ScanPlan<'_>,
    mut done: impl FnMut(&BlockRecords) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    files.begin(number)?;
    let Some(file) = files.files.get(number) else { return Ok(()) };
    let mut blocks = file.blocks(plan.names)?;
    let mut line = 1;
    let mut round: Vec<LineBlock> = (0..plan.threads.max(1)).map(|_| LineBlock::default()).collect();
    loop {
        let filled = fill(files, number, &mut blocks, &mut round)?;
        if filled == 0 {
            return Ok(());
        }
        let read = parallel::each(round.iter_mut().take(filled), |block| read_block(block, plan));
        for (read, block) in read.into_iter().zip(&round) {
            read.map_err(|(at, problem)| refusal(files, number, line + at, problem))?;
            line += block.records.lines;
            done(&block.records)?;
        }
    }
}

/// Reads the next blocks; how many there were.
fn fill(
    files: &mut CorpusFiles,
    number: usize,
    blocks: &mut LineBlocks,
    round: &mut [LineBlock],
) -> Result<usize, CorpusError> {
    for (filled, block) in round.iter_mut().enumerate() {
        let Some(bytes) = blocks(std::mem::take(&mut block.bytes))? else { return Ok(filled) };
        block.start = files.take(number, &bytes)?;
        block.is_first = files.files.get(number).is_some_and(|file| file.start == block.start);
        block.bytes = bytes;
    }
    Ok(round.len())
}

fn refusal(files: &CorpusFiles, number: usize, line: u64, problem: String) -> CorpusError {
    let Some(file) = files.files.get(number) else { return CorpusError::TooMany };
    // A torn line is what a file looks like while it is written.
    match file.check_unchanged() {
        Ok(()) => CorpusError::Record { path: file.path.clone(), unit: file.unit(), number: line, problem },
        Err(changed) => changed,
    }
}

/// The lines of a block without their ends, and where each begins.
fn lines(block: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let (mut at, mut rest) = (0, block);
    std::iter::from_fn(move || {
        let (start, before) = (at, rest);
        // Which looks at many bytes at once.
        at += rest.skip_until(b'\n').ok().filter(|length| *length > 0)?;
        let line = before.get(..at - start)?;
        Some((start, line.strip_suffix(b"\n").unwrap_or(line)))
    })
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

fn read_block(block: &mut LineBlock, plan: ScanPlan<'_>) -> Result<(), LineProblem> {
    let LineBlock { bytes, start: block_start, is_first, records } = block;
    records.clear();
    for (start, line) in lines(bytes) {
        let mark: &[u8] = if *is_first && start == 0 { b"\xef\xbb\xbf" } else { b"" };
        let (start, line) = line.strip_prefix(mark).map_or((start, line), |rest| (start + mark.len(), rest));
        if !is_blank(line) {
            let place = (*block_start + start as u64, line);
            records.add(place, plan).map_err(|problem| (records.lines, problem))?;
        }
        records.lines += 1;
    }
    Ok(())
}

impl BlockRecords {
    fn clear(&mut self) {
        let Self { lines, places, exact, keys, sketches, ids, id_lengths } = self;
        *lines = 0;
        places.clear();
        exact.clear();
        keys.clear();
        sketches.clear();
        ids.clear();
        id_lengths.clear();
    }

    /// The ids, in order.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        let mut rest = self.ids.as_str();
        self.id_lengths.iter().map(move |length| {
            let (id, behind) = rest.split_at_checked(*length).unwrap_or_default();
            rest = behind;
            id
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "halves of a number are meant, and no line is that long")]
    fn add(&mut self, (offset, line): (u64, &[u8]), plan: ScanPlan<'_>) -> Result<(), String> {
        let read = plan.names.read(line)?;
        self.places.push([offset as u32, (offset >> 32) as u32, line.len() as u32]);
        self.ids.push_str(&read.id);
        self.id_lengths.push(read.id.len());
        if !plan.signatures {
            self.exact.push(Hasher::exact_of(&read.text));
            return Ok(());
        }
        let prepared = plan.hasher.prepare(&read.text);
        self.exact.push(prepared.exact());
        self.sketches.push(prepared.sketch());
        let bands = self.keys.len() + plan.hasher.bands();
        self.keys.extend_from_slice(prepared.band_keys());
        // A text shorter than a shingle has no keys, but a row as any other.
        self.keys.resize(bands, 0);
        Ok(())
    }
}
