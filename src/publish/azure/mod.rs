//! Placeholder of the branch point.
use std::path::Path;

use super::destination::{Blob, Created, OnBytes, Tag};
use super::error::PublishError;
use crate::store::part::FileEntry;

/// A place.
#[derive(Debug)]
pub struct Container;

#[allow(missing_docs, clippy::unused_async, clippy::unused_self, clippy::unnecessary_wraps, clippy::pedantic)]
impl Container {
    pub fn describe(&self) -> String {
        todo!()
    }
    pub fn open(
        _: &crate::config::upload::AzureDestination,
        _: &crate::config::environment::Environment,
    ) -> Result<Self, PublishError> {
        todo!()
    }
    pub async fn prepare(&self) -> Result<(), PublishError> {
        todo!()
    }
    pub async fn list(&self, _prefix: &str) -> Result<Vec<Blob>, PublishError> {
        todo!()
    }
    pub async fn read(&self, _path: &str) -> Result<Option<(Vec<u8>, Tag)>, PublishError> {
        todo!()
    }
    pub async fn hash(&self, _path: &str, _on_bytes: &OnBytes) -> Result<Option<(u64, String)>, PublishError> {
        todo!()
    }
    pub async fn create(
        &self,
        _path: &str,
        _source: &Path,
        _entry: &FileEntry,
        _on: &OnBytes,
    ) -> Result<Created, PublishError> {
        todo!()
    }
    pub async fn swap(&self, _path: &str, _content: &[u8], _expected: Option<&Tag>) -> Result<(), PublishError> {
        todo!()
    }
    pub async fn delete(&self, _path: &str) -> Result<(), PublishError> {
        todo!()
    }
}
