//! Edited turns, held against what every turn is held against before anything is made of the review.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::file::{ReviewFile, ReviewRow, refuse};
use crate::llm::recorded::CallGateway;
use crate::pipeline::error::RunError;
use crate::pipeline::finished::FinishedRun;
use crate::record::{Conversation, Situation};
use crate::stages::conversations::ConversationFlow;
use crate::stages::error::StageError;
use crate::stages::inputs::Inputs;

/// Judges every edit as a reply is judged, and leaves the words that are kept in it: on one line, without a name in front.
///
/// # Errors
/// If a gate turns one down, or the local screen would drop its conversation: all of them are named.
pub(super) fn examine(
    review: &mut ReviewFile,
    path: &Path,
    run: &FinishedRun,
    inputs: &Inputs,
) -> Result<(), RunError> {
    let talks = edited(review, run)?;
    if talks.is_empty() {
        return Ok(());
    }
    let calls = Arc::new(CallGateway::silent(run.config.seed));
    let flow = ConversationFlow::new(&run.config, inputs, calls, Arc::default())?;
    let mut problems = Vec::new();
    for situation in run.sealed_situations().rows::<Situation>("part-00000.jsonl")? {
        let situation = situation?;
        for talk in talks.get(&situation.id).into_iter().flatten() {
            if let Some(row) = review.rows.get_mut(&talk.id) {
                let found = judge(&flow, &situation, talk, row)?;
                problems.extend(found.into_iter().map(|problem| (row.line, problem)));
            }
        }
    }
    Ok(refuse(path, problems)?)
}

/// The conversations with edits, which stand in their places, by situation.
fn edited(review: &ReviewFile, run: &FinishedRun) -> Result<BTreeMap<String, Vec<Conversation>>, RunError> {
    let mut talks: BTreeMap<String, Vec<Conversation>> = BTreeMap::new();
    if review.rows.values().all(|row| row.edits.is_empty()) {
        return Ok(talks);
    }
    for talk in run.sealed_conversations().rows::<Conversation>("part-00000.jsonl")? {
        let mut talk = talk?;
        let Some(row) = review.rows.get(&talk.id).filter(|row| !row.edits.is_empty()) else { continue };
        row.put_into(&mut talk);
        talks.entry(talk.situation_id.clone()).or_default().push(talk);
    }
    Ok(talks)
}

/// What is wrong with the edits of one conversation. What is right is put on one line.
fn judge(
    flow: &ConversationFlow,
    situation: &Situation,
    talk: &Conversation,
    row: &mut ReviewRow,
) -> Result<Vec<String>, RunError> {
    let turns: Vec<u32> = row.edits.iter().map(|edit| edit.turn).collect();
    let mut problems = Vec::new();
    for (turn, verdict) in flow.examine(situation, talk, &turns).map_err(StageError::from)? {
        match verdict {
            Ok(text) => {
                for edit in row.edits.iter_mut().filter(|edit| edit.turn == turn) {
                    edit.text.clone_from(&text);
                }
            }
            Err(fault) => {
                problems.push(format!(
                    "the gate {} turns its edit of turn {turn} down: {}",
                    fault.name(),
                    fault.reason()
                ));
            }
        }
    }
    let dropped = flow.drops_for(talk.clone(), &turns);
    problems.extend(
        dropped.map(|lost| format!("an edit would get {} dropped ({}): {}", lost.id, lost.reason, lost.detail)),
    );
    Ok(problems)
}
