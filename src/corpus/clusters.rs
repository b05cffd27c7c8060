//! Which records stay: in the order of their ids, each unless it is near one that stays already.
//!
//! So the record with the smallest id of any group stays, and whatever is removed was compared with the very record that it
//! is said to duplicate: there is no chain that could carry a cluster away from it. That makes the result a function of the
//! records alone. Records are looked at in batches: first all of a batch, on all threads, against what was kept before it;
//! then those that found nothing, one by one, against what is kept of their batch. A record is removed in favour of the first
//! that is near enough, and all of an earlier batch come first, so the size of batches does not show.

use super::bands::BandIndex;
use super::compare::{Comparer, Comparison};
use super::error::CorpusError;
use super::pairs::PairIndex;
use super::parallel;
use super::scan::ScannedRecords;

/// Records in a batch at most.
const BATCH: u32 = 4_096;

/// Where candidates come from.
#[derive(Debug)]
pub(super) enum CandidateIndex<'a> {
    /// The bands of signatures made here.
    Bands(BandIndex<'a>),
    /// A list of pairs.
    Pairs(PairIndex, ScannedRecords),
}

/// A record that was removed as a near duplicate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NearRecord {
    pub(super) rank: u32,
    pub(super) kept: u32,
    pub(super) jaccard: f64,
}

/// What stays and what does not.
#[derive(Debug)]
pub(super) struct DecidedRecords {
    /// For every rank the rank of the first with the same text.
    firsts: Vec<u32>,
    /// The first records that are near a kept one, by rank.
    near: Vec<NearRecord>,
}

/// Why a record was removed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Removal {
    /// Its text is that of the record with this rank.
    Exact(u32),
    /// It is near the record with this rank.
    Near(u32, f64),
}

impl CandidateIndex<'_> {
    pub(super) fn records(&self) -> &ScannedRecords {
        match self {
            Self::Bands(bands) => bands.records(),
            Self::Pairs(_, records) => records,
        }
    }

    fn keep(&mut self, rank: u32) {
        match self {
            Self::Bands(bands) => bands.keep(rank),
            Self::Pairs(pairs, _) => pairs.keep(rank),
        }
    }

    fn candidates(&self, rank: u32, from: u32) -> Vec<u32> {
        match self {
            Self::Bands(bands) => bands.candidates(rank, from),
            Self::Pairs(pairs, _) => pairs.candidates(rank, from),
        }
    }
}

/// Decides on every record. `firsts` names for each rank the first record with the same text.
pub(super) fn decide(
    index: &mut CandidateIndex<'_>,
    firsts: Vec<u32>,
    with: Comparison<'_>,
    threads: usize,
) -> Result<DecidedRecords, CorpusError> {
    let mut near = Vec::new();
    let mut comparers: Vec<Comparer> = (0..threads.max(1)).map(|_| Comparer::default()).collect();
    for batch in parallel::pieces(with.order.len(), batch_size(with.order.len())) {
        let ranks: Vec<u32> = batch.clone().filter(|rank| firsts.get(*rank as usize) == Some(rank)).collect();
        let found = against_earlier(index, &ranks, with, &mut comparers)?;
        for (rank, found) in ranks.into_iter().zip(found) {
            let found = match (found, comparers.first_mut()) {
                (None, Some(comparer)) => {
                    comparer.first_near(with, index.records(), rank, &index.candidates(rank, batch.start))?
                }
                (found, _) => found,
            };
            match found {
                Some((kept, jaccard)) => near.push(NearRecord { rank, kept, jaccard }),
                None => index.keep(rank),
            }
        }
    }
    Ok(DecidedRecords { firsts, near })
}

/// Small next to the corpus, since what is near within a batch is found on one thread.
fn batch_size(records: u32) -> u32 {
    (records / 64).clamp(16, BATCH)
}

type Found = Option<(u32, f64)>;

fn against_earlier(
    index: &CandidateIndex<'_>,
    ranks: &[u32],
    with: Comparison<'_>,
    comparers: &mut [Comparer],
) -> Result<Vec<Found>, CorpusError> {
    let size = ranks.len().div_ceil(comparers.len().max(1)).max(1);
    let found = parallel::each(ranks.chunks(size).zip(comparers), |(ranks, comparer)| {
        let near = |rank: &u32| comparer.first_near(with, index.records(), *rank, &index.candidates(*rank, 0));
        ranks.iter().map(near).collect::<Result<Vec<Found>, _>>()
    });
    found.into_iter().collect::<Result<Vec<_>, _>>().map(|found| found.concat())
}

impl DecidedRecords {
    /// Why the record with a rank was removed; `None`: it stays.
    pub(super) fn removal(&self, rank: u32) -> Option<Removal> {
        let first = self.firsts.get(rank as usize).copied().unwrap_or(rank);
        match self.near(first) {
            Some(near) => Some(Removal::Near(near.kept, near.jaccard)),
            None if first == rank => None,
            None => Some(Removal::Exact(first)),
        }
    }

    fn near(&self, rank: u32) -> Option<&NearRecord> {
        let at = self.near.binary_search_by_key(&rank, |near| near.rank).ok()?;
        self.near.get(at)
    }
}
