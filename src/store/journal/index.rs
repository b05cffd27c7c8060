//! Where each reply is, by key: replies themselves stay on disk.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;

use super::error::{Damage, JournalError, JournalProblem};
use super::examine;
use super::frame::{self, EntryKind, FrameError, JournalEntry};
use super::segment::{self, Location};
use crate::store::fs::{self, FsError};

/// Segments that are kept open for reading. Replies are looked up roughly in the order in which they were written, so a
/// few segments serve many conversations at once.
const OPEN_SEGMENTS: usize = 16;

/// What stands for a key in memory.
pub(super) type Digest = [u8; 16];

/// Keys and places, 32 bytes for each reply that was there when the journal was opened, in the order of the keys.
#[derive(Debug, Default)]
pub(super) struct JournalIndex(Vec<(Digest, Location)>);

/// Two replies with one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repeated {
    /// The one that counts.
    pub first: Location,
    pub later: Location,
}

impl JournalIndex {
    /// The index of `replies`, given in the order of the journal, and those that repeat a key, in that order as well.
    pub(super) fn new(mut replies: Vec<(Digest, Location)>) -> (Self, Vec<Repeated>) {
        // Stable: of the replies with one key the first stays the first.
        replies.sort_by_key(|(digest, _)| *digest);
        let mut repeated = Vec::new();
        replies.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same {
                repeated.push(Repeated { first: first.1, later: later.1 });
            }
            same
        });
        replies.shrink_to_fit();
        repeated.sort_by_key(|pair| (pair.later.segment, pair.later.offset));
        (Self(replies), repeated)
    }

    pub(super) fn get(&self, key: &str) -> Option<Location> {
        let digest = digest(key);
        let at = self.0.binary_search_by_key(&digest, |(digest, _)| *digest).ok()?;
        self.0.get(at).map(|(_, location)| *location)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn locations(&self) -> impl Iterator<Item = Location> {
        self.0.iter().map(|(_, location)| *location)
    }
}

/// The number that the 32 hex digits of a call's key spell; of a key in any other form, its hash. The whole key is
/// compared when the reply is read.
pub(super) fn digest(key: &str) -> Digest {
    let spelled = key.len() == 32 && key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match u128::from_str_radix(key, 16) {
        Ok(number) if spelled => number.to_be_bytes(),
        _ => {
            let mut digest = Digest::default();
            blake3::Hasher::new().update(key.as_bytes()).finalize_xof().fill(&mut digest);
            digest
        }
    }
}

/// The segments of a journal, to read single replies from.
#[derive(Debug)]
pub(super) struct Segments {
    dir: PathBuf,
    /// The one used last at the end.
    open: Mutex<VecDeque<(u32, Arc<File>)>>,
}

impl Segments {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), open: Mutex::default() }
    }

    /// The body of the reply at `location`, after a check that it is still the one with this key.
    pub(super) fn read<T: DeserializeOwned>(&self, key: &str, location: Location) -> Result<T, JournalError> {
        self.look(location, |entry| {
            let is_it = entry.key.as_deref() == Some(key);
            if is_it {
                Ok(entry.read().map_err(|source| unreadable(entry, key, source)))
            } else {
                Err(FrameError::Foreign)
            }
        })?
    }

    /// Shows `look` the reply at `location`.
    pub(super) fn look<T>(
        &self,
        location: Location,
        look: impl FnOnce(&JournalEntry<'_>) -> Result<T, FrameError>,
    ) -> Result<T, JournalError> {
        let path = segment::path(&self.dir, location.segment);
        let file = self.open(location.segment, &path)?;
        let line = fs::read_at(&file, &path, location.offset, location.length as usize)?;
        let sound = frame::decode(&line).and_then(|entry| match entry.kind {
            EntryKind::Reply => look(&entry),
            _ => Err(FrameError::Foreign),
        });
        sound.map_err(|reason| {
            let item = frame::legible_item(&line).map(|item| format!("item {item}"));
            Damage { file: path, offset: location.offset, item, problem: JournalProblem::Line(reason) }.into()
        })
    }

    fn open(&self, number: u32, path: &Path) -> Result<Arc<File>, FsError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().position(|(other, _)| *other == number);
        let used = match at.and_then(|at| open.remove(at)) {
            Some(used) => used,
            None => (number, Arc::new(fs::open(path)?)),
        };
        if open.len() >= OPEN_SEGMENTS {
            open.pop_front();
        }
        let file = Arc::clone(&used.1);
        open.push_back(used);
        Ok(file)
    }
}

