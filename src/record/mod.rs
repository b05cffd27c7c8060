//! The records that travel through the pipeline and end in the dataset.
//!
//! Every object of a kind has the same keys in the same order, absent values are an explicit `null`,
//! and open-ended metadata is one JSON string, so that no reader ever infers two types for one column.
//! Ids come from position, never from the clock or from the order of completion; `hash` identifies
//! the content.

pub(crate) mod arrow;
mod conversation;
mod facets;
mod filter;
mod misread;
mod outcome;
pub(crate) mod parquet;
mod persona;
mod situation;
pub(crate) mod text_table;

pub use conversation::{Conversation, Speaker, StopReason, Turn};
pub(crate) use facets::Facets;
pub(crate) use filter::{NumberRange, TalkFilter};
pub(crate) use misread::misread;
pub(crate) use outcome::{Dropped, Duplicate, DuplicateKind, Fate, Outcome, Tally};
pub use persona::Persona;
pub use situation::{Participant, Relation, Situation};

/// Longest name of a split.
const LONGEST_SPLIT_NAME: usize = 64;

/// Whether this can name a split: names come from records and become file names, and the `datasets` library takes only these.
pub(crate) fn is_split_name(name: &str) -> bool {
    (1..=LONGEST_SPLIT_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_stay_names() {
        assert!(["train", "test_2", "A"].into_iter().all(is_split_name));
        assert!(["", "../x", "a b", "a-b", "é", "a.b", &"x".repeat(65)].into_iter().all(|name| !is_split_name(name)));
    }
}
