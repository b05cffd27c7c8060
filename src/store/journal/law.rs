//! The law of the journal: whatever happens to its bytes, what is recovered was written, whatever is missing is
//! noticed, and a crash is told from damage.

use std::ops::Range;
use std::path::Path;

use proptest::prelude::*;

use super::examine::{Examined, examine};
use super::frame::{self, EntryKind, JournalEntry};

/// The bytes of a first segment, and of each line its batch and range, newline included.
struct Model {
    bytes: Vec<u8>,
    lines: Vec<(u64, Range<usize>)>,
}

/// A segment of a header and the given batches of bodies.
fn model(batches: &[Vec<String>]) -> Model {
    let mut model = Model { bytes: Vec::new(), lines: Vec::new() };
    model.push(1, 1, EntryKind::Segment, "{\"format\":1,\"run_id\":\"r\",\"previous\":null}");
    let mut seq = 1;
    for batch in batches {
        let first = seq + 1;
        for body in batch {
            seq += 1;
            model.push(seq, first, EntryKind::Reply, &serde_json::to_string(body).unwrap());
        }
    }
    model
}

impl Model {
    fn push(&mut self, seq: u64, batch: u64, kind: EntryKind, body: &str) {
        let start = self.bytes.len();
        let key = format!("key-{seq}");
        let entry = JournalEntry { seq, batch, kind, key: Some(key.into()), item: Some("item".into()), body };
        frame::encode(&mut self.bytes, &entry);
        self.lines.push((batch, start..self.bytes.len()));
    }

    /// Checks the judgement of `changed`, of which the bytes in `spoilt` are not as written, every other byte being where it was.
    fn check_spoilt(&self, changed: &[u8], spoilt: &Range<usize>) -> Result<(), TestCaseError> {
        // A line is hurt by its own bytes, and by the newline before it.
        let hurt = |lines: &Range<usize>| spoilt.start < lines.end && spoilt.end > lines.start.saturating_sub(1);
        let sound: Vec<_> = self.lines.iter().filter(|(_, range)| !hurt(range)).collect();
        let last = sound.last().map_or(0, |(batch, _)| *batch);
        let explained =
            !hurt(&self.lines[0].1) && !self.lines.iter().any(|(batch, range)| hurt(range) && *batch < last);

        let examined = examine(Path::new("segment"), changed, 1, true);
        prop_assert_eq!(examined.damage.is_empty(), explained, "{:?}", &examined.damage);
        prop_assert_eq!(survivors(&examined), sound.iter().map(|(_, range)| range.start).collect::<Vec<_>>());
        prop_assert!(!explained || examined.torn.is_some());
        let finished = examine(Path::new("segment"), changed, 1, false);
        prop_assert!(!finished.damage.is_empty(), "a finished segment has no torn lines");
        Ok(())
    }
}

fn survivors(examined: &Examined<'_>) -> Vec<usize> {
    examined.lines.iter().map(|line| usize::try_from(line.offset).unwrap()).collect()
}

fn batches() -> impl Strategy<Value = Vec<Vec<String>>> {
    let batch = proptest::collection::vec(".{0,12}", 1..4);
    proptest::collection::vec(batch, 1..4)
}

proptest! {
    #[test]
    fn truncation_keeps_exactly_the_whole_records(batches in batches()) {
        let model = model(&batches);
        for end in 0..=model.bytes.len() {
            let examined = examine(Path::new("segment"), &model.bytes[..end], 1, true);
            let whole = model.lines.iter().filter(|(_, range)| range.end - 1 <= end).map(|(_, range)| range.start);
            prop_assert_eq!(survivors(&examined), whole.collect::<Vec<_>>(), "{} bytes", end);
            prop_assert_eq!(examined.damage.is_empty(), end >= model.lines[0].1.end - 1, "{} bytes", end);
        }
    }

    #[test]
    fn every_changed_byte_is_noticed_and_judged(batches in batches(), change in 1_u8..) {
        let model = model(&batches);
        for at in 0..model.bytes.len() {
            let mut changed = model.bytes.clone();
            changed[at] ^= change;
            // A line break in place of another byte cuts a line in two: it is as broken as by any other byte.
            model.check_spoilt(&changed, &(at..at + 1))?;
        }
    }

    #[test]
    fn lost_pages_are_a_crash_in_the_last_batch_only(batches in batches(), start in any::<proptest::sample::Index>(), length in 1_usize..400) {
        let model = model(&batches);
        let start = start.index(model.bytes.len());
        let spoilt = start..(start + length).min(model.bytes.len());
        let mut changed = model.bytes.clone();
        changed[spoilt.clone()].fill(0);
        model.check_spoilt(&changed, &spoilt)?;
    }

    #[test]
    fn what_follows_the_end_is_dropped(batches in batches(), tail in proptest::collection::vec(any::<u8>(), 1..80)) {
        let model = model(&batches);
        for tail in [tail, vec![0; 4096], b"\n\n".to_vec()] {
            let mut changed = model.bytes.clone();
            changed.extend(tail);
            let examined = examine(Path::new("segment"), &changed, 1, true);
            prop_assert_eq!(&examined.damage, &[]);
            prop_assert_eq!(examined.torn, Some(model.bytes.len() as u64));
            prop_assert_eq!(survivors(&examined).len(), model.lines.len());
        }
    }

    #[test]
    fn dropped_repeated_and_swapped_lines_are_damage(batches in batches()) {
        let model = model(&batches);
        let lines: Vec<&[u8]> = model.lines.iter().map(|(_, range)| &model.bytes[range.clone()]).collect();
        let damaged = |lines: &[&[u8]]| !examine(Path::new("segment"), &lines.concat(), 1, true).damage.is_empty();
        for at in 0..lines.len() {
            let mut dropped = lines.clone();
            dropped.remove(at);
            prop_assert_eq!(damaged(&dropped), at + 1 < lines.len(), "line {} dropped: the end may be cut off", at);
            for other in at..lines.len() {
                let mut repeated = lines.clone();
                repeated.insert(other + 1, lines[at]);
                prop_assert!(damaged(&repeated), "line {} repeated after {}", at, other);
                let mut swapped = lines.clone();
                swapped.swap(at, other);
                prop_assert_eq!(damaged(&swapped), at != other, "lines {} and {} swapped", at, other);
            }
        }
    }

    #[test]
    fn a_crash_inserts_nothing(batches in batches(), inserted in "[ -~]{0,60}\n") {
        let model = model(&batches);
        for (_, range) in &model.lines {
            let (before, after) = model.bytes.split_at(range.start);
            let changed = [before, inserted.as_bytes(), after].concat();
            let examined = examine(Path::new("segment"), &changed, 1, true);
            prop_assert_eq!(examined.damage.len(), 1);
            prop_assert_eq!(examined.damage[0].offset, range.start as u64);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        examine(Path::new("segment"), &bytes, 1, true);
    }
}

#[test]
fn numbers_at_their_limit_do_not_overflow() {
    let mut model = model(&[]);
    model.push(u64::MAX, u64::MAX, EntryKind::Reply, "0");
    model.push(u64::MAX, u64::MAX, EntryKind::Reply, "0");
    assert_eq!(examine(Path::new("segment"), &model.bytes, 1, true).damage.len(), 2);
}
