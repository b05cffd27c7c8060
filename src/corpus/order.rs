//! The order of the records: that of their ids, compared as bytes. A record's place in it is its rank.

use super::error::CorpusError;
use super::line::FieldNames;
use super::scan::ScannedRecords;
use super::source::CorpusFiles;
use crate::store::sort::Sorter;

/// Records by rank.
#[derive(Debug)]
pub(super) struct IdOrder(Vec<u32>);

impl IdOrder {
    /// Sorts the ids of a scan; `each` is shown every one with its rank. Fails if two are equal.
    pub(super) fn of(
        ids: Sorter,
        records: &ScannedRecords,
        equal: impl Fn(&[u8], [u32; 2]) -> CorpusError,
        mut each: impl FnMut(&[u8], u32),
    ) -> Result<Self, CorpusError> {
        let mut sorted = ids.finish()?;
        let (mut order, mut before) = (Vec::with_capacity(records.count as usize), Vec::new());
        while sorted.advance()? {
            let (id, record) = sorted.record();
            let record = record.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
            if let Some(earlier) = order.last().filter(|_| before == id) {
                return Err(equal(id, [*earlier, record]));
            }
            each(id, u32::try_from(order.len()).unwrap_or(u32::MAX));
            order.push(record);
            before.clear();
            before.extend_from_slice(id);
        }
        Ok(Self(order))
    }

    /// How many records there are.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// The record with a rank.
    pub(super) fn record(&self, rank: u32) -> u32 {
        self.0.get(rank as usize).copied().unwrap_or(u32::MAX)
    }
}

/// Two records with one id, named by their files and lines.
pub(super) fn equal_ids(files: &CorpusFiles, names: &FieldNames, places: [u64; 2], id: &[u8]) -> CorpusError {
    let [one, other] = places.map(|offset| files.describe(offset, names));
    match (one, other) {
        (Ok(one), Ok(other)) => CorpusError::EqualIds { id: String::from_utf8_lossy(id).into_owned(), one, other },
        (Err(error), _) | (_, Err(error)) => error,
    }
}
