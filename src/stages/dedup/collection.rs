//! A small collection of texts in memory, behind the same index.

use std::convert::Infallible;
use std::sync::Arc;

use super::held::HeldRecords;
use super::nearest::nearest;
use super::prepared::{ComparedText, Hasher, Prepared};
use super::{DuplicateKind, Match, Shingling};

/// Texts kept in memory, kilobytes each: for thousands, not millions. See [`DedupIndex`](super::DedupIndex) for those.
#[derive(Debug)]
pub(crate) struct Collection {
    hasher: Arc<Hasher>,
    held: HeldRecords,
    known: Vec<Arc<ComparedText>>,
}

impl Collection {
    /// An empty one; see [`DedupIndex::new`](super::DedupIndex::new).
    pub(crate) fn new(threshold: f64, shingling: Shingling) -> Self {
        Self { hasher: Hasher::new(threshold, shingling), held: HeldRecords::default(), known: Vec::new() }
    }

    /// How many texts are kept.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Keeps `text` even if it is near a kept one, for asking what is near a given collection rather than thinning it.
    /// Exact copies are still kept once: they could answer nothing the first does not.
    pub(crate) fn add(&mut self, id: &str, text: &str) {
        let prepared = self.hasher.prepare(text);
        let same: Vec<u64> = prepared.exact_entry(0).into_iter().collect();
        if self.nearest(&prepared, &same).is_none_or(|found| found.kind == DuplicateKind::Near) {
            self.keep(id, &prepared);
        }
    }

    /// The Jaccard index of `text` with the kept text most like it; 0 when nothing comes near.
    ///
    /// The value is exact for what the index looks at, which is 99 % of what lies at the threshold and nearly everything
    /// above it. Below the threshold it is a lower bound.
    pub(crate) fn max_similarity(&self, text: &str) -> f64 {
        let prepared = self.hasher.prepare(text);
        self.nearest(&prepared, &prepared.entries(0)).map_or(0.0, |found| found.jaccard)
    }

    fn nearest(&self, prepared: &Prepared, queries: &[u64]) -> Option<Match> {
        let mut candidates = Vec::new();
        self.held.join(queries, |_, record, sketch| {
            if sketch.agreement(prepared.sketch) >= self.hasher.signer.least_agreement {
                candidates.push(record);
            }
        });
        candidates.sort_unstable();
        candidates.dedup();
        // The index numbers what was kept in the order in which it was kept.
        let known = candidates.into_iter().filter_map(|record| self.known.get(record as usize));
        let Ok(found) = nearest(prepared, known, |known| Ok::<_, Infallible>(Arc::clone(known)));
        found
    }

    fn keep(&mut self, id: &str, prepared: &Prepared) {
        self.held.add(prepared.entries(self.held.next()), [prepared.sketch]);
        self.known.push(Arc::new(prepared.known(id)));
    }
}
