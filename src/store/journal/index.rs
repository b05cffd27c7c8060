//! Where each reply is, by key: replies themselves stay on disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::error::{Damage, JournalError, Problem};
use super::examine;
use super::frame::{self, Entry, FrameError, Kind};
use super::segment::{self, Location};
use crate::store::fs;

/// Locations by key. Only ever asked by key, so that the order within means nothing.
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<Box<str>, Location>);

impl Index {
    /// Notes a reply, unless there is one with this key; then says where that is.
    pub(super) fn insert(&mut self, key: &str, location: Location) -> Option<Location> {
        let first = self.0.get(key).copied();
        if first.is_none() {
            self.0.insert(key.into(), location);
        }
        first
    }

    pub(super) fn get(&self, key: &str) -> Option<Location> {
        self.0.get(key).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Reads the reply at `location` and checks that it is still the one with this key.
pub(super) fn read_reply<T>(
    dir: &Path,
    key: &str,
    location: Location,
    read: impl FnOnce(&Entry<'_>) -> serde_json::Result<T>,
) -> Result<T, JournalError> {
    let path = segment::path(dir, location.segment);
    let line = fs::read_at(&path, location.offset, location.length as usize)?;
    let sound = frame::decode(&line).and_then(|entry| {
        let is_it = entry.kind == Kind::Reply && entry.key.as_deref() == Some(key);
        if is_it { Ok(entry) } else { Err(FrameError::Foreign) }
    });
    match sound {
        Ok(entry) => read(&entry).map_err(|source| unreadable(&entry, key, source)),
        Err(reason) => {
            let item = frame::legible_item(&line).map(|item| format!("item {item}"));
            Err(Damage { file: path, offset: location.offset, item, problem: Problem::Line(reason) }.into())
        }
    }
}

fn unreadable(entry: &Entry<'_>, key: &str, source: serde_json::Error) -> JournalError {
    let item = entry.item.as_deref().unwrap_or("-").to_owned();
    JournalError::Unreadable { item, key: key.to_owned(), source }
}

/// The replies that another run has recorded. Reads only, and takes no lock.
#[derive(Debug)]
pub struct Archive {
    dir: PathBuf,
    index: Index,
}

impl Archive {
    /// Opens the journal in `dir` for reading.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        if segment::numbers(dir)?.is_empty() {
            return Err(JournalError::Absent { path: dir.to_owned() });
        }
        let mut index = Index::default();
        examine::walk(dir, None, |segment| {
            segment.check()?;
            for (location, entry) in segment.entries().filter(|(_, entry)| entry.kind == Kind::Reply) {
                index.insert(entry.key.as_deref().unwrap_or_default(), location);
            }
            Ok(())
        })?;
        Ok(Self { dir: dir.to_owned(), index })
    }

    /// The body of the first reply with this key.
    pub fn get(&self, key: &str) -> Result<Option<Box<RawValue>>, JournalError> {
        self.get_as(key)
    }

    /// The body of the first reply with this key, parsed.
    pub fn get_as<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, JournalError> {
        let location = self.index.get(key);
        location.map(|location| read_reply(&self.dir, key, location, |entry| entry.read())).transpose()
    }

    /// How many replies there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.index.len() == 0
    }
}
