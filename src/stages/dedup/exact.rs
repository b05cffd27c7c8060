//! Texts that are the same once normalised, found by a 128-bit hash.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use xxhash_rust::xxh3::xxh3_128;

/// Which normalised texts were seen, and which record has each.
#[derive(Debug, Default)]
pub(super) struct ExactIndex(HashMap<u128, usize>);

impl ExactIndex {
    /// The record with exactly this text.
    pub(super) fn get(&self, normalized: &str) -> Option<usize> {
        self.0.get(&xxh3_128(normalized.as_bytes())).copied()
    }

    /// Notes the record with this text, unless an earlier one has it.
    pub(super) fn insert(&mut self, normalized: &str, record: usize) {
        if let Entry::Vacant(free) = self.0.entry(xxh3_128(normalized.as_bytes())) {
            free.insert(record);
        }
    }
}
