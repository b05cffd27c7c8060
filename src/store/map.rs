//! A map on disk, for what is looked up by keys and may be more than fits into memory.
//!
//! Keys and values lie in a [`Spool`], in the order they came in. Where a key may be is told by the first bits of its hash: those
//! that came last by a set in memory, those before by sorted runs on disk ([`FileRun`]), of which there are few. So a key that is
//! not there takes a page of each run, and one that is there its row besides. A map never grows beyond what it holds in memory,
//! but for eight bytes per thousand keys that find the page of a run.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::entries::{self, FileRun};
use super::fs::FsError;
use super::spool::Spool;

/// Stands for a key: the first 128 bits of its BLAKE3 hash.
type KeyDigest = [u8; 16];

/// Values by keys, in files that are gone with it.
#[derive(Debug)]
pub(crate) struct DiskMap<V> {
    folder: PathBuf,
    /// Keys whose place is held in memory.
    limit: usize,
    /// A digest and the value as JSON each.
    rows: Spool,
    len: u32,
    /// Where the rows are that came last.
    young: BTreeSet<u64>,
    runs: Vec<FileRun>,
    value: PhantomData<fn() -> V>,
}

impl<V: Serialize + DeserializeOwned> DiskMap<V> {
    /// An empty one with files in `folder`, which holds the places of at most `limit` keys in memory, some twenty bytes each.
    /// `name` says in errors what it is for.
    ///
    /// # Errors
    /// If no file can be made.
    pub(crate) fn create(folder: &Path, name: &str, limit: usize) -> Result<Self, FsError> {
        let rows = Spool::create(folder, name)?;
        Ok(Self {
            folder: folder.to_owned(),
            limit,
            rows,
            len: 0,
            young: BTreeSet::new(),
            runs: Vec::new(),
            value: PhantomData,
        })
    }

    /// The value of a key.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn get(&self, key: &str) -> Result<Option<V>, FsError> {
        let Some(value) = self.find(digest(key))? else { return Ok(None) };
        serde_json::from_slice(&value).map(Some).map_err(|error| self.failed("read a value in", error.into()))
    }

    /// Gives a key a value, unless it has one.
    ///
    /// # Errors
    /// If it cannot be written, or is one too many.
    pub(crate) fn insert(&mut self, key: &str, value: &V) -> Result<(), FsError> {
        let value = serde_json::to_vec(value).map_err(|error| self.failed("write a value in", error.into()))?;
        self.put(digest(key), &value)
    }

    fn find(&self, digest: KeyDigest) -> Result<Option<Vec<u8>>, FsError> {
        let key = first_bits(digest);
        let asked = entries::entry(key, 0);
        let young = self.young.range(asked..=entries::entry(key, u32::MAX));
        let mut rows: Vec<u32> = young.map(|entry| entries::halves(*entry).1).collect();
        for run in &self.runs {
            entries::join(run, &[asked], |_, row| {
                rows.push(row);
                Ok(())
            })?;
        }
        for row in rows {
            let mut row = self.rows.read(u64::from(row))?;
            if row.starts_with(&digest) {
                return Ok(Some(row.split_off(digest.len())));
            }
        }
        Ok(None)
    }

    fn put(&mut self, digest: KeyDigest, value: &[u8]) -> Result<(), FsError> {
        if self.find(digest)?.is_some() {
            return Ok(());
        }
        let next = self.len.checked_add(1).ok_or_else(|| {
            let source = std::io::Error::other("a map takes 4,294,967,295 keys; merge fewer records at a time");
            self.failed("add a key in", source)
        })?;
        self.rows.push(&[&digest, value].concat())?;
        self.young.insert(entries::entry(first_bits(digest), self.len));
        self.len = next;
        if self.young.len() <= self.limit {
            return Ok(());
        }
        let run = FileRun::of(&self.folder, std::mem::take(&mut self.young).into_iter())?;
        entries::push_run(&mut self.runs, run, |old, young| FileRun::merged(&self.folder, &old, &young))
    }

    /// Bytes of heap, near enough.
    #[cfg(test)]
    pub(crate) fn heap(&self) -> usize {
        self.rows.heap() + self.young.len() * 20 + self.runs.iter().map(FileRun::heap).sum::<usize>()
    }

    fn failed(&self, action: &'static str, source: std::io::Error) -> FsError {
        FsError { action, path: self.folder.clone(), source }
    }
}

