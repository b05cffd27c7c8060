//! Preference pairs: for a turn that was edited or made anew, the prompt, what is preferred and what was rejected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};

use super::apply::{is_kept, wants_anew};
use super::file::{ReviewFile, ReviewRow};
use crate::llm::recorded::CallObserver;
use crate::llm::{Message, Role};
use crate::pipeline::error::RunError;
use crate::pipeline::explain::{Replay, conversation_number};
use crate::pipeline::finished::FinishedRun;
use crate::record::{Conversation, Situation};
use crate::store::checkpoint::SealedStage;
use crate::store::part::JsonlWriter;
use crate::store::run::{RunDir, RunPaths};

/// Where the pairs are, in the run that a review made.
const FILE: &str = "preferences.jsonl";

/// One pair, in the form that trainers of preferences read.
#[derive(Debug, Serialize)]
struct PreferencePair<'a> {
    id: &'a str,
    turn: u32,
    /// `edit` or `anew`.
    kind: &'static str,
    reviewer: &'a str,
    prompt: &'a [Message],
    chosen: [Value; 1],
    rejected: [Value; 1],
}

/// The messages of turns by conversation and turn.
type Prompts = BTreeMap<(String, u32), Vec<Message>>;

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PairCounts {
    /// Pairs.
    pub(super) pairs: u64,
    /// Turns that were made anew and came back word for word.
    pub(super) repeated: u64,
}

/// Writes the pairs of a review.
pub(super) async fn write(
    run: &FinishedRun,
    review: &ReviewFile,
    dir: &RunDir,
    drop: bool,
) -> Result<PairCounts, RunError> {
    let wanted: BTreeSet<(String, u32)> =
        review.rows.values().flat_map(|row| turns(row, drop).map(|(turn, _)| (row.id.clone(), turn))).collect();
    if wanted.is_empty() {
        return Ok(PairCounts::default());
    }
    let prompts = Box::pin(prompts(run, wanted)).await?;
    let new = SealedStage::open(&dir.paths().conversations())?;
    let mut after: BTreeMap<String, Conversation> = BTreeMap::new();
    if let Some(new) = new {
        for talk in new.rows::<Conversation>("part-00000.jsonl")? {
            let talk = talk?;
            if review.rows.contains_key(&talk.id) {
                after.insert(talk.id.clone(), talk);
            }
        }
    }
    let mut file = JsonlWriter::create(dir.paths().root(), FILE)?;
    let mut repeated = 0;
    for before in run.sealed_conversations().rows::<Conversation>("part-00000.jsonl")? {
        let before = before?;
        let (Some(row), Some(after)) = (review.rows.get(&before.id), after.get(&before.id)) else { continue };
        for (turn, kind) in turns(row, drop) {
            let said = |talk: &Conversation| talk.turns.get(turn as usize).map(|said| said.text.clone());
            let (Some(chosen), Some(rejected)) = (said(after), said(&before)) else { continue };
            if chosen == rejected {
                repeated += 1;
                continue;
            }
            let Some(prompt) = prompts.get(&(before.id.clone(), turn)) else { continue };
            let [chosen, rejected] = [chosen, rejected].map(|text| [json!({"role": "assistant", "content": text})]);
            file.push(&PreferencePair {
                id: &before.id,
                turn,
                kind,
                reviewer: &review.reviewer,
                prompt,
                chosen,
                rejected,
            })?;
        }
    }
    let pairs = file.rows();
    file.finish()?;
    Ok(PairCounts { pairs, repeated })
}

/// The turns of a conversation that have two versions. Of what was made anew that is the first: those behind it answer other
/// words.
fn turns(row: &ReviewRow, drop: bool) -> impl Iterator<Item = (u32, &'static str)> {
    let edits = row.edits.iter().filter(move |_| is_kept(row, drop)).map(|edit| (edit.turn, "edit"));
    edits.chain(row.from_turn.filter(|_| wants_anew(row, drop)).map(|turn| (turn, "anew")))
}

/// The messages that each turn was asked for with the first time, from the replies on record.
async fn prompts(run: &FinishedRun, turns: BTreeSet<(String, u32)>) -> Result<Prompts, RunError> {
    let items: BTreeSet<String> = turns.iter().map(|(id, _)| id.clone()).collect();
    let seen: Arc<Mutex<Prompts>> = Arc::default();
    let kept = Arc::clone(&seen);
    let tap: CallObserver = Box::new(move |site, request, _| {
        let place = (site.item.to_owned(), site.turn);
        if site.role == Role::Speaker && site.attempt == 0 && turns.contains(&place) {
            kept.lock().unwrap_or_else(PoisonError::into_inner).insert(place, request.messages.list());
        }
    });
    let replay = Replay::open(&RunPaths::of_run(&run.path)?, Some(tap))?;
    let flow = replay.conversations()?;
    for situation in run.sealed_situations().rows::<Situation>("part-00000.jsonl")? {
        let situation = situation?;
        for number in items.iter().filter_map(|id| conversation_number(id, &situation)) {
            // What is not on record any more leaves its pair out.
            let _ = flow.hold(&situation, number).await;
        }
    }
    let prompts = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(prompts)
}
