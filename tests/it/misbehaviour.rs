//! Models that behave as models do in group chats at their worst: every kind is handled, counted, and ends.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Ran};
use crate::support::script::{Answer, Call, Script, plausible};
use crate::support::sums::{assert_sums, number};

/// What became of a run with such a model.
struct Met {
    summary: Value,
    talks: Vec<Value>,
    rejected: Vec<Value>,
    handled: BTreeMap<String, u64>,
    calls: usize,
}

/// Runs the demo against a model whose replies in conversations `rule` makes; situations are as they should be.
fn meet(arguments: &[&str], rule: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Met {
    let endpoint = Endpoint::start(Script::answering(move |call| {
        let aside = call.raw.contains("verdict") || call.raw.contains("conversation_starter");
        if aside { Answer::Plausible } else { rule(call) }
    }));
    let project = Project::new();
    project.demo(&endpoint.base_url());
    let sets = ["--set", "situations.count=6", "--set", "dedup.enabled=false"];
    let ran = project.pipeline(&[&sets[..], arguments].concat());
    assert!(matches!(ran.code, Some(0 | 9)), "{}", ran.stderr);
    let summary = ran.json();
    assert_sums(&project, "runs/demo", &summary);
    let talks = project.rows("runs/demo/stages/3-conversations/part-00000.jsonl");
    let rejected = project.rows("runs/demo/stages/3-conversations/rejected.jsonl");
    let handled = talks.iter().fold(BTreeMap::new(), count_handled);
    Met { summary, talks, rejected, handled, calls: endpoint.calls().len() }
}

fn count_handled(mut sums: BTreeMap<String, u64>, talk: &Value) -> BTreeMap<String, u64> {
    let provenance: Value = serde_json::from_str(talk["provenance"].as_str().unwrap()).unwrap();
    let handled = &provenance["handled"];
    *sums.entry("fallbacks".to_owned()).or_default() += number(&handled["fallbacks"]);
    for kind in ["flaws", "mended"] {
        for (name, count) in handled[kind].as_object().into_iter().flatten() {
            *sums.entry(name.clone()).or_default() += number(count);
        }
    }
    sums
}

fn turns(met: &Met) -> impl Iterator<Item = &Value> {
    met.talks.iter().flat_map(|talk| talk["turns"].as_array().into_iter().flatten())
}

/// One request in five gets `bad` instead of a sound line.
fn sometimes(bad: impl Fn(&Call) -> String + Send + Sync + 'static) -> impl Fn(&Call) -> Answer + Send + Sync {
    move |call| {
        let hit = call.schema().is_none() && call.share() < 0.2;
        if hit { Answer::Text(bad(call)) } else { Answer::Plausible }
    }
}

/// The name of whom a request makes speak, and of somebody else of the group.
fn names(call: &Call) -> (String, String) {
    let prompt = call.prompt();
    let speaker = prompt.rsplit("Now ").next().and_then(|rest| rest.split(" speaks").next()).unwrap_or_default();
    let cast = prompt.split("The people:\n").nth(1).unwrap_or_default();
    let people = cast.lines().map_while(|line| line.strip_prefix("- ")?.split(':').next());
    let other = people.filter(|name| *name != speaker).last().unwrap_or_default();
    (speaker.to_owned(), other.to_owned())
}

#[test]
fn an_echo_is_asked_again() {
    let met = meet(
        &["--set", "conversations.speaker_selection=round_robin"],
        sometimes(|call| {
            let prompt = call.prompt();
            prompt.split("It begins: ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default().to_owned()
        }),
    );
    assert!(met.handled["echo"] > 3, "{:?}", met.handled);
    assert!(met.talks.iter().all(|talk| turns(&met).all(|turn| turn["text"] != talk["conversation_starter"])));
}

#[test]
fn a_name_in_front_is_taken_away_and_lines_for_others_are_not_kept() {
    let met = meet(&["--set", "conversations.speaker_selection=random"], |call| {
        let (speaker, other) = names(call);
        let line = plausible(call);
        match call.share() {
            share if share < 0.2 => Answer::Text(format!("**{speaker}:** {line}")),
            share if share < 0.4 => Answer::Text(format!("{line}\n{other}: That is not what I said.")),
            share if share < 0.5 => Answer::Text(format!("{other}: {line}")),
            _ => Answer::Text(line),
        }
    });
    assert!(met.handled["own_name"] > 3 && met.handled["speaks_for_others"] > 3, "{:?}", met.handled);
    for turn in turns(&met) {
        let text = turn["text"].as_str().unwrap();
        let name = turn["speaker"].as_str().unwrap();
        assert!(!text.contains("not what I said") && !text.starts_with(name) && !text.starts_with('*'), "{text}");
    }
}

#[test]
fn a_leak_of_the_prompt_is_not_kept() {
    let disclaimer = "As an AI language model I cannot take sides.";
    let leak = "I react to what was just said: it asks, objects, jokes, hesitates, changes course.";
    let met = meet(
        &["--set", "conversations.speaker_selection=rules"],
        sometimes(move |call| if call.share() < 0.1 { leak } else { disclaimer }.to_owned()),
    );
    assert!(met.handled["leak"] > 0 && met.handled["ai_talk"] > 0, "{:?}", met.handled);
    assert!(turns(&met).all(|turn| {
        let text = turn["text"].as_str().unwrap();
        !text.contains("changes course") && !text.contains("language model")
    }));
}

#[test]
fn thoughts_in_front_of_every_line_cost_no_call_and_are_never_said() {
    let rounds = ["--set", "conversations.speaker_selection=round_robin"];
    let plain = meet(&rounds, |_| Answer::Plausible);
    for form in [
        "<think>\n{t}\n</think>\n\n",
        "{t}\n</think>\n\n",
        "<|channel|>analysis<|message|>{t}<|end|><|start|>assistant<|channel|>final<|message|>",
    ] {
        let thought = form.replace("{t}", "Okay, a line. THOUGHT. Maybe \"no\" would do.");
        let met = meet(&rounds, move |call| Answer::Text(format!("{thought}{}<|im_end|>", plausible(call))));
        assert_eq!(met.calls, plain.calls, "{form}");
        assert_eq!(
            turns(&met).map(|turn| &turn["text"]).collect::<Vec<_>>(),
            turns(&plain).map(|turn| &turn["text"]).collect::<Vec<_>>()
        );
    }
}

/// Runs six conversations whose every line is `said`; the run stops.
fn meet_one_line(said: Answer, code: i32) -> (Endpoint, Ran) {
    let endpoint = Endpoint::start(Script::answering(move |call| {
        let aside = call.raw.contains("verdict") || call.raw.contains("conversation_starter");
        if aside { Answer::Plausible } else { said.clone() }
    }));
    let project = Project::new();
    project.demo(&endpoint.base_url());
    let sets = ["--set", "situations.count=6", "--set", "conversations.speaker_selection=round_robin"];
    let ran = project.pipeline(&sets).ended(code);
    (endpoint, ran)
}

#[test]
fn thoughts_that_the_limit_cut_off_are_no_lines_and_the_setting_is_named() {
    let thought = "Let me see. The speaker runs the mill. They may ask about the roof. Perhaps the";
    let thoughts = Answer::json(&json!({"choices": [{"message": {"content": thought}, "finish_reason": "length"}],
                                        "usage": {"prompt_tokens": 10, "completion_tokens": 300}}));
    let (endpoint, ran) = meet_one_line(thoughts, 2);
    assert!(ran.stderr.contains("were cut off") && ran.stderr.contains("max_tokens"), "{}", ran.stderr);
    assert!(endpoint.calls().len() <= 1 + 6 + 6 * 5);
}

#[test]
fn a_talk_that_outgrows_the_context_ends_there_and_the_user_is_told() {
    let said = "This model's maximum context length is 2048 tokens. However, you requested 2100 tokens.";
    for answer in [Answer::error(400, "context_length_exceeded", said), Answer::context_full()] {
        let lines: Mutex<BTreeMap<String, u32>> = Mutex::default();
        let endpoint = Endpoint::start(Script::answering(move |call| {
            if call.raw.contains("verdict") || call.raw.contains("conversation_starter") {
                return Answer::Plausible;
            }
            let starter = call
                .prompt()
                .split("It begins: ")
                .nth(1)
                .unwrap_or_default()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            let mut lines = lines.lock().unwrap();
            let line = lines.entry(starter).or_default();
            *line += 1;
            if *line > 6 { answer.clone() } else { Answer::Plausible }
        }));
        let project = Project::new();
        project.demo(&endpoint.base_url());
        let ran = project.pipeline(&[
            "--set",
            "situations.count=3",
            "--set",
            "dedup.enabled=false",
            "--set",
            "conversations.turns.max=30",
            "--set",
            "conversations.speaker_selection=round_robin",
            "--set",
            "conversations.ending=max_only",
        ]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let talks = project.rows("runs/demo/stages/3-conversations/part-00000.jsonl");
        assert_eq!(talks.len(), 3);
        assert!(talks.iter().all(|talk| talk["stop_reason"] == "context_full"), "{talks:?}");
        let told = ran.stderr.lines().find(|line| line.contains("context: 3 conversations")).unwrap_or_default();
        assert!(told.contains("2048") && told.contains("conversations.turns.max, which is 30"), "{}", ran.stderr);
    }
}

#[test]
fn speakers_who_never_say_a_word_stop_the_run_and_are_asked_no_more() {
    let (endpoint, ran) = meet_one_line(Answer::Text("…".to_owned()), 6);
    assert!(ran.stderr.contains("could not be used, all for one reason: it had no words in it"), "{}", ran.stderr);
    // The probe, six situations, and the tries of one turn each.
    let calls = endpoint.calls().len();
    assert!(calls <= 1 + 6 + 6 * 5, "{calls} calls");
}

#[test]
fn goodbyes_from_the_second_turn_on_neither_end_a_talk_too_soon_nor_hold_it_up() {
    for ending in ["agreed", "max_only"] {
        let key = format!("conversations.ending={ending}");
        let met = meet(&["--set", "conversations.speaker_selection=round_robin", "--set", &key], |call| {
            let farewell = || Answer::Text(format!("{} Goodbye everyone, see you tomorrow!", plausible(call)));
            let shown = call.prompt();
            let behind_opener = shown.split("It begins: ").nth(1).unwrap_or_default();
            // The opener ends with a line, and the last part asks for one.
            let was_spoken =
                call.body["messages"].as_array().unwrap().len() > 2 || behind_opener.matches("\n\n").count() > 1;
            if was_spoken { farewell() } else { Answer::Plausible }
        });
        for talk in &met.talks {
            let number_of_turns = talk["turns"].as_array().unwrap().len();
            assert!((6..=8).contains(&number_of_turns), "{ending}: {number_of_turns}");
        }
        let flawed = met.handled.get("closing_loop").copied().unwrap_or(0);
        let lost = met.rejected.iter().filter(|row| row["reason"] == "closing_loop").count();
        assert!(flawed > 0 || lost > 0 || met.talks.iter().all(|talk| talk["stop_reason"] != "max_turns"), "{ending}");
    }
}

/// The first turn of whoever speaks in `turn`.
fn first_turn(talk: &Value, turn: &Value) -> Option<usize> {
    talk["turns"].as_array()?.iter().position(|other| other["speaker_id"] == turn["speaker_id"])
}

#[test]
fn a_vote_in_every_turn_ends_the_talk_at_the_minimum_and_not_before() {
    let met = meet(&["--set", "conversations.speaker_selection=fused"], |call| {
        let mut reply: Value = serde_json::from_str(&plausible(call)).unwrap();
        reply["end"] = json!(true);
        Answer::Text(reply.to_string())
    });
    assert_eq!(met.talks.len(), 6);
    for talk in &met.talks {
        // One vote at the minimum, the second a turn later, unless somebody has not been heard by then.
        let turns = talk["turns"].as_array().unwrap();
        let all_heard = 1 + turns.iter().filter_map(|turn| first_turn(talk, turn)).max().unwrap_or(0);
        assert_eq!(turns.len(), all_heard.max(7), "{}", talk["id"]);
        assert_eq!(talk["stop_reason"], "agreed");
    }
}

#[test]
fn selectors_that_name_nobody_or_the_last_speaker_are_overruled() {
    let choosing = |call: &Call| call.schema().is_some_and(|schema| schema["properties"].get("next").is_some());
    let nonsense = meet(&[], move |call| {
        let astray = Answer::Text("Hmm, the moon perhaps?".to_owned());
        if choosing(call) { astray } else { Answer::Plausible }
    });
    assert!(nonsense.talks.len() == 6 && nonsense.handled["fallbacks"] > 10, "{:?}", nonsense.handled);
    let fallback = turns(&nonsense).filter(|turn| turn["selected_by"] == "fallback").count() as u64;
    assert_eq!(fallback, nonsense.handled["fallbacks"]);
    assert!(turns(&nonsense).all(|turn| turn["selected_by"] != "model"));

    let stubborn = meet(&[], move |call| {
        let prompt = call.prompt();
        let mut names = prompt.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name);
        let choice = json!({"next": names.next_back().unwrap_or_default(), "end": false});
        if choosing(call) { Answer::Text(choice.to_string()) } else { Answer::Plausible }
    });
    assert!(!stubborn.talks.is_empty());
    for talk in &stubborn.talks {
        let speakers: Vec<&Value> = talk["turns"].as_array().unwrap().iter().map(|turn| &turn["speaker_id"]).collect();
        assert!(speakers.windows(2).all(|pair| pair[0] != pair[1]), "{}: twice running", talk["id"]);
    }
}
