//! The records that travel through the pipeline and end in the dataset.
//!
//! Every object of a kind has the same keys in the same order, absent values are an explicit `null`,
//! and open-ended metadata is one JSON string, so that no reader ever infers two types for one column.
//! Ids come from position, never from the clock or from the order of completion; `hash` identifies
//! the content.

pub(crate) mod arrow;
mod conversation;
mod outcome;
pub(crate) mod parquet;
mod persona;
mod situation;

pub use conversation::{Conversation, Speaker, StopReason, Turn};
pub(crate) use outcome::{Dropped, Duplicate, DuplicateKind, Fate, Outcome, Tally};
pub use persona::Persona;
pub use situation::{Participant, Relation, Situation};

/// The first 128 bits, in hex, of the BLAKE3 hash of `parts`, each preceded by its length.
///
/// Lengths keep `["ab", "c"]` and `["a", "bc"]` apart.
pub(crate) fn content_hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().chars().take(32).collect()
}
