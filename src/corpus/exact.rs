//! Exact copies: records whose normalised texts are equal, in favour of the one with the smallest id.

use super::order::IdOrder;
use super::scan::ScannedRecords;

/// For every rank the rank of the record that stands for it: its own, or that of the first with the same text.
pub(super) fn first_copies(records: &ScannedRecords, order: &IdOrder) -> Vec<u32> {
    // Sorting by a quarter of the hash brings equal ones together; among those few the rest of it is looked at.
    let quarter = |rank: u32| (records.exact(order.record(rank)) >> 96) as u64;
    let mut entries: Vec<u64> = (0..order.len()).map(|rank| quarter(rank) << 32 | u64::from(rank)).collect();
    entries.sort_unstable();
    let mut firsts: Vec<u32> = (0..order.len()).collect();
    for alike in entries.chunk_by(|one, other| one >> 32 == other >> 32).filter(|alike| alike.len() > 1) {
        #[expect(clippy::cast_possible_truncation, reason = "the low half of an entry is the rank")]
        let rank = |entry: &u64| *entry as u32;
        let mut whole: Vec<(u128, u32)> =
            alike.iter().map(|entry| (records.exact(order.record(rank(entry))), rank(entry))).collect();
        whole.sort_unstable();
        for equal in whole.chunk_by(|one, other| one.0 == other.0) {
            let first = equal.first().map_or(0, |(_, rank)| *rank);
            for (_, copy) in equal {
                firsts.get_mut(*copy as usize).into_iter().for_each(|place| *place = first);
            }
        }
    }
    firsts
}
