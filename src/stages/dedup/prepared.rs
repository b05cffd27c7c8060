//! A text as the index looks at it: made of the text alone, so on any thread.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use super::minhash::{MinHasher, Sketch};
use super::normalize::normalize;
use super::shingles::{Shingling, as_set};
use crate::store::entries;

/// Prepares texts for one index, and knows what it looks for. Cheap to share.
#[derive(Debug)]
pub(crate) struct Hasher {
    pub(crate) threshold: f64,
    shingling: Shingling,
    pub(super) signer: MinHasher,
}

/// A text ready to be judged.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// xxh3-128 of the normalised text: equal texts are exact duplicates.
    pub(super) exact: u128,
    /// Keys of the bands, and of the text as a whole.
    keys: Vec<u32>,
    pub(super) sketch: Sketch,
    /// The hashed shingles as they come. They become a set only where two texts are compared.
    pieces: Vec<u64>,
}

/// What two texts are compared by.
#[derive(Debug)]
pub(super) struct ComparedText {
    pub(super) id: String,
    pub(super) exact: u128,
    /// The sorted set of shingles.
    pub(super) shingles: Vec<u64>,
}

impl Hasher {
    /// For an index with this threshold and these shingles; see [`DedupIndex::new`](super::DedupIndex::new).
    pub(crate) fn new(threshold: f64, shingling: Shingling) -> Arc<Self> {
        Arc::new(Self { threshold, shingling, signer: MinHasher::new(threshold) })
    }

    /// Hashes a text. Takes microseconds, and nothing but the text.
    pub(crate) fn prepare(&self, text: &str) -> Prepared {
        let normalized = normalize(text);
        let exact = xxh3_128(normalized.as_bytes());
        let pieces = self.shingling.pieces(&normalized);
        let (mut keys, sketch) = self.signer.keys_and_sketch(&pieces);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a key is some bits of the hash; what has it is compared whole"
        )]
        keys.push(exact as u32);
        Prepared { exact, keys, sketch, pieces }
    }

    /// What texts are cut into.
    pub(crate) fn shingling(&self) -> Shingling {
        self.shingling
    }

    /// How many bands a signature is cut into.
    pub(crate) fn bands(&self) -> usize {
        self.signer.layout.bands
    }

    /// Values in a band.
    pub(crate) fn rows(&self) -> usize {
        self.signer.layout.rows
    }

    /// In how many of 64 values sketches must agree for their texts to be compared.
    pub(crate) fn least_agreement(&self) -> u32 {
        self.signer.least_agreement
    }

    /// xxh3-128 of the normalised text.
    pub(crate) fn exact_of(text: &str) -> u128 {
        xxh3_128(normalize(text).as_bytes())
    }

    /// The sorted set of a text's shingles.
    pub(crate) fn shingles(&self, text: &str) -> Vec<u64> {
        self.shingling.shingles(&normalize(text))
    }

    /// What a kept text is compared by.
    pub(super) fn known(&self, id: String, text: &str) -> ComparedText {
        let normalized = normalize(text);
        ComparedText { id, exact: xxh3_128(normalized.as_bytes()), shingles: self.shingling.shingles(&normalized) }
    }
}

impl Prepared {
    /// The entries of the keys for a record, sorted.
    pub(super) fn entries(&self, record: u32) -> Vec<u64> {
        let mut entries: Vec<u64> = self.keys.iter().map(|key| entries::entry(*key, record)).collect();
        entries.sort_unstable();
        entries
    }

    /// The entry of the text as a whole, for a record.
    pub(super) fn exact_entry(&self, record: u32) -> Option<u64> {
        self.keys.last().map(|key| entries::entry(*key, record))
    }

    /// xxh3-128 of the normalised text.
    pub(crate) fn exact(&self) -> u128 {
        self.exact
    }

    /// A key for each band; none for a text shorter than a shingle.
    pub(crate) fn band_keys(&self) -> &[u32] {
        self.keys.split_last().map_or(&[], |(_, bands)| bands)
    }

    /// The sketch; of zeros alone for a text shorter than a shingle.
    pub(crate) fn sketch(&self) -> Sketch {
        self.sketch
    }

    /// The sorted set of shingles.
    pub(crate) fn shingles(&self) -> Vec<u64> {
        as_set(self.pieces.clone())
    }

    pub(super) fn known(&self, id: &str) -> ComparedText {
        ComparedText { id: id.to_owned(), exact: self.exact, shingles: self.shingles() }
    }
}