fn unreadable(entry: &JournalEntry<'_>, key: &str, source: serde_json::Error) -> JournalError {
    let item = entry.item.as_deref().unwrap_or("-").to_owned();
    JournalError::Unreadable { item, key: key.to_owned(), source }
}

/// The replies that were in a journal when it was opened for reading: another run's, or those of a run that is looked
/// at. Takes no lock.
#[derive(Debug)]
pub(crate) struct Archive {
    segments: Segments,
    index: JournalIndex,
}

impl Archive {
    /// Opens the journal in `dir` for reading.
    pub(crate) fn open(dir: &Path) -> Result<Self, JournalError> {
        if segment::numbers(dir)?.is_empty() {
            return Err(JournalError::Absent { path: dir.to_owned() });
        }
        let mut replies = Vec::new();
        examine::walk(dir, None, |segment| {
            segment.check()?;
            replies.extend(segment.replies());
            Ok(())
        })?;
        Ok(Self { segments: Segments::new(dir), index: JournalIndex::new(replies).0 })
    }

    /// The body of the first reply with this key, parsed.
    pub(crate) fn get_as<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, JournalError> {
        self.index.get(key).map(|location| self.segments.read(key, location)).transpose()
    }

    /// Whether there is a reply with this key.
    pub(crate) fn holds(&self, key: &str) -> bool {
        self.index.get(key).is_some()
    }

    /// Hands the first reply of each key to `on_reply`, in the order of the keys.
    pub(crate) fn each<E: From<JournalError>>(
        &self,
        mut on_reply: impl FnMut(&JournalEntry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.index.locations().try_for_each(|location| self.segments.look(location, |entry| Ok(on_reply(entry)))?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Journal, Options};
    use super::*;

    fn place(offset: u64) -> Location {
        Location { segment: 1, length: 1, offset }
    }

    #[test]
    fn every_form_of_key_has_its_place() {
        let hex = "00112233445566778899aabbccddeeff";
        let keys =
            [hex, &hex.to_uppercase(), &hex[1..], "+0112233445566778899aabbccddeeff", "", "key-001", "Schlüssel"];
        let replies = keys.iter().zip(0..).map(|(key, offset)| (digest(key), place(offset))).collect();
        let (index, repeated) = JournalIndex::new(replies);
        assert_eq!((index.len(), repeated.len()), (keys.len(), 0));
        for (key, offset) in keys.iter().zip(0..) {
            assert_eq!(index.get(key), Some(place(offset)), "{key}");
        }
        assert_eq!(index.get("key-002"), None);
        assert_eq!(digest(hex)[..3], [0x00, 0x11, 0x22]);
    }

    #[test]
    fn few_segments_are_open_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: 100, free_space_floor: 0, space_check_batches: 64 };
        let (journal, _) = Journal::open(folder.path(), "run", options, |_| ()).unwrap();
        for number in 0..40 {
            journal.append_blocking(EntryKind::Reply, Some(&format!("key-{number}")), None, &number).unwrap();
        }
        drop(journal);
        let archive = Archive::open(folder.path()).unwrap();
        for number in (0..40).chain((0..40).rev()) {
            assert_eq!(archive.get_as(&format!("key-{number}")).unwrap(), Some(number));
        }
        assert!(segment::numbers(folder.path()).unwrap().len() > OPEN_SEGMENTS);
        assert_eq!(archive.segments.open.lock().unwrap().len(), OPEN_SEGMENTS);
    }

    #[test]
    fn an_entry_takes_32_bytes() {
        assert_eq!(size_of::<(Digest, Location)>(), 32);
    }

    #[test]
    fn of_replies_with_one_key_the_first_is_found_and_the_others_are_told_in_order() {
        let replies = [("b", 0), ("a", 1), ("b", 2), ("a", 3), ("b", 4)];
        let (index, repeated) = JournalIndex::new(replies.map(|(key, offset)| (digest(key), place(offset))).to_vec());
        assert_eq!((index.get("a"), index.get("b")), (Some(place(1)), Some(place(0))));
        let told: Vec<_> = repeated.iter().map(|pair| (pair.first.offset, pair.later.offset)).collect();
        assert_eq!(told, [(0, 2), (1, 3), (0, 4)]);
    }
}
