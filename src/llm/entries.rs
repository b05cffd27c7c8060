//! What calls leave in the journal, and what a run has spent by it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Answer;
use super::budget::{Budget, Estimate};
use super::recorded::CallLeft;
use super::{Role, Usage};
use crate::store::journal::{EntryKind, JournalEntry};

/// The category of refusals that are about how a prompt is made and not about what is said.
pub(crate) const PROMPT_SHIELD: &str = "jailbreak";

/// The body of a `reply` entry.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordedReply {
    /// What the model was used for.
    pub role: Role,
    /// What came of it.
    pub answer: Answer,
    /// Requests it took.
    pub requests: u32,
    /// Milliseconds of the last one.
    pub ms: u64,
    /// Taken over from another run: it cost nothing here.
    pub inherited: bool,
}

/// The body of an `intent` entry: what a request may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordedIntent {
    /// What the model is used for.
    pub role: Role,
    /// Upper bound of its tokens.
    pub estimate: Estimate,
}

/// What the intent of a request that goes in a batch job holds besides.
#[derive(Debug, Deserialize)]
struct IntentMark {
    job: Option<String>,
}

/// The body of a `reject` entry: a request that brought no reply.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordedReject {
    /// What went wrong.
    pub error: String,
    /// Whether the endpoint may have billed it all the same.
    pub maybe_billed: bool,
}

/// Rebuilds from a journal what a run has spent, entry by entry.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    /// The marks of the batch jobs that open requests are in, by the request's key.
    jobs: BTreeMap<String, String>,
    open: BTreeMap<String, (String, RecordedIntent)>,
    /// Usage of all replies, by role.
    pub usage: BTreeMap<Role, Usage>,
    /// Requests, by role.
    pub calls: BTreeMap<Role, u64>,
    /// Upper bounds of requests that may have been billed without a reply.
    pub lost: Vec<RecordedIntent>,
    /// Calls that a prompt shield refused.
    pub shielded: u64,
    /// Answers, whatever they say.
    pub answers: u64,
}

impl Spent {
    /// Takes one entry into account. Bodies of a kind this version does not know are passed over.
    pub(crate) fn add(&mut self, entry: &JournalEntry<'_>) {
        let Some(key) = entry.key.as_deref() else { return };
        self.jobs.remove(key);
        match entry.kind {
            EntryKind::Intent => {
                let Ok(intent) = entry.read::<RecordedIntent>() else { return };
                *self.calls.entry(intent.role).or_default() += 1;
                let job = entry.read::<IntentMark>().ok().and_then(|intent| intent.job);
                self.jobs.extend(job.map(|mark| (key.to_owned(), mark)));
                let item = entry.item.as_deref().unwrap_or_default().to_owned();
                let replaced = self.open.insert(key.to_owned(), (item, intent));
                self.lost.extend(replaced.map(|(_, intent)| intent));
            }
            EntryKind::Reject => {
                let Some((_, intent)) = self.open.remove(key) else { return };
                if entry.read::<RecordedReject>().is_ok_and(|reject| reject.maybe_billed) {
                    self.lost.push(intent);
                }
            }
            EntryKind::Reply => {
                let sent = self.open.remove(key);
                self.answers += 1;
                let Ok(recorded) = entry.read::<RecordedReply>() else { return };
                match &recorded.answer {
                    _ if recorded.inherited => {}
                    Answer::Reply(reply) => *self.usage.entry(recorded.role).or_default() += reply.usage,
                    Answer::Refused { category, .. } => {
                        self.shielded += u64::from(category == PROMPT_SHIELD);
                        self.lost.extend(sent.map(|(_, intent)| intent));
                    }
                    Answer::Failed { .. } => {}
                }
            }
            EntryKind::Segment | EntryKind::Seal => {}
        }
    }

    /// Counts all of it in `budget`: requests without an outcome as spent.
    pub(crate) fn restore(&self, budget: &Budget) {
        for (role, calls) in &self.calls {
            (0..*calls).for_each(|_| budget.restore_call(*role));
        }
        for (role, usage) in &self.usage {
            budget.restore(*role, *usage);
        }
        for intent in self.lost.iter().chain(self.open.values().map(|(_, intent)| intent)) {
            budget.restore_lost(intent.role, intent.estimate);
        }
    }

    /// Requests that were on their way when the run last ended: they may have been billed. Those in batch jobs are apart.
    pub(crate) fn possibly_billed(&self) -> impl Iterator<Item = (&str, &RecordedIntent)> {
        let open = self.open.iter().filter(|(key, _)| !self.jobs.contains_key(*key));
        open.map(|(_, (item, intent))| (item.as_str(), intent))
    }

    /// Requests that were put into batch jobs and have no outcome: their jobs are to be looked up.
    pub(crate) fn left_in_jobs(&self) -> BTreeMap<String, CallLeft> {
        let left = self.jobs.iter().filter_map(|(key, mark)| {
            let (_, intent) = self.open.get(key)?;
            Some((key.clone(), CallLeft { mark: mark.clone(), estimate: intent.estimate }))
        });
        left.collect()
    }
}
