//! Who of the people is used: those who occur in a situation.

use std::path::Path;

use serde::Deserialize;

use super::{CompileError, RecordSource};
use crate::store::fs::FsError;
use crate::store::sort::{Sorted, Sorter};

/// The ids of those who are used, to be asked for in their order: so nothing is held of people but one id.
#[derive(Debug)]
pub(super) struct UsedPeople {
    /// `None` when there are no more.
    ids: Option<Sorted>,
}

/// What of a situation tells who is in it.
#[derive(Deserialize)]
struct Group {
    personas: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    id: String,
}

impl UsedPeople {
    /// Those in `situations`. Ids are sorted with about `memory` bytes, and files in `folder`.
    pub(super) fn of(situations: &RecordSource, folder: &Path, memory: usize) -> Result<Self, CompileError> {
        let mut sorter = Sorter::new(folder, memory);
        for group in situations.records::<Group>() {
            group?.personas.iter().try_for_each(|member| sorter.push(member.id.as_bytes(), b""))?;
        }
        let mut ids = sorter.finish()?;
        Ok(Self { ids: ids.advance()?.then_some(ids) })
    }

    /// Whether someone is used. No id that is asked for may be smaller than the one before.
    pub(super) fn has(&mut self, id: &str) -> Result<bool, FsError> {
        while let Some(ids) = &mut self.ids {
            if ids.record().0 >= id.as_bytes() {
                return Ok(ids.record().0 == id.as_bytes());
            }
            if !ids.advance()? {
                self.ids = None;
            }
        }
        Ok(false)
    }
}
