//! What a conversation costs in CPU time besides its calls: prompts, selection, gates, reading replies.
//!
//! `cargo test --profile release --test quality cost -- --ignored --nocapture` prints a table. The share of the calls is
//! measured by making the same calls once more without a conversation around them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use convogen::config::{Conversations, Ending, Layout, SpeakerSelection, TurnRange};
use convogen::llm::recorded::{CallGateway, CallSite};
use convogen::llm::{Answer, ChatRequest, Message, ReplyFormat, Role};
use convogen::record::Situation;
use rustix::time::{ClockId, clock_gettime};

use super::stage::{self, Answers};
use super::talk;

/// Conversations held for one figure; as many are held before, unmeasured.
const HELD: u64 = 200;

/// CPU time of this thread so far.
fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}

/// Says one line after the other, and hands on the floor to one person after the other.
fn lines() -> Answers {
    let lines: Vec<String> = talk::plays()
        .iter()
        .filter(|play| play.language == "en")
        .flat_map(|play| play.turns.iter().map(|(_, text)| text.clone()))
        .collect();
    let next = AtomicUsize::new(0);
    Box::new(move |request: &ChatRequest| {
        let at = next.fetch_add(7, Ordering::Relaxed);
        let line = &lines[at % lines.len()];
        let ReplyFormat::Json { schema, name } = &request.format else { return Ok(stage::reply(line.clone())) };
        let names = schema["properties"]["next"]["enum"].as_array().unwrap();
        let chosen = &names[at % names.len()];
        Ok(stage::reply(match name.as_str() {
            "turn" => format!(r#"{{"text": "{}", "next": {chosen}, "end": false}}"#, line.replace('"', "'")),
            _ => format!(r#"{{"next": {chosen}, "end": false}}"#),
        }))
    })
}

/// A call as a conversation made it.
struct Made {
    item: String,
    turn: u32,
    role: Role,
    attempt: u32,
    messages: Vec<Message>,
    format: ReplyFormat,
}

async fn hold(settings: &Conversations, calls: &CallGateway, situations: &[Situation], count: u64) {
    let prompts = stage::prompts();
    for (situation, replicate) in situations.iter().cycle().zip(0..count) {
        stage::stage(settings, &prompts, calls).hold(situation, replicate).await.unwrap();
    }
}

/// Every call of one conversation on each of `situations`.
async fn made(settings: &Conversations, situations: &[Situation]) -> Vec<Made> {
    let made = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&made);
    let tap = move |site: &CallSite<'_>, request: &ChatRequest, _: &Answer| {
        let (messages, format) = (request.messages.list(), request.format.clone());
        let CallSite { item, turn, role, attempt, .. } = *site;
        list.lock().unwrap().push(Made { item: item.to_owned(), turn, role, attempt, messages, format });
    };
    let calls = stage::calls(lines(), Some(Box::new(tap)));
    hold(settings, &calls, situations, situations.len() as u64).await;
    std::mem::take(&mut *made.lock().unwrap())
}

/// What the calls cost without a conversation around them.
async fn alone(made: &[Made]) -> Duration {
    let calls = stage::calls(lines(), None);
    let copies: Vec<_> = made.iter().map(|made| (made.messages.clone(), made.format.clone())).collect();
    let before = cpu();
    for (made, (messages, format)) in made.iter().zip(copies) {
        let Made { item, turn, role, attempt, .. } = made;
        let site = CallSite { stage: "conversations", item, turn: *turn, role: *role, attempt: *attempt };
        std::hint::black_box(calls.ask(&site, messages, format).await.unwrap());
    }
    cpu().saturating_sub(before)
}

#[tokio::test]
#[ignore = "measures; run it alone and optimised"]
async fn a_conversation_costs_little_beside_its_calls() {
    let plays: Vec<_> = talk::plays().into_iter().filter(|play| play.language == "en").collect();
    let situations: Vec<Situation> = plays.iter().enumerate().map(|(at, play)| stage::situation(play, at)).collect();
    let calls = stage::calls(lines(), None);
    println!("{:12} {:13} {:>5} {:>6} {:>12} {:>12}", "strategy", "layout", "turns", "calls", "us/call", "besides ask");
    for speaker_selection in [SpeakerSelection::Auto, SpeakerSelection::Fused, SpeakerSelection::RoundRobin] {
        for layout in [Layout::AgentFirst, Layout::SharedPrefix] {
            for max in [8, 20, 40] {
                let turns = TurnRange { min: max, max };
                let settings = Conversations {
                    speaker_selection,
                    layout,
                    turns,
                    ending: Ending::MaxOnly,
                    ..Conversations::default()
                };
                let made = made(&settings, &situations).await;
                hold(&settings, &calls, &situations, HELD / 4).await;
                let before = cpu();
                hold(&settings, &calls, &situations, HELD).await;
                let held = cpu().saturating_sub(before);
                let per_call = |time: Duration, calls: f64| time.as_secs_f64() * 1e6 / calls;
                let (mut asked, mut times) = (Duration::ZERO, 0.0);
                for _ in 0..4 {
                    asked += alone(&made).await;
                    times += 1.0;
                }
                let calls_each = made.len() as f64 / situations.len() as f64;
                let whole = per_call(held, calls_each * HELD as f64);
                let besides = whole - per_call(asked, made.len() as f64 * times);
                println!(
                    "{:12} {:13} {max:>5} {calls_each:>6.1} {whole:>12.1} {besides:>12.1}",
                    speaker_selection.as_str(),
                    layout.as_str()
                );
            }
        }
    }
    let (settings, prompts) = (Conversations::default(), stage::prompts());
    let held = stage::stage(&settings, &prompts, &calls);
    println!("one conversation in flight takes {} bytes", std::mem::size_of_val(&held.hold(&situations[0], 0)));
}
