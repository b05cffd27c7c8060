//! What people keep to themselves, brought to the conversations that grew from their situation.
//!
//! A record of a conversation does not say it, the situation does. Both come in orders of their own, and neither need fit into
//! memory. So the conversations are read once more to list of which situation each is; the list and the situations are sorted by
//! situation and merged, and what comes of that is sorted back into the order of the conversations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ExportError;
use crate::record::{Conversation, Participant, Situation};
use crate::store::fs::FsError;
use crate::store::sort::{Sorted, Sorter};

/// Bytes that each sorting holds in memory; other sizes in tests only.
const MEMORY: usize = 8 << 20;

/// What the people of one situation keep to themselves, by the id of the person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RoomSecrets(BTreeMap<String, OwnSecrets>);

/// What one person keeps to themself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OwnSecrets {
    pub stance: Option<String>,
    pub goal: Option<String>,
    pub knowledge: Option<String>,
}

impl RoomSecrets {
    /// What this person, and nobody else, is told.
    pub(super) fn of(&self, person: &str) -> OwnSecrets {
        self.0.get(person).cloned().unwrap_or_default()
    }

    fn in_situation(situation: &Situation) -> Self {
        let own = |person: &Participant| {
            let Participant { id, stance, goal, knowledge, .. } = person.clone();
            (id, OwnSecrets { stance, goal, knowledge })
        };
        Self(situation.personas.iter().map(own).collect())
    }
}

/// Gathers conversations, in the order in which they will be exported, and their situations, in any.
#[derive(Debug)]
pub(crate) struct SecretsJoin {
    folder: PathBuf,
    memory: usize,
    /// By situation: the place of each conversation, and its id.
    conversations: Sorter,
    count: u64,
    /// By id: what its people keep to themselves.
    situations: Sorter,
}

impl SecretsJoin {
    /// Begins. What does not fit into memory goes to files without names in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self::within(MEMORY, folder)
    }

    pub(super) fn within(memory: usize, folder: &Path) -> Self {
        let sorter = || Sorter::new(folder, memory);
        Self { folder: folder.to_owned(), memory, conversations: sorter(), count: 0, situations: sorter() }
    }

    /// Adds the conversation that comes next.
    pub(crate) fn conversation(&mut self, talk: &Conversation) -> Result<(), FsError> {
        let place = self.count.to_be_bytes();
        self.count += 1;
        self.conversations.push(talk.situation_id.as_bytes(), &[&place, talk.id.as_bytes()].concat())
    }

    /// Adds a situation.
    pub(crate) fn situation(&mut self, situation: &Situation) -> Result<(), FsError> {
        let secrets = serde_json::to_vec(&RoomSecrets::in_situation(situation)).map_err(|error| self.failed(error))?;
        self.situations.push(situation.id.as_bytes(), &secrets)
    }

    /// Brings both together.
    ///
    /// # Errors
    /// If the situation of a conversation was not given.
    pub(crate) fn finish(self) -> Result<JoinedSecrets, ExportError> {
        let mut joined = Sorter::new(&self.folder, self.memory);
        let (mut talks, mut situations) = (self.conversations.finish()?, self.situations.finish()?);
        let mut more = situations.advance()?;
        while talks.advance()? {
            let (wanted, talk) = talks.record();
            while more && situations.record().0 < wanted {
                more = situations.advance()?;
            }
            let (place, id) = talk.split_at_checked(size_of::<u64>()).unwrap_or_default();
            if !more || situations.record().0 != wanted {
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                return Err(ExportError::NoSituation { id: text(id), situation: text(wanted) });
            }
            joined.push(&[place, id].concat(), situations.record().1)?;
        }
        Ok(JoinedSecrets { folder: self.folder, sorted: joined.finish()? })
    }

    fn failed(&self, error: serde_json::Error) -> FsError {
        FsError { action: "sort in", path: self.folder.clone(), source: error.into() }
    }
}

/// What people keep to themselves, conversation by conversation.
#[derive(Debug)]
pub(crate) struct JoinedSecrets {
    folder: PathBuf,
    sorted: Sorted,
}

impl JoinedSecrets {
    /// Those of the people in `talk`, which must be the conversation that was given next.
    pub(super) fn next(&mut self, talk: &Conversation) -> Result<RoomSecrets, ExportError> {
        let more = self.sorted.advance()?;
        let (place, secrets) = self.sorted.record();
        if !more || place.get(size_of::<u64>()..) != Some(talk.id.as_bytes()) {
            return Err(ExportError::Changed { id: talk.id.clone() });
        }
        let read = serde_json::from_slice(secrets);
        Ok(read.map_err(|error| FsError {
            action: "read back from",
            path: self.folder.clone(),
            source: error.into(),
        })?)
    }
}
