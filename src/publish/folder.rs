//! Placeholder of the branch point.
use std::path::Path;

use super::destination::{Blob, Created, OnBytes, Tag};
use super::error::PublishError;
use crate::store::part::FileEntry;

/// A place.
#[derive(Debug)]
pub struct Folder;

#[allow(missing_docs, clippy::unused_async, clippy::unused_self, clippy::unnecessary_wraps, clippy::pedantic)]
impl Folder {
    pub fn describe(&self) -> String {
        todo!()
    }
    pub fn prepare(&self) -> Result<(), PublishError> {
        todo!()
    }
    pub fn list(&self, _prefix: &str) -> Result<Vec<Blob>, PublishError> {
        todo!()
    }
    pub fn read(&self, _path: &str) -> Result<Option<(Vec<u8>, Tag)>, PublishError> {
        todo!()
    }
    pub fn hash(&self, _path: &str) -> Result<Option<(u64, String)>, PublishError> {
        todo!()
    }
    pub fn create(
        &self,
        _path: &str,
        _source: &Path,
        _entry: &FileEntry,
        _on: &OnBytes,
    ) -> Result<Created, PublishError> {
        todo!()
    }
    pub fn swap(&self, _path: &str, _content: &[u8], _expected: Option<&Tag>) -> Result<(), PublishError> {
        todo!()
    }
    pub fn delete(&self, _path: &str) -> Result<(), PublishError> {
        todo!()
    }
}
