//! Groups that the source itself has made: those who stand in one row of it, such as the two of a pair.

use super::{CastingError, Group};
use crate::draw::Draw;
use crate::record::Persona;

/// The groups of `people`, who come row by row, in drawn order.
pub(super) fn groups(people: &[Persona], seed: u64) -> Result<Vec<Group>, CastingError> {
    let mut at = 0;
    let mut groups = Vec::new();
    for row in people.chunk_by(|one, other| one.source == other.source) {
        if let [first, _, ..] = row {
            groups.push(Group { members: (at..at + row.len()).collect(), split: first.split.clone() });
        }
        at += row.len();
    }
    if groups.is_empty() {
        return Err(CastingError::NoRows);
    }
    Ok(Draw::new(seed, &["casting", "rows"]).sample(&groups, groups.len()).into_iter().cloned().collect())
}
