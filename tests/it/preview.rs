//! `preview`: what it shows, what it costs, and that the run it is a preview of owes nothing twice.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, differing};
use crate::support::script::{Answer, Script};
use crate::support::sums::number;

fn demo(script: Script) -> (Endpoint, Project) {
    let (endpoint, project) = (Endpoint::start(script), Project::new());
    project.demo(&endpoint.base_url());
    (endpoint, project)
}

fn preview<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["preview", "-c", "demo.yaml"], more].concat()
}

/// The directory that a preview says it is kept in.
fn kept(stderr: &str) -> String {
    let (_, rest) = stderr.split_once("kept in ").unwrap_or_else(|| panic!("{stderr}"));
    rest.lines().next().unwrap().to_owned()
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn all_of_a_few_conversations_is_shown_and_asked_for_once() {
    let (endpoint, project) = demo(Script::default());
    let first = project.run(&preview(&["-n", "3"])).ended(0);
    let folder = kept(&first.stderr);
    let situations = project.rows(&format!("{folder}/stages/2-situations/part-00000.jsonl"));
    let talks = project.rows(&format!("{folder}/stages/3-conversations/part-00000.jsonl"));
    assert_eq!((situations.len(), talks.len()), (3, 3));
    let page = squeezed(&first.stdout);
    let shown = |value: &Value| assert!(page.contains(&squeezed(value.as_str().unwrap())), "{value} is not in {page}");
    for situation in &situations {
        for key in ["situation", "topic", "conversation_starter"] {
            shown(&situation[key]);
        }
        for person in situation["personas"].as_array().unwrap() {
            for key in ["name", "description", "persona", "stance", "goal"] {
                shown(&person[key]);
            }
        }
        situation["relations"].as_array().unwrap().iter().for_each(|relation| shown(&relation["text"]));
    }
    for talk in &talks {
        shown(&talk["stop_reason"]);
        talk["turns"].as_array().unwrap().iter().for_each(|turn| shown(&turn["text"]));
    }
    assert!(first.stdout.lines().all(|line| line.chars().count() <= 100), "{}", first.stdout);
    assert!(!project.path().join("runs/demo").exists(), "the configured run directory was touched");

    let calls = endpoint.calls().len();
    let again = project.run(&preview(&["-n", "3"])).ended(0);
    assert_eq!(again.stdout, first.stdout);
    let json = project.run(&preview(&["-n", "3", "--json"])).ended(0).json();
    assert_eq!((&json["situations"], &json["conversations"]), (&Value::from(situations), &Value::from(talks)));
    assert_eq!(number(&json["usage"]["calls"]), calls as u64);
    assert_eq!(endpoint.calls().len(), calls, "the same preview was paid for twice");
}

#[test]
fn a_longer_preview_and_the_run_itself_pay_only_for_what_is_new() {
    let (endpoint, project) = demo(Script::default());
    project.run(&preview(&["-n", "2"])).ended(0);
    let longer = project.run(&preview(&["-n", "4"])).ended(0);
    let folder = kept(&longer.stderr);
    project.pipeline(&["--fork", &folder]).ended(0);
    let mut bodies: Vec<String> = endpoint.calls().into_iter().map(|call| call.body).collect();
    let calls = bodies.len();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), calls, "something was asked for twice");

    let (fresh_endpoint, fresh) = demo(Script::default());
    fresh.pipeline(&[]).ended(0);
    assert_eq!(differing(&fresh.data("runs/demo"), &project.data("runs/demo")), Vec::<String>::new());
    assert_eq!(fresh_endpoint.calls().len(), calls, "a preview asks for what no run asks for");
}

#[test]
fn another_configuration_is_another_preview() {
    let (_endpoint, project) = demo(Script::default());
    let folder = |more: &[&str]| kept(&project.run(&preview(&[&["-n", "1"], more].concat())).ended(0).stderr);
    let plain = folder(&[]);
    assert_eq!(plain, folder(&["--set", "models.default.concurrency=3"]), "what shapes nothing makes another preview");
    assert_ne!(plain, folder(&["--set", "seed=18"]));
    assert_ne!(plain, folder(&["--set", "conversations.turns.max=9"]));
}

