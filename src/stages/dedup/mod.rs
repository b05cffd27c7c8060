//! Removal of exact and near duplicates, incremental and in the order in which records are put in.
//!
//! A text is compared with *kept* records only. The survivor of a group is therefore its earliest record, and everything
//! removed is at least as similar to the record it is said to duplicate as the threshold demands: a chain of small
//! changes never removes a text that is far from what stays. Callers put records in in the order of their ids, and get
//! the same verdicts on every platform and for every concurrency.
//!
//! Exact: xxh3-128 of the [normalised](mod@normalize) text. Near: MinHash candidates (`minhash.rs`), each verified by the
//! exact Jaccard index of the two sets of shingles, so nothing is removed on an estimate. A text shorter than one shingle
//! is compared exactly only: short texts are where similarity misleads.
//!
//! The work comes in two parts. [`Hasher::prepare`] makes of a text what the index needs, on whatever thread has it; then
//! [`DedupIndex::judge`] says in the order of the records what stays. The index holds hashes, not texts: at most 136 bytes a record at
//! thresholds from 0.57 up (below, where it takes more bands, up to 280), plus 1 MiB for what was compared last. The few
//! texts that are compared are read back by the number of the record. Above 64 MiB, or what it was given, the index goes to files
//! without a name in the folder it was given: whatever comes takes 0.1 bytes a record, and the verdicts are the same.

mod adaptor;
mod collection;
mod held;
mod minhash;
mod nearest;
mod normalize;
mod prepared;
pub(crate) mod report;
mod shingles;
mod spill;
#[cfg(test)]
mod tests;
mod text_index;
mod texts;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::texts::SpooledTexts;
pub(crate) use adaptor::Deduplicator;
pub(crate) use collection::Collection;
pub(crate) use minhash::Sketch;
pub(crate) use nearest::{Cache, jaccard};
pub(crate) use normalize::normalize;
pub(crate) use prepared::{Hasher, Prepared};
pub(crate) use report::{Cluster, ClusterSizes, DedupSummary, DuplicateRow};
pub(crate) use shingles::{SAMPLE, Shingling, ShinglingSample};
pub(crate) use text_index::TextIndex;
pub(crate) use texts::Text;

use self::held::HeldRecords;
use self::nearest::nearest;
use self::spill::Spill;
pub(crate) use crate::record::DuplicateKind;
use crate::record::{Conversation, Situation};
use crate::store::entries;
use crate::store::fs::FsError;

/// Bytes of index in memory above which it goes to disk.
const SPILL_ABOVE: usize = 64 << 20;
/// Pieces from which on a share of them tells anything.
const TELLING_PIECES: usize = 6;

/// The records kept so far, without their texts.
#[derive(Debug)]
pub(crate) struct DedupIndex {
    hasher: Arc<Hasher>,
    held: HeldRecords,
    spill: Spill,
    spill_above: usize,
    cache: Cache<prepared::ComparedText>,
    folder: PathBuf,
}

/// What became of a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// It was kept.
    New,
    /// It was not, because of a kept one.
    Duplicate(Match),
}

/// A kept record that a text duplicates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Match {
    /// The id of the kept record.
    pub id: String,
    /// How similar they are, from the threshold to 1.
    pub jaccard: f64,
    /// How the two are the same.
    pub kind: DuplicateKind,
}

impl DedupIndex {
    /// An empty index that goes to disk in `folder` where it grows large.
    ///
    /// `threshold` is the Jaccard index from which two texts are duplicates, in (0, 1]. At least 99 % of the pairs that
    /// reach it are found; no pair below it ever is.
    pub(crate) fn new(threshold: f64, shingling: Shingling, folder: &Path) -> Self {
        Self {
            hasher: Hasher::new(threshold, shingling),
            held: HeldRecords::default(),
            spill: Spill::new(folder),
            spill_above: SPILL_ABOVE,
            cache: Cache::default(),
            folder: folder.to_owned(),
        }
    }

    /// What prepares texts for this index.
    pub(crate) fn hasher(&self) -> Arc<Hasher> {
        Arc::clone(&self.hasher)
    }

    /// How many records are kept; the number of the next.
    #[cfg(test)]
    pub(crate) fn len(&self) -> u32 {
        self.held.next()
    }

    /// The kept record that a text duplicates: the one with the same text, else the most similar, else none.
    ///
    /// `text` reads a kept record back by its number, which counts from 0 in the order in which they were kept. Its errors
    /// and those of the index's own files pass through.
    pub(crate) fn check<E: From<FsError>>(
        &mut self,
        prepared: &Prepared,
        text: impl FnMut(u32) -> Result<Text, E>,
    ) -> Result<Option<Match>, E> {
        let threshold = self.hasher.threshold;
        let found = self.nearest(prepared, &prepared.entries(0), text)?;
        Ok(found.filter(|found| found.jaccard >= threshold))
    }

