//! Long conversations of which prompts show the last turns alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use convogen::config::{Conversations, Ending, ShownTranscript, SpeakerSelection, TurnRange};
use convogen::llm::recorded::CallSite;
use convogen::llm::{Answer, AttemptError, ChatRequest, Role};
use convogen::record::Fate;
use convogen::stages::conversations::TalkOutcome;
use convogen::stages::conversations::agents::AgentPromptFile;
use serde_json::Value;

use super::stage::{self, Answers};
use super::talk;

const TURNS: u32 = 14;
/// Opens the prompt that asks for a summary.
const ASKS_FOR_SUMMARY: &str = "You keep the record";

/// A call as it was made: turn, attempt, role, and the text of its prompt.
type Asked = (u32, u32, Role, String);

fn settings(summary: bool) -> Conversations {
    Conversations {
        speaker_selection: SpeakerSelection::RoundRobin,
        turns: TurnRange { min: TURNS, max: TURNS },
        ending: Ending::MaxOnly,
        context: ShownTranscript { last_turns: Some(4), summary },
        ..Conversations::default()
    }
}

/// Lines that nobody says twice.
fn lines() -> Vec<String> {
    // The first scene is the one that is played, and its people are given lines of it for their stances.
    let plays = talk::plays().into_iter().filter(|play| play.language == "en").skip(1);
    let lines = plays.flat_map(|play| play.turns).map(|(_, text)| text);
    lines.filter(|line| line.split(' ').count() > 7).take(TURNS as usize).collect()
}

fn text(request: &ChatRequest) -> String {
    request.messages.list().into_iter().map(|message| message.content).collect::<Vec<_>>().join("\n")
}

/// Holds one conversation; what was asked, and what came of it.
async fn hold(settings: &Conversations, answers: Answers) -> (Vec<Asked>, TalkOutcome) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&asked);
    let tap = move |site: &CallSite<'_>, request: &ChatRequest, _: &Answer| {
        list.lock().unwrap().push((site.turn, site.attempt, site.role, text(request)));
    };
    let calls = stage::calls(answers, Some(Box::new(tap)));
    let context = talk::read("prompts/conversations/context.md");
    let prompts = stage::prompts().with_context(AgentPromptFile { name: "context.md", text: &context }).unwrap();
    let situation = stage::situation(&talk::plays()[0], 0);
    let held = stage::stage(settings, &prompts, &calls).hold(&situation, 0).await.unwrap();
    (std::mem::take(&mut *asked.lock().unwrap()), held)
}

/// Says one line after the other.
fn speaking(lines: Vec<String>) -> Answers {
    let next = AtomicUsize::new(0);
    Box::new(move |_| Ok(stage::reply(lines[next.fetch_add(1, Ordering::Relaxed)].clone())))
}

fn handled(held: &TalkOutcome, kind: &str, name: &str) -> u64 {
    serde_json::to_value(&held.1).unwrap()[kind].get(name).and_then(Value::as_u64).unwrap_or(0)
}

#[tokio::test]
async fn prompts_show_the_last_turns_and_nothing_before_them() {
    let lines = lines();
    let settings = settings(false);
    let (asked, held) = hold(&settings, speaking(lines.clone())).await;
    assert!(matches!(held.0, Fate::Accepted(talk) if talk.turns.len() == lines.len()));
    for (turn, _, _, prompt) in asked {
        let turn = turn as usize;
        let first = settings.context.first_shown(turn);
        for (at, line) in lines.iter().enumerate() {
            assert_eq!(prompt.contains(line.as_str()), (first..turn).contains(&at), "line {at} in turn {turn}");
        }
        assert_eq!(prompt.contains("(Earlier lines are left out.)"), first > 0, "turn {turn}");
    }
}

#[tokio::test]
async fn a_line_is_held_against_all_that_was_said_whatever_prompts_show() {
    let (mut replies, lines) = (lines(), lines());
    replies.insert(9, lines[0].clone());
    let (asked, held) = hold(&settings(false), speaking(replies)).await;
    let (_, _, _, prompt) = asked.iter().find(|(turn, attempt, ..)| (*turn, *attempt) == (9, 0)).unwrap();
    assert!(!prompt.contains(lines[0].as_str()));
    assert!(asked.iter().any(|(turn, attempt, ..)| (*turn, *attempt) == (9, 1)));
    assert_eq!(handled(&held, "flaws", "echo"), 1);
}

#[tokio::test]
async fn what_is_no_longer_shown_is_summed_up_by_one_call_a_step() {
    let (said, summaries) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let lines = lines();
    let spoken = lines.clone();
    let answers: Answers = Box::new(move |request| {
        if !text(request).starts_with(ASKS_FOR_SUMMARY) {
            return Ok(stage::reply(spoken[said.fetch_add(1, Ordering::Relaxed)].clone()));
        }
        match summaries.fetch_add(1, Ordering::Relaxed) {
            // The third one cannot be had.
            2 => Err(AttemptError::Refused { category: "violence".to_owned(), message: "no".to_owned() }),
            at => Ok(stage::reply(format!("Summary {at}\nin two lines."))),
        }
    });
    let (asked, held) = hold(&settings(true), answers).await;
    let asked_for: Vec<&Asked> = asked.iter().filter(|(.., role, _)| *role == Role::Summary).collect();
    assert_eq!(asked_for.iter().map(|(turn, ..)| *turn).collect::<Vec<_>>(), [6, 8, 10, 12]);
    for (at, (.., prompt)) in asked_for.iter().enumerate() {
        let shown: Vec<bool> = lines.iter().map(|line| prompt.contains(line.as_str())).collect();
        let left: Vec<usize> = (0..lines.len()).filter(|line| shown[*line]).collect();
        assert_eq!(left, [2 * at, 2 * at + 1], "each line is summed up once");
    }
    for (turn, .., prompt) in asked.iter().filter(|(.., role, _)| *role == Role::Speaker) {
        let known = [None, Some(0), Some(1), Some(1), Some(3)][(*turn as usize).saturating_sub(4) / 2];
        let shown = known.map(|at| format!("in short: Summary {at} in two lines."));
        assert_eq!(prompt.contains("in short"), shown.is_some(), "turn {turn}");
        assert!(shown.is_none_or(|shown| prompt.contains(&shown)), "turn {turn}: {prompt}");
    }
    assert_eq!(handled(&held, "mended", "lost_summary"), 1);
}
