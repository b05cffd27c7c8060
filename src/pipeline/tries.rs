//! The replies that were turned down before a turn was sound, from the replies on record.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::RunError;
use super::explain::{Replay, conversation_number};
use super::status;
use crate::llm::recorded::CallObserver;
use crate::llm::{Answer, Role};
use crate::record::{Conversation, Situation};
use crate::store::checkpoint::SealedStage;
use crate::store::run::RunPaths;

/// By conversation and turn, in the order in which they came.
pub(crate) type RejectedTries = BTreeMap<String, BTreeMap<u32, Vec<String>>>;

/// What was turned down in the first `most` conversations of the run in `path` in which anything was; nothing once the
/// journal is removed.
///
/// # Errors
/// If the run is damaged.
pub(crate) async fn rejected(path: &Path, most: usize) -> Result<RejectedTries, RunError> {
    let dir = RunPaths::of_run(path)?;
    let has_journal = status::has_journal(&dir)?;
    let sealed = SealedStage::open(&dir.conversations())?.zip(SealedStage::open(&dir.situations())?);
    let Some((conversations, situations)) = sealed.filter(|_| has_journal) else { return Ok(RejectedTries::new()) };
    let wanted = retried(&conversations, most)?;
    let seen: Arc<Mutex<RejectedTries>> = Arc::default();
    let replay = Replay::open(&dir, Some(watch(&wanted, &seen)))?;
    let flow = replay.conversations()?;
    // Both stand in the order of the situations.
    let mut ids = wanted.keys().peekable();
    for situation in situations.rows::<Situation>("part-00000.jsonl")? {
        if ids.peek().is_none() {
            break;
        }
        let situation = situation?;
        while let Some(number) = ids.peek().and_then(|id| conversation_number(id, &situation)) {
            // What is not on record any more is not shown.
            let _ = flow.hold(&situation, number).await;
            ids.next();
        }
    }
    Ok(std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Conversations with turns that took more than one reply: how many each turn took.
fn retried(sealed: &SealedStage, most: usize) -> Result<BTreeMap<String, Vec<u32>>, RunError> {
    let mut wanted = BTreeMap::new();
    for talk in sealed.rows::<Conversation>("part-00000.jsonl")? {
        let talk = talk?;
        if wanted.len() < most && talk.turns.iter().any(|turn| turn.attempts > 1) {
            wanted.insert(talk.id, talk.turns.iter().map(|turn| turn.attempts).collect());
        }
    }
    Ok(wanted)
}

/// Keeps every reply to a wanted turn but the last.
fn watch(wanted: &BTreeMap<String, Vec<u32>>, seen: &Arc<Mutex<RejectedTries>>) -> CallObserver {
    let (wanted, seen) = (wanted.clone(), Arc::clone(seen));
    Box::new(move |site, _, answer| {
        let took = wanted.get(site.item).and_then(|turns| turns.get(site.turn as usize));
        if let (Role::Speaker, Some(took), Answer::Reply(reply)) = (site.role, took, answer)
            && site.attempt + 1 < *took
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let tries = seen.entry(site.item.to_owned()).or_default().entry(site.turn).or_default();
            tries.push(reply.text.clone());
        }
    })
}