#[test]
fn the_prompts_are_shown_as_they_were_sent() {
    let (endpoint, project) = demo(Script::default());
    let page = project.run(&preview(&["-n", "1", "--prompts"])).ended(0).stdout;
    let mut found = 0;
    for call in endpoint.calls() {
        let body: Value = serde_json::from_str(&call.body).unwrap();
        let messages = body["messages"].as_array().unwrap().iter();
        found += u32::from(messages.clone().all(|message| page.contains(message["content"].as_str().unwrap())));
    }
    assert!(found >= 2, "{found} calls are shown: {page}");
}

#[test]
fn what_there_is_is_shown_when_it_is_stopped() {
    let slow = Script { latency: Duration::from_millis(25), ..Script::default() };
    let (endpoint, project) = demo(slow);
    let run = project.start_command(&preview(&["-n", "4"]));
    let patience = Instant::now() + Duration::from_secs(60);
    while endpoint.calls().len() < 40 {
        assert!(Instant::now() < patience, "the endpoint is not asked");
        std::thread::sleep(Duration::from_millis(2));
    }
    run.signal("INT");
    let stopped = run.end().ended(130);
    assert!(stopped.stdout.contains("━━ 1 of 4") && stopped.stdout.contains("unfinished · "), "{}", stopped.stdout);
    let whole = project.run(&preview(&["-n", "4"])).ended(0).stdout;
    let lines: Vec<&str> = stopped.stdout.lines().filter(|line| !line.contains("unfinished · ")).collect();
    let lost = lines.iter().filter(|line| !line.contains(" · ") && !whole.contains(**line));
    assert_eq!(lost.count(), 0, "what was shown first is not part of the whole");
}

#[test]
fn the_budget_and_the_endpoint_stop_it_as_they_stop_a_run() {
    let (endpoint, project) = demo(Script::default());
    let capped = project.run(&preview(&["--set", "budget.max_calls=30"])).ended(8);
    assert!(endpoint.calls().len() <= 30);
    assert!(capped.stdout.contains("━━ 1 of "), "{}", capped.stdout);

    let (_endpoint, refused) = demo(Script { key: Some("right".to_owned()), ..Script::default() });
    let looked = refused.run(&preview(&[])).ended(6);
    let ran = refused.pipeline(&[]).ended(6);
    let first = |text: &str| text.lines().find(|line| line.starts_with("error:")).map(str::to_owned);
    assert!(first(&looked.stderr).is_some() && first(&looked.stderr) == first(&ran.stderr), "{}", looked.stderr);
}

#[test]
fn a_bad_configuration_is_told_as_config_check_tells_it() {
    let (endpoint, project) = demo(Script::default());
    for bad in ["conversations.turns.min=99", "situations.prompt_config=gone.yaml", "seed=abc"] {
        let checked = project.run(&["config", "check", "-c", "demo.yaml", "--set", bad]).ended(2);
        let looked = project.run(&preview(&["--set", bad])).ended(2);
        assert_eq!(looked.stderr, checked.stderr, "{bad}");
    }
    assert!(endpoint.calls().is_empty());
}

#[test]
fn what_a_model_writes_cannot_act_on_the_terminal() {
    let (_endpoint, project) = demo(Script::but(
        |call| call.body.get("response_format").is_none() && call.index % 3 == 0,
        |call| Answer::Text(format!("\u{1b}]0;owned\u{7}I would {} go there \u{1b}[31mbefore noon.", call.index)),
    ));
    let ran = project.run(&preview(&["-n", "2", "--set", "conversations.speaker_selection=rules"]));
    assert!(!ran.stdout.contains(['\u{1b}', '\u{7}']), "{}", ran.stdout);
}