fn digest(key: &str) -> KeyDigest {
    let [digest @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *blake3::hash(key.as_bytes()).as_bytes();
    digest
}

/// What of a digest places are found by; what has them is compared whole.
fn first_bits([a, b, c, d, ..]: KeyDigest) -> u32 {
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::draw::Draw;
    use crate::store::fs::{self, faults};

    #[test]
    fn it_answers_as_a_map_in_memory_does_whatever_it_holds() {
        let folder = faults::scratch();
        for limit in [0, 1, 50, usize::MAX] {
            let mut draw = Draw::new(5, &["map"]);
            let mut map: DiskMap<String> = DiskMap::create(folder.path(), "map", limit).unwrap();
            let mut expected: HashMap<String, String> = HashMap::new();
            for at in 0..3_000 {
                let (key, value) = (format!("key {}", draw.below(1_500)), format!("\"{at}\nü"));
                map.insert(&key, &value).unwrap();
                expected.entry(key).or_insert(value);
                let asked = format!("key {}", draw.below(2_000));
                assert_eq!(map.get(&asked).unwrap().as_ref(), expected.get(&asked), "{asked}, {limit} held");
            }
            assert_eq!(map.len as usize, expected.len());
            assert!(expected.iter().all(|(key, value)| map.get(key).unwrap().as_ref() == Some(value)));
            assert!(map.runs.is_empty() == (limit == usize::MAX));
            assert!(fs::list(folder.path()).unwrap().is_empty(), "something has a name");
        }
    }

    /// Of 4 billion keys each shares its first bits with another.
    #[test]
    fn keys_with_the_same_first_bits_are_told_apart() {
        let folder = faults::scratch();
        for limit in [0, 3, usize::MAX] {
            let mut map: DiskMap<u32> = DiskMap::create(folder.path(), "map", limit).unwrap();
            let alike = |at: u8| {
                let mut digest = [7; 16];
                digest[15] = at;
                digest
            };
            for at in 0..200 {
                assert_eq!(map.find(alike(at)).unwrap(), None);
                map.put(alike(at), &[at]).unwrap();
            }
            assert!((0..200).all(|at| map.find(alike(at)).unwrap() == Some(vec![at])));
        }
    }

    #[test]
    fn memory_is_bounded_however_many_keys_come() {
        let folder = faults::scratch();
        let mut map: DiskMap<u64> = DiskMap::create(folder.path(), "map", 1_000).unwrap();
        let mut most = [0; 2];
        for at in 0..50_000_u64 {
            map.insert(&at.to_string(), &at).unwrap();
            let most = &mut most[usize::from(at >= 5_000)];
            *most = map.heap().max(*most);
        }
        assert_eq!(map.len, 50_000);
        // Ten times as many keys: what finds the page of a run.
        assert!(most[0] > 200_000 && most[1] < most[0] + 1_000, "{most:?}");
    }

    #[test]
    fn a_disk_that_fails_is_an_error_with_its_path() {
        let folder = faults::scratch();
        for (action, nth) in [("create", 1), ("create", 3), ("write", 1), ("write", 4)] {
            let fault = faults::fail(folder.path(), action, nth);
            let made = DiskMap::create(folder.path(), "map", 10)
                .and_then(|mut map| (0..50_000).try_for_each(|at: u32| map.insert(&at.to_string(), &at)));
            let error = made.unwrap_err().to_string();
            assert!(fault.struck() && error.contains(&folder.path().display().to_string()), "{action} {nth}: {error}");
        }
    }
}