    /// Keeps a text unless it duplicates a kept one; see [`check`](Self::check). After [`Verdict::New`] its text must be
    /// there to be read back.
    pub(crate) fn judge<E: From<FsError>>(
        &mut self,
        prepared: &Prepared,
        text: impl FnMut(u32) -> Result<Text, E>,
    ) -> Result<Verdict, E> {
        if let Some(found) = self.check(prepared, text)? {
            return Ok(Verdict::Duplicate(found));
        }
        self.keep(prepared)?;
        Ok(Verdict::New)
    }

    /// Keeps a text even if it is near a kept one, for asking what is near a given collection rather than thinning it; says
    /// whether it did. Exact copies are still kept once: they could answer nothing the first does not.
    pub(crate) fn add<E: From<FsError>>(
        &mut self,
        prepared: &Prepared,
        text: impl FnMut(u32) -> Result<Text, E>,
    ) -> Result<bool, E> {
        let same: Vec<u64> = prepared.exact_entry(0).into_iter().collect();
        let new = self.nearest(prepared, &same, text)?.is_none_or(|found| found.kind == DuplicateKind::Near);
        if new {
            self.keep(prepared)?;
        }
        Ok(new)
    }

    fn keep(&mut self, prepared: &Prepared) -> Result<(), FsError> {
        let record = self.room_for(1)?;
        self.held.add(prepared.entries(record), [prepared.sketch]);
        self.spill_if_large()
    }

    fn nearest<E: From<FsError>>(
        &mut self,
        prepared: &Prepared,
        queries: &[u64],
        mut text: impl FnMut(u32) -> Result<Text, E>,
    ) -> Result<Option<Match>, E> {
        let candidates = self.candidates(queries, |_| (0, prepared.sketch))?;
        let records = candidates.into_iter().map(|pair| entries::halves(pair).1);
        let Self { cache, hasher, .. } = self;
        nearest(prepared, records, |record| cache.get(record, || known(hasher, text(record))))
    }

    /// Kept records that have a key in common with a query and a sketch that allows for more: pairs of the number that
    /// `asking` gives a slot, and the record, sorted.
    fn candidates(&self, queries: &[u64], asking: impl Fn(u32) -> (u32, Sketch)) -> Result<Vec<u64>, FsError> {
        let least = self.hasher.signer.least_agreement;
        let mut candidates = Vec::new();
        let mut sift = |slot, record, sketch: Sketch| {
            let (asking, own) = asking(slot);
            if own.agreement(sketch) >= least {
                candidates.push(entries::entry(asking, record));
            }
        };
        self.held.join(queries, &mut sift);
        self.spill.join(queries, &mut sift)?;
        candidates.sort_unstable();
        candidates.dedup();
        Ok(candidates)
    }

    /// The number of the next record, if so many more have one.
    fn room_for(&self, records: usize) -> Result<u32, FsError> {
        let next = self.held.next();
        if u32::try_from(records).ok().and_then(|records| next.checked_add(records)).is_some() {
            return Ok(next);
        }
        let source = std::io::Error::other("an index takes 4,294,967,295 records; split the corpus");
        Err(FsError { action: "index more records in", path: self.folder.clone(), source })
    }

    fn spill_if_large(&mut self) -> Result<(), FsError> {
        if self.held.size() <= self.spill_above { Ok(()) } else { self.spill.take(&mut self.held) }
    }
}

/// A kept text, and the bytes it takes.
fn known<E>(hasher: &Hasher, text: Result<Text, E>) -> Result<(prepared::ComparedText, usize), E> {
    let known = text.map(|Text { id, text }| hasher.known(id, &text))?;
    let bytes = known.shingles.len() * 8 + known.id.len();
    Ok((known, bytes))
}

/// The share of the pieces of `text` that stand in `source` too; `None` when it has too few to tell.
pub(crate) fn share_within(text: &str, source: &str, shingling: Shingling) -> Option<f64> {
    let [text, source] = [text, source].map(|text| shingling.shingles(&normalize(text)));
    let shared = text.iter().filter(|piece| source.binary_search(piece).is_ok()).count();
    (text.len() >= TELLING_PIECES).then(|| shared as f64 / text.len() as f64)
}

/// What of a situation is compared: what happens, what about, and how it opens. Not the people, who are drawn.
pub(crate) fn situation_text(situation: &Situation) -> String {
    [situation.situation.as_str(), &situation.topic, &situation.conversation_starter].join("\n")
}

/// What of a conversation is compared: what is said. Not the starter, which comes from the situation.
pub(crate) fn conversation_text(conversation: &Conversation) -> String {
    let said: Vec<&str> = conversation.turns.iter().map(|turn| turn.text.as_str()).collect();
    said.join("\n")
}
