//! Groups that the source itself has made: those who stand in one row of it, such as the two of a pair.

use super::{CastList, CastingError, Group};
use crate::draw::Draw;

/// The groups of `people`, who come row by row, in drawn order.
pub(super) fn groups(people: &CastList, seed: u64) -> Result<Vec<Group>, CastingError> {
    let all = people.told.len();
    let mut splits = vec![""; all];
    for (split, members) in &people.splits {
        for place in members.iter().copied() {
            splits.get_mut(place).into_iter().for_each(|of| *of = split);
        }
    }
    let ends = people.rows.iter().skip(1).copied().chain([all]);
    let rows = people.rows.iter().copied().zip(ends).filter(|(first, end)| first + 1 < *end);
    let groups: Vec<Group> = rows
        .map(|(first, end)| Group {
            members: (first..end).collect(),
            split: splits.get(first).copied().unwrap_or_default().to_owned(),
        })
        .collect();
    if groups.is_empty() {
        return Err(CastingError::NoRows);
    }
    Ok(Draw::new(seed, &["casting", "rows"]).sample(&groups, groups.len()).into_iter().cloned().collect())
}
