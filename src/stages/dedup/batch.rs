//! Many records judged together: the verdicts are those of one by one, and the index is read from end to end instead of here
//! and there.

use super::minhash::Sketch;
use super::nearest::nearest;
use super::prepared::Prepared;
use super::runs;
use super::texts::Text;
use super::{Dedup, Verdict, known};
use crate::store::fs::FsError;

/// No slot, no record.
const NONE: u32 = u32::MAX;

impl Dedup {
    /// Judges records in order, as [`judge`](Self::judge) does one by one. `text` is not asked for records of the batch.
    pub fn judge_all<E: From<FsError>>(
        &mut self,
        rows: &[(String, Prepared)],
        mut text: impl FnMut(u32) -> Result<Text, E>,
    ) -> Result<Vec<Verdict>, E> {
        let mut batch = Batch::of(self, rows)?;
        let mut verdicts = Vec::with_capacity(rows.len());
        let Self { cache, hasher, .. } = self;
        for (place, (_, prepared)) in (0_u32..).zip(rows) {
            let candidates = batch.candidates(place);
            let found = nearest(prepared, candidates, |record| {
                cache.get(record, || match batch.row(record) {
                    Some((id, prepared)) => Ok(prepared.known(id)),
                    None => known(hasher, text(record)),
                })
            })?;
            let found = found.filter(|found| found.jaccard >= hasher.threshold);
            if found.is_none() {
                batch.keep(place);
            }
            verdicts.push(found.map_or(Verdict::New, Verdict::Duplicate));
        }
        let (entries, sketches) = batch.kept();
        self.held.add(entries, sketches);
        self.spill_if_large()?;
        Ok(verdicts)
    }
}

/// Records that are judged together, and which of them have a key in common.
///
/// Key `k` of the record at place `p` has the slot `p * stride + k`.
struct Batch<'a> {
    rows: &'a [(String, Prepared)],
    /// Entries of all slots, sorted.
    queries: Vec<u64>,
    /// Keys that a record has at most.
    stride: u32,
    /// Of each slot the one before it with the same key.
    older: Vec<u32>,
    /// Pairs of a place and a candidate from before the batch.
    stored: std::iter::Peekable<std::vec::IntoIter<u64>>,
    /// Agreement from which a sketch allows for more.
    least: u32,
    /// The number of the first record that is kept.
    first: u32,
    /// Of each place the number of the record, if it was kept.
    numbers: Vec<u32>,
    /// The places of kept records.
    places: Vec<u32>,
}

impl<'a> Batch<'a> {
    fn of(index: &Dedup, rows: &'a [(String, Prepared)]) -> Result<Self, FsError> {
        let stride = u32::try_from(index.hasher.keys()).unwrap_or(NONE);
        let slots = rows.iter().zip(0_u32..).flat_map(|((_, prepared), place)| prepared.slots(place * stride));
        let mut queries: Vec<u64> = slots.collect();
        queries.sort_unstable();
        let stored = index.candidates(&queries, |slot| (slot / stride, sketch(rows, slot / stride)))?;
        Ok(Self {
            rows,
            older: chains(&queries, rows.len() * stride as usize),
            queries,
            stride,
            stored: stored.into_iter().peekable(),
            least: index.hasher.signer.least_agreement,
            first: index.room_for(rows.len())?,
            numbers: vec![NONE; rows.len()],
            places: Vec::new(),
        })
    }

    /// Numbers of the kept records that the one at `place` may be near to, ascending. To be asked place by place.
    fn candidates(&mut self, place: u32) -> Vec<u32> {
        let mut candidates = Vec::new();
        while let Some(pair) = self.stored.next_if(|pair| runs::halves(*pair).0 == place) {
            candidates.push(runs::halves(pair).1);
        }
        let (stored, own) = (candidates.len(), sketch(self.rows, place));
        for slot in place * self.stride..(place + 1) * self.stride {
            let mut next = self.kept_before(slot);
            while next != NONE {
                if sketch(self.rows, next / self.stride).agreement(own) >= self.least {
                    candidates.push(self.number(next));
                }
                next = self.before(next);
            }
        }
        candidates.get_mut(stored..).unwrap_or_default().sort_unstable();
        candidates.dedup();
        candidates
    }

    /// The youngest slot of a kept record in the chain before `slot`, which becomes the next in it: a record that was not
    /// kept is passed once, not by everything after it.
    fn kept_before(&mut self, slot: u32) -> u32 {
        let mut next = self.before(slot);
        while next != NONE && self.number(next) == NONE {
            next = self.before(next);
        }
        if let Some(older) = self.older.get_mut(slot as usize) {
            *older = next;
        }
        next
    }

    fn before(&self, slot: u32) -> u32 {
        self.older.get(slot as usize).copied().unwrap_or(NONE)
    }

    /// The number of the record that has a slot, if it was kept.
    fn number(&self, slot: u32) -> u32 {
        self.numbers.get((slot / self.stride) as usize).copied().unwrap_or(NONE)
    }

    fn keep(&mut self, place: u32) {
        if let Some(number) = self.numbers.get_mut(place as usize) {
            *number = self.first.saturating_add(u32::try_from(self.places.len()).unwrap_or(NONE));
            self.places.push(place);
        }
    }

    /// The row of a record that was kept of this batch.
    fn row(&self, record: u32) -> Option<&'a (String, Prepared)> {
        let place = self.places.get(record.checked_sub(self.first)? as usize)?;
        self.rows.get(*place as usize)
    }

    /// The entries of kept records, sorted since numbers rise with places; and their sketches.
    fn kept(self) -> (Vec<u64>, impl Iterator<Item = Sketch>) {
        let entry = |query: &u64| {
            let (key, slot) = runs::halves(*query);
            Some(self.number(slot)).filter(|number| *number != NONE).map(|number| runs::entry(key, number))
        };
        let entries = self.queries.iter().filter_map(entry).collect();
        (entries, self.places.into_iter().map(|place| sketch(self.rows, place)))
    }
}

/// Of each slot the one before it with the same key. `queries` are sorted.
fn chains(queries: &[u64], slots: usize) -> Vec<u32> {
    let mut older = vec![NONE; slots];
    for (before, entry) in queries.iter().zip(queries.iter().skip(1)) {
        let [(key, before), (same, slot)] = [before, entry].map(|entry| runs::halves(*entry));
        if let Some(place) = older.get_mut(slot as usize).filter(|_| key == same) {
            *place = before;
        }
    }
    older
}

fn sketch(rows: &[(String, Prepared)], place: u32) -> Sketch {
    rows.get(place as usize).map(|(_, prepared)| prepared.sketch).unwrap_or_default()
}
