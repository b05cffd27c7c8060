//! Groups that the source itself has made: those who stand in one row of it, such as the two of a pair.

use std::ops::Range;

use super::{CastList, CastingError, Group};
use crate::draw::Draw;

/// The groups of `people`, who come row by row, in drawn order.
pub(super) fn groups(people: &CastList, seed: u64) -> Result<Vec<Group>, CastingError> {
    let split = |person: u32| {
        people.splits.iter().find(|(_, members)| members.binary_search(&person).is_ok()).map(|(split, _)| split.clone())
    };
    let group = |row: &Range<u32>| Group {
        members: row.clone().map(|person| person as usize).collect(),
        split: split(row.start).unwrap_or_default(),
    };
    let mut groups: Vec<Group> = people.rows.iter().map(group).collect();
    if groups.is_empty() {
        return Err(CastingError::NoRows);
    }
    Draw::new(seed, &["casting", "rows"]).shuffle(&mut groups);
    Ok(groups)
}
